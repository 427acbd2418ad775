//! Counting of users, for services with affinity: each at most once in each window of arrival.
//!
//! Workers share this, since a user's requests reach all of them: shards of users, each behind a
//! mutex of its own. A window closes when the cohort of its last second would; its units become
//! evidence then, and what still runs makes its user an error, unless it waits for the user.
//!
//! Memory is bounded: a shard whose window has too many users keeps those whose second hash is
//! below a threshold, which it halves as often as needed. As the shard too is the user's alone,
//! the same users are kept in all arms: fewer units, no bias.

use crate::affinity::User;
use crate::count::{Evidence, Outcome, Pace};
use crate::shard::GENERATIONS;
use crate::wire::{ArmCounters, Counters, Generation, Role, ServiceCounters};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 16;
/// Users counted in a window of 20 s or more.
const MAX_USERS: usize = 100_000;
/// Users counted for each second of a shorter one, as more of those are open at a time.
const USERS_A_SECOND: usize = 5_000;
/// Parts that users are split into to see how much stable differs from itself. With 16 the estimate
/// would be so vague that twice the evidence is asked for at first; with 64 it is a third more.
const PARTS: usize = 64;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The ledgers of all services that have or had affinity.
#[derive(Default)]
pub struct Sessions {
    services: Mutex<BTreeMap<String, Kept>>,
}

#[derive(Default)]
struct Kept {
    ledger: Arc<Ledger>,
    books: VecDeque<(Generation, Vec<Arc<Tally>>)>,
}

/// The open windows of one service.
#[derive(Default)]
pub struct Ledger {
    pace: Mutex<Pace>,
    shards: [Mutex<Shard>; SHARDS],
}

/// The closed windows of one arm in one generation.
pub struct Tally {
    generation: Generation,
    revision: String,
    role: Role,
    window_s: u64,
    sums: Mutex<Sums>,
}

struct Sums {
    /// Users also seen in another arm.
    crossed: u64,
    assigned: u64,
    evidence: Evidence,
    split: [(u64, u64); PARTS],
}

impl Default for Sums {
    fn default() -> Self {
        Self { crossed: 0, assigned: 0, evidence: Evidence::default(), split: [(0, 0); PARTS] }
    }
}

/// Where one arm's users are counted.
#[derive(Clone)]
pub struct Seats {
    ledger: Arc<Ledger>,
    tally: Arc<Tally>,
}

#[derive(Default)]
struct Shard {
    windows: Vec<Window>,
    /// Windows that end with this second or before are closed.
    closed_through_s: u64,
}

struct Window {
    from_s: u64,
    to_s: u64,
    /// Second of the first arrival.
    first_s: u64,
    /// Known from the window's end on.
    closes_ms: Option<u64>,
    /// Users whose rank is below this are counted.
    below: u64,
    users: usize,
    arms: Vec<(Arc<Tally>, HashMap<User, Unit>)>,
    /// Where flags' users were met first.
    met: HashMap<(Generation, User), Met>,
}

/// The arm in which a user was met in a window.
struct Met {
    tally: Arc<Tally>,
    crossed: bool,
}

/// One user in one window and arm.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Unit {
    /// Judged requests that have begun and not ended.
    open: u32,
    /// Of these: it is the user's turn.
    waiting: u32,
    /// Some judged request has begun.
    begun: bool,
    /// Some judged request has ended with a word on the arm.
    heard: bool,
    failed: bool,
    /// Some judged request reached the goal.
    reached: bool,
    /// Latency of the first judged request, if it was good.
    latency: Option<u16>,
}

/// Threshold that keeps everyone.
const ALL: u64 = 1 << 32;

/// The user's rank among those of its shard, below [`ALL`]; independent of arm, shard and part.
fn rank(user: User) -> u64 {
    user.second() >> 32
}

fn shard_of(user: User) -> usize {
    user.second() as usize % SHARDS
}

fn part_of(user: User) -> usize {
    (user.second() >> 8) as usize % PARTS
}

impl Sessions {
    /// Where the users of an arm in a generation are counted.
    pub fn seats(
        &self,
        service: &str,
        generation: Generation,
        (revision, role): (&str, Role),
        window_s: u64,
    ) -> Seats {
        let mut services = lock(&self.services);
        let kept = services.entry(service.to_owned()).or_default();
        let ledger = kept.ledger.clone();
        let book = kept.book(generation);
        let held = book.iter().find(|tally| tally.revision == revision && tally.role == role);
        let tally = held.cloned().unwrap_or_else(|| {
            let revision = revision.to_owned();
            let sums = Mutex::default();
            let tally = Arc::new(Tally { generation, revision, role, window_s, sums });
            book.push(tally.clone());
            tally
        });
        Seats { ledger, tally }
    }

    /// Closes what is due, and puts the evidence into `counters` that the workers have reported.
    /// What no worker counts with any more is forgotten.
    pub fn report(&self, now_ms: u64, counters: &mut Counters) {
        let mut services = lock(&self.services);
        services.retain(|_, kept| Arc::strong_count(&kept.ledger) > 1);
        for (service, kept) in services.iter() {
            let open = kept.ledger.fold(now_ms);
            let closed = open.map_or(u64::MAX, |open| open.saturating_sub(1));
            counters.closed_through_s = counters.closed_through_s.min(closed);
            for one in counters.services.iter_mut().filter(|one| one.service == *service) {
                one.closed_through_s = one.closed_through_s.min(closed);
                kept.report(one);
            }
        }
    }
}

#[cfg(test)]
impl Sessions {
    /// Whether no service is remembered.
    pub fn is_empty(&self) -> bool {
        lock(&self.services).is_empty()
    }
}

impl Kept {
    fn book(&mut self, generation: Generation) -> &mut Vec<Arc<Tally>> {
        let at = self.books.iter().position(|(held, _)| *held == generation);
        let at = at.unwrap_or_else(|| {
            if self.books.len() == GENERATIONS {
                self.books.pop_front();
            }
            self.books.push_back((generation, Vec::new()));
            self.books.len() - 1
        });
        &mut self.books[at].1
    }

    fn report(&self, counters: &mut ServiceCounters) {
        let generation = counters.generation;
        let books = || self.books.iter().filter(|(held, _)| *held == generation);
        let tallies = books().flat_map(|(_, tallies)| tallies);
        counters.crossed = tallies.map(|tally| lock(&tally.sums).crossed).sum();
        for tally in books().flat_map(|(_, tallies)| tallies) {
            let same =
                |arm: &&mut ArmCounters| arm.revision == tally.revision && arm.role == tally.role;
            if let Some(arm) = counters.arms.iter_mut().find(same) {
                tally.report(arm);
            }
        }
    }
}

impl Tally {
    fn report(&self, arm: &mut ArmCounters) {
        let sums = lock(&self.sums);
        let aborted = arm.judged.aborted;
        arm.judged = sums.evidence.report();
        (arm.judged.aborted, arm.judged.sessions) = (aborted, true);
        arm.sessions_assigned = sums.assigned;
        arm.split = sums.split.to_vec();
    }

    /// First and last second of the window that a second belongs to.
    fn window(&self, second: u64) -> (u64, u64) {
        let from = second - second % self.window_s;
        (from, from + self.window_s - 1)
    }

    /// Most users of a shard in one window.
    fn limit(&self) -> usize {
        MAX_USERS.min(USERS_A_SECOND * self.window_s as usize) / SHARDS
    }

    fn take_in(&self, users: &HashMap<User, Unit>) {
        let mut sums = lock(&self.sums);
        sums.assigned += users.len() as u64;
        for (user, unit) in users {
            sums.take_in(*user, *unit);
        }
    }
}

impl Sums {
    fn take_in(&mut self, user: User, unit: Unit) {
        let unfinished = unit.open > unit.waiting;
        if !unit.heard && !unfinished {
            return;
        }
        let failed = unit.failed || unfinished;
        self.evidence.n += 1;
        self.evidence.errors += u64::from(failed);
        self.evidence.unfinished += u64::from(unfinished && !unit.failed);
        self.evidence.goals += u64::from(unit.reached);
        // A user with an error is judged as such; latency is that of the others.
        let latency = unit.latency.filter(|_| !failed);
        if let Some(bucket) = latency {
            self.evidence.latency.add(bucket);
        }
        let part = &mut self.split[part_of(user)];
        *part = (part.0 + 1, part.1 + u64::from(failed));
    }
}

impl Seats {
    /// A request of the user was assigned to the arm.
    pub fn arrive(&self, user: User, now_ms: u64) {
        let mut shard = self.shard(user);
        let Some(window) = shard.window_for(&self.ledger.pace, &self.tally, now_ms) else { return };
        window.admit(&self.tally, user);
    }

    /// A user whom a flag sent to the arm, and who must stay there within a window and generation.
    pub fn meet(&self, who: User, now_ms: u64) {
        let mut shard = self.shard(who);
        let Some(window) = shard.window_for(&self.ledger.pace, &self.tally, now_ms) else { return };
        window.meet(&self.tally, who);
    }

    /// The request is evidence. Whether it is the user's first in the window.
    pub fn enter(&self, user: User, second: u64) -> bool {
        let mut shard = self.shard(user);
        let unit =
            shard.held(&self.tally, second).and_then(|window| window.unit(&self.tally, user));
        let Some(unit) = unit else { return false };
        unit.open += 1;
        !std::mem::replace(&mut unit.begun, true)
    }

    /// A request that is evidence has ended; `first` as [`Seats::enter`] said.
    pub fn settle(&self, user: User, second: u64, now_ms: u64, outcome: Outcome, first: bool) {
        self.change(user, second, now_ms, |unit| unit.settle(outcome, first));
    }

    /// It has become, or is no longer, the user's turn in a request that has not ended.
    pub fn pass(&self, user: User, second: u64, now_ms: u64, to_client: bool) {
        self.change(user, second, now_ms, |unit| unit.pass(to_client));
    }

    /// Changes a user's unit, unless its window has closed.
    fn change(&self, user: User, second: u64, now_ms: u64, change: impl FnOnce(&mut Unit)) {
        let mut shard = self.shard(user);
        let Some(window) = shard.held(&self.tally, second) else { return };
        if now_ms >= window.closes(&self.ledger.pace, now_ms) {
            return;
        }
        if let Some(unit) = window.unit(&self.tally, user) {
            change(unit);
        }
    }

    /// A request of stable was answered without error.
    pub fn pace(&self, bucket: u16, now_ms: u64) {
        lock(&self.ledger.pace).add(bucket, now_ms);
    }

    fn shard(&self, user: User) -> MutexGuard<'_, Shard> {
        lock(&self.ledger.shards[shard_of(user)])
    }
}

impl Ledger {
    /// Closes what is due. The first second that is not closed yet, if any.
    fn fold(&self, now_ms: u64) -> Option<u64> {
        let fold = |shard: &Mutex<Shard>| {
            let mut shard = lock(shard);
            shard.fold(&self.pace, now_ms);
            shard.windows.iter().map(|window| window.first_s).min()
        };
        self.shards.iter().filter_map(fold).min()
    }
}

impl Shard {
    /// The open window of an arrival; `None` when it has been closed already.
    fn window_for(
        &mut self,
        pace: &Mutex<Pace>,
        tally: &Tally,
        now_ms: u64,
    ) -> Option<&mut Window> {
        let second = now_ms / 1_000;
        let (from_s, to_s) = tally.window(second);
        let held = self.windows.iter().position(|window| window.is(from_s, to_s));
        let at = if let Some(at) = held {
            at
        } else {
            self.fold(pace, now_ms);
            if to_s <= self.closed_through_s {
                return None;
            }
            self.windows.push(Window::new(from_s, to_s, second));
            self.windows.len() - 1
        };
        let window = &mut self.windows[at];
        window.first_s = window.first_s.min(second);
        Some(window)
    }

    fn held(&mut self, tally: &Tally, second: u64) -> Option<&mut Window> {
        let (from_s, to_s) = tally.window(second);
        self.windows.iter_mut().find(|window| window.is(from_s, to_s))
    }

    fn fold(&mut self, pace: &Mutex<Pace>, now_ms: u64) {
        for window in self.windows.extract_if(.., |window| window.closes(pace, now_ms) <= now_ms) {
            self.closed_through_s = self.closed_through_s.max(window.to_s);
            window.arms.iter().for_each(|(tally, users)| tally.take_in(users));
        }
    }
}

impl Window {
    fn new(from_s: u64, to_s: u64, first_s: u64) -> Self {
        Self {
            from_s,
            to_s,
            first_s,
            closes_ms: None,
            below: ALL,
            users: 0,
            arms: Vec::new(),
            met: HashMap::new(),
        }
    }

    fn is(&self, from_s: u64, to_s: u64) -> bool {
        (self.from_s, self.to_s) == (from_s, to_s)
    }

    /// When it closes, as far as that is known: decided by stable's pace at the first look after
    /// its end; without a pace, as late as any, or as soon as there is one.
    fn closes(&mut self, pace: &Mutex<Pace>, now_ms: u64) -> u64 {
        let end_ms = (self.to_s + 1) * 1_000;
        if now_ms < end_ms {
            return u64::MAX;
        }
        if self.closes_ms.is_none() {
            self.closes_ms = lock(pace).delay_ms().map(|delay| end_ms + delay);
        }
        self.closes_ms.unwrap_or(end_ms + Pace::MAX_DELAY_MS)
    }

    fn unit(&mut self, tally: &Arc<Tally>, user: User) -> Option<&mut Unit> {
        let arm = self.arms.iter_mut().find(|(held, _)| Arc::ptr_eq(held, tally));
        arm.and_then(|(_, users)| users.get_mut(&user))
    }

    fn meet(&mut self, tally: &Arc<Tally>, who: User) {
        if rank(who) >= self.below || self.met.len() >= tally.limit() {
            return;
        }
        let new = || Met { tally: tally.clone(), crossed: false };
        let met = self.met.entry((tally.generation, who)).or_insert_with(new);
        if !Arc::ptr_eq(&met.tally, tally) && !std::mem::replace(&mut met.crossed, true) {
            lock(&tally.sums).crossed += 1;
        }
    }

    fn admit(&mut self, tally: &Arc<Tally>, user: User) {
        if rank(user) >= self.below {
            return;
        }
        let held = self.arms.iter().position(|(held, _)| Arc::ptr_eq(held, tally));
        let at = held.unwrap_or_else(|| {
            self.arms.push((tally.clone(), HashMap::new()));
            self.arms.len() - 1
        });
        if let std::collections::hash_map::Entry::Vacant(place) = self.arms[at].1.entry(user) {
            place.insert(Unit::default());
            self.users += 1;
            self.thin_out(tally.limit());
        }
    }

    fn thin_out(&mut self, limit: usize) {
        while self.users > limit && self.below > 1 {
            self.below /= 2;
            for (_, users) in &mut self.arms {
                users.retain(|user, _| rank(*user) < self.below);
            }
            self.users = self.arms.iter().map(|(_, users)| users.len()).sum();
        }
    }
}

impl Unit {
    fn pass(&mut self, to_client: bool) {
        self.waiting = if to_client { self.waiting + 1 } else { self.waiting.saturating_sub(1) };
    }

    fn settle(&mut self, outcome: Outcome, first: bool) {
        self.open = self.open.saturating_sub(1);
        self.heard |= outcome != Outcome::Aborted;
        self.failed |= outcome == Outcome::Error;
        self.reached |= matches!(outcome, Outcome::Goal(_) | Outcome::Reached);
        if first && outcome.bucket().is_some() {
            self.latency = outcome.bucket();
        }
    }
}

#[cfg(test)]
mod tests;
