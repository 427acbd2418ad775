//! A made-up machine: processes that start, get ready and die, and a load balancer that counts.

mod bulk;
mod instance;
mod release;
mod traffic;

use crate::dice;
use crate::draw::Truth;
use fastrand::Rng;
use instance::{Crew, Instance, Life};
use serin_core::{
    CountKey, ExitCause, Generation, Observation, Plan, RevisionId, RevisionObservation, Role,
    Shared, StartFailure, Timestamp, Weight,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use traffic::Ledger;

/// One service's part of the machine.
#[derive(Debug)]
pub struct Machine {
    /// The plan it holds.
    pub plan: Option<Shared<Plan>>,
    /// A newer plan of which it has only started the instances.
    half: Option<Shared<Plan>>,
    instances: Vec<Instance>,
    known: BTreeMap<Crew, Known>,
    /// When the first instance of a revision got ready.
    first_ready: BTreeMap<RevisionId, Timestamp>,
    counts: BTreeMap<Generation, Ledger>,
    /// Judged requests ever made, also of generations no longer reported.
    made: Vec<(Generation, RevisionId, u64)>,
    key: CountKey,
    looks: u64,
    /// Requests a second.
    pub rate: u64,
    /// Times the load balancer lost its counts.
    pub restarts: u32,
    /// Share of the requests meant for the candidate that get lost on their way to it.
    pub skew: f64,
    /// Instances of the fresh baseline do not get ready.
    pub fresh_hangs: bool,
    /// Requests are drawn many at once, and what an instance will do is drawn when it is born.
    pub bulk: bool,
    /// What becomes of orders.
    pub orders: Orders,
    /// Revisions whose instances run and do not answer their probes.
    hung: BTreeSet<RevisionId>,
    /// What it serves is a flag: its revisions are variants, which no instance runs.
    pub flag: Option<Switch>,
    /// Requests nobody was there to answer.
    pub dropped: u64,
    /// Something about its instances or its plan is new since the last look.
    pub changed: bool,
    /// The order that came and was not followed yet.
    ordered: Option<Generation>,
    /// Epoch of the order it held when it was told to forget: an older controller is not heard.
    past: u64,
}

/// What the platform makes of orders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Orders {
    /// What they say.
    #[default]
    Taken,
    /// Nothing.
    Refused,
    /// Instances are started, nothing is stopped and no traffic is moved.
    Half,
}

/// A flag's own switch, which is a person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// Its release decides.
    On,
    /// Nobody is in either arm.
    Off,
}

/// Turns between two looks at an instance that does not get ready by itself.
const RETRY_TURNS: u32 = 60;

/// What the machine remembers of a revision while it is planned.
#[derive(Debug, Clone, Default)]
struct Known {
    restarts: u32,
    failure: Option<StartFailure>,
}

impl Machine {
    /// An empty machine with so many requests a second.
    pub fn new(rate: u64) -> Self {
        Self {
            plan: None,
            half: None,
            instances: vec![],
            known: BTreeMap::new(),
            first_ready: BTreeMap::new(),
            counts: BTreeMap::new(),
            made: vec![],
            key: CountKey { epoch: 1, seq: 0 },
            looks: 0,
            rate,
            restarts: 0,
            skew: 0.0,
            fresh_hangs: false,
            bulk: false,
            orders: Orders::Taken,
            hung: BTreeSet::new(),
            flag: None,
            dropped: 0,
            changed: true,
            ordered: None,
            past: 0,
        }
    }

    /// Takes an order, unless it holds a newer one.
    pub fn apply(&mut self, plan: &Shared<Plan>) {
        let newer = |held: &Option<Shared<Plan>>| {
            held.as_ref().is_some_and(|held| held.generation >= plan.generation)
        };
        if newer(&self.plan) || plan.generation.epoch < self.past {
            return;
        }
        match self.orders {
            Orders::Refused => {}
            // Of a flag there is nothing to be started.
            Orders::Half if self.flag.is_some() => {}
            Orders::Half if newer(&self.half) => {}
            Orders::Half => self.half = Some(plan.clone()),
            Orders::Taken => {
                self.plan = Some(plan.clone());
                self.half = None;
            }
        }
        (self.changed, self.ordered) = (true, Some(plan.generation));
    }

    /// Forgets everything it was ordered.
    pub fn clear(&mut self) {
        self.past = self.plan.as_ref().map_or(self.past, |plan| plan.generation.epoch);
        (self.plan, self.half) = (None, None);
        self.changed = true;
    }

    /// The share of `revision` in the order it holds.
    pub fn weight(&self, revision: &RevisionId) -> Weight {
        self.plan.as_ref().map_or(Weight::NONE, |plan| plan.weight(revision))
    }

    /// Ready instances of `revision`, without the fresh baseline.
    pub fn ready(&self, revision: &RevisionId) -> u32 {
        self.count(&Crew::own(revision), |life| matches!(life, Life::Ready { .. }))
    }

    fn count(&self, crew: &Crew, is: fn(&Life) -> bool) -> u32 {
        let of = self.instances.iter().filter(|i| i.crew == *crew);
        of.filter(|i| is(&i.life)).count() as u32
    }

    /// All processes end at once, through no fault of theirs.
    pub fn lose_instances(&mut self) {
        if self.flag.is_some() {
            return;
        }
        self.instances.clear();
        self.changed = true;
    }

    /// The processes of one revision end at once; it counts as restarts.
    pub fn kill(&mut self, revision: &RevisionId) {
        if self.flag.is_some() {
            return;
        }
        let is_hit =
            |i: &Instance| i.crew.revision == *revision && !matches!(i.life, Life::Leaving { .. });
        for hit in self.instances.iter().filter(|i| is_hit(i)) {
            self.known.entry(hit.crew.clone()).or_default().restarts += 1;
        }
        self.instances.retain(|i| !is_hit(i));
        self.changed = true;
    }

    /// From now on the instances of a revision run and do not get ready, or they do again.
    pub fn hang(&mut self, revision: &RevisionId, hangs: bool) {
        if self.flag.is_some() {
            return;
        }
        let of = self.instances.iter_mut().filter(|i| i.crew.revision == *revision);
        for instance in of {
            match instance.life {
                Life::Ready { .. } if hangs => instance.life = Life::HUNG,
                Life::HUNG if !hangs => instance.life = Life::Starting { turns_left: 0 },
                _ => {}
            }
        }
        if hangs {
            self.hung.insert(revision.clone())
        } else {
            self.hung.remove(revision)
        };
        self.changed = true;
    }

    /// Whether something is wrong with it that no plan can make good.
    pub fn is_broken(&self) -> bool {
        !self.hung.is_empty() || self.orders != Orders::Taken
    }

    /// All that is wrong with the machine itself is mended.
    pub fn heal(&mut self) {
        for revision in std::mem::take(&mut self.hung) {
            self.hang(&revision, false);
        }
        (self.skew, self.fresh_hangs, self.orders) = (0.0, false, Orders::Taken);
    }

    /// The load balancer loses its counts.
    pub fn restart_data_plane(&mut self) {
        self.counts.clear();
        self.key = CountKey { epoch: self.key.epoch + 1, seq: 0 };
        self.restarts += 1;
    }

    /// So many seconds pass, in which nothing happens before the last.
    pub fn turn(
        &mut self,
        (now, elapsed): (Timestamp, u64),
        truth: &impl Fn(&RevisionId) -> Truth,
        rng: &mut Rng,
    ) {
        if self.flag.is_some() {
            self.attend(now);
        } else {
            self.live((now, elapsed), truth, rng);
            self.follow_plan(truth, rng);
        }
        if self.flag == Some(Switch::Off) {
            return self.close_windows(now);
        }
        if self.bulk {
            self.serve_many((now, elapsed), truth, rng);
        } else {
            self.serve(now, truth, rng);
        }
    }

    /// Seconds until an instance changes by itself.
    pub fn next_in(&self) -> u64 {
        let soonest = self.instances.iter().map(|instance| instance.life.changes_in()).min();
        if self.changed || self.ordered.is_some() { 1 } else { soonest.unwrap_or(u64::MAX) }
    }

    fn live(
        &mut self,
        (now, elapsed): (Timestamp, u64),
        truth: &impl Fn(&RevisionId) -> Truth,
        rng: &mut Rng,
    ) {
        let mut instances = std::mem::take(&mut self.instances);
        instances.retain_mut(|instance| {
            let crew = &instance.crew;
            let hangs = crew.fresh && self.fresh_hangs || self.hung.contains(&crew.revision);
            let truth = if hangs { Truth::NeverReady } else { truth(&crew.revision) };
            let before = instance.life.kind();
            let stays = self.grow_older(instance, (now, elapsed), truth, rng);
            self.changed |= !stays || before != instance.life.kind();
            stays
        });
        self.instances = instances;
    }

    /// False when the instance is gone.
    fn grow_older(
        &mut self,
        it: &mut Instance,
        (now, elapsed): (Timestamp, u64),
        truth: Truth,
        rng: &mut Rng,
    ) -> bool {
        if it.life == Life::HUNG {
            return true;
        }
        let over = it.life.is_over(elapsed);
        match (&mut it.life, truth) {
            (Life::Leaving { .. }, _) if over => return false,
            (Life::Starting { .. }, Truth::WontStart) if over || !self.bulk => {
                let known = self.known.entry(it.crew.clone()).or_default();
                known.failure = Some(failure(ExitCause::Code(1)));
                return false;
            }
            (Life::Starting { turns_left }, Truth::NeverReady) => *turns_left = RETRY_TURNS,
            (Life::Starting { .. }, truth) if over => {
                let fails_in = if self.bulk { fails_in(truth, rng) } else { u64::MAX };
                it.life = Life::Ready { since: now, fails_in };
                if !self.first_ready.contains_key(&it.crew.revision) {
                    self.first_ready.insert(it.crew.revision.clone(), now);
                }
            }
            (Life::Leaving { turns_left } | Life::Starting { turns_left }, _) => {
                *turns_left -= elapsed as u32;
            }
            (Life::Ready { .. }, Truth::Crashes(share)) if !self.bulk && rng.f64() < share => {
                self.known.entry(it.crew.clone()).or_default().restarts += 1;
                return false;
            }
            (Life::Ready { .. }, _) if over => {
                self.known.entry(it.crew.clone()).or_default().restarts += 1;
                return false;
            }
            (Life::Ready { fails_in, .. }, _) => *fails_in = fails_in.saturating_sub(elapsed),
        }
        true
    }

    fn follow_plan(&mut self, truth: &impl Fn(&RevisionId) -> Truth, rng: &mut Rng) {
        if self.bulk && !self.changed && self.ordered.is_none() {
            return;
        }
        self.ordered = None;
        if let Some(half) = self.half.take() {
            self.staff_all(&half, false, truth, rng);
            self.half = Some(half);
        }
        let Some(plan) = self.plan.take() else { return };
        self.staff_all(&plan, self.half.is_none(), truth, rng);
        if self.half.is_none() {
            let planned = |crew: &Crew| crew.is_in(&plan);
            for it in self.instances.iter_mut().filter(|i| !planned(&i.crew)) {
                it.leave();
            }
            self.known.retain(|crew, _| planned(crew));
        }
        self.plan = Some(plan);
    }

    fn staff_all(
        &mut self,
        plan: &Plan,
        may_stop: bool,
        truth: &impl Fn(&RevisionId) -> Truth,
        rng: &mut Rng,
    ) {
        for (id, wanted) in &plan.revisions {
            let slow = self.bulk && matches!(truth(id), Truth::WontStart);
            self.staff(&Crew::own(id), (wanted.replicas, may_stop, slow), rng);
            if let Some(fresh) = &wanted.fresh {
                self.staff(&Crew::fresh(id), (fresh.replicas, may_stop, false), rng);
            }
        }
    }

    /// Starts what is missing and lets go of what is too much.
    fn staff(&mut self, crew: &Crew, (wanted, may_stop, slow): (u32, bool, bool), rng: &mut Rng) {
        let alive = self.count(crew, |life| !matches!(life, Life::Leaving { .. }));
        for _ in alive..wanted {
            let turns_left = rng.u32(..4) + if slow { 4 } else { 0 };
            let life = Life::Starting { turns_left };
            self.instances.push(Instance { crew: crew.clone(), life });
            self.changed = true;
        }
        if !may_stop {
            return;
        }
        let mut too_many = alive.saturating_sub(wanted);
        // Those that serve nobody yet go first.
        for ready in [false, true] {
            let of = self.instances.iter_mut().filter(|i| i.crew == *crew);
            let staying = of.filter(|i| match i.life {
                Life::Leaving { .. } => false,
                Life::Ready { .. } => ready,
                Life::Starting { .. } => !ready,
            });
            for it in staying.take(too_many as usize) {
                it.leave();
                too_many -= 1;
                self.changed = true;
            }
        }
    }

    /// What a look at the machine shows.
    pub fn look(&mut self, epoch: u64) -> Observation {
        self.looks += 1;
        let planned = self.plan.iter().flat_map(|plan| plan.revisions.keys());
        let alive = self.instances.iter().filter(|i| !i.crew.fresh).map(|i| &i.crew.revision);
        let seen = |id: &RevisionId| (id.clone(), self.seen(&Crew::own(id)));
        let revisions = planned.chain(alive).map(seen).collect();
        let applied = self.plan.as_ref().map(|plan| plan.generation);
        let fresh = self.instances.iter().find(|i| i.crew.fresh).map(|i| self.seen(&i.crew));
        let trouble = (self.orders == Orders::Refused).then(|| "it takes no orders".to_owned());
        Observation { seq: (epoch, self.looks), applied, revisions, fresh, trouble }
    }

    fn seen(&self, crew: &Crew) -> RevisionObservation {
        let of = self.instances.iter().filter(|i| i.crew == *crew);
        let ready = of.filter_map(|i| match i.life {
            Life::Ready { since, .. } => Some(since),
            _ => None,
        });
        let known = self.known.get(crew).cloned().unwrap_or_default();
        let ready_now = self.count(crew, |life| matches!(life, Life::Ready { .. }));
        let address = (ready_now > 0).then(|| SocketAddr::from(([127, 0, 0, 1], 9000)));
        RevisionObservation {
            addresses: address.into_iter().collect(),
            published: BTreeMap::new(),
            measured: BTreeMap::new(),
            starting: self.count(crew, |life| matches!(life, Life::Starting { .. })),
            ready: ready_now,
            stopping: self.count(crew, |life| matches!(life, Life::Leaving { .. })),
            youngest_ready_at: ready.max(),
            restarts: known.restarts,
            in_flight: 0,
            failure: known.failure,
            lost: None,
            drift: false,
        }
    }

    /// The revision in `role` in the order it holds.
    pub fn in_role(&self, role: Role) -> Option<&RevisionId> {
        self.plan.as_ref().and_then(|plan| plan.in_role(role)).map(|(id, _)| id)
    }
}

/// When an instance that just got ready will crash, in seconds.
fn fails_in(truth: Truth, rng: &mut Rng) -> u64 {
    match truth {
        Truth::Crashes(share) => dice::turns_until(share, rng),
        _ => u64::MAX,
    }
}

fn failure(cause: ExitCause) -> StartFailure {
    StartFailure { instance: "app-1".into(), cause, last_probe: None, log: vec![] }
}
