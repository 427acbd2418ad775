//! `bench flags`: what an evaluation costs in process, beside other evaluators; what the edge
//! serves on one core; what open event streams take; how fast a kill switch reaches them.

mod engines;
mod load;
mod requests;
mod streams;
mod unleash;

use super::{machine, options::Options, report, servers};
use crate::failure::{Doing, Result};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

/// Flags in the set that requests are answered from, as many as in Unleash Edge's own benchmark.
const FLAGS: usize = 350;

/// Measures and reports: everything, or one part.
pub fn run(words: &[&str]) -> Result<()> {
    let (part, rest) = match words {
        [part @ ("engines" | "requests" | "streams"), rest @ ..] => (Some(*part), rest),
        _ => (None, words),
    };
    let options = Options::parse(rest)?;
    let wanted = |name: &str| part.is_none_or(|part| part == name);
    let machine = machine::describe();
    let mut document = json!({"schema": "serin.bench.flags/v1", "machine": machine});
    if wanted("engines") {
        document["engines"] = engines::measure()?;
    }
    if part != Some("engines") {
        let program = super::serin_program(&options)?;
        if wanted("requests") {
            document["requests"] = requests::measure(&program, &options)?;
            document["unleash"] = unleash::measure(&options);
        }
        if wanted("streams") {
            document["streams"] = streams::measure(&program)?;
        }
    }
    report::save("flags", &document)
}

/// A file of flags: every kind of rule, in turn.
fn file(name: &str) -> Result<PathBuf> {
    let path = servers::scratch(name)?.join("flags.json");
    let document = json!({"metadata": {"flagSetId": "bench"}, "flags": flags()});
    fs::write(&path, document.to_string()).doing(|| format!("writing {}", path.display()))?;
    Ok(path)
}

fn flags() -> serde_json::Map<String, Value> {
    let unit = json!({"cat": ["salt", {"var": "targetingKey"}]});
    let rules = [
        Value::Null,
        json!({"if": [{"ends_with": [{"var": "email"}, "@example.com"]}, "on", "off"]}),
        json!({"fractional": [unit, ["on", 25_000], ["off", 75_000]]}),
        json!({"if": [{"and": [{"==": [{"var": "plan"}, "pro"]}, {">=": [{"var": "age"}, 18]}]},
            {"fractional": [unit, ["on", 50_000], ["off", 50_000]]}, "off"]}),
    ];
    let flag = |at: usize| {
        let flag = json!({
            "state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
            "targeting": rules[at % rules.len()],
        });
        (format!("flag-{at:03}"), flag)
    };
    (0..FLAGS).map(flag).collect()
}
