//! Documents and contexts that nobody means well: nothing panics, recurses without bound or runs
//! for long.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use serin_flags::{Bucketing, Context, ContextError, ContextLimits, Datum, FlagSet, Limits};

const VERSIONS: [Bucketing; 2] = [Bucketing::V2, Bucketing::V3];

fn document(targeting: &Value) -> Value {
    json!({"flags": {"flag": {
        "state": "ENABLED",
        "variants": {"on": true, "off": false},
        "defaultVariant": "off",
        "targeting": targeting,
    }}})
}

/// The error's code, or the variant.
fn answer(targeting: &Value, context: &Value) -> String {
    let set = FlagSet::parse(document(targeting).to_string().as_bytes(), Bucketing::V3).unwrap();
    let context = Context::from_value(context).unwrap();
    match set.evaluate("flag", &context, 0) {
        Ok(found) => found.variant.unwrap_or("-").to_owned(),
        Err(error) => error.code.to_string(),
    }
}

fn problems(document: &str) -> Vec<String> {
    match FlagSet::parse(document.as_bytes(), Bucketing::V3) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_document_is_refused_whole_with_every_problem() {
    let text = r#"{"flags": {
        "good": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on"},
        "default": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "onn"},
        "mixed": {"state": "ENABLED", "variants": {"a": 1, "b": "x"}},
        "null": {"state": "ENABLED", "variants": {"a": null}},
        "state": {"state": "ENABELD", "variants": {}},
        "meta": {"state": "DISABLED", "metadata": {"deep": {"a": 1}}},
        "list": []
    }}"#;
    assert_eq!(
        problems(text),
        [
            "flags.default.defaultVariant: `onn` is no variant of this flag; allowed: on, null; did you mean `on`?",
            "flags.list: not an object; allowed: {\"flags\": {\"key\": {\"state\", \"variants\", \"defaultVariant\"}}}",
            "flags.meta.metadata.deep: nothing nested is allowed; allowed: a string, a number, true or false",
            "flags.mixed.variants.b: a string, while `a` is a number; allowed: one type for all variants",
            "flags.null.variants.a: null is no value of a variant; allowed: a boolean, string, number or object",
            "flags.state.state: `ENABELD` is no state; allowed: ENABLED, DISABLED; did you mean `ENABLED`?",
        ]
    );
}

#[test]
fn what_is_no_document_is_refused() {
    let cases = [
        ("", "document: not JSON: EOF while parsing a value at line 1 column 0"),
        ("{\"flags\": {}", "document: not JSON: EOF while parsing an object at line 1 column 12"),
        ("[]", "document: not a JSON object"),
        ("{}", "flags: missing, or not an object"),
        ("{\"flags\": 7}", "flags: missing, or not an object"),
        ("{\"flags\": {\"\": {}}}", "flags: a flag with an empty key"),
        ("{\"flags\": [{}]}", "flags[0]: a flag without key"),
        (
            "{\"flags\": [{\"key\": \"a\", \"state\": \"ENABLED\"}, {\"key\": \"a\"}]}",
            "flags[1].key: `a` is there twice; a key is unique in a set",
        ),
        ("{\"flags\": {}, \"metadata\": []}", "metadata: not an object"),
        ("{\"flags\": {}, \"$evaluators\": []}", "$evaluators: not an object"),
    ];
    for (text, start) in cases {
        let problems = problems(text);
        assert!(problems.len() == 1 && problems[0].starts_with(start), "{text}: {problems:?}");
    }
}

#[test]
fn evaluators_may_refer_to_each_other_but_not_to_themselves() {
    let text = r#"{"$evaluators": {
        "corp": {"ends_with": [{"var": "email"}, "@corp.com"]},
        "staff": {"or": [{"$ref": "corp"}, {"var": "staff"}]}
    }, "flags": {"flag": {"state": "ENABLED", "variants": {"on": true, "off": false},
        "defaultVariant": "off", "targeting": {"if": [{"$ref": "staff"}, "on", null]}}}}"#;
    let set = FlagSet::parse(text.as_bytes(), Bucketing::V3).unwrap();
    let context = Context::from_json(br#"{"email": "anna@corp.com"}"#).unwrap();
    assert_eq!(set.evaluate("flag", &context, 0).unwrap().variant, Some("on"));

    let cycle = r#"{"$evaluators": {"a": {"!": {"$ref": "b"}}, "b": {"and": [{"$ref": "a"}]}},
        "flags": {}}"#;
    let expected =
        "$evaluators.a: a reference to itself: a -> b -> a; allowed: references that end";
    assert_eq!(problems(cycle), [expected]);
}

/// Ten evaluators, each ten times the one before: 10^10 values if they were replaced.
#[test]
fn evaluators_cannot_multiply() {
    let mut evaluators = Map::new();
    evaluators.insert("e0".to_owned(), json!({"var": "x"}));
    for n in 1..=10 {
        let before = json!({"$ref": format!("e{}", n - 1)});
        evaluators.insert(format!("e{n}"), json!({"and": vec![before; 10]}));
    }
    let text = json!({"$evaluators": evaluators, "flags": {}}).to_string();
    let found = problems(&text);
    assert!(found.len() == 1 && found[0].contains("too large"), "{found:?}");
}

#[test]
fn chains_of_evaluators_cannot_go_deep() {
    let mut evaluators = Map::new();
    let deep = |inner: Value| (0..20).fold(inner, |inner, _| json!({"!": [inner]}));
    evaluators.insert("e000".to_owned(), json!(true));
    for n in 1..=400 {
        let before = json!({"$ref": format!("e{:03}", n - 1)});
        evaluators.insert(format!("e{n:03}"), deep(before));
    }
    let found = problems(&json!({"$evaluators": evaluators, "flags": {}}).to_string());
    assert!(found.len() == 1 && found[0].contains("too deep"), "{found:?}");
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    let brackets = |open: &str, inner: &str, close: &str| {
        format!("{}{inner}{}", open.repeat(100_000), close.repeat(100_000))
    };
    let rule = brackets("{\"!\":[", "1", "]}");
    let text =
        format!("{{\"flags\": {{\"f\": {{\"state\": \"ENABLED\", \"targeting\": {rule}}}}}}}");
    let found = problems(&text);
    assert!(found.len() == 1 && found[0].contains("recursion limit"), "{found:?}");

    let list = format!("{{\"a\": {}}}", brackets("[", "", "]"));
    assert!(matches!(Context::from_json(list.as_bytes()), Err(ContextError::NotJson(_))));
    let value = (0..120).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(Context::from_value(&json!({"a": value})), Err(ContextError::TooDeep));
}

#[test]
fn a_context_has_a_largest_size() {
    let five_megabytes = format!("{{\"targetingKey\": \"{}\"}}", "u".repeat(5 << 20));
    let found = Context::from_json(five_megabytes.as_bytes());
    assert!(matches!(found, Err(ContextError::TooLarge { allowed: 1_048_576, .. })));
    let limits = ContextLimits { bytes: 8 << 20 };
    assert!(Context::from_json_within(five_megabytes.as_bytes(), limits).is_ok());
    for text in ["[]", "7", "null", "", "{", "{\"a\": }"] {
        assert!(Context::from_json(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn the_last_value_of_a_name_holds() {
    let json = br#"{"a": 1, "b": {"c": 1, "d": 2, "c": 3}, "a": 2, "a": 3}"#;
    let context = Context::from_json(json).unwrap();
    assert_eq!(context.get("a"), Some(&Datum::Int(3)));
    assert_eq!(context.get("b").and_then(|b| b.field("c")), Some(&Datum::Int(3)));
    assert_eq!(context.len(), 2);
}

#[test]
fn limits_of_a_document_hold() {
    let text = document(&json!({"in": [{"var": "a"}, ["1", "2", "3", "4"]]})).to_string();
    let with = |limits: Limits| FlagSet::parse_within(text.as_bytes(), Bucketing::V3, &limits);
    assert!(with(Limits::default()).is_ok());
    for limits in [
        Limits { bytes: 10, ..Limits::default() },
        Limits { flags: 0, ..Limits::default() },
        Limits { nodes_per_flag: 3, ..Limits::default() },
        Limits { nodes: 3, ..Limits::default() },
    ] {
        assert_eq!(with(limits).unwrap_err().len(), 1, "{limits:?}");
    }
}

#[test]
fn no_expression_takes_long() {
    for pattern in ["(a+)+$", "(a|aa)+$", "(.*)*x", "(a{0,99}){0,9}b"] {
        let rule = json!({"if": [{"serin_regex": [{"var": "text"}, pattern, ""]}, "on", "off"]});
        let text = format!("{}!", "a".repeat(8_000));
        assert_eq!(answer(&rule, &json!({"text": text})), "off", "{pattern}");
    }
    for pattern in ["(", "a{1000}{1000}{1000}", &"(".repeat(10_000)] {
        let rule = json!({"serin_regex": [{"var": "text"}, pattern, ""]});
        assert_eq!(answer(&rule, &json!({})), "PARSE_ERROR");
    }
    let rule = json!({"if": [{"serin_regex": [{"var": "text"}, "a", ""]}, "on", "off"]});
    assert_eq!(answer(&rule, &json!({"text": "a".repeat(8_193)})), "off");
}

#[test]
fn what_is_wrong_with_a_rule_is_told_shortly() {
    let rule = json!({"serin_regex": [{"var": "text"}, "(".repeat(10_000), ""]});
    let set = FlagSet::parse(document(&rule).to_string().as_bytes(), Bucketing::V3).unwrap();
    let details = set.evaluate("flag", &Context::new(), 0).unwrap_err().details;
    assert!(details.starts_with("/serin_regex: the expression `(((") && details.len() == 303);
    assert_eq!(set.flags()[0].broken(), Some(details.as_str()));
}

#[test]
fn rules_that_multiply_are_stopped() {
    let items: Vec<u32> = (0..1_000).collect();
    let context = json!({"items": items, "text": "x".repeat(1_000), "targetingKey": "u"});
    let items = json!({"var": "items"});
    let acc = json!({"var": "accumulator"});
    let many = |value: Value| vec![value; 2_000];
    let cases = [
        json!({"reduce": [items, {"cat": [acc, acc]}, "x"]}),
        json!({"reduce": [items, {"merge": [acc, acc]}, [1]]}),
        json!({"map": [items, {"map": [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], {"var": ""}]}]}),
        json!({"merge": many(items.clone())}),
        json!({"cat": many(json!({"var": "text"}))}),
        json!({"cat": {"map": [items, "y".repeat(5_000)]}}),
        json!({"if": [{"==": [{"map": [items, "y".repeat(5_000)]}, "y"]}, "on"]}),
        json!({"fractional": [{"cat": [{"map": [items, "y".repeat(5_000)]}]}, ["on", 1]]}),
    ];
    for (at, rule) in cases.iter().enumerate() {
        assert_eq!(answer(rule, &context), "PARSE_ERROR", "case {at}");
    }
    // A list in a list without end, written as text.
    let nested = json!({"cat": {"reduce": [items, [acc], 1]}});
    assert_eq!(answer(&nested, &context), "GENERAL");
}

#[test]
fn not_every_one_of_very_many_problems_is_told() {
    let flags: Map<String, Value> = (0..2_000).map(|n| (n.to_string(), json!(7))).collect();
    let found = problems(&json!({"flags": flags}).to_string());
    assert_eq!(found.len(), 1_001);
    assert_eq!(found[1_000], "document: more problems than are told at once");
}

const OPERATORS: &[&str] = &[
    "var",
    "missing",
    "missing_some",
    "if",
    "?:",
    "==",
    "===",
    "!=",
    "!==",
    "<",
    "<=",
    ">",
    ">=",
    "!",
    "!!",
    "or",
    "and",
    "%",
    "/",
    "*",
    "+",
    "-",
    "max",
    "min",
    "merge",
    "cat",
    "substr",
    "reduce",
    "filter",
    "map",
    "all",
    "none",
    "some",
    "in",
    "fractional",
    "starts_with",
    "ends_with",
    "sem_ver",
    "log",
    "$ref",
    "serin_split",
    "serin_release",
    "serin_regex",
    "serin_cidr",
    "serin_date",
    "serin_text",
];

const WORDS: &[&str] = &[
    "",
    "on",
    "off",
    "targetingKey",
    "list",
    "map.a",
    "list.0",
    "list.length",
    "$flagd",
    "$flagd.timestamp",
    "current",
    "accumulator",
    "v2",
    "v3",
    "md5-100",
    "unleash",
    "1.2.3",
    "10.0.0.0/8",
    "2024-01-01T00:00:00Z",
    "(a+)+$",
    "i",
    "<",
    "==",
    "0x10",
    "ünï\u{1F426}code",
    "e",
    "e2",
];

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_map(|n| serde_json::Number::from_f64(n).map_or(json!(0.5), Value::Number)),
        prop::sample::select(WORDS).prop_map(Value::from),
        prop::sample::select(WORDS).prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ]
}

/// Anything that could stand in a rule, most of it senseless.
fn rule() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(6, 64, 5, |inner| {
        let arguments = prop::collection::vec(inner.clone(), 0..6);
        let operator = (prop::sample::select(OPERATORS), arguments.clone());
        prop_oneof![
            5 => operator.prop_map(|(op, arguments)| json!({op: arguments})),
            1 => (prop::sample::select(OPERATORS), inner.clone()).prop_map(|(op, v)| json!({op: v})),
            1 => arguments.prop_map(Value::from),
            1 => prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

fn context() -> impl Strategy<Value = Value> {
    let list = prop::collection::vec(scalar(), 0..5);
    (prop::option::of(scalar()), list, scalar(), prop::option::of(scalar())).prop_map(
        |(key, list, value, flagd)| {
            json!({"targetingKey": key, "list": list, "map": {"a": value}, "$flagd": flagd})
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// Every rule and context has an answer, and the same one each time.
    #[test]
    fn any_rule_has_one_answer(
        rule in rule(),
        shared in rule(),
        context in context(),
        user in "[a-z]{0,3}",
    ) {
        let mut text = document(&rule);
        text["$evaluators"] = json!({"e": shared, "e2": {"!": {"$ref": "e"}}});
        for version in VERSIONS {
            let Ok(set) = FlagSet::parse(text.to_string().as_bytes(), version) else { continue };
            let mut context = Context::from_value(&context).unwrap();
            if !user.is_empty() {
                context.set_targeting_key(user.as_str());
            }
            let first = set.evaluate("flag", &context, 1_700_000_000);
            prop_assert_eq!(&first, &set.evaluate("flag", &context, 1_700_000_000));
            let (traced, _) = set.evaluate_traced("flag", &context, 1_700_000_000);
            prop_assert_eq!(first, traced);
        }
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = FlagSet::parse(&bytes, Bucketing::V3);
        let _ = Context::from_json(&bytes);
    }

    /// One byte of a good document is changed, left out or doubled.
    #[test]
    fn no_slip_of_the_pen_breaks_the_reader(at: prop::sample::Index, byte: u8, how in 0..3) {
        let good = document(&json!({"if": [{"in": [{"var": "a"}, ["x", 1]]}, {"fractional":
            [{"cat": ["s", {"var": "targetingKey"}]}, ["on", 25_000], ["off", 75_000]]}, null]}));
        let mut bytes = good.to_string().into_bytes();
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, bytes[at]),
        }
        if let Ok(set) = FlagSet::parse(&bytes, Bucketing::V3) {
            for flag in set.flags() {
                let _ = set.evaluate_flag(flag, &Context::new(), 0);
            }
        }
    }

    /// What is read from text and what is taken from a value is the same context.
    #[test]
    fn contexts_are_read_alike(value in context()) {
        let text = value.to_string();
        let read = Context::from_json(text.as_bytes()).unwrap();
        prop_assert_eq!(read, Context::from_value(&value).unwrap());
    }

    /// An attribute is found however many there are, and the last value of a name holds.
    #[test]
    fn attributes_are_found(names in prop::collection::vec("[a-z]{1,12}", 0..60)) {
        let mut context = Context::new();
        for (at, name) in names.iter().enumerate() {
            context.set(name.as_str(), at as i64);
        }
        for name in &names {
            let last = names.iter().rposition(|other| other == name).map(|at| Datum::Int(at as i64));
            prop_assert_eq!(context.get(name), last.as_ref());
        }
        prop_assert_eq!(context.get("not there"), None);
    }
}
