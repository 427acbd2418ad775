//! One run: chaos for a while, then peace, then everything must have come to rest.

use crate::check;
use crate::draw::{self, Truth};
use crate::machine::Machine;
use crate::network::{Faults, Network};
use fastrand::Rng;
use serin_core::{
    Actor, Ask, Counts, DeployAsk, Event, Observation, Outcome, Plan, RevisionId, RolloutRecord,
    ServiceName, Timestamp,
};
use serin_server::executor::{Effect, Error, Executor};
use serin_store::Store;
use std::collections::BTreeMap;

/// Turns (seconds) with faults.
const CHAOS_TURNS: u64 = 240;

/// Turns without faults in which everything must come to rest.
const PEACE_TURNS: u64 = 500;

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The run.
    pub seed: u64,
    /// The turn it was found in.
    pub turn: u64,
    /// What is wrong.
    pub what: String,
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Rules broken; empty in a sound run.
    pub violations: Vec<Violation>,
    /// Rollouts that ended, by outcome.
    pub outcomes: BTreeMap<&'static str, u32>,
    /// Good revisions judged against by evidence.
    pub false_rollbacks: u32,
    /// Good revisions that were tried under a judge.
    pub good_trials: u32,
    /// Times the controller crashed.
    pub crashes: u32,
    /// Events absorbed.
    pub events: u64,
}

/// Runs `seed`.
pub fn run(seed: u64) -> Report {
    let mut sim = Sim::new(seed);
    for turn in 0..CHAOS_TURNS + PEACE_TURNS {
        sim.turn(turn);
        if !sim.report.violations.is_empty() {
            break;
        }
    }
    sim.end();
    sim.report
}

struct Sim {
    seed: u64,
    rng: Rng,
    turn: u64,
    now: Timestamp,
    faults: Faults,
    executor: Option<Executor>,
    machines: BTreeMap<ServiceName, Machine>,
    truths: BTreeMap<RevisionId, Truth>,
    orders: Network<Plan>,
    looks: Network<(ServiceName, Observation)>,
    counts: Network<(ServiceName, Vec<Counts>)>,
    /// Of each rollout: its rungs, and whether its verdicts decide.
    trials: BTreeMap<(ServiceName, u64), (u32, bool)>,
    versions: u32,
    disk_full: bool,
    report: Report,
}

impl Sim {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let now = Timestamp(1_700_000_000_000);
        let store = Store::in_memory().expect("a store in memory");
        let (executor, _) = Executor::open(store, None, now).expect("an empty store opens");
        let faults = Faults::draw(&mut rng);
        let mut sim = Self {
            seed,
            rng,
            turn: 0,
            now,
            faults,
            executor: Some(executor),
            machines: BTreeMap::new(),
            truths: BTreeMap::new(),
            orders: Network::default(),
            looks: Network::default(),
            counts: Network::default(),
            trials: BTreeMap::new(),
            versions: 0,
            disk_full: false,
            report: Report::default(),
        };
        sim.found_services();
        sim
    }

    fn found_services(&mut self) {
        for i in 0..self.rng.u16(1..=2) {
            let name = format!("svc-{i}");
            let mut spec = draw::spec(&name, 8000 + i, &mut self.rng);
            draw::extend(&mut spec, &mut self.rng);
            let rate = [5, 40, 100][self.rng.usize(..3)];
            self.machines.insert(spec.name.clone(), Machine::new(rate));
            let revision = draw::revision(&format!("{name}-first"));
            self.truths.insert(revision.clone(), Truth::Good);
            let ask = DeployAsk { spec: spec.clone(), revision, allow_bad: false };
            self.ask(&spec.name, Ask::Deploy(Box::new(ask)));
        }
    }

    fn executor(&mut self) -> &mut Executor {
        self.executor.as_mut().expect("there is one except while it crashes")
    }

    fn turn(&mut self, turn: u64) {
        self.turn = turn;
        self.pass_time();
        if turn == CHAOS_TURNS {
            self.make_peace();
        }
        if turn < CHAOS_TURNS {
            self.trouble();
        }
        self.machines_turn();
        self.deliver();
        self.wake_and_owe();
    }

    fn pass_time(&mut self) {
        let jump = self.turn < CHAOS_TURNS && self.rng.f64() < 0.005;
        let step = if jump { self.rng.i64(-20_000..20_000) } else { 1000 };
        self.now = Timestamp(self.now.0 + step);
    }

    fn make_peace(&mut self) {
        self.faults = Faults::NONE;
        self.fill_disk(false);
        for machine in self.machines.values_mut() {
            machine.rate = machine.rate.max(60);
            machine.skew = 0.0;
            machine.fresh_hangs = false;
        }
    }

    /// Whatever can go wrong in a second.
    fn trouble(&mut self) {
        if self.rng.f64() < 0.03 {
            self.crash();
        }
        if self.rng.f64() < 0.01 {
            let full = !self.disk_full;
            self.fill_disk(full);
        }
        if self.rng.f64() < 0.02 {
            let which = self.rng.usize(..self.machines.len());
            if let Some(machine) = self.machines.values_mut().nth(which) {
                machine.restart_data_plane();
            }
        }
        if self.rng.f64() < 0.003 {
            self.power_cut();
        }
        if self.rng.f64() < 0.005 {
            self.misdeal();
        }
        if self.rng.f64() < 0.08 {
            self.press_a_button();
        }
    }

    /// Some of the candidate's requests get lost, or a fresh baseline does not start; or no more.
    fn misdeal(&mut self) {
        let which = self.rng.usize(..self.machines.len());
        let (skewed, hangs) = (self.rng.bool(), self.rng.f64() < 0.3);
        if let Some(machine) = self.machines.values_mut().nth(which) {
            machine.skew = if skewed { 0.3 } else { 0.0 };
            machine.fresh_hangs = hangs;
        }
    }

    /// Everything dies at once and comes back.
    fn power_cut(&mut self) {
        for machine in self.machines.values_mut() {
            machine.lose_instances();
            machine.restart_data_plane();
        }
        self.crash();
    }

    /// The controller dies and a new one takes over; messages of the old one are still under way.
    fn crash(&mut self) {
        self.report.crashes += 1;
        let Some(executor) = self.executor.take() else { return };
        let store = executor.into_store();
        match Executor::open(store, None, self.now) {
            Ok((executor, effects)) => {
                self.executor = Some(executor);
                self.carry_out(effects);
            }
            Err(failed) => {
                let (store, error) = *failed;
                let full = matches!(error, Error::Store(serin_store::Error::Full));
                if !full {
                    self.violation(&format!("cannot take over: {error}"));
                }
                self.reopen_after_room(store);
            }
        }
    }

    /// A keeper starts the controller again and again until there is room.
    fn reopen_after_room(&mut self, store: Store) {
        self.disk_full = false;
        store.limit_pages(None);
        match Executor::open(store, None, self.now) {
            Ok((executor, effects)) => {
                self.executor = Some(executor);
                self.carry_out(effects);
            }
            Err(failed) => panic!("seed {}: cannot take over: {}", self.seed, failed.1),
        }
    }

    fn fill_disk(&mut self, full: bool) {
        self.disk_full = full;
        let pages = full.then_some(1);
        self.executor().store().limit_pages(pages);
    }

    fn press_a_button(&mut self) {
        let names: Vec<_> = self.machines.keys().cloned().collect();
        let name = names[self.rng.usize(..names.len())].clone();
        let ask = match self.rng.u32(..10) {
            0..5 => self.new_version(&name),
            5 => Some(Ask::Promote { full: self.rng.f64() < 0.3 }),
            6 => Some(Ask::Pause),
            7 => Some(Ask::Resume),
            8 => Some(Ask::Abort),
            _ => self.some_rollback(&name),
        };
        let Some(ask) = ask else { return };
        let again = matches!(ask, Ask::Abort | Ask::Rollback { to: None }) && self.rng.bool();
        let crashes = self.report.crashes;
        self.ask(&name, ask.clone());
        // A crash may have lost the first press, if the disk was full.
        if again && crashes == self.report.crashes {
            self.press_again(&name, ask);
        }
    }

    /// To the last good revision, or to any that is known.
    fn some_rollback(&mut self, name: &ServiceName) -> Option<Ask> {
        if self.rng.bool() {
            return Some(Ask::Rollback { to: None });
        }
        let known: Vec<_> = self.executor().service(name)?.revisions.keys().cloned().collect();
        let to = known.get(self.rng.usize(..known.len().max(1)))?.clone();
        Some(Ask::Rollback { to: Some(to) })
    }

    /// A way back asked for twice is the way back asked for once.
    fn press_again(&mut self, name: &ServiceName, ask: Ask) {
        let heading = |sim: &mut Self| {
            let service = sim.executor().service(name)?;
            let rollout = service.rollout.as_ref();
            let moves = rollout.map(|r| (r.id, r.candidate.clone(), r.is_on_trial()));
            Some((service.stable.clone(), moves))
        };
        let ask_text = format!("{ask:?}");
        let before = heading(self);
        let crashes = self.report.crashes;
        self.ask(name, ask);
        let is_over = before.as_ref().is_none_or(|(_, moves)| moves.is_none());
        if crashes == self.report.crashes && !is_over && heading(self) != before {
            let what = format!("{ask_text}: a second press made {:?} of {before:?}", heading(self));
            self.violation(&what);
        }
    }

    fn new_version(&mut self, name: &ServiceName) -> Option<Ask> {
        self.versions += 1;
        let revision = draw::revision(&format!("{name}-{}", self.versions));
        let truth = Truth::draw(&mut self.rng);
        self.truths.insert(revision.clone(), truth);
        let service = self.executor().service(name)?;
        let mut spec = service.spec.clone();
        if self.rng.f64() < 0.2 {
            spec.replicas = self.rng.u32(1..=6);
        }
        if self.rng.f64() < 0.3 {
            spec = draw::spec(
                name.as_str(),
                spec.traffic.listen.map_or(0, |at| at.port()),
                &mut self.rng,
            );
            draw::extend(&mut spec, &mut self.rng);
        }
        let allow_bad = self.rng.f64() < 0.1;
        Some(Ask::Deploy(Box::new(DeployAsk { spec, revision, allow_bad })))
    }

    fn ask(&mut self, name: &ServiceName, ask: Ask) {
        let by = Actor("sim".into());
        self.submit(name, &Event::Asked { by, reason: None, ask });
    }

    fn submit(&mut self, name: &ServiceName, event: &Event) {
        let now = self.now;
        self.report.events += 1;
        let outcome = self.executor().submit(name, event, now);
        self.note_trial(name);
        match outcome {
            // A crash between commit and action: the effects are never carried out.
            Ok(_) if self.turn < CHAOS_TURNS && self.rng.f64() < 0.002 => self.crash(),
            Ok(effects) => self.carry_out(effects),
            Err(Error::Refused(_) | Error::UnknownService(_)) => {}
            Err(Error::Store(serin_store::Error::Full)) if self.disk_full => {}
            Err(error) => self.violation(&format!("{name}: {error}")),
        }
    }

    fn note_trial(&mut self, name: &ServiceName) {
        let Some(rollout) = self.executor().service(name).and_then(|s| s.rollout.as_ref()) else {
            return;
        };
        let decides = rollout.schedule.analysis.as_ref().is_none_or(|a| !a.report_only);
        let (id, rungs) = (rollout.id, rollout.schedule.rungs());
        self.trials.insert((name.clone(), id), (rungs, decides));
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Apply(plan) => self.order(&plan),
                Effect::Ended(name, record) => self.ended(&name, &record),
                Effect::Tell(..) | Effect::Forget(_) => {}
            }
        }
    }

    fn order(&mut self, plan: &Plan) {
        let found = self.executor().service(&plan.service).cloned();
        let wrong = found.map_or(vec![], |service| check::plan(plan, &service));
        self.violations(wrong);
        self.orders.send(plan.clone(), self.turn, self.faults, &mut self.rng);
    }

    fn ended(&mut self, name: &ServiceName, record: &RolloutRecord) {
        *self.report.outcomes.entry(record.outcome.as_str()).or_default() += 1;
        let truth = self.truth(&record.to);
        let trial = self.trials.get(&(name.clone(), record.id)).copied();
        let (rungs, decides) = trial.unwrap_or((0, true));
        // Compared with a bad stable, a bad candidate may well be no worse.
        let fair = record.from.as_ref().is_some_and(|from| self.truth(from) == Truth::Good);
        let mut wrong = check::record(record, truth, rungs > 0 && fair && decides);
        if decides {
            wrong.extend(check::verdict_followed(record));
        }
        self.violations(wrong);
        let judged = record.assessment.as_ref().is_some_and(|a| a.canary_n > 0);
        let by_evidence =
            record.cause.as_ref().is_some_and(|c| c.code == "errors" || c.code == "latency");
        if truth == Truth::Good && judged {
            self.report.good_trials += 1;
            let against = record.outcome == Outcome::RolledBack && by_evidence;
            self.report.false_rollbacks += u32::from(against);
        }
    }

    fn truth(&self, revision: &RevisionId) -> Truth {
        self.truths.get(revision).copied().unwrap_or(Truth::Good)
    }

    fn machines_turn(&mut self) {
        let (now, turn, faults) = (self.now, self.turn, self.faults);
        let epoch = self.executor().epoch();
        let truths = &self.truths;
        let truth = |id: &RevisionId| truths.get(id).copied().unwrap_or(Truth::Good);
        for (name, machine) in &mut self.machines {
            machine.turn(now, &truth, &mut self.rng);
            let look = (name.clone(), machine.look(epoch));
            self.looks.send(look, turn, faults, &mut self.rng);
            let report = (name.clone(), machine.report(now));
            self.counts.send(report, turn, faults, &mut self.rng);
        }
    }

    fn deliver(&mut self) {
        for plan in self.orders.arrived(self.turn, &mut self.rng) {
            if let Some(machine) = self.machines.get_mut(&plan.service) {
                machine.apply(&plan);
            }
        }
        for (name, look) in self.looks.arrived(self.turn, &mut self.rng) {
            self.submit(&name, &Event::Observed(look));
        }
        for (name, counts) in self.counts.arrived(self.turn, &mut self.rng) {
            let rollout = self.executor().service(&name).and_then(|s| s.rollout.as_ref());
            let news = rollout.map(|rollout| rollout.news(counts)).unwrap_or_default();
            if !news.is_empty() {
                self.submit(&name, &Event::Counted(news));
                self.check_counted(&name);
            }
        }
    }

    /// No request is ever counted twice.
    fn check_counted(&mut self, name: &ServiceName) {
        let Some(executor) = self.executor.as_ref() else { return };
        let Some(service) = executor.service(name) else { return };
        let (Some(rollout), Some(machine)) = (&service.rollout, self.machines.get(name)) else {
            return;
        };
        let truth = machine.judged_after(&rollout.candidate, rollout.after);
        if machine.restarts == 0 && rollout.counted.judged > truth {
            let what = format!("{} requests judged of {truth} made", rollout.counted.judged);
            self.violation(&what);
        }
    }

    fn wake_and_owe(&mut self) {
        let now = self.now;
        for name in self.executor().due(now) {
            self.submit(&name, &Event::Woke);
        }
        for plan in self.executor().owed() {
            self.orders.send(plan, self.turn, self.faults, &mut self.rng);
        }
    }

    /// Everything must have come to rest, and the log must explain it.
    fn end(&mut self) {
        let Some(executor) = self.executor.take() else { return };
        let mut wrong = Vec::new();
        for service in executor.services() {
            let Some(machine) = self.machines.get(&service.name) else { continue };
            wrong.extend(check::settled(self.now, service, machine, &|id| self.truth(id)));
            wrong.extend(check::replay(executor.store(), &service.name, service));
            wrong.extend(check::judged_again(executor.store(), &service.name));
            wrong.extend(check::no_bad_traffic(service, machine));
        }
        self.violations(wrong);
    }

    fn violations(&mut self, wrong: Vec<String>) {
        for what in wrong {
            self.violation(&what);
        }
    }

    fn violation(&mut self, what: &str) {
        let what = format!("{} ({})", what, check::at(self.now));
        self.report.violations.push(Violation { seed: self.seed, turn: self.turn, what });
    }
}

impl Report {
    /// Adds another run's numbers.
    pub fn add(&mut self, other: Self) {
        self.violations.extend(other.violations);
        for (outcome, count) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        self.false_rollbacks += other.false_rollbacks;
        self.good_trials += other.good_trials;
        self.crashes += other.crashes;
        self.events += other.events;
    }
}
