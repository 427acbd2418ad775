//! Tukey's fences (Tukey 1977): a value is an outlier outside of Q1 - f IQR .. Q3 + f IQR.

use super::sample::Sample;

/// The range outside of which a value is an outlier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fences {
    /// Values below are outliers.
    pub low: f64,
    /// Values above are outliers.
    pub high: f64,
}

impl Fences {
    /// The fences of a sample. With `reduce_sensitivity` they are never inside of the 1st and
    /// 99th percentile. None for an empty sample or a factor that is no finite number.
    pub fn new(sample: &Sample, factor: f64, reduce_sensitivity: bool) -> Option<Self> {
        let (q1, q3) = (sample.percentile(25.0)?, sample.percentile(75.0)?);
        let reach = factor * (q3 - q1);
        if !reach.is_finite() {
            return None;
        }
        let (mut low, mut high) = (q1 - reach, q3 + reach);
        if reduce_sensitivity {
            low = low.min(sample.percentile(1.0)?);
            high = high.max(sample.percentile(99.0)?);
        }
        Some(Self { low, high })
    }

    /// Whether a value is an outlier. One on a fence is not.
    pub fn excludes(&self, value: f64) -> bool {
        value < self.low || value > self.high
    }
}
