//! Series of a provider: counters that only rise, and gauges.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Takes cumulative counters and gives what was added. Never interpolates: a scrape that came late
/// is one longer stretch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Increases {
    last: Option<Vec<f64>>,
}

impl Increases {
    /// The increases since the reading before, of all counters or of none: errors and requests of
    /// one stretch belong together. `None` for the first reading.
    ///
    /// # Errors
    /// A counter that is no number from 0, or that has decreased (its process was restarted); then
    /// the stretch is dropped and the next one starts from here.
    pub fn read(&mut self, now: &[f64]) -> Result<Option<Vec<f64>>, SeriesError> {
        if let Some(value) = now.iter().find(|x| !(x.is_finite() && **x >= 0.0)) {
            self.last = None;
            return Err(SeriesError::NotACount(*value));
        }
        let before = self.last.replace(now.to_vec()).filter(|before| before.len() == now.len());
        let Some(before) = before else { return Ok(None) };
        let mut pairs = before.iter().zip(now);
        if let Some((before, now)) = pairs.clone().find(|(before, now)| now < before) {
            return Err(SeriesError::Decreased { before: *before, now: *now });
        }
        Ok(Some(pairs.by_ref().map(|(before, now)| now - before).collect()))
    }
}

/// Why a reading cannot be used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SeriesError {
    /// Not a finite number from 0.
    NotACount(f64),
    /// A counter went down.
    Decreased {
        /// The reading before.
        before: f64,
        /// This one.
        now: f64,
    },
}

impl fmt::Display for SeriesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotACount(value) => write!(f, "a counter is {value}; it has to be 0 or more"),
            Self::Decreased { before, now } => {
                write!(f, "a counter fell from {before} to {now}: its process was restarted")
            }
        }
    }
}

impl std::error::Error for SeriesError {}

/// Slope of a gauge (memory, open connections) in its unit a second: least squares over
/// `(milliseconds, value)`. This is what Prometheus calls `deriv`; its `rate` is for counters and
/// takes every drop of a gauge for a restart, so that it is never negative. `None` with fewer than
/// two times or with anything that is not a number.
pub fn slope_per_second(points: &[(u64, f64)]) -> Option<f64> {
    let start = points.first()?.0;
    let n = points.len() as f64;
    let seconds =
        |ms: u64| ms.abs_diff(start) as f64 / 1000.0 * if ms < start { -1.0 } else { 1.0 };
    let mean_t = points.iter().map(|p| seconds(p.0)).sum::<f64>() / n;
    let mean_x = points.iter().map(|p| p.1).sum::<f64>() / n;
    let (mut above, mut below) = (0.0, 0.0);
    for (ms, x) in points {
        let t = seconds(*ms) - mean_t;
        above += t * (x - mean_x);
        below += t * t;
    }
    let slope = above / below;
    (below > 0.0 && slope.is_finite()).then_some(slope)
}

/// A slope in bytes a second as megabytes (2^20) a minute.
pub fn mb_per_minute(bytes_per_second: f64) -> f64 {
    bytes_per_second * 60.0 / 1_048_576.0
}
