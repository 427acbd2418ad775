//! Answers, step by step as flagd gives them.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use serin_flags::{Arm, Bucketing, Context, FlagSet};

const NOW: i64 = 1_800_000_000;

fn set(document: &Value) -> FlagSet {
    FlagSet::parse(document.to_string().as_bytes(), Bucketing::V3).unwrap()
}

/// `variant REASON`, `- REASON` without a value, or the error's code.
fn answer(set: &FlagSet, key: &str, context: &Value) -> String {
    let context = Context::from_value(context).unwrap();
    match set.evaluate(key, &context, NOW) {
        Ok(found) => {
            assert_eq!(found.value.is_some(), found.variant.is_some());
            format!("{} {}", found.variant.unwrap_or("-"), found.reason)
        }
        Err(error) => error.code.to_string(),
    }
}

fn flag(default: &Value, targeting: &Value) -> Value {
    json!({
        "state": "ENABLED",
        "variants": {"on": true, "off": false, "true": true, "1": true},
        "defaultVariant": default,
        "targeting": targeting,
    })
}

fn check(targeting: &Value, context: &Value, expected: &str) {
    let set = set(&json!({"flags": {"flag": flag(&json!("off"), targeting)}}));
    assert_eq!(answer(&set, "flag", context), expected, "{targeting} for {context}");
}

#[test]
fn what_has_no_rules_is_static() {
    for targeting in [json!(null), json!({})] {
        check(&targeting, &json!({}), "off STATIC");
        let set = set(&json!({"flags": {"flag": flag(&json!(null), &targeting)}}));
        assert_eq!(answer(&set, "flag", &json!({})), "- DEFAULT");
    }
}

#[test]
fn a_disabled_flag_is_a_success_without_value() {
    let mut off = flag(&json!("on"), &json!({"no such operator": []}));
    off["state"] = json!("DISABLED");
    let set = set(&json!({"flags": {"flag": off}}));
    assert_eq!(answer(&set, "flag", &json!({})), "- DISABLED");
    assert_eq!(answer(&set, "other", &json!({})), "FLAG_NOT_FOUND");
}

#[test]
fn a_rule_names_a_variant() {
    let cases = [
        (json!({"if": [true, "on", "off"]}), "on TARGETING_MATCH"),
        (json!({"if": [false, "on", null]}), "off DEFAULT"),
        (json!({"if": [false, "on"]}), "off DEFAULT"),
        (json!({"==": [1, 1]}), "true TARGETING_MATCH"),
        (json!({"+": [0.5, 0.5]}), "1 TARGETING_MATCH"),
        (json!({"cat": ["o", "n"]}), "on TARGETING_MATCH"),
        (json!({"if": [true, "neither"]}), "GENERAL"),
        (json!({"==": [1, 2]}), "GENERAL"),
        (json!({"unheard of": [1]}), "PARSE_ERROR"),
        (json!({"if": [true, "on", {"unheard of": [1]}]}), "PARSE_ERROR"),
        (json!({"$ref": "nobody"}), "PARSE_ERROR"),
        (json!({"<": [1]}), "PARSE_ERROR"),
    ];
    for (targeting, expected) in cases {
        check(&targeting, &json!({}), expected);
    }
}

#[test]
fn a_null_default_gives_the_code_its_say() {
    let targeting = json!({"if": [{"==": [{"var": "plan"}, "pro"]}, "on", null]});
    let set = set(&json!({"flags": {"flag": flag(&json!(null), &targeting)}}));
    assert_eq!(answer(&set, "flag", &json!({"plan": "free"})), "- DEFAULT");
    assert_eq!(answer(&set, "flag", &json!({"plan": "pro"})), "on TARGETING_MATCH");
}

/// A rule whose result is a condition's, as text.
fn holds(condition: &Value, context: &Value) -> String {
    let document = json!({"flags": {"flag": {
        "state": "ENABLED",
        "variants": {"true": true, "false": false, "null": false},
        "defaultVariant": "null",
        "targeting": condition,
    }}});
    let set = set(&document);
    let context = Context::from_value(context).unwrap();
    let found = set.evaluate("flag", &context, NOW).unwrap();
    found.variant.unwrap().to_owned()
}

#[test]
fn values_are_converted_as_in_javascript() {
    let context = json!({"n": 5, "s": "5", "list": ["a", 1], "empty": [], "o": {"p": {"q": 7}}});
    let cases = [
        (r#"{"==": [{"var": "n"}, {"var": "s"}]}"#, "true"),
        (r#"{"===": [{"var": "n"}, {"var": "s"}]}"#, "false"),
        (r#"{"!==": [{"var": "n"}, 5.0]}"#, "false"),
        (r#"{"==": [null, 0]}"#, "false"),
        (r#"{"==": [{"var": "nothing"}, null]}"#, "true"),
        (r#"{"==": ["", 0]}"#, "true"),
        (r#"{"==": [true, "1"]}"#, "true"),
        (r#"{"==": [[1], "1"]}"#, "true"),
        (r#"{"!=": [1, 2]}"#, "true"),
        (r#"{">": ["10", 9]}"#, "true"),
        (r#"{">": ["10", "9"]}"#, "false"),
        (r#"{"<": [1, 2, 3]}"#, "true"),
        (r#"{"<": [1, 3, 2]}"#, "false"),
        (r#"{"<=": [{"var": "nothing"}, 0]}"#, "true"),
        (r#"{">=": ["x", 1]}"#, "false"),
        (r#"{"<": ["0x10", 17]}"#, "true"),
        (r#"{"in": ["a", {"var": "list"}]}"#, "true"),
        (r#"{"in": ["1", {"var": "list"}]}"#, "false"),
        (r#"{"in": [1.0, ["x", 1]]}"#, "true"),
        (r#"{"in": ["5", ["x", 5]]}"#, "false"),
        (r#"{"in": [null, [null]]}"#, "true"),
        (r#"{"in": ["corp", "x@corp.com"]}"#, "true"),
        (r#"{"in": ["a", null]}"#, "false"),
        (r#"{"!": [[]]}"#, "true"),
        (r#"{"!": {"var": "empty"}}"#, "true"),
        (r#"{"!!": [{"var": "o"}]}"#, "true"),
        (r#"{"!!": ["0"]}"#, "true"),
        (r#"{"==": [{"var": "o.p.q"}, 7]}"#, "true"),
        (r#"{"==": [{"var": "list.1"}, 1]}"#, "true"),
        (r#"{"==": [{"var": ["nothing", 3]}, 3]}"#, "true"),
        (r#"{"==": [{"var": {"cat": ["o", ".p.q"]}}, 7]}"#, "true"),
        (r#"{"and": [1, true]}"#, "true"),
        (r#"{"or": [0, false]}"#, "false"),
        (r#"{"and": []}"#, "null"),
        (r#"{"==": [{"+": ["1", 2]}, 3]}"#, "true"),
        (r#"{"==": [{"-": [1, 3]}, -2]}"#, "true"),
        (r#"{"==": [{"-": [3]}, -3]}"#, "true"),
        (r#"{"==": [{"%": [-7, 3]}, -1]}"#, "true"),
        (r#"{"==": [{"max": [1, 3, 2]}, 3]}"#, "true"),
        (r#"{"==": [{"min": [1, 3, 2]}, 1]}"#, "true"),
        (r#"{"==": [{"/": [7, 2]}, 3.5]}"#, "true"),
        (r#"{"===": [{"cat": [1, " ", 2.50, true]}, "1 2.5true"]}"#, "true"),
        (r#"{"===": [{"substr": ["jsonlogic", -5, -2]}, "log"]}"#, "true"),
        (r#"{"===": [{"substr": ["jsonlogic", 4]}, "logic"]}"#, "true"),
        (r#"{"==": [{"missing": ["n", "x"]}, "x"]}"#, "true"),
        (r#"{"!": {"missing_some": [1, ["n", "x"]]}}"#, "true"),
        (r#"{"all": [{"var": "empty"}, true]}"#, "false"),
        (r#"{"none": [{"var": "empty"}, true]}"#, "true"),
        (r#"{"some": [{"var": "list"}, {"==": [{"var": ""}, "a"]}]}"#, "true"),
        (r#"{"==": [{"map": [[1, 2], {"*": [{"var": ""}, 2]}]}, "2,4"]}"#, "true"),
        (r#"{"==": [{"filter": [[1, 2, 3], {">": [{"var": ""}, 1]}]}, "2,3"]}"#, "true"),
        (
            r#"{"==": [{"reduce": [[1, 2, 3], {"+": [{"var": "current"}, {"var": "accumulator"}]}, 4]}, 10]}"#,
            "true",
        ),
        (r#"{"==": [{"merge": [[1], 2, [3]]}, "1,2,3"]}"#, "true"),
        (r#"{"<": [{"var": "$flagd.timestamp"}, 1800000001]}"#, "true"),
        (r#"{"===": [{"var": "$flagd.flagKey"}, "flag"]}"#, "true"),
    ];
    for (condition, expected) in cases {
        let rule = serde_json::from_str(condition).unwrap();
        assert_eq!(holds(&rule, &context), expected, "{condition}");
    }
}

#[test]
fn flagds_operators_are_null_for_what_they_cannot_take() {
    let cases = [
        (r#"{"starts_with": ["abc", "ab"]}"#, "true"),
        (r#"{"ends_with": ["abc", "ab"]}"#, "false"),
        (r#"{"ends_with": ["abc", 1]}"#, "null"),
        (r#"{"starts_with": ["abc"]}"#, "null"),
        (r#"{"sem_ver": ["1.2.3", "=", "1.2.3+build"]}"#, "true"),
        (r#"{"sem_ver": ["v1.2", "<", "1.10"]}"#, "true"),
        (r#"{"sem_ver": ["2.0.0-rc.1", "<", "2.0.0"]}"#, "true"),
        (r#"{"sem_ver": ["2.0.0-rc.2", "<", "2.0.0-rc.10"]}"#, "true"),
        (r#"{"sem_ver": ["2.0.0-rc", ">", "2.0.0-9"]}"#, "true"),
        (r#"{"sem_ver": ["3.4.5", "^", "3.0.0"]}"#, "true"),
        (r#"{"sem_ver": ["3.4.5", "~", "3.0.0"]}"#, "false"),
        (r#"{"sem_ver": [3, ">=", 2.5]}"#, "true"),
        (r#"{"sem_ver": ["myVersion_1", "=", "1.0.0"]}"#, "null"),
        (r#"{"sem_ver": ["1.0.0.0", "=", "1.0.0"]}"#, "null"),
        (r#"{"sem_ver": ["01.0.0", "=", "1.0.0"]}"#, "null"),
        (r#"{"sem_ver": ["1.0.0", "<>", "1.0.0"]}"#, "null"),
        (r#"{"sem_ver": ["1.0.0", "="]}"#, "null"),
    ];
    for (condition, expected) in cases {
        let rule = serde_json::from_str(condition).unwrap();
        assert_eq!(holds(&rule, &json!({})), expected, "{condition}");
    }
}

#[test]
fn serins_own_tests_are_false_for_what_they_cannot_take() {
    let context = json!({
        "email": "Anna@Corp.com", "ip": "10.1.2.3", "six": "2001:db8::1", "mapped": "::ffff:10.1.2.3",
        "born": "2024-02-29T12:00:00+02:00", "seconds": 100, "n": 7
    });
    let cases = [
        (r#"{"serin_regex": [{"var": "email"}, "^[a-z]+@corp\\.com$", "i"]}"#, "true"),
        (r#"{"serin_regex": [{"var": "email"}, "^[a-z]+@corp\\.com$", ""]}"#, "false"),
        (r#"{"serin_regex": [{"var": "n"}, ".*", ""]}"#, "false"),
        (r#"{"serin_cidr": [{"var": "ip"}, "192.168.0.0/16", "10.0.0.0/8"]}"#, "true"),
        (r#"{"serin_cidr": [{"var": "mapped"}, "10.1.2.3"]}"#, "true"),
        (r#"{"serin_cidr": [{"var": "ip"}, "10.1.2.2/31"]}"#, "true"),
        (r#"{"serin_cidr": [{"var": "ip"}, "10.1.2.4/31"]}"#, "false"),
        (r#"{"serin_cidr": [{"var": "six"}, "2001:db8::/32"]}"#, "true"),
        (r#"{"serin_cidr": [{"var": "six"}, "0.0.0.0/0"]}"#, "false"),
        (r#"{"serin_cidr": [{"var": "email"}, "0.0.0.0/0"]}"#, "false"),
        (r#"{"serin_date": [{"var": "born"}, ">=", 1709200800]}"#, "true"),
        (r#"{"serin_date": [{"var": "born"}, ">", 1709200800]}"#, "false"),
        (r#"{"serin_date": [{"var": "seconds"}, "<", 101]}"#, "true"),
        (r#"{"serin_date": [{"var": "email"}, "<", 101]}"#, "false"),
        (r#"{"serin_date": [{"var": "nothing"}, "<", 101]}"#, "false"),
        (r#"{"serin_text": [{"var": "email"}, "==", "ANNA@corp.COM"]}"#, "true"),
        (r#"{"serin_text": [{"var": "email"}, "ends", "@corp.com"]}"#, "true"),
        (r#"{"serin_text": [{"var": "email"}, "starts", "anna@"]}"#, "true"),
        (r#"{"serin_text": [{"var": "email"}, "contains", "A@C"]}"#, "true"),
        (r#"{"serin_text": [{"var": "email"}, "starts", "anna@corp.com.au"]}"#, "false"),
        (r#"{"serin_text": [{"var": "n"}, "==", "7"]}"#, "false"),
    ];
    for (condition, expected) in cases {
        let rule = serde_json::from_str(condition).unwrap();
        assert_eq!(holds(&rule, &context), expected, "{condition}");
    }
}

#[test]
fn a_release_says_which_side_someone_is_on() {
    let rule = json!({"serin_release":
        ["v3", {"var": "targetingKey"}, 50_000, "flag.exposure", 50_000, "flag.arm", "on", "off"]});
    let set = set(&json!({"flags": {"flag": flag(&json!("off"), &rule)}}));
    let mut seen = std::collections::BTreeMap::new();
    for user in 0..1000 {
        let mut context = Context::new();
        context.set_targeting_key(format!("user-{user}"));
        let found = set.evaluate("flag", &context, NOW).unwrap();
        let expected = if found.arm == Some(Arm::Treatment) { "on" } else { "off" };
        assert_eq!(found.variant, Some(expected));
        *seen.entry(found.arm).or_insert(0) += 1;
    }
    for (arm, about) in [(None, 500), (Some(Arm::Treatment), 250), (Some(Arm::Control), 250)] {
        assert!(seen[&arm] > about - 60 && seen[&arm] < about + 60, "{seen:?}");
    }
    assert_eq!(answer(&set, "flag", &json!({})), "off DEFAULT");
}

#[test]
fn a_split_goes_by_the_method_it_names() {
    // new_checkout:user-123 is in bucket 67064 of v2, 66518 of v3, 5 (of 100) of md5-100,
    // 1 (of 100) of Unleash's and 918 (of 1000) of its variants.
    let cases = [
        ("v2", 67_064, "off"),
        ("v2", 67_065, "on"),
        ("v3", 66_518, "off"),
        ("v3", 66_519, "on"),
        ("md5-100", 5_000, "off"),
        ("md5-100", 6_000, "on"),
        ("unleash", 1_000, "off"),
        ("unleash", 2_000, "on"),
        ("unleash-variant", 91_800, "off"),
        ("unleash-variant", 91_900, "on"),
    ];
    for (method, share, expected) in cases {
        let parts = [json!(["on", share]), json!(["off", 100_000 - share])];
        let rule = json!({"serin_split":
            [method, "new_checkout", {"var": "user"}, parts[0], parts[1]]});
        let expected = format!("{expected} TARGETING_MATCH");
        check(&rule, &json!({"user": "user-123"}), &expected);
        for nobody in [json!(null), json!(""), json!(["user-123"]), json!({"a": 1})] {
            check(&rule, &json!({"user": nobody}), "off DEFAULT");
        }
    }
    // A number is the unit that its text is.
    let rule = json!({"serin_split": ["v3", "s", {"var": "n"}, ["on", 41_477], ["off", 58_523]]});
    for n in [json!(42), json!(42.0), json!("42")] {
        check(&rule, &json!({"n": n}), "on TARGETING_MATCH");
    }
    for wrong in [
        json!({"serin_split": ["v4", "s", "u", ["on", 1]]}),
        json!({"serin_split": ["v3", "s", "u", ["on", 100_001]]}),
        json!({"serin_split": ["v3", "s", "u", ["on", 0.5]]}),
        json!({"serin_split": ["v3", "s", "u"]}),
        json!({"serin_split": ["v3", 7, "u", ["on", 1]]}),
    ] {
        check(&wrong, &json!({}), "PARSE_ERROR");
    }
}

/// Version 2 hashes text alone; version 3 anything but a list and nothing.
#[test]
fn a_fraction_is_of_whatever_is_named() {
    let rule = json!({"fractional": [{"var": "by"}, ["on", 1]]});
    let document = json!({"flags": {"flag": flag(&json!("off"), &rule)}});
    let (drawn, not) = ("on TARGETING_MATCH", "off DEFAULT");
    let cases = [
        (json!("text"), drawn, drawn),
        (json!(7), not, drawn),
        (json!(true), not, drawn),
        (json!({"a": 1}), not, drawn),
        (json!([1]), not, not),
        // Nothing is as if no key had been named, in version 2.
        (json!(null), drawn, not),
    ];
    for (by, two, three) in cases {
        let context = json!({"by": by, "targetingKey": "u"});
        let text = document.to_string();
        for (bucketing, expected) in [(Bucketing::V2, two), (Bucketing::V3, three)] {
            let set = FlagSet::parse(text.as_bytes(), bucketing).unwrap();
            assert_eq!(answer(&set, "flag", &context), expected, "{by} in {bucketing:?}");
        }
    }
}

/// What flagd-core 4.0.1 for JavaScript (version 2) and 2.0.0 for Python (version 3) answer.
#[test]
fn everybody_is_where_flagds_own_evaluators_put_them() {
    let users = [
        "u1",
        "u2",
        "u3",
        "user-123",
        "4b3c1f0e-58a1-4d0c-9c58-0f4c6a0f4e11",
        "anna@example.com",
        "a",
        "b",
        "c",
        "d",
        "1",
        "1000",
    ];
    let cases = [
        (json!(null), "yygbgygyrgyb", "yygbyybybyyy"),
        (json!({"cat": ["salt", {"var": "targetingKey"}]}), "ygyrbyyyyygy", "gbggybgybgyg"),
        (json!({"var": "email"}), "gyggygyygryg", "yyybgrbygryb"),
    ];
    for (key, two, three) in cases {
        let mut arguments =
            vec![json!(["r", 7]), json!(["b", 13]), json!(["g", 30]), json!(["y", 50])];
        if !key.is_null() {
            arguments.insert(0, key.clone());
        }
        let name = match &key {
            Value::Null => "implicit",
            key if key.get("cat").is_some() => "salted",
            _ => "attribute",
        };
        let flag = json!({
            "state": "ENABLED",
            "variants": {"r": 1, "b": 2, "g": 3, "y": 4},
            "targeting": {"fractional": arguments},
        });
        let text = json!({"flags": {name: flag}}).to_string();
        for (bucketing, expected) in [(Bucketing::V2, two), (Bucketing::V3, three)] {
            let set = FlagSet::parse(text.as_bytes(), bucketing).unwrap();
            let parts = users.map(|user| {
                let context = json!({"targetingKey": user, "email": format!("{user}@x.org")});
                answer(&set, name, &context).chars().next().unwrap()
            });
            assert_eq!(String::from_iter(parts), expected, "{key} in {bucketing:?}");
        }
    }
}

#[test]
fn weights_that_cannot_be_used_give_nothing() {
    let cases = [
        (json!([["on", 0]]), "off DEFAULT"),
        (json!([["on", -5]]), "off DEFAULT"),
        (json!([["on", 0.5]]), "off DEFAULT"),
        (json!([["on", "1"]]), "off DEFAULT"),
        (json!([["on", 2_147_483_647], ["off", 1]]), "off DEFAULT"),
        (json!([["on", 2_147_483_648_u32]]), "off DEFAULT"),
        (json!([["on", 1, 2]]), "off DEFAULT"),
        (json!([["on", 1], "off"]), "off DEFAULT"),
        (json!([[]]), "off DEFAULT"),
        (json!([["on", 2_147_483_647]]), "on TARGETING_MATCH"),
        (json!([["on", 5.0], ["off", -1]]), "on TARGETING_MATCH"),
        (json!([["on"]]), "on TARGETING_MATCH"),
        (json!([["on", {"var": "weight"}]]), "on TARGETING_MATCH"),
        (json!([["on", {"var": "nothing"}]]), "off DEFAULT"),
        (json!([[null, 1]]), "off DEFAULT"),
        (json!([[{"if": [true, "on"]}, 1]]), "on TARGETING_MATCH"),
    ];
    for (parts, expected) in cases {
        let context = json!({"targetingKey": "u", "weight": 3});
        check(&json!({"fractional": parts}), &context, expected);
    }
}

#[test]
fn a_flag_says_its_own_type_without_losing_anything() {
    let document = br#"{"flags": {
        "int": {"state": "ENABLED", "variants": {"a": 7}, "defaultVariant": "a"},
        "float": {"state": "ENABLED", "variants": {"a": 7.0}, "defaultVariant": "a"},
        "half": {"state": "ENABLED", "variants": {"a": 7.5}, "defaultVariant": "a"},
        "large": {"state": "ENABLED", "variants": {"a": 9007199254740993}, "defaultVariant": "a"},
        "text": {"state": "ENABLED", "variants": {"a": "7"}, "defaultVariant": "a"}
    }}"#;
    let set = FlagSet::parse(document, Bucketing::V3).unwrap();
    let found = |key| set.evaluate(key, &Context::new(), NOW).unwrap();
    assert_eq!(found("int").value.unwrap().json(), "7");
    assert_eq!(found("float").value.unwrap().json(), "7.0");
    assert_eq!(found("int").integer(), Ok(Some(7)));
    assert_eq!(found("float").integer(), Ok(Some(7)));
    assert_eq!(found("int").float(), Ok(Some(7.0)));
    assert_eq!(found("large").integer(), Ok(Some(9_007_199_254_740_993)));
    for wrong in [found("half").integer().map(drop), found("large").float().map(drop)] {
        assert_eq!(wrong.unwrap_err().code.as_str(), "TYPE_MISMATCH");
    }
    assert!(found("text").integer().is_err() && found("int").string().is_err());
    assert!(found("text").boolean().is_err() && found("text").object().is_err());
}

#[test]
fn metadata_of_the_flag_covers_that_of_the_set() {
    let mut flag = flag(&json!("on"), &json!(null));
    flag["metadata"] = json!({"owner": "shop", "version": 2});
    let set = set(&json!({"flags": {"flag": flag}, "metadata": {"version": "r1", "id": "prod"}}));
    let found = set.evaluate("flag", &Context::new(), NOW).unwrap();
    let metadata = serde_json::to_value(found.metadata).unwrap();
    assert_eq!(metadata, json!({"id": "prod", "owner": "shop", "version": 2}));
}

#[test]
fn a_client_cannot_say_what_time_it_is() {
    let rule = json!({"if": [{"<": [{"var": "$flagd.timestamp"}, 5]}, "on", "off"]});
    let context = json!({"$flagd": {"timestamp": 1}});
    check(&rule, &context, "off TARGETING_MATCH");
    let dynamic =
        json!({"if": [{"<": [{"var": {"cat": ["$flagd", ".timestamp"]}}, 5]}, "on", "off"]});
    check(&dynamic, &context, "off TARGETING_MATCH");
}

#[test]
fn a_set_may_demand_to_know_the_user() {
    let set = set(&json!({"flags": {"flag": flag(&json!("on"), &json!(null))}}));
    let set = set.requiring_targeting_key(true);
    assert_eq!(answer(&set, "flag", &json!({})), "TARGETING_KEY_MISSING");
    assert_eq!(answer(&set, "flag", &json!({"targetingKey": ""})), "TARGETING_KEY_MISSING");
    assert_eq!(answer(&set, "flag", &json!({"targetingKey": "u"})), "on STATIC");
}
