//! The proof that a way back worked: the route read back, nobody on what was left, and errors
//! where they were before.

use crate::{Generation, RevisionId, RollbackClass, Rollout, Service, Timestamp};
use serde::{Deserialize, Serialize};

/// A way back, with what was measured of it. Spans from [`WayBack::began_at`] are what runbooks
/// show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WayBack {
    /// What it takes.
    pub class: RollbackClass,
    /// The revision that traffic leaves.
    pub left: RevisionId,
    /// The revision it goes to; `None` when there is none, so that nothing serves.
    pub to: Option<RevisionId>,
    /// When it was decided.
    pub began_at: Timestamp,
    /// When the data plane had confirmed the route.
    pub routed_at: Option<Timestamp>,
    /// The plan that was confirmed then.
    #[serde(default)]
    pub routed: Option<Generation>,
    /// When no new request had reached what was left any more.
    pub silent_at: Option<Timestamp>,
    /// What became of the errors; `None` while that is open.
    pub recovered: Option<Recovery>,
    /// Error rate of `to` before there was anything to go back from, 0 to 1.
    pub before: Option<f64>,
    /// Requests judged on `to` since the route was confirmed.
    #[serde(default)]
    pub requests: u64,
    /// Those that failed.
    #[serde(default)]
    pub errors: u64,
}

/// What became of the errors after a way back. Rates are shares, 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Recovery {
    /// They are back where they were.
    Recovered {
        /// When that was sure.
        at: Timestamp,
        /// What was measured.
        rate: f64,
        /// What it had to come to.
        limit: f64,
    },
    /// They are not, so the revision that was left was not the reason. Nothing flips again.
    NotRecovered {
        /// When time was up.
        at: Timestamp,
        /// What was measured.
        rate: f64,
        /// What it should have come to.
        limit: f64,
    },
    /// Nothing could be said, and why.
    NotMeasured {
        /// When that was sure.
        at: Timestamp,
        /// Such as that too few requests came.
        why: String,
    },
}

impl WayBack {
    /// Whether nothing of it is worth waiting for any more.
    pub fn is_settled(&self) -> bool {
        self.routed_at.is_some() && self.recovered.is_some()
    }

    /// Whether it is not known yet that nobody reaches what was left.
    pub(crate) fn is_open(&self) -> bool {
        self.silent_at.is_none()
    }

    /// Whether there is nothing left to measure.
    pub fn is_measured(&self) -> bool {
        self.is_settled() && self.silent_at.is_some()
    }
}

/// Error rate that `id` has when all is well: as the comparison under way saw it, or the last.
pub(crate) fn before(service: &Service, rollout: Option<&Rollout>, id: &RevisionId) -> Option<f64> {
    let compared = rollout.filter(|r| r.baseline.as_ref() == Some(id));
    let seen = compared.and_then(usual).or_else(|| service.revisions.get(id)?.usual);
    seen.filter(|rate| rate.is_finite())
}

/// Stable's error rate during `rollout`, if it had requests.
pub(crate) fn usual(rollout: &Rollout) -> Option<f64> {
    let (n, errors) = rollout.counted.stable;
    (n > 0).then(|| errors as f64 / n as f64)
}
