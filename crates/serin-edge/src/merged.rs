//! A flagd document as clients want it: references in place, the set's metadata in every flag.

use serde_json::{Map, Value};
use serin_flags::FlagSet;

/// The same flags, each complete in itself.
pub fn merged(document: &Value, flags: &FlagSet) -> Value {
    let mut out = document.clone();
    let evaluators = document["$evaluators"].as_object().cloned().unwrap_or_default();
    if let Some(out) = out.as_object_mut() {
        out.remove("$evaluators");
    }
    let mut all = Map::new();
    for (key, flag) in each(&document["flags"]) {
        let mut flag = flag.clone();
        if let Some(targeting) = flag.get_mut("targeting") {
            resolve(targeting, &evaluators, DEPTH);
        }
        if let (Some(flag), Some(held)) = (flag.as_object_mut(), flags.flag(key)) {
            flag.remove("key");
            flag.insert(
                "metadata".into(),
                serde_json::to_value(held.metadata()).unwrap_or_default(),
            );
        }
        all.insert(key.to_owned(), flag);
    }
    out["flags"] = Value::Object(all);
    out
}

/// Far beyond what the reader of the set lets pass, cycles included.
const DEPTH: usize = 512;

fn each(flags: &Value) -> Vec<(&str, &Value)> {
    match flags {
        Value::Object(map) => map.iter().map(|(key, flag)| (key.as_str(), flag)).collect(),
        Value::Array(list) => {
            list.iter().filter_map(|flag| Some((flag["key"].as_str()?, flag))).collect()
        }
        _ => Vec::new(),
    }
}

fn resolve(rule: &mut Value, evaluators: &Map<String, Value>, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match rule {
        Value::Array(items) => items.iter_mut().for_each(|item| resolve(item, evaluators, depth)),
        Value::Object(map) => {
            let name = map.get("$ref").and_then(Value::as_str).filter(|_| map.len() == 1);
            if let Some(meant) = name.and_then(|name| evaluators.get(name)) {
                let mut meant = meant.clone();
                resolve(&mut meant, evaluators, depth);
                *rule = meant;
            } else {
                map.values_mut().for_each(|value| resolve(value, evaluators, depth));
            }
        }
        _ => {}
    }
}
