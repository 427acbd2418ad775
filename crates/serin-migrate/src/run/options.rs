//! What a person or a rollout can say to the runner.

use serde::{Deserialize, Serialize};

/// How hard it tries for locks and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// Longest wait in the queue for one lock, ms: for so long it may hold up others.
    pub lock_ms: u64,
    /// Time to try for the locks of one step, ms.
    pub budget_ms: u64,
    /// Time to wait for a server that does not answer, ms.
    pub server_ms: u64,
    /// A runner that was silent for so long has lost its lease, ms.
    pub lease_ms: u64,
    /// Time the old shape must not have been written before it goes, ms.
    pub quiet_ms: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            lock_ms: 50,
            budget_ms: 300_000,
            server_ms: 60_000,
            lease_ms: 30_000,
            quiet_ms: 60_000,
        }
    }
}

/// What is said along with a wish.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Say {
    /// What speaks against it is set aside, for this reason; noted with the name.
    pub override_reason: Option<String>,
    /// Before something is dropped: the backup there is, or why none is needed.
    pub backup: Option<String>,
    /// Changes somebody else made to the tables are accepted as they are now.
    pub accept_foreign: bool,
}
