use super::explain;
use crate::{
    Clause, Definition, FlagKey, Killed, Kind, Method, Operator, Prerequisite, Release, Rule,
    Scalar, Serve, SetDefinition, Share, Target, Timestamp, WHOLE,
};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp(1_800_000_000);

fn flag() -> Definition {
    Definition::boolean(Kind::Release, "payments")
}

fn percentage(on: u32) -> Rule {
    let share = |variant: &str, weight| Share { variant: variant.to_owned(), weight };
    let shares = vec![share("on", on), share("off", WHOLE - on)];
    let serve = Serve::Split { shares, by: None, salt: None };
    Rule { name: "percentage".into(), segments: vec![], clauses: vec![], serve }
}

fn key() -> FlagKey {
    "new_checkout".parse().unwrap()
}

fn told(flag: Definition, context: &Value) -> String {
    let mut set = SetDefinition::new("prod");
    set.flags.insert(key(), flag);
    set.flags.insert("base".parse().unwrap(), self::flag());
    explain(&set, &key(), context, NOW).unwrap().to_string()
}

fn staff() -> Rule {
    let values = vec![Scalar::from("@example.com")];
    let (operator, inverted, ignore_case) = (Operator::EndsWith, false, false);
    let clause = Clause { attribute: "email".into(), operator, values, inverted, ignore_case };
    let serve = Serve::Variant("on".into());
    Rule { name: "staff".into(), segments: vec![], clauses: vec![clause], serve }
}

#[test]
fn the_way_to_a_bucket_is_told() {
    let users = vec!["ann".to_owned()];
    let targets = vec![Target { name: "beta".into(), variant: "on".into(), users }];
    let bucketing = Some(Method::Md5_100);
    let flag = || Definition {
        targets: targets.clone(),
        bucketing,
        rules: vec![staff(), percentage(5_000)],
        ..flag()
    };
    let user = json!({ "targetingKey": "user-123", "email": "u@other.org" });
    let expected = "\
`new_checkout` in `prod` is off: rule 2 \"percentage\" fits
  split: bucket 5000 of 100000 (hash md5-100, salt \"new_checkout\", targetingKey \"user-123\")
  before: the user is not in list 1 \"beta\"
  before: rule 1 \"staff\" does not fit: email is \"u@other.org\", wanted endsWith \"@example.com\"
";
    assert_eq!(told(flag(), &user), expected);
    let ann = told(flag(), &json!({ "targetingKey": "ann" }));
    assert_eq!(ann, "`new_checkout` in `prod` is on: the user is named in list 1 \"beta\"\n");
    let nobody = told(flag(), &json!({}));
    assert!(nobody.contains("email is missing"), "{nobody}");
    assert!(
        nobody.contains("rule 2 \"percentage\" does not fit: the user has nothing"),
        "{nobody}"
    );
    assert!(
        nobody.starts_with("`new_checkout` in `prod` is off: nothing else decides"),
        "{nobody}"
    );
}

#[test]
fn both_hashes_of_a_release_are_told() {
    let release = Some(Release::new("r", "on", "off").at(WHOLE / 2));
    let text = told(Definition { release, ..flag() }, &json!({ "targetingKey": "u1" }));
    assert!(text.contains("exposes 100 % and treats 50 % of them"), "{text}");
    assert!(text.contains("exposure: bucket "), "{text}");
    assert!(text.contains("arm: bucket ") && text.contains("salt \"r.arm\""), "{text}");
    let release = Some(Release::new("r", "on", "off"));
    let text = told(Definition { release, ..flag() }, &json!({ "targetingKey": "u1" }));
    assert!(text.contains("is off: the guarded release exposes 0 %"), "{text}");
}

#[test]
fn what_comes_before_all_rules_is_told() {
    let killed = Some(Killed { by: "ann".into(), at: Timestamp(0), reason: "fire".into() });
    let needs = Prerequisite { flag: "base".parse().unwrap(), variants: vec!["on".into()] };
    let cases = [
        (Definition { killed, ..flag() }, "killed by ann on 1970-01-01T00:00:00Z: fire"),
        (Definition { expires_at: Some(NOW), ..flag() }, "expired on 2027-01-15T08:00:00Z"),
        (Definition { prerequisites: vec![needs], ..flag() }, "it needs `base` to be on"),
        (Definition { raw: Some(json!({ "if": [true, "on"] })), ..flag() }, "is on: its raw"),
    ];
    for (flag, expected) in cases {
        let text = told(flag, &json!({ "targetingKey": "u1" }));
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn an_unknown_flag_is_refused_with_the_nearest() {
    let mut set = SetDefinition::new("prod");
    set.flags.insert(key(), flag());
    let problems = explain(&set, &"new_chekout".parse().unwrap(), &json!({}), NOW).unwrap_err();
    assert!(problems[0].to_string().contains("`new_checkout`"), "{problems:?}");
}
