//! Other always-valid tests.

use super::Totals;
use crate::traffic::Moment;
use crate::watch::Watch;
use serin_stats::multinomial;

/// A process on the totals that alarms at `ln 1/alpha`.
struct Sequential {
    totals: Totals,
    needed: f64,
    ln_e: fn(&Totals) -> f64,
}

impl Watch for Sequential {
    fn observe(&mut self, moment: &Moment) -> bool {
        self.totals.add(&moment.requests);
        (self.ln_e)(&self.totals) >= self.needed
    }
}

/// Mixture sequential probability ratio test for two proportions with a normal prior of standard
/// deviation 0.005 (Johari, Koomen, Pekelis, Walsh 2017); asymptotic, from ten errors on.
pub fn msprt(alpha: f64) -> Box<dyn Watch> {
    const TAU: f64 = 0.005;
    let ln_e = |t: &Totals| {
        let (d, v) = (t.difference(), t.pooled_variance());
        if !t.are_enough() || d <= 0.0 || v <= 0.0 {
            return 0.0;
        }
        let all = v + TAU * TAU;
        0.5 * libm::log(v / all) + TAU * TAU * d * d / (2.0 * v * all)
    };
    Box::new(Sequential { totals: Totals::default(), needed: -libm::log(alpha), ln_e })
}

/// The canary's share of all errors against its share of the requests, one-sided with a truncated
/// Beta prior of concentration 10. Valid for a constant share only.
pub fn beta_mixture(alpha: f64) -> Box<dyn Watch> {
    const SHARE: f64 = 0.1;
    let ln_e = |t: &Totals| {
        let (canary, baseline) = (t.canary_errors as u64, t.baseline_errors as u64);
        multinomial::ln_beta_onesided(canary, baseline, SHARE, 10.0)
    };
    Box::new(Sequential { totals: Totals::default(), needed: -libm::log(alpha), ln_e })
}
