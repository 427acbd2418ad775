//! One service on a store, driven by hand through the real engine.

use serin_core::{
    Actor, ArmCounts, Ask, CountKey, Counts, DeployAsk, Event, Given, Observation, RecordedTick,
    RevisionId, RevisionObservation, Service, ServiceName, ServiceSpec, Shared, Timestamp,
    Transition, step,
};
use serin_stats::{Rung, Tick};
use serin_store::{Commit, Error, Store};

const SPEC: &str = r#"{
  "name": "shop", "environment": "production", "replicas": 2, "version": null,
  "run": {
    "command": ["./shop"], "env": {}, "env_files": [], "working_directory": "/srv", "user": null,
    "limits": {"open_files": null, "memory_bytes": null, "processes": null},
    "readiness": {"kind": "tcp", "period": 1000, "timeout": 1000, "failure_threshold": 3,
                  "success_threshold": 1, "initial_delay": 0},
    "liveness": null, "grace": 30000, "log": {"max_bytes": 1000, "keep": 2}
  },
  "traffic": {"listen": "127.0.0.1:8080", "request_timeout": 60000},
  "schedule": {
    "strategy": "canary",
    "stages": [{"name": "canary", "steps": [
      {"setWeight": 20000},
      {"bake": {"at_least": 0, "requests": 0, "until_evidence": true, "deadline": 600000}},
      {"setWeight": 100000}]}],
    "analysis": null, "warm_up": 0, "progress_deadline": 60000, "keep_warm": 0
  }
}"#;

pub fn shop() -> ServiceName {
    "shop".parse().unwrap()
}

pub fn revision(version: &str) -> RevisionId {
    format!("{version}@aa").parse().unwrap()
}

pub fn spec() -> ServiceSpec {
    let mut spec: ServiceSpec = serde_json::from_str(SPEC).unwrap();
    spec.schedule.analysis = Some(serin_core::Analysis::default());
    spec
}

/// The service, what it is stored in, and the time.
pub struct World {
    pub store: Store,
    pub service: Shared<Service>,
    pub now: Timestamp,
    pub asked: Vec<Event>,
    n: u64,
    seconds: u64,
}

impl World {
    pub fn new(mut store: Store) -> Self {
        let epoch = store.claim_epoch().unwrap();
        let known = store.services().unwrap().pop();
        let service = known.unwrap_or_else(|| Service::new(spec()).into());
        let now = Timestamp(1_000_000);
        let mut world = Self { store, service, now, asked: vec![], n: 0, seconds: 0 };
        world.submit(&Event::TookOver { epoch, rollouts: 0 });
        world
    }

    /// One event, stored; a fact that changes nothing is left out as the executor does.
    pub fn submit(&mut self, event: &Event) {
        self.try_submit(event).unwrap();
    }

    pub fn try_submit(&mut self, event: &Event) -> Result<(), Error> {
        let turn = step(&self.service, event, self.now);
        assert_eq!(turn.refused, None);
        if turn.next != self.service || turn.apply.is_some() || !turn.journal.is_empty() {
            self.store.commit(&[commit(self.now, event, &turn)])?;
        }
        self.service = turn.next;
        Ok(())
    }

    pub fn ask(&mut self, ask: Ask, why: &str) {
        let event = Event::Asked { by: Actor("ada".into()), reason: Some(why.into()), ask };
        self.asked.push(event.clone());
        self.submit(&event);
    }

    pub fn deploy(&mut self, version: &str) {
        let ask = DeployAsk {
            spec: spec(),
            revision: revision(version),
            allow_bad: true,
            departure: None,
            skips: serin_core::Skips::Nothing,
        };
        self.ask(Ask::Deploy(Box::new(ask)), version);
    }

    /// What a platform that did everything sees.
    pub fn seen(&mut self) -> Observation {
        self.n += 1;
        let plan = self.service.plan.clone().unwrap();
        let seen = |replicas| RevisionObservation {
            ready: replicas,
            youngest_ready_at: Some(Timestamp(0)),
            ..RevisionObservation::default()
        };
        Observation {
            seq: (plan.generation.epoch, self.n),
            applied: Some(plan.generation),
            revisions: plan
                .revisions
                .iter()
                .map(|(id, r)| (id.clone(), seen(r.replicas)))
                .collect(),
            fresh: None,
            trouble: None,
        }
    }

    pub fn settle(&mut self) {
        for _ in 0..6 {
            let seen = self.seen();
            self.submit(&Event::Observed(seen));
        }
    }

    /// A second of 400 requests, one of `fail` of the candidate's failed.
    pub fn count(&mut self, fail: u64) {
        self.now = Timestamp(self.now.0 + 1000);
        if self.service.rollout.is_some() {
            let counts = self.counts(fail);
            self.submit(&counts);
        }
    }

    /// What is reported after such a second.
    pub fn counts(&mut self, fail: u64) -> Event {
        self.seconds += 1;
        let rollout = self.service.rollout.clone().unwrap();
        let plan = self.service.plan.clone().unwrap();
        let before = rollout.counted.at.get(&plan.generation).cloned().unwrap_or_default();
        let arm = |id: &RevisionId| {
            let mut arm: ArmCounts = before.arms.get(id).cloned().unwrap_or_default();
            let n = u64::from(plan.weight(id).parts()) / 250;
            let errors = if *id == rollout.candidate { n / fail } else { 0 };
            (arm.n, arm.errors) = (arm.n + n, arm.errors + errors);
            arm.assigned += n;
            (0..n - errors).for_each(|i| arm.latency.record_us(20_000 + i % 20 * 500));
            (id.clone(), arm)
        };
        let counts = Counts {
            key: CountKey { epoch: 5, seq: self.seconds },
            generation: plan.generation,
            closed_through: 1000 + self.seconds as i64,
            arms: plan.revisions.keys().map(arm).collect(),
            fresh: None,
            crossed: 0,
        };
        Event::Counted(vec![counts])
    }

    /// `count` looks, each with other words about the platform, many in one transaction.
    pub fn flood(&mut self, count: u64, words: impl Fn(u64) -> Option<String>) {
        let mut turns = Vec::new();
        for i in 0..count {
            let seen = Observation { trouble: words(i), ..self.seen() };
            let event = Event::Observed(seen);
            let turn = step(&self.service, &event, self.now);
            self.service = turn.next.clone();
            turns.push((event, turn));
            if turns.len() == 500 || i + 1 == count {
                let commits: Vec<_> = turns.iter().map(|(e, t)| commit(self.now, e, t)).collect();
                self.store.commit(&commits).unwrap();
                turns.clear();
            }
        }
    }

    /// Ticks of the running rollout, as if its judge had been given so many.
    pub fn give_ticks(&mut self, count: usize) {
        let rollout = self.service.rollout.as_ref().unwrap().id;
        let given = |i| Given::Tick(Tick { seconds: 1 + i as u32 % 5, ..Tick::default() });
        let tick = |i| RecordedTick { rollout, at: self.now, rung: Rung::LAST, given: given(i) };
        let ticks: Vec<_> = (0..count).map(tick).collect();
        let turn = step(&self.service, &Event::Woke, self.now);
        let turn = Transition { ticks, ..turn };
        self.store.commit(&[commit(self.now, &Event::Woke, &turn)]).unwrap();
        self.service = turn.next;
    }

    /// A whole rollout to `version`; good when one of `fail` of its requests fails and `fail` is
    /// large.
    pub fn roll(&mut self, version: &str, fail: u64) {
        self.deploy(version);
        for _ in 0..400 {
            self.settle();
            if self.service.rollout.is_none() {
                return;
            }
            self.count(fail);
        }
        panic!("{version} did not end: {:?}", self.service.rollout);
    }

    /// Compacts until nothing is left to do; how many steps it took.
    pub fn compact(&mut self) -> usize {
        let now = self.now;
        (0..100_000).find(|_| !self.store.compact(now).unwrap()).unwrap()
    }

    /// What the log leads to.
    pub fn replayed(&self) -> Shared<Service> {
        let replay = self.store.replay(&shop()).unwrap();
        let start = replay.state.unwrap_or_else(|| Service::new(spec())).into();
        replay.events.iter().fold(start, |service, e| step(&service, &e.event, e.at).next)
    }

    /// The very bytes of the log's state and of the one that is stored.
    pub fn assert_replays(&self) {
        let bytes = |service: &Service| serde_json::to_string(service).unwrap();
        assert_eq!(bytes(&self.replayed()), bytes(&self.service));
        let stored = self.store.services().unwrap().pop().unwrap();
        assert_eq!(bytes(&stored), bytes(&self.service));
    }
}

pub fn commit<'a>(at: Timestamp, event: &'a Event, turn: &'a Transition) -> Commit<'a> {
    Commit {
        at,
        event,
        service: &turn.next,
        apply: turn.apply.as_deref(),
        journal: &turn.journal,
        records: &turn.records,
        ticks: &turn.ticks,
        notices: &turn.notices,
    }
}
