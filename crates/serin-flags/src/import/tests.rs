use super::{Imported, flagd, growthbook, launchdarkly, unleash};
use crate::{Bucketing, FlagKey, Form, Kind, Method, SetDefinition, State, compile};
use serde_json::{Value, json};

fn notes(imported: &Imported) -> Vec<String> {
    imported.notes.iter().map(ToString::to_string).collect()
}

fn targeting(set: &SetDefinition, key: &str) -> Value {
    let document = compile(set, Form::Server).unwrap().document;
    document["flags"][key]["targeting"].clone()
}

fn user() -> Value {
    json!({ "var": "targetingKey" })
}

#[test]
fn flagd_keeps_its_rules_word_for_word() {
    let document = json!({
        "$evaluators": { "staff": { "ends_with": [{ "var": "email" }, "@example.com"] } },
        "metadata": { "flagSetId": "prod", "team": "web" },
        "flags": {
            "shop": {
                "state": "ENABLED", "variants": { "on": true, "off": false }, "defaultVariant": "off",
                "targeting": { "if": [{ "$ref": "staff" }, "on", { "fractional": [["on", 5], ["off", 95]] }] },
                "metadata": { "owner": "payments", "type": "experiment", "expiresAt": "2027-01-31" },
            },
            "size": { "state": "DISABLED", "variants": { "a": 1.0, "b": 2 }, "defaultVariant": null },
            "a b": { "state": "ENABLED", "variants": { "on": true } },
        },
    });
    let imported = flagd(document.to_string().as_bytes(), "prod", Bucketing::V2).unwrap();
    let set = &imported.set;
    let rule = json!({ "if": [
        { "ends_with": [{ "var": "email" }, "@example.com"] }, "on",
        { "fractional": [["on", 5], ["off", 95]] },
    ] });
    assert_eq!(targeting(set, "shop"), rule);
    let shop = &set.flags["shop"];
    assert_eq!((shop.owner.as_str(), shop.kind), ("payments", Kind::Experiment));
    assert_eq!((set.bucketing, set.metadata.len()), (Bucketing::V2, 1));
    let size = &set.flags["size"];
    assert_eq!((size.state, size.default_variant.as_deref()), (State::Disabled, None));
    assert_eq!(size.variants.get("a").unwrap().to_string(), "1.0");
    let expected = [
        "flags.a b: left out: \"a b\" is not a flag key: use 1 to 200 of A-Z, a-z, 0-9, `.`, `_`, `:` and `-`",
        "flags.shop: `expiresAt` is kept as metadata; the rules decide when it ends",
        "flags.size: has no variant that is off; a kill serves \"a\"",
    ];
    assert_eq!(notes(&imported), expected);
}

#[test]
fn a_flagd_document_that_cannot_be_evaluated_is_refused_whole() {
    let document = json!({ "flags": {
        "good": { "state": "ENABLED", "variants": { "on": true }, "defaultVariant": "on" },
        "bad": { "state": "ENABLED", "variants": { "on": true }, "defaultVariant": "no" },
    } });
    assert!(flagd(document.to_string().as_bytes(), "prod", Bucketing::V3).is_err());
}

fn from_launchdarkly(document: &Value) -> Imported {
    launchdarkly(document.to_string().as_bytes(), "prod", "production").unwrap()
}

#[test]
fn launchdarkly_keeps_targets_rules_and_weights() {
    let document = json!({
        "flags": { "shop": {
            "on": true, "variations": [true, false], "offVariation": 1, "temporary": false,
            "targets": [{ "values": ["ann"], "variation": 0 }],
            "rules": [
                { "clauses": [
                    { "attribute": "email", "op": "endsWith", "values": ["@example.com"], "negate": true },
                    { "attribute": "/address/city", "op": "in", "values": ["Bonn", 5] },
                    { "attribute": "born", "op": "before", "values": [1_577_836_800_000_i64] },
                ], "variation": 0 },
                { "clauses": [{ "op": "segmentMatch", "values": ["beta"] }],
                  "rollout": { "bucketBy": "org", "variations": [
                    { "variation": 0, "weight": 33_333 }, { "variation": 1, "weight": 66_666 },
                  ] } },
            ],
            "fallthrough": { "variation": 1 },
        } },
        "segments": { "beta": { "included": ["bob"], "excluded": ["bob", "eve"], "rules": [] } },
    });
    let imported = from_launchdarkly(&document);
    let org = json!({ "var": "org" });
    let expected = json!({ "if": [
        { "in": [user(), ["ann"]] }, "on",
        { "and": [
            { "!": [{ "ends_with": [{ "var": "email" }, "@example.com"] }] },
            { "in": [{ "var": "address.city" }, ["Bonn", 5, "5"]] },
            { "serin_date": [{ "var": "born" }, "<", 1_577_836_800] },
        ] }, "on",
        { "and": [
            { "and": [{ "!": [{ "in": [user(), ["eve"]] }] }, { "in": [user(), ["bob"]] }] },
            { "and": [{ "!==": [org, null] }, { "!==": [org, ""] }] },
        ] },
        { "fractional": [{ "cat": ["shop:", org] }, ["on", 33_333], ["off", 66_667]] },
        null,
    ] });
    assert_eq!(targeting(&imported.set, "shop"), expected);
    assert_eq!(imported.set.flags["shop"].kind, Kind::Ops);
    assert_eq!(notes(&imported), ["flags.shop: its users are put into buckets anew"]);
}

#[test]
fn launchdarkly_leaves_out_what_would_answer_differently() {
    let flag = |more: &Value| {
        let mut flag = json!({
            "on": true, "variations": [true, false], "offVariation": 1, "fallthrough": { "variation": 0 },
        });
        flag.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        flag
    };
    let rule = |clause: Value| json!({ "rules": [{ "clauses": [clause], "variation": 0 }] });
    let needs = |key: &str| json!({ "prerequisites": [{ "key": key, "variation": 0 }] });
    let document = json!({ "flags": {
        "kind": flag(&rule(json!({ "contextKind": "org", "attribute": "key", "op": "in", "values": ["a"] }))),
        "device": flag(&json!({ "contextTargets": [{ "contextKind": "device", "values": ["d"], "variation": 0 }] })),
        "negated": flag(&rule(json!({ "op": "segmentMatch", "values": ["s"], "negate": true }))),
        "regex": flag(&rule(json!({ "attribute": "a", "op": "matches", "values": ["(?=x)"] }))),
        "unknown": flag(&rule(json!({ "attribute": "a", "op": "sounds_like", "values": ["a"] }))),
        "nothing": flag(&json!({ "fallthrough": {} })),
        "null": flag(&json!({ "variations": [null, 1] })),
        "child": flag(&needs("regex")),
        "good": flag(&needs("base")),
        "base": flag(&json!({ "on": false })),
        "old": flag(&json!({ "archived": true })),
    } });
    let imported = from_launchdarkly(&document);
    let kept: Vec<&str> = imported.set.flags.keys().map(FlagKey::as_str).collect();
    assert_eq!(kept, ["base", "good"]);
    let left = notes(&imported);
    assert_eq!(left.iter().filter(|note| note.contains("left out: ")).count(), 8, "{left:#?}");
    assert_eq!(imported.set.flags["base"].state, State::Off);
}

#[test]
fn the_list_of_launchdarkly_s_api_is_read_for_one_environment() {
    let document = json!({ "items": [{
        "key": "colour", "name": "Colour", "tags": ["web"], "temporary": true,
        "_maintainer": { "email": "ann@example.com" },
        "variations": [
            { "_id": "1", "value": "#f00", "name": "red" }, { "_id": "2", "value": "#00f" },
        ],
        "environments": { "production": {
            "on": false, "offVariation": 0, "fallthrough": { "variation": 1 },
        } },
    }] });
    let imported = from_launchdarkly(&document);
    let flag = &imported.set.flags["colour"];
    assert_eq!(flag.variants.names().collect::<Vec<_>>(), ["red", "v1"]);
    assert_eq!((flag.off_variant.as_str(), flag.owner.as_str()), ("red", "ann@example.com"));
    let text = document.to_string();
    let problems = launchdarkly(text.as_bytes(), "prod", "productoin").unwrap_err();
    assert!(problems[0].to_string().contains("did you mean `production`?"), "{problems:?}");
}

fn from_growthbook(features: &Value) -> Imported {
    let document = json!({ "features": features, "savedGroups": { "g": ["a", "b"] } });
    growthbook(document.to_string().as_bytes(), "prod").unwrap()
}

#[test]
fn growthbook_keeps_conditions_forces_and_experiments() {
    let imported = from_growthbook(&json!({ "shop": { "defaultValue": "old", "rules": [
        { "condition": { "$or": [{ "plan": "beta" }, { "id": { "$inGroup": "g" } }], "age": { "$gte": 18 } },
          "force": "new" },
        { "condition": { "country": { "$not": { "$in": ["de"] } } }, "key": "exp",
          "variations": ["old", "new", "newer"], "coverage": 0.5 },
    ] } }));
    let age = json!({ ">=": [{ "var": "age" }, 18] });
    let expected = json!({ "if": [
        { "and": [{ "===": [{ "var": "plan" }, "beta"] }, age] }, "v1",
        { "and": [{ "in": [user(), ["a", "b"]] }, age] }, "v1",
        { "and": [{ "!": [{ "===": [{ "var": "country" }, "de"] }] }, user()] },
        { "fractional": [
            { "cat": ["shop:", user()] }, ["v0", 16_667], ["v1", 16_667], ["v2", 16_666], ["v0", 50_000],
        ] },
        null,
    ] });
    let found = targeting(&imported.set, "shop");
    // The order of conditions within one rule is that of their names.
    let sorted = |value: &Value| {
        let mut text: Vec<char> = value.to_string().chars().collect();
        text.sort_unstable();
        text
    };
    assert_eq!(sorted(&found), sorted(&expected), "{found:#}");
    let flag = &imported.set.flags["shop"];
    assert_eq!((flag.kind, flag.default_variant.as_deref()), (Kind::Experiment, Some("v0")));
}

#[test]
fn growthbook_leaves_out_what_would_answer_differently() {
    let imported = from_growthbook(&json!({
        "namespace": { "defaultValue": 1, "rules": [{ "variations": [1, 2], "namespace": ["n", 0, 1] }] },
        "partial": { "defaultValue": false, "rules": [
            { "force": true, "coverage": 0.5 }, { "force": true, "condition": { "a": 1 } },
        ] },
        "elements": { "defaultValue": false, "rules": [{ "force": true, "condition": { "a": { "$elemMatch": {} } } }] },
        "types": { "defaultValue": false, "rules": [{ "force": "yes" }] },
        "null": { "defaultValue": null },
        "text": { "defaultValue": false, "rules": [{ "force": true, "condition": { "a": { "$gt": "m" } } }] },
        "group": { "defaultValue": false, "rules": [{ "force": true, "condition": { "a": { "$inGroup": "x" } } }] },
        "gated": { "defaultValue": true, "rules": [
            { "parentConditions": [{ "id": "good", "gate": true, "condition": { "value": true } }], "force": true },
        ] },
        "good": { "defaultValue": false, "rules": [{ "force": true, "coverage": 0.1 }] },
    }));
    let kept: Vec<&str> = imported.set.flags.keys().map(FlagKey::as_str).collect();
    assert_eq!(kept, ["gated", "good"]);
    assert_eq!(imported.set.flags["gated"].prerequisites.len(), 1);
}

fn from_unleash(document: &Value) -> Imported {
    unleash(document.to_string().as_bytes(), "prod", "production").unwrap()
}

#[test]
fn an_export_of_unleash_keeps_strategies_and_buckets() {
    let document = json!({
        "features": [{ "name": "shop", "type": "operational", "description": "d" }],
        "featureEnvironments": [
            { "featureName": "shop", "environment": "production", "enabled": true },
            { "featureName": "shop", "environment": "development", "enabled": false },
        ],
        "featureStrategies": [
            { "featureName": "shop", "environment": "production", "name": "flexibleRollout", "sortOrder": 1,
              "parameters": { "rollout": "25", "stickiness": "userId", "groupId": "g" },
              "constraints": [{ "contextName": "plan", "operator": "NOT_IN", "values": ["free"] }] },
            { "featureName": "shop", "environment": "production", "name": "userWithId", "sortOrder": 2,
              "parameters": { "userIds": "ann, bob" } },
            { "featureName": "shop", "environment": "development", "name": "default" },
        ],
    });
    let imported = from_unleash(&document);
    let expected = json!({ "if": [
        { "in": [user(), ["ann", "bob"]] }, "on",
        { "and": [{ "!": [{ "===": [{ "var": "plan" }, "free"] }] }, user()] },
        { "serin_split": ["unleash", "g", user(), ["on", 25_000], ["off", 75_000]] },
        null,
    ] });
    assert_eq!(targeting(&imported.set, "shop"), expected);
    let flag = &imported.set.flags["shop"];
    assert_eq!((flag.kind, flag.bucketing), (Kind::Ops, Some(Method::Unleash)));
    assert_eq!(notes(&imported), Vec::<String>::new());
    let problems = unleash(document.to_string().as_bytes(), "prod", "prod").unwrap_err();
    assert!(problems[0].to_string().contains("did you mean `production`?"), "{problems:?}");
}

#[test]
fn a_feature_with_variants_is_two_flags() {
    let variant = |name: &str, weight: u32| {
        json!({
            "name": name, "weight": weight, "stickiness": "default",
            "payload": { "type": "number", "value": "7" },
        })
    };
    let imported = from_unleash(&json!({ "features": [
        { "name": "size", "enabled": true, "strategies": [{ "name": "default" }],
          "variants": [variant("s", 500), variant("m", 500)] },
        { "name": "child", "enabled": true, "strategies": [],
          "dependencies": [{ "feature": "size", "enabled": true }] },
    ] }));
    let keys: Vec<&str> = imported.set.flags.keys().map(FlagKey::as_str).collect();
    assert_eq!(keys, ["child", "size", "size.enabled"]);
    let size = &targeting(&imported.set, "size")["if"][1]["serin_split"];
    assert_eq!(
        (&size[0], &size[1], &size[3]),
        (&json!("unleash-variant"), &json!("size"), &json!(["s", 50_000]))
    );
    assert_eq!(imported.set.flags["child"].prerequisites[0].flag.as_str(), "size.enabled");
}

#[test]
fn unleash_leaves_out_what_would_answer_differently() {
    let feature = |name: &str, strategies: Value| {
        json!({
            "name": name, "enabled": true, "strategies": strategies,
        })
    };
    let rollout = |group: &str, sticky: &str| {
        json!({
            "name": "flexibleRollout",
            "parameters": { "rollout": "50", "stickiness": sticky, "groupId": group },
        })
    };
    let imported = from_unleash(&json!({ "features": [
        feature("groups", json!([rollout("a", "userId"), rollout("b", "userId")])),
        feature("random", json!([rollout("a", "random")])),
        feature("custom", json!([{ "name": "moonPhase" }])),
        feature("segment", json!([{ "name": "default", "segments": [7] }])),
        feature("good", json!([rollout("a", "userId"), { "name": "default",
            "constraints": [{ "contextName": "plan", "operator": "IN", "values": ["beta"] }] }])),
    ] }));
    let kept: Vec<&str> = imported.set.flags.keys().map(FlagKey::as_str).collect();
    assert_eq!((kept.as_slice(), imported.notes.len()), (&["good"][..], 4));
}

#[test]
fn documents_of_another_kind_are_refused_by_each() {
    for text in ["", "[]", "{}", "{\"features\": 1}", "{\"flags\": 1}", "\u{0}", "[[[[[["] {
        let text = text.as_bytes();
        assert!(flagd(text, "prod", Bucketing::V3).is_err());
        assert!(growthbook(text, "prod").is_err());
        assert!(launchdarkly(text, "prod", "e").is_err());
        assert!(unleash(text, "prod", "e").is_err());
    }
}
