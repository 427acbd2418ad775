use super::{
    Advice, Combinations, Facts, Finding, Usage, VariantUse, combinations, one_sided, review,
};
use crate::{
    Definition, Kind, Prerequisite, Release, Rule, Serve, SetDefinition, Share, State, Target,
    Timestamp, WHOLE,
};
use std::collections::BTreeMap;

const NOW: Timestamp = Timestamp(1_800_000_000);

fn ago(days: u32) -> Timestamp {
    Timestamp(NOW.0 - i64::from(days) * 86_400)
}

fn flag() -> Definition {
    Definition::boolean(Kind::Release, "payments")
}

fn everybody(serve: Serve) -> Rule {
    Rule { name: String::new(), segments: Vec::new(), clauses: Vec::new(), serve }
}

fn percentage(on: u32) -> Rule {
    let share = |variant: &str, weight| Share { variant: variant.to_owned(), weight };
    let shares = vec![share("on", on), share("off", WHOLE - on)];
    everybody(Serve::Split { shares, by: None, salt: None })
}

#[allow(clippy::unnecessary_wraps)] // as it stands among the facts
fn used(variants: &[(&str, u32)]) -> Option<Usage> {
    let one = |(name, days): &(&str, u32)| {
        ((*name).to_owned(), VariantUse { count: 10, last: ago(*days) })
    };
    let variants: BTreeMap<_, _> = variants.iter().map(one).collect();
    Some(Usage { since: ago(30), variants, errors: 0 })
}

#[test]
fn one_sided_is_what_nobody_escapes() {
    let rule = |rule| Definition { rules: vec![rule], ..flag() };
    let target = Target { name: String::new(), variant: "on".into(), users: vec!["u".into()] };
    let needs = Prerequisite { flag: "base".parse().unwrap(), variants: vec!["on".into()] };
    let on = || Some("on".to_owned());
    let release = |weight| Some(Release::new("r", "on", "off").at(weight));
    let cases = [
        (flag(), Some(Some("off"))),
        (Definition { state: State::Disabled, ..flag() }, Some(None)),
        (rule(percentage(WHOLE)), Some(Some("on"))),
        (rule(percentage(0)), Some(Some("off"))),
        (rule(percentage(5_000)), None),
        (Definition { targets: vec![target], ..flag() }, None),
        (Definition { release: release(WHOLE), ..flag() }, Some(Some("on"))),
        (Definition { release: release(0), ..flag() }, Some(Some("off"))),
        (Definition { release: release(10), ..flag() }, None),
        (Definition { prerequisites: vec![needs], default_variant: on(), ..flag() }, None),
        (Definition { expires_at: Some(ago(1)), ..rule(percentage(5_000)) }, Some(Some("off"))),
        (Definition { raw: Some(serde_json::json!("on")), ..flag() }, None),
    ];
    for (flag, expected) in cases {
        assert_eq!(one_sided(&flag, NOW), expected, "{flag:?}");
    }
}

#[test]
fn a_flag_goes_only_when_definition_use_and_code_agree() {
    let full = || Definition { rules: vec![percentage(WHOLE)], ..flag() };
    let facts = |usage, references| Facts { usage, references, settled_since: None };
    let remove = Advice::Remove { survivor: Some("on".into()) };
    let cases = [
        (full(), facts(used(&[("on", 0), ("off", 20)]), Some(3)), remove.clone()),
        (full(), facts(used(&[("on", 0)]), Some(3)), remove),
        // Somebody still got the other variant last week.
        (full(), facts(used(&[("on", 0), ("off", 7)]), Some(3)), Advice::Look),
        // Nobody looked into the code, or nobody counts.
        (full(), facts(used(&[("on", 0)]), None), Advice::Look),
        (full(), facts(None, Some(3)), Advice::Look),
        // The definition says on and the users get off.
        (full(), facts(used(&[("off", 0)]), Some(3)), Advice::Look),
        (full(), facts(used(&[]), Some(0)), Advice::Archive),
        (full(), facts(used(&[("on", 20)]), Some(0)), Advice::Archive),
        (full(), facts(used(&[("on", 1)]), Some(0)), Advice::Look),
        (
            Definition { rules: vec![percentage(5_000)], ..flag() },
            facts(used(&[("on", 0), ("off", 0)]), Some(3)),
            Advice::Keep,
        ),
    ];
    for (flag, facts, expected) in cases {
        assert_eq!(review(&flag, &facts, NOW).advice, expected, "{facts:?}");
    }
}

#[test]
fn permanent_kinds_never_become_stale() {
    for kind in [Kind::Ops, Kind::KillSwitch, Kind::Permission] {
        let flag = Definition { kind, created_at: Some(ago(900)), ..flag() };
        let facts = Facts { usage: used(&[("off", 0)]), references: Some(0), ..Facts::default() };
        let review = review(&flag, &facts, NOW);
        assert_eq!((review.findings, review.advice), (vec![], Advice::Keep));
    }
}

#[test]
fn age_and_the_reminder_count_whole_days() {
    let found = |made: u32, settled: u32| {
        let flag =
            Definition { created_at: Some(ago(made)), rules: vec![percentage(WHOLE)], ..flag() };
        let facts = Facts { settled_since: Some(ago(settled)), ..Facts::default() };
        review(&flag, &facts, NOW).findings
    };
    let one_sided = Finding::OneSided { variant: Some("on".into()) };
    assert_eq!(found(40, 13), std::slice::from_ref(&one_sided));
    let old = Finding::PastLifetime { days: 41, allowed: 40 };
    assert_eq!(found(41, 14), [old, one_sided, Finding::CleanUp { days: 14 }]);
}

#[test]
fn always_true_always_false_never_asked_and_failing_are_told() {
    let found = |usage: Option<Usage>| {
        let flag = Definition { rules: vec![percentage(5_000)], ..flag() };
        review(&flag, &Facts { usage, ..Facts::default() }, NOW).findings
    };
    let constant = |variant: &str, value| Finding::Constant {
        variant: Some(variant.into()),
        value: Some(value),
        days: 30,
    };
    assert_eq!(found(used(&[("on", 0)])), [constant("on", true)]);
    assert_eq!(found(used(&[("off", 0)])), [constant("off", false)]);
    assert_eq!(found(used(&[])), [Finding::NeverEvaluated { days: 30 }]);
    assert_eq!(found(used(&[("on", 15)])), [Finding::NotEvaluated { days: 15 }]);
    let young = Usage { since: ago(3), variants: BTreeMap::new(), errors: 0 };
    assert_eq!(found(Some(young)), []);
    let failing = used(&[("on", 0), ("off", 0)]).map(|usage| Usage { errors: 5, ..usage });
    assert_eq!(found(failing), [Finding::Failing { per_million: 200_000 }]);
    let ownerless = Definition { owner: String::new(), rules: vec![percentage(1)], ..flag() };
    assert_eq!(review(&ownerless, &Facts::default(), NOW).findings, [Finding::Ownerless]);
}

#[test]
fn n_open_flags_make_two_to_the_n_combinations() {
    let mut set = SetDefinition::new("prod");
    for at in 0..70 {
        let rules = if at % 2 == 0 { vec![percentage(5_000)] } else { vec![] };
        set.flags.insert(format!("f{at}").parse().unwrap(), Definition { rules, ..flag() });
    }
    let expected = Combinations { flags: 35, combinations: 1 << 35 };
    assert_eq!(combinations(&set, NOW), expected);
    for flag in set.flags.values_mut() {
        flag.rules = vec![percentage(5_000)];
    }
    assert_eq!(combinations(&set, NOW), Combinations { flags: 70, combinations: u64::MAX });
}
