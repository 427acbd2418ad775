//! Means of bounded numbers: betting on the differences of ticks.

use super::{MeanError, check_moments, finite};
use crate::grid::log_mean_exp;
use crate::metric::Worse;
use crate::tick::Moments;
use serde::{Deserialize, Serialize};

/// Number of bets that are mixed.
pub const BETS: usize = 8;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundedSettings {
    /// Smallest possible value.
    pub low: f64,
    /// Largest possible value.
    pub high: f64,
    /// Which way is worse.
    pub worse: Worse,
    /// Difference that is not held against the canary, in the metric's units; 0 and more.
    pub tolerated: f64,
    /// Difference that is harm, in the metric's units; above `tolerated`, within the bounds.
    pub harm: f64,
}

impl BoundedSettings {
    fn check(&self) -> Result<(), MeanError> {
        finite("low", self.low)?;
        finite("high", self.high)?;
        let range = self.high - self.low;
        let setting = |name, value| Err(MeanError::Setting { name, value });
        if range <= 0.0 {
            return setting("high", self.high);
        }
        if !(0.0..range).contains(&self.tolerated) {
            return setting("tolerated", self.tolerated);
        }
        if !(self.harm > self.tolerated && self.harm <= range) {
            return setting("harm", self.harm);
        }
        Ok(())
    }
}

/// Evidence about the mean of a number within known bounds.
///
/// Each tick with units in both arms gives one number: the difference `D` of the arms' means, in
/// ranges, positive when the canary is worse. FAIL bets against "D has a mean of at most the
/// tolerated difference, given the past"; PASS against "D has a mean of at least the harm". Capital
/// `prod(1 + bet * (D - limit))`, mixed over [`BETS`] fixed bets, is a non-negative supermartingale
/// under its null whatever else is true of the numbers: they may be correlated inside a tick, skewed,
/// and of a level that moves. (Waudby-Smith and Ramdas 2023, "Estimating means of bounded random
/// variables by betting", section 4.) The price: a tick is one observation, whatever its size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoundedMean {
    settings: BoundedSettings,
    fail: [f64; BETS],
    pass: [f64; BETS],
    /// Units and sums of both arms, baseline first.
    totals: [(u64, f64); 2],
    ticks: u64,
}

impl BoundedMean {
    /// Without evidence.
    ///
    /// # Errors
    /// Bounds that are not finite or in the wrong order, or limits outside of them.
    pub fn new(settings: BoundedSettings) -> Result<Self, MeanError> {
        settings.check()?;
        let none = [0.0; BETS];
        Ok(Self { settings, fail: none, pass: none, totals: [(0, 0.0); 2], ticks: 0 })
    }

    /// Adds one tick. One arm without units: nothing to compare, only counted.
    ///
    /// # Errors
    /// Sums that no numbers within the bounds have.
    pub fn observe(&mut self, baseline: &Moments, canary: &Moments) -> Result<(), MeanError> {
        let means = [self.mean(baseline)?, self.mean(canary)?];
        for (total, m) in self.totals.iter_mut().zip([baseline, canary]) {
            total.0 = total.0.saturating_add(m.n);
            total.1 = (total.1 + m.sum).clamp(-super::HUGE, super::HUGE);
        }
        if let [Some(baseline), Some(canary)] = means {
            self.ticks += 1;
            self.compare(canary - baseline);
        }
        Ok(())
    }

    fn mean(&self, m: &Moments) -> Result<Option<f64>, MeanError> {
        check_moments(m)?;
        let BoundedSettings { low, high, .. } = self.settings;
        let mean = m.sum / m.n.max(1) as f64;
        let slack = 1e-9 * (high - low);
        if m.n > 0 && !(low - slack..=high + slack).contains(&mean) {
            return Err(MeanError::OutOfBounds { mean, low, high });
        }
        Ok((m.n > 0).then(|| mean.clamp(low, high)))
    }

    fn compare(&mut self, difference: f64) {
        let BoundedSettings { low, high, worse, tolerated, harm } = self.settings;
        let range = high - low;
        let worse_by = (worse.sign() * difference / range).clamp(-1.0, 1.0);
        for k in 0..BETS {
            self.fail[k] += bet(worse_by, tolerated / range, k);
            self.pass[k] += bet(-worse_by, -harm / range, k);
        }
    }

    /// `ln E` of FAIL: the canary's mean is worse by more than is tolerated.
    pub fn fail(&self) -> f64 {
        log_mean_exp(&self.fail)
    }

    /// `ln E` of PASS: it is not worse by as much as is harm.
    pub fn pass(&self) -> f64 {
        log_mean_exp(&self.pass)
    }

    /// Means of the baseline and the canary over all ticks, for display.
    pub fn means(&self) -> (Option<f64>, Option<f64>) {
        let mean = |(n, sum): (u64, f64)| (n > 0).then(|| sum / n as f64);
        (mean(self.totals[0]), mean(self.totals[1]))
    }

    /// Units of the baseline and the canary.
    pub fn units(&self) -> (u64, u64) {
        (self.totals[0].0, self.totals[1].0)
    }

    /// The mean of the canary that would be harm beside the baseline's.
    pub fn limit(&self) -> Option<f64> {
        Some(self.means().0? + self.settings.worse.sign() * self.settings.harm)
    }

    /// Ticks that had units in both arms.
    pub fn ticks(&self) -> u64 {
        self.ticks
    }
}

/// `ln(1 + bet * (difference - limit))` of bet `k` of [`BETS`], for a difference in -1..=1 against a
/// limit in -1..=1. Bets go down by halves from the largest that cannot lose all: 0.95 of the way.
pub fn bet(difference: f64, limit: f64, k: usize) -> f64 {
    let largest = 0.95 / (1.0 + limit.max(-0.95));
    let stake = largest * libm::exp2(-(k.min(BETS - 1) as f64));
    libm::log1p(stake * (difference - limit))
}
