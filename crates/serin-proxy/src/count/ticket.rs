//! One request's way through the counters of its arm.

use super::turn::Place;
use super::{ArmCount, Outcome, Totals, Turn, bump};
use crate::affinity::User;
use crate::clock::Clock;
use crate::flags::Part;
use crate::wire::Role;
use serin_stats::bucket_of_us;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

/// How a request came to its arm.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dealt,
    /// For what it said: never evidence.
    Led,
    /// Made from another: evidence, and no request of a user.
    Copy,
}

/// A request that has arrived.
#[derive(Clone, Copy)]
pub struct Dealt {
    pub clock: Clock,
    pub arrived: Instant,
    /// With affinity: whose it is.
    pub user: Option<User>,
}

/// One request's place in the counters. Dropped without an end, it was given up by the client.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Ticket {
    arm: Rc<ArmCount>,
    clock: Clock,
    arrived: Instant,
    second: u64,
    user: Option<User>,
    /// It is evidence, has no outcome yet, and has its place here.
    turn: Rc<Turn>,
    kind: Kind,
    judged: bool,
    /// It counts as success if all goes well.
    aims: bool,
    /// Another arm serves the request: what comes of it says nothing about this one.
    elsewhere: bool,
    /// It is of a kind that the other arm does not get.
    apart: bool,
    ended: bool,
    /// The same request's places in the arms of flags. What is wrong with the way to the app says
    /// as much about them as what the app does wrong.
    others: Vec<Self>,
}

impl Ticket {
    /// Deals a request to an arm; with affinity, for its user. `turn` is its connection's.
    pub fn assign(arm: Rc<ArmCount>, dealt: Dealt, turn: Rc<Turn>) -> Self {
        let now_ms = dealt.clock.ms(dealt.arrived);
        arm.assign(now_ms);
        Self::of(arm, dealt, turn, Kind::Dealt)
    }

    /// Leads a request to an arm for what it says.
    pub fn lead(arm: Rc<ArmCount>, dealt: Dealt, turn: Rc<Turn>) -> Self {
        bump(&arm.led);
        Self::of(arm, Dealt { user: None, ..dealt }, turn, Kind::Led)
    }

    /// Sends a copy of a request to an arm.
    pub fn copy(arm: Rc<ArmCount>, dealt: Dealt, turn: Rc<Turn>) -> Self {
        bump(&arm.led);
        bump(&arm.copied.sent);
        Self::of(arm, dealt, turn, Kind::Copy)
    }

    fn of(arm: Rc<ArmCount>, dealt: Dealt, turn: Rc<Turn>, kind: Kind) -> Self {
        let Dealt { clock, arrived, user } = dealt;
        let now_ms = clock.ms(arrived);
        if let (Some(seats), Some(user)) = (&arm.seats, user) {
            seats.arrive(user, now_ms);
        }
        let second = now_ms / 1_000;
        let (judged, aims, elsewhere, apart, ended) = (false, false, false, false, false);
        Self {
            arm,
            clock,
            arrived,
            second,
            user,
            turn,
            kind,
            judged,
            aims,
            elsewhere,
            apart,
            ended,
            others: Vec::new(),
        }
    }

    /// Counts the request in an arm of a flag too. Answered well, it is a success there if `aims`.
    pub fn takes_part(&mut self, part: Part, aims: bool) {
        let Part { count: arm, user, who, .. } = part;
        let dealt = Dealt { clock: self.clock, arrived: self.arrived, user: Some(user) };
        let turn = Rc::new(Turn::default());
        self.turn.share(turn.clone(), self.others.is_empty());
        if let Some(seats) = &arm.seats {
            seats.meet(who, self.clock.ms(self.arrived));
        }
        let mut other = Self::assign(arm, dealt, turn);
        other.aims = aims;
        self.others.push(other);
    }

    /// Milliseconds of Unix time at which the request arrived.
    pub fn arrived_ms(&self) -> u64 {
        self.clock.ms(self.arrived)
    }

    /// Makes the request evidence, unless its outcome is settled already. `slot` is the place of
    /// the instance that is asked first ([`ArmCount::slot`]).
    pub fn judge(&mut self, slot: Option<u16>) {
        self.others.iter_mut().for_each(|other| other.judge(None));
        if self.elsewhere || self.apart || self.kind == Kind::Led {
            return;
        }
        self.arm.enter(self.arrived_ms(), slot);
        let first = match (&self.arm.seats, self.user) {
            (Some(seats), Some(user)) => seats.enter(user, self.second),
            _ => false,
        };
        let (arm, second, user) = (self.arm.clone(), self.second, self.user);
        self.turn.begin(Place { arm, second, user, slot, first });
        self.judged = true;
    }

    /// It is of a kind that is not copied, while what is compared are copies: no evidence.
    pub fn set_apart(&mut self) {
        self.apart = true;
    }

    /// Answered well, the request reaches the goal of its own arm.
    pub fn aim(&mut self) {
        self.aims = true;
    }

    /// It was answered with 400 or more: no goal is reached, of its own arm or a flag's.
    pub fn miss(&mut self) {
        self.others.iter_mut().for_each(Self::miss);
        self.aims = false;
    }

    fn settle(&mut self, now_ms: u64, outcome: Outcome) {
        if std::mem::take(&mut self.judged) {
            self.turn.end(now_ms, outcome);
        }
    }

    /// The first attempt failed: whatever a retry brings, it was an error of this arm.
    pub fn first_attempt_failed(&mut self) {
        self.others.iter_mut().for_each(Self::first_attempt_failed);
        self.settle(self.clock.now_ms(), Outcome::Error);
    }

    /// The arm had no ready instance; another one serves the request.
    pub fn fallback(&mut self) {
        self.elsewhere = true;
        bump(&self.arm.totals.fallback);
        self.settle(self.clock.now_ms(), Outcome::Error);
    }

    /// An attempt found no open port.
    pub fn connect_failed(&self) {
        bump(&self.arm.totals.connect_failures);
    }

    /// An attempt's connection broke.
    pub fn reset(&self) {
        bump(&self.arm.totals.resets);
    }

    /// Another attempt begins.
    pub fn retry(&self) {
        bump(&self.arm.totals.retries);
    }

    /// Totals are of users' requests.
    fn total(&self, of: impl FnOnce(&Totals) -> &Cell<u64>) {
        if self.kind != Kind::Copy {
            bump(of(&self.arm.totals));
        }
    }

    fn end(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.ended, true);
        if first {
            self.total(|totals| &totals.requests);
        }
        first
    }

    /// The whole response has passed.
    pub fn finish(&mut self, now: Instant, server_error: bool) {
        self.others.iter_mut().for_each(|other| other.finish(now, server_error));
        if !self.end() || self.elsewhere {
            return;
        }
        let now_ms = self.clock.ms(now);
        if server_error {
            self.total(|totals| &totals.responses_5xx);
            return self.settle(now_ms, Outcome::Error);
        }
        let bucket = bucket_of_us(now.duration_since(self.arrived).as_micros() as u64);
        if self.kind != Kind::Copy {
            self.arm.totals.latency.borrow_mut().add(bucket);
            if self.arm.role == Role::Stable {
                self.arm.keep_pace(bucket, now_ms);
            }
        }
        self.settle(now_ms, if self.aims { Outcome::Goal(bucket) } else { Outcome::Good(bucket) });
    }

    /// The connection was upgraded.
    pub fn upgraded(&mut self) {
        self.others.iter_mut().for_each(Self::upgraded);
        if self.end() {
            self.total(|totals| &totals.upgrades);
            self.settle(self.clock.now_ms(), Outcome::Upgraded);
        }
    }

    /// The request timeout ran out.
    pub fn timed_out(&mut self) {
        self.others.iter_mut().for_each(Self::timed_out);
        if self.end() {
            self.total(|totals| &totals.timeouts);
            self.settle(self.clock.now_ms(), Outcome::Error);
        }
    }

    /// No attempt brought a whole response.
    pub fn failed(&mut self) {
        self.others.iter_mut().for_each(Self::failed);
        if self.end() {
            self.settle(self.clock.now_ms(), Outcome::Error);
        }
    }

    /// The client went away, or sent something that is not HTTP.
    pub fn aborted(&mut self) {
        self.others.iter_mut().for_each(Self::aborted);
        if self.end() {
            self.total(|totals| &totals.client_aborts);
            self.settle(self.clock.now_ms(), Outcome::Aborted);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.aborted();
    }
}
