//! The planner against simulated medians and its own limits.

#![allow(clippy::unwrap_used)]

use serin_stats::planner::{TwoProportions, requests_to_detect, requests_to_pass};
use serin_stats::{JudgeConfig, JudgeSettings, Metric, Rung, normal};

fn config(metrics: &[Metric]) -> JudgeConfig {
    let metrics = metrics.iter().cloned().map(Into::into).collect();
    JudgeConfig::new(JudgeSettings { metrics, ..JudgeSettings::default() }).unwrap()
}

#[track_caller]
fn within(actual: Option<u64>, expected: f64, slack: f64) {
    let actual = actual.unwrap() as f64;
    assert!((actual / expected - 1.0).abs() < slack, "{actual} instead of about {expected}");
}

/// Medians of 1500 simulations with a 10 % canary at alpha 0.01, looking every 20 canary requests:
/// 2,892, 914 and 5,822. (Looking every 300 they were 3,250, 1,175 and 6,013.)
#[test]
fn detection_takes_what_simulations_took() {
    let errors = config(&[Metric::Errors]);
    within(requests_to_detect(&errors, 0.005, 2.0, 0.1), 2892.0, 0.1);
    within(requests_to_detect(&errors, 0.005, 3.0, 0.1), 914.0, 0.1);
    within(requests_to_detect(&errors, 0.01, 1.5, 0.1), 5822.0, 0.1);
}

#[test]
fn sharing_alpha_costs_a_little() {
    let one = requests_to_detect(&config(&[Metric::Errors]), 0.005, 2.0, 0.1).unwrap();
    let both = [Metric::Errors, Metric::Latency];
    let two = requests_to_detect(&config(&both), 0.005, 2.0, 0.1).unwrap();
    assert!(one < two && two < one * 5 / 4, "{one} and {two}");
}

#[test]
fn without_errors_nothing_is_detected() {
    assert_eq!(requests_to_detect(&config(&[Metric::Errors]), 0.0, 2.0, 0.1), None);
}

/// Medians at 10 %: 1,490 requests at an error rate of 0.1 %, 2,690 at 0.5 %. The plan is made of
/// mean drifts; a lucky stretch passes sooner, hence it is on the safe side.
#[test]
fn passing_takes_a_little_less_than_planned() {
    let errors = config(&[Metric::Errors]);
    for (rate, median) in [(0.001, 1490.0), (0.005, 2690.0)] {
        let planned = requests_to_pass(&errors, rate, 0.1, Rung::LAST).unwrap() as f64;
        assert!((1.0..1.35).contains(&(planned / median)), "{planned} for {median}");
    }
}

#[test]
fn rungs_rise() {
    let errors = config(&[Metric::Errors]);
    let rungs: Vec<u64> =
        (1..=4).map(|j| requests_to_pass(&errors, 0.002, 0.2, Rung { j, m: 4 }).unwrap()).collect();
    assert!(rungs.is_sorted_by(|a, b| a < b), "{rungs:?}");
}

#[test]
fn equal_rates_have_no_sample_size() {
    let same = TwoProportions {
        baseline_rate: 0.01,
        canary_rate: 0.01,
        alpha: 0.05,
        power: 0.8,
        baseline_per_canary: 1.0,
        two_sided: true,
    };
    assert_eq!(same.sample_size(), None);
}

#[test]
fn normal_quantiles() {
    let known = [(0.975, 1.959_963_984_540_054), (0.01, -2.326_347_874_040_841), (0.5, 0.0)];
    for (p, z) in known {
        assert!((normal::quantile(p) - z).abs() < 1e-12, "{p}");
    }
    for p in [0.0, 1e-300, 1e-12, 0.3, 0.999_999, 1.0] {
        let z = normal::quantile(p);
        assert!(z.is_finite());
        assert!((normal::cdf(z) - p).abs() < 1e-12, "{p}");
    }
}
