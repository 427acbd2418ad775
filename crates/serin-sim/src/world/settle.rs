//! Peace: once nothing goes wrong any more, everything must come to rest.

use super::World;
use crate::watch;

/// Seconds between two looks whether it has.
const ROUND: u64 = 5;

/// Rounds in which it must: longer than any step that a seed draws may take, one after the other.
const ROUNDS: u64 = 500;

/// Rounds at rest in a row.
const STILL: u64 = 2;

impl World {
    /// Ends all faults and lets time pass until nothing moves.
    pub(super) fn settle(&mut self) {
        self.make_peace();
        self.start_controller();
        let mut still = 0;
        for _ in 0..ROUNDS {
            self.advance(ROUND);
            still = if self.restless().is_empty() { still + 1 } else { 0 };
            if still >= STILL || !self.wrong.is_empty() {
                break;
            }
        }
        let restless = self.restless();
        let settled = self.unsettled();
        if self.mode.told && !restless.is_empty() {
            self.show_all();
        }
        self.wrong.extend(restless.into_iter().chain(settled));
    }

    /// How things stand when they do not come to rest.
    fn show_all(&mut self) {
        let names: Vec<_> = self.places.keys().cloned().collect();
        for name in names {
            self.current = Some(name);
            let _ = self.show();
        }
    }

    /// What is still on the move.
    fn restless(&self) -> Vec<String> {
        let Some(executor) = self.controller.up() else {
            return vec!["no controller can be started".into()];
        };
        let services = executor.services();
        let restless = services.filter_map(|service| {
            let place = self.places.get(&service.name)?;
            watch::restless(service, &place.machine, self.now)
        });
        let late = self.post.next_arrival().map(|_| "messages are under way".to_owned());
        let trouble = executor.trouble().map(ToOwned::to_owned);
        restless.chain(late).chain(trouble).collect()
    }

    /// What must be otherwise at rest.
    fn unsettled(&self) -> Vec<String> {
        let Some(executor) = self.controller.up() else { return vec![] };
        let services = executor.services();
        let wrong = services.filter_map(|service| {
            let place = self.places.get(&service.name)?;
            let wrong = watch::settled(service, &place.machine);
            let flags =
                self.flags_at_rest(service).into_iter().chain(self.release_at_rest(service));
            Some(wrong.into_iter().chain(flags))
        });
        wrong.flatten().collect()
    }
}
