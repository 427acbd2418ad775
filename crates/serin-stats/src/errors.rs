//! Evidence from the error rates of both arms.

use crate::dispersion::tempered;
use crate::eprocess::{Counts, Harm, Outlook, PassEvidence, add_known_share, add_margin};
use crate::grid::{K, LogEvidence, RATIOS, log_mean_exp};
use crate::onset::{Onset, start, with_rest};
use serde::{Deserialize, Serialize};

/// FAIL and PASS evidence of the error rate, and what the confidence sequence needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorEvidence {
    fail: LogEvidence,
    pass: PassEvidence,
    /// PASS of "failed or given up by its client", from the first request on that was given up;
    /// until then it is the same as `pass`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    given_up: Option<Box<PassEvidence>>,
    /// Log likelihood of each rate ratio `2^(k/4)` against 1.
    above: LogEvidence,
    /// The same for `2^(-k/4)`.
    below: LogEvidence,
}

impl ErrorEvidence {
    /// Begins with every alternative at `ln_first`.
    pub fn starting_at(ln_first: f64) -> Self {
        Self { fail: [ln_first; K], ..Self::default() }
    }

    /// Adds a later start of the FAIL evidence.
    pub fn start(&mut self, ln_weight: f64) {
        start(&mut self.fail, ln_weight);
    }

    /// Adds one tick, its evidence divided by `factor`.
    pub fn observe(&mut self, harm: &Harm, tick: &Counts, factor: f64) {
        let grid = &*RATIOS;
        let down = grid.ln_r.map(|x| -x);
        tempered(&mut self.fail, factor, |l| add_margin(grid, tick, l));
        self.pass.observe(harm, tick, factor);
        tempered(&mut self.above, factor, |l| add_known_share(&grid.ln_r, &grid.up, tick, l));
        tempered(&mut self.below, factor, |l| add_known_share(&down, &grid.down, tick, l));
    }

    /// `ln E` of FAIL.
    pub fn fail(&self, onset: Option<&Onset>, repeats: f64) -> f64 {
        with_rest(RATIOS.mix_repeated(&self.fail, repeats), onset)
    }

    /// Adds the requests of the same tick that clients gave up, before the tick itself is added. A
    /// version that hangs is not judged by them, as its clients may be gone before anybody could
    /// tell; but it does not pass either.
    pub fn observe_given_up(&mut self, harm: &Harm, tick: &Counts, with: &Counts, factor: f64) {
        if with == tick && self.given_up.is_none() {
            return;
        }
        let pass = &self.pass;
        let given_up = self.given_up.get_or_insert_with(|| Box::new(pass.clone()));
        given_up.observe(harm, with, factor);
    }

    /// `ln E` of PASS: no harm in errors, nor in errors and requests given up.
    pub fn ln_pass(&self, harm: &Harm, repeats: f64) -> f64 {
        let pass = self.pass.ln_e(harm, repeats);
        self.given_up.as_ref().map_or(pass, |given_up| pass.min(given_up.ln_e(harm, repeats)))
    }

    /// A person has looked at what was given up; from now on it is counted anew.
    pub fn forget_given_up(&mut self) {
        self.given_up = None;
    }

    /// Canary units still needed until both reach `needed`, if everything goes on as it was.
    /// `None`: they will not.
    pub fn requests_missing(&self, harm: &Harm, needed: f64) -> Option<u64> {
        let missing =
            |pass: &PassEvidence| pass.requests_missing(harm, needed, &Outlook::of(pass.counts())?);
        let served = missing(&self.pass)?;
        self.given_up.as_ref().map_or(Some(served), |all| Some(missing(all)?.max(served)))
    }

    /// The PASS evidence.
    pub fn pass(&self) -> &PassEvidence {
        &self.pass
    }

    /// Cumulative counts.
    pub fn counts(&self) -> &Counts {
        self.pass.counts()
    }

    /// Confidence sequence for the rate ratio: every ratio whose likelihood is above `alpha` times
    /// that of the uniform mixture over all, Between grid points the ends are interpolated.
    pub fn interval(&self, alpha: f64) -> Option<(f64, f64)> {
        let counts = self.counts();
        if counts.canary_events == 0 && counts.baseline_events == 0 {
            return None;
        }
        let curve = self.curve();
        let logs: Vec<f64> = curve.iter().map(|point| point.1).collect();
        let level = log_mean_exp(&logs) + libm::log(alpha);
        let low = crossing(curve.iter(), level)?;
        let high = crossing(curve.iter().rev(), level)?;
        Some((libm::exp(low), libm::exp(high)))
    }

    /// (ln ratio, log likelihood), ascending by ratio.
    fn curve(&self) -> Vec<(f64, f64)> {
        let ln_r = &RATIOS.ln_r;
        let below = (0..K).rev().map(|k| (-ln_r[k], self.below[k]));
        let above = (0..K).map(|k| (ln_r[k], self.above[k]));
        below.chain([(0.0, 0.0)]).chain(above).collect()
    }
}

/// Where the likelihood first rises above `level`, walking along `points`.
fn crossing<'a>(points: impl Iterator<Item = &'a (f64, f64)>, level: f64) -> Option<f64> {
    let mut before: Option<(f64, f64)> = None;
    for &(x, y) in points {
        if y > level {
            return Some(before.map_or(x, |(x0, y0)| x0 + (x - x0) * (level - y0) / (y - y0)));
        }
        before = Some((x, y));
    }
    None
}
