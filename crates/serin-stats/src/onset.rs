//! The onset mixture: regressions that begin late (a leak, a cache that expires, the next weight)
//! are not held up by the clean evidence before them.
//!
//! `S_k <- (S_k + gamma_t) exp(increment_k)`, `E = sum_k pi_k S_k + 1 - sum gamma` is an e-process
//! for any prior `gamma` over starts. Here a start is allowed at each minute j of canary traffic, so
//! that looking every second does not make a late onset dear. The first has 0.6 of the prior, and
//! `0.4 j^-0.4` is left after minute j: a quarter of an hour in, a start costs 5.6 nats, after an
//! hour 7.5.

use crate::grid::{LogEvidence, log_sum_exp};
use serde::{Deserialize, Serialize};

/// Seconds between two starts.
const SPACING: u64 = 60;

/// Which starts have been made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Onset {
    starts: u64,
    /// Seconds with canary traffic.
    seconds: u64,
}

impl Default for Onset {
    fn default() -> Self {
        Self { starts: 1, seconds: 0 }
    }
}

impl Onset {
    /// `ln 0.6`: the prior of the first start, with which evidence begins.
    pub const LN_FIRST: f64 = -0.510_825_623_765_990_7;

    /// Goes on by one tick with canary traffic. `ln` of the prior mass of the starts due before
    /// it, which has to be added to all evidence before the tick is.
    pub fn advance(&mut self, seconds: u32) -> Option<f64> {
        let due = self.seconds / SPACING + 1;
        self.seconds = self.seconds.saturating_add(u64::from(seconds));
        let made = self.starts;
        self.starts = due.max(made);
        (due > made).then(|| libm::log(left_after(made) - left_after(due)))
    }

    /// `ln` of the prior mass of all later starts, which counts as evidence of 1.
    pub fn ln_rest(&self) -> f64 {
        libm::log(left_after(self.starts))
    }
}

/// Prior mass of the starts after start `j`.
fn left_after(j: u64) -> f64 {
    0.4 * libm::pow(j as f64, -0.4)
}

/// Adds a start of prior mass `exp(ln_weight)` to each alternative.
pub fn start(evidence: &mut LogEvidence, ln_weight: f64) {
    for l in evidence {
        *l = log_sum_exp(&[*l, ln_weight]);
    }
}

/// Evidence with the mass of later starts, if there is any.
pub fn with_rest(ln_e: f64, onset: Option<&Onset>) -> f64 {
    onset.map_or(ln_e, |onset| log_sum_exp(&[ln_e, onset.ln_rest()]))
}
