//! A canary that has all requests is held to what was harm before, under the same alpha.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use serin_stats::{
    ArmTick, Histogram, Judge, JudgeConfig, JudgeSettings, Metric, Outcome, Rung, Tick,
};

fn arm(n: u64, errors: u64) -> ArmTick {
    let mut latency = Histogram::new();
    (0..n - errors).for_each(|i| latency.record_us(20_000 + i % 20 * 1000));
    ArmTick { n, errors, latency, unfinished: 0, ..ArmTick::default() }
}

/// A judge that saw a clean canary beside a stable with `errors` in 1,000 requests.
fn compared(errors: u64) -> Judge {
    let mut judge = Judge::new(JudgeConfig::default());
    for _ in 0..10 {
        judge.observe(&Tick {
            seconds: 1,
            baseline: arm(1000, errors),
            canary: arm(1000, errors),
            ..Tick::default()
        });
    }
    assert_ne!(judge.assess(Rung::LAST).outcome, Outcome::Fail);
    judge
}

#[test]
fn harm_that_begins_alone_is_found_and_blamed() {
    let mut judge = compared(0);
    judge.observe_alone(1, &arm(400, 40));
    let assessment = judge.assess(Rung::LAST);
    assert_eq!((assessment.outcome, assessment.blame), (Outcome::Fail, vec![Metric::Errors]));
    assert!(assessment.fail_evidence >= assessment.fail_needed);
}

#[test]
fn what_stable_did_before_is_no_harm_alone() {
    let mut judge = compared(20);
    (0..60).for_each(|_| judge.observe_alone(1, &arm(1000, 20)));
    assert_ne!(judge.assess(Rung::LAST).outcome, Outcome::Fail);
    let mut clean = compared(0);
    clean.observe_alone(1, &arm(1000, 20));
    assert_eq!(clean.assess(Rung::LAST).outcome, Outcome::Fail, "2 % after none is harm");
}

#[test]
fn time_alone_has_its_share_of_alpha_and_no_more() {
    let metrics = vec![Metric::Errors.into()];
    let settings = JudgeSettings { metrics, ..JudgeSettings::default() };
    let mut judge = Judge::new(JudgeConfig::new(settings).unwrap());
    let baseline = arm(10_000, 0);
    let canary = baseline.clone();
    judge.observe(&Tick { seconds: 10, baseline, canary, ..Tick::default() });
    // A twentieth of the weight asks for ln 20 more than 1/alpha, and half of it begins later.
    let needed = judge.config().fail_needed() + 20_f64.ln() + 2_f64.ln();
    let crossing =
        (1..20).find(|errors| serin_stats::eprocess::ceiling(100, *errors, 0.005) >= needed);
    let errors = crossing.unwrap();
    let mut below = judge.clone();
    below.observe_alone(1, &arm(100, errors - 1));
    judge.observe_alone(1, &arm(100, errors));
    let outcomes = [below, judge].map(|judge| judge.assess(Rung::LAST).outcome == Outcome::Fail);
    assert_eq!(outcomes, [false, true]);
}
