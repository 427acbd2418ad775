//! Metrics of the user's own: counts, shares and means, with roles; and routing that is not random.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use serin_stats::{
    ArmTick, ConfigError, Guard, Judge, JudgeConfig, JudgeSettings, Kind, Metric, MetricSettings,
    Moments, Outcome, Role, Rung, Sample, Tick, Worse,
};

fn named(name: &str, kind: Kind) -> MetricSettings {
    MetricSettings { metric: Metric::Named(name.into()), role: Role::Critical, kind }
}

fn with(metrics: Vec<MetricSettings>) -> Result<Judge, ConfigError> {
    JudgeConfig::new(JudgeSettings { metrics, ..JudgeSettings::default() }).map(Judge::new)
}

fn arm(n: u64, errors: u64) -> ArmTick {
    ArmTick { n, errors, ..ArmTick::default() }
}

fn tick(samples: Vec<(&str, Sample)>) -> Tick {
    let samples = samples.into_iter().map(|(name, s)| (Metric::Named(name.into()), s)).collect();
    Tick { seconds: 1, baseline: arm(900, 0), canary: arm(100, 0), samples, ..Tick::default() }
}

fn count(baseline: (f64, u64), canary: (f64, u64)) -> Sample {
    Sample::Count { baseline, canary }
}

/// The outcome after `sample` came `times`.
fn after(kind: Kind, sample: Sample, times: usize) -> Outcome {
    let mut judge = with(vec![named("m", kind)]).unwrap();
    (0..times).for_each(|_| judge.observe(&tick(vec![("m", sample)])));
    judge.assess(Rung::LAST).outcome
}

const RESTARTS: Kind = Kind::Count { worse: Worse::Rise, harm_ratio: 2.0, harm_floor: 0.001 };
const SIGN_UPS: Kind = Kind::Count { worse: Worse::Drop, harm_ratio: 1.25, harm_floor: 0.0 };

#[test]
fn a_rise_of_restarts_fails_and_none_passes() {
    assert_eq!(after(RESTARTS, count((10.0, 0), (2.0, 1)), 5), Outcome::Fail);
    assert_eq!(after(RESTARTS, count((10.0, 0), (2.0, 0)), 5), Outcome::Continue);
    assert_eq!(after(RESTARTS, count((10.0, 0), (2.0, 0)), 5000), Outcome::Pass);
    assert_eq!(after(RESTARTS, count((10.0, 0), (0.0, 0)), 5000), Outcome::NoData);
}

#[test]
fn a_drop_of_sign_ups_fails_and_a_rise_does_not() {
    assert_eq!(after(SIGN_UPS, count((900.0, 90), (100.0, 4)), 60), Outcome::Fail);
    assert_eq!(after(SIGN_UPS, count((900.0, 90), (100.0, 10)), 100), Outcome::Pass);
    assert_eq!(after(SIGN_UPS, count((900.0, 90), (100.0, 20)), 100), Outcome::Pass);
}

#[test]
fn a_share_is_judged_as_errors_are() {
    let kind = Kind::Share { harm_ratio: 2.0, harm_floor: 0.005 };
    let share = |canary| Sample::Share { baseline: (900, 9), canary };
    assert_eq!(after(kind, share((100, 5)), 30), Outcome::Fail);
    assert_eq!(after(kind, share((100, 1)), 60), Outcome::Pass);
}

/// `n` numbers around `mean` with a spread of 1.
fn around(mean: f64, n: u64) -> Moments {
    let n_f = n as f64;
    Moments { n, sum: mean * n_f, sum_squares: (mean * mean + 1.0) * n_f }
}

#[test]
fn means_fail_and_pass_in_their_direction() {
    let kind = Kind::Mean { worse: Worse::Drop, harm: 0.1 };
    let mean = |canary| Sample::Mean { baseline: around(20.0, 900), canary: around(canary, 100) };
    assert_eq!(after(kind, mean(18.0), 30), Outcome::Fail);
    assert_eq!(after(kind, mean(20.0), 60), Outcome::Pass);
    let bounded = Kind::BoundedMean { low: 0.0, high: 100.0, worse: Worse::Rise, harm: 20.0 };
    assert_eq!(after(bounded, mean(60.0), 60), Outcome::Fail);
    assert_eq!(after(bounded, mean(20.0), 200), Outcome::Pass);
    let estimate = |canary| Sample::MeanError { baseline: (20.0, 0.05), canary: (canary, 0.1) };
    assert_eq!(after(kind, estimate(18.0), 30), Outcome::Fail);
    assert_eq!(after(kind, estimate(20.0), 60), Outcome::Pass);
}

#[test]
fn numbers_that_cannot_be_are_refused() {
    let bad = [
        count((f64::NAN, 0), (1.0, 0)),
        count((-1.0, 0), (1.0, 0)),
        count((0.0, 3), (1.0, 0)),
        Sample::MeanError { baseline: (f64::INFINITY, 1.0), canary: (1.0, 1.0) },
        Sample::MeanError { baseline: (1.0, -1.0), canary: (1.0, 1.0) },
        Sample::Share { baseline: (1, 2), canary: (1, 0) },
        Sample::Mean {
            baseline: Moments { n: 2, sum: 10.0, sum_squares: 1.0 },
            canary: Moments::default(),
        },
    ];
    for sample in bad {
        assert_eq!(after(RESTARTS, sample, 1), Outcome::Invalid, "{sample:?}");
    }
}

#[test]
fn numbers_of_another_kind_are_no_data() {
    let mean = Sample::Mean { baseline: around(1.0, 10), canary: around(1.0, 10) };
    assert_eq!(after(RESTARTS, mean, 1000), Outcome::NoData);
}

#[test]
fn roles_decide_who_rolls_back_and_who_is_waited_for() {
    let judged = |role, canary: (f64, u64), errors| {
        let restarts = MetricSettings { role, ..named("restarts", RESTARTS) };
        let mut judge = with(vec![Metric::Errors.into(), restarts]).unwrap();
        for _ in 0..100 {
            let sample = count((10.0, 0), canary);
            let canary = arm(100, errors);
            judge.observe(&Tick { canary, ..tick(vec![("restarts", sample)]) });
        }
        judge.assess(Rung::LAST)
    };
    let (bad, unknown) = ((2.0, 1), (0.0, 0));
    assert_eq!(judged(Role::Critical, bad, 0).outcome, Outcome::Fail);
    let normal = judged(Role::Normal, bad, 0);
    assert_eq!(normal.outcome, Outcome::Fail);
    assert_eq!(normal.blame, [Metric::Named("restarts".into())]);
    assert_eq!(judged(Role::WatchOnly, bad, 0).outcome, Outcome::Pass);
    assert_eq!(judged(Role::Critical, unknown, 0).outcome, Outcome::NoData);
    assert_eq!(judged(Role::Normal, unknown, 0).outcome, Outcome::Pass);
    assert_eq!(judged(Role::WatchOnly, bad, 20).blame, [Metric::Errors]);
}

#[test]
fn shares_of_alpha_sum_to_one() {
    let role = |name: &str, role| MetricSettings { role, ..named(name, RESTARTS) };
    let metrics = vec![
        Metric::Errors.into(),
        Metric::Latency.into(),
        role("a", Role::Normal),
        role("b", Role::WatchOnly),
    ];
    let config = JudgeConfig::new(JudgeSettings { metrics, ..JudgeSettings::default() }).unwrap();
    let weights = config.weights();
    let expected = [0.35, 0.35, 0.3, 0.0];
    assert!(weights.iter().zip(expected).all(|(w, e)| (w - e).abs() < 1e-12), "{weights:?}");
}

#[test]
fn what_cannot_be_judged_is_refused() {
    let refused = |metrics| with(metrics).unwrap_err().to_string();
    let unknown = MetricSettings::from(Metric::Named("latencies".into()));
    assert!(refused(vec![unknown]).contains("latencies has the wrong kind"));
    let watched = MetricSettings { role: Role::WatchOnly, ..Metric::Errors.into() };
    assert!(refused(vec![watched]).contains("no critical metric"));
    let turned = Kind::BoundedMean { low: 1.0, high: 0.0, worse: Worse::Rise, harm: 0.1 };
    assert!(refused(vec![named("m", turned)]).starts_with("metric m: "));
    let by_rule = JudgeSettings { random_routing: false, ..JudgeSettings::default() };
    let refusal = JudgeConfig::new(by_rule).unwrap_err().to_string();
    assert!(refusal.contains("latency needs random routing"), "{refusal}");
}

/// Users of a header route: twice the errors of the others, whatever version they are on.
fn by_rule(canary_errors: u64, before: u64) -> (Outcome, Option<Guard>) {
    let metrics = vec![Metric::Errors.into()];
    let settings = JudgeSettings { metrics, random_routing: false, ..JudgeSettings::default() };
    let mut judge = Judge::new(JudgeConfig::new(settings).unwrap());
    let groups = |errors| Tick {
        seconds: 1,
        baseline: arm(10_000, 100),
        canary: arm(1000, errors),
        ..Tick::default()
    };
    (0..before).for_each(|_| judge.observe_before(&groups(20)));
    (0..100).for_each(|_| judge.observe(&groups(canary_errors)));
    let a = judge.assess(Rung::LAST);
    (a.outcome, a.invalid.map(|i| i.guard))
}

#[test]
fn groups_that_differ_are_compared_with_their_difference() {
    assert_eq!(by_rule(20, 100), (Outcome::Pass, None), "as before");
    assert_eq!(by_rule(50, 100), (Outcome::Fail, None), "worse than before");
    assert_eq!(by_rule(20, 0), (Outcome::Invalid, Some(Guard::Routing)), "nothing from before");
}
