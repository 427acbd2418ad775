//! The share that is chosen from evidence grows while the canary is clean and keeps the budget.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use serin_stats::expose::{Situation, next_share};
use serin_stats::{ArmTick, Judge, JudgeConfig, JudgeSettings, Metric, Outcome, Rung, Tick};

const RPS: f64 = 400.0;

fn judge() -> Judge {
    let metrics = vec![Metric::Errors.into()];
    Judge::new(JudgeConfig::new(JudgeSettings { metrics, ..JudgeSettings::default() }).unwrap())
}

fn situation(share: f64) -> Situation {
    Situation { share, rps: RPS, reaction_seconds: 3.0 }
}

/// Runs a rollout at a budget; shares over time, failed canary requests, and the last outcome.
fn rollout(rng: &mut fastrand::Rng, rates: (f64, f64), budget: f64) -> (Vec<f64>, u64, Outcome) {
    let (mut judge, mut share, mut failed) = (judge(), 0.01, 0);
    let mut shares = vec![share];
    for _ in 0..600 {
        let arm = |rng: &mut fastrand::Rng, n: f64, p: f64| {
            let n = n.round() as u64;
            let errors = (0..n).filter(|_| rng.f64() < p).count() as u64;
            ArmTick { n, errors, ..ArmTick::default() }
        };
        let baseline = arm(rng, RPS * (1.0 - share), rates.0);
        let canary = arm(rng, RPS * share, rates.1);
        failed += canary.errors;
        judge.observe(&Tick { seconds: 1, baseline, canary, ..Tick::default() });
        let outcome = judge.assess(Rung::LAST).outcome;
        if matches!(outcome, Outcome::Fail | Outcome::Pass) {
            // What is under way when the decision falls.
            let late = arm(rng, RPS * share * 3.0, rates.1).errors;
            return (shares, failed + late, outcome);
        }
        share = next_share(&judge, &situation(share), budget, 0.5);
        shares.push(share);
    }
    (shares, failed, Outcome::Continue)
}

#[test]
fn a_clean_canary_gets_more_and_more() {
    let (shares, _, outcome) = rollout(&mut fastrand::Rng::with_seed(1), (0.0, 0.0), 50.0);
    assert!(shares.windows(2).all(|pair| pair[1] >= pair[0]), "{shares:?}");
    assert_eq!(outcome, Outcome::Pass);
    assert!(shares.last().unwrap() > &0.2, "{shares:?}");
}

#[test]
fn failed_requests_stay_within_the_budget_on_average() {
    for rate in [0.02, 0.1, 0.5, 1.0] {
        let mut rng = fastrand::Rng::with_seed(2);
        let runs: Vec<_> = (0..60).map(|_| rollout(&mut rng, (0.001, rate), 50.0)).collect();
        assert!(runs.iter().all(|run| run.2 == Outcome::Fail), "{rate}");
        let mean = runs.iter().map(|run| run.1 as f64).sum::<f64>() / 60.0;
        assert!(mean <= 50.0, "{mean} failed requests at an error rate of {rate}");
    }
}

#[test]
fn a_larger_budget_is_never_slower() {
    let clean = |budget| {
        let mut rng = fastrand::Rng::with_seed(3);
        rollout(&mut rng, (0.002, 0.002), budget).0
    };
    let (small, large) = (clean(10.0), clean(200.0));
    assert!(large.get(5) > small.get(5), "{small:?} {large:?}");
}

#[test]
fn a_spent_budget_raises_nothing() {
    let mut judge = judge();
    let canary = ArmTick { n: 1000, errors: 8, ..ArmTick::default() };
    let baseline = ArmTick { n: 9000, errors: 9, ..ArmTick::default() };
    judge.observe(&Tick { seconds: 1, baseline, canary, ..Tick::default() });
    assert!((next_share(&judge, &situation(0.1), 5.0, 0.5) - 0.1).abs() < 1e-12);
}

#[test]
fn without_errors_judged_nothing_is_raised() {
    let metrics = vec![Metric::Latency.into()];
    let settings = JudgeSettings { metrics, ..JudgeSettings::default() };
    let judge = Judge::new(JudgeConfig::new(settings).unwrap());
    assert!((next_share(&judge, &situation(0.05), 1e9, 0.5) - 0.05).abs() < 1e-12);
}
