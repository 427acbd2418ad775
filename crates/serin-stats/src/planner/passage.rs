//! The moment at which evidence gets to a level: first passage of a walk with drift.

use crate::normal;
use std::f64::consts::PI;

/// Evidence as a walk, by canary requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Walk {
    /// Requests after which the *expected counts* have the evidence.
    pub requests: f64,
    /// Change and variance for one canary request.
    pub drift: f64,
    pub variance: f64,
    /// What chance adds to the evidence until then, because a mixture bends upwards: counts that
    /// stray either way find an alternative that suits them better.
    pub bend: f64,
    /// Change for one canary error.
    pub jump: f64,
}

/// Part of the bend that counts for PASS, whose five ratios are too coarse to follow every count.
/// Fitted to 13 simulated cells of 1500 runs.
const COARSE: f64 = 0.5;

/// First passage in canary requests: inverse Gaussian (Schrödinger 1915).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Passage {
    mean: f64,
    /// Infinite: always at the mean.
    shape: f64,
}

impl Passage {
    /// Where evidence rises with each canary error (FAIL), it gets there by a jump and overshoots
    /// by up to one; where it falls with each, it gets there smoothly.
    pub fn new(walk: &Walk) -> Self {
        let straight = walk.requests * walk.drift;
        let bent = if walk.jump > 0.0 { walk.jump - walk.bend } else { -COARSE * walk.bend };
        let barrier = (straight + bent).max(straight / 2.0);
        Self { mean: barrier / walk.drift, shape: barrier * barrier / walk.variance }
    }

    /// `P(passed within n requests)`.
    pub fn cdf(&self, n: f64) -> f64 {
        if n <= 0.0 {
            return 0.0;
        }
        if !(self.shape / n).is_finite() {
            return if n >= self.mean { 1.0 } else { 0.0 };
        }
        let (root, x) = (libm::sqrt(self.shape / n), n / self.mean);
        let straight = normal::cdf(root * (x - 1.0));
        let turned = libm::exp(2.0 * self.shape / self.mean + ln_tail(root * (x + 1.0)));
        (straight + turned).clamp(0.0, 1.0)
    }

    /// Canary requests after which a share `p` of all runs has passed.
    pub fn quantile(&self, p: f64) -> f64 {
        let (mut low, mut high) = (0.0, self.mean * 1e3);
        for _ in 0..80 {
            let middle = f64::midpoint(low, high);
            if self.cdf(middle) < p { low = middle } else { high = middle }
        }
        high
    }
}

/// `ln P(Z > z)`, also where the probability itself is too small for a number.
fn ln_tail(z: f64) -> f64 {
    if z < 30.0 {
        libm::log(normal::cdf(-z))
    } else {
        -0.5 * z * z - libm::log(z * libm::sqrt(2.0 * PI))
    }
}
