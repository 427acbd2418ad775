//! One worker's view of a route: which arm, which instance.

use crate::affinity::{Affinity, User, scale};
use crate::count::{ArmCount, Pace};
use crate::flags::Carried;
use crate::mirror::Mirror;
use crate::pool::Pool;
use crate::steer::{Goal, Steer};
use crate::wire::{Order, Role, WEIGHT_TOTAL};
use fastrand::Rng;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// A refused instance is skipped for this long, unless there is no other.
const EJECT_MS: u64 = 1_000;

/// A service as one worker serves it.
pub struct Route {
    pub order: Order,
    pub timeout: Option<Duration>,
    pub warmup_ms: u64,
    /// As [`ranged`] has ordered them.
    pub arms: Vec<Arm>,
    pub affinity: Option<Affinity>,
    /// What leads requests past the dealing.
    pub steer: Option<Steer>,
    pub mirror: Option<Mirror>,
    pub goal: Option<Goal>,
    pub flags: Option<Carried>,
    /// It is the address of its one arm alone.
    pub preview: bool,
    pub service: Rc<Service>,
}

/// What outlives the routes of a service.
#[derive(Default)]
pub struct Service {
    pub name: String,
    pub pace: Rc<Pace>,
    pub no_ready: Cell<u64>,
    pub failed: Cell<u64>,
    pub timeout: Cell<u64>,
    pub truncated: Cell<u64>,
    /// Copies under way.
    pub copies: Cell<u32>,
}

/// One revision's part.
pub struct Arm {
    /// Weights of this arm and those before it.
    upto: u32,
    pub role: Role,
    pub weight: u32,
    pub count: Rc<ArmCount>,
    pub backends: Vec<Rc<Backend>>,
    /// Where each of them is counted.
    slots: Vec<Option<u16>>,
}

/// One instance, its load and its idle connections.
pub struct Backend {
    pub service: String,
    pub instance: String,
    pub addr: SocketAddr,
    pub ready_since_ms: i64,
    pub in_flight: Cell<u64>,
    pub upgraded: Cell<u64>,
    pub pool: Pool,
    skipped_until_ms: Cell<u64>,
}

impl Backend {
    /// An instance that holds nothing yet.
    pub fn new(service: &str, wire: &crate::wire::Backend) -> Self {
        Self {
            service: service.to_owned(),
            instance: wire.instance.clone(),
            addr: wire.addr,
            ready_since_ms: wire.ready_since_ms,
            in_flight: Cell::default(),
            upgraded: Cell::default(),
            pool: Pool::default(),
            skipped_until_ms: Cell::default(),
        }
    }

    /// Whether this is still the instance that the wire names.
    pub fn is(&self, service: &str, wire: &crate::wire::Backend) -> bool {
        self.addr == wire.addr
            && self.instance == wire.instance
            && self.ready_since_ms == wire.ready_since_ms
            && self.service == service
    }

    /// Nobody listened: others first, for a while.
    pub fn skip(&self, now_ms: u64) {
        self.skipped_until_ms.set(now_ms + EJECT_MS);
    }

    fn skipped(&self, now_ms: u64) -> bool {
        self.skipped_until_ms.get() > now_ms
    }

    /// Whether the instance has been ready for less than `warmup_ms`.
    pub fn warming(&self, now_ms: u64, warmup_ms: u64) -> bool {
        (now_ms as i64).saturating_sub(self.ready_since_ms) < warmup_ms as i64
    }
}

/// One request's place in an instance's load.
pub struct Held(pub Rc<Backend>);

impl Held {
    /// Takes a place.
    pub fn new(backend: Rc<Backend>) -> Self {
        backend.in_flight.set(backend.in_flight.get() + 1);
        Self(backend)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
    }
}

/// Gives each arm its range of points: the candidate the lowest, the baseline the highest, below
/// it the variants, stable what is between. So a growing weight moves users to the candidate and
/// none away from it.
pub fn ranged(mut arms: Vec<Arm>) -> Vec<Arm> {
    arms.sort_by_key(|arm| match arm.role {
        Role::Candidate => 0,
        Role::Stable => 1,
        Role::Variant => 2,
        Role::Kept => 3,
        Role::Baseline => 4,
    });
    let mut upto = 0;
    for arm in &mut arms {
        upto += arm.weight;
        arm.upto = upto;
    }
    arms
}

impl Route {
    /// Index of the user's arm, or of a random one: each with exactly its weight's share. `None`
    /// without arms.
    pub fn choose(&self, user: Option<User>, rng: &mut Rng) -> Option<usize> {
        let point = user.map_or_else(|| rng.u32(0..WEIGHT_TOTAL), User::point);
        self.arms.iter().position(|arm| point < arm.upto)
    }

    /// Another arm for a request whose own arm has no ready instance: by weight among those that
    /// have one, for a user always the same. Arms of weight 0 stay untouched.
    pub fn substitute(&self, user: Option<User>, rng: &mut Rng) -> Option<usize> {
        let usable = |arm: &Arm| if arm.backends.is_empty() { 0 } else { arm.weight };
        let sum: u32 = self.arms.iter().map(usable).sum();
        if sum == 0 {
            return None;
        }
        let mut point = user.map_or_else(|| rng.u32(0..sum), |user| scale(user.second(), sum));
        self.arms.iter().position(|arm| {
            let hit = point < usable(arm);
            point = point.saturating_sub(usable(arm));
            hit
        })
    }
}

impl Arm {
    /// An arm that has no range yet.
    pub fn new(wire: &crate::wire::Arm, count: Rc<ArmCount>, backends: Vec<Rc<Backend>>) -> Self {
        let slots = backends.iter().map(|backend| count.slot(&backend.instance)).collect();
        Self { upto: 0, role: wire.role, weight: wire.weight, count, backends, slots }
    }

    /// The same arm for another address.
    pub fn again(&self) -> Self {
        let (count, backends, slots) =
            (self.count.clone(), self.backends.clone(), self.slots.clone());
        Self { upto: 0, role: self.role, weight: self.weight, count, backends, slots }
    }

    /// Where an instance of the arm is counted by itself.
    pub fn slot(&self, backend: &Rc<Backend>) -> Option<u16> {
        let at = self.backends.iter().position(|held| Rc::ptr_eq(held, backend))?;
        self.slots[at]
    }

    /// The less loaded of two random instances, avoiding those `tried` and those that refused a
    /// connection a moment ago while there is any other.
    pub fn pick(&self, rng: &mut Rng, now_ms: u64, tried: &[SocketAddr]) -> Option<&Rc<Backend>> {
        let all = &self.backends;
        if all.len() < 2 {
            return all.first();
        }
        let first = rng.usize(..all.len());
        let second = (first + rng.usize(1..all.len())) % all.len();
        let pair = [&all[first], &all[second]];
        let fresh =
            |backend: &&Rc<Backend>| !tried.contains(&backend.addr) && !backend.skipped(now_ms);
        least_loaded(pair.into_iter().filter(fresh))
            .or_else(|| least_loaded(all.iter().filter(fresh)))
            .or_else(|| least_loaded(all.iter().filter(|backend| !tried.contains(&backend.addr))))
            .or(Some(pair[0]))
    }
}

fn least_loaded<'a>(backends: impl Iterator<Item = &'a Rc<Backend>>) -> Option<&'a Rc<Backend>> {
    backends.min_by_key(|backend| backend.in_flight.get())
}

#[cfg(test)]
mod tests;
