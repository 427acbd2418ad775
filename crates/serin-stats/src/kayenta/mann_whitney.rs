//! The shift between two samples by ranks: an estimate and a confidence interval for `x - y`.
//!
//! Two ways to the same numbers. [`shift_by_root`] inverts the normal approximation of the
//! Mann-Whitney test (Bauer 1972) with a root finder, as R's `wilcox.test(conf.int = TRUE, exact =
//! FALSE)` and Kayenta do. [`shift_exact`] selects the order statistics that the roots converge to.

use super::{
    brent::{Point, root},
    rank::average_ranks,
    sample::Sample,
};
use crate::normal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How much higher the experiment is than the control, in the unit of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// Lower end of the confidence interval.
    pub low: f64,
    /// Upper end of the confidence interval.
    pub high: f64,
    /// Hodges-Lehmann estimate: the median of all pairwise differences.
    pub estimate: f64,
}

/// Why there is no shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoShift {
    /// All ranks are tied for some shift that had to be looked at; the statistic has no variance.
    AllTied,
    /// Too few points for the confidence asked for: not even a complete separation would tell.
    TooFew,
}

impl fmt::Display for NoShift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AllTied => "all ranks are tied, the rank statistic has no variance",
            Self::TooFew => "too few points for this confidence; measure longer or more often",
        })
    }
}

impl std::error::Error for NoShift {}

/// The standardised rank statistic of `x - mu` against `y`, with the correction for continuity
/// and ties, less `q`. Falls from positive to negative while `mu` rises through the shift.
///
/// # Errors
/// [`NoShift::AllTied`] if all values are tied, [`NoShift::TooFew`] if a sample is empty.
pub fn wilcoxon_diff(mu: f64, q: f64, x: &Sample, y: &Sample) -> Result<f64, NoShift> {
    let (excess, sigma) = rank_excess(mu, x, y)?;
    let continuity = if excess == 0.0 { 0.0 } else { 0.5_f64.copysign(excess) };
    // No quantile is further out, and what is no number must not get into the result.
    let q = if q.is_nan() { 0.0 } else { q.clamp(-40.0, 40.0) };
    Ok((excess - continuity) / sigma - q)
}

/// By how many standard deviations `x` ranks above `y` (negative: below), for samples in which
/// one value makes up most of the data. Swapping it with another value then moves the rank sum
/// by half of all ranks, not by one: the correction for continuity is half of that.
///
/// # Errors
/// As [`wilcoxon_diff`].
pub fn tied_z(x: &Sample, y: &Sample) -> Result<f64, NoShift> {
    let (excess, sigma) = rank_excess(0.0, x, y)?;
    let continuity = (x.values().len() + y.values().len()) as f64 / 4.0;
    Ok((excess.abs() - continuity).max(0.0).copysign(excess) / sigma)
}

/// The rank sum of `x - mu` less its mean, and its standard deviation given the ties.
fn rank_excess(mu: f64, x: &Sample, y: &Sample) -> Result<(f64, f64), NoShift> {
    if x.is_empty() || y.is_empty() {
        return Err(NoShift::TooFew);
    }
    let (n, m) = (x.values().len() as f64, y.values().len() as f64);
    let shifted = x.values().iter().map(|v| v - mu);
    let pooled: Vec<f64> = shifted.chain(y.values().iter().copied()).collect();
    let (ranks, ties) = average_ranks(&pooled);
    let sum: f64 = ranks[..x.values().len()].iter().sum();
    let spread = (n + m + 1.0) - ties / ((n + m) * (n + m - 1.0));
    let sigma = libm::sqrt(n * m / 12.0 * spread);
    let excess = sum - n * (n + 1.0) / 2.0 - n * m / 2.0;
    if sigma > 0.0 { Ok((excess, sigma)) } else { Err(NoShift::AllTied) }
}

/// The shift as Kayenta computes it: roots to an absolute 1e-4 between the smallest and the
/// largest difference, which also stand for ends that do not exist. `confidence` in (0, 1).
///
/// # Errors
/// [`NoShift::TooFew`] if a sample is empty, [`NoShift::AllTied`] if ranks have no variance.
pub fn shift_by_root(x: &Sample, y: &Sample, confidence: f64) -> Result<Shift, NoShift> {
    let ((x_min, x_max), (y_min, y_max)) = (range(x)?, range(y)?);
    let search = Search { x, y, min: x_min - y_max, max: x_max - y_min };
    let z = z_of(confidence);
    let (low, high) = (search.end(z)?, search.end(-z)?);
    Ok(Shift { low, high, estimate: search.root(0.0)? })
}

/// The normal quantile of a two-sided interval of this confidence. What is no probability counts as certainty.
pub fn z_of(confidence: f64) -> f64 {
    -normal::quantile(((1.0 - confidence) / 2.0).max(0.0))
}

fn range(sample: &Sample) -> Result<(f64, f64), NoShift> {
    let sorted = sample.sorted();
    let ends = sorted.first().zip(sorted.last());
    ends.map(|(first, last)| (*first, *last)).ok_or(NoShift::TooFew)
}

struct Search<'a> {
    x: &'a Sample,
    y: &'a Sample,
    min: f64,
    max: f64,
}

impl Search<'_> {
    fn at(&self, mu: f64, q: f64) -> Result<Point, NoShift> {
        Ok(Point { x: mu, f: wilcoxon_diff(mu, q, self.x, self.y)? })
    }

    fn end(&self, q: f64) -> Result<f64, NoShift> {
        if self.at(self.min, q)?.f <= 0.0 {
            Ok(self.min)
        } else if self.at(self.max, q)?.f >= 0.0 {
            Ok(self.max)
        } else {
            self.root(q)
        }
    }

    fn root(&self, q: f64) -> Result<f64, NoShift> {
        let (low, high) = (self.at(self.min, q)?, self.at(self.max, q)?);
        root(low, high, |mu| wilcoxon_diff(mu, q, self.x, self.y))
    }
}

/// The shift by selection: the median of the `n m` pairwise differences (Hodges and Lehmann
/// 1963) and the closed interval between two of their order statistics (Moses; Hollander, Wolfe
/// and Chicken 2014, sections 4.2 and 4.3). Exact to the last bit at any magnitude.
///
/// Ties: the variance is the one without ties, the larger one, and the interval is closed, so that
/// it covers at least as often as stated for values that repeat, too (Noether 1967).
///
/// # Errors
/// [`NoShift::TooFew`] if not even separated samples would reach the confidence (5 against 5 do
/// for 98 %).
pub fn shift_exact(x: &Sample, y: &Sample, confidence: f64) -> Result<Shift, NoShift> {
    let differences = Differences { x: x.sorted(), y: y.sorted() };
    let pairs = x.values().len() as u64 * y.values().len() as u64;
    let points = (x.values().len() + y.values().len()) as f64;
    let sigma = libm::sqrt(pairs as f64 * (points + 1.0) / 12.0);
    let rank = libm::floor(pairs as f64 / 2.0 + 0.5 - z_of(confidence) * sigma);
    if pairs == 0 || rank < 1.0 {
        return Err(NoShift::TooFew);
    }
    let rank = (rank as u64).min(pairs.div_ceil(2));
    Ok(Shift {
        low: differences.nth(rank),
        high: differences.nth(pairs + 1 - rank),
        estimate: differences.median(pairs),
    })
}

/// All `x - y`, never written out: rounding is monotone, so the differences of sorted samples
/// are sorted along rows and columns and can be counted in linear time.
struct Differences {
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Differences {
    fn at_most(&self, limit: f64) -> u64 {
        let (mut from, mut count) = (0, 0);
        for x in &self.x {
            while from < self.y.len() && x - self.y[from] > limit {
                from += 1;
            }
            count += (self.y.len() - from) as u64;
        }
        count
    }

    /// The `rank`-th smallest, from 1: bisection over the representable numbers, at most 64 steps.
    fn nth(&self, rank: u64) -> f64 {
        let (mut low, mut high) = (ordinal(-f64::MAX), ordinal(f64::MAX));
        while low < high {
            let middle = (low & high) + ((low ^ high) >> 1);
            if self.at_most(from_ordinal(middle)) >= rank {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        from_ordinal(low) + 0.0
    }

    fn median(&self, pairs: u64) -> f64 {
        let upper = self.nth(pairs / 2 + 1);
        if pairs % 2 == 1 { upper } else { self.nth(pairs / 2).midpoint(upper) }
    }
}

/// The place of a number among all numbers; its own inverse on the bits.
fn ordinal(value: f64) -> i64 {
    flip(value.to_bits() as i64)
}

fn from_ordinal(place: i64) -> f64 {
    f64::from_bits(flip(place) as u64)
}

fn flip(bits: i64) -> i64 {
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}
