//! Value per user: a conversion rate times what a buyer spends.

use super::belief::{At, Belief, Odds, Rate, odds};
use super::{MAX_ARMS, WinnerError};
use crate::multinomial::CountError;
use crate::normal;
use crate::quadrature::GAUSS_64;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// Users of one arm, buyers among them, and what they spent: sums over the logs of the amounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ArmValue {
    /// Users.
    pub n: u64,
    /// Buyers; at most `n`.
    pub buyers: u64,
    /// Sum of `ln amount` over the buyers.
    pub sum_ln: f64,
    /// Sum of its squares.
    pub sum_ln_squares: f64,
}

/// Buyers that each arm needs before its value per user is estimated.
pub const MIN_BUYERS: u64 = 30;
/// Largest standard error of the log of the mean amount.
pub(super) const MOST_VAGUE: f64 = 0.5;

/// Probability to be best and expected loss by value per user (in units of the amounts): conversion
/// rate times mean amount, amounts being lognormal. For people: amounts have no anytime test here,
/// so it never names a winner; [`crate::means::MeanEvidence`] tests a mean.
///
/// # Errors
/// A wrong number of arms, more buyers than users, fewer than [`MIN_BUYERS`] buyers in an arm,
/// amounts that spread so much that their mean is unknown, or sums that no amounts can have.
pub fn value_odds(arms: &[ArmValue]) -> Result<Odds, WinnerError> {
    if !(2..=MAX_ARMS).contains(&arms.len()) {
        return Err(WinnerError::Arms(arms.len()));
    }
    let beliefs: Result<Vec<Value>, _> =
        arms.iter().enumerate().map(|(arm, a)| Value::of(arm, a)).collect();
    Ok(odds(&beliefs?))
}

/// Posterior of value per user. The log of the mean amount, `mu + sigma^2/2`, is taken as normal
/// with Cox's variance `s^2/c + s^4/(2(c+1))` (Zhou and Gao 1997, "Confidence Intervals for the
/// Log-Normal Mean"); the rate is Beta. Their product is integrated over the one that is known
/// better, so that the other is smooth between the nodes.
#[derive(Clone, Debug)]
struct Value {
    rate: Rate,
    ln_amount: f64,
    ln_sd: f64,
    nodes: Nodes,
}

#[derive(Clone, Debug)]
enum Nodes {
    /// Logs of rates and their probabilities.
    Rates(Vec<(f64, f64)>),
    /// Mean amounts and their probabilities.
    Amounts(Vec<(f64, f64)>),
}

impl Value {
    fn of(arm: usize, a: &ArmValue) -> Result<Self, WinnerError> {
        if a.buyers > a.n {
            let (n, events) = (a.n, a.buyers);
            return Err(WinnerError::Counts(CountError::TooManyEvents { arm, n, events }));
        }
        if a.buyers < MIN_BUYERS {
            return Err(WinnerError::Buyers { arm, buyers: a.buyers });
        }
        let c = a.buyers as f64;
        let mean = a.sum_ln / c;
        let variance = (a.sum_ln_squares - a.sum_ln * mean) / (c - 1.0);
        // Rounding alone may make the variance of equal amounts negative by this much.
        let slack = 1e-9 * (1.0 + mean * mean);
        if !(mean.abs() <= 100.0 && variance >= -slack && variance.is_finite()) {
            return Err(WinnerError::Sums { arm, mean, variance });
        }
        let variance = variance.max(0.0);
        let ln_sd = libm::sqrt(variance / c + variance * variance / (2.0 * (c + 1.0)));
        if ln_sd > MOST_VAGUE {
            return Err(WinnerError::Vague { arm, ln_sd });
        }
        Ok(Self::new(Rate::new(a.n, a.buyers), mean + variance / 2.0, ln_sd.max(1e-9)))
    }

    fn new(rate: Rate, ln_amount: f64, ln_sd: f64) -> Self {
        let nodes = if rate.scale() / rate.mean() < ln_sd {
            let (low, high) = rate.range();
            let node = |(p, w): (f64, f64)| (libm::log(p), w * rate.at(p).density);
            Nodes::Rates(GAUSS_64.between(low, high).map(node).collect())
        } else {
            let normal = |z: f64| libm::exp(-0.5 * z * z) / libm::sqrt(2.0 * PI);
            let node = |(z, w): (f64, f64)| (libm::exp(ln_amount + z * ln_sd), w * normal(z));
            Nodes::Amounts(GAUSS_64.between(-9.0, 9.0).map(node).collect())
        };
        Self { rate, ln_amount, ln_sd, nodes }
    }

    /// The mean amount's distribution at `e^ln_amount`, its density by `x`.
    fn amount_at(&self, ln_amount: f64, x: f64) -> At {
        let z = (ln_amount - self.ln_amount) / self.ln_sd;
        let density = libm::exp(-0.5 * z * z) / (libm::sqrt(2.0 * PI) * self.ln_sd * x);
        At { density, below: normal::cdf(z), above: normal::cdf(-z) }
    }
}

impl Belief for Value {
    fn range(&self) -> (f64, f64) {
        let (low, high) = self.rate.range();
        let reach = 9.0 * self.ln_sd;
        (low * libm::exp(self.ln_amount - reach), high * libm::exp(self.ln_amount + reach))
    }

    fn scale(&self) -> f64 {
        let relative = libm::hypot(self.rate.scale() / self.rate.mean(), self.ln_sd);
        // Below the median the product is steeper than above it, the more so the wider it is.
        self.rate.mean() * libm::exp(self.ln_amount) * relative / (1.0 + 4.0 * relative)
    }

    fn at(&self, x: f64) -> At {
        match &self.nodes {
            Nodes::Rates(nodes) => {
                let ln_x = libm::log(x);
                weighted(nodes, |ln_p| self.amount_at(ln_x - ln_p, x))
            }
            Nodes::Amounts(nodes) => weighted(nodes, |m| {
                let at = self.rate.at(x / m);
                At { density: at.density / m, ..at }
            }),
        }
    }
}

/// Mixture over the nodes.
fn weighted(nodes: &[(f64, f64)], at: impl Fn(f64) -> At) -> At {
    nodes.iter().fold(At::default(), |sum, &(node, weight)| {
        let at = at(node);
        At {
            density: sum.density + weight * at.density,
            below: sum.below + weight * at.below,
            above: sum.above + weight * at.above,
        }
    })
}
