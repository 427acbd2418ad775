//! The load balancer of the made-up machine: deals requests to arms and counts them.

use super::instance::{Crew, Life};
use super::{Machine, release};
use crate::draw::Truth;
use fastrand::Rng;
use serin_core::{
    ArmCounts, Counts, Generation, Millis, Plan, REPORTED_GENERATIONS, RevisionId, Role, Timestamp,
    Weight,
};
use std::collections::BTreeMap;

/// Users that come again and again, where users are kept with their arm.
pub(super) const USERS: u64 = 2000;
/// Parts that stable's users are split into.
const PARTS: usize = 16;

/// What was counted in one generation.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    arms: Vec<(Crew, ArmCounts)>,
    /// Users of the open window by arm, and whether one of their requests failed.
    open: BTreeMap<Crew, BTreeMap<u64, Unit>>,
    window_closes: Option<Timestamp>,
    /// When something was counted last.
    changed_at: Timestamp,
}

/// A request, or all of a user's in a window.
#[derive(Debug, Clone, Copy, Default)]
struct Unit {
    failed: bool,
    us: u64,
}

/// What became of one request.
enum End {
    /// Nobody could even charge it to an arm.
    Dropped,
    GivenUp,
    Done(Unit),
}

impl Ledger {
    /// The counts of an arm.
    pub(super) fn arm(&mut self, revision: &RevisionId, fresh: bool) -> &mut ArmCounts {
        let is = |(crew, _): &(Crew, ArmCounts)| crew.fresh == fresh && crew.revision == *revision;
        let at = self.arms.iter().position(is).unwrap_or_else(|| {
            let crew = Crew { revision: revision.clone(), fresh };
            self.arms.push((crew, ArmCounts::default()));
            self.arms.len() - 1
        });
        &mut self.arms[at].1
    }

    fn request(&mut self, crew: &Crew, user: Option<u64>, end: &End, name: Option<String>) {
        let known = user
            .is_some_and(|user| self.open.get(crew).is_some_and(|users| users.contains_key(&user)));
        let arm = self.arm(&crew.revision, crew.fresh);
        arm.sessions = user.is_some();
        arm.assigned += u64::from(!known);
        match (end, user) {
            (End::Dropped, _) => {}
            (End::GivenUp, _) => arm.aborted += 1,
            (End::Done(unit), None) => count(arm, *unit, name, None),
            (End::Done(unit), Some(user)) => {
                let users = self.open.entry(crew.clone()).or_default();
                let seen = users.entry(user).or_default();
                *seen = Unit { failed: seen.failed | unit.failed, us: seen.us.max(unit.us) };
            }
        }
    }

    /// Counts the users of a window that is over.
    fn close(&mut self, now: Timestamp) {
        if self.window_closes.is_none_or(|at| now < at) {
            return;
        }
        for (crew, users) in std::mem::take(&mut self.open) {
            let arm = self.arm(&crew.revision, crew.fresh);
            for (user, unit) in users {
                count(arm, unit, None, Some(user));
            }
        }
        self.window_closes = None;
    }
}

fn count(arm: &mut ArmCounts, unit: Unit, instance: Option<String>, user: Option<u64>) {
    arm.n += 1;
    if unit.failed {
        arm.errors += 1;
    } else {
        arm.latency.record_us(unit.us);
    }
    let both = |pair: &mut (u64, u64)| {
        pair.0 += 1;
        pair.1 += u64::from(unit.failed);
    };
    if let Some(instance) = instance {
        both(arm.instances.entry(instance).or_default());
    }
    if let Some(user) = user {
        arm.split.resize(PARTS, (0, 0));
        // Another hash than the one that deals users to arms.
        both(&mut arm.split[(hash(user, 7) % PARTS as u64) as usize]);
    }
}

/// A mix of both numbers.
pub(super) fn hash(user: u64, salt: u64) -> u64 {
    let mixed = (user ^ salt.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 17
}

impl Machine {
    /// A second of requests, each in the arm it is assigned to.
    pub(super) fn serve(
        &mut self,
        now: Timestamp,
        truth: &impl Fn(&RevisionId) -> Truth,
        rng: &mut Rng,
    ) {
        self.close_windows(now);
        let Some(plan) = self.plan.clone() else { return };
        let arms = arms(&plan);
        for _ in 0..self.rate {
            let user = plan.affinity.is_some().then(|| rng.u64(..USERS));
            if self.flag.is_some() {
                let crew = release::arm_of(&plan, user.unwrap_or_default());
                if let Some(crew) = crew {
                    self.request((plan.generation, now), &crew, user, truth(&crew.revision), rng);
                }
                continue;
            }
            let mut at = match (user, &plan.affinity) {
                (Some(user), Some(affinity)) => {
                    let salt = affinity.salt.bytes().fold(0, |all, b| all * 31 + u64::from(b));
                    (hash(user, salt) % 100_000) as u32
                }
                _ => rng.u32(..100_000),
            };
            let arm = arms.iter().find(|(_, weight)| {
                let here = at < weight.parts();
                at = at.wrapping_sub(weight.parts());
                here
            });
            if let Some((crew, _)) = arm {
                self.request((plan.generation, now), crew, user, truth(&crew.revision), rng);
            }
        }
        self.open_window(&plan, now);
    }

    pub(super) fn close_windows(&mut self, now: Timestamp) {
        for (generation, ledger) in &mut self.counts {
            let judged = |ledger: &Ledger| -> BTreeMap<RevisionId, u64> {
                let own = ledger.arms.iter().filter(|(crew, _)| !crew.fresh);
                own.map(|(crew, arm)| (crew.revision.clone(), arm.n)).collect()
            };
            let before = judged(ledger);
            ledger.close(now);
            for (id, n) in judged(ledger) {
                let more = n - before.get(&id).copied().unwrap_or(0);
                note_made(&mut self.made, (*generation, &id), more);
            }
        }
    }

    fn open_window(&mut self, plan: &Plan, now: Timestamp) {
        if let (Some(affinity), Some(ledger)) =
            (&plan.affinity, self.counts.get_mut(&plan.generation))
        {
            ledger.window_closes.get_or_insert(now.plus(affinity.window));
        }
    }

    fn request(
        &mut self,
        (at, now): (Generation, Timestamp),
        crew: &Crew,
        user: Option<u64>,
        truth: Truth,
        rng: &mut Rng,
    ) {
        let is_candidate = self.in_role(Role::Candidate) == Some(&crew.revision);
        if self.skew > 0.0 && is_candidate && rng.f64() < self.skew {
            return;
        }
        let end = self.answer(crew, now, truth, rng);
        let name = self.instance_for(crew, at);
        let ledger = self.counts.entry(at).or_default();
        ledger.request(crew, user, &end, name);
        if user.is_none() && !crew.fresh && matches!(end, End::Done(_)) {
            note_made(&mut self.made, (at, &crew.revision), 1);
        }
    }

    fn answer(&self, crew: &Crew, now: Timestamp, truth: Truth, rng: &mut Rng) -> End {
        let stable = self.in_role(Role::Stable);
        let nobody = self.count(crew, |life| matches!(life, Life::Ready { .. })) == 0;
        let stable_is_there = stable.is_some_and(|stable| self.ready(stable) > 0);
        if nobody && (!stable_is_there || stable == Some(&crew.revision)) {
            return End::Dropped;
        }
        if matches!(truth, Truth::GivenUp(share) if rng.f64() < share) {
            return End::GivenUp;
        }
        let first_ready = self.first_ready.get(&crew.revision);
        let age = first_ready.map_or(0, |at| now.since(*at).0 / 1000);
        let fails = match truth {
            Truth::Errors(share) => rng.f64() < share,
            Truth::Late { after, share } => age >= after && rng.f64() < share,
            _ => false,
        };
        if fails || nobody {
            return End::Done(Unit { failed: true, us: 0 });
        }
        let slower = if let Truth::Slow(ms) = truth { ms * 1000 } else { 0 };
        End::Done(Unit { failed: false, us: 10_000 + rng.u64(..20_000) + slower })
    }

    /// Instances take turns.
    fn instance_for(&self, crew: &Crew, at: Generation) -> Option<String> {
        let ready = self.count(crew, |life| matches!(life, Life::Ready { .. }));
        let arms = self.counts.get(&at).into_iter().flat_map(|ledger| &ledger.arms);
        let arm = arms.into_iter().find(|(of, _)| of == crew).map(|(_, arm)| arm);
        let turn = arm.map_or(0, |arm| arm.n).checked_rem(u64::from(ready))?;
        let fresh = if crew.fresh { "-fresh" } else { "" };
        Some(format!("{}{fresh}-{turn}", crew.revision.version))
    }

    /// What the load balancer counted so far. It repeats what has been the same for long only
    /// when `all` is asked for.
    pub fn report(&mut self, now: Timestamp, all: bool) -> Vec<Counts> {
        self.key.seq += 1;
        while self.counts.len() > REPORTED_GENERATIONS {
            self.counts.pop_first();
        }
        let lately = |ledger: &Ledger| all || now.since(ledger.changed_at) < LATELY;
        let told = self.counts.iter().filter(|(_, ledger)| lately(ledger));
        let report = told.map(|(generation, ledger)| {
            let own = ledger.arms.iter().filter(|(crew, _)| !crew.fresh);
            Counts {
                key: self.key,
                generation: *generation,
                closed_through: now.0 / 1000,
                arms: own.map(|(crew, arm)| (crew.revision.clone(), arm.clone())).collect(),
                fresh: ledger.arms.iter().find(|(crew, _)| crew.fresh).map(|(_, arm)| arm.clone()),
                crossed: 0,
            }
        });
        report.collect()
    }

    /// Judged requests `revision` got after `after`, as made here.
    pub fn judged_after(&self, revision: &RevisionId, after: Generation) -> u64 {
        let later = self.made.iter().filter(|(at, id, _)| *at > after && id == revision);
        later.map(|(_, _, n)| n).sum()
    }

    /// Counts so many judged units of a revision's own instances as made.
    pub(super) fn made(&mut self, at: Generation, revision: &RevisionId, n: u64) {
        note_made(&mut self.made, (at, revision), n);
    }

    /// The counts of a generation, to be changed now.
    pub(super) fn ledger(&mut self, at: Generation, now: Timestamp) -> &mut Ledger {
        let ledger = self.counts.entry(at).or_default();
        ledger.changed_at = now;
        ledger
    }
}

/// How long a ledger that changed is repeated.
const LATELY: Millis = Millis::secs(60);

fn note_made(
    made: &mut Vec<(Generation, RevisionId, u64)>,
    (at, revision): (Generation, &RevisionId),
    n: u64,
) {
    match made.iter_mut().rev().find(|(of, id, _)| *of == at && id == revision) {
        Some((_, _, sum)) => *sum += n,
        None => made.push((at, revision.clone(), n)),
    }
}

fn arms(plan: &Plan) -> Vec<(Crew, Weight)> {
    let own = plan.revisions.iter().map(|(id, r)| (Crew::own(id), r.weight));
    let fresh = plan
        .revisions
        .iter()
        .filter_map(|(id, r)| r.fresh.as_ref().map(|fresh| (Crew::fresh(id), fresh.weight)));
    own.chain(fresh).filter(|(_, weight)| *weight > Weight::NONE).collect()
}
