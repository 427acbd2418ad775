//! A guarded release moves nobody between its arms while it grows, and goes back the way it came.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use proptest::prelude::*;
use serin_flags::{
    Arm, Bucketing, Context, Definition, FlagSet, Form, Kind, Release, SetDefinition, WHOLE,
    compile,
};

const USERS: usize = 400;

fn released(bucketing: Bucketing, salt: &str, weight: u32) -> FlagSet {
    let release = Some(Release::new(salt, "on", "off").at(weight));
    let flag = Definition { release, ..Definition::boolean(Kind::Release, "payments") };
    let mut set = SetDefinition { bucketing, ..SetDefinition::new("prod") };
    set.flags.insert("shop".parse().unwrap(), flag);
    let document = compile(&set, Form::Server).unwrap().document.to_string();
    FlagSet::parse(document.as_bytes(), bucketing).unwrap()
}

/// The arm of every user, and whether the new variant is served.
fn arms(set: &FlagSet) -> Vec<(Option<Arm>, bool)> {
    let one = |user: usize| {
        let mut context = Context::new();
        context.set_targeting_key(format!("user-{user}"));
        let answer = set.evaluate("shop", &context, 0).unwrap();
        (answer.arm, answer.variant == Some("on"))
    };
    (0..USERS).map(one).collect()
}

fn bucketing() -> impl Strategy<Value = Bucketing> {
    prop_oneof![Just(Bucketing::V2), Just(Bucketing::V3)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn growing_takes_nobody_out_of_treatment(
        bucketing in bucketing(),
        salt in "[a-z]{1,8}",
        weights in (0..=WHOLE, 0..=WHOLE),
    ) {
        let (low, high) = (weights.0.min(weights.1), weights.0.max(weights.1));
        let before = arms(&released(bucketing, &salt, low));
        let after = arms(&released(bucketing, &salt, high));
        for (before, after) in before.iter().zip(&after) {
            prop_assert!(!before.1 || after.1, "{before:?} -> {after:?}");
            let moved = before.0.is_some() && before.0 != after.0;
            prop_assert!(!moved || high > WHOLE / 2, "{before:?} -> {after:?} below 50 %");
            prop_assert!(before.0.is_none() || after.0.is_some(), "nobody leaves the pool");
        }
    }

    #[test]
    fn going_back_is_the_way_that_was_come(
        bucketing in bucketing(),
        salt in "[a-z]{1,8}",
        ladder in prop::collection::vec(0..=WHOLE, 2..5),
    ) {
        let mut ladder = ladder;
        ladder.sort_unstable();
        let at = |weight: &u32| arms(&released(bucketing, &salt, *weight));
        let up: Vec<_> = ladder.iter().map(at).collect();
        let down: Vec<_> = ladder.iter().rev().map(at).collect();
        prop_assert!(up.iter().eq(down.iter().rev()));
        // Whoever came in last goes out first: each step down is a part of the step before.
        for steps in down.windows(2) {
            let kept = steps[0].iter().zip(&steps[1]).all(|(more, less)| more.1 || !less.1);
            prop_assert!(kept);
        }
    }

    #[test]
    fn shares_follow_the_weight(weight in 0..=2 * WHOLE) {
        let (exposure, arm) = Release::shares(weight);
        prop_assert!(exposure <= WHOLE && arm <= WHOLE);
        let release = Release::new("r", "on", "off").at(weight);
        prop_assert_eq!(release.weight(), weight.min(WHOLE));
        let equal = weight > WHOLE / 2 || arm == WHOLE / 2;
        prop_assert!(equal, "below 50 % both arms are equally large");
    }
}

#[test]
fn the_arms_are_independent_of_the_exposure() {
    let arms = arms(&released(Bucketing::V3, "shop.1", WHOLE / 4));
    let exposed = arms.iter().filter(|(arm, _)| arm.is_some()).count();
    let treated = arms.iter().filter(|(arm, _)| *arm == Some(Arm::Treatment)).count();
    // Binomial with n = 400, p = 1/2 and then 1/4: five standard deviations are 50 and 44.
    assert!((150..=250).contains(&exposed), "{exposed}");
    assert!((56..=144).contains(&treated), "{treated}");
}
