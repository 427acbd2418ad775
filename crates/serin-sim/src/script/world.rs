//! The world a script plays in: the shipped executor, engine and store on one made-up machine.

use super::command::{Button, Command, Fate, Kind};
use super::{settings, show};
use crate::draw::{self, Truth};
use crate::{check, machine::Machine};
use fastrand::Rng;
use serin_core::{
    Actor, Ask, DeployAsk, Entry, Event, Generation, Observation, Plan, RevisionId, RolloutKind,
    Service, ServiceName, ServiceSpec, Timestamp, Version, outlook, waiting_on,
};
use serin_server::executor::{Effect, Error, Executor};
use serin_store::Store;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const SEED: u64 = 1;

/// When every script begins.
const START: Timestamp = Timestamp(1_700_000_000_000);

/// Lines of the journal that `show` repeats.
const SHOWN: usize = 3;

/// Who presses the buttons.
const PERSON: &str = "ana";

pub(super) struct World {
    rng: Rng,
    now: Timestamp,
    turn: u64,
    controller: Controller,
    spec: Option<ServiceSpec>,
    machine: Machine,
    truths: BTreeMap<RevisionId, Truth>,
    /// Messages that are late, with the turn they arrive in.
    late_orders: Vec<(u64, Plan)>,
    late_looks: Vec<(u64, Observation)>,
    next: Vec<(Kind, Fate)>,
    crash_after_decision: bool,
    /// The last order, and the turn it was first sent in.
    ordered: Option<(Generation, u64)>,
    disk_full: bool,
    /// The last line of the journal that was told.
    told: u64,
    out: String,
    wrong: Vec<String>,
}

/// The control plane, or what is left of it when it cannot start.
enum Controller {
    Up(Box<Executor>),
    Down(Store),
    /// Only while one takes over from another.
    Changing,
}

impl World {
    pub(super) fn new() -> Self {
        let store = Store::in_memory().expect("a store in memory");
        let (executor, _) = Executor::open(store, None, START).expect("an empty store opens");
        Self {
            rng: Rng::with_seed(SEED),
            now: START,
            turn: 0,
            controller: Controller::Up(Box::new(executor)),
            spec: None,
            machine: Machine::new(0),
            truths: BTreeMap::new(),
            late_orders: vec![],
            late_looks: vec![],
            next: vec![],
            crash_after_decision: false,
            ordered: None,
            disk_full: false,
            told: 0,
            out: String::new(),
            wrong: vec![],
        }
    }

    /// Repeats a line of the script.
    pub(super) fn echo(&mut self, line: &str) {
        let line = line.trim();
        let mark = if line.is_empty() || line.starts_with('#') { "" } else { "> " };
        let _ = writeln!(self.out, "{mark}{line}");
    }

    pub(super) fn run(&mut self, command: Command) -> Result<(), String> {
        match command {
            Command::Service(name, changes) => self.describe(&name, &changes)?,
            Command::Deploy { service, version, allow_bad, because } => {
                self.deploy(&service, &version, allow_bad, because)?;
            }
            Command::Advance(seconds) => (0..seconds).for_each(|_| self.turn()),
            Command::Traffic(service, rate) => {
                self.must_be(&service)?;
                self.machine.rate = rate;
            }
            Command::Truth(version, truth) => {
                self.truths.insert(draw::revision(version.as_str()), truth);
            }
            Command::Press(button, because) => self.press(button, because)?,
            Command::Next(kind, fate) => self.next.push((kind, fate)),
            Command::Crash { after_decision: true } => self.crash_after_decision = true,
            Command::Crash { after_decision: false } => self.crash(),
            Command::RestartDataPlane => self.machine.restart_data_plane(),
            Command::Disk { full } => self.fill_disk(full),
            Command::Skew(share) => self.machine.skew = share,
            Command::Fresh { hangs } => self.machine.fresh_hangs = hangs,
            Command::Clock(by) => self.now = Timestamp(self.now.0 + by),
            Command::Plan => self.plan()?,
            Command::Show => self.show()?,
        }
        self.sound()
    }

    /// The transcript, when no rule was broken and the log leads to the present state.
    pub(super) fn end(mut self) -> Result<String, String> {
        if let (Controller::Up(executor), Ok(name)) = (&self.controller, self.name()) {
            let service = executor.service(&name).filter(|_| executor.trouble().is_none());
            let wrong = service.map(|s| check::replay(executor.store(), &name, s));
            self.wrong.extend(wrong.unwrap_or_default());
            self.wrong.extend(check::judged_again(executor.store(), &name));
        }
        self.sound().map(|()| self.out)
    }

    fn sound(&self) -> Result<(), String> {
        if self.wrong.is_empty() { Ok(()) } else { Err(self.wrong.join("; ")) }
    }

    fn name(&self) -> Result<ServiceName, String> {
        let spec = self.spec.as_ref().map(|spec| spec.name.clone());
        spec.ok_or_else(|| "no service yet; begin with `service NAME`".into())
    }

    fn must_be(&self, service: &str) -> Result<(), String> {
        let name = self.name()?;
        let same = name.as_str() == service;
        same.then_some(()).ok_or_else(|| format!("there is no service `{service}`, only `{name}`"))
    }

    fn describe(&mut self, name: &str, changes: &[(String, String)]) -> Result<(), String> {
        if self.spec.is_some() {
            self.must_be(name)?;
        }
        let mut spec = self.spec.clone().map_or_else(|| settings::service(name), Ok)?;
        for (key, value) in changes {
            settings::change(&mut spec, key, value)?;
        }
        self.spec = Some(spec);
        Ok(())
    }

    fn deploy(
        &mut self,
        service: &str,
        version: &Version,
        allow_bad: bool,
        because: Option<String>,
    ) -> Result<(), String> {
        self.must_be(service)?;
        let revision = draw::revision(version.as_str());
        let Some(spec) = self.spec.clone() else { return Ok(()) };
        let ask = DeployAsk { spec, revision, allow_bad };
        self.ask(Ask::Deploy(Box::new(ask)), because)
    }

    fn press(&mut self, button: Button, because: Option<String>) -> Result<(), String> {
        let ask = match button {
            Button::Promote { full } => Ask::Promote { full },
            Button::Pause => Ask::Pause,
            Button::Resume => Ask::Resume,
            Button::Abort => Ask::Abort,
            Button::Rollback(to) => {
                Ask::Rollback { to: to.map(|version| draw::revision(version.as_str())) }
            }
            Button::Retry { allow_bad } => Ask::Retry { allow_bad },
            Button::Release => Ask::Release,
            Button::Mark { version, bad } => {
                Ask::Mark { revision: draw::revision(version.as_str()), bad }
            }
            Button::Remove => Ask::Remove,
        };
        self.ask(ask, because)
    }

    fn ask(&mut self, ask: Ask, reason: Option<String>) -> Result<(), String> {
        let name = self.name()?;
        let event = Event::Asked { by: Actor(PERSON.into()), reason, ask };
        match self.submit(&name, &event) {
            Some(Err(Error::Refused(refusal))) => {
                let _ = writeln!(self.out, "   refused: {}", refusal.message);
                if let Some(hint) = refusal.hint {
                    let _ = writeln!(self.out, "   hint: {hint}");
                }
            }
            Some(Err(error)) => {
                let _ = writeln!(self.out, "   refused: {error}");
            }
            None => {
                let _ = writeln!(self.out, "   refused: the controller is down");
            }
            Some(Ok(())) => {}
        }
        Ok(())
    }

    /// A line in the transcript that no journal tells.
    fn mark(&mut self, what: &str) {
        let at = show::clock(START, self.now);
        let _ = writeln!(self.out, "{at:>7}  ! {what}");
    }

    fn tell(&mut self, entry: &Entry) {
        let _ = writeln!(self.out, "{:>7}  {}", show::clock(START, entry.at), entry.fact);
    }

    /// One second.
    fn turn(&mut self) {
        self.turn += 1;
        self.now = Timestamp(self.now.0 + 1000);
        self.start_controller();
        self.arrive();
        let truths = &self.truths;
        let truth = |id: &RevisionId| truths.get(id).copied().unwrap_or(Truth::Good);
        self.machine.turn(self.now, &truth, &mut self.rng);
        let Ok(name) = self.name() else { return };
        self.look(&name);
        self.count(&name);
        self.wake_and_owe();
    }

    /// Messages that were late.
    fn arrive(&mut self) {
        let turn = self.turn;
        for plan in arrived(&mut self.late_orders, turn) {
            self.mark("a late order arrives");
            self.machine.apply(&plan);
        }
        let Ok(name) = self.name() else { return };
        for look in arrived(&mut self.late_looks, turn) {
            self.mark("a late observation arrives");
            self.note(&name, &Event::Observed(look));
        }
    }

    fn look(&mut self, name: &ServiceName) {
        let Controller::Up(executor) = &self.controller else { return };
        let look = self.machine.look(executor.epoch());
        let (times, late) = match self.fate(Kind::Observation) {
            None => (1, None),
            Some(Fate::Lost) => (0, None),
            Some(Fate::Twice) => (2, None),
            Some(Fate::Late(by)) => (0, Some(by)),
        };
        for _ in 0..times {
            self.note(name, &Event::Observed(look.clone()));
        }
        self.late_looks.extend(late.map(|by| (self.turn + by, look)));
    }

    /// As the shell: only what says something new to a judge at work.
    fn count(&mut self, name: &ServiceName) {
        let Controller::Up(executor) = &self.controller else { return };
        let judging = executor.service(name).filter(|service| service.wants_counts());
        let Some(rollout) = judging.and_then(|service| service.rollout.as_ref()) else {
            return;
        };
        let news = rollout.news(self.machine.report(self.now));
        if !news.is_empty() {
            self.note(name, &Event::Counted(news));
        }
    }

    fn wake_and_owe(&mut self) {
        let Controller::Up(executor) = &mut self.controller else { return };
        if executor.trouble().is_some() && !self.disk_full {
            executor.recover(self.now);
        }
        let due = executor.due(self.now);
        for name in due {
            self.note(&name, &Event::Woke);
        }
        let Controller::Up(executor) = &self.controller else { return };
        for plan in executor.owed() {
            let held = self.machine.plan.as_ref().map(|held| held.generation);
            let fresh = self.ordered.is_some_and(|ordered| ordered == (plan.generation, self.turn));
            let under_way = self.late_orders.iter().any(|(_, p)| p.generation == plan.generation);
            if held < Some(plan.generation) && !fresh && !under_way {
                self.mark("the order is sent again");
                self.send(&plan);
            }
        }
    }

    /// Facts nobody asked for: when they cannot be stored, they come again.
    fn note(&mut self, name: &ServiceName, event: &Event) {
        match self.submit(name, event) {
            None | Some(Ok(()) | Err(Error::Refused(_) | Error::UnknownService(_))) => {}
            Some(Err(Error::Store(serin_store::Error::Full))) if self.disk_full => {}
            Some(Err(error)) => self.wrong.push(error.to_string()),
        }
    }

    /// None when there is no controller.
    fn submit(&mut self, name: &ServiceName, event: &Event) -> Option<Result<(), Error>> {
        let Controller::Up(executor) = &mut self.controller else { return None };
        match executor.submit(name, event, self.now) {
            Ok(effects) if self.crash_after_decision && is_decision(&effects) => {
                self.crash_after_decision = false;
                self.crash();
                Some(Ok(()))
            }
            Ok(effects) => {
                self.carry_out(effects);
                Some(Ok(()))
            }
            Err(error) => Some(Err(error)),
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut orders = Vec::new();
        for effect in effects {
            match effect {
                Effect::Apply(plan) => orders.push(plan),
                Effect::Tell(seq, _, entry) => {
                    self.told = self.told.max(seq);
                    self.tell(&entry);
                }
                Effect::Ended(..) => {}
                Effect::Forget(_) => {
                    self.mark("the service is forgotten");
                    self.machine.plan = None;
                }
            }
        }
        for plan in orders {
            self.order(&plan);
        }
    }

    /// Sends an order for the first time.
    fn order(&mut self, plan: &Plan) {
        if let Controller::Up(executor) = &self.controller
            && let Some(service) = executor.service(&plan.service)
        {
            self.wrong.extend(check::plan(plan, service));
        }
        self.ordered = Some((plan.generation, self.turn));
        self.send(plan);
    }

    fn send(&mut self, plan: &Plan) {
        match self.fate(Kind::Apply) {
            Some(Fate::Lost) => self.mark("the order is lost"),
            Some(Fate::Late(by)) => {
                self.mark("the order is late");
                self.late_orders.push((self.turn + by, plan.clone()));
            }
            // The second one comes when newer orders may have been given.
            Some(Fate::Twice) => {
                self.machine.apply(plan);
                self.late_orders.push((self.turn + 1, plan.clone()));
            }
            None => self.machine.apply(plan),
        }
    }

    /// What a script said of the next message of this kind.
    fn fate(&mut self, kind: Kind) -> Option<Fate> {
        let at = self.next.iter().position(|(of, _)| *of == kind)?;
        Some(self.next.remove(at).1)
    }

    fn crash(&mut self) {
        match std::mem::replace(&mut self.controller, Controller::Changing) {
            Controller::Up(executor) => self.controller = Controller::Down(executor.into_store()),
            other => self.controller = other,
        }
        self.mark("the controller crashes");
        self.start_controller();
    }

    /// The keeper starts the controller again, and again.
    fn start_controller(&mut self) {
        let store = match std::mem::replace(&mut self.controller, Controller::Changing) {
            Controller::Down(store) => store,
            other => {
                self.controller = other;
                return;
            }
        };
        match Executor::open(store, None, self.now) {
            Ok((executor, effects)) => {
                self.controller = Controller::Up(Box::new(executor));
                self.tell_missed();
                self.mark("the next controller takes over");
                self.carry_out(effects);
            }
            Err(failed) => {
                if !matches!(failed.1, Error::Store(serin_store::Error::Full)) {
                    self.wrong.push(failed.1.to_string());
                }
                self.controller = Controller::Down(failed.0);
            }
        }
    }

    /// What was decided and stored, and not yet told when the controller crashed.
    fn tell_missed(&mut self) {
        let Controller::Up(executor) = &self.controller else { return };
        let missed = executor.store().journal(None, self.told, 1000);
        for row in missed.unwrap_or_default() {
            self.told = row.seq;
            self.tell(&row.entry);
        }
    }

    fn fill_disk(&mut self, full: bool) {
        self.disk_full = full;
        let store = match &self.controller {
            Controller::Up(executor) => executor.store(),
            Controller::Down(store) => store,
            Controller::Changing => return,
        };
        store.limit_pages(full.then_some(1));
    }

    fn plan(&mut self) -> Result<(), String> {
        let name = self.name()?;
        let Some(spec) = self.spec.clone() else { return Ok(()) };
        let known = match &self.controller {
            Controller::Up(executor) => executor.service(&name),
            _ => None,
        };
        let schedule = spec.schedule.clone();
        let kind = match known.and_then(|service| service.stable.as_ref()) {
            Some(_) => RolloutKind::Release,
            None => RolloutKind::First,
        };
        let service =
            Service { spec: spec.clone(), ..known.cloned().unwrap_or(Service::new(spec)) };
        self.out.push_str(&show::plan(&outlook(&service, &schedule, kind)));
        Ok(())
    }

    fn show(&mut self) -> Result<(), String> {
        let name = self.name()?;
        let Controller::Up(executor) = &self.controller else {
            self.out.push_str("   | the controller is down\n");
            return Ok(());
        };
        let Some(service) = executor.service(&name) else {
            self.out.push_str("   | there is no such service\n");
            return Ok(());
        };
        let rows = executor.store().journal(Some(&name), 0, u32::MAX);
        let rows = rows.map_err(|e| e.to_string())?;
        let seen = self.machine.look(executor.epoch());
        let scene = show::Scene {
            service,
            waiting_on: waiting_on(service, self.now),
            trouble: executor.trouble(),
            held: self.machine.plan.as_ref(),
            seen: &seen,
            journal: &rows[rows.len().saturating_sub(SHOWN)..],
            start: START,
        };
        self.out.push_str(&show::block(&scene));
        Ok(())
    }
}

/// Takes what arrives by `turn`.
fn arrived<T>(late: &mut Vec<(u64, T)>, turn: u64) -> Vec<T> {
    let (here, later): (Vec<_>, Vec<_>) = late.drain(..).partition(|(at, _)| *at <= turn);
    *late = later;
    here.into_iter().map(|(_, message)| message).collect()
}

/// Whether something was decided, not only noted.
fn is_decision(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Apply(_)))
}
