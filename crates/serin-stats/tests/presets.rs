//! Presets, advice, and series of providers: limits in correct units.

#![allow(clippy::unwrap_used)]

use serin_stats::threshold::{
    CheckState, CheckVerdict, Failures, Increases, Population, Sample, SeriesError, Topic, advise,
    mb_per_minute, measure, preset, presets, slope_per_second, unit_advice,
};

#[test]
fn every_preset_is_sound_and_has_a_meaning() {
    assert!(presets().iter().map(|preset| preset.name).is_sorted_by(|a, b| a < b));
    for known in presets() {
        let checks = preset(known.name).unwrap();
        assert!(!checks.is_empty() && known.meaning.len() > 20, "{}", known.name);
        for check in checks {
            assert_eq!(check.validate(), Ok(()), "{} {}", known.name, check.name);
        }
    }
    assert_eq!(preset("no-such-preset"), None);
}

/// What a preset's check says about one value, at its first measurement.
fn grade(preset_name: &str, check: &str, value: f64) -> bool {
    let checks = preset(preset_name).unwrap();
    let check = checks.into_iter().find(|c| c.name == check).unwrap();
    let check =
        serin_stats::threshold::Check { failures: Failures::Total(1), count: None, ..check };
    let samples = Some(1000);
    let sample = Sample::Value { value, samples };
    let at = check.initial_delay_ms;
    match measure(&check, &mut CheckState::new(0), at, &sample) {
        CheckVerdict::Pass => true,
        CheckVerdict::Fail { .. } => false,
        other => panic!("{other:?}"),
    }
}

/// The limits with their units: shares from 0 to 1, milliseconds, ratios, points.
#[test]
fn limits_are_where_they_should_be() {
    for (preset, check, good, bad) in [
        ("post-switch", "error-rate", 0.01, 0.0101),
        ("post-switch", "p99", 1000.0, 1001.0),
        ("post-switch-minute", "p99", 1000.0, 1001.0),
        ("post-switch-logs", "error-lines", 10.0, 11.0),
        ("flagger", "success-rate", 0.99, 0.989),
        ("flagger", "p99", 500.0, 501.0),
        ("transactions", "transactions", 95.0, 94.9),
        ("shadow", "p99-ratio", 1.2, 1.21),
        ("shadow", "error-rate", 0.01, 0.011),
        ("absolute-increase", "error-increase", 0.01, 0.011),
        ("absolute-increase", "p99-increase", 1.1, 1.11),
        ("relative", "error-ratio", 1.5, 1.51),
        ("relative", "p95-ratio", 1.3, 1.31),
        ("relative", "conversion-ratio", 0.95, 0.949),
        ("smoke", "error-rate", 0.01, 0.011),
        ("smoke", "p95", 1000.0, 1001.0),
        ("success-rate", "success-rate", 0.95, 0.949),
        ("latency", "p95", 1000.0, 1001.0),
        ("conversion", "conversion", 0.15, 0.149),
        ("revenue", "revenue-per-user", 10.0, 9.99),
        ("slow-leak", "memory-growth", 4.99, 5.0),
        ("slow-leak", "connection-pool", 0.799, 0.8),
        ("slow-leak", "threads", 9999.0, 10_000.0),
        ("rollback-trigger", "error-increase", 0.02, 0.021),
        ("rollback-trigger", "p99-ratio", 1.5, 1.51),
        ("error-rate", "error-rate", 0.0099, 0.01),
    ] {
        assert!(grade(preset, check, good), "{preset} {check} {good}");
        assert!(!grade(preset, check, bad), "{preset} {check} {bad}");
    }
}

#[test]
fn limits_are_counted_as_their_tools_count() {
    let first = |name: &str| preset(name).unwrap().remove(0);
    assert_eq!(first("flagger").failures, Failures::Total(5));
    assert_eq!(first("flagger-consecutive").failures, Failures::Consecutive(5));
    assert_eq!(first("success-rate").failures, Failures::Total(4));
    assert_eq!(first("conversion").failures, Failures::Total(3));
    assert_eq!(first("shadow").failures, Failures::Total(10));
    assert_eq!(first("shadow").count, Some(10));
    assert_eq!(first("success-rate").starting_step, 2);
    assert_eq!(first("slow-leak").interval_ms, 120_000);
    assert_eq!(first("relative").interval_ms, 30_000);
    assert_eq!(first("absolute-increase").min_samples, 100);
    assert_eq!(first("absolute-increase").population, Population::Difference);
    assert_eq!(first("post-switch").initial_delay_ms, 30_000);
}

/// 600 requests in 5 minutes at 2 a second, 3 of them failed: 0.01 errors *a second* would pass or
/// fail by the traffic; the share is 0.5 % at any traffic.
#[test]
fn errors_a_second_are_no_share() {
    for times in [1.0, 100.0] {
        let mut reader = Increases::default();
        assert_eq!(reader.read(&[1000.0, 50_000.0]), Ok(None));
        let more = reader.read(&[1000.0 + 3.0 * times, 50_000.0 + 600.0 * times]).unwrap().unwrap();
        let (share, per_second) = (more[0] / more[1], more[0] / 300.0);
        assert!((share - 0.005).abs() < 1e-12);
        assert!((per_second - 0.01 * times).abs() < 1e-12);
        assert!(grade("error-rate", "error-rate", share));
        assert!(!grade("error-rate", "error-rate", per_second));
    }
}

#[test]
fn counters_only_rise() {
    let mut reader = Increases::default();
    assert_eq!(reader.read(&[5.0, 100.0]), Ok(None));
    assert_eq!(reader.read(&[5.0, 130.0]), Ok(Some(vec![0.0, 30.0])));
    let fell = reader.read(&[1.0, 140.0]);
    assert_eq!(fell, Err(SeriesError::Decreased { before: 5.0, now: 1.0 }));
    assert_eq!(reader.read(&[2.0, 150.0]), Ok(Some(vec![1.0, 10.0])));
    for wrong in [-1.0, f64::INFINITY, f64::NAN] {
        assert!(matches!(reader.read(&[2.0, wrong]), Err(SeriesError::NotACount(_))));
        assert_eq!(reader.read(&[3.0, 160.0]), Ok(None));
    }
}

/// A limit of 5 on bytes a second divided by 2^20 allows 300 MB a minute.
#[test]
fn memory_growth_is_by_the_minute() {
    let five_mb_a_second: Vec<(u64, f64)> =
        (0..30).map(|i| (i * 10_000, i as f64 * 50.0 * 1_048_576.0)).collect();
    let slope = slope_per_second(&five_mb_a_second).unwrap();
    assert!((slope / 1_048_576.0 - 5.0).abs() < 1e-9);
    assert!((mb_per_minute(slope) - 300.0).abs() < 1e-6);
    assert!(!grade("slow-leak", "memory-growth", mb_per_minute(slope)));
    assert!(grade("slow-leak", "memory-growth", mb_per_minute(slope / 61.0)));
}

/// Memory that is collected every two minutes rises and falls for ever. Taken for a counter it
/// always grows; its slope over many periods is next to nothing.
#[test]
fn a_healthy_gauge_has_no_slope() {
    let saw: Vec<(u64, f64)> =
        (0..180).map(|i| (i * 10_000, 2e8 + 1e7 * f64::from(i as u32 % 12))).collect();
    let as_counter: f64 =
        saw.windows(2).map(|w| if w[1].1 < w[0].1 { w[1].1 } else { w[1].1 - w[0].1 }).sum();
    assert!(mb_per_minute(as_counter / 1790.0) > 50.0);
    assert!(mb_per_minute(slope_per_second(&saw).unwrap()).abs() < 1.0);
    assert_eq!(slope_per_second(&[]), None);
    assert_eq!(slope_per_second(&[(1, 5.0)]), None);
    assert_eq!(slope_per_second(&[(1, 5.0), (1, 6.0)]), None);
    assert_eq!(slope_per_second(&[(1, 5.0), (2, f64::NAN)]), None);
}

#[test]
fn more_than_twelve_metrics_are_advised_against() {
    let names: Vec<String> = (0..13).map(|i| format!("metric-{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(advise(&names[..12]), []);
    let advice = advise(&names);
    assert_eq!((advice.len(), advice[0].topic), (1, Topic::TooMany));
    assert!(advice[0].text.contains("2.6 nats"), "{}", advice[0].text);
}

#[test]
fn metrics_of_low_value_are_named() {
    let low = ["system_cpu", "disk-usage", "total requests", "cpu", "http_requests_total"];
    for name in low {
        let advice = advise(&[name]);
        assert_eq!(advice.len(), 1, "{name}");
        assert_eq!((advice[0].topic, advice[0].metric.as_deref()), (Topic::LowValue, Some(name)));
    }
    let high = ["http-5xx", "p95", "p99", "cpu-per-request", "canary_cpu", "app-errors"];
    assert_eq!(advise(&high), []);
    assert_eq!(advise(&["p99", "p99"])[0].topic, Topic::Repeated);
}

#[test]
fn sticky_sessions_want_sessions_as_units() {
    assert_eq!(unit_advice(true, false).unwrap().topic, Topic::WrongUnit);
    assert_eq!([unit_advice(true, true), unit_advice(false, false)], [None, None]);
}

/// Whatever comes in, and at whatever times: a pass has a good number behind it, a failure a bad one.
#[test]
fn only_numbers_decide() {
    let mut rng = fastrand::Rng::with_seed(7);
    let junk = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    for run in 0..2000 {
        let names = presets();
        let check = names[run % names.len()].checks().remove(0);
        let (mut state, mut at) = (CheckState::new(rng.u64(0..100_000)), 0_u64);
        let range = check.success.unwrap();
        let (mut good, mut bad) = (0, 0);
        for _ in 0..40 {
            at = if rng.u8(0..20) == 0 { rng.u64(0..600_000) } else { at + rng.u64(0..200_000) };
            let value = if rng.bool() { rng.f64() * 2000.0 - 100.0 } else { rng.f64() };
            let sample = match rng.u8(0..6) {
                0 => Sample::Nothing,
                1 => Sample::Unreadable("x".into()),
                2 => Sample::Value { value: junk[rng.usize(0..3)], samples: Some(500) },
                3 => Sample::Value { value, samples: Some(0) },
                _ => {
                    let inside = range.contains(value);
                    (good, bad) = (good + u32::from(inside), bad + u32::from(!inside));
                    Sample::Value { value, samples: Some(500) }
                }
            };
            match measure(&check, &mut state, at, &sample) {
                CheckVerdict::Pass => assert!(good > 0),
                CheckVerdict::Fail { .. } => assert!(bad > 0),
                _ => {}
            }
        }
        let tally = state.tally();
        assert!(tally.successes <= good && tally.failures <= bad, "{tally:?}");
    }
}
