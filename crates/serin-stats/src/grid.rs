//! Grids of alternatives with their prior weights, and sums of exponentials that cannot overflow.

use std::f64::consts::LN_2;
use std::sync::LazyLock;

/// Alternatives in one grid.
pub const K: usize = 24;
/// Log evidence for each alternative of a grid, in nats.
pub type LogEvidence = [f64; K];

/// One log-normal part of a prior.
struct Part {
    share: f64,
    centre: f64,
    sd: f64,
}

/// The plain prior: around a doubling.
const PLAIN: [Part; 1] = [Part { share: 1.0, centre: 2.0, sd: 0.8 }];

/// The prior of error ratios: most of it closely around a doubling, where requests are dear, the
/// rest far out, where a version that breaks outright is found in a dozen requests. Beside the
/// plain prior it saves 0.05 to 0.1 nats from 1.5 to 3 and more from 10 on, and costs 0.08 at 5.
const ERRORS: [Part; 2] =
    [Part { share: 0.85, centre: 2.0, sd: 0.65 }, Part { share: 0.15, centre: 8.0, sd: 1.2 }];

impl Part {
    /// Density at `ln r`, up to the constant common to all parts.
    fn density(&self, ln_r: f64) -> f64 {
        let z = (ln_r - libm::log(self.centre)) / self.sd;
        self.share / self.sd * libm::exp(-z * z / 2.0)
    }
}

/// Ratios (or odds ratios) `r_k = 2^(k/step)`, k = 1..=24, with prior weights.
#[derive(Debug)]
pub struct Grid {
    /// `ln r_k`.
    pub ln_r: [f64; K],
    /// `r_k - 1`.
    pub up: [f64; K],
    /// `1/r_k - 1`.
    pub down: [f64; K],
    /// `ln pi_k`; the weights sum to 1.
    pub ln_prior: [f64; K],
}

impl Grid {
    /// The grid with `step` alternatives a doubling and the plain prior,
    /// `pi_k ~ exp(-(ln(r_k/2))^2 / (2 * 0.8^2))`.
    pub fn with_step(step: f64) -> Self {
        Self::with_prior(step, &PLAIN)
    }

    fn with_prior(step: f64, parts: &[Part]) -> Self {
        let ln_r: [f64; K] = std::array::from_fn(|k| (k + 1) as f64 * LN_2 / step);
        let density = |x: f64| parts.iter().map(|part| part.density(x)).sum::<f64>();
        let total: f64 = ln_r.iter().map(|x| density(*x)).sum();
        Self {
            up: ln_r.map(libm::expm1),
            down: ln_r.map(|x| libm::expm1(-x)),
            ln_prior: ln_r.map(|x| libm::log(density(x) / total)),
            ln_r,
        }
    }

    /// [`Self::mix`] of evidence that repeats itself `repeats` times (see [`crate::dispersion`]).
    pub fn mix_repeated(&self, evidence: &LogEvidence, repeats: f64) -> f64 {
        if repeats <= 1.0 {
            return self.mix(evidence);
        }
        self.mix(&evidence.map(|l| l / repeats))
    }

    /// `ln sum_k pi_k exp(l_k)`: the evidence of the mixture.
    pub fn mix(&self, evidence: &LogEvidence) -> f64 {
        let terms: [f64; K] = std::array::from_fn(|k| evidence[k] + self.ln_prior[k]);
        log_sum_exp(&terms)
    }
}

/// The grid of error ratios, `2^(k/4)`: 1.19 to 64.
pub static RATIOS: LazyLock<Grid> = LazyLock::new(|| Grid::with_prior(4.0, &ERRORS));

/// Quantiles of stable's latency whose exceedances are counted.
pub const QUANTILES: [f64; LEVELS] = [0.5, 0.75, 0.9, 0.95, 0.99, 0.995];
/// Their number.
pub const LEVELS: usize = 6;

/// The grids of odds ratios, one for each of [`QUANTILES`]: finer for common levels, since a shift
/// of 5 % moves the odds of exceeding the median by 1.14 only.
pub static ODDS: LazyLock<[Grid; LEVELS]> =
    LazyLock::new(|| [16.0, 12.0, 8.0, 6.0, 4.0, 4.0].map(Grid::with_step));

/// `ln sum exp(x_i)` of finite numbers, without overflow. Empty: `f64::MIN`.
pub fn log_sum_exp(terms: &[f64]) -> f64 {
    let largest = terms.iter().copied().fold(f64::MIN, f64::max);
    // A term 50 nats below the largest is under half a unit in the last place of any sum here.
    let sum: f64 = terms.iter().map(|x| x - largest).filter(|d| *d > -50.0).map(libm::exp).sum();
    largest + libm::log(sum.max(1.0))
}

/// `ln mean exp(x_i)`.
pub fn log_mean_exp(terms: &[f64]) -> f64 {
    log_sum_exp(terms) - libm::log(terms.len().max(1) as f64)
}
