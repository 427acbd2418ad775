//! Guards: is the comparison itself sound? A tripped guard makes the answer Invalid, never Pass.

use crate::dispersion::Dispersion;
use crate::eprocess::{Counts, add_margin};
use crate::grid::{LogEvidence, RATIOS};
use crate::multinomial::{Disagreement, ReplicaCount, ShareTest};
use crate::tick::{Dealt, Tick};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Evidence (nats) at which a guard trips: `ln 1000`.
pub const GUARD_NEEDED: f64 = 6.907_755_278_982_137;
/// Estimate of the dispersion factor from which on nothing can be compared.
const DISPERSION_MAX: f64 = 50.0;
/// Fewer requests given up by clients say nothing.
const ABORTS_MIN: u64 = 20;
/// Instances that are told apart; further ones are not compared.
const REPLICAS_MAX: usize = 100;
/// Users in both arms that are too many: so many, and more than one in so many units.
const CROSSED_MAX: (u64, u64) = (3, 1000);

/// What can be wrong with a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// The last counts contradict themselves.
    Counts,
    /// The arms did not get the shares they were to get.
    SampleRatio,
    /// Clients give up the canary's requests more often, before they can be judged.
    Aborts,
    /// Stable's instances differ from each other.
    Replicas,
    /// Users' errors come in clumps far beyond what can be corrected for.
    Dispersion,
    /// Routing is not random and nothing is known from before.
    Routing,
    /// Users were seen in both arms.
    Crossed,
}

/// Why the comparison is not sound, with the numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Invalid {
    /// Which guard.
    pub guard: Guard,
    /// Its evidence in nats, where it has any.
    pub evidence: f64,
    /// The number of the canary (a share, a rate, a factor) ...
    pub canary: f64,
    /// ... and what it was compared with.
    pub baseline: f64,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (canary, baseline) = (self.canary * 100.0, self.baseline * 100.0);
        match self.guard {
            Guard::Counts => f.write_str("the last counts contradict themselves and were not used"),
            Guard::SampleRatio => write!(
                f,
                "the candidate got {canary:.2} % of the sample where {baseline:.2} % were planned"
            ),
            Guard::Aborts => write!(
                f,
                "clients gave up {canary:.2} % of the candidate's requests and {baseline:.2} % of \
                 stable's before they could be judged"
            ),
            Guard::Replicas => write!(
                f,
                "stable's own instances disagree: error rates from {baseline:.2} % to {canary:.2} %"
            ),
            Guard::Dispersion => write!(
                f,
                "errors come in clumps of users, {:.0} times the variation of independent ones",
                self.canary
            ),
            Guard::Routing => f.write_str(
                "routing is not random and nothing from before the rollout is there to compare with",
            ),
            Guard::Crossed => write!(
                f,
                "{:.0} of {:.0} users were seen with both variants; what assigns them does not \
                 stay the same",
                self.canary, self.baseline
            ),
        }
    }
}

fn known(dispersion: &Dispersion) -> Option<&Dispersion> {
    Some(dispersion).filter(|d| d.is_known())
}

/// The guards and what they have seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Guards {
    dealt: ShareTest,
    dealt_totals: (u64, u64, f64),
    aborts: LogEvidence,
    abort_counts: Counts,
    replicas: Disagreement,
    /// Instances by their position in `replicas`.
    names: Vec<String>,
    dispersion: Dispersion,
    /// The same among the canary's users.
    canary_dispersion: Dispersion,
    /// Users seen in both arms, and units of both.
    #[serde(default)]
    crossed: (u64, u64),
    /// The first trip, until somebody looked at it.
    tripped: Option<Invalid>,
}

impl Guards {
    /// Adds one tick. `replicas_needed`: evidence at which stable's instances disagree.
    pub fn observe(&mut self, tick: &Tick, replicas_needed: f64) {
        self.dispersion.observe(&tick.split);
        self.canary_dispersion.observe(&tick.canary_split);
        if let Some(dealt) = &tick.dealt {
            self.observe_dealt(dealt);
        }
        self.observe_aborts(tick);
        self.observe_replicas(tick);
        let judged = tick.baseline.n.saturating_add(tick.canary.n);
        // Users who were dealt an arm may be crossed without being judged.
        let dealt = tick.dealt.as_ref().map_or(0, |d| d.baseline.saturating_add(d.canary));
        let units = judged.max(dealt);
        self.crossed.0 = self.crossed.0.saturating_add(tick.crossed);
        self.crossed.1 = self.crossed.1.saturating_add(units);
        if self.tripped.is_none() {
            self.tripped = self.look(replicas_needed);
        }
    }

    fn observe_dealt(&mut self, dealt: &Dealt) {
        let Dealt { baseline, canary, share } = *dealt;
        if self.dealt.observe(&[baseline, canary], &[1.0 - share, share]).is_err() {
            return;
        }
        let (b, c, expected) = &mut self.dealt_totals;
        *b = b.saturating_add(baseline);
        *c = c.saturating_add(canary);
        *expected += share * (baseline as f64 + canary as f64);
    }

    /// Where units are users this guard is off: one impatient user would trip it. PASS still counts
    /// what was given up (see [`crate::errors`]).
    fn observe_aborts(&mut self, tick: &Tick) {
        if !tick.split.is_empty() {
            return;
        }
        let counts = Counts {
            canary_n: tick.canary.n.saturating_add(tick.canary.aborted),
            canary_events: tick.canary.aborted,
            baseline_n: tick.baseline.n.saturating_add(tick.baseline.aborted),
            baseline_events: tick.baseline.aborted,
        };
        add_margin(&RATIOS, &counts, &mut self.aborts);
        self.abort_counts.add(&counts);
    }

    fn observe_replicas(&mut self, tick: &Tick) {
        for name in tick.replicas.keys() {
            if !self.names.contains(name) && self.names.len() < REPLICAS_MAX {
                self.names.push(name.clone());
            }
        }
        let count = |name: &String| {
            let (n, events) = tick.replicas.get(name).copied().unwrap_or_default();
            ReplicaCount { n, events }
        };
        let counts: Vec<_> = self.names.iter().map(count).collect();
        if !counts.is_empty() {
            // Contradictory counts were refused with their tick.
            let _ = self.replicas.observe(&counts);
        }
    }

    fn look(&self, replicas_needed: f64) -> Option<Invalid> {
        self.look_at_shares()
            .or_else(|| self.look_at_aborts())
            .or_else(|| self.look_at_replicas(replicas_needed))
            .or_else(|| self.look_at_dispersion())
            .or_else(|| self.look_at_crossed())
    }

    fn look_at_crossed(&self) -> Option<Invalid> {
        let (crossed, units) = self.crossed;
        let (least, in_so_many) = CROSSED_MAX;
        let too_many = crossed >= least && crossed.saturating_mul(in_so_many) > units;
        too_many.then_some(Invalid {
            guard: Guard::Crossed,
            evidence: 0.0,
            canary: crossed as f64,
            baseline: units as f64,
        })
    }

    fn look_at_shares(&self) -> Option<Invalid> {
        let evidence = self.dealt.ln_e() / self.dispersion.unit_factor();
        let (baseline, canary, expected) = self.dealt_totals;
        let all = baseline as f64 + canary as f64;
        (evidence >= GUARD_NEEDED).then(|| Invalid {
            guard: Guard::SampleRatio,
            evidence,
            canary: canary as f64 / all,
            baseline: expected / all,
        })
    }

    fn look_at_aborts(&self) -> Option<Invalid> {
        let evidence = RATIOS.mix(&self.aborts);
        let tripped = evidence >= GUARD_NEEDED && self.abort_counts.canary_events >= ABORTS_MIN;
        tripped.then(|| Invalid {
            guard: Guard::Aborts,
            evidence,
            canary: self.abort_counts.canary_rate().unwrap_or(0.0),
            baseline: self.abort_counts.baseline_rate().unwrap_or(0.0),
        })
    }

    fn look_at_replicas(&self, needed: f64) -> Option<Invalid> {
        let evidence = self.replicas.ln_e();
        let rates =
            || self.replicas.totals().filter(|r| r.n > 0).map(|r| r.events as f64 / r.n as f64);
        let (low, high) = (rates().fold(1.0, f64::min), rates().fold(0.0, f64::max));
        (evidence >= needed.max(GUARD_NEEDED)).then_some(Invalid {
            guard: Guard::Replicas,
            evidence,
            canary: high,
            baseline: low,
        })
    }

    fn look_at_dispersion(&self) -> Option<Invalid> {
        let factor = known(&self.dispersion).map_or(1.0, Dispersion::factor);
        (factor >= DISPERSION_MAX).then_some(Invalid {
            guard: Guard::Dispersion,
            evidence: 0.0,
            canary: factor,
            baseline: 1.0,
        })
    }

    /// What tripped, if anything did.
    pub fn tripped(&self) -> Option<&Invalid> {
        self.tripped.as_ref()
    }

    /// What evidence of the next tick has to be divided by, at least 1; 1 where units are not users.
    /// `whole`: for what repeats over time too.
    pub fn factor(&self, has_split: bool, whole: bool) -> f64 {
        let of = |d: &Dispersion| if whole { d.factor() } else { d.within() };
        let among_canaries = known(&self.canary_dispersion).map_or(1.0, of);
        let stable = Some(&self.dispersion).filter(|d| has_split || d.is_known());
        stable.map_or(1.0, of).max(among_canaries)
    }

    /// How often the evidence so far repeats itself, at least 1, because the same users fail.
    pub fn repeats(&self) -> f64 {
        (self.factor(false, true) / self.factor(false, false)).max(1.0)
    }

    /// Whether units are users: only they come with a split.
    pub fn has_users(&self) -> bool {
        self.dispersion.is_known()
    }

    /// Begins anew after a person has looked; what is still wrong trips again.
    pub fn clear(&mut self) {
        *self = Self {
            dispersion: std::mem::take(&mut self.dispersion),
            canary_dispersion: std::mem::take(&mut self.canary_dispersion),
            ..Self::default()
        };
    }
}
