//! Is the mean of a number worse in the canary? Two tests: [`BoundedMean`] for numbers with known
//! bounds, exact; [`MeanEvidence`] for any number, or for a mean and its standard error as another
//! system gives them, asymptotic.
//!
//! Both compare the arms within each tick, so that what moves both (load, the hour) cancels.

mod bounded;
mod general;
pub mod mixture;

pub use bounded::{BETS, BoundedMean, BoundedSettings, bet};
pub use general::{Estimate, MIN_TICKS, MIN_UNITS, MeanEvidence, MeanSettings};

use crate::metric::Worse;
use crate::tick::Moments;
use std::fmt;

impl Worse {
    /// 1 when a rise is worse, -1 when a drop is.
    fn sign(self) -> f64 {
        match self {
            Self::Rise => 1.0,
            Self::Drop => -1.0,
        }
    }
}

/// Why numbers or settings were refused. The state is then unchanged.
#[derive(Clone, Debug, PartialEq)]
pub enum MeanError {
    /// A setting is out of its range.
    Setting {
        /// Which.
        name: &'static str,
        /// What it was.
        value: f64,
    },
    /// Not a number, infinite, or beyond 1e150.
    NotFinite {
        /// What.
        name: &'static str,
        /// What it was.
        value: f64,
    },
    /// A variance, a standard error or a sum of squares that no numbers have.
    Variance {
        /// Units.
        n: u64,
        /// Their sum, or the mean.
        sum: f64,
        /// The sum of squares, or the standard error.
        sum_squares: f64,
    },
    /// A mean outside of the bounds.
    OutOfBounds {
        /// The mean.
        mean: f64,
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
}

impl fmt::Display for MeanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting { name, value } => {
                write!(f, "{name} is {value}, out of its range; see the settings of the metric")
            }
            Self::NotFinite { name, value } => {
                write!(f, "{name} is {value}; send finite numbers, or leave the tick out")
            }
            Self::Variance { n, sum, sum_squares } => write!(
                f,
                "{n} numbers with sum {sum} cannot have squares of {sum_squares}; send sums over the \
                 same units, and standard errors above 0"
            ),
            Self::OutOfBounds { mean, low, high } => {
                write!(f, "mean {mean} is outside of {low} to {high}; widen the bounds")
            }
        }
    }
}

impl std::error::Error for MeanError {}

/// Largest magnitude taken: its square is still finite.
const HUGE: f64 = 1e150;

fn finite(name: &'static str, value: f64) -> Result<f64, MeanError> {
    if value.abs() <= HUGE { Ok(value) } else { Err(MeanError::NotFinite { name, value }) }
}

/// Sums that numbers can have: finite, and by Cauchy and Schwarz `sum^2 <= n sum_squares`.
fn check_moments(m: &Moments) -> Result<(), MeanError> {
    finite("sum", m.sum)?;
    finite("sum of squares", m.sum_squares)?;
    let spread = m.n as f64 * m.sum_squares - m.sum * m.sum;
    let empty = m.n > 0 || (m.sum == 0.0 && m.sum_squares == 0.0);
    if empty && m.sum_squares >= 0.0 && spread >= -1e-9 * m.sum * m.sum {
        return Ok(());
    }
    Err(MeanError::Variance { n: m.n, sum: m.sum, sum_squares: m.sum_squares })
}
