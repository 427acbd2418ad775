//! Serin's own evaluator, in the server form for the guarded release.

use super::{context, measure, rules, users};
use serde_json::{Value, json};
use serin_flags::{Bucketing, Context, FlagSet};
use std::hint::black_box;

const NOW_S: i64 = 1_800_000_000;
const GUARDED: &str = "two-level guarded release";

/// Measures every rule; the whole answer with variant, value, reason and metadata.
pub fn run() -> Result<(), Box<dyn std::error::Error>> {
    let document = json!({"flags": flags()}).to_string();
    let set = FlagSet::parse(document.as_bytes(), Bucketing::V3);
    let set = set.map_err(|problems| format!("{problems:?}"))?;
    let users: Vec<Value> = users().map(|user| context(&user)).collect();
    let contexts = users.iter().map(Context::from_value).collect::<Result<Vec<_>, _>>()?;
    for (name, _) in rules() {
        measure("serin", name, |at| set.evaluate(name, black_box(&contexts[at]), NOW_S).is_ok());
    }
    Ok(())
}

fn flags() -> serde_json::Map<String, Value> {
    let key = json!({"var": "targetingKey"});
    let release = ["v3".into(), key, 20_000.into(), "exposure".into(), 50_000.into(), "arm".into()];
    let release: Vec<Value> = release.into_iter().chain(["on".into(), "off".into()]).collect();
    let flag = |(name, rule): (&str, Value)| {
        let own = name == GUARDED;
        let targeting = if own { json!({"serin_release": release}) } else { rule };
        let flag = json!({"state": "ENABLED", "variants": {"on": true, "off": false},
            "defaultVariant": "off", "targeting": targeting});
        (name.to_owned(), flag)
    };
    rules().into_iter().map(flag).collect()
}
