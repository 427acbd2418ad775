//! Whose turn it is in a judged request: what waits for the client when its cohort closes says
//! nothing about the arm.

use super::{ArmCount, Outcome};
use crate::affinity::User;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Where a request that is evidence and has no outcome yet is counted.
pub struct Place {
    pub arm: Rc<ArmCount>,
    pub second: u64,
    pub user: Option<User>,
    /// Place among the arm's instances of the one that the first attempt went to.
    pub slot: Option<u16>,
    /// The first judged request of its user in the window.
    pub first: bool,
}

impl Place {
    fn settle(&self, now_ms: u64, outcome: Outcome) {
        self.arm.settle(self.second, now_ms, outcome, self.slot);
        if let (Some(seats), Some(user)) = (&self.arm.seats, self.user) {
            seats.settle(user, self.second, now_ms, outcome, self.first);
        }
    }

    fn pass(&self, now_ms: u64, to_client: bool) {
        self.arm.pass(self.second, now_ms, to_client, self.slot);
        if let (Some(seats), Some(user)) = (&self.arm.seats, self.user) {
            seats.pass(user, self.second, now_ms, to_client);
        }
    }
}

/// The judged request of one client connection, from its first attempt to its outcome.
///
/// It begins as the instance's turn. Only changes are counted, so a request that never waits for
/// its client costs one comparison each time its connection is looked at.
#[derive(Default)]
pub struct Turn {
    place: RefCell<Option<Place>>,
    is_clients: Cell<bool>,
    /// The same request's places in the arms of flags.
    others: RefCell<Vec<Rc<Self>>>,
}

impl Turn {
    /// The request is evidence.
    pub fn begin(&self, place: Place) {
        self.place.replace(Some(place));
        self.is_clients.set(false);
    }

    /// Says whose turn it is. `now_ms` is asked for when that has changed.
    pub fn pass(&self, to_client: bool, now_ms: impl Fn() -> u64) {
        for other in &*self.others.borrow() {
            other.pass_here(to_client, &now_ms);
        }
        self.pass_here(to_client, now_ms);
    }

    /// The request counts in an arm of a flag too. `first`: what was shared was another request's.
    pub fn share(&self, other: Rc<Self>, first: bool) {
        let mut others = self.others.borrow_mut();
        if first {
            others.clear();
        }
        others.push(other);
    }

    fn pass_here(&self, to_client: bool, now_ms: impl Fn() -> u64) {
        if self.is_clients.get() == to_client {
            return;
        }
        if let Some(place) = &*self.place.borrow() {
            self.is_clients.set(to_client);
            place.pass(now_ms(), to_client);
        }
    }

    /// The request has its outcome.
    pub fn end(&self, now_ms: u64, outcome: Outcome) {
        let Some(place) = self.place.take() else { return };
        if self.is_clients.take() {
            place.pass(now_ms, false);
        }
        place.settle(now_ms, outcome);
    }
}
