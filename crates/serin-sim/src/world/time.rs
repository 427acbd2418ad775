//! Time passing.

use super::World;
use super::controller::AGAIN_TURNS;
use crate::draw::Truth;
use crate::script::command::{Fate, Kind};
use serin_core::{Counts, Event, RevisionId, ServiceName, Timestamp, hooks_wanted};

/// Seconds between two looks, and between two reports, where chance decides. A change is seen at
/// once, unless the message is lost.
const LOOK_TURNS: u64 = 10;
const COUNT_TURNS: u64 = 5;

/// Of so many reports one repeats everything.
const REPORTS_PER_FULL: u32 = 8;

impl World {
    /// So many seconds go by.
    pub(super) fn advance(&mut self, seconds: u64) {
        let end = self.turn + seconds;
        while self.turn < end && self.wrong.is_empty() {
            let next = if self.dice { self.quiet_for() } else { 1 };
            self.pass(next.min(end - self.turn));
        }
    }

    /// Seconds until something may happen, at least one.
    fn quiet_for(&self) -> u64 {
        let arrival = self.post.next_arrival().map(|at| at.saturating_sub(self.turn));
        let wake = self.controller.up().map_or(Some(1), |executor| {
            let at = executor.next_wake()?;
            Some(at.since(self.now).0.div_ceil(1000))
        });
        let places = self.places.iter().map(|(name, place)| {
            let next = place.machine.next_in().min(place.look_at.saturating_sub(self.turn));
            let service = self.controller.up().and_then(|executor| executor.service(name));
            let counts = service.is_some_and(serin_core::Service::wants_counts);
            let owes = service.is_some_and(|service| !service.is_applied());
            let counts = if counts { place.count_at.saturating_sub(self.turn) } else { u64::MAX };
            let owed = |service: &_| !serin_core::migrations_wanted(service).is_empty();
            let flags = service.is_some_and(|s| super::flags::owes(s) || owed(s));
            let soon = if flags { 1 } else { u64::MAX };
            next.min(counts).min(soon).min(if owes { AGAIN_TURNS } else { u64::MAX })
        });
        places.chain(arrival).chain(wake).min().unwrap_or(1).max(1)
    }

    /// Seconds in which nothing happens before the last.
    fn pass(&mut self, elapsed: u64) {
        self.turn += elapsed;
        let step = (1000 + self.drift).saturating_mul(elapsed as i64);
        self.now = Timestamp(self.now.0 + step);
        self.start_controller();
        self.arrive();
        self.machines_turn(elapsed);
        let names: Vec<_> = self.places.keys().cloned().collect();
        for name in names {
            self.look(&name);
            self.count(&name);
            self.run_tests(&name);
            self.tend_flags(&name);
            self.tend_release(&name);
            self.tend_schema(&name);
        }
        if !self.old.is_empty() {
            self.old_ones_act();
        }
        self.wake_and_owe();
        self.check_machines();
        self.check_kills();
        self.check_shapes();
    }

    /// Tests that are wanted have ended a second later.
    fn run_tests(&mut self, name: &ServiceName) {
        let service = self.controller.up().and_then(|executor| executor.service(name));
        for order in service.map(hooks_wanted).unwrap_or_default() {
            let passed = !self.failing.contains(&order.hook.name);
            let text = if passed { "all is well" } else { "exit code 1: no database" };
            let ended = Event::HookEnded { hook: order.key, passed, text: text.into() };
            self.note(name, &ended);
        }
    }

    fn machines_turn(&mut self, elapsed: u64) {
        let truths = &self.truths;
        let truth = |id: &RevisionId| truths.get(id).copied().unwrap_or(Truth::Good);
        for place in self.places.values_mut() {
            place.machine.turn((self.now, elapsed), &truth, &mut self.rng);
        }
    }

    fn look(&mut self, name: &ServiceName) {
        let Some(executor) = self.controller.up() else { return };
        let epoch = executor.epoch();
        let (turn, every) = (self.turn, if self.dice { LOOK_TURNS } else { 1 });
        let Some(place) = self.places.get_mut(name) else { return };
        if !place.machine.changed && turn < place.look_at {
            return;
        }
        place.look_at = turn + every;
        place.machine.changed = false;
        let look = place.machine.look(epoch);
        let (times, late) = match self.post.fate(Kind::Observation, &mut self.rng) {
            None => (1, None),
            Some(Fate::Lost) => (0, None),
            Some(Fate::Twice) => (2, None),
            Some(Fate::Late(by)) => (0, Some(by)),
        };
        for _ in 0..times {
            self.note_look(name, look.clone());
        }
        let message = |by| (turn + by, super::post::Message::Look(name.clone(), Box::new(look)));
        self.post.late.extend(late.map(message));
    }

    /// As the shell: only what says something new to a judge at work.
    fn count(&mut self, name: &ServiceName) {
        let Some(executor) = self.controller.up() else { return };
        let wanted = executor.service(name).is_some_and(serin_core::Service::wants_counts);
        let (turn, now) = (self.turn, self.now);
        let Some(place) = self.places.get_mut(name) else { return };
        if !wanted || turn < place.count_at || turn < place.counts_lost_until {
            return;
        }
        let all = !self.dice || self.rng.u32(..REPORTS_PER_FULL) == 0;
        place.count_at = turn + if self.dice { COUNT_TURNS } else { 1 };
        let report = place.machine.report(now, all);
        match self.post.fate(Kind::Counts, &mut self.rng) {
            None => self.note_counts(name, report),
            Some(Fate::Lost) => {}
            Some(Fate::Twice) => {
                self.note_counts(name, report.clone());
                self.note_counts(name, report);
            }
            Some(Fate::Late(by)) => {
                self.post
                    .late
                    .push((turn + by, super::post::Message::Counts(name.clone(), report)));
            }
        }
    }

    pub(super) fn note_counts(&mut self, name: &ServiceName, report: Vec<Counts>) {
        let service = self.controller.up().and_then(|executor| executor.service(name));
        let judging = service.filter(|service| service.wants_counts());
        let Some(rollout) = judging.and_then(|service| service.rollout.as_ref()) else { return };
        let news = rollout.news(report);
        if !news.is_empty() {
            self.note(name, &Event::Counted(news));
        }
    }

    /// What users notice.
    fn check_machines(&mut self) {
        let turn = self.turn;
        for (name, place) in &mut self.places {
            let service = self.controller.up().and_then(|executor| executor.service(name));
            let dropped = std::mem::take(&mut place.machine.dropped);
            if place.machine.is_broken() {
                place.excuse(turn);
            }
            let excused = turn < place.excused_until;
            let truths = &self.truths;
            if dropped > 0 && !excused && crate::watch::minds_drops(service, &place.machine, truths)
            {
                let at = crate::script::show::clock(super::START, self.now);
                let plan = place.machine.plan.as_ref().map(|plan| plan.generation);
                let what = format!("{at} {name}: {dropped} requests found nobody under {plan:?}");
                self.wrong.push(what);
            }
        }
    }
}
