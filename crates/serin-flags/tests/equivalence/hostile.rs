//! Documents that were written badly or meant badly: refused with reasons or served, never half
//! taken, and nothing panics.

use crate::written;
use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};
use serin_flags::{Bucketing, FlagSet, Form, SetDefinition, compile, import};

/// Values that stand where others should.
fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!(-1)),
        Just(json!(1e300)),
        Just(json!(u64::MAX)),
        Just(json!("")),
        Just(json!("\u{0}\u{202e}")),
        Just(json!([[[]]])),
        Just(json!({ "$ref": "x", "var": "$flagd.flagKey" })),
        "\\PC{0,20}".prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        Just(json!("x".repeat(20_000))),
    ]
}

/// Every place of a document.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(n, below)| places(below, &format!("{at}/{n}"), all));
        }
        Value::Object(map) => {
            map.iter().for_each(|(k, below)| places(below, &format!("{at}/{}", escaped(k)), all));
        }
        _ => {}
    }
}

/// The document with some places overwritten.
fn spoilt(mut document: Value, changes: Vec<(Index, Value)>) -> Value {
    for (place, value) in changes {
        let mut all = Vec::new();
        places(&document, "", &mut all);
        if let Some(spot) = document.pointer_mut(&all[place.index(all.len())]) {
            *spot = value;
        }
    }
    document
}

fn changes() -> impl Strategy<Value = Vec<(Index, Value)>> {
    prop::collection::vec((any::<Index>(), odd()), 1..4)
}

fn others() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({ "flags": { "f": { "state": "ENABLED", "variants": { "on": true, "off": false },
            "defaultVariant": "off", "targeting": { "if": [{ "$ref": "e" }, "on", null] } } },
            "$evaluators": { "e": { "in": [{ "var": "a" }, ["b"]] } } }),
        json!({ "flags": { "f": { "on": true, "variations": [true, false], "offVariation": 1,
            "rules": [{ "clauses": [{ "attribute": "a", "op": "in", "values": [1] }],
                "rollout": { "variations": [{ "variation": 0, "weight": 100_000 }] } }],
            "prerequisites": [{ "key": "f", "variation": 0 }],
            "fallthrough": { "variation": 0 } } }, "segments": { "s": { "included": ["u"] } } }),
        json!({ "features": { "f": { "defaultValue": false, "rules": [
            { "condition": { "$or": [{ "a": { "$in": ["b"] } }], "c": { "$not": { "$gt": 1 } } },
              "variations": [true, false], "weights": [0.5, 0.5], "coverage": 0.7 }] } } }),
        json!({ "features": [{ "name": "f", "enabled": true, "strategies": [
            { "name": "flexibleRollout", "parameters": { "rollout": "5", "groupId": "g" },
              "constraints": [{ "contextName": "a", "operator": "NUM_GT", "value": "1" }],
              "variants": [{ "name": "v", "weight": 1000 }] }],
            "dependencies": [{ "feature": "f" }] }] }),
        json!([{ "key": "f", "strategy": "attribute", "percentage": 5, "attribute_rules": [
            { "attribute": "a", "operator": "in", "value": ["b"] }], "variants": { "a": 50 } }]),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_accepted_can_be_served(set in written::set(), changes in changes()) {
        let document: Value = serde_json::from_str(&set.to_json()).unwrap();
        let text = spoilt(document, changes).to_string();
        match SetDefinition::from_json(text.as_bytes()) {
            Err(problems) => prop_assert!(!problems.is_empty() && problems.len() <= 1_000),
            Ok(set) => for form in [Form::Server, Form::Portable] {
                let document = compile(&set, form).unwrap().document.to_string();
                let parsed = FlagSet::parse(document.as_bytes(), set.bucketing);
                prop_assert!(parsed.is_ok(), "{:?}\n{}", parsed.err(), document);
            },
        }
    }

    #[test]
    fn what_is_imported_can_be_served(document in others(), changes in changes()) {
        let text = spoilt(document, changes).to_string();
        let text = text.as_bytes();
        let all = [
            import::flagd(text, "prod", Bucketing::V3),
            import::launchdarkly(text, "prod", "production"),
            import::growthbook(text, "prod"),
            import::unleash(text, "prod", "production"),
            import::mission(text, "prod", import::Remainder::First),
        ];
        for imported in all.into_iter().flatten() {
            let document = compile(&imported.set, Form::Server).unwrap().document.to_string();
            let parsed = FlagSet::parse(document.as_bytes(), imported.set.bucketing);
            prop_assert!(parsed.is_ok(), "{:?}\n{}", parsed.err(), document);
        }
    }

    #[test]
    fn no_text_breaks_a_reader(text in "[\\[\\]{}\",:0-9a-z\\\\ ]{0,80}|\\PC{0,80}") {
        let text = text.as_bytes();
        let _ = SetDefinition::from_json(text);
        let _ = import::flagd(text, "prod", Bucketing::V2);
        let _ = import::launchdarkly(text, "prod", "e");
        let _ = import::growthbook(text, "prod");
        let _ = import::unleash(text, "prod", "e");
        let _ = import::mission(text, "prod", import::Remainder::Refused);
    }
}

#[test]
fn keys_that_come_twice_are_refused() {
    let text = r#"{"name": "prod", "flags": {"a": {}, "a": {"offVariant": "on"}}}"#;
    let problems = SetDefinition::from_json(text.as_bytes()).unwrap_err();
    assert_eq!(problems[0].to_string(), "flags.a: comes twice; allowed: once");
}

#[test]
fn every_flag_that_cannot_be_read_is_named() {
    let text = json!({ "name": "prod", "flgas": {}, "flags": {
        "a": { "defaltVariant": "on" }, "b": { "kind": "relase" }, "c d": {}, "e": 5,
    } });
    let problems = SetDefinition::from_json(text.to_string().as_bytes()).unwrap_err();
    let places: Vec<&str> = problems.iter().map(|problem| problem.place.as_str()).collect();
    assert_eq!(places, ["document", "flags.a", "flags.b", "flags.e", "flags"]);
    let nearest: Vec<_> =
        problems.iter().filter_map(|problem| problem.nearest.as_deref()).collect();
    assert_eq!(nearest, ["flags", "defaultVariant", "release"]);
}

#[test]
fn deep_and_large_documents_are_refused_quickly() {
    let deep = format!("{{\"name\":\"p\",\"flags\":{{\"f\":{{\"raw\":{}", "[".repeat(100_000));
    assert!(SetDefinition::from_json(deep.as_bytes()).is_err());
    let large = vec![b' '; (64 << 20) + 1];
    let problems = SetDefinition::from_json(&large).unwrap_err();
    assert!(problems[0].to_string().contains("at most 67108864 bytes"), "{problems:?}");
}
