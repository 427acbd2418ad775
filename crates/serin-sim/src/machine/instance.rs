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
    Starting { turns_left: u32 },
    Ready { since: Timestamp },
    Leaving { turns_left: u32 },
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
