//! How much more the outcomes of users vary than independent ones would: within each arm.
//!
//! Its users are dealt into parts that have nothing to do with the arms. If users were alike,
//! events would fall into the parts by chance (Pearson's chi-squared, one degree of freedom less
//! than parts). What is above that is clumping: within a tick (an incident of a few users), or over
//! the whole time (a user who always fails). Evidence divided by the factor is an e-value again in
//! the Gaussian limit, where the variance is the factor times the nominal one.
//!
//! Clumping within ticks divides each increment, by the factor known before it. Users who fail again
//! and again make increments repeat each other: what their sum is worth is known only of the sum, so
//! the sum is divided by that part of the factor, each alternative before the mixture. Where late
//! onsets are looked for there is no one sum, and increments are divided by all of it.

use serde::{Deserialize, Serialize};

/// Observations at a factor of 1 that are assumed before any were made.
const PRIOR_DF: f64 = 15.0;
/// The 95 % quantile of the normal distribution.
const Z95: f64 = 1.644_853_626_951_472_2;

/// Counts of stable's users by part, and what they say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dispersion {
    /// (units, events) by part since the start.
    parts: Vec<(u64, u64)>,
    /// Chi-squared of each tick, summed, and its degrees of freedom.
    within: (f64, f64),
    /// The same for the number of units instead of events.
    units: (f64, f64),
}

impl Dispersion {
    /// Adds one tick's parts. A different number of parts starts anew.
    pub fn observe(&mut self, parts: &[(u64, u64)]) {
        if parts.len() < 2 {
            return;
        }
        if self.parts.len() != parts.len() {
            *self = Self { parts: vec![(0, 0); parts.len()], ..Self::default() };
        }
        for (total, part) in self.parts.iter_mut().zip(parts) {
            total.0 = total.0.saturating_add(part.0);
            total.1 = total.1.saturating_add(part.1);
        }
        if let Some((chi, df)) = chi_squared(parts) {
            self.within = (self.within.0 + chi, self.within.1 + df);
        }
    }

    /// Whether anything was observed.
    pub fn is_known(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Upper 95 % limit of the factor for events, at least 1. Before anything was observed it is that
    /// of the prior, 2.1.
    pub fn factor(&self) -> f64 {
        let over_time = chi_squared(&self.parts).unwrap_or((0.0, 0.0));
        upper(self.within).max(upper(over_time)).max(1.0)
    }

    /// Its part within ticks.
    pub fn within(&self) -> f64 {
        upper(self.within).max(1.0)
    }

    /// Upper 95 % limit of the factor for the number of units itself.
    pub fn unit_factor(&self) -> f64 {
        let total: f64 = self.parts.iter().map(|p| p.0 as f64).sum();
        let mean = total / self.parts.len().max(1) as f64;
        if mean <= 0.0 {
            return 1.0;
        }
        let chi = self.parts.iter().map(|p| square(p.0 as f64 - mean) / mean).sum();
        upper((chi, self.parts.len() as f64 - 1.0)).max(1.0)
    }
}

/// Lets `add` add its increments to `evidence`, divided by `factor`.
pub fn tempered<const N: usize>(
    evidence: &mut [f64; N],
    factor: f64,
    add: impl FnOnce(&mut [f64; N]),
) {
    if factor <= 1.0 {
        return add(evidence);
    }
    let mut increments = [0.0; N];
    add(&mut increments);
    for (l, increment) in evidence.iter_mut().zip(increments) {
        *l += increment / factor;
    }
}

fn square(x: f64) -> f64 {
    x * x
}

/// Pearson's statistic of events over parts, with its degrees of freedom; `None` without events.
fn chi_squared(parts: &[(u64, u64)]) -> Option<(f64, f64)> {
    let used = || parts.iter().filter(|p| p.0 > 0);
    let n: f64 = used().map(|p| p.0 as f64).sum();
    let k: f64 = used().map(|p| p.1 as f64).sum();
    let df = used().count() as f64 - 1.0;
    if k <= 0.0 || k >= n || df < 1.0 {
        return None;
    }
    let rate = k / n;
    let chi =
        used().map(|p| square(p.1 as f64 - rate * p.0 as f64) / (rate * p.0 as f64)).sum::<f64>();
    // Sampling without replacement: the mean of the statistic is df n (1 - k/n) / (n - 1).
    Some((chi * (n - 1.0) / (n * (1.0 - rate)), df))
}

/// Upper limit of chi-squared over its degrees of freedom (Wilson and Hilferty 1931), after adding
/// the prior.
fn upper((chi, df): (f64, f64)) -> f64 {
    let (chi, df) = (chi + PRIOR_DF, df + PRIOR_DF);
    let spread = 2.0 / (9.0 * df);
    let low = 1.0 - spread - Z95 * libm::sqrt(spread);
    chi / df / (low * low * low)
}
