//! Confidence sequences for a quantile of one arm, for display: at all times at once, the interval
//! holds the true quantile with probability at least `1 - alpha`.

use crate::beta::{ln_beta, point};
use crate::bucket::{MAX_BUCKET, bucket_lower_us, bucket_upper_us};
use crate::hist::Histogram;
use crate::means::mixture::tuned_rho;

/// Requests at which the interval is tightest, relative to the best for their number.
const TUNED_FOR: f64 = 5_000.0;

/// A mixture over tilted Bernoulli distributions: observations of `-low` or `high` with mean 0.
/// Howard, Ramdas, McAuliffe and Sekhon (2021), propositions 7 and 8.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BetaBinomial {
    low: f64,
    high: f64,
    /// Weight of the prior.
    r: f64,
    /// Whether only a positive drift counts.
    one_sided: bool,
}

impl BetaBinomial {
    /// Tightest at variance `v` and level `alpha`. `low` and `high` are positive.
    pub fn tuned(v: f64, alpha: f64, (low, high): (f64, f64), one_sided: bool) -> Self {
        let alpha = if one_sided { 2.0 * alpha } else { alpha };
        let r = (tuned_rho(v, alpha) - low * high).max(1e-3 * low * high);
        Self { low, high, r, one_sided }
    }

    /// `ln` of the mixture for a sum `s` of variance `v` (`low * high` for each observation); 0 when
    /// that is out of any range.
    pub fn ln_e(&self, s: f64, v: f64) -> f64 {
        let Self { low: g, high: h, r, .. } = *self;
        let width = g + h;
        let drift = v / (g * h) * libm::log(width)
            - (v + h * s) / (h * width) * libm::log(g)
            - (v - g * s) / (g * width) * libm::log(h);
        let after = self.ln_mass((r + v - g * s) / (g * width), (r + v + h * s) / (h * width));
        let ln_e = drift + after - self.ln_mass(r / (g * width), r / (h * width));
        if ln_e.is_finite() { ln_e } else { 0.0 }
    }

    fn ln_mass(&self, a: f64, b: f64) -> f64 {
        let share = self.high / (self.low + self.high);
        ln_beta(a, b) + if self.one_sided { point(a, b, share).ln_below } else { 0.0 }
    }

    /// Largest `s` within `0..=limit` whose evidence is below `needed`.
    fn bound(&self, v: f64, needed: f64, limit: f64) -> f64 {
        let (mut inside, mut outside) = (0.0, limit);
        for _ in 0..60 {
            let middle = 0.5 * (inside + outside);
            if self.ln_e(middle, v) < needed { inside = middle } else { outside = middle }
        }
        inside
    }
}

/// Interval for quantile `q` in milliseconds, from edge to edge of buckets. `None`: no requests, too
/// few to bound it from above, or `q` or `alpha` outside of (0, 1).
///
/// Howard and Ramdas, "Sequential estimation of quantiles with applications to A/B testing and
/// best-arm identification" (Bernoulli 2022), theorem 1: the share of requests up to the true
/// quantile leaves `q - f_low ..= q + f_high` at any time with probability at most `alpha`.
pub fn interval(hist: &Histogram, q: f64, alpha: f64) -> Option<(f64, f64)> {
    let n = hist.total() as f64;
    let inside = |x: f64| x > 0.0 && x < 1.0;
    if n < 1.0 || !inside(q) || !inside(alpha) {
        return None;
    }
    let (v, needed) = (n * q * (1.0 - q), -libm::log(alpha));
    let reach = |low: f64, high: f64| {
        let tuned_for = TUNED_FOR * q * (1.0 - q);
        BetaBinomial::tuned(tuned_for, alpha, (low, high), false).bound(v, needed, n * high)
    };
    let (up, down) = (reach(q, 1.0 - q), reach(1.0 - q, q));
    let last = bucket_after(hist, n * q + up)?;
    let first = bucket_at(hist, n * q - down);
    Some((first.map_or(0.0, |b| bucket_lower_us(b) as f64 / 1000.0), last))
}

/// First bucket with more than `rank` requests up to its end, as its upper edge in milliseconds.
/// `None` when there is none, or when it has no upper edge.
fn bucket_after(hist: &Histogram, rank: f64) -> Option<f64> {
    let mut seen = 0_u64;
    let mut buckets = hist.iter();
    let found = buckets.find(|(_, n)| {
        seen = seen.saturating_add(*n);
        seen as f64 > rank
    })?;
    (found.0 < MAX_BUCKET).then(|| bucket_upper_us(found.0) as f64 / 1000.0)
}

/// First bucket with at least `rank` requests up to its end; `None` when the rank is not positive.
fn bucket_at(hist: &Histogram, rank: f64) -> Option<u16> {
    let mut seen = 0_u64;
    let mut buckets = hist.iter();
    let found = buckets.find(|(_, n)| {
        seen = seen.saturating_add(*n);
        seen as f64 >= rank
    });
    found.filter(|_| rank > 0.0).map(|(bucket, _)| bucket)
}
