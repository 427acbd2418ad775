//! The methods of other tools and of textbooks, as they are commonly set up.

pub mod bayes;
pub mod fixed;
pub mod kayenta;
pub mod latency;
pub mod sequential;
pub mod threshold;

use crate::watch::Method;
use serin_stats::Tick;

/// All methods that watch error rates.
pub const ERRORS: [Method; 13] = [
    Method { name: "Flagger 99 %, threshold 5", make: threshold::flagger },
    Method { name: "Argo 95 % over 5 min, failureLimit 3", make: threshold::argo },
    Method { name: "1.5 x stable over 5 min, limit 3", make: threshold::relative },
    Method { name: "Kayenta every 5 min", make: kayenta::growing },
    Method { name: "Kayenta once at 60 min", make: kayenta::once },
    Method { name: "z-test peeked, alpha 0.05", make: || fixed::peeked(0.05) },
    Method { name: "z-test peeked, alpha 0.01", make: || fixed::peeked(0.01) },
    Method { name: "z-test once at 60 min, alpha 0.05", make: || fixed::once(0.05) },
    Method { name: "O'Brien-Fleming, alpha 0.05", make: fixed::obrien_fleming },
    Method { name: "Bayes 95 % peeked", make: || bayes::peeked(0.95) },
    Method { name: "Bayes 99 % peeked", make: || bayes::peeked(0.99) },
    Method { name: "mSPRT, alpha 0.05", make: || sequential::msprt(0.05) },
    Method { name: "Beta mixture, alpha 0.05", make: || sequential::beta_mixture(0.05) },
];

/// Requests and errors of both arms so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Canary requests.
    pub canary_n: f64,
    /// Canary errors.
    pub canary_errors: f64,
    /// Baseline requests.
    pub baseline_n: f64,
    /// Baseline errors.
    pub baseline_errors: f64,
}

impl Totals {
    /// Adds a tick.
    pub fn add(&mut self, tick: &Tick) {
        self.canary_n += tick.canary.n as f64;
        self.canary_errors += tick.canary.errors as f64;
        self.baseline_n += tick.baseline.n as f64;
        self.baseline_errors += tick.baseline.errors as f64;
    }

    /// Errors of both arms.
    pub fn errors(&self) -> f64 {
        self.canary_errors + self.baseline_errors
    }

    /// Canary's rate minus baseline's.
    pub fn difference(&self) -> f64 {
        self.canary_errors / self.canary_n - self.baseline_errors / self.baseline_n
    }

    /// Variance of the difference if both arms have the pooled rate.
    pub fn pooled_variance(&self) -> f64 {
        let rate = self.errors() / (self.canary_n + self.baseline_n);
        rate * (1.0 - rate) * (1.0 / self.canary_n + 1.0 / self.baseline_n)
    }

    /// Whether normal approximations may be tried: ten errors, and requests in both arms.
    pub fn are_enough(&self) -> bool {
        self.errors() >= 10.0 && self.canary_n > 0.0 && self.baseline_n > 0.0
    }
}
