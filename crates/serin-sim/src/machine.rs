//! A made-up machine: processes that start, get ready and die, and a load balancer that counts.

mod instance;
mod traffic;

use crate::draw::Truth;
use fastrand::Rng;
use instance::{Crew, Instance, Life};
use serin_core::{
    CountKey, ExitCause, Generation, Observation, Plan, RevisionId, RevisionObservation, Role,
    StartFailure, Timestamp, Weight,
};
use std::collections::BTreeMap;
use traffic::Ledger;

/// One service's part of the machine.
#[derive(Debug)]
pub struct Machine {
    /// The plan it holds.
    pub plan: Option<Plan>,
    instances: Vec<Instance>,
    known: BTreeMap<Crew, Known>,
    /// When the first instance of a revision got ready.
    first_ready: BTreeMap<RevisionId, Timestamp>,
    counts: BTreeMap<Generation, Ledger>,
    /// Judged requests ever made, also of generations no longer reported.
    made: BTreeMap<(Generation, RevisionId), u64>,
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
}

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
            instances: vec![],
            known: BTreeMap::new(),
            first_ready: BTreeMap::new(),
            counts: BTreeMap::new(),
            made: BTreeMap::new(),
            key: CountKey { epoch: 1, seq: 0 },
            looks: 0,
            rate,
            restarts: 0,
            skew: 0.0,
            fresh_hangs: false,
        }
    }

    /// Takes an order, unless it holds a newer one.
    pub fn apply(&mut self, plan: &Plan) {
        if self.plan.as_ref().is_none_or(|held| held.generation <= plan.generation) {
            self.plan = Some(plan.clone());
        }
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
        self.instances.clear();
    }

    /// The load balancer loses its counts.
    pub fn restart_data_plane(&mut self) {
        self.counts.clear();
        self.key = CountKey { epoch: self.key.epoch + 1, seq: 0 };
        self.restarts += 1;
    }

    /// One second passes.
    pub fn turn(&mut self, now: Timestamp, truth: &impl Fn(&RevisionId) -> Truth, rng: &mut Rng) {
        self.live(now, truth, rng);
        self.follow_plan(rng);
        self.serve(now, truth, rng);
    }

    fn live(&mut self, now: Timestamp, truth: &impl Fn(&RevisionId) -> Truth, rng: &mut Rng) {
        let mut kept = Vec::new();
        for mut instance in std::mem::take(&mut self.instances) {
            let hangs = instance.crew.fresh && self.fresh_hangs;
            let truth = if hangs { Truth::NeverReady } else { truth(&instance.crew.revision) };
            if self.grow_older(&mut instance, now, truth, rng) {
                kept.push(instance);
            }
        }
        self.instances = kept;
    }

    /// False when the instance is gone.
    fn grow_older(
        &mut self,
        it: &mut Instance,
        now: Timestamp,
        truth: Truth,
        rng: &mut Rng,
    ) -> bool {
        match (&mut it.life, truth) {
            (Life::Leaving { turns_left: 0 }, _) => return false,
            (Life::Starting { .. }, Truth::WontStart) => {
                let known = self.known.entry(it.crew.clone()).or_default();
                known.failure = Some(failure(ExitCause::Code(1)));
                return false;
            }
            (Life::Starting { .. }, Truth::NeverReady) => {}
            (Life::Starting { turns_left: 0 }, _) => {
                it.life = Life::Ready { since: now };
                self.first_ready.entry(it.crew.revision.clone()).or_insert(now);
            }
            (Life::Leaving { turns_left } | Life::Starting { turns_left }, _) => *turns_left -= 1,
            (Life::Ready { .. }, Truth::Crashes(share)) if rng.f64() < share => {
                self.known.entry(it.crew.clone()).or_default().restarts += 1;
                return false;
            }
            (Life::Ready { .. }, _) => {}
        }
        true
    }

    fn follow_plan(&mut self, rng: &mut Rng) {
        let Some(plan) = self.plan.clone() else { return };
        for (id, wanted) in &plan.revisions {
            self.staff(&Crew::own(id), wanted.replicas, rng);
            if let Some(fresh) = &wanted.fresh {
                self.staff(&Crew::fresh(id), fresh.replicas, rng);
            }
        }
        let planned = |crew: &Crew| crew.is_in(&plan);
        for it in self.instances.iter_mut().filter(|i| !planned(&i.crew)) {
            it.leave();
        }
        self.known.retain(|crew, _| planned(crew));
    }

    fn staff(&mut self, crew: &Crew, wanted: u32, rng: &mut Rng) {
        let alive = self.count(crew, |life| !matches!(life, Life::Leaving { .. }));
        for _ in alive..wanted {
            let life = Life::Starting { turns_left: rng.u32(..4) };
            self.instances.push(Instance { crew: crew.clone(), life });
        }
        let of = self.instances.iter_mut().filter(|i| i.crew == *crew);
        let staying = of.filter(|i| !matches!(i.life, Life::Leaving { .. }));
        for it in staying.take(alive.saturating_sub(wanted) as usize) {
            it.leave();
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
        Observation { seq: (epoch, self.looks), applied, revisions, fresh, trouble: None }
    }

    fn seen(&self, crew: &Crew) -> RevisionObservation {
        let of = self.instances.iter().filter(|i| i.crew == *crew);
        let ready = of.filter_map(|i| match i.life {
            Life::Ready { since } => Some(since),
            _ => None,
        });
        let known = self.known.get(crew).cloned().unwrap_or_default();
        RevisionObservation {
            addresses: vec![],
            published: BTreeMap::new(),
            starting: self.count(crew, |life| matches!(life, Life::Starting { .. })),
            ready: self.count(crew, |life| matches!(life, Life::Ready { .. })),
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

fn failure(cause: ExitCause) -> StartFailure {
    StartFailure { instance: "app-1".into(), cause, last_probe: None, log: vec![] }
}
