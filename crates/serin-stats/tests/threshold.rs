//! Threshold checks: counting, missing data, and values that are none.

#![allow(clippy::unwrap_used, clippy::float_cmp)] // whole counts have exact rates

use serin_stats::threshold::{
    Bound, Ceiling, Check, CheckError, CheckState, CheckVerdict, Failures, Grade, Population,
    Range, Sample, Signal, measure, observe, overall, total_from_argo,
};
use serin_stats::{ArmTick, Histogram, Tick};

const MINUTE: u64 = 60_000;

fn pool() -> Check {
    Check { success: Some(Range::at_most(0.8)), ..Check::of("pool", Signal::value("of the pool")) }
}

/// What the check says after a reading a minute, one minute after the other.
fn minutes(check: &Check, values: &[f64]) -> Vec<CheckVerdict> {
    check.validate().unwrap();
    let mut state = CheckState::new(0);
    let mut at = 0;
    let mut next = |value: &f64| {
        at += MINUTE;
        measure(check, &mut state, at, &Sample::value(*value))
    };
    values.iter().map(&mut next).collect()
}

/// `p`ass, `F`ail, `r`eport, `c`ontinue, `i`nconclusive, `e`rror, `n`o data.
fn letters(verdicts: &[CheckVerdict]) -> String {
    let letter = |verdict: &CheckVerdict| match verdict {
        CheckVerdict::Pass => 'p',
        CheckVerdict::Fail { .. } => 'F',
        CheckVerdict::Report { .. } => 'r',
        CheckVerdict::Continue { .. } => 'c',
        CheckVerdict::Inconclusive { .. } => 'i',
        CheckVerdict::Error { .. } => 'e',
        CheckVerdict::NoData { .. } => 'n',
    };
    verdicts.iter().map(letter).collect()
}

#[track_caller]
fn gives(check: &Check, values: &[f64], expected: &str) {
    assert_eq!(letters(&minutes(check, values)), expected);
}

const GOOD: f64 = 0.5;
const BAD: f64 = 0.9;

/// Flagger's counter is never reset by a success: five bad ones among good ones are five.
#[test]
fn total_failures_are_never_reset() {
    let check = Check { failures: Failures::Total(5), ..pool() };
    let values = [BAD, GOOD, BAD, GOOD, BAD, GOOD, BAD, GOOD, BAD];
    gives(&check, &values, "cpcpcpcpF");
}

#[test]
fn a_success_resets_consecutive_failures() {
    let check = Check { failures: Failures::Consecutive(3), ..pool() };
    gives(&check, &[BAD, BAD, GOOD, BAD, BAD, BAD, GOOD], "ccpccFF");
}

/// Argo fails with *more* than `failureLimit` failures: with 3 at the fourth, in all.
#[test]
fn argo_fails_above_its_limit() {
    assert_eq!(total_from_argo(3), Some(Failures::Total(4)));
    assert_eq!(total_from_argo(0), Some(Failures::Total(1)));
    assert_eq!([total_from_argo(-1), total_from_argo(i64::MAX)], [None, None]);
    let check = Check { failures: total_from_argo(3).unwrap(), ..pool() };
    gives(&check, &[BAD, BAD, GOOD, BAD, BAD], "ccpcF");
}

#[test]
fn a_failure_is_final() {
    gives(&pool(), &[BAD, GOOD, GOOD, f64::NAN], "FFFF");
    let why = minutes(&pool(), &[BAD]);
    assert_eq!(
        why[0].why(),
        Some("pool: 0.9 of the pool, allowed is at most 0.8 of the pool; failure 1 of 1")
    );
}

#[test]
fn neither_good_nor_bad_is_inconclusive() {
    let check = Check { failure: Some(Range::at_least(0.95)), ..pool() };
    gives(&check, &[GOOD, 0.9, GOOD], "pii");
    let patient = Check { inconclusive_limit: 1, ..check.clone() };
    gives(&patient, &[0.9, GOOD, 0.9, 0.97], "cpiF");
    let only_failure = Check { success: None, ..check.clone() };
    gives(&only_failure, &[0.9, 0.95], "pF");
    // Where both ranges hold, the failure wins.
    let both = Check { failure: Some(Range::at_least(0.4)), ..check };
    gives(&both, &[GOOD], "F");
}

#[test]
fn a_person_can_forgive_what_was_inconclusive() {
    let check = Check { failure: Some(Range::at_least(0.95)), ..pool() };
    let mut state = CheckState::new(0);
    measure(&check, &mut state, MINUTE, &Sample::value(0.9));
    assert_eq!(letters(&[state.verdict(&check, MINUTE)]), "i");
    state.forgive();
    let after = measure(&check, &mut state, 2 * MINUTE, &Sample::value(GOOD));
    assert_eq!(after, CheckVerdict::Pass);
}

/// Values that are no numbers are errors, the fifth in a row is one too many, and a reading ends
/// the row. None of them counts for or against the version.
#[test]
fn what_is_no_number_is_an_error_and_never_passes() {
    let nan = f64::NAN;
    gives(&pool(), &[nan, f64::INFINITY, f64::NEG_INFINITY, nan, nan, nan], "ccccee");
    gives(&pool(), &[nan, nan, nan, nan, GOOD, nan, nan, nan, nan, nan], "ccccpcccce");
    let strict = Check { error_limit: 0, failures: Failures::Consecutive(2), ..pool() };
    gives(&strict, &[nan, GOOD, BAD, nan, BAD], "epceF");
    let floorless = Check { success: Some(Range::at_least(0.1)), ..pool() };
    gives(&floorless, &[nan, f64::INFINITY], "cc");
}

#[test]
fn unreadable_sources_are_asked_again_soon() {
    let check = pool();
    let mut state = CheckState::new(0);
    let broken = Sample::Unreadable("connection refused".into());
    let verdict = measure(&check, &mut state, 0, &broken);
    assert_eq!(verdict.why(), Some("pool: connection refused; error 1 in a row, 4 are allowed"));
    assert_eq!(state.next_ms(&check), Some(10_000));
    measure(&check, &mut state, 10_000, &Sample::value(GOOD));
    assert_eq!(state.next_ms(&check), Some(10_000 + MINUTE));
}

#[test]
fn silence_is_no_data_and_counts_for_nothing() {
    let check = Check { count: Some(1), ..pool() };
    let mut state = CheckState::new(0);
    for minute in 1..50 {
        let verdict = measure(&check, &mut state, minute * MINUTE, &Sample::Nothing);
        assert_eq!(letters(&[verdict]), "n");
    }
    assert_eq!(state.tally().judged(), 0);
    let verdict = measure(&check, &mut state, 50 * MINUTE, &Sample::value(GOOD));
    assert_eq!(verdict, CheckVerdict::Pass);
}

#[test]
fn a_source_that_goes_silent_takes_its_pass_back() {
    let check = pool();
    let mut state = CheckState::new(0);
    assert_eq!(measure(&check, &mut state, MINUTE, &Sample::value(GOOD)), CheckVerdict::Pass);
    assert_eq!(state.verdict(&check, 4 * MINUTE), CheckVerdict::Pass);
    assert_eq!(letters(&[state.verdict(&check, 5 * MINUTE)]), "n");
}

#[test]
fn a_count_ends_the_check() {
    let check = Check { count: Some(3), failures: Failures::Total(2), ..pool() };
    gives(&check, &[GOOD, BAD, GOOD, BAD, BAD], "ccppp");
    gives(&check, &[f64::NAN, GOOD, GOOD, GOOD], "cccp");
    let only_doubt = Check { failure: Some(Range::at_least(0.95)), inconclusive_limit: 9, ..check };
    gives(&only_doubt, &[0.9, 0.9, 0.9], "cci");
}

#[test]
fn it_waits_for_its_time() {
    let check = Check { initial_delay_ms: 30_000, ..pool() };
    let mut state = CheckState::new(1000);
    assert_eq!(state.next_ms(&check), Some(31_000));
    let early = measure(&check, &mut state, 20_000, &Sample::value(BAD));
    assert_eq!(early.why(), Some("pool: measured first in 11 s"));
    assert_eq!(measure(&check, &mut state, 31_000, &Sample::value(GOOD)), CheckVerdict::Pass);
    // Within the interval nothing is counted, not even a failure seen twice.
    assert_eq!(measure(&check, &mut state, 60_000, &Sample::value(BAD)), CheckVerdict::Pass);
    assert_eq!(letters(&[measure(&check, &mut state, 91_000, &Sample::value(BAD))]), "F");
    let later = Check { starting_step: 2, ..check };
    assert_eq!([0, 1, 2, 3].map(|step| later.applies_at(step)), [false, false, true, true]);
}

#[test]
fn a_clock_set_back_begins_a_new_interval() {
    let check = pool();
    let mut state = CheckState::new(100 * MINUTE);
    measure(&check, &mut state, 101 * MINUTE, &Sample::value(GOOD));
    assert_eq!(measure(&check, &mut state, MINUTE, &Sample::value(BAD)), CheckVerdict::Pass);
    assert_eq!(letters(&[measure(&check, &mut state, 2 * MINUTE, &Sample::value(BAD))]), "F");
}

#[test]
fn a_check_that_only_reports_decides_nothing() {
    let check = Check { report_only: true, failures: Failures::Total(2), ..pool() };
    let verdicts = minutes(&check, &[BAD, BAD, GOOD]);
    assert_eq!(letters(&verdicts), "crr");
    let (pass, other) = (CheckVerdict::Pass, pool());
    assert_eq!(overall([(&check, &verdicts[2])]), None);
    assert_eq!(overall([(&check, &verdicts[2]), (&other, &pass)]), Some(&pass));
}

#[test]
fn the_gravest_verdict_counts() {
    let why = || String::from("x");
    let sorted = [
        CheckVerdict::Pass,
        CheckVerdict::Continue { why: why() },
        CheckVerdict::NoData { why: why() },
        CheckVerdict::Inconclusive { why: why() },
        CheckVerdict::Error { why: why() },
        CheckVerdict::Fail { why: why() },
    ];
    let check = pool();
    for (at, gravest) in sorted.iter().enumerate() {
        let forth = sorted[..=at].iter().map(|verdict| (&check, verdict));
        let back = sorted[..=at].iter().rev().map(|verdict| (&check, verdict));
        assert_eq!([overall(forth), overall(back)], [Some(gravest); 2]);
    }
}

fn arm(n: u64, errors: u64) -> ArmTick {
    ArmTick { n, errors, ..ArmTick::default() }
}

fn tick(canary: ArmTick, baseline: ArmTick) -> Tick {
    Tick { seconds: 1, baseline, canary, ..Tick::default() }
}

/// Feeds the same second for `seconds`; the last verdict.
fn seconds(check: &Check, seconds: u64, second: &Tick) -> (CheckState, CheckVerdict) {
    check.validate().unwrap();
    let mut state = CheckState::new(0);
    let verdicts = (1..=seconds).map(|s| observe(check, &mut state, s * 1000, second));
    let last = verdicts.last().unwrap();
    (state, last)
}

fn errors_at_most(max: f64, population: Population) -> Check {
    let success = Some(Range::at_most(max));
    Check { success, population, ..Check::of("errors", Signal::ErrorRate) }
}

/// 5 % of traffic with 10 % errors among 95 % with 0.1 %: 0.595 % in all looks fine.
#[test]
fn the_whole_masks_a_bad_canary() {
    let second = tick(arm(1000, 100), arm(19_000, 19));
    let (state, verdict) = seconds(&errors_at_most(0.01, Population::Service), 60, &second);
    assert_eq!(verdict, CheckVerdict::Pass);
    assert!((state.last().unwrap().value.unwrap() - 0.00595).abs() < 1e-12);
    let (_, verdict) = seconds(&errors_at_most(0.01, Population::Canary), 60, &second);
    assert_eq!(verdict.why(), Some("errors: 10 %, allowed is at most 1 %; failure 1 of 1"));
    let (_, verdict) = seconds(&errors_at_most(0.01, Population::Stable), 60, &second);
    assert_eq!(verdict, CheckVerdict::Pass);
    let (_, verdict) = seconds(&errors_at_most(0.02, Population::Difference), 60, &second);
    assert_eq!(letters(&[verdict]), "F");
}

/// Requests are counted by arm. Divided by the share that was *expected*, 60 requests of which 12
/// failed would have looked like 12 % of 100.
#[test]
fn rates_are_of_counted_requests() {
    let (state, _) =
        seconds(&errors_at_most(0.15, Population::Canary), 1, &tick(arm(60, 12), arm(940, 0)));
    assert_eq!(state.last().unwrap().value, Some(0.2));
}

#[test]
fn too_few_requests_are_no_data() {
    let check = Check { min_samples: 100, ..errors_at_most(0.01, Population::Canary) };
    let (_, verdict) = seconds(&check, 1, &tick(arm(99, 0), arm(9000, 0)));
    assert_eq!(verdict.why(), Some("errors: 99 samples, 100 are needed"));
    assert_eq!(seconds(&check, 1, &tick(arm(100, 0), arm(0, 0))).1, CheckVerdict::Pass);
    let compared = Check { population: Population::Difference, ..check };
    assert_eq!(letters(&[seconds(&compared, 1, &tick(arm(5000, 0), arm(50, 0))).1]), "n");
    let (_, verdict) =
        seconds(&errors_at_most(0.01, Population::Canary), 600, &tick(arm(0, 0), arm(9, 0)));
    assert_eq!(letters(&[verdict]), "n");
    let provider = Check { min_samples: 100, ..pool() };
    gives(&provider, &[GOOD], "n");
}

#[test]
fn ratios_have_a_floor() {
    let check = Check { floor: 0.001, ..errors_at_most(1.5, Population::Ratio) };
    let ratio = |canary, stable| {
        let second = tick(arm(10_000, canary), arm(90_000, stable));
        seconds(&check, 1, &second).0.last().unwrap().value
    };
    assert_eq!(ratio(10, 0), Some(1.0));
    assert_eq!(ratio(40, 180), Some(2.0));
    let bare = errors_at_most(1.5, Population::Ratio);
    assert_eq!(seconds(&bare, 1, &tick(arm(10, 0), arm(90, 0))).1, CheckVerdict::Pass);
    let (state, verdict) = seconds(&bare, 1, &tick(arm(10, 1), arm(90, 0)));
    assert_eq!((state.last().unwrap().grade, letters(&[verdict])), (Grade::Error, "c".into()));
    let negative = Sample::Arms { canary: -1.0, stable: 2.0, samples: None };
    assert_eq!(letters(&[measure(&bare, &mut CheckState::new(0), 0, &negative)]), "c");
}

#[test]
fn impossible_counts_are_errors() {
    let check = errors_at_most(0.5, Population::Canary);
    for wrong in [arm(5, 6), ArmTick { unfinished: 2, ..arm(5, 1) }] {
        let (state, verdict) = seconds(&check, 1, &tick(wrong, arm(50, 0)));
        assert_eq!((state.last().unwrap().grade, letters(&[verdict])), (Grade::Error, "c".into()));
    }
}

fn timed(canary_ms: &[(u64, u64)], unfinished: u64) -> Tick {
    let mut latency = Histogram::new();
    for (ms, count) in canary_ms {
        latency.record(serin_stats::bucket_of_us(ms * 1000), *count);
    }
    let n = latency.total() + unfinished;
    let canary = ArmTick { n, errors: unfinished, latency, unfinished, ..ArmTick::default() };
    tick(canary, arm(0, 0))
}

#[test]
fn latency_is_a_quantile_of_the_window() {
    let check = Check {
        success: Some(Range::at_most(500.0)),
        ..Check::of("p99", Signal::Latency { quantile: 0.99 })
    };
    let p99 = |second: &Tick| seconds(&check, 1, second).0.last().unwrap().value.unwrap();
    assert!((p99(&timed(&[(100, 99), (900, 1)], 0)) / 100.0 - 1.0).abs() < 0.02);
    assert!((p99(&timed(&[(100, 98), (900, 2)], 0)) / 900.0 - 1.0).abs() < 0.02);
    let hanging = timed(&[(100, 98)], 2);
    assert!(p99(&hanging) > 4e6);
    assert_eq!(letters(&[seconds(&check, 1, &hanging).1]), "F");
    let mean = Check { signal: Signal::MeanLatency, ..check };
    let (state, _) = seconds(&mean, 1, &timed(&[(100, 50), (300, 50)], 0));
    assert!((state.last().unwrap().value.unwrap() / 200.0 - 1.0).abs() < 0.02);
}

#[test]
fn what_is_older_than_the_window_is_forgotten() {
    let check = Check {
        window_ms: 20_000,
        interval_ms: 1000,
        failures: Failures::Consecutive(1000),
        ..errors_at_most(0.01, Population::Canary)
    };
    let (mut state, _) = seconds(&check, 30, &tick(arm(10, 10), arm(10, 0)));
    let clean = tick(arm(10, 0), arm(10, 0));
    let rates: Vec<f64> = (31..=52)
        .map(|s| {
            observe(&check, &mut state, s * 1000, &clean);
            state.last().unwrap().value.unwrap()
        })
        .collect();
    assert!((rates[9] - 0.5).abs() < 0.06, "{rates:?}");
    assert!(rates.is_sorted_by(|a, b| a >= b) && rates[21] == 0.0, "{rates:?}");
}

#[test]
fn requests_a_second() {
    let check = Check {
        success: Some(Range::between(20.0, 30.0)),
        ..Check::of("rps", Signal::RequestsPerSecond)
    };
    let second = Tick { seconds: 2, ..tick(arm(50, 0), arm(450, 0)) };
    let (state, verdict) = seconds(&check, 30, &second);
    assert_eq!((state.last().unwrap().value, verdict), (Some(25.0), CheckVerdict::Pass));
}

fn ceiling() -> Check {
    Check {
        ceiling: Some(Ceiling { p_max: 0.01, alpha: 0.01 }),
        min_samples: 200,
        ..Check::of("ceiling", Signal::ErrorRate)
    }
}

/// With one error in a hundred allowed, 2 % is found by counting on; 1 % never is, and neither is
/// a single error in the first requests.
#[test]
fn the_ceiling_test_rolls_back_on_evidence() {
    let check = ceiling();
    assert_eq!(letters(&[seconds(&check, 3, &tick(arm(50, 0), arm(0, 0))).1]), "n");
    assert_eq!(seconds(&check, 3600, &tick(arm(100, 1), arm(0, 0))).1, CheckVerdict::Pass);
    let (state, verdict) = seconds(&check, 5, &tick(arm(100, 2), arm(0, 0)));
    assert_eq!(letters(&[verdict]), "c");
    assert!(state.ceiling_evidence(&check).unwrap() < 100_f64.ln());
    let (state, verdict) = seconds(&check, 60, &tick(arm(100, 2), arm(0, 0)));
    assert!(state.ceiling_evidence(&check).unwrap() >= 100_f64.ln());
    assert!(verdict.why().unwrap().contains("more than 1 % (alpha 0.01)"), "{verdict:?}");
    assert_eq!(letters(&[verdict]), "F");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let out = |check: Check| check.validate().unwrap_err();
    assert_eq!(out(Check::of("x", Signal::ErrorRate)), CheckError::Limits);
    assert_eq!(out(Check { success: Some(Range::at_most(1.0)), ..ceiling() }), CheckError::Limits);
    assert_eq!(out(Check { signal: Signal::MeanLatency, ..ceiling() }), CheckError::CeilingOf);
    assert_eq!(out(Check { population: Population::Ratio, ..ceiling() }), CheckError::CeilingOf);
    let range = |min, max| Check { success: Some(Range { min, max }), ..pool() };
    for empty in [
        range(None, None),
        range(Some(Bound::Including(2.0)), Some(Bound::Including(1.0))),
        range(Some(Bound::Excluding(1.0)), Some(Bound::Including(1.0))),
        range(None, Some(Bound::Including(f64::NAN))),
    ] {
        assert_eq!(out(empty), CheckError::EmptyRange("success"));
    }
    for wrong in [
        Check { interval_ms: 0, ..pool() },
        Check { window_ms: 999, ..pool() },
        Check { floor: f64::NAN, ..pool() },
        Check { signal: Signal::Latency { quantile: 1.0 }, ..pool() },
        Check { ceiling: Some(Ceiling { p_max: 0.6, alpha: 0.01 }), ..ceiling() },
        Check { ceiling: Some(Ceiling { p_max: 0.01, alpha: f64::NAN }), ..ceiling() },
    ] {
        let error = out(wrong);
        assert!(matches!(error, CheckError::OutOfRange { .. }), "{error}");
    }
    assert_eq!(out(Check { count: Some(0), ..pool() }), CheckError::Zero("count"));
    let none = Failures::Consecutive(0);
    assert_eq!(out(Check { failures: none, ..pool() }), CheckError::Zero("failures"));
}

#[test]
fn state_survives_storing() {
    let check = Check { failures: Failures::Total(2), ..errors_at_most(0.01, Population::Canary) };
    let second = tick(arm(50, 3), arm(450, 2));
    let (state, _) = seconds(&check, 60, &second);
    let text = serde_json::to_string(&state).unwrap();
    let mut loaded: CheckState = serde_json::from_str(&text).unwrap();
    assert_eq!(loaded, state);
    let kept: Check = serde_json::from_str(&serde_json::to_string(&check).unwrap()).unwrap();
    assert_eq!(letters(&[observe(&kept, &mut loaded, 120_000, &second)]), "F");
}
