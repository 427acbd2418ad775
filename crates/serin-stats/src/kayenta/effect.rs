//! How large a difference is. None where the measure does not exist.

use super::{rank::average_ranks, sample::Sample};

/// Mean of the experiment over mean of the control. None if either mean is 0.
pub fn mean_ratio(control: &Sample, experiment: &Sample) -> Option<f64> {
    let (c, e) = (control.mean(), experiment.mean());
    if c == 0.0 || e == 0.0 { None } else { finite(e / c) }
}

/// `1 + (experiment - control) / |control|` of the means: the ratio where it makes sense, and
/// above 1 exactly if the experiment is higher, also below 0. None if the control's mean is 0.
pub fn relative_level(control: &Sample, experiment: &Sample) -> Option<f64> {
    let (c, e) = (control.mean(), experiment.mean());
    if c == 0.0 || experiment.is_empty() { None } else { finite(1.0 + (e - c) / c.abs()) }
}

/// Common-language effect size: the share of pairs in which the experiment is higher, ties half
/// (Vargha and Delaney 2000). None if an arm is empty.
pub fn cles(control: &Sample, experiment: &Sample) -> Option<f64> {
    let (n, m) = (control.values().len() as f64, experiment.values().len() as f64);
    let (ranks, _) = average_ranks(&[experiment.values(), control.values()].concat());
    let sum: f64 = ranks[..experiment.values().len()].iter().sum();
    finite((2.0 * sum - m * (m + 1.0)) / (2.0 * n * m))
}

/// Cohen's d with the pooled standard deviation, without sign (Cohen 1988, chapter 2). None
/// if nothing varies or there are fewer than three values.
pub fn cohen_d(control: &Sample, experiment: &Sample) -> Option<f64> {
    let (n, m) = (control.values().len() as f64, experiment.values().len() as f64);
    if control.is_empty() || experiment.is_empty() || n + m < 3.0 {
        return None;
    }
    let squares = (n - 1.0) * control.variance() + (m - 1.0) * experiment.variance();
    finite((experiment.mean() - control.mean()).abs() / libm::sqrt(squares / (n + m - 2.0)))
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
