//! A hand-driven world: the tests say what happened, the engine says what follows.
#![allow(dead_code)] // each test file uses its part

use serin_core::*;
use std::collections::BTreeMap;

pub struct World {
    pub service: Service,
    pub now: Timestamp,
    pub applied: Vec<Shared<Plan>>,
    pub told: Vec<String>,
    pub records: Vec<RolloutRecord>,
    pub notices: Vec<Notice>,
    pub waiting: String,
    pub wake_at: Option<Timestamp>,
    seq: u64,
    count_seq: u64,
    pub totals: BTreeMap<Generation, BTreeMap<RevisionId, ArmCounts>>,
    fresh: BTreeMap<Generation, ArmCounts>,
    /// What the judges of all rollouts were given.
    pub ticks: Vec<RecordedTick>,
    /// The fresh baseline gets ready.
    pub fresh_works: bool,
    /// Users seen in both arms.
    pub crossed: u64,
}

pub fn revision(version: &str) -> RevisionId {
    format!(
        "{version}@00{:02x}",
        version.len() * 16 + version.bytes().last().unwrap() as usize % 16
    )
    .parse()
    .unwrap()
}

pub fn percent(p: u32) -> Weight {
    Weight::percent(p).unwrap()
}

pub fn bake(secs: u64, evidence: bool) -> Step {
    Step::Bake(Bake {
        at_least: Millis::secs(secs),
        requests: 0,
        until_evidence: evidence,
        deadline: Millis::secs(3600),
    })
}

pub fn spec(steps: Vec<Step>) -> ServiceSpec {
    let probe = Probe {
        kind: ProbeKind::Tcp,
        period: Millis::secs(1),
        timeout: Millis::secs(1),
        failure_threshold: 3,
        success_threshold: 1,
        initial_delay: Millis(0),
    };
    ServiceSpec {
        name: "shop".parse().unwrap(),
        environment: "production".into(),
        replicas: 4,
        version: None,
        run: RunSpec {
            command: vec!["./shop".into()],
            env: BTreeMap::new(),
            env_files: vec![],
            working_directory: "/srv".into(),
            user: None,
            limits: Limits::default(),
            readiness: probe,
            liveness: None,
            grace: Millis::secs(30),
            log: LogLimits::default(),
            metrics: None,
            database: None,
        }
        .into(),
        traffic: TrafficSpec {
            request_timeout: Millis::secs(60),
            ..TrafficSpec::at("127.0.0.1:8080".parse().unwrap())
        },
        schedule: Schedule {
            analysis: Some(Analysis::default()),
            warm_up: Millis::secs(5),
            progress_deadline: Millis::secs(60),
            keep_warm: Millis::secs(30),
            ..Schedule::of("canary", steps)
        }
        .into(),
        on_new_revision: OnNewRevision::default(),
        rollback: RollbackSpec::default(),
        data: None,
        clients: None,
        train: None,
        notify: vec![],
        history_limit: 10,
        instance_hour_cost: None,
        flag: None,
    }
}

pub fn ladder() -> Vec<Step> {
    vec![
        Step::SetWeight(percent(20)),
        bake(10, true),
        Step::SetWeight(percent(50)),
        bake(10, true),
        Step::SetWeight(percent(100)),
    ]
}

impl World {
    pub fn new(steps: Vec<Step>) -> Self {
        Self::of(spec(steps))
    }

    pub fn of(spec: ServiceSpec) -> Self {
        let mut world = Self {
            service: Service::new(spec),
            now: Timestamp(1_000_000),
            applied: vec![],
            told: vec![],
            records: vec![],
            notices: vec![],
            waiting: String::new(),
            wake_at: None,
            seq: 0,
            count_seq: 0,
            totals: BTreeMap::new(),
            fresh: BTreeMap::new(),
            ticks: vec![],
            fresh_works: true,
            crossed: 0,
        };
        world.event(&Event::TookOver { epoch: 1, rollouts: 0 }).unwrap();
        world
    }

    /// A service on `v1`, stable.
    pub fn on_v1(steps: Vec<Step>) -> Self {
        let mut world = Self::new(steps);
        world.deploy("v1").unwrap();
        world.settle();
        assert_eq!(world.service.stable, Some(revision("v1")));
        assert!(world.service.rollout.is_none(), "{}", world.waiting);
        world
    }

    pub fn event(&mut self, event: &Event) -> Result<(), Refusal> {
        let turn = step(&self.service, event, self.now);
        self.waiting = turn.waiting_on.to_string();
        self.wake_at = turn.wake_at;
        if let Some(refusal) = turn.refused {
            assert_eq!(*turn.next, self.service, "a refusal changes nothing");
            return Err(refusal);
        }
        self.told.extend(turn.journal.iter().map(|e| e.fact.to_string()));
        self.records.extend(turn.records);
        self.notices.extend(turn.notices);
        self.ticks.extend(turn.ticks);
        self.applied.extend(turn.apply);
        self.service = turn.next.into_inner();
        Ok(())
    }

    pub fn ask(&mut self, ask: Ask) -> Result<(), Refusal> {
        self.event(&Event::Asked { by: Actor("ada".into()), reason: None, ask })
    }

    pub fn deploy(&mut self, version: &str) -> Result<(), Refusal> {
        let spec = self.service.spec.clone();
        let ask = DeployAsk {
            spec,
            revision: revision(version),
            allow_bad: false,
            departure: None,
            skips: Skips::Nothing,
        };
        self.ask(Ask::Deploy(Box::new(ask)))
    }

    pub fn plan(&self) -> &Plan {
        self.service.plan.as_deref().expect("a plan")
    }

    pub fn weight(&self, version: &str) -> u32 {
        self.plan().weight(&revision(version)).parts() / 1000
    }

    pub fn replicas(&self, version: &str) -> u32 {
        self.plan().revisions.get(&revision(version)).map_or(0, |r| r.replicas)
    }

    /// What a perfect platform would see of the present plan.
    pub fn perfect(&self) -> Observation {
        let plan = self.plan();
        let ready_at = |id: &RevisionId| {
            let known = self.service.observed.revisions.get(id);
            let grown = known.is_none_or(|k| k.ready < plan.revisions[id].replicas);
            if grown { Some(self.now) } else { known.and_then(|k| k.youngest_ready_at) }
        };
        let seen = |(id, r): (&RevisionId, &RevisionPlan)| {
            let seen = RevisionObservation {
                ready: r.replicas,
                youngest_ready_at: ready_at(id),
                ..RevisionObservation::default()
            };
            (id.clone(), seen)
        };
        Observation {
            seq: (0, 0),
            applied: Some(plan.generation),
            revisions: plan.revisions.iter().map(seen).collect(),
            fresh: plan.revisions.values().find_map(|r| r.fresh.as_ref()).map(|f| self.young(f)),
            trouble: None,
        }
    }

    fn young(&self, wanted: &FreshBaseline) -> RevisionObservation {
        let known = self.service.observed.fresh.as_ref();
        let since = known.filter(|k| k.ready == wanted.replicas).and_then(|k| k.youngest_ready_at);
        RevisionObservation {
            ready: if self.fresh_works { wanted.replicas } else { 0 },
            youngest_ready_at: self.fresh_works.then_some(since.unwrap_or(self.now)),
            ..RevisionObservation::default()
        }
    }

    /// Counts of one arm under the present plan, to be changed and then reported.
    pub fn arm(&mut self, version: &str) -> &mut ArmCounts {
        let totals = self.totals.entry(self.service.generation).or_default();
        totals.entry(revision(version)).or_default()
    }

    /// The same of any revision.
    pub fn arm_of(&mut self, id: &RevisionId) -> &mut ArmCounts {
        let totals = self.totals.entry(self.service.generation).or_default();
        totals.entry(id.clone()).or_default()
    }

    /// The same of the fresh baseline.
    pub fn fresh_arm(&mut self) -> &mut ArmCounts {
        self.fresh.entry(self.service.generation).or_default()
    }

    pub fn rollout(&self) -> &Rollout {
        self.service.rollout.as_ref().expect("a rollout")
    }

    pub fn observe(&mut self, mut observation: Observation) {
        self.seq += 1;
        observation.seq = (1, self.seq);
        self.event(&Event::Observed(observation)).unwrap();
    }

    pub fn advance(&mut self, secs: u64) {
        self.now = self.now.plus(Millis::secs(secs));
        self.event(&Event::Woke).unwrap();
    }

    /// Lets the platform catch up until nothing changes.
    pub fn settle(&mut self) {
        for _ in 0..20 {
            let before = self.service.clone();
            self.observe(self.perfect());
            let same = Service { observed: before.observed.clone(), ..self.service.clone() };
            if same == before {
                return;
            }
        }
    }

    /// Lets the platform catch up, and a way back be proven or given up.
    pub fn close(&mut self) {
        self.settle();
        self.advance(11);
        self.settle();
    }

    /// One second of traffic: `n` requests by the present weights, errors and slowness by arm.
    pub fn traffic(&mut self, n: u64, canary_errors: u64, canary_ms: u64) {
        let plan = self.plan().clone();
        let totals = self.totals.entry(plan.generation).or_default();
        for (id, r) in &plan.revisions {
            let share = n * u64::from(r.weight.parts()) / 100_000;
            let bad = r.role == Role::Candidate;
            let errors = if bad { canary_errors.min(share) } else { 0 };
            let arm = totals.entry(id.clone()).or_default();
            arm.n += share;
            arm.errors += errors;
            arm.assigned += share;
            for i in 0..share - errors {
                let base = 20_000 + (i % 20) * 1000;
                let us = if bad { base + canary_ms * 1000 } else { base };
                arm.latency.record_us(us);
            }
        }
        self.report();
    }

    pub fn report(&mut self) {
        self.count_seq += 1;
        self.now = self.now.plus(Millis::secs(1));
        let key = CountKey { epoch: 7, seq: self.count_seq };
        let closed_through = self.now.0 / 1000;
        let counts = self.totals.iter().map(|(generation, arms)| Counts {
            key,
            generation: *generation,
            closed_through,
            arms: arms.clone(),
            fresh: self.fresh.get(generation).cloned(),
            crossed: self.crossed,
        });
        let counts = Event::Counted(counts.collect());
        self.event(&counts).unwrap();
        // The same report again, as an executor that crashed would send it.
        let before = self.service.clone();
        self.event(&counts).unwrap();
        assert_eq!(before, self.service, "a repeated report changes nothing");
    }
}

/// v1 stable, v2 at its first weight, the analysis changed as told.
pub fn on_trial(steps: Vec<Step>, change: impl FnOnce(&mut ServiceSpec)) -> World {
    let mut world = World::on_v1(steps);
    change(&mut world.service.spec);
    world.deploy("v2").unwrap();
    world.settle();
    world.advance(5);
    world.settle();
    world
}

pub fn analysis(spec: &mut ServiceSpec) -> &mut Analysis {
    spec.schedule.analysis.as_mut().unwrap()
}

/// Requests of an arm, all of them judged.
pub fn serve(arm: &mut ArmCounts, n: u64, errors: u64) {
    arm.n += n;
    arm.assigned += n;
    arm.errors += errors;
    for i in 0..n - errors {
        arm.latency.record_us(20_000 + (i % 20) * 1000);
    }
}

/// Seconds in which half of the candidate's share of 20 % never gets there.
pub fn misdeal(world: &mut World, seconds: u32) {
    for _ in 0..seconds {
        serve(world.arm("v1"), 320, 0);
        serve(world.arm("v2"), 40, 0);
        world.report();
    }
}

pub fn exposed() -> Vec<Step> {
    let step = Expose { budget: 20.0, up_to: percent(50), deadline: Millis::secs(3600) };
    vec![Step::Expose(step), Step::SetWeight(Weight::ALL)]
}
