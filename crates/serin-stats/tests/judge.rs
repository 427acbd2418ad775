//! Rules of the judge, one by one.

#![allow(clippy::unwrap_used, clippy::float_cmp)]

use serin_stats::onset::Onset;
use serin_stats::{
    ArmTick, Assessment, ConfigError, Histogram, Judge, JudgeConfig, JudgeSettings, Metric,
    Outcome, Rung, Tick,
};

const RUNG1: Rung = Rung { j: 1, m: 2 };

fn judge(metrics: &[Metric]) -> Judge {
    judge_with(JudgeSettings {
        metrics: metrics.iter().cloned().map(Into::into).collect(),
        ..JudgeSettings::default()
    })
}

fn judge_with(settings: JudgeSettings) -> Judge {
    Judge::new(JudgeConfig::new(settings).unwrap())
}

fn arm(n: u64, errors: u64) -> ArmTick {
    ArmTick { n, errors, latency: spread(n - errors, 467), unfinished: 0, ..ArmTick::default() }
}

/// `n` requests spread over the 32 buckets from `bucket`.
fn spread(n: u64, bucket: u16) -> Histogram {
    (0..32).map(|b| (bucket + b, n / 32 + u64::from(u64::from(b) < n % 32))).collect()
}

fn tick(canary: ArmTick, baseline: ArmTick) -> Tick {
    Tick { seconds: 1, baseline, canary, ..Tick::default() }
}

fn clean(n_c: u64, n_s: u64) -> Tick {
    tick(arm(n_c, 0), arm(n_s, 0))
}

/// Ticks until the outcome at `rung` is not `Continue` or `NoData`; at most 5,000.
fn until_decided(judge: &mut Judge, tick: &Tick, rung: Rung) -> (u64, Assessment) {
    for ticks in 1..=5000 {
        judge.observe(tick);
        let assessment = judge.assess(rung);
        if !matches!(assessment.outcome, Outcome::Continue | Outcome::NoData) {
            return (ticks, assessment);
        }
    }
    (5000, judge.assess(rung))
}

#[test]
fn a_service_without_errors_passes_after_830_requests() {
    let mut judge = judge(&[Metric::Errors]);
    let (ticks, assessment) = until_decided(&mut judge, &clean(10, 90), Rung::LAST);
    assert_eq!((assessment.outcome, ticks), (Outcome::Pass, 83));
}

#[test]
fn the_first_rung_is_sooner_and_what_is_missing_was_foretold() {
    let mut judge = judge(&[Metric::Errors]);
    let (ticks, assessment) = until_decided(&mut judge, &clean(10, 90), RUNG1);
    assert_eq!((assessment.outcome, ticks), (Outcome::Pass, 48));
    let last = judge.assess(Rung::LAST);
    assert_eq!(last.outcome, Outcome::Continue);
    let missing = last.metrics[0].requests_missing.unwrap();
    assert!((340..=350).contains(&missing), "{missing} requests missing");
    let (more, _) = until_decided(&mut judge, &clean(10, 90), Rung::LAST);
    assert_eq!(more, missing.div_ceil(10));
}

#[test]
fn canary_alone_is_evidence_for_the_floor_only() {
    let mut judge = judge(&[Metric::Errors]);
    judge.observe(&tick(arm(100, 1), ArmTick::default()));
    let m = &judge.assess(Rung::LAST).metrics[0];
    assert!(m.fail_evidence.abs() < 1e-9);
    assert!(m.pass_evidence < 0.0, "{}", m.pass_evidence);
    let before = m.pass_evidence;
    judge.observe(&tick(ArmTick::default(), arm(100, 50)));
    assert_eq!(judge.assess(Rung::LAST).metrics[0].pass_evidence.to_bits(), before.to_bits());
}

#[test]
fn a_total_failure_is_seen_in_ten_requests() {
    let mut judge = judge(&[Metric::Errors]);
    judge.observe(&clean(0, 90));
    let (ticks, a) = until_decided(&mut judge, &tick(arm(1, 1), arm(9, 0)), Rung::LAST);
    assert_eq!(a.outcome, Outcome::Fail);
    assert!(ticks <= 5, "{ticks} ticks");
    assert_eq!(a.blame, [Metric::Errors]);
    assert_eq!(judge.failure().unwrap().canary_n, ticks);
}

#[test]
fn a_tolerated_rate_is_not_rolled_back() {
    let half_a_percent = tick(arm(200, 1), arm(1800, 0));
    let tolerant = JudgeSettings { tolerate: Some(0.02), ..JudgeSettings::default() };
    let mut strict = judge(&[Metric::Errors]);
    let mut tolerant =
        judge_with(JudgeSettings { metrics: vec![Metric::Errors.into()], ..tolerant });
    for _ in 0..20 {
        strict.observe(&half_a_percent);
        tolerant.observe(&half_a_percent);
    }
    assert!(strict.failure().is_some());
    assert!(tolerant.failure().is_none());
    let (_, a) = until_decided(&mut tolerant, &tick(arm(200, 20), arm(1800, 0)), Rung::LAST);
    assert_eq!(a.outcome, Outcome::Fail);
}

#[test]
fn latency_waits_for_a_reference_and_then_passes() {
    let mut judge = judge(&[Metric::Latency]);
    judge.observe(&clean(96, 320));
    let a = judge.assess(RUNG1);
    assert_eq!((a.outcome, a.canary_n), (Outcome::NoData, 96));
    let (_, a) = until_decided(&mut judge, &clean(96, 320), Rung::LAST);
    assert_eq!(a.outcome, Outcome::Pass);
    let latency = a.metrics[0].latency.unwrap();
    assert_eq!(latency.baseline_p50_ms, latency.canary_p50_ms);
    let limit = a.metrics[0].limit.unwrap() / latency.baseline_p99_ms.unwrap();
    assert!((limit - 1.24).abs() < 0.01, "limit at {limit} times the 99th percentile");
}

#[test]
fn equal_latencies_in_one_bucket_pass() {
    let same = |n| ArmTick { n, latency: [(300, n)].into_iter().collect(), ..ArmTick::default() };
    let mut judge = judge(&[Metric::Latency]);
    let (_, a) = until_decided(&mut judge, &tick(same(80), same(320)), Rung::LAST);
    assert_eq!(a.outcome, Outcome::Pass);
}

fn slower(n: u64, buckets: u16) -> ArmTick {
    ArmTick { n, latency: spread(n, 467 + buckets), ..ArmTick::default() }
}

#[test]
fn a_slowdown_within_the_tolerance_is_never_held_against_the_canary() {
    let mut judge = judge(&[Metric::Latency]);
    for _ in 0..600 {
        judge.observe(&tick(slower(320, 5), arm(1280, 0)));
    }
    assert!(judge.failure().is_none());
    let (ticks, a) = until_decided(&mut judge, &tick(slower(320, 16), arm(1280, 0)), Rung::LAST);
    assert_eq!((a.outcome, &a.blame[..]), (Outcome::Fail, &[Metric::Latency][..]));
    assert!(ticks < 600, "{ticks} ticks");
}

#[test]
fn a_slow_tail_does_not_pass_on_a_good_median() {
    let mut judge = judge(&[Metric::Latency]);
    let mut latency = spread(78, 467);
    latency.record(640, 2);
    let tail = ArmTick { n: 80, latency, ..ArmTick::default() };
    let (_, a) = until_decided(&mut judge, &tick(tail, arm(320, 0)), Rung { j: 1, m: 4 });
    assert_eq!(a.outcome, Outcome::Fail);
}

#[test]
fn unfinished_requests_are_slower_than_everything() {
    let mut judge = judge(&[Metric::Latency]);
    let hanging =
        ArmTick { n: 80, errors: 8, latency: spread(72, 467), unfinished: 8, ..ArmTick::default() };
    let (ticks, a) = until_decided(&mut judge, &tick(hanging, arm(320, 0)), Rung::LAST);
    assert_eq!(a.outcome, Outcome::Fail);
    assert!(ticks <= 5, "{ticks} ticks");
}

#[test]
fn contradictory_counts_are_not_used() {
    let more_errors_than_requests = ArmTick { n: 5, errors: 6, ..ArmTick::default() };
    let unfinished_without_error = ArmTick { n: 5, unfinished: 1, ..ArmTick::default() };
    let more_timed_than_good =
        ArmTick { n: 5, errors: 1, latency: spread(5, 467), ..ArmTick::default() };
    let mut judge = judge(&[Metric::Errors, Metric::Latency]);
    for arm in [more_errors_than_requests, unfinished_without_error, more_timed_than_good] {
        judge.observe(&tick(arm, ArmTick::default()));
        assert_eq!(judge.assess(Rung::LAST).outcome, Outcome::Invalid);
    }
    assert_eq!((judge.rejected_ticks(), judge.assess(Rung::LAST).canary_n), (3, 0));
    judge.observe(&clean(10, 90));
    assert_eq!(judge.assess(Rung::LAST).outcome, Outcome::NoData);
}

#[test]
fn both_metrics_have_to_pass_and_one_is_enough_to_fail() {
    let mut judge = judge(&[Metric::Latency, Metric::Errors]);
    let slow = tick(slower(80, 64), arm(320, 0));
    let (_, a) = until_decided(&mut judge, &slow, Rung::LAST);
    assert_eq!((a.outcome, &a.blame[..]), (Outcome::Fail, &[Metric::Latency][..]));
    let order: Vec<Metric> = a.metrics.iter().map(|m| m.metric.clone()).collect();
    assert_eq!(order, [Metric::Latency, Metric::Errors]);
    assert_eq!(a.metrics[0].outcome, Outcome::Fail);
    assert_ne!(a.metrics[1].outcome, Outcome::Fail);
}

#[test]
fn the_interval_holds_the_true_ratio_and_narrows() {
    let mut judge = judge(&[Metric::Errors]);
    assert_eq!(judge.assess(Rung::LAST).metrics[0].interval, None);
    let mut widths = vec![];
    for _ in 0..3 {
        (0..40).for_each(|_| judge.observe(&tick(arm(300, 3), arm(2700, 27))));
        let (low, high) = judge.assess(Rung::LAST).metrics[0].interval.unwrap();
        assert!(low < 1.0 && 1.0 < high, "{low} to {high}");
        widths.push(high / low);
    }
    assert!(widths[0] > widths[1] && widths[1] > widths[2], "{widths:?}");
    assert!(widths[2] < 2.5, "{widths:?}");
}

#[test]
fn a_late_regression_is_found_sooner_with_the_onset_mixture() {
    let ticks_to_failure = |late_onset| {
        let metrics = vec![Metric::Errors.into()];
        let mut judge =
            judge_with(JudgeSettings { late_onset, metrics, ..JudgeSettings::default() });
        for _ in 0..900 {
            judge.observe(&tick(arm(200, 1), arm(1800, 9)));
        }
        let late = (1..5000).find(|_| {
            judge.observe(&tick(arm(200, 4), arm(1800, 9)));
            judge.failure().is_some()
        });
        late.unwrap()
    };
    let (without, with) = (ticks_to_failure(false), ticks_to_failure(true));
    assert!(with * 2 < without, "{with} ticks with and {without} without");
}

#[test]
fn starts_are_due_each_minute_and_their_priors_sum_to_one() {
    let mut onset = Onset::default();
    let mut mass = Onset::LN_FIRST.exp();
    for (seconds, due) in [(30, false), (30, false), (1, true), (59, false), (600, true), (1, true)]
    {
        let weight = onset.advance(seconds);
        assert_eq!(weight.is_some(), due);
        mass += weight.map_or(0.0, f64::exp);
        assert!((mass + onset.ln_rest().exp() - 1.0).abs() < 1e-12);
    }
}

/// Same ticks, same bits, on every platform.
#[test]
fn evidence_to_the_last_bit() {
    let mut judge = judge(&[Metric::Errors, Metric::Latency]);
    for t in 0..50_u64 {
        let canary = ArmTick { unfinished: t % 2, ..arm(80 + t % 7, 1 + t % 3) };
        judge.observe(&tick(canary, arm(320 - t % 11, t % 4)));
    }
    let a = judge.assess(Rung::LAST);
    let bits: Vec<u64> = a
        .metrics
        .iter()
        .flat_map(|m| [m.fail_evidence.to_bits(), m.pass_evidence.to_bits()])
        .collect();
    assert_eq!(
        bits,
        [
            4_632_641_689_519_770_386,
            13_848_555_264_979_185_412,
            4_628_448_181_089_747_524,
            4_600_848_597_792_693_574,
        ],
        "{a:?}"
    );
}

#[test]
fn settings_out_of_range_are_refused_with_the_range() {
    let refused = |change: fn(&mut JudgeSettings)| {
        let mut settings = JudgeSettings::default();
        change(&mut settings);
        JudgeConfig::new(settings).unwrap_err().to_string()
    };
    assert_eq!(refused(|s| s.alpha = 0.7), "alpha is 0.7; choose a value from 0.000000001 to 0.5");
    assert_eq!(
        refused(|s| s.beta = f64::NAN),
        "beta is NaN; choose a value from 0.000000001 to 0.5"
    );
    assert_eq!(refused(|s| s.harm_ratio = 1.0), "harm_ratio is 1; choose a value from 1.05 to 100");
    assert_eq!(
        refused(|s| s.metrics.clear()),
        "no critical metric to judge; name errors, latency or both"
    );
    let twice = refused(|s| s.metrics.push(Metric::Latency.into()));
    assert_eq!(twice, "metric latency is listed twice; remove one");
    assert_eq!(
        JudgeConfig::new(JudgeSettings { tolerate: Some(0.0), ..JudgeSettings::default() }),
        Err(ConfigError::OutOfRange { name: "tolerate", value: 0.0, low: 1e-6, high: 0.5 })
    );
}

#[test]
fn stored_settings_are_checked_again() {
    let text = serde_json::to_string(&judge(&[Metric::Errors])).unwrap();
    assert!(serde_json::from_str::<Judge>(&text).is_ok());
    let tampered = text.replace("\"alpha\":0.01", "\"alpha\":2");
    let error = serde_json::from_str::<Judge>(&tampered).unwrap_err().to_string();
    assert!(error.contains("alpha is 2"), "{error}");
}

#[test]
fn rungs_out_of_range_are_the_nearest() {
    let parts = [(0, 4), (1, 4), (4, 4), (9, 4), (0, 0), (7, 0)].map(|(j, m)| Rung { j, m }.part());
    assert_eq!(parts, [0.25, 0.25, 1.0, 1.0, 1.0, 1.0]);
}
