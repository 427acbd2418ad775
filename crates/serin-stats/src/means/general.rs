//! Means of any numbers: a normal mixture over relative differences of ticks.

use super::{MeanError, check_moments, finite, mixture};
use crate::grid::log_sum_exp;
use crate::metric::Worse;
use crate::tick::Moments;
use serde::{Deserialize, Serialize};

/// Ticks needed before anything is said.
pub const MIN_TICKS: u64 = 4;
/// Units needed in each arm before anything is said, where units are known: this many for numbers
/// that spread no wider than their mean, and as many times more as their variance is above the square
/// of the mean. Rare large numbers must have had a chance to appear.
pub const MIN_UNITS: u64 = 100;
/// Units of each arm that make a tick: smaller ones are put together, since a variance of two or
/// three numbers is none.
const TICK_UNITS: u64 = 20;
/// Priors of FAIL, in units of harm, and their weights: a canary of ten times the baseline's mean is found in few units,
/// which a prior as narrow as harm would not believe.
const WIDTHS: [(f64, f64); 3] = [(1.0, 0.8), (4.0, 0.1), (32.0, 0.1)];
/// Weight of the past in the reference, per tick: it remembers some 20.
const MEMORY: f64 = 0.95;

/// What is compared. Differences are relative to the baseline's mean over past ticks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanSettings {
    /// Which way is worse.
    pub worse: Worse,
    /// Relative change that is not held against the canary (0.05: 5 %); 0 and more.
    pub tolerated: f64,
    /// Relative change that is harm, from 0.001 to 10; above `tolerated`.
    pub harm: f64,
}

impl MeanSettings {
    fn check(&self) -> Result<(), MeanError> {
        if !(0.0..10.0).contains(&self.tolerated) {
            return Err(MeanError::Setting { name: "tolerated", value: self.tolerated });
        }
        if !((0.001..=10.0).contains(&self.harm) && self.harm > self.tolerated) {
            return Err(MeanError::Setting { name: "harm", value: self.harm });
        }
        Ok(())
    }
}

/// A mean with its standard error, as a metrics provider gives it for one tick.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its standard error, above 0.
    pub error: f64,
}

/// Evidence about a mean, from sums or from estimates. **Asymptotic:** there is no guarantee for any
/// finite sample, only one that gets better with many ticks of many units; numbers so skewed that a
/// hundred of them do not have a normal mean are not for it (take exceedances or bounds instead).
///
/// Each tick gives the relative difference `d` of the arms, positive when the canary is worse, with
/// its variance `V`. Ticks are weighted by `a = 1/V`, with the `V` that *earlier* ticks predict: the
/// mean of a skewed sample goes with its variance, so that a tick's own would favour the lucky ones.
/// The sum `S = sum a (d - limit)` has variance `v = sum a^2 V`, this time with what was seen; where
/// ticks vary more than their units do (units come in clumps), `v` is what ticks vary by. Evidence is
/// the one-sided normal mixture of [`mixture::one_sided`] (Waudby-Smith et al. 2024, "Time-uniform
/// central limit theory and asymptotic confidence sequences"), with a prior on `d` as wide as harm; FAIL
/// mixes in wider ones.
///
/// Says nothing (`ln E = 0`) before [`MIN_TICKS`] ticks and [`MIN_UNITS`] units (or more) in each arm. The
/// first tick teaches the reference only. Not for means around 0: they have no relative change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeanEvidence {
    settings: MeanSettings,
    /// Ticks too small to stand alone, baseline first.
    pending: [Moments; 2],
    arms: [Arm; 2],
    sums: Sums,
}

/// What the past says about one arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Arm {
    /// All units and their sum, for display; an estimate counts as one.
    n: u64,
    sum: f64,
    /// Recent ticks, faded: their weight, means and variances of a unit.
    weight: f64,
    mean: f64,
    variance: f64,
}

/// Sums over the compared ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    ticks: u64,
    /// Units of ticks given as sums, baseline first.
    units: [u64; 2],
    /// Ticks given as estimates, whose units are not known.
    estimates: u64,
    /// `a`, `a d`, `a^2`, `a^2 d`, `a^2 d^2`, `a^2 V`.
    a: f64,
    ad: f64,
    aa: f64,
    aad: f64,
    aadd: f64,
    aav: f64,
}

/// One arm in one tick: `n` units of this mean and variance.
#[derive(Clone, Copy, Debug)]
struct Look {
    n: f64,
    mean: f64,
    variance: f64,
}

impl MeanEvidence {
    /// Without evidence.
    ///
    /// # Errors
    /// Settings out of range.
    pub fn new(settings: MeanSettings) -> Result<Self, MeanError> {
        settings.check()?;
        let (pending, arms) = ([Moments::default(); 2], [Arm::default(); 2]);
        Ok(Self { settings, pending, arms, sums: Sums::default() })
    }

    /// Adds the sums of one tick. Ticks in which an arm has fewer than 20 units wait for more.
    ///
    /// # Errors
    /// Sums that no numbers have.
    pub fn observe(&mut self, baseline: &Moments, canary: &Moments) -> Result<(), MeanError> {
        check_moments(baseline)?;
        check_moments(canary)?;
        for (pending, m) in self.pending.iter_mut().zip([baseline, canary]) {
            pending.n = pending.n.saturating_add(m.n);
            pending.sum += m.sum;
            pending.sum_squares += m.sum_squares;
        }
        if self.pending.iter().any(|m| m.n < TICK_UNITS) {
            return Ok(());
        }
        let ready = std::mem::take(&mut self.pending);
        let looks = ready.map(|m| Look::of(&m));
        if looks.iter().all(|l| l.mean.is_finite() && l.variance.is_finite()) {
            self.tick(looks);
            for (units, m) in self.sums.units.iter_mut().zip(&ready) {
                *units = units.saturating_add(m.n);
            }
        }
        Ok(())
    }

    /// Adds the estimates of one tick.
    ///
    /// # Errors
    /// Numbers that are not finite, or a standard error that is not above 0: a single number has none,
    /// and it would look like certainty.
    pub fn observe_estimates(
        &mut self,
        baseline: Estimate,
        canary: Estimate,
    ) -> Result<(), MeanError> {
        for Estimate { mean, error } in [baseline, canary] {
            finite("mean", mean)?;
            finite("standard error", error)?;
            if error <= 0.0 {
                return Err(MeanError::Variance { n: 1, sum: mean, sum_squares: error });
            }
        }
        self.sums.estimates = self.sums.estimates.saturating_add(1);
        let look = |e: Estimate| Look { n: 1.0, mean: e.mean, variance: e.error * e.error };
        self.tick([look(baseline), look(canary)]);
        Ok(())
    }

    fn tick(&mut self, looks: [Look; 2]) {
        let level = self.arms[0].mean.abs();
        if self.arms.iter().all(|a| a.weight > 0.0) && level > 0.0 {
            let variance =
                |unit: [f64; 2]| (unit[0] / looks[0].n + unit[1] / looks[1].n) / level / level;
            let expected = variance(self.arms.map(|a| a.variance));
            let seen = variance(looks.map(|l| l.variance));
            let difference = (looks[1].mean - looks[0].mean) / level;
            self.sums.add(self.settings.worse.sign() * difference, expected, seen);
        }
        for (arm, look) in self.arms.iter_mut().zip(&looks) {
            arm.learn(look);
        }
    }

    /// Whether there was enough to say anything.
    pub fn has_data(&self) -> bool {
        let enough =
            self.sums.units.iter().zip(&self.arms).all(|(n, arm)| *n as f64 >= arm.needed());
        self.sums.ticks >= MIN_TICKS && (enough || self.sums.estimates > 0)
    }

    /// `ln E` of FAIL: the canary's mean is worse by more than is tolerated.
    pub fn fail(&self) -> f64 {
        if !self.has_data() {
            return 0.0;
        }
        let s = self.sums.ad - self.settings.tolerated * self.sums.a;
        log_sum_exp(&WIDTHS.map(|(width, weight)| libm::log(weight) + self.evidence(s, width)))
    }

    /// `ln E` of PASS: it is not worse by as much as is harm.
    pub fn pass(&self) -> f64 {
        if !self.has_data() {
            return 0.0;
        }
        self.evidence(self.settings.harm * self.sums.a - self.sums.ad, 1.0)
    }

    /// With a prior `width` times as wide as harm.
    fn evidence(&self, s: f64, width: f64) -> f64 {
        let spread = width * self.settings.harm;
        mixture::one_sided(s, self.sums.variance(), 1.0 / (spread * spread))
    }

    /// Means of the baseline and the canary over all ticks, for display.
    pub fn means(&self) -> (Option<f64>, Option<f64>) {
        let mean = |a: &Arm| (a.n > 0).then(|| a.sum / a.n as f64);
        (mean(&self.arms[0]), mean(&self.arms[1]))
    }

    /// Relative difference of the canary, weighted as the test weights it, positive when worse; with
    /// its standard error. `None` before there is enough to say anything.
    pub fn difference(&self) -> Option<(f64, f64)> {
        let sums = &self.sums;
        let found = (sums.ad / sums.a, libm::sqrt(sums.variance()) / sums.a);
        (self.has_data() && found.0.is_finite() && found.1.is_finite()).then_some(found)
    }

    /// Units of the baseline and the canary; an estimate counts as one.
    pub fn units(&self) -> (u64, u64) {
        (self.arms[0].n, self.arms[1].n)
    }

    /// The mean of the canary that would be harm beside the baseline's.
    pub fn limit(&self) -> Option<f64> {
        let usual = self.means().0?;
        Some(usual + self.settings.worse.sign() * self.settings.harm * usual.abs())
    }

    /// Ticks that were compared.
    pub fn ticks(&self) -> u64 {
        self.sums.ticks
    }
}

impl Look {
    fn of(m: &Moments) -> Self {
        let n = m.n as f64;
        let mean = m.sum / n;
        let variance = (m.sum_squares - m.sum * mean) / (n - 1.0);
        Self { n, mean, variance: variance.max(0.0) }
    }
}

impl Arm {
    fn needed(&self) -> f64 {
        let spread = (self.variance / self.mean / self.mean).clamp(1.0, 1e6);
        MIN_UNITS as f64 * if spread.is_nan() { 1.0 } else { spread }
    }

    fn learn(&mut self, look: &Look) {
        self.n = self.n.saturating_add(look.n as u64);
        self.sum += look.n * look.mean;
        self.weight = self.weight * MEMORY + 1.0;
        let step = 1.0 / self.weight;
        self.mean += (look.mean - self.mean) * step;
        self.variance += (look.variance - self.variance) * step;
    }
}

impl Sums {
    fn add(&mut self, d: f64, expected: f64, seen: f64) {
        // Numbers that never vary are compared as if they did by a millionth of their mean.
        let a = 1.0 / expected.max(1e-12);
        let seen = seen.max(1e-12);
        let next = Self {
            ticks: self.ticks.saturating_add(1),
            a: self.a + a,
            ad: self.ad + a * d,
            aa: self.aa + a * a,
            aad: self.aad + a * a * d,
            aadd: self.aadd + a * a * d * d,
            aav: self.aav + a * a * seen,
            ..*self
        };
        let sums = [next.a, next.ad, next.aa, next.aad, next.aadd, next.aav];
        if sums.iter().all(|x| x.abs() < 1e140) {
            *self = next;
        }
    }

    /// Of `sum a (d - limit)`: by the units' variances or by how ticks vary, whichever is larger.
    fn variance(&self) -> f64 {
        let mean = self.ad / self.a;
        let among_ticks = self.aadd - 2.0 * mean * self.aad + mean * mean * self.aa;
        let ticks = self.ticks.max(2) as f64;
        self.aav.max(among_ticks * ticks / (ticks - 1.0))
    }
}
