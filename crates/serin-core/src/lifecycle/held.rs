//! Deploys that do not start at once: the one that waits, and those a hold refuses.

use crate::{Actor, DeployAsk, RevisionId, Service, Timestamp};
use serde::{Deserialize, Serialize};

/// A deploy that waits until the rollout under way has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queued {
    /// Who asked for it.
    pub by: Actor,
    /// Why, in their words.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
    /// What.
    pub deploy: Box<DeployAsk>,
    /// It is a way back: its revision was good, and is not tried again.
    #[serde(default)]
    pub back: bool,
}

/// After a way back: what was left, and everything older, is not deployed again by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The revision that was left.
    pub left: RevisionId,
    /// When it was first seen; revisions known before are refused too.
    pub known_since: Timestamp,
    /// Where the way back led, which is never refused.
    pub to: Option<RevisionId>,
    /// Since when.
    pub since: Timestamp,
    /// Who went back; `serin` when the evidence did.
    pub by: Actor,
}

impl Service {
    /// Whether a deploy of `revision` is refused until [`crate::Ask::Release`].
    pub fn is_held(&self, revision: &RevisionId) -> bool {
        let Some(hold) = &self.hold else { return false };
        let older = self.revisions.get(revision).is_some_and(|r| r.created_at <= hold.known_since);
        let exempt = hold.to.as_ref() == Some(revision);
        // What is left is stable until the way back has ended.
        let stable = self.stable.as_ref() == Some(revision) && hold.left != *revision;
        (older || hold.left == *revision) && !exempt && !stable
    }
}
