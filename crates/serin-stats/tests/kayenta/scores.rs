//! Scores, weights, runs.

use super::*;

type Metric = (Classification, bool, &'static [&'static str]);

fn total(rules: &JudgeConfig, metrics: &[Metric]) -> (f64, ScoreClass) {
    let groups: Vec<Vec<String>> =
        metrics.iter().map(|m| m.2.iter().map(|g| (*g).to_owned()).collect()).collect();
    let votes: Vec<Vote> = metrics
        .iter()
        .zip(&groups)
        .map(|(m, groups)| Vote { name: "m", classification: m.0, critical: m.1, groups })
        .collect();
    let summary = score(rules, &votes);
    (summary.score, summary.classification)
}

fn weights(list: &[(&str, f64)]) -> JudgeConfig {
    let group_weights = list.iter().map(|(g, w)| ((*g).to_owned(), *w)).collect();
    JudgeConfig { group_weights, ..JudgeConfig::kayenta(95.0, 75.0) }
}

#[track_caller]
fn check(rules: &JudgeConfig, metrics: &[Metric], expected: f64) {
    assert_eq!(total(rules, metrics).0.to_bits(), expected.to_bits(), "{metrics:?}");
}

#[test]
fn one_group() {
    let even = weights(&[]);
    check(&even, &[(Pass, false, &["a"])], 100.0);
    check(&even, &[(High, false, &["a"])], 0.0);
    check(&even, &[(Nodata, false, &["a"])], 0.0);
    check(&even, &[(Pass, false, &["a"]), (High, false, &["a"])], 50.0);
    check(&even, &[(Pass, false, &["a"]), (NodataFailMetric, false, &["a"])], 50.0);
    check(&even, &[(Pass, false, &["a"]), (High, false, &["a"]), (Low, false, &["a"])], 33.33);
    check(&even, &[(Low, false, &["a"]), (Pass, true, &["a"])], 50.0);
    check(&even, &[(Pass, false, &[])], 0.0);
    check(&even, &[], 0.0);
}

#[test]
fn critical_metrics() {
    let even = weights(&[]);
    check(&even, &[(Pass, false, &["a"]), (High, true, &["a"])], 0.0);
    check(&even, &[(Pass, false, &["a"]), (Nodata, true, &["a"])], 0.0);
}

#[test]
fn weighted_groups() {
    let p = |groups: &'static [&'static str]| (Pass, false, groups);
    let h = |groups: &'static [&'static str]| (High, false, groups);
    check(&weights(&[("a", 75.0), ("b", 25.0)]), &[p(&["a"]), p(&["a"]), h(&["b"])], 75.0);
    let half = weights(&[("a", 50.0), ("b", 50.0)]);
    check(&half, &[p(&["a"]), h(&["a"]), h(&["b"])], 25.0);
    check(&half, &[p(&["a"]), (Nodata, false, &["a"]), h(&["b"])], 50.0);
    let uneven = weights(&[("a", 15.0), ("b", 85.0)]);
    check(&uneven, &[h(&["a"]), (Low, false, &["a"]), p(&["a"]), h(&["b"])], 5.0);
    // What is not listed shares the rest: 60, 20, 20. A metric counts in each of its groups.
    let rest = weights(&[("a", 60.0)]);
    check(&rest, &[p(&["a"]), h(&["b"]), p(&["c"])], 80.0);
    check(&rest, &[h(&["a", "b"]), p(&["c"]), p(&["a"])], 50.0);
}

#[test]
fn groups_without_data() {
    let metrics: &[Metric] = &[
        (Pass, false, &["a"]),
        (High, false, &["a"]),
        (Pass, false, &["a"]),
        (Nodata, false, &["b"]),
    ];
    check(&weights(&[]), metrics, 83.33);
    check(&improved(), metrics, 66.67);
    let passes: &[Metric] =
        &[(Pass, false, &["a"]), (Pass, false, &["a"]), (Nodata, false, &["b"])];
    check(&weights(&[]), passes, 100.0);
}

#[test]
fn half_without_data_is_no_score() {
    let metrics: &[Metric] = &[(Pass, false, &["a"]), (Nodata, false, &["b"])];
    assert_eq!(total(&weights(&[]), metrics), (0.0, ScoreClass::Fail));
    assert_eq!(total(&improved(), metrics), (0.0, ScoreClass::Nodata));
    let errors: &[Metric] = &[(Error, false, &["a"])];
    // A group of which nothing could be judged is perfect to Kayenta.
    assert_eq!(total(&weights(&[]), errors), (100.0, ScoreClass::Pass));
    assert_eq!(total(&improved(), errors), (0.0, ScoreClass::Nodata));
    assert_eq!(total(&improved(), &[]), (0.0, ScoreClass::Nodata));
    assert_eq!(total(&improved(), &[(Pass, false, &[])]), (100.0, ScoreClass::Pass));
    assert_eq!(total(&improved(), &[(High, false, &[])]), (0.0, ScoreClass::Fail));
}

#[test]
fn thresholds_of_runs() {
    let outcome = |scores: &[f64]| run_outcome(&weights(&[]), scores);
    assert_eq!(outcome(&[97.0]), RunOutcome::Pass);
    assert_eq!(outcome(&[85.0]), RunOutcome::Fail);
    assert_eq!(outcome(&[60.0]), RunOutcome::Terminated(0));
    assert_eq!(outcome(&[80.0, 60.0, 97.0]), RunOutcome::Terminated(1));
    assert_eq!(outcome(&[80.0, 90.0, 97.0]), RunOutcome::Pass);
    assert_eq!(outcome(&[97.0, f64::NAN]), RunOutcome::Terminated(1));
    assert_eq!(outcome(&[]), RunOutcome::Fail);
}

#[test]
fn a_score_equal_to_marginal() {
    assert!(terminates(&weights(&[]), 75.0));
    assert!(!terminates(&improved(), 75.0));
    assert!(terminates(&improved(), 74.99));
    assert_eq!(run_outcome(&improved(), &[75.0, 95.0]), RunOutcome::Pass);
}
