//! Evidence from events over an exposure: restarts by instance-second, log errors by request,
//! sign-ups by visitor. A rise or a drop may be the harm.

use crate::dispersion::tempered;
use crate::eprocess::{Counts, FLOOR_PRIOR, RATIO_PRIOR, add_known_share_at, mix_five};
use crate::grid::{K, LogEvidence, RATIOS, log_mean_exp};
use crate::metric::Worse;
use serde::{Deserialize, Serialize};

/// Alternatives of PASS between no change and harm, as powers of the harm ratio: for 2 they are
/// 1.5, 1.25, 1, 0.75 and 0.5.
const PLACES: [f64; 5] =
    [0.584_962_500_721_156_2, 0.321_928_094_887_362_3, 0.0, -0.415_037_499_278_843_8, -1.0];
/// Alternatives below the floor, as parts of it.
const BELOW: [f64; 5] = [0.5, 0.25, 0.1, 0.02, 1e-4];

/// What counts as harm for a rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateHarm {
    /// Which way is worse.
    pub worse: Worse,
    /// Multiple of the baseline's rate that is harm, or one part in so many.
    pub ratio: f64,
    /// Rate below which a rise is no harm; 0: none.
    pub floor: f64,
}

impl RateHarm {
    /// +1 when more is worse, -1 when less is: the sign of `ln r` on the side of harm.
    fn sign(&self) -> f64 {
        match self.worse {
            Worse::Rise => 1.0,
            Worse::Drop => -1.0,
        }
    }
}

/// FAIL and PASS evidence of one rate. The canary's share of all events is compared with its share
/// of the exposure; for Poisson counts that is exact whatever the common rate does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CountEvidence {
    fail: LogEvidence,
    pass: [f64; 5],
    baseline: (f64, u64),
    canary: (f64, u64),
    /// The canary's, each tick divided by its factor of clumping.
    weighed: (f64, f64),
}

impl CountEvidence {
    /// Adds one tick of (exposure, events), its evidence divided by `factor`.
    pub fn observe(
        &mut self,
        harm: &RateHarm,
        baseline: (f64, u64),
        canary: (f64, u64),
        factor: f64,
    ) {
        add(&mut self.baseline, baseline);
        add(&mut self.canary, canary);
        self.weighed.0 = (self.weighed.0 + canary.0 / factor).min(f64::MAX);
        self.weighed.1 += canary.1 as f64 / factor;
        let exposure = baseline.0 + canary.0;
        let share = canary.0 / exposure;
        if !(share > 0.0 && share < 1.0) {
            return;
        }
        let counts =
            Counts { canary_events: canary.1, baseline_events: baseline.1, ..Counts::default() };
        let ln_r: [f64; K] = RATIOS.ln_r.map(|x| x * harm.sign());
        tempered(&mut self.fail, factor, |l| add_known_share_at(&ln_r, share, &counts, l));
        let ln_harm = harm.sign() * libm::log(harm.ratio);
        let against = likelihood(ln_harm, share, &counts);
        for (l, place) in self.pass.iter_mut().zip(PLACES) {
            *l += (likelihood(place * ln_harm, share, &counts) - against) / factor;
        }
    }

    /// `ln E` that the canary's rate is worse than the baseline's.
    pub fn fail(&self, repeats: f64) -> f64 {
        RATIOS.mix_repeated(&self.fail, repeats)
    }

    /// `ln E` that the canary's rate is not harmful: against the ratio, or against the floor.
    pub fn pass(&self, harm: &RateHarm, repeats: f64) -> f64 {
        let ratio = mix_five(&RATIO_PRIOR, &self.pass.map(|l| l / repeats));
        if harm.floor <= 0.0 || harm.worse == Worse::Drop {
            return ratio;
        }
        let (exposure, events) = (self.weighed.0 / repeats, self.weighed.1 / repeats);
        let below = BELOW.map(|x| events * libm::log(x) - (x - 1.0) * harm.floor * exposure);
        log_mean_exp(&[ratio, mix_five(&FLOOR_PRIOR, &below)])
    }

    /// (exposure, events) of the baseline and of the canary.
    pub fn totals(&self) -> ((f64, u64), (f64, u64)) {
        (self.baseline, self.canary)
    }
}

fn add(total: &mut (f64, u64), tick: (f64, u64)) {
    total.0 = (total.0 + tick.0).min(f64::MAX);
    total.1 = total.1.saturating_add(tick.1);
}

/// Log likelihood of rate ratio `exp(ln_r)` against 1.
fn likelihood(ln_r: f64, share: f64, counts: &Counts) -> f64 {
    let events = counts.canary_events as f64 + counts.baseline_events as f64;
    counts.canary_events as f64 * ln_r - events * libm::log1p(share * libm::expm1(ln_r))
}
