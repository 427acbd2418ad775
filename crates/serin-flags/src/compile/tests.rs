use crate::{
    Anonymous, Clause, Definition, Form, Killed, Kind, Method, Operator, Prerequisite, Release,
    Rule, Scalar, Segment, Serve, SetDefinition, Share, State, Target, Timestamp, compile,
    compile_flag, not_portable,
};
use serde_json::{Value, json};

fn flag() -> Definition {
    Definition::boolean(Kind::Release, "payments")
}

fn set(flags: &[(&str, Definition)]) -> SetDefinition {
    let mut set = SetDefinition::new("prod");
    set.flags = flags.iter().map(|(key, flag)| (key.parse().unwrap(), flag.clone())).collect();
    set
}

fn percentage(on: u32) -> Rule {
    let share = |variant: &str, weight| Share { variant: variant.to_owned(), weight };
    let shares = vec![share("on", on), share("off", 100_000 - on)];
    let serve = Serve::Split { shares, by: None, salt: None };
    Rule { name: String::new(), segments: Vec::new(), clauses: Vec::new(), serve }
}

fn clause(attribute: &str, operator: Operator, value: Scalar) -> Clause {
    let attribute = attribute.to_owned();
    Clause { attribute, operator, values: vec![value], inverted: false, ignore_case: false }
}

fn targeting(set: &SetDefinition, key: &str, form: Form) -> Value {
    let document = compile(set, form).unwrap().document;
    document["flags"][key]["targeting"].clone()
}

fn portable(flag: Definition) -> Value {
    targeting(&set(&[("shop", flag)]), "shop", Form::Portable)
}

#[test]
fn a_document_has_the_frame_of_flagd() {
    let expires_at = Some(Timestamp(1_801_353_600));
    let document = compile(&set(&[("shop", Definition { expires_at, ..flag() })]), Form::Portable);
    let expected = json!({
        "$schema": "https://flagd.dev/schema/v0/flags.json",
        "metadata": { "flagSetId": "prod" },
        "flags": { "shop": {
            "state": "ENABLED",
            "variants": { "on": true, "off": false },
            "defaultVariant": "off",
            "metadata": { "owner": "payments", "type": "release", "expiresAt": "2027-01-31T00:00:00Z" },
        } },
    });
    assert_eq!(document.unwrap().document, expected);
}

#[test]
fn users_come_before_percentages_and_every_salt_is_literal() {
    let users = vec!["u1".to_owned(), "u2".to_owned()];
    let targets = vec![Target { name: "beta".into(), variant: "on".into(), users }];
    let found = portable(Definition { targets, rules: vec![percentage(5_000)], ..flag() });
    let expected = json!({ "if": [
        { "in": [{ "var": "targetingKey" }, ["u1", "u2"]] }, "on",
        { "var": "targetingKey" },
        { "fractional": [{ "cat": ["shop:", { "var": "targetingKey" }] }, ["on", 5_000], ["off", 95_000]] },
        null,
    ] });
    assert_eq!(found, expected);
}

#[test]
fn an_expired_flag_gives_its_default() {
    let expires_at = Some(Timestamp(1_801_353_600));
    let found = portable(Definition { expires_at, rules: vec![percentage(100_000)], ..flag() });
    let expected =
        json!({ "if": [{ "<": [{ "var": "$flagd.timestamp" }, 1_801_353_600] }, "on", null] });
    assert_eq!(found, expected);
}

#[test]
fn a_killed_flag_is_its_off_variant_whatever_is_written() {
    let killed = Some(Killed { by: "ann".into(), at: Timestamp(1), reason: "fire".into() });
    let broken = Definition {
        killed,
        rules: vec![percentage(100_000)],
        default_variant: Some("on".into()),
        state: State::Disabled,
        ..flag()
    };
    for form in [Form::Server, Form::Portable] {
        let document = compile(&set(&[("shop", broken.clone())]), form).unwrap().document;
        let found = &document["flags"]["shop"];
        assert_eq!(found["state"], "ENABLED");
        assert_eq!(found["defaultVariant"], "off");
        assert_eq!(found["targeting"], Value::Null);
    }
}

#[test]
fn a_release_is_two_hashes_with_the_treated_first() {
    let release = Some(Release::new("shop.1", "on", "off").at(2_500));
    let flag = Definition { release, ..flag() };
    let set = set(&[("shop", flag)]);
    let unit = json!({ "var": "targetingKey" });
    let portable = json!({ "if": [unit, { "fractional": [
        { "cat": ["shop.1.exposure:", unit] },
        [{ "fractional": [{ "cat": ["shop.1.arm:", unit] }, ["on", 50_000], ["off", 50_000]] }, 5_000],
        ["off", 95_000],
    ] }, null] });
    assert_eq!(targeting(&set, "shop", Form::Portable), portable);
    let server = json!({ "if": [unit, { "serin_release": [
        "v3", unit, 5_000, "shop.1.exposure", 50_000, "shop.1.arm", "on", "off",
    ] }, null] });
    assert_eq!(targeting(&set, "shop", Form::Server), server);
}

#[test]
fn a_prerequisite_is_inlined_and_never_counts_for_the_other_flag() {
    let release = Some(Release::new("base.1", "on", "off").at(50_000));
    let base = Definition { release, ..flag() };
    let needs = Prerequisite { flag: "base".parse().unwrap(), variants: vec!["on".into()] };
    let default_variant = Some("on".to_owned());
    let child = Definition { prerequisites: vec![needs], default_variant, ..flag() };
    let set = set(&[("base", base), ("child", child)]);
    let unit = json!({ "var": "targetingKey" });
    let parent = json!({ "if": [unit, {
        "fractional": [{ "cat": ["base.1.arm:", unit] }, ["on", 50_000], ["off", 50_000]]
    }, "off"] });
    let expected = json!({ "if": [{ "!": [{ "==": [parent, "on"] }] }, "off", null] });
    assert_eq!(targeting(&set, "child", Form::Server), expected);
    assert_eq!(targeting(&set, "child", Form::Portable), expected);
}

#[test]
fn a_prerequisite_that_is_decided_is_a_constant() {
    let needs = || Prerequisite { flag: "base".parse().unwrap(), variants: vec!["on".into()] };
    let child =
        || Definition { prerequisites: vec![needs()], rules: vec![percentage(100_000)], ..flag() };
    let on = Some("on".to_owned());
    let cases = [
        (Definition { state: State::Disabled, default_variant: on.clone(), ..flag() }, "off"),
        (Definition { state: State::Off, default_variant: on.clone(), ..flag() }, "off"),
        (Definition { default_variant: None, ..flag() }, "off"),
        (Definition { default_variant: on, ..flag() }, "on"),
    ];
    for (base, expected) in cases {
        let set = set(&[("base", base), ("child", child())]);
        let child = &compile(&set, Form::Server).unwrap().document["flags"]["child"];
        assert_eq!(
            (&child["defaultVariant"], &child["targeting"]),
            (&json!(expected), &Value::Null)
        );
    }
}

#[test]
fn what_only_serin_can_evaluate_is_left_out_with_the_reason() {
    let ruled = |clause: Clause| Definition {
        rules: vec![Rule { clauses: vec![clause], ..percentage(100_000) }],
        ..flag()
    };
    let bucketed = |bucketing| Definition { bucketing, rules: vec![percentage(5_000)], ..flag() };
    let needs = Prerequisite { flag: "regex".parse().unwrap(), variants: vec!["on".into()] };
    let set = set(&[
        ("regex", ruled(clause("email", Operator::Matches, "^a".into()))),
        ("cidr", ruled(clause("ip", Operator::InNetwork, "10.0.0.0/8".into()))),
        ("date", ruled(clause("born", Operator::Before, "2000-01-01".into()))),
        (
            "case",
            ruled(Clause { ignore_case: true, ..clause("plan", Operator::Equals, "x".into()) }),
        ),
        ("md5", bucketed(Some(Method::Md5_100))),
        ("old", bucketed(Some(Method::V2))),
        ("same", bucketed(Some(Method::V3))),
        ("now", ruled(clause("$now", Operator::After, "2027-01-01".into()))),
        ("child", Definition { prerequisites: vec![needs], ..flag() }),
    ]);
    let compiled = compile(&set, Form::Portable).unwrap();
    let left: Vec<_> =
        compiled.left_out.iter().map(|l| (l.flag.as_str(), l.reason.as_str())).collect();
    let expected = [
        ("case", "it compares text without regard to case"),
        ("child", "it uses a regular expression"),
        ("cidr", "it compares network addresses"),
        ("date", "it compares an attribute with a time"),
        ("md5", "its bucketing is not the one of its set"),
        ("old", "its bucketing is not the one of its set"),
        ("regex", "it uses a regular expression"),
    ];
    assert_eq!(left, expected);
    for key in set.flags.keys() {
        let reason = expected.iter().find(|(name, _)| *name == key.as_str());
        let reason = reason.map(|(_, reason)| (*reason).to_owned());
        assert_eq!(not_portable(&set, key), reason, "{key}: one alone as in its set");
    }
    let kept: Vec<_> = compiled.document["flags"].as_object().unwrap().keys().collect();
    assert_eq!(kept, ["now", "same"]);
    let server = compile(&set, Form::Server).unwrap();
    assert_eq!(server.left_out, []);
    let split = &server.document["flags"]["md5"]["targeting"]["if"][1];
    let unit = json!({ "var": "targetingKey" });
    assert_eq!(
        *split,
        json!({ "serin_split": ["md5-100", "md5", unit, ["on", 5_000], ["off", 95_000]] })
    );
}

#[test]
fn anonymous_users_are_bucketed_by_what_stands_in() {
    let anonymous = Anonymous::Attribute("sessionId".into());
    let found = portable(Definition { anonymous, rules: vec![percentage(5_000)], ..flag() });
    let session = json!({ "and": [
        { "!==": [{ "var": "sessionId" }, null] }, { "!==": [{ "var": "sessionId" }, ""] },
    ] });
    assert_eq!(found["if"][0], json!({ "or": [{ "var": "targetingKey" }, session] }));
    let unit = json!({ "if": [
        { "var": "targetingKey" }, { "var": "targetingKey" }, { "var": "sessionId" },
    ] });
    assert_eq!(found["if"][1]["fractional"][0], json!({ "cat": ["shop:", unit] }));
}

#[test]
fn segments_are_inlined_with_those_they_name() {
    let staff = clause("email", Operator::EndsWith, "@example.com".into());
    let mut set = set(&[(
        "shop",
        Definition {
            rules: vec![Rule { segments: vec!["early".into()], ..percentage(100_000) }],
            ..flag()
        },
    )]);
    let segment = Segment { any: vec![vec![staff]], ..Segment::default() };
    set.segments.insert("staff".into(), segment);
    let early = Segment {
        users: vec!["u1".into()],
        excluded: vec!["u9".into()],
        segments: vec!["staff".into()],
        ..Segment::default()
    };
    set.segments.insert("early".into(), early);
    let user = json!({ "var": "targetingKey" });
    let expected = json!({ "if": [
        { "and": [
            { "!": [{ "in": [user, ["u9"]] }] },
            { "or": [
                { "in": [user, ["u1"]] },
                { "ends_with": [{ "var": "email" }, "@example.com"] },
            ] },
        ] },
        "on",
        null,
    ] });
    assert_eq!(targeting(&set, "shop", Form::Portable), expected);
}

#[test]
fn a_missing_number_is_not_zero() {
    let rule = |operator, value: i32| {
        let clause = clause("age", operator, Scalar::Number(value.into()));
        portable(Definition {
            rules: vec![Rule { clauses: vec![clause], ..percentage(100_000) }],
            ..flag()
        })
    };
    let plain = json!({ ">=": [{ "var": "age" }, 18] });
    assert_eq!(rule(Operator::AtLeast, 18)["if"][0], plain);
    let asked = &rule(Operator::LessThan, 18)["if"][0]["and"];
    assert_eq!(asked[1], json!({ "<": [{ "var": "age" }, 18] }));
}

#[test]
fn raw_targeting_is_kept_and_refused_where_it_would_hash_another_key() {
    let shorthand = json!({ "fractional": [["on", 1], ["off", 1]] });
    let base = Definition { raw: Some(shorthand.clone()), ..flag() };
    assert_eq!(portable(base.clone()), shorthand);
    let needs = Prerequisite { flag: "base".parse().unwrap(), variants: vec!["on".into()] };
    let child = Definition { prerequisites: vec![needs], ..flag() };
    let problems = compile(&set(&[("base", base), ("child", child)]), Form::Portable).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "flags.child: a prerequisite's raw targeting uses the flag's own key as salt; \
         allowed: a literal salt in its `fractional`"
    );
}

#[test]
fn references_that_multiply_are_refused_and_not_written() {
    let mut set = SetDefinition::new("prod");
    let names = |level: usize| (0..40).map(|at| format!("s{level}-{at}")).collect::<Vec<_>>();
    for level in 0..8 {
        for name in names(level) {
            let below = if level == 0 { Vec::new() } else { names(level - 1) };
            let users = vec!["u".to_owned()];
            set.segments.insert(name, Segment { users, segments: below, ..Segment::default() });
        }
    }
    let rules = vec![Rule { segments: names(7), ..percentage(100_000) }];
    set.flags.insert("shop".parse().unwrap(), Definition { rules, ..flag() });
    let problems = compile(&set, Form::Portable).unwrap_err();
    assert!(problems[0].what.contains("too large"), "{problems:?}");
}

#[test]
fn an_archived_flag_is_not_served_and_one_flag_compiles_alone() {
    let archived_at = Some(Timestamp(1));
    let set = set(&[("old", Definition { archived_at, ..flag() }), ("shop", flag())]);
    let whole = compile(&set, Form::Server).unwrap().document;
    assert_eq!(whole["flags"]["old"], Value::Null);
    let one = |key: &str| compile_flag(&set, &key.parse().unwrap(), Form::Server);
    assert_eq!(one("old"), Ok(None));
    assert_eq!(one("shop"), Ok(Some(whole["flags"]["shop"].clone())));
    assert!(one("shoppe").unwrap_err()[0].to_string().contains("did you mean `shop`?"));
}
