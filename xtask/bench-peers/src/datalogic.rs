//! GoPlasmatic's JsonLogic engine with flagd's operators (`fractional` v2).

use super::{context, measure, rules, users};
use bumpalo::Bump;
use datalogic_rs::{Engine, datavalue::DataValue};
use std::hint::black_box;

/// Measures every rule that has logic to run; a static flag has none.
pub fn run() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::new();
    let texts: Vec<String> = users()
        .map(|user| {
            let mut data = context(&user);
            data["$flagd"] = serde_json::json!({"flagKey": "flag", "timestamp": 1_800_000_000});
            data.to_string()
        })
        .collect();
    let kept = Bump::new();
    let data = texts.iter().map(|text| DataValue::from_str(text, &kept));
    let data = data.collect::<Result<Vec<_>, _>>();
    let data = data.map_err(|error| format!("{error:?}"))?;
    for (name, rule) in rules().into_iter().filter(|(_, rule)| !rule.is_null()) {
        let compiled = engine.compile(&rule.to_string()).map_err(|error| format!("{error:?}"))?;
        let mut arena = Bump::new();
        measure("datalogic-rs 5.4.0", name, |at| {
            arena.reset();
            let found = engine.evaluate(&compiled, black_box(data[at]), &arena);
            found.map(|value| value.as_str().map(str::len))
        });
    }
    Ok(())
}
