//! Users of flags whom clients ask or report for: they take part in a release as those do whose
//! requests come through here, as far as the ratio of its arms goes, and that nobody is seen in both.

use crate::affinity::Salted;
use crate::flags::watched_one;
use crate::table::Shared;
use serin_edge::{Met, Outcome, Taken, Watcher};
use std::sync::Arc;

/// Counts them.
pub struct Meeting(pub Arc<Shared>);

impl Watcher for Meeting {
    fn met(&self, met: Met<'_>) {
        let sets = self.0.flags();
        let flag = sets.get(met.set).and_then(|set| set.definition.flags.get(met.flag));
        let Some(watched) = flag.and_then(|flag| watched_one(met.flag, flag)) else { return };
        let arm = watched.arm(met.arm);
        let (named, window_s) = ((arm.revision.as_str(), arm.role), watched.window_s);
        let seats = self.0.sessions.seats(watched.service, watched.generation, named, window_s);
        let user = Salted::new(watched.service).user(met.user.as_bytes());
        let now_ms = self.0.clock.now_ms();
        // Where outcomes are the evidence, who has none yet is no part of the sample.
        if met.drawn && watched.is_by_user() && !watched.reported {
            seats.arrive(user, now_ms);
        }
        seats.meet(user, now_ms);
    }

    fn outcome(&self, outcome: &Outcome<'_>) -> Taken {
        let sets = self.0.flags();
        let flag = sets.get(outcome.set).and_then(|set| set.definition.flags.get(outcome.flag));
        let watched = flag.and_then(|flag| watched_one(outcome.flag, flag));
        watched.map_or(Taken::Apart, |watched| {
            self.0.reported.count(&watched, outcome, self.0.clock.now_ms())
        })
    }
}
