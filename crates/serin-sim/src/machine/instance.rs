//! Processes of the made-up machine.

use serin_core::{Plan, RevisionId, Timestamp};

/// Turns after which an instance that leaves is gone.
const DRAIN_TURNS: u32 = 3;

/// Instances that belong together: a revision's own, or the fresh baseline of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Crew {
    pub(super) revision: RevisionId,
    pub(super) fresh: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) crew: Crew,
    pub(super) life: Life,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Life {
    Starting {
        turns_left: u32,
    },
    /// `fails_in`: seconds after which it crashes, where that was drawn at its birth.
    Ready {
        since: Timestamp,
        fails_in: u64,
    },
    Leaving {
        turns_left: u32,
    },
}

impl Life {
    /// It runs and does not answer its probes until it is healed.
    pub(super) const HUNG: Self = Self::Starting { turns_left: u32::MAX };

    /// Seconds until it changes by itself.
    pub(super) fn changes_in(&self) -> u64 {
        match *self {
            Self::HUNG => u64::MAX,
            Self::Starting { turns_left } | Self::Leaving { turns_left } => {
                u64::from(turns_left) + 1
            }
            Self::Ready { fails_in, .. } => fails_in,
        }
    }

    /// Whether its present stretch is over after so many seconds more.
    pub(super) fn is_over(&self, elapsed: u64) -> bool {
        self.changes_in() <= elapsed
    }

    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::Starting { .. } => 0,
            Self::Ready { .. } => 1,
            Self::Leaving { .. } => 2,
        }
    }
}

impl Crew {
    pub(super) fn own(revision: &RevisionId) -> Self {
        Self { revision: revision.clone(), fresh: false }
    }

    pub(super) fn fresh(revision: &RevisionId) -> Self {
        Self { revision: revision.clone(), fresh: true }
    }

    pub(super) fn is_in(&self, plan: &Plan) -> bool {
        let planned = plan.revisions.get(&self.revision);
        planned.is_some_and(|r| !self.fresh || r.fresh.is_some())
    }
}

impl Instance {
    pub(super) fn leave(&mut self) {
        if !matches!(self.life, Life::Leaving { .. }) {
            self.life = Life::Leaving { turns_left: DRAIN_TURNS };
        }
    }
}
