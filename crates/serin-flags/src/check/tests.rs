use crate::{
    Anonymous, Clause, Definition, Kind, Method, Operator, Prerequisite, Release, Rule, Scalar,
    Segment, Serve, SetDefinition, Share, Target, Variant, validate,
};
use serde_json::json;

fn set_of(flag: Definition) -> SetDefinition {
    let mut set = SetDefinition::new("prod");
    set.flags.insert("shop".parse().unwrap(), flag);
    set
}

fn flag() -> Definition {
    Definition::boolean(Kind::Release, "payments")
}

fn rule(serve: Serve) -> Rule {
    Rule { name: String::new(), segments: Vec::new(), clauses: Vec::new(), serve }
}

fn clause(attribute: &str, operator: Operator, values: &[&str]) -> Clause {
    let values = values.iter().map(|value| Scalar::from(*value)).collect();
    let attribute = attribute.to_owned();
    Clause { attribute, operator, values, inverted: false, ignore_case: false }
}

fn split(shares: &[(&str, u32)]) -> Serve {
    let share =
        |(variant, weight): &(&str, u32)| Share { variant: (*variant).to_owned(), weight: *weight };
    Serve::Split { shares: shares.iter().map(share).collect(), by: None, salt: None }
}

/// The problems as text, one a line.
fn said(set: &SetDefinition) -> String {
    validate(set).iter().fold(String::new(), |all, problem| all + &problem.to_string() + "\n")
}

fn told(change: impl FnOnce(&mut Definition)) -> String {
    let mut flag = flag();
    change(&mut flag);
    said(&set_of(flag))
}

#[test]
fn a_plain_flag_is_in_order() {
    assert_eq!(told(|_| {}), "");
    let rich = |flag: &mut Definition| {
        flag.targets =
            vec![Target { name: "beta".into(), variant: "on".into(), users: vec!["u1".into()] }];
        flag.rules = vec![Rule {
            clauses: vec![clause("email", Operator::EndsWith, &["@example.com"])],
            ..rule(split(&[("on", 33_333), ("off", 66_667)]))
        }];
        flag.release = Some(Release::new("shop.1", "on", "off"));
    };
    assert_eq!(told(rich), "");
}

type Change = fn(&mut Definition);

fn each_is_told(cases: &[(Change, &str)]) {
    for (change, expected) in cases {
        assert_eq!(told(change), *expected);
    }
}

#[test]
fn a_mistake_in_values_or_shares_is_told_with_place_and_remedy() {
    each_is_told(&[
        (
            |flag| flag.default_variant = Some("of".into()),
            "flags.shop.defaultVariant: there is no variant \"of\"; allowed: on, off; did you mean `off`?\n",
        ),
        (
            |flag| flag.off_variant = "nothing".into(),
            "flags.shop.offVariant: there is no variant \"nothing\"; allowed: on, off\n",
        ),
        (
            |flag| flag.variants.0[1].value = json!("no"),
            "flags.shop.variants: \"off\" is a string, the first variant a boolean; allowed: values of one type\n",
        ),
        (
            |flag| flag.rules = vec![rule(split(&[("on", 60_000), ("off", 60_000)]))],
            "flags.shop.rules[0].serve: the shares sum to 120000; allowed: 100000, which is 100 %\n",
        ),
        (
            |flag| flag.rules = vec![rule(split(&[("on", u32::MAX), ("off", u32::MAX)]))],
            "flags.shop.rules[0].serve: the shares sum to 8589934590; allowed: 100000, which is 100 %\n",
        ),
        (
            |flag| {
                flag.bucketing = Some(Method::Md5_100);
                flag.rules = vec![rule(split(&[("on", 99_500), ("off", 500)]))];
            },
            "flags.shop.rules[0].serve: \"on\" has 99500 parts of 100000; allowed: multiples of 1000 with this flag's bucketing\n\
             flags.shop.rules[0].serve: \"off\" has 500 parts of 100000; allowed: multiples of 1000 with this flag's bucketing\n",
        ),
    ]);
}

#[test]
fn a_mistake_in_rules_is_told_with_place_and_remedy() {
    each_is_told(&[
        (
            |flag| {
                flag.rules =
                    vec![rule(Serve::Variant("on".into())), rule(split(&[("off", 100_000)]))];
                flag.release = Some(Release::new("r", "on", "off"));
            },
            "flags.shop.rules[1]: rule 1 fits everybody, so this one is never reached; allowed: a place before it\n\
             flags.shop.release: rule 1 fits everybody, so nobody is released to; allowed: rules that leave users over, or no release\n",
        ),
        (
            |flag| {
                flag.rules = vec![Rule {
                    segments: vec!["betas".into()],
                    ..rule(Serve::Variant("on".into()))
                }];
            },
            "flags.shop.rules[0].segments: there is no segment \"betas\"; allowed: a segment of this set\n",
        ),
        (
            |flag| {
                let needs = "shop".parse().unwrap();
                flag.prerequisites =
                    vec![Prerequisite { flag: needs, variants: vec!["on".into()] }];
            },
            "flags.shop: refers to itself: shop -> shop; allowed: references that end; take one of these away\n",
        ),
        (
            |flag| {
                flag.raw = Some(json!({ "if": [true, "on"] }));
                flag.release = Some(Release::new("r", "on", "off"));
            },
            "flags.shop.raw: raw targeting stands beside targets, rules or a release; allowed: one of the two: take the raw targeting or the others away\n",
        ),
        (
            |flag| {
                let release = Release::new("r", "on", "off");
                flag.release =
                    Some(Release { exposure: 100_001, arm_salt: "r.exposure".into(), ..release });
            },
            "flags.shop.release.exposure: is 100001; allowed: 0 to 100000, which is 100 %\n\
             flags.shop.release.armSalt: is the same as exposureSalt, so that every exposed user would be treated; allowed: another salt\n",
        ),
        (
            |flag| flag.anonymous = Anonymous::Attribute("a..b".into()),
            "flags.shop.anonymous: \"a..b\" is not an attribute; allowed: a name such as plan or address.country\n",
        ),
        (
            |flag| flag.code_default = Some(json!(3)),
            "flags.shop.codeDefault: the code's default is a number, the variants are a boolean; allowed: one type, or the app never gets this flag's value\n",
        ),
    ]);
}

#[test]
fn what_an_operator_cannot_be_compared_with_is_told() {
    use Operator as Op;
    let good: &[(Operator, &[&str])] = &[
        (Op::In, &["a", "b"]),
        (Op::Matches, &["^v[0-9]+$"]),
        (Op::InNetwork, &["10.0.0.0/8", "::1"]),
        (Op::Before, &["2027-01-31T00:00:00Z"]),
        (Op::VersionAtLeast, &["1.4"]),
        (Op::Exists, &[]),
    ];
    let bad: &[(Operator, &[&str])] = &[
        (Op::In, &[]),
        (Op::Equals, &["a", "b"]),
        (Op::LessThan, &["5"]),
        (Op::Contains, &[""]),
        (Op::Matches, &["("]),
        (Op::Matches, &["(a{500}){500}"]),
        (Op::InNetwork, &["10.0.0.0/99"]),
        (Op::Before, &["tomorrow"]),
        (Op::VersionSameMajor, &["one"]),
        (Op::Exists, &["x"]),
    ];
    let problems = |operator: Operator, values: &[&str]| {
        told(|flag| {
            let clauses = vec![clause("plan", operator, values)];
            flag.rules = vec![Rule { clauses, ..rule(Serve::Variant("on".into())) }];
        })
    };
    for (operator, values) in good {
        assert_eq!(problems(*operator, values), "", "{operator:?} {values:?}");
    }
    for (operator, values) in bad {
        assert_ne!(problems(*operator, values), "", "{operator:?} {values:?}");
    }
}

#[test]
fn only_times_are_compared_with_now_and_only_text_without_case() {
    let with = |clause: Clause| {
        told(|flag| {
            flag.rules = vec![Rule { clauses: vec![clause], ..rule(Serve::Variant("on".into())) }];
        })
    };
    assert_eq!(with(clause("$now", Operator::After, &["2027-01-31T00:00:00Z"])), "");
    assert_ne!(with(clause("$now", Operator::Equals, &["x"])), "");
    assert_ne!(with(clause("$flagd.flagKey", Operator::Equals, &["x"])), "");
    let fold = |operator, value| Clause { ignore_case: true, ..clause("plan", operator, &[value]) };
    assert_eq!(with(fold(Operator::Equals, "Beta")), "");
    assert_ne!(with(fold(Operator::VersionEquals, "1.0.0")), "");
}

#[test]
fn references_end_and_are_not_deep() {
    let mut set = SetDefinition::new("prod");
    for at in 0..=9 {
        let mut flag = flag();
        if at > 0 {
            let parent = format!("f{}", at - 1).parse().unwrap();
            flag.prerequisites = vec![Prerequisite { flag: parent, variants: vec!["on".into()] }];
        }
        set.flags.insert(format!("f{at}").parse().unwrap(), flag);
    }
    assert_eq!(said(&set), "flags.f9: its references are 9 deep; allowed: a depth of 8\n");
    let inside = |name: &str| Segment { segments: vec![name.to_owned()], ..Segment::default() };
    let segments = [("a", inside("b")), ("b", inside("a"))];
    set = SetDefinition::new("prod");
    set.segments = segments.into_iter().map(|(name, segment)| (name.to_owned(), segment)).collect();
    let expected = "segments.a: refers to itself: a -> b -> a; allowed: references that end; take one of these away\n";
    assert_eq!(said(&set), expected);
}

#[test]
fn a_prerequisite_names_a_living_flag_and_its_variants() {
    let needs = |flag: &str, variant: &str| Prerequisite {
        flag: flag.parse().unwrap(),
        variants: vec![variant.to_owned()],
    };
    let mut set = set_of(Definition {
        prerequisites: vec![needs("new_shop", "on"), needs("other", "yes"), needs("old", "on")],
        ..flag()
    });
    set.flags.insert("other".parse().unwrap(), flag());
    let archived_at = Some(crate::Timestamp(1));
    set.flags.insert("old".parse().unwrap(), Definition { archived_at, ..flag() });
    let expected = "\
flags.shop.prerequisites[0]: there is no flag \"new_shop\" in this set; allowed: another flag of the set
flags.shop.prerequisites[1]: there is no variant \"yes\"; allowed: on, off
flags.shop.prerequisites[2]: old is archived; allowed: a flag that is still served
";
    assert_eq!(said(&set), expected);
}

#[test]
fn a_hostile_set_is_answered_with_a_bounded_list() {
    let mut flag = flag();
    let value = || Variant { name: "\u{1b}[2J".repeat(100), value: json!(null) };
    flag.variants.0 = (0..5_000).map(|_| value()).collect();
    let problems = validate(&set_of(flag));
    assert_eq!(problems.len(), 1_000);
    assert!(problems.iter().all(|problem| problem.to_string().len() < 1_000));
    assert!(problems.iter().all(|problem| !problem.to_string().contains('\u{1b}')));
}
