//! Difference in differences: where routing is not random (by header, by ring) the two groups of
//! users may differ before any new version is there. What the candidate is compared with is then
//! not "equal" but the ratio of before.
//!
//! Before the rollout both groups run stable, and a confidence sequence of their ratio is kept at a
//! fifth of alpha. Its ends are frozen when the candidate gets its first unit; FAIL is then tested
//! against the upper end, PASS against the harm ratio times the lower end, with four fifths of the
//! risks. By the union bound the whole keeps alpha and beta.

use crate::eprocess::{Counts, Harm, RATIO_PRIOR, known_share, mix_five};
use crate::errors::ErrorEvidence;
use crate::grid::{K, LogEvidence, RATIOS};
use serde::{Deserialize, Serialize};

/// Share of a risk that is spent on the ratio of before.
pub const BEFORE_SHARE: f64 = 0.2;

/// The ratio of before, and the evidence relative to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shifted {
    before: ErrorEvidence,
    /// Ends of the ratio of before, once frozen.
    ratio: Option<(f64, f64)>,
    fail: LogEvidence,
    pass: [f64; 5],
}

impl Shifted {
    /// Adds a tick in which both groups ran stable. Ignored once the candidate had traffic.
    pub fn observe_before(&mut self, harm: &Harm, tick: &Counts) {
        if self.ratio.is_none() {
            self.before.observe(harm, tick, 1.0);
        }
    }

    /// The ratio of before as far as it is known: its ends at risk `alpha`.
    pub fn ratio(&self, alpha: f64) -> Option<(f64, f64)> {
        self.ratio.or_else(|| self.before.interval(alpha * BEFORE_SHARE))
    }

    /// Adds a tick of the rollout.
    pub fn observe(&mut self, harm: &Harm, alpha: f64, tick: &Counts, factor: f64) {
        if tick.canary_n == 0 {
            return;
        }
        self.ratio = self.ratio(alpha);
        let Some((low, high)) = self.ratio else { return };
        for k in 0..K {
            self.fail[k] += known_share(tick, (RATIOS.up[k] + 1.0) * high, high) / factor;
        }
        let null = harm.ratio * low;
        for (l, r) in self.pass.iter_mut().zip(harm.ratios()) {
            *l += known_share(tick, r * low, null) / factor;
        }
    }

    /// `ln E` of FAIL, made smaller by what the ratio of before cost.
    pub fn fail(&self, repeats: f64) -> f64 {
        RATIOS.mix_repeated(&self.fail, repeats) + libm::log1p(-BEFORE_SHARE)
    }

    /// `ln E` of PASS by the ratio, made smaller likewise.
    pub fn pass(&self, repeats: f64) -> f64 {
        mix_five(&RATIO_PRIOR, &self.pass.map(|l| l / repeats)) + libm::log1p(-BEFORE_SHARE)
    }

    /// Whether there is a ratio of before to compare with.
    pub fn is_known(&self) -> bool {
        self.ratio.is_some()
    }
}
