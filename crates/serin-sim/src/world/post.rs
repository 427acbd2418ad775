//! Messages on their way, and what becomes of them.

use super::World;
use crate::script::command::{Fate, Kind};
use fastrand::Rng;
use serin_core::{Counts, Observation, Plan, ServiceName, Shared};

/// How badly messages are treated where chance decides; shares of messages, 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Faults {
    /// Lost.
    pub drop: f64,
    /// Delivered twice.
    pub duplicate: f64,
    /// Late.
    pub delay: f64,
    /// Seconds a late one may be late.
    pub by: u64,
}

/// A message between machine and controller.
#[derive(Debug, Clone)]
pub(super) enum Message {
    Order(Shared<Plan>),
    Look(ServiceName, Box<Observation>),
    Counts(ServiceName, Vec<Counts>),
}

/// Messages that are late, and what will become of the next ones.
#[derive(Debug, Default)]
pub(super) struct Post {
    pub(super) faults: Faults,
    /// What a script said of the next message of a kind.
    pub(super) next: Vec<(Kind, Fate)>,
    /// With the turn they arrive in.
    pub(super) late: Vec<(u64, Message)>,
}

impl Post {
    pub(super) fn make_peace(&mut self) {
        self.faults = Faults::default();
        self.next.clear();
    }

    /// When the next late message arrives.
    pub(super) fn next_arrival(&self) -> Option<u64> {
        self.late.iter().map(|(at, _)| *at).min()
    }

    pub(super) fn fate(&mut self, kind: Kind, rng: &mut Rng) -> Option<Fate> {
        if let Some(at) = self.next.iter().position(|(of, _)| *of == kind) {
            return Some(self.next.remove(at).1);
        }
        if self.faults == Faults::default() {
            return None;
        }
        let Faults { drop, duplicate, delay, by } = self.faults;
        let at = rng.f64();
        if at < drop {
            Some(Fate::Lost)
        } else if at < drop + duplicate {
            Some(Fate::Twice)
        } else if at < drop + duplicate + delay {
            Some(Fate::Late(rng.u64(1..=by.max(1))))
        } else {
            None
        }
    }

    /// Takes what arrives by `turn`, orders first.
    pub(super) fn arrived(&mut self, turn: u64) -> Vec<Message> {
        if self.late.iter().all(|(at, _)| *at > turn) {
            return vec![];
        }
        let (here, later): (Vec<_>, Vec<_>) = self.late.drain(..).partition(|(at, _)| *at <= turn);
        self.late = later;
        let mut here: Vec<_> = here.into_iter().map(|(_, message)| message).collect();
        here.sort_by_key(|message| u8::from(!matches!(message, Message::Order(_))));
        here
    }

    /// A service that is gone is ordered nothing: here late orders end with it.
    pub(super) fn forget(&mut self, name: &ServiceName) {
        let of_it =
            |message: &Message| matches!(message, Message::Order(order) if order.service == *name);
        self.late.retain(|(_, message)| !of_it(message));
    }

    pub(super) fn is_under_way(&self, plan: &Plan) -> bool {
        self.late.iter().any(|(_, message)| match message {
            Message::Order(order) => {
                order.service == plan.service && order.generation == plan.generation
            }
            _ => false,
        })
    }
}

impl World {
    /// Hands an order to the machine, if nothing happens to it on the way.
    pub(super) fn send(&mut self, plan: &Shared<Plan>) {
        let fate = self.post.fate(Kind::Apply, &mut self.rng);
        let later = |turn| (turn, Message::Order(plan.clone()));
        match fate {
            Some(Fate::Lost) => self.mark("the order is lost"),
            Some(Fate::Late(by)) => {
                self.mark("the order is late");
                self.post.late.push(later(self.turn + by));
            }
            // The second one comes when newer orders may have been given.
            Some(Fate::Twice) => {
                self.take_order(plan);
                let at = self.turn + 1 + self.straggle();
                self.post.late.push(later(at));
            }
            None => self.take_order(plan),
        }
    }

    /// How much later than at once a repeated message comes.
    fn straggle(&mut self) -> u64 {
        if self.post.faults.by > 0 { self.rng.u64(0..self.post.faults.by) } else { 0 }
    }

    fn take_order(&mut self, plan: &Shared<Plan>) {
        if let Some(place) = self.places.get_mut(&plan.service) {
            place.machine.apply(plan);
        }
    }

    /// Messages that were late.
    pub(super) fn arrive(&mut self) {
        for message in self.post.arrived(self.turn) {
            match message {
                Message::Order(plan) => {
                    self.mark("a late order arrives");
                    self.take_order(&plan);
                }
                Message::Look(name, look) => {
                    self.mark("a late observation arrives");
                    self.note_look(&name, *look);
                }
                Message::Counts(name, counts) => self.note_counts(&name, counts),
            }
        }
    }
}
