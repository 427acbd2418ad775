//! Releases whose evidence is what apps report: users of an arm, each once in a window, as those
//! are whose requests come through here.
//!
//! Only who has an outcome counts, for the ratio of the arms too: an app that dies under the new
//! variant reports nothing, and that shows as too few users of its arm.

use crate::affinity::{Salted, User};
use crate::count::Outcome;
use crate::flags::{Sets, Watched, unit, watched_one};
use crate::merge::put;
use crate::sessions::{Seats, Sessions};
use crate::shard::GENERATIONS;
use crate::wire::{self, ArmCounters, Counters, Generation, Judged, ServiceCounters, Totals};
use serin_edge::Taken;
use serin_flags::Arm;
use serin_stats::bucket_of_us;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The last counts of a release can be read for this long after its end.
const OVER_MS: u64 = 60_000;
/// Outcomes that ended longer ago say nothing: whether they came before is not remembered for ever.
const MAX_AGE_MS: u64 = 5 * 60_000;
/// Ids are remembered for this long at least, and no more than twice as long.
const IDS_MS: u64 = MAX_AGE_MS + 60_000;
/// So many ids are remembered at least, the newest.
const MAX_IDS: usize = 250_000;
/// The bucket of a duration that is none: outcomes come when all is over, so nothing is waited for.
const AT_ONCE: u16 = 0;

/// All of them.
#[derive(Default)]
pub struct Reported {
    releases: Mutex<BTreeMap<String, Kept>>,
    ids: Mutex<Ids>,
}

#[derive(Default)]
struct Kept {
    books: VecDeque<Book>,
    /// Since when no flag is released so.
    over_ms: Option<u64>,
}

/// One generation.
struct Book {
    generation: Generation,
    treatment: Side,
    control: Side,
}

/// One arm.
struct Side {
    arm: wire::Arm,
    seats: Seats,
    reported: u64,
    first_ms: u64,
    last_ms: u64,
    failed: u64,
}

/// Ids that have come, of this time and the one before.
#[derive(Default)]
struct Ids {
    since_ms: u64,
    now: HashSet<User>,
    before: HashSet<User>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reported {
    /// Makes room for the releases of these sets, so that they are counted from the first outcome.
    pub fn adopt(&self, sets: &Sets, sessions: &Sessions, now_ms: u64) {
        let flags = sets.values().flat_map(|set| &set.definition.flags);
        let watched = flags.filter_map(|(key, flag)| watched_one(key.as_str(), flag));
        let mut releases = lock(&self.releases);
        let mut named = BTreeSet::new();
        for watched in watched.filter(|watched| watched.reported) {
            let kept = releases.entry(watched.service.to_owned()).or_default();
            kept.over_ms = None;
            kept.adopt(&watched, sessions);
            named.insert(watched.service);
        }
        for (service, kept) in releases.iter_mut() {
            if !named.contains(service.as_str()) {
                kept.over_ms.get_or_insert(now_ms);
            }
        }
    }

    /// Counts an outcome of a release.
    pub fn count(
        &self,
        watched: &Watched<'_>,
        outcome: &serin_edge::Outcome<'_>,
        now_ms: u64,
    ) -> Taken {
        if !watched.reported {
            return Taken::NotReported;
        }
        let Some(unit) = unit(watched.bucket_by(), outcome.context) else { return Taken::Apart };
        if outcome.age_ms > MAX_AGE_MS {
            return Taken::Late;
        }
        let salt = Salted::new(watched.service);
        if outcome.id.is_some_and(|id| !lock(&self.ids).is_new(salt.user(id), now_ms)) {
            return Taken::Repeated;
        }
        let mut releases = lock(&self.releases);
        let books = releases.get_mut(watched.service).map(|kept| &mut kept.books);
        let mut books = books.into_iter().flatten().rev();
        let Some(book) = books.find(|book| book.generation == watched.generation) else {
            return Taken::Apart;
        };
        let side = book.side(outcome.arm);
        let user = salt.user(unit.as_bytes());
        let who = outcome.context.targeting_key().map(|who| salt.user(who.as_bytes()));
        side.seats.meet(who.unwrap_or(user), now_ms);
        if !outcome.drawn {
            return Taken::Mismatched;
        }
        side.take(user, heard(outcome.ended), now_ms);
        Taken::Counted
    }

    /// Adds what was counted to what the workers have; users are added by the sessions.
    pub fn report(&self, now_ms: u64, counters: &mut Counters) {
        let mut releases = lock(&self.releases);
        releases.retain(|_, kept| kept.over_ms.is_none_or(|since| now_ms < since + OVER_MS));
        for (service, kept) in releases.iter() {
            for book in &kept.books {
                put(&mut counters.services, book.report(service, now_ms));
            }
        }
    }
}

/// How it ended, in the words of the counters.
fn heard(ended: serin_edge::Ended) -> Outcome {
    match ended.took_us.map(bucket_of_us) {
        _ if ended.failed => Outcome::Error,
        Some(bucket) if ended.reached => Outcome::Goal(bucket),
        Some(bucket) => Outcome::Good(bucket),
        None if ended.reached => Outcome::Reached,
        None => Outcome::Upgraded,
    }
}

impl Kept {
    fn adopt(&mut self, watched: &Watched<'_>, sessions: &Sessions) {
        if self.books.iter().any(|book| book.generation == watched.generation) {
            return;
        }
        let side = |arm: Arm| {
            let arm = watched.arm(arm);
            let key = (arm.revision.as_str(), arm.role);
            let seats = sessions.seats(watched.service, watched.generation, key, watched.window_s);
            let (reported, first_ms, last_ms, failed) = Default::default();
            Side { arm: arm.clone(), seats, reported, first_ms, last_ms, failed }
        };
        let (treatment, control) = (side(Arm::Treatment), side(Arm::Control));
        self.books.push_back(Book { generation: watched.generation, treatment, control });
        if self.books.len() > GENERATIONS {
            self.books.pop_front();
        }
    }
}

impl Book {
    fn side(&mut self, arm: Arm) -> &mut Side {
        match arm {
            Arm::Treatment => &mut self.treatment,
            Arm::Control => &mut self.control,
        }
    }

    fn report(&self, service: &str, now_ms: u64) -> ServiceCounters {
        ServiceCounters {
            service: service.to_owned(),
            generation: self.generation,
            closed_through_s: (now_ms / 1_000).saturating_sub(1),
            arms: [&self.treatment, &self.control].map(Side::report).into(),
            crossed: 0,
        }
    }
}

impl Side {
    fn take(&mut self, user: User, outcome: Outcome, now_ms: u64) {
        if self.reported == 0 {
            self.first_ms = now_ms;
        }
        self.last_ms = now_ms;
        self.reported += 1;
        self.failed += u64::from(outcome == Outcome::Error);
        let second = now_ms / 1_000;
        self.seats.pace(AT_ONCE, now_ms);
        self.seats.arrive(user, now_ms);
        let first = self.seats.enter(user, second);
        self.seats.settle(user, second, now_ms, outcome, first);
    }

    fn report(&self) -> ArmCounters {
        ArmCounters {
            revision: self.arm.revision.clone(),
            role: self.arm.role,
            weight_asked: self.arm.weight,
            assigned: self.reported,
            first_assigned_ms: self.first_ms,
            last_assigned_ms: self.last_ms,
            sessions_assigned: 0,
            split: Vec::new(),
            instances: Vec::new(),
            led: 0,
            copies: wire::Copies::default(),
            judged: Judged { sessions: true, ..Judged::default() },
            totals: Totals {
                requests: self.reported,
                responses_5xx: self.failed,
                ..Totals::default()
            },
        }
    }
}

impl Ids {
    /// Whether an id has not come before, as far as that is remembered.
    fn is_new(&mut self, id: User, now_ms: u64) -> bool {
        if now_ms >= self.since_ms + IDS_MS || self.now.len() >= MAX_IDS {
            self.before = std::mem::take(&mut self.now);
            self.since_ms = now_ms;
        }
        !self.before.contains(&id) && self.now.insert(id)
    }
}

#[cfg(test)]
mod tests;
