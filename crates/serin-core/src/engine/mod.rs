//! The transition function: absorb the fact, then decide from state alone.

mod absorb;
mod advance;
pub(crate) mod analyse;
mod approve;
mod ask;
mod condemn;
mod contract;
pub(crate) mod convict;
mod count;
mod deploy;
mod desired;
mod downtime;
pub(crate) mod experiment;
mod expose;
mod flags;
pub(crate) mod fresh;
mod halt;
mod hold;
mod hooks;
pub(crate) mod keep;
pub(crate) mod migrate;
mod news;
mod notices;
mod prove;
mod published;
mod queue;
mod retry;
mod rollback;
pub(crate) mod routes;
pub(crate) mod scale;
mod steps;
pub(crate) mod trade;
mod train;
mod wake;

pub use flags::flags_wanted;
pub use hooks::{HookOrder, hooks_wanted};
pub use migrate::{migrations_wanted, shapes_watched};

use crate::{
    Entry, Event, Fact, Generation, Notice, Plan, RecordedTick, Refusal, RolloutRecord, Service,
    Shared, Timestamp, WaitingOn, Weight, explain, lint, moves_only_to_stable,
};

/// Most decisions one event may set off; a bound, never reached by a sound schedule.
const DECISIONS_MAX: usize = 1024;

/// What follows from one event.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The service afterwards.
    pub next: Shared<Service>,
    /// A new plan, to be applied until it is observed.
    pub apply: Option<Shared<Plan>>,
    /// When the engine wants a [`Event::Woke`], if nothing happens before.
    pub wake_at: Option<Timestamp>,
    /// What the service waits for now.
    pub waiting_on: WaitingOn,
    /// What happened, for people.
    pub journal: Vec<Entry>,
    /// Rollouts that ended.
    pub records: Vec<RolloutRecord>,
    /// What the judge was given, in order.
    pub ticks: Vec<RecordedTick>,
    /// What people are to be told, and who.
    pub notices: Vec<Notice>,
    /// Set when an ask was refused; then nothing else changed.
    pub refused: Option<Refusal>,
}

/// The engine. Pure: the same service, event and time give the same transition.
pub fn step(service: &Service, event: &Event, now: Timestamp) -> Transition {
    let mut turn = Turn::new(service.clone(), now);
    if let Err(refusal) = turn.absorb(event) {
        return refused(service, refusal, now);
    }
    turn.decide();
    turn.service.forget_old_revisions();
    turn.replan();
    turn.begin_downtime();
    turn.leave_schema();
    let notices = notices::notices(service, &turn.service, &turn.journal, now);
    Transition { notices, ..turn.finish() }
}

/// The work on one event: the service as it becomes, and what there is to tell.
struct Turn {
    service: Service,
    now: Timestamp,
    journal: Vec<Entry>,
    records: Vec<RolloutRecord>,
    ticks: Vec<RecordedTick>,
    apply: Option<Shared<Plan>>,
    force_apply: bool,
}

impl Turn {
    fn new(service: Service, now: Timestamp) -> Self {
        let (journal, records, ticks) = (Vec::new(), Vec::new(), Vec::new());
        Self { service, now, journal, records, ticks, apply: None, force_apply: false }
    }

    fn tell(&mut self, fact: Fact) {
        let rollout = self.service.rollout.as_ref().map(|r| r.id);
        self.journal.push(Entry { at: self.now, rollout, fact });
    }

    fn decide(&mut self) {
        self.age();
        self.end_downtime();
        for _ in 0..DECISIONS_MAX {
            if !self.advance() {
                break;
            }
        }
        // After all else: what has just ended, or begun and waits for it, is not in its way.
        self.contract_by_itself();
    }

    /// Hands out a new plan when the state wants another world than the last plan.
    fn replan(&mut self) {
        let generation = Generation { n: self.service.generation.n + 1, ..self.service.generation };
        let wanted = desired::plan(&self.service, generation);
        let same = self.service.plan.as_deref().is_some_and(|plan| plan.same_world(&wanted));
        if same && !self.force_apply {
            return;
        }
        let notes = lint(&wanted, &self.service);
        if !notes.is_empty() && !moves_only_to_stable(&wanted, self.service.plan.as_deref()) {
            let notes = notes.iter().map(ToString::to_string).collect();
            return self.tell_once(Fact::PlanRefused { notes });
        }
        self.service.generation = generation;
        if let Some(rollout) = self.service.rollout.as_mut() {
            rollout.note_plan(&wanted);
            if wanted.weight(&rollout.candidate) == Weight::ALL {
                rollout.alone_from.get_or_insert(generation);
            }
        }
        let wanted = Shared::from(wanted);
        self.service.plan = Some(wanted.clone());
        self.apply = Some(wanted);
    }

    fn tell_once(&mut self, fact: Fact) {
        if self.journal.iter().all(|entry| entry.fact != fact) {
            self.tell(fact);
        }
    }

    fn finish(self) -> Transition {
        Transition {
            wake_at: wake::next_wake(&self.service, self.now),
            waiting_on: explain::waiting_on(&self.service, self.now),
            next: self.service.into(),
            apply: self.apply,
            journal: self.journal,
            records: self.records,
            ticks: self.ticks,
            notices: vec![],
            refused: None,
        }
    }
}

fn refused(service: &Service, refusal: Refusal, now: Timestamp) -> Transition {
    let mut transition = Turn::new(service.clone(), now).finish();
    transition.refused = Some(refusal);
    transition
}
