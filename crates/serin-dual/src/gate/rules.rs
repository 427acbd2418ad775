//! What each move asks for.

use crate::phase::Phase;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What each move to the next phase asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// From `write_old`.
    pub to_dual_write: Needs,
    /// From `dual_write_read_old`.
    pub to_shadow_read: Needs,
    /// From `dual_write_shadow_read`: the new store takes over.
    pub to_read_new: Needs,
    /// From `read_new_dual_write`: the old store is let go.
    pub to_new_only: Needs,
    /// The backlog with which the old store may take over again.
    pub back: BacklogLimit,
}

/// What one move asks for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Needs {
    /// Time in the phase before.
    pub soak: Duration,
    /// How much may wait in the outbox. Nothing in it may be dead.
    pub backlog: Option<BacklogLimit>,
    /// How rarely compared reads differ.
    pub reads: Option<ReadLimit>,
    /// A whole comparison found both equal, and is no older.
    pub checksum: Option<Duration>,
    /// A person has to agree.
    pub approval: bool,
}

/// How far the other store may be behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BacklogLimit {
    /// Writes that may wait.
    pub waiting: u64,
    /// Age that the oldest of them may have.
    pub oldest: Duration,
}

/// How rarely compared reads differ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReadLimit {
    /// At least so many must have been compared.
    pub compared: u64,
    /// The share of differing reads that is surely not reached, in (0, 1).
    pub rate: f64,
    /// The chance, in (0, 1), that "surely" is wrong, however often one looks.
    pub alpha: f64,
}

impl Rules {
    /// What the move from `phase` to the next one asks for.
    pub fn from(&self, phase: Phase) -> Option<&Needs> {
        match phase {
            Phase::WriteOld => Some(&self.to_dual_write),
            Phase::DualWriteReadOld => Some(&self.to_shadow_read),
            Phase::DualWriteShadowRead => Some(&self.to_read_new),
            Phase::ReadNewDualWrite => Some(&self.to_new_only),
            Phase::NewOnly => None,
        }
    }
}
