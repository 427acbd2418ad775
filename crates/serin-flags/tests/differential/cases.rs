//! Documents of random flags, each with a few random contexts.

use super::rules::{WORDS, Writer};
use fastrand::Rng;
use serde_json::{Map, Value, json};

/// Flags in a document.
pub const FLAGS: usize = 20;
/// Contexts each flag is evaluated with.
pub const CONTEXTS: usize = 5;

/// One line for the evaluators.
pub struct Case {
    pub document: Value,
    pub contexts: Vec<Value>,
}

impl Case {
    /// The document with this number in the sequence of a seed.
    pub fn new(seed: u64, number: u64) -> Self {
        let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9).wrapping_add(number));
        let wild = number % 4 == 3;
        let (shared, evaluators) = shared(&mut rng, number);
        let mut flags = Map::new();
        for at in 0..FLAGS {
            let mut writer = Writer { rng: &mut rng, shared: &shared, wild, plain: false };
            flags.insert(format!("flag-{number}-{at:02}"), writer.flag());
        }
        let contexts = (0..CONTEXTS).map(|_| context(&mut rng)).collect();
        Self { document: json!({"$evaluators": evaluators, "flags": flags}), contexts }
    }

    /// Keys of the flags, as the evaluators order them.
    pub fn keys(&self) -> Vec<&str> {
        let flags = self.document["flags"].as_object().unwrap();
        let mut keys: Vec<&str> = flags.keys().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    /// The same with only some of its flags.
    pub fn only(&self, keys: &[&str]) -> Self {
        let mut document = self.document.clone();
        let flags = document["flags"].as_object_mut().unwrap();
        flags.retain(|key, _| keys.contains(&key.as_str()));
        Self { document, contexts: self.contexts.clone() }
    }

    /// A flag's rule, with shared conditions in their places.
    pub fn rule(&self, key: &str) -> Value {
        let shared = &self.document["$evaluators"];
        inline(&self.document["flags"][key]["targeting"], shared)
    }

    /// As a line of JSON.
    pub fn line(&self) -> String {
        json!({"document": self.document, "contexts": self.contexts}).to_string()
    }
}

fn inline(rule: &Value, shared: &Value) -> Value {
    match rule {
        Value::Object(parts) => match parts.get("$ref").and_then(|name| shared.get(name.as_str()?))
        {
            Some(condition) => condition.clone(),
            None => parts.iter().map(|(name, part)| (name.clone(), inline(part, shared))).collect(),
        },
        Value::Array(parts) => parts.iter().map(|part| inline(part, shared)).collect(),
        _ => rule.clone(),
    }
}

/// Conditions that flags refer to. They refer to none themselves, because flagd's evaluators
/// replace references in an order of their own, and are in ASCII, because the Python one cannot
/// read others.
fn shared(rng: &mut Rng, number: u64) -> (Vec<String>, Map<String, Value>) {
    let names: Vec<String> = (0..3).map(|at| format!("shared-{number}-{at}")).collect();
    let mut evaluators = Map::new();
    for name in &names {
        let condition = Writer { rng, shared: &[], wild: false, plain: true }.condition(0);
        evaluators.insert(name.clone(), condition);
    }
    (names, evaluators)
}

fn context(rng: &mut Rng) -> Value {
    let mut context = Map::new();
    match rng.u8(..12) {
        0 => {}
        1 => _ = context.insert("targetingKey".into(), json!("")),
        2 => _ = context.insert("targetingKey".into(), json!(format!("gruppe-ä-{}", rng.u8(..)))),
        _ => _ = context.insert("targetingKey".into(), json!(format!("user-{}", rng.u16(..)))),
    }
    for (name, value) in attributes(rng) {
        if rng.u8(..5) > 0 {
            context.insert(name.to_owned(), value);
        }
    }
    Value::Object(context)
}

fn attributes(rng: &mut Rng) -> Vec<(&'static str, Value)> {
    let word = |rng: &mut Rng| WORDS[rng.usize(..WORDS.len())];
    let versions = ["1.2.3", "v1.2.4", "2.0.0", "1.10.0-rc.1", "1.2", "2", "1.2.3+b7", "x.y.z"];
    vec![
        ("email", json!(word(rng))),
        ("plan", json!(word(rng))),
        ("country", json!(word(rng))),
        ("age", json!(rng.i64(-5..60))),
        ("score", json!(f64::from(rng.i32(-40..400)) / 8.0)),
        ("weight", json!(rng.i64(-2..100))),
        ("beta", json!(rng.bool())),
        ("version", json!(versions[rng.usize(..versions.len())])),
        ("tags", json!([word(rng), word(rng)])),
        ("nums", json!([rng.u8(..9), rng.u8(..9), rng.u8(..9)])),
        ("none", json!([])),
        ("org", json!({"id": rng.u8(..9), "tier": {"name": word(rng)}})),
        ("orders", json!([{"price": rng.u8(..50), "qty": 1}, {"price": rng.u8(..50)}])),
        ("empty", json!("")),
        ("zero", json!(0)),
        ("nil", Value::Null),
        ("numeric", json!(["1", "10", "07", "1.5", " 3 "][rng.usize(..5)])),
        (
            "mixed",
            [json!(1), json!("1"), json!(true), json!([]), json!({})][rng.usize(..5)].clone(),
        ),
    ]
}
