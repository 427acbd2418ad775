use super::{features, not_representable};
use crate::{
    Clause, Definition, Kind, Method, Operator, Prerequisite, Release, Rule, Segment, Serve,
    SetDefinition, Share, State, Target, Timestamp, Variant, Variants, WHOLE,
};
use serde_json::{Value, json};

fn flag() -> Definition {
    let bucketing = Some(Method::Unleash);
    Definition { bucketing, ..Definition::boolean(Kind::Release, "payments") }
}

fn clause(attribute: &str, operator: Operator, values: &[&str]) -> Clause {
    let values = values.iter().map(|value| (*value).into()).collect();
    let attribute = attribute.to_owned();
    Clause { attribute, operator, values, inverted: false, ignore_case: false }
}

fn rule(clauses: Vec<Clause>, serve: Serve) -> Rule {
    Rule { name: String::new(), segments: Vec::new(), clauses, serve }
}

fn one(variant: &str) -> Serve {
    Serve::Variant(variant.to_owned())
}

fn split(shares: &[(&str, u32)]) -> Serve {
    let share =
        |(variant, weight): &(&str, u32)| Share { variant: (*variant).to_owned(), weight: *weight };
    Serve::Split { shares: shares.iter().map(share).collect(), by: None, salt: None }
}

fn percentage(percent: u32) -> Serve {
    split(&[("on", percent * 1_000), ("off", WHOLE - percent * 1_000)])
}

fn set(flags: &[(&str, Definition)]) -> SetDefinition {
    let mut set = SetDefinition::new("prod");
    set.flags = flags.iter().map(|(key, flag)| (key.parse().unwrap(), flag.clone())).collect();
    set
}

/// The only feature, or why there is none.
fn exported(flag: Definition) -> Result<Value, String> {
    let whole = set(&[("shop", flag)]);
    let exported = features(&whole).unwrap();
    let alone = not_representable(&whole, &"shop".parse().unwrap());
    assert_eq!(alone.as_ref(), exported.left_out.first().map(|left| &left.reason));
    match exported.left_out.first() {
        Some(left) => Err(left.reason.clone()),
        None => Ok(exported.document["features"][0].clone()),
    }
}

/// Each strategy as `name rollout [constraint, ...]`.
fn strategies(flag: Definition) -> Vec<String> {
    let feature = exported(flag).unwrap();
    assert_eq!(feature["enabled"], !feature["strategies"].as_array().unwrap().is_empty());
    let constraint = |c: &Value| {
        let not = if c["inverted"] == true { "!" } else { "" };
        let value = if c["value"].is_null() { &c["values"] } else { &c["value"] };
        format!(
            "{not}{} {} {value}",
            c["contextName"].as_str().unwrap(),
            c["operator"].as_str().unwrap()
        )
    };
    let strategy = |s: &Value| {
        let all: Vec<String> =
            s["constraints"].as_array().unwrap().iter().map(constraint).collect();
        let rollout = s["parameters"]["rollout"].as_str().unwrap_or("all");
        format!("{} {rollout} [{}]", s["name"].as_str().unwrap(), all.join(", "))
    };
    feature["strategies"].as_array().unwrap().iter().map(strategy).collect()
}

#[test]
fn a_percentage_is_a_gradual_rollout() {
    let feature = exported(Definition { rules: vec![rule(vec![], percentage(25))], ..flag() });
    let expected = json!({
        "name": "shop", "type": "release", "description": "", "enabled": true,
        "project": "default", "stale": false, "impressionData": false,
        "strategies": [{
            "name": "flexibleRollout",
            "parameters": { "rollout": "25", "stickiness": "userId", "groupId": "shop" },
            "constraints": [], "segments": [], "variants": [],
        }],
        "variants": [], "dependencies": [],
    });
    assert_eq!(feature, Ok(expected));
}

type Case = (Definition, &'static [&'static str]);

#[test]
fn rules_in_order_become_strategies_that_are_joined() {
    let plan = || clause("plan", Operator::Equals, &["beta"]);
    let country = || clause("country", Operator::In, &["de", "fr"]);
    let off_for = |users: &[&str]| Target {
        name: String::new(),
        variant: "off".into(),
        users: users.iter().map(|user| (*user).to_owned()).collect(),
    };
    let cases: Vec<Case> = vec![
        (flag(), &[]),
        (Definition { state: State::Off, default_variant: Some("on".into()), ..flag() }, &[]),
        (Definition { default_variant: Some("on".into()), ..flag() }, &["default all []"]),
        (
            Definition {
                targets: vec![off_for(&["u1"])],
                rules: vec![rule(vec![plan(), country()], one("on")), rule(vec![], percentage(5))],
                ..flag()
            },
            &[
                "default all [!userId IN [\"u1\"], plan IN [\"beta\"], country IN [\"de\",\"fr\"]]",
                "flexibleRollout 5 [!userId IN [\"u1\"]]",
            ],
        ),
        (
            // Whom the first rule refuses the second must not let in.
            Definition {
                rules: vec![rule(vec![plan(), country()], one("off")), rule(vec![], one("on"))],
                ..flag()
            },
            &["default all [!plan IN [\"beta\"]]", "default all [!country IN [\"de\",\"fr\"]]"],
        ),
        (
            Definition {
                expires_at: Some(Timestamp(1_801_353_600)),
                rules: vec![rule(vec![plan()], one("on"))],
                ..flag()
            },
            &["default all [plan IN [\"beta\"], currentTime DATE_BEFORE \"2027-01-31T00:00:00Z\"]"],
        ),
    ];
    for (flag, expected) in cases {
        assert_eq!(strategies(flag), expected);
    }
}

#[test]
fn segments_are_written_as_alternatives() {
    let mut set = set(&[(
        "shop",
        Definition {
            rules: vec![Rule { segments: vec!["early".into()], ..rule(vec![], one("on")) }],
            ..flag()
        },
    )]);
    let mail = clause("email", Operator::EndsWith, &["@example.com"]);
    let early = Segment {
        users: vec!["u1".into()],
        excluded: vec!["u9".into()],
        any: vec![vec![mail]],
        ..Segment::default()
    };
    set.segments.insert("early".into(), early);
    let document = features(&set).unwrap().document;
    let strategies = document["features"][0]["strategies"].as_array().unwrap();
    let names = |strategy: &Value| -> Vec<String> {
        let all = strategy["constraints"].as_array().unwrap().iter();
        all.map(|c| format!("{}{}", c["contextName"].as_str().unwrap(), c["inverted"])).collect()
    };
    assert_eq!(strategies.len(), 2);
    assert_eq!(names(&strategies[0]), ["userIdfalse", "userIdtrue"]);
    assert_eq!(names(&strategies[1]), ["emailfalse", "userIdtrue"]);
}

#[test]
fn several_values_are_variants_with_payloads() {
    let variant = |name: &str| Variant { name: name.to_owned(), value: json!({ "colour": name }) };
    let shares = split(&[("red", 30_000), ("blue", 70_000)]);
    let flag = Definition {
        kind: Kind::Experiment,
        variants: Variants(vec![variant("red"), variant("blue")]),
        default_variant: Some("red".into()),
        off_variant: "red".into(),
        salt: Some("colours".into()),
        rules: vec![rule(vec![], shares)],
        ..flag()
    };
    let feature = exported(flag).unwrap();
    let first = &feature["strategies"][0];
    assert_eq!(
        first["parameters"],
        json!({ "rollout": "100", "stickiness": "userId", "groupId": "colours" })
    );
    let expected = json!({
        "name": "red", "weight": 300, "weightType": "fix", "stickiness": "userId",
        "payload": { "type": "json", "value": "{\"colour\":\"red\"}" },
    });
    assert_eq!(first["variants"][0], expected);
    // Who has no user id falls to the default.
    assert_eq!(feature["strategies"][1]["name"], "default");
}

#[test]
fn prerequisites_are_dependencies() {
    let needs = |variants: &[&str]| Prerequisite {
        flag: "base".parse().unwrap(),
        variants: variants.iter().map(|name| (*name).to_owned()).collect(),
    };
    let on = Some("on".to_owned());
    let cases: &[(&[&str], State, Value, bool)] = &[
        (&["on"], State::On, json!([{ "feature": "base", "enabled": true }]), true),
        (&["off"], State::On, json!([{ "feature": "base", "enabled": false }]), true),
        (&["on", "off"], State::On, json!([]), true),
        (&["on"], State::Disabled, json!([]), false),
    ];
    for (variants, state, expected, enabled) in cases {
        let base = Definition { state: *state, ..flag() };
        let prerequisites = vec![needs(variants)];
        let child = Definition { prerequisites, default_variant: on.clone(), ..flag() };
        let document = features(&set(&[("base", base), ("child", child)])).unwrap().document;
        let features = document["features"].as_array().unwrap();
        let child = features.iter().find(|feature| feature["name"] == "child").unwrap();
        assert_eq!((&child["dependencies"], &child["enabled"]), (expected, &json!(enabled)));
    }
}

#[test]
fn what_unleash_cannot_express_is_left_out_with_the_reason() {
    let reason = |flag: Definition| exported(flag).unwrap_err();
    let ruled = |clauses, serve| Definition { rules: vec![rule(clauses, serve)], ..flag() };
    let release = Some(Release::new("r", "on", "off").at(10_000));
    let v3 = |serve| Definition { bucketing: None, ..ruled(vec![], serve) };
    let cases = [
        (Definition { raw: Some(json!({ "if": [true, "on"] })), ..flag() }, "raw JsonLogic"),
        (Definition { release, bucketing: None, ..flag() }, "guarded release"),
        (v3(split(&[("on", 500), ("off", 99_500)])), "whole percents"),
        (ruled(vec![], split(&[("off", 50_000), ("on", 50_000)])), "before that of true"),
        (Definition { state: State::Disabled, ..flag() }, "code's own default"),
        (ruled(vec![clause("a.b", Operator::Equals, &["x"])], one("on")), "inside an object"),
        (ruled(vec![clause("a", Operator::Exists, &[])], one("on")), "is there"),
        (ruled(vec![clause("a", Operator::Equals, &[" x"])], one("on")), "space"),
    ];
    for (flag, expected) in cases {
        let found = reason(flag);
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn other_buckets_are_told() {
    let flag = Definition { bucketing: None, rules: vec![rule(vec![], percentage(5))], ..flag() };
    let exported = features(&set(&[("shop", flag)])).unwrap();
    assert!(exported.notes[0].reason.contains("other buckets"));
}

#[test]
fn conditions_that_multiply_are_left_out_and_not_written() {
    let off = |at: usize| {
        let names: Vec<String> = (0..6).map(|name| format!("a{at}{name}")).collect();
        let clauses = names.iter().map(|name| clause(name, Operator::Equals, &["x"])).collect();
        rule(clauses, one("off"))
    };
    let mut rules: Vec<Rule> = (0..50).map(off).collect();
    rules.push(rule(vec![], one("on")));
    assert!(exported(Definition { rules, ..flag() }).unwrap_err().contains("more than 40"));
}
