//! A comparison that is not sound is never a PASS, and says why.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use serin_stats::{
    ArmTick, Dealt, Guard, Judge, JudgeConfig, JudgeSettings, Metric, Outcome, Rung, Tick,
};

fn judge() -> Judge {
    let metrics = vec![Metric::Errors.into()];
    Judge::new(JudgeConfig::new(JudgeSettings { metrics, ..JudgeSettings::default() }).unwrap())
}

fn arm(n: u64, errors: u64) -> ArmTick {
    ArmTick { n, errors, ..ArmTick::default() }
}

/// A clean tick that passes when it is repeated 100 times.
fn clean() -> Tick {
    Tick { seconds: 1, baseline: arm(900, 0), canary: arm(100, 0), ..Tick::default() }
}

/// The answer after `tick` came 100 times.
fn after(tick: &Tick) -> (Judge, Outcome, Option<(Guard, String)>) {
    let mut judge = judge();
    (0..100).for_each(|_| judge.observe(tick));
    let a = judge.assess(Rung::LAST);
    (judge, a.outcome, a.invalid.map(|i| (i.guard, i.to_string())))
}

#[test]
fn the_clean_tick_passes() {
    assert_eq!(after(&clean()).1, Outcome::Pass);
}

#[test]
fn a_wrong_sample_ratio_is_invalid_until_somebody_looked() {
    let dealt = Some(Dealt { baseline: 900, canary: 100, share: 0.12 });
    let (mut judge, outcome, why) = after(&Tick { dealt, ..clean() });
    let words = "the candidate got 10.00 % of the sample where 12.00 % were planned";
    assert_eq!((outcome, why), (Outcome::Invalid, Some((Guard::SampleRatio, words.to_owned()))));
    judge.clear_guards();
    assert_eq!(judge.assess(Rung::LAST).outcome, Outcome::Pass);
}

#[test]
fn users_in_both_arms_are_invalid_but_a_stray_one_is_not() {
    for (crossed, wanted) in [(0, Outcome::Pass), (1, Outcome::Pass), (2, Outcome::Invalid)] {
        assert_eq!(after(&Tick { crossed, ..clean() }).1, wanted, "{crossed} of 1000");
    }
    let (mut judge, _, why) = after(&Tick { crossed: 2, ..clean() });
    let words = "4 of 2000 users were seen with both variants; what assigns them does not stay \
                 the same";
    assert_eq!(why, Some((Guard::Crossed, words.to_owned())));
    judge.clear_guards();
    assert_eq!(judge.assess(Rung::LAST).outcome, Outcome::Pass);
}

#[test]
fn the_planned_ratio_is_fine_through_changes_of_weight() {
    let mut judge = judge();
    for share in [0.1, 0.25, 0.5] {
        let canary = (1000.0 * share) as u64;
        let dealt = Some(Dealt { baseline: 1000 - canary, canary, share });
        (0..50).for_each(|_| judge.observe(&Tick { dealt, ..clean() }));
    }
    assert_eq!(judge.assess(Rung::LAST).outcome, Outcome::Pass);
}

#[test]
fn clients_that_give_up_on_the_canary_are_invalid() {
    let aborted = |n, aborted| ArmTick { aborted, ..arm(n, 0) };
    let tick = Tick { baseline: aborted(900, 9), canary: aborted(100, 10), ..clean() };
    let (_, outcome, why) = after(&tick);
    assert_eq!(outcome, Outcome::Invalid);
    assert_eq!(why.unwrap().0, Guard::Aborts);
    let same = Tick { baseline: aborted(900, 90), canary: aborted(100, 10), ..clean() };
    assert_eq!(after(&same).1, Outcome::Pass, "clients that give up on both say nothing");
}

#[test]
fn stable_instances_that_disagree_are_invalid() {
    let replicas = [("a", (450, 0)), ("b", (450, 9))];
    let replicas = replicas.map(|(name, counts)| (name.to_owned(), counts)).into();
    let tick = Tick { baseline: arm(900, 9), replicas, ..clean() };
    let (_, outcome, why) = after(&tick);
    assert_eq!(outcome, Outcome::Invalid);
    let words = "stable's own instances disagree: error rates from 0.00 % to 2.00 %";
    assert_eq!(why, Some((Guard::Replicas, words.to_owned())));
}

#[test]
fn equal_instances_agree() {
    let replicas = [("a", (450, 5)), ("b", (450, 4))];
    let replicas = replicas.map(|(name, counts)| (name.to_owned(), counts)).into();
    let tick = Tick { baseline: arm(900, 9), replicas, ..clean() };
    assert_eq!(after(&tick).1, Outcome::Pass);
}

#[test]
fn failure_wins_over_a_tripped_guard() {
    let dealt = Some(Dealt { baseline: 900, canary: 100, share: 0.2 });
    let mut judge = after(&Tick { dealt, ..clean() }).0;
    judge.observe(&Tick { canary: arm(100, 90), ..clean() });
    assert_eq!(judge.assess(Rung::LAST).outcome, Outcome::Fail);
}

#[test]
fn impossible_counts_are_not_used() {
    let replicas = [("a".to_owned(), (1, 2))].into();
    let bad = [
        Tick { dealt: Some(Dealt { baseline: 1, canary: 1, share: f64::NAN }), ..clean() },
        Tick { dealt: Some(Dealt { baseline: 1, canary: 1, share: 0.0 }), ..clean() },
        Tick { split: vec![(1, 2)], ..clean() },
        Tick { replicas, ..clean() },
        Tick { canary: arm(1, 2), ..clean() },
    ];
    for tick in bad {
        let (judge, outcome, why) = after(&tick);
        assert_eq!((outcome, why.unwrap().0), (Outcome::Invalid, Guard::Counts), "{tick:?}");
        assert_eq!(judge.rejected_ticks(), 100);
    }
}

/// 6 % of the canary's requests hang and are given up before they can be judged.
#[test]
fn a_version_that_hangs_and_is_given_up_does_not_pass() {
    let mut rng = fastrand::Rng::with_seed(5);
    let (mut passed, mut held) = (0, 0);
    for _ in 0..60 {
        let mut judge = judge();
        let mut arm = |n: u64, hangs: f64| {
            let some = |rng: &mut fastrand::Rng, n: u64, p: f64| {
                (0..n).filter(|_| rng.f64() < p).count() as u64
            };
            let aborted = some(&mut rng, n, hangs);
            let errors = some(&mut rng, n - aborted, 0.05);
            ArmTick { n: n - aborted, errors, aborted, ..ArmTick::default() }
        };
        let outcome = (0..120).find_map(|_| {
            let (baseline, canary) = (arm(60, 0.0), arm(20, 0.06));
            judge.observe(&Tick { seconds: 1, baseline, canary, ..Tick::default() });
            let outcome = judge.assess(Rung::LAST).outcome;
            matches!(outcome, Outcome::Pass | Outcome::Invalid | Outcome::Fail).then_some(outcome)
        });
        passed += u32::from(outcome == Some(Outcome::Pass));
        held += u32::from(outcome == Some(Outcome::Invalid));
    }
    assert!(passed <= 3 && held >= 50, "{passed} passed, {held} held of 60");
}

#[test]
fn what_was_given_up_is_told_and_forgotten_once_somebody_looked() {
    let given_up = ArmTick { aborted: 50, ..arm(100, 0) };
    let mut judge = after(&Tick { canary: given_up, ..clean() }).0;
    assert_eq!(judge.assess(Rung::LAST).metrics[0].requests_missing, None, "not at this rate");
    judge.clear_guards();
    assert_eq!(judge.assess(Rung::LAST).outcome, Outcome::Pass);
}

#[test]
fn another_try_keeps_the_evidence_and_begins_its_guards_anew() {
    let dealt = Some(Dealt { baseline: 900, canary: 100, share: 0.2 });
    let first = after(&Tick { dealt, ..clean() }).0;
    let evidence = first.assess(Rung::LAST).metrics[0].pass_evidence;
    let config = first.config().clone();
    let again = first.with_risks(&config).unwrap().assess(Rung::LAST);
    assert_eq!(again.invalid, None);
    assert!((again.metrics[0].pass_evidence - evidence).abs() < 1e-12);
}
