//! Kayenta's judge on one point a minute.

use super::Totals;
use crate::traffic::Moment;
use crate::watch::Watch;
use serin_stats::kayenta::{
    Classification, Direction, EffectSize, JudgeConfig, MetricConfig, MetricSeries, judge,
};

/// Minutes of the whole analysis.
const LIFETIME: u32 = 60;

/// Whether the experiment's points are higher than the control's, as Kayenta classifies them:
/// direction `increase`, tolerance 0.25, confidence 0.98, `allowedIncrease` as said.
pub fn is_high(control: &[f64], experiment: &[f64], allowed_increase: f64) -> bool {
    let effect_size =
        EffectSize { allowed_increase: Some(allowed_increase), ..EffectSize::default() };
    let direction = Direction::Increase;
    let config = MetricConfig { direction, effect_size, ..MetricConfig::default() };
    let series =
        MetricSeries { config, control: control.to_vec(), experiment: experiment.to_vec() };
    judge(&JudgeConfig::kayenta(95.0, 75.0), &[series]).is_ok_and(|result| {
        result.metrics.iter().any(|m| m.classified.classification == Classification::High)
    })
}

/// Points by minute, judged every so many minutes over all of them.
struct Kayenta {
    every: u32,
    minute: Totals,
    seconds: u32,
    canary: Vec<f64>,
    baseline: Vec<f64>,
}

impl Kayenta {
    fn boxed(every: u32) -> Box<dyn Watch> {
        let (canary, baseline) = (Vec::new(), Vec::new());
        Box::new(Self { every, minute: Totals::default(), seconds: 0, canary, baseline })
    }
}

impl Watch for Kayenta {
    fn observe(&mut self, moment: &Moment) -> bool {
        self.minute.add(&moment.requests);
        self.seconds += moment.requests.seconds;
        if !self.seconds.is_multiple_of(60) {
            return false;
        }
        let minute = std::mem::take(&mut self.minute);
        // Percent, since the interval is found to an absolute 1e-4; no requests is no number.
        self.canary.push(100.0 * minute.canary_errors / minute.canary_n);
        self.baseline.push(100.0 * minute.baseline_errors / minute.baseline_n);
        let due = (self.seconds / 60).is_multiple_of(self.every);
        due && is_high(&self.baseline, &self.canary, 1.0)
    }
}

/// Judged every five minutes over a growing window; any `High` rolls back.
pub fn growing() -> Box<dyn Watch> {
    Kayenta::boxed(5)
}

/// Judged once, at the end.
pub fn once() -> Box<dyn Watch> {
    Kayenta::boxed(LIFETIME)
}
