//! From a shift to High, Low or Pass.

use super::{
    classify::{Classification, Classified, percent},
    config::{Direction, EffectSize, JudgeConfig, Measure, MetricConfig},
    effect,
    mann_whitney::{Shift, tied_z, z_of},
    sample::Sample,
};

/// What High and Low are decided from.
pub struct Comparison<'a> {
    metric: &'a MetricConfig,
    confidence: f64,
    shift: Shift,
    /// The interval has to be above this for High.
    above: f64,
    /// The interval has to be below minus this for Low.
    below: f64,
    /// Effect sizes that High and Low need; None if the bounds say it all.
    allowed: (Option<f64>, Option<f64>),
    critical: (Option<f64>, Option<f64>),
    effect: Option<f64>,
    deviation: Option<f64>,
    /// Low or High where ties hide the shift.
    tied: Option<Classification>,
}

impl<'a> Comparison<'a> {
    /// Kayenta's way: bounds from the estimate itself, practical size from the effect.
    pub fn by_estimate(
        judge: &JudgeConfig,
        metric: &'a MetricConfig,
        shift: Shift,
        control: &Sample,
        experiment: &Sample,
    ) -> Self {
        let e = &metric.effect_size;
        let or_neutral = |limit: Option<f64>| Some(limit.unwrap_or(e.measure.neutral()));
        let bound = judge.tolerance * shift.estimate.abs();
        let deviation = effect::mean_ratio(control, experiment);
        Self {
            metric,
            confidence: judge.confidence,
            shift,
            above: bound,
            below: bound,
            allowed: (or_neutral(e.allowed_decrease), or_neutral(e.allowed_increase)),
            critical: (or_neutral(e.critical_decrease), or_neutral(e.critical_increase)),
            effect: measured(e.measure, deviation, control, experiment),
            deviation,
            tied: None,
        }
    }

    /// The repaired way: bounds from the control's level.
    pub fn by_level(
        judge: &JudgeConfig,
        metric: &'a MetricConfig,
        shift: Shift,
        control: &Sample,
        experiment: &Sample,
    ) -> Self {
        let e = &metric.effect_size;
        let level = control.percentile(50.0).unwrap_or(0.0).abs();
        let (below, above) = shares(e, judge.tolerance);
        let by_cles = e.measure == Measure::Cles;
        let deviation = effect::relative_level(control, experiment);
        Self {
            metric,
            confidence: judge.confidence,
            shift,
            above: above * level,
            below: below * level,
            allowed: if by_cles { (e.allowed_decrease, e.allowed_increase) } else { (None, None) },
            critical: (e.critical_decrease, e.critical_increase),
            effect: measured(e.measure, deviation, control, experiment),
            deviation,
            tied: tied(judge.confidence, shift, (below, above), control, experiment),
        }
    }

    fn is_high(&self) -> bool {
        self.metric.direction != Direction::Decrease
            && (self.shift.low > self.above || self.tied == Some(Classification::High))
            && reaches(self.effect, self.allowed.1)
    }

    fn is_low(&self) -> bool {
        self.metric.direction != Direction::Increase
            && (self.shift.high < -self.below || self.tied == Some(Classification::Low))
            && falls_to(self.effect, self.allowed.0)
    }

    /// High is asked for first.
    pub fn decide(&self) -> Classified {
        let (classification, beyond) = if self.is_high() {
            (Classification::High, reaches(self.effect, self.critical.1))
        } else if self.is_low() {
            (Classification::Low, falls_to(self.effect, self.critical.0))
        } else {
            (Classification::Pass, false)
        };
        Classified {
            classification,
            critical: self.metric.critical && beyond,
            reason: self.reason(classification),
            deviation: self.deviation,
            effect: self.effect,
            shift: Some(self.shift),
        }
    }

    fn reason(&self, classification: Classification) -> String {
        let word = match classification {
            Classification::High => "higher",
            Classification::Low => "lower",
            _ => "no difference that matters",
        };
        let percent = percent(self.confidence);
        if self.tied == Some(classification) {
            let times = self
                .deviation
                .map_or_else(String::new, |d| format!(", mean {d:.4} times the baseline's"));
            return format!("{word}: mostly equal values, but ranks differ at {percent} %{times}");
        }
        let Shift { low, high, estimate } = self.shift;
        let (from, to) = (-self.below, self.above);
        format!(
            "{word}: shift {estimate:.4e}, {percent} % interval {low:.4e} to {high:.4e}, \
             limits {from:.4e} and {to:.4e}"
        )
    }
}

/// Counts that are mostly 0 have a shift of 0 however many of them are not: the interval ends on
/// the ties. There the ranks themselves are tested, and the size is that of the means.
fn tied(
    confidence: f64,
    shift: Shift,
    (below, above): (f64, f64),
    control: &Sample,
    experiment: &Sample,
) -> Option<Classification> {
    if shift.low > 0.0 || shift.high < 0.0 {
        return None;
    }
    let z = tied_z(experiment, control).ok()?;
    let (from, to) = (control.mean(), experiment.mean());
    if z > z_of(confidence) && to - from > above * from.abs() {
        return Some(Classification::High);
    }
    let low = z < -z_of(confidence) && from - to > below * from.abs();
    low.then_some(Classification::Low)
}

/// Shares of the control's level that a fall and a rise may have.
fn shares(e: &EffectSize, tolerance: f64) -> (f64, f64) {
    if e.measure == Measure::Cles {
        return (tolerance, tolerance);
    }
    let down = e.allowed_decrease.map_or(tolerance, |ratio| (1.0 - ratio).max(0.0));
    let up = e.allowed_increase.map_or(tolerance, |ratio| (ratio - 1.0).max(0.0));
    (down, up)
}

fn measured(
    measure: Measure,
    ratio: Option<f64>,
    control: &Sample,
    experiment: &Sample,
) -> Option<f64> {
    match measure {
        Measure::MeanRatio => ratio,
        Measure::Cles => effect::cles(control, experiment),
    }
}

/// An effect that cannot be computed counts as large enough.
fn reaches(effect: Option<f64>, limit: Option<f64>) -> bool {
    effect.zip(limit).is_none_or(|(effect, limit)| effect >= limit)
}

fn falls_to(effect: Option<f64>, limit: Option<f64>) -> bool {
    effect.zip(limit).is_none_or(|(effect, limit)| effect <= limit)
}
