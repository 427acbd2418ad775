//! The whole report and its settings.

use super::*;

fn series(name: &str, muted: bool, experiment: f64) -> MetricSeries {
    let around = |level: f64| (0..20).map(|i| level + f64::from(i) * 0.01).collect();
    MetricSeries {
        config: MetricConfig {
            name: name.to_owned(),
            groups: vec!["a".to_owned()],
            muted,
            ..MetricConfig::default()
        },
        control: around(1.0),
        experiment: around(experiment),
    }
}

#[test]
fn muted_metrics_are_reported_and_not_scored() {
    for rules in [JudgeConfig::kayenta(95.0, 75.0), improved()] {
        let report = judge(&rules, &[series("x", false, 1.0), series("y", true, 3.0)]).unwrap();
        assert_eq!(report.summary.classification, ScoreClass::Pass);
        assert_eq!(report.metrics[1].classified.classification, High);
        let text = serde_json::to_string(&report).unwrap();
        assert!(text.contains(r#""classification":"High""#), "{text}");
        let loud = judge(&rules, &[series("x", false, 1.0), series("y", false, 3.0)]).unwrap();
        assert_eq!(loud.summary.classification, ScoreClass::Fail);
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    let base = improved();
    let refused = |rules: JudgeConfig| judge(&rules, &[]).unwrap_err().to_string();
    let text = refused(JudgeConfig { marginal: 0.0, ..base.clone() });
    assert_eq!(text, "judge: marginal is 0, allowed is above 0, at most pass");
    refused(JudgeConfig { pass: 101.0, ..base.clone() });
    refused(JudgeConfig { confidence: f64::NAN, ..base.clone() });
    refused(JudgeConfig { tolerance: -0.1, ..base.clone() });
    let heavy = [("a".to_owned(), 60.0), ("b".to_owned(), 60.0)].into();
    refused(JudgeConfig { group_weights: heavy, ..base.clone() });
    let mut metric = series("x", false, 1.0);
    metric.config.outlier_factor = Some(0.0);
    assert_eq!(judge(&base, &[metric]).unwrap_err().name, "outlierFactor");
}
