//! One arm's values, cleaned: what every other part of this module works on.

use serde::{Deserialize, Serialize};

/// Values beyond this are taken for missing, so that no sum or square can overflow.
pub const MAGNITUDE_MAX: f64 = 1e100;

/// What to do with a point that is not a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NanStrategy {
    /// Leave it out.
    #[default]
    Remove,
    /// Take it for 0: for counters that are only exported once something happened.
    Replace,
}

/// Finite values in the order they came in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    values: Vec<f64>,
    missing: usize,
    outliers: usize,
}

impl Sample {
    /// Cleans a series. Infinite values and those beyond [`MAGNITUDE_MAX`] are always left out.
    pub fn new(raw: &[f64], nan: NanStrategy) -> Self {
        let replaced = |v: f64| if v.is_nan() && nan == NanStrategy::Replace { 0.0 } else { v };
        // Adding 0 turns -0 into 0: equal values have equal bits from here on.
        let kept = raw.iter().map(|&v| replaced(v) + 0.0).filter(|v| v.abs() <= MAGNITUDE_MAX);
        let values: Vec<f64> = kept.collect();
        Self { missing: raw.len() - values.len(), values, outliers: 0 }
    }

    /// A sample without its [outliers](crate::kayenta::outliers), fences as the judge sets them.
    #[must_use]
    pub fn without_outliers(mut self, factor: f64) -> Self {
        let before = self.values.len();
        if let Some(fences) = super::outliers::Fences::new(&self, factor, true) {
            self.values.retain(|v| !fences.excludes(*v));
        }
        self.outliers += before - self.values.len();
        self
    }

    /// The values.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The values in ascending order.
    pub fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Arithmetic mean, with a second pass that takes the rounding of the first away. 0 if empty.
    pub fn mean(&self) -> f64 {
        if self.is_empty() {
            return 0.0;
        }
        let n = self.values.len() as f64;
        let mean = self.values.iter().sum::<f64>() / n;
        mean + self.values.iter().map(|v| v - mean).sum::<f64>() / n
    }

    /// Sample variance (divisor n - 1). 0 below two values.
    pub fn variance(&self) -> f64 {
        if self.values.len() < 2 {
            return 0.0;
        }
        let mean = self.mean();
        let squares: f64 = self.values.iter().map(|v| (v - mean) * (v - mean)).sum();
        squares / (self.values.len() as f64 - 1.0)
    }

    /// The percentile of type 7 of Hyndman and Fan (1996), `p` in 0..=100: linear between the
    /// order statistics, the lowest at 0 and the highest at 100. None if empty or `p` is no number.
    pub fn percentile(&self, p: f64) -> Option<f64> {
        let sorted = self.sorted();
        let last = sorted.len().checked_sub(1)?;
        let at = (!p.is_nan()).then(|| last as f64 * p.clamp(0.0, 100.0) / 100.0)?;
        let below = (libm::floor(at) as usize).min(last);
        let above = sorted[(below + 1).min(last)];
        Some(sorted[below] + (at - below as f64) * (above - sorted[below]))
    }

    /// Whether all values are equal (and there is one).
    pub fn is_constant(&self) -> bool {
        self.values
            .first()
            .is_some_and(|first| self.values.iter().all(|v| v.total_cmp(first).is_eq()))
    }

    /// The numbers to show for this arm; all 0 if it is empty.
    pub fn summary(&self) -> ArmSummary {
        let sorted = self.sorted();
        ArmSummary {
            count: sorted.len(),
            missing: self.missing,
            outliers: self.outliers,
            min: sorted.first().copied().unwrap_or(0.0),
            max: sorted.last().copied().unwrap_or(0.0),
            mean: self.mean(),
            std: libm::sqrt(self.variance()),
        }
    }
}

/// One arm's numbers, for a report. In the unit of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmSummary {
    /// Points that were judged.
    pub count: usize,
    /// Points left out because they were no finite number.
    pub missing: usize,
    /// Points left out as outliers.
    pub outliers: usize,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub std: f64,
}
