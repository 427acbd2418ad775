//! How answers came about.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use serde_json::{Value, json};
use serin_flags::{Bucketing, Context, FlagSet};

fn trace(targeting: &Value, context: &Value) -> Value {
    let document = json!({"flags": {"flag": {
        "state": "ENABLED",
        "variants": {"on": true, "off": false},
        "defaultVariant": "off",
        "targeting": targeting,
    }}});
    let set = FlagSet::parse(document.to_string().as_bytes(), Bucketing::V3).unwrap();
    let context = Context::from_value(context).unwrap();
    let (answer, steps) = set.evaluate_traced("flag", &context, 0);
    json!({"variant": answer.unwrap().variant, "steps": serde_json::to_value(steps).unwrap()})
}

#[test]
fn conditions_and_buckets_are_told_in_order() {
    let rule = json!({"if": [
        {"and": [{"var": "beta"}, {"==": [{"var": "plan"}, "pro"]}]},
        "on",
        {"fractional": [{"cat": ["new_checkout:", {"var": "targetingKey"}]},
            ["on", 60_000], ["off", 40_000]]},
    ]});
    let context = json!({"beta": true, "plan": "free", "targetingKey": "user-123"});
    let expected = json!({"variant": "off", "steps": [
        {"step": "condition", "place": "/if/0/and/0", "holds": true},
        {"step": "condition", "place": "/if/0", "holds": false},
        {"step": "bucket", "place": "/if/2/fractional", "draw": "part", "method": "v3",
            "bucket": 66518, "of": 100_000, "part": 1},
    ]});
    assert_eq!(trace(&rule, &context), expected);
}

#[test]
fn a_release_tells_exposure_and_side() {
    let rule = json!({"serin_release": ["v2", {"var": "targetingKey"}, 70_000, "new_checkout", 10_000,
        "checkout", "on", "off"]});
    let expected = json!({"variant": "off", "steps": [
        {"step": "bucket", "place": "/serin_release", "draw": "exposure", "method": "v2",
            "bucket": 67064, "of": 100_000, "part": 0},
        {"step": "bucket", "place": "/serin_release", "draw": "arm", "method": "v2",
            "bucket": 43609, "of": 100_000, "part": 1},
    ]});
    assert_eq!(trace(&rule, &json!({"targetingKey": "user-123"})), expected);
    assert_eq!(trace(&rule, &json!({})), json!({"variant": "off", "steps": []}));
}

#[test]
fn who_is_nobody_is_in_no_bucket() {
    let rule = json!({"fractional": [["on", 1], ["off", 1]]});
    let expected = json!({"variant": "off", "steps": [
        {"step": "bucket", "place": "/fractional", "draw": "part", "method": "v3", "bucket": null,
            "of": 0, "part": null},
    ]});
    assert_eq!(trace(&rule, &json!({})), expected);
}
