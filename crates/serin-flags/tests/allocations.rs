//! Evaluating allocates nothing, whatever the rule, unless the rule itself makes text or lists.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use serde_json::{Value, json};
use serin_flags::{Bucketing, Context, FlagSet};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn rules() -> Vec<Value> {
    let key = json!({"var": "targetingKey"});
    let unit = json!({"cat": ["salt:", key]});
    let users: Vec<String> = (0..1_000).map(|n| format!("user-{n}")).collect();
    let inner = json!({"fractional": [unit, ["on", 1], ["off", 1]]});
    let clauses = json!({"and": [
        {"==": [{"var": "plan"}, "pro"]},
        {">=": [{"var": "age"}, 18]},
        {"in": ["@corp.com", {"var": "email"}]},
        {"ends_with": [{"var": "email"}, ".com"]},
        {"sem_ver": [{"var": "version"}, ">=", "2.0.0"]},
        {"!": {"var": "nothing"}},
        {"==": [{"var": "user.tier"}, 3]},
        {"some": [{"var": "tags"}, {"==": [{"var": ""}, "b"]}]},
        {"<": [{"var": "$flagd.timestamp"}, 5]},
        {"serin_cidr": [{"var": "ip"}, "10.0.0.0/8"]},
        {"serin_date": [{"var": "born"}, "<", 1_800_000_000]},
        {"serin_text": [{"var": "email"}, "ends", "@CORP.COM"]},
    ]});
    vec![
        Value::Null,
        json!({"if": [{"in": [key, users]}, "on", null]}),
        json!({"if": [clauses, inner, null]}),
        json!({"fractional": [unit, [inner, 50_000], ["off", 50_000]]}),
        json!({"fractional": [["on", 1], ["off", {"+": [{"var": "age"}, 1]}]]}),
        json!({"fractional": [{"cat": [{"var": "age"}, key]}, ["on", 1]]}),
        json!({"serin_release": ["v3", key, 50_000, "exposure", 50_000, "arm", "on", "off"]}),
        json!({"serin_split": ["md5-100", "salt", key, ["on", 50_000], ["off", 50_000]]}),
    ]
}

fn document(targeting: &Value) -> String {
    let flag = json!({
        "state": "ENABLED",
        "variants": {"on": true, "off": false},
        "defaultVariant": "off",
        "targeting": targeting,
    });
    json!({"flags": {"flag": flag}}).to_string()
}

/// One test in this file: others would allocate while it counts.
#[test]
fn evaluating_allocates_nothing() {
    let context = json!({
        "targetingKey": "user-7", "plan": "pro", "age": 42, "email": "Anna@corp.com", "ip": "10.1.2.3",
        "version": "2.7.1", "user": {"tier": 3}, "tags": ["a", "b"], "born": "2001-02-03",
    });
    let context = Context::from_value(&context).unwrap();
    for bucketing in [Bucketing::V2, Bucketing::V3] {
        for rule in rules() {
            let set = FlagSet::parse(document(&rule).as_bytes(), bucketing).unwrap();
            let region = Region::new(ALLOCATOR);
            let found = set.evaluate("flag", &context, 0);
            let allocations = region.change().allocations;
            let rule: String = rule.to_string().chars().take(120).collect();
            assert!(found.is_ok_and(|found| found.variant.is_some()), "{rule}");
            // Going through a list needs one place to remember where it is.
            let allowed = usize::from(rule.contains("and"));
            assert!(allocations <= allowed, "{allocations} allocations: {rule}");
        }
    }
}
