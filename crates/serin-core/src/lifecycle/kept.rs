//! A revision whose instances stay although it has no traffic.

use crate::{RevisionId, RevisionStanding, Service, Timestamp};
use serde::{Deserialize, Serialize};

/// A revision whose instances stay for a while, without traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Which.
    pub revision: RevisionId,
    /// What for.
    pub why: KeptFor,
    /// Since when.
    pub since: Timestamp,
    /// When its instances are let go.
    pub until: Timestamp,
    /// Its instances.
    pub replicas: u32,
}

/// What a revision is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeptFor {
    /// A way back at once.
    WayBack,
    /// People who want to see what was wrong with it.
    Inspection,
}

impl Service {
    /// Whether traffic can move to `revision` at once and untried: it was good, and its instances
    /// were kept for that.
    pub fn is_fast(&self, revision: &RevisionId) -> bool {
        let kept = self.kept.as_ref().filter(|k| k.why == KeptFor::WayBack);
        let trusted = |r: &crate::Revision| {
            matches!(r.standing, RevisionStanding::Good | RevisionStanding::Promoted)
        };
        kept.is_some_and(|kept| kept.revision == *revision)
            && self.ready(revision) > 0
            && self.revisions.get(revision).is_some_and(trusted)
    }
}
