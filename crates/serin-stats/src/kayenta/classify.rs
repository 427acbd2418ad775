//! One metric: higher, lower or as before.

use super::{
    compare::Comparison,
    config::{Compat, JudgeConfig, MetricConfig},
    mann_whitney::{NoShift, Shift, shift_by_root, shift_exact},
    noise::add_noise,
    sample::{NanStrategy, Sample},
};
use serde::{Deserialize, Serialize};

/// What became of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Classification {
    /// No difference that matters was found.
    Pass,
    /// The experiment is higher.
    High,
    /// The experiment is lower.
    Low,
    /// There was nothing to compare.
    Nodata,
    /// There was nothing to compare, and the metric must have data.
    NodataFailMetric,
    /// The comparison was not possible.
    Error,
}

/// A metric's classification with what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classified {
    /// The classification.
    pub classification: Classification,
    /// Whether it fails the whole canary.
    pub critical: bool,
    /// Why, in words.
    pub reason: String,
    /// Mean of the experiment over mean of the control, if that exists.
    pub deviation: Option<f64>,
    /// Effect size in the metric's own measure, if it exists.
    pub effect: Option<f64>,
    /// The estimated shift with its interval, if it was estimated.
    pub shift: Option<Shift>,
}

/// Compares two cleaned samples by the rules of the metric. The numbers in them are checked.
pub(super) fn classify(
    judge: &JudgeConfig,
    metric: &MetricConfig,
    control: &Sample,
    experiment: &Sample,
) -> Classified {
    match judge.compat {
        Compat::Kayenta => as_kayenta(judge, metric, control, experiment),
        Compat::Improved => improved(judge, metric, control, experiment),
    }
}

fn as_kayenta(
    j: &JudgeConfig,
    m: &MetricConfig,
    control: &Sample,
    experiment: &Sample,
) -> Classified {
    if control.is_empty() || experiment.is_empty() {
        return match m.nan_strategy {
            NanStrategy::Remove => nodata(m, Some(1.0), no_points(control, experiment)),
            NanStrategy::Replace => {
                passed("no points, and missing ones are taken for 0", Some(1.0))
            }
        };
    }
    if let Some(same) = without_test(control, experiment) {
        return same;
    }
    let (control, experiment) = both_noisy(control, experiment);
    match shift_by_root(&experiment, &control, j.confidence) {
        Ok(shift) => Comparison::by_estimate(j, m, shift, &control, &experiment).decide(),
        // A failed comparison is never critical there.
        Err(e) => Classified { critical: false, ..failed(m, e) },
    }
}

fn improved(
    j: &JudgeConfig,
    m: &MetricConfig,
    control: &Sample,
    experiment: &Sample,
) -> Classified {
    if control.is_empty() || experiment.is_empty() {
        return nodata(m, None, no_points(control, experiment));
    }
    match shift_exact(experiment, control, j.confidence) {
        Ok(shift) => without_test(control, experiment)
            .unwrap_or_else(|| Comparison::by_level(j, m, shift, control, experiment).decide()),
        Err(NoShift::TooFew) => nodata(m, None, too_few(j, control, experiment)),
        Err(e) => failed(m, e),
    }
}

/// What needs no test: the same values, or one value everywhere.
fn without_test(control: &Sample, experiment: &Sample) -> Option<Classified> {
    let (c, e) = (control.sorted(), experiment.sorted());
    let one_value = control.is_constant() && experiment.is_constant() && c.first() == e.first();
    (c == e || one_value).then(|| passed("both arms have the same values", Some(1.0)))
}

fn both_noisy(control: &Sample, experiment: &Sample) -> (Sample, Sample) {
    if !(control.is_constant() && experiment.is_constant()) {
        return (control.clone(), experiment.clone());
    }
    let noisy = |s: &Sample| Sample::new(&add_noise(s.values()), NanStrategy::Remove);
    (noisy(control), noisy(experiment))
}

fn passed(reason: &str, deviation: Option<f64>) -> Classified {
    unclassified(Classification::Pass, false, reason.to_owned(), deviation)
}

fn failed(metric: &MetricConfig, error: NoShift) -> Classified {
    unclassified(Classification::Error, metric.critical, error.to_string(), None)
}

fn nodata(metric: &MetricConfig, deviation: Option<f64>, reason: String) -> Classified {
    if metric.must_have_data && !metric.critical {
        return unclassified(Classification::NodataFailMetric, false, reason, deviation);
    }
    unclassified(Classification::Nodata, metric.critical, reason, deviation)
}

fn no_points(control: &Sample, experiment: &Sample) -> String {
    match (control.is_empty(), experiment.is_empty()) {
        (true, true) => "neither arm has any points".to_owned(),
        (true, false) => "the baseline has no points".to_owned(),
        _ => "the canary has no points".to_owned(),
    }
}

fn too_few(judge: &JudgeConfig, control: &Sample, experiment: &Sample) -> String {
    let (n, m) = (experiment.values().len(), control.values().len());
    let percent = percent(judge.confidence);
    format!(
        "{n} points of the canary and {m} of the baseline cannot tell anything with {percent} % \
         confidence; measure longer or more often"
    )
}

/// A share in percent, to two decimals.
pub(super) fn percent(share: f64) -> f64 {
    libm::round(share * 1e4) / 100.0
}

fn unclassified(
    classification: Classification,
    critical: bool,
    reason: String,
    deviation: Option<f64>,
) -> Classified {
    Classified { classification, critical, reason, deviation, effect: None, shift: None }
}
