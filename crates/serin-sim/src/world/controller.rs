//! The controller: it takes facts, crashes, is followed by the next, and may live on as a shadow.

use super::World;
use crate::log::SimLog;
use crate::watch;
use serin_core::{Event, Observation, Plan, ServiceName, Shared, Timestamp};
use serin_server::executor::{Effect, Error, Executor, Log as _};

/// The control plane, or what is left of it when it cannot start.
pub(super) enum Controller {
    Up(Box<Executor<SimLog>>),
    Down(SimLog),
    /// Only while one takes over from another.
    Changing,
}

/// A controller that another has followed and that does not know it yet.
pub(super) struct Old {
    executor: Executor<SimLog>,
    until: u64,
}

impl Controller {
    pub(super) fn on(log: SimLog) -> Self {
        match Executor::open(log, None, super::START) {
            Ok((executor, _)) => Self::Up(Box::new(executor)),
            Err(failed) => Self::Down(failed.0),
        }
    }

    pub(super) fn up(&self) -> Option<&Executor<SimLog>> {
        match self {
            Self::Up(executor) => Some(executor),
            _ => None,
        }
    }

    fn log(&self) -> Option<&SimLog> {
        match self {
            Self::Up(executor) => Some(executor.store()),
            Self::Down(log) => Some(log),
            Self::Changing => None,
        }
    }
}

impl World {
    /// None when there is no controller.
    pub(super) fn submit(
        &mut self,
        name: &ServiceName,
        event: &Event,
    ) -> Option<Result<(), Error>> {
        let Controller::Up(executor) = &mut self.controller else { return None };
        self.tally.events += 1;
        let result = executor.submit(name, event, self.now);
        self.tally.trouble |= executor.trouble().is_some();
        match result {
            Ok(effects) => {
                self.check_event(name, event, &effects);
                if self.crash_after_decision && is_decision(&effects) {
                    self.crash_after_decision = false;
                    self.crash();
                } else {
                    self.carry_out(effects);
                }
                Some(Ok(()))
            }
            Err(error) => {
                self.check_refusal(name, event, &error);
                Some(Err(error))
            }
        }
    }

    fn check_event(&mut self, name: &ServiceName, event: &Event, effects: &[Effect]) {
        let Some(executor) = self.controller.up() else { return };
        let Some(place) = self.places.get_mut(name) else { return };
        for effect in effects {
            if let Effect::Ended(_, record) = effect {
                self.tally.count(record, &self.truths);
                self.flags.note_record(name, record);
            }
        }
        let scene = watch::Scene {
            event,
            effects,
            service: executor.service(name),
            machine: &place.machine,
            truths: &self.truths,
            now: self.now,
            wake_at: executor.next_wake(),
            thorough: self.mode.thorough,
            decides: place.watch.decides(),
        };
        let wrong = place.watch.after(&scene);
        self.note_wrong(name, wrong);
        self.follow_release(name);
    }

    /// What a new controller decides at once obeys the same rules.
    fn check_takeover(&mut self, epoch: u64, effects: &[Effect]) {
        let names: Vec<_> = self.places.keys().cloned().collect();
        for name in names {
            let own = effects.iter().filter(|effect| *service_of(effect) == name);
            let own: Vec<_> = own.cloned().collect();
            self.check_event(&name, &Event::TookOver { epoch, rollouts: 0 }, &own);
        }
    }

    fn check_refusal(&mut self, name: &ServiceName, event: &Event, error: &Error) {
        let Some(executor) = self.controller.up() else { return };
        let wrong = watch::refused(executor.service(name), event, error);
        self.note_wrong(name, wrong);
    }

    pub(super) fn note_wrong(&mut self, name: &ServiceName, wrong: Vec<String>) {
        let at = crate::script::show::clock(super::START, self.now);
        self.wrong.extend(wrong.into_iter().map(|what| format!("{at} {name}: {what}")));
    }

    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut orders = Vec::new();
        for effect in effects {
            match effect {
                Effect::Apply(plan) => orders.push(plan),
                Effect::Tell(seq, _, entry) if seq > self.told || seq == 0 => {
                    self.told = self.told.max(seq);
                    self.tell(&entry);
                }
                Effect::Forget(name) => {
                    self.mark("the service is forgotten");
                    self.databases.remove(&name);
                    self.post.forget(&name);
                    if let Some(place) = self.places.get_mut(&name) {
                        place.machine.clear();
                    }
                }
                _ => {}
            }
        }
        for plan in orders {
            self.order(&plan);
        }
    }

    /// Sends an order for the first time.
    fn order(&mut self, plan: &Shared<Plan>) {
        let turn = self.turn;
        if let Some(place) = self.places.get_mut(&plan.service) {
            place.ordered = Some((plan.generation, turn));
        }
        self.send(plan);
    }

    /// Facts nobody asked for: when they cannot be stored, they come again.
    pub(super) fn note(&mut self, name: &ServiceName, event: &Event) {
        match self.submit(name, event) {
            None | Some(Ok(()) | Err(Error::Refused(_) | Error::UnknownService(_))) => {}
            Some(Err(Error::Store(serin_store::Error::Full))) if self.disk_full => {}
            Some(Err(error)) => self.wrong.push(format!("{name}: {error}")),
        }
    }

    pub(super) fn note_look(&mut self, name: &ServiceName, look: Observation) {
        for old in &mut self.old {
            let seq = (old.executor.epoch(), look.seq.1);
            let seen = Event::Observed(Observation { seq, ..look.clone() });
            // It cannot write any more; what it still orders is sent below.
            let _ = old.executor.submit(name, &seen, self.now);
        }
        self.note(name, &Event::Observed(look));
    }

    pub(super) fn crash(&mut self) {
        self.check_nothing_lost();
        match std::mem::replace(&mut self.controller, Controller::Changing) {
            Controller::Up(executor) => self.controller = Controller::Down(executor.into_store()),
            other => self.controller = other,
        }
        self.tally.crashes += 1;
        self.mark("the controller crashes");
        self.start_controller();
    }

    /// Another controller takes over while this one goes on for a while.
    pub(super) fn second_controller(&mut self, seconds: u64) {
        let Controller::Up(executor) = &self.controller else { return };
        let log = executor.store().another();
        self.check_nothing_lost();
        self.tally.crashes += 1;
        let before = std::mem::replace(&mut self.controller, Controller::Down(log));
        if let Controller::Up(executor) = before {
            self.old.push(Old { executor: *executor, until: self.turn + seconds });
        }
        self.mark("another controller takes over; this one does not know it");
        self.start_controller();
    }

    /// What a controller knows that dies is what the next one will know, unless the disk is full.
    fn check_nothing_lost(&mut self) {
        let Some(executor) = self.controller.up().filter(|up| up.trouble().is_none()) else {
            self.forget_watched();
            return;
        };
        let stored = executor.store().services().unwrap_or_default();
        let lost =
            executor.services().find(|held| !stored.iter().any(|written| **written == **held));
        let lost = lost.map(|held| held.name.clone());
        if let Some(name) = lost {
            // Facts that decide nothing may be known and not written.
            self.lost(&name);
        }
    }

    fn lost(&mut self, name: &ServiceName) {
        self.note_wrong(name, vec!["what the controller knew is not in the log".into()]);
    }

    /// What could not be written is forgotten by the next controller.
    fn forget_watched(&mut self) {
        for place in self.places.values_mut() {
            place.watch.forget();
        }
    }

    /// The keeper starts the controller again, and again.
    pub(super) fn start_controller(&mut self) {
        if !matches!(self.controller, Controller::Down(_)) {
            return;
        }
        let Controller::Down(log) = std::mem::replace(&mut self.controller, Controller::Changing)
        else {
            return;
        };
        match Executor::open(log, None, self.now) {
            Ok((executor, effects)) => {
                let epoch = executor.epoch();
                self.controller = Controller::Up(Box::new(executor));
                self.tell_missed();
                self.mark("the next controller takes over");
                self.check_takeover(epoch, &effects);
                self.carry_out(effects);
            }
            Err(failed) => {
                if !matches!(failed.1, Error::Store(serin_store::Error::Full)) {
                    self.wrong.push(format!("cannot take over: {}", failed.1));
                }
                self.controller = Controller::Down(failed.0);
            }
        }
    }

    pub(super) fn fill_disk(&mut self, full: bool) {
        self.disk_full = full;
        if let Some(log) = self.controller.log() {
            log.set_full(full);
        }
    }

    /// What old controllers still order, as if nothing had happened.
    pub(super) fn old_ones_act(&mut self) {
        let (turn, now) = (self.turn, self.now);
        self.old.retain(|old| old.until > turn);
        let mut orders = Vec::new();
        for old in &mut self.old {
            orders.extend(old.act(now));
        }
        for plan in orders {
            self.send(&plan);
        }
    }

    /// Wakes services whose time has come, and sends again what is owed.
    pub(super) fn wake_and_owe(&mut self) {
        let Controller::Up(executor) = &mut self.controller else { return };
        if executor.trouble().is_some() && !self.disk_full {
            executor.recover(self.now);
        }
        for name in executor.due(self.now) {
            self.note(&name, &Event::Woke);
        }
        let Some(executor) = self.controller.up() else { return };
        for plan in executor.owed() {
            self.owe(&plan);
        }
    }

    fn owe(&mut self, plan: &Shared<Plan>) {
        let again = if self.dice { AGAIN_TURNS } else { 1 };
        let turn = self.turn;
        let under_way = self.post.is_under_way(plan);
        let Some(place) = self.places.get_mut(&plan.service) else { return };
        let held = place.machine.plan.as_ref().map(|held| held.generation);
        let fresh =
            place.ordered.is_some_and(|(of, at)| of == plan.generation && turn < at + again);
        if held < Some(plan.generation) && !fresh && !under_way {
            place.ordered = Some((plan.generation, turn));
            self.mark("the order is sent again");
            self.send(plan);
        }
    }
}

/// Seconds between two sendings of the same order where chance decides.
pub(super) const AGAIN_TURNS: u64 = 3;

impl Old {
    /// What it orders now: plans that are owed and ways back that it takes without writing them.
    fn act(&mut self, now: Timestamp) -> Vec<Shared<Plan>> {
        let mut orders = self.executor.owed();
        for name in self.executor.due(now) {
            let effects = self.executor.submit(&name, &Event::Woke, now).unwrap_or_default();
            orders.extend(effects.into_iter().filter_map(|effect| match effect {
                Effect::Apply(plan) => Some(plan),
                _ => None,
            }));
        }
        orders
    }
}

fn service_of(effect: &Effect) -> &ServiceName {
    match effect {
        Effect::Apply(plan) => &plan.service,
        Effect::Tell(_, name, _)
        | Effect::Notify(name, _)
        | Effect::Ended(name, _)
        | Effect::Forget(name) => name,
    }
}

/// Whether something was decided, not only noted.
fn is_decision(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Apply(_)))
}
