//! "The posterior probability that the canary is worse", looked at all the time.

use super::Totals;
use crate::traffic::Moment;
use crate::watch::Watch;
use serin_stats::beta;

/// Alarms when the posterior probability is above `level`; Beta(1, 1) priors.
struct Posterior {
    totals: Totals,
    level: f64,
}

impl Watch for Posterior {
    fn observe(&mut self, moment: &Moment) -> bool {
        self.totals.add(&moment.requests);
        let t = &self.totals;
        let canary = Beta::after(t.canary_errors, t.canary_n);
        let baseline = Beta::after(t.baseline_errors, t.baseline_n);
        // Below the baseline's mean no level of interest is reached.
        canary.mean() > baseline.mean() && canary.beats(&baseline) > self.level
    }
}

/// A posterior.
struct Beta {
    a: f64,
    b: f64,
}

impl Beta {
    fn after(errors: f64, n: f64) -> Self {
        Self { a: 1.0 + errors, b: 1.0 + n - errors }
    }

    fn mean(&self) -> f64 {
        self.a / (self.a + self.b)
    }

    fn sd(&self) -> f64 {
        libm::sqrt(self.mean() * (1.0 - self.mean()) / (self.a + self.b + 1.0))
    }

    /// `P(self > other)`: the density of one times the distribution of the other, integrated over
    /// eight standard deviations by Simpson's rule.
    fn beats(&self, other: &Self) -> f64 {
        const STEPS: u32 = 96;
        let low = (self.mean() - 8.0 * self.sd()).max(0.0);
        let high = (self.mean() + 8.0 * self.sd()).min(1.0);
        let width = (high - low) / f64::from(STEPS);
        let at = |i: u32| {
            let x = low + width * f64::from(i);
            let weight = if i == 0 || i == STEPS { 1.0 } else { 2.0 + 2.0 * f64::from(i % 2) };
            weight * beta::density(self.a, self.b, x) * beta::tails(other.a, other.b, x).0
        };
        (0..=STEPS).map(at).sum::<f64>() * width / 3.0
    }
}

/// Looked at every time.
pub fn peeked(level: f64) -> Box<dyn Watch> {
    Box::new(Posterior { totals: Totals::default(), level })
}
