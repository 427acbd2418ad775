//! A made-up machine: processes that start, get ready and die, and a load balancer that counts.

use crate::draw::Truth;
use fastrand::Rng;
use serin_core::{
    ArmCounts, CountKey, Counts, ExitCause, Generation, Observation, Plan, REPORTED_GENERATIONS,
    RevisionId, RevisionObservation, Role, StartFailure, Timestamp, Weight,
};
use std::collections::BTreeMap;

/// Turns after which an instance that leaves is gone.
const DRAIN_TURNS: u32 = 3;

/// One service's part of the machine.
#[derive(Debug)]
pub struct Machine {
    /// The plan it holds.
    pub plan: Option<Plan>,
    instances: Vec<Instance>,
    known: BTreeMap<RevisionId, Known>,
    counts: BTreeMap<Generation, BTreeMap<RevisionId, ArmCounts>>,
    /// Judged requests ever made, also of generations no longer reported.
    made: BTreeMap<(Generation, RevisionId), u64>,
    key: CountKey,
    looks: u64,
    /// Requests a second.
    pub rate: u64,
    /// Times the load balancer lost its counts.
    pub restarts: u32,
}

#[derive(Debug, Clone)]
struct Instance {
    revision: RevisionId,
    life: Life,
}

#[derive(Debug, Clone, PartialEq)]
enum Life {
    Starting { turns_left: u32 },
    Ready { since: Timestamp },
    Leaving { turns_left: u32 },
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
            counts: BTreeMap::new(),
            made: BTreeMap::new(),
            key: CountKey { epoch: 1, seq: 0 },
            looks: 0,
            rate,
            restarts: 0,
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

    /// Ready instances of `revision`.
    pub fn ready(&self, revision: &RevisionId) -> u32 {
        self.count(revision, |life| matches!(life, Life::Ready { .. }))
    }

    fn count(&self, revision: &RevisionId, is: fn(&Life) -> bool) -> u32 {
        let of = self.instances.iter().filter(|i| i.revision == *revision);
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
        self.serve(truth, rng);
    }

    fn live(&mut self, now: Timestamp, truth: &impl Fn(&RevisionId) -> Truth, rng: &mut Rng) {
        let mut kept = Vec::new();
        for mut instance in std::mem::take(&mut self.instances) {
            let truth = truth(&instance.revision);
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
                let known = self.known.entry(it.revision.clone()).or_default();
                known.failure = Some(failure(ExitCause::Code(1)));
                return false;
            }
            (Life::Starting { .. }, Truth::NeverReady) => {}
            (Life::Starting { turns_left: 0 }, _) => it.life = Life::Ready { since: now },
            (Life::Leaving { turns_left } | Life::Starting { turns_left }, _) => *turns_left -= 1,
            (Life::Ready { .. }, Truth::Crashes(share)) if rng.f64() < share => {
                self.known.entry(it.revision.clone()).or_default().restarts += 1;
                return false;
            }
            (Life::Ready { .. }, _) => {}
        }
        true
    }

    fn follow_plan(&mut self, rng: &mut Rng) {
        let Some(plan) = self.plan.clone() else { return };
        for (id, wanted) in &plan.revisions {
            let alive = self.count(id, |life| !matches!(life, Life::Leaving { .. }));
            for _ in alive..wanted.replicas {
                let life = Life::Starting { turns_left: rng.u32(..4) };
                self.instances.push(Instance { revision: id.clone(), life });
            }
            self.dismiss(id, alive.saturating_sub(wanted.replicas));
        }
        let unwanted = |i: &Instance| !plan.revisions.contains_key(&i.revision);
        for it in self.instances.iter_mut().filter(|i| unwanted(i)) {
            it.leave();
        }
        self.known.retain(|id, _| plan.revisions.contains_key(id));
    }

    fn dismiss(&mut self, revision: &RevisionId, count: u32) {
        let of = self.instances.iter_mut().filter(|i| i.revision == *revision);
        let staying = of.filter(|i| !matches!(i.life, Life::Leaving { .. }));
        for it in staying.take(count as usize) {
            it.leave();
        }
    }

    /// A second of requests, each in the arm it is assigned to.
    fn serve(&mut self, truth: &impl Fn(&RevisionId) -> Truth, rng: &mut Rng) {
        let Some(plan) = self.plan.clone() else { return };
        let arms: Vec<_> = plan.revisions.iter().filter(|(_, r)| r.weight > Weight::NONE).collect();
        for _ in 0..self.rate {
            let mut at = rng.u32(..100_000);
            let arm = arms.iter().find(|(_, r)| {
                let here = at < r.weight.parts();
                at = at.wrapping_sub(r.weight.parts());
                here
            });
            if let Some((id, _)) = arm {
                self.request(plan.generation, id, truth(id), rng);
            }
        }
    }

    fn request(&mut self, at: Generation, id: &RevisionId, truth: Truth, rng: &mut Rng) {
        let nobody = self.ready(id) == 0;
        let stable = self.in_role(Role::Stable).cloned();
        let stable_is_there = stable.as_ref().is_some_and(|stable| self.ready(stable) > 0);
        if nobody && (!stable_is_there || stable.as_ref() == Some(id)) {
            return;
        }
        let arm = self.counts.entry(at).or_default().entry(id.clone()).or_default();
        arm.n += 1;
        arm.assigned += 1;
        *self.made.entry((at, id.clone())).or_default() += 1;
        let fails = matches!(truth, Truth::Errors(share) if rng.f64() < share);
        if fails || nobody {
            arm.errors += 1;
            return;
        }
        let slower = if let Truth::Slow(ms) = truth { ms * 1000 } else { 0 };
        arm.latency.record_us(10_000 + rng.u64(..20_000) + slower);
    }

    /// What a look at the machine shows.
    pub fn look(&mut self, epoch: u64) -> Observation {
        self.looks += 1;
        let planned = self.plan.iter().flat_map(|plan| plan.revisions.keys());
        let alive = self.instances.iter().map(|i| &i.revision);
        let revisions = planned.chain(alive).map(|id| (id.clone(), self.seen(id))).collect();
        let applied = self.plan.as_ref().map(|plan| plan.generation);
        Observation { seq: (epoch, self.looks), applied, revisions, fresh: None, trouble: None }
    }

    fn seen(&self, id: &RevisionId) -> RevisionObservation {
        let of = self.instances.iter().filter(|i| i.revision == *id);
        let ready = of.filter_map(|i| match i.life {
            Life::Ready { since } => Some(since),
            _ => None,
        });
        let known = self.known.get(id).cloned().unwrap_or_default();
        RevisionObservation {
            starting: self.count(id, |life| matches!(life, Life::Starting { .. })),
            ready: self.ready(id),
            stopping: self.count(id, |life| matches!(life, Life::Leaving { .. })),
            youngest_ready_at: ready.max(),
            restarts: known.restarts,
            in_flight: 0,
            failure: known.failure,
            lost: None,
            drift: false,
        }
    }

    /// What the load balancer counted so far.
    pub fn report(&mut self, now: Timestamp) -> Vec<Counts> {
        self.key.seq += 1;
        while self.counts.len() > REPORTED_GENERATIONS {
            self.counts.pop_first();
        }
        let report = self.counts.iter().map(|(generation, arms)| Counts {
            key: self.key,
            generation: *generation,
            closed_through: now.0 / 1000,
            arms: arms.clone(),
            fresh: None,
        });
        report.collect()
    }

    /// Judged requests `revision` got after `after`, as made here.
    pub fn judged_after(&self, revision: &RevisionId, after: Generation) -> u64 {
        let later = self.made.iter().filter(|((at, id), _)| *at > after && id == revision);
        later.map(|(_, n)| n).sum()
    }

    /// The revision in `role` in the order it holds.
    pub fn in_role(&self, role: Role) -> Option<&RevisionId> {
        self.plan.as_ref().and_then(|plan| plan.in_role(role)).map(|(id, _)| id)
    }
}

impl Instance {
    fn leave(&mut self) {
        if !matches!(self.life, Life::Leaving { .. }) {
            self.life = Life::Leaving { turns_left: DRAIN_TURNS };
        }
    }
}

fn failure(cause: ExitCause) -> StartFailure {
    StartFailure { instance: "app-1".into(), cause, last_probe: None, log: vec![] }
}
