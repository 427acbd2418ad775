//! What must hold in every state: rules written down a second time, from what users were promised
//! and not from how the engine keeps it.

mod brief;
mod log;
mod moves;
mod orders;
mod rest;
mod verdicts;

pub use log::{judged_again, replay};
pub(crate) use rest::{restless, settled};

use crate::draw::Truth;
use crate::machine::Machine;
use brief::{Brief, Trial};
use serin_core::{
    Ask, Capacity, Event, Fact, PauseReason, Phase, RevisionId, Rollout, Service, Step, Timestamp,
    WaitingOn, waiting_on,
};
use serin_server::executor::{Effect, Error};
use std::collections::BTreeMap;

/// One service's past, as far as rules need it.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    before: Brief,
    /// Nothing is known of the state before.
    blind: bool,
    /// The highest numbers of a rollout that began, and of one that ended.
    begun: u64,
    ended: u64,
}

/// An event and what came of it.
pub(crate) struct Scene<'a> {
    pub(crate) event: &'a Event,
    pub(crate) effects: &'a [Effect],
    /// Afterwards; `None` when it is gone.
    pub(crate) service: Option<&'a Service>,
    pub(crate) machine: &'a Machine,
    pub(crate) truths: &'a BTreeMap<RevisionId, Truth>,
    pub(crate) now: Timestamp,
    /// When the engine wants to be woken; of several services the soonest.
    pub(crate) wake_at: Option<Timestamp>,
    pub(crate) thorough: bool,
    /// Whether verdicts set the rollout before this event back by themselves.
    pub(crate) decides: bool,
}

impl Scene<'_> {
    fn truth(&self, revision: &RevisionId) -> Truth {
        self.truths.get(revision).copied().unwrap_or(Truth::Good)
    }

    /// Whether a person did this.
    fn is_ask(&self) -> bool {
        matches!(self.event, Event::Asked { .. })
    }
}

impl Watch {
    /// Whether verdicts decide in the rollout under way.
    pub(crate) fn decides(&self) -> bool {
        self.before.trial.as_ref().is_none_or(|trial| trial.decides)
    }

    /// What is wrong after an event.
    pub(crate) fn after(&mut self, scene: &Scene<'_>) -> Vec<String> {
        if std::mem::take(&mut self.blind) {
            if let Some(service) = scene.service {
                self.before.update(service);
            }
            return vec![];
        }
        let mut wrong = self.ended(scene);
        let Some(service) = scene.service else {
            self.before = Brief::default();
            return wrong;
        };
        wrong.extend(self.one_rollout(service));
        for effect in scene.effects {
            if let Effect::Apply(plan) = effect {
                wrong.extend(orders::check(plan, service, &self.before, scene.now));
            }
        }
        // A deploy of the same revision may bring other steps, when it is asked or its train leaves.
        let deploys = matches!(scene.event, Event::Asked { ask: Ask::Deploy(_), .. });
        let departs = scene.effects.iter().any(|effect| {
            matches!(effect, Effect::Tell(_, _, entry) if matches!(entry.fact, Fact::Departed { .. }))
        });
        let deploys = deploys || departs;
        if let Some((before, rollout)) = self.same_rollout(service).filter(|_| !deploys) {
            wrong.extend(moves::check(&before.clone(), rollout, service, &self.before, scene));
        }
        if let Some(rollout) = &service.rollout {
            wrong.extend(verdicts::followed(rollout, service, scene));
            wrong.extend(never_lost(rollout, service, scene));
            wrong.extend(asleep(rollout, scene));
            wrong.extend(self.goes_on_apart(rollout, service));
        }
        wrong.extend(self.promoted(service, scene));
        self.before.update(service);
        wrong
    }

    /// The next controller may know less.
    pub(crate) fn forget(&mut self) {
        *self = Self { blind: true, ..Self::default() };
    }

    /// The rollout before and after, if it is the same.
    fn same_rollout<'a>(&self, service: &'a Service) -> Option<(&Trial, &'a Rollout)> {
        let (before, after) = (self.before.trial.as_ref()?, service.rollout.as_ref()?);
        (before.id == after.id).then_some((before, after))
    }

    /// Each rollout ends once, and is on record.
    fn ended(&mut self, scene: &Scene<'_>) -> Vec<String> {
        let mut wrong = Vec::new();
        for effect in scene.effects {
            let Effect::Ended(_, record) = effect else { continue };
            if record.id <= self.ended {
                wrong.push(format!("rollout {} ended after rollout {}", record.id, self.ended));
            }
            (self.ended, self.begun) = (record.id, self.begun.max(record.id));
            wrong.extend(verdicts::record(record, scene));
        }
        wrong
    }

    /// There is one rollout at a time, and none disappears.
    fn one_rollout(&mut self, service: &Service) -> Option<String> {
        let now = service.rollout.as_ref().map(|rollout| rollout.id);
        let before = self.before.trial.as_ref().map(|trial| trial.id);
        if let Some(before) = before.filter(|before| now != Some(*before) && self.ended < *before) {
            return Some(format!("rollout {before} is gone without a record"));
        }
        let now = now.filter(|now| before != Some(*now))?;
        let again = now <= self.begun;
        self.begun = self.begun.max(now);
        again.then(|| format!("rollout {now} began although {} had begun", self.begun))
    }

    /// When the old and the new shape of the tables differ, a person looks before the rollout that
    /// brought the new one goes on.
    fn goes_on_apart(&self, rollout: &Rollout, service: &Service) -> Option<String> {
        let brought = service.schemas.open.as_ref().is_some_and(|open| open.rollout == rollout.id);
        let is_new = brief::is_apart(service) && !self.before.apart;
        let held = |why: &PauseReason| !matches!(why, PauseReason::Inconclusive);
        let goes_on = rollout.is_on_trial() && !rollout.paused.as_ref().is_some_and(held);
        let wrong = brought && is_new && goes_on;
        wrong.then(|| format!("rollout {} goes on although both shapes differ", rollout.id))
    }

    /// A candidate becomes stable with all traffic, after the time that was promised.
    fn promoted(&self, service: &Service, scene: &Scene<'_>) -> Option<String> {
        if service.stable == self.before.stable || service.stable.is_none() {
            return None;
        }
        let stable = service.stable.as_ref()?;
        // A flag's release begins with what everybody has by then.
        let off = service.spec.flag.as_ref().map(|flag| &flag.off);
        let begins = matches!(scene.event, Event::Asked { ask: Ask::Deploy(_), .. });
        if begins && off == Some(stable) {
            return None;
        }
        let Some(before) = self.before.trial.as_ref().filter(|b| b.candidate == *stable) else {
            return Some(format!("{stable} is stable and was no candidate"));
        };
        moves::promoted(before, &self.before, service, scene)
    }
}

/// Whether it is wrong that requests find nobody.
pub(crate) fn minds_drops(
    service: Option<&Service>,
    machine: &Machine,
    truths: &BTreeMap<RevisionId, Truth>,
) -> bool {
    let Some(plan) = &machine.plan else { return false };
    let sound = |id: &RevisionId| {
        let truth = truths.get(id).copied().unwrap_or(Truth::Good);
        !matches!(truth, Truth::WontStart | Truth::NeverReady | Truth::Crashes(_))
    };
    // A first version that was given up leaves nobody behind it.
    let none = plan.revisions.is_empty() && service.is_some_and(|s| s.stable.is_none());
    let promised = !none && service.is_some_and(|service| !may_be_down(service));
    promised && plan.revisions.keys().all(sound)
}

/// Whether all instances may be missing at once, by its owner's wish.
pub(crate) fn may_be_down(service: &Service) -> bool {
    let replicas = service.spec.replicas;
    let rollout = service.rollout.as_ref().map(|rollout| rollout.schedule.capacity);
    let both = rollout.into_iter().chain([service.spec.schedule.capacity]);
    both.into_iter().any(|capacity| match capacity {
        Capacity::Replace { max_unavailable, .. } => max_unavailable.down(replicas) >= replicas,
        Capacity::Beside => false,
    })
}

/// A service on its way says what it waits for.
fn never_lost(rollout: &Rollout, service: &Service, scene: &Scene<'_>) -> Option<String> {
    if !scene.thorough || waiting_on(service, scene.now) != WaitingOn::Nothing {
        return None;
    }
    let at = rollout.step.index + 1;
    Some(format!("rollout {} waits for nothing in {:?}, step {at}", rollout.id, rollout.phase))
}

/// Whatever waits for a time is woken then.
fn asleep(rollout: &Rollout, scene: &Scene<'_>) -> Option<String> {
    // What told nothing new was not looked at; the clock may have been set back since.
    if scene.effects.is_empty() {
        return None;
    }
    let entered = rollout.step.entered_at;
    let step = rollout.schedule.step(rollout.step.index);
    let at = match (&rollout.phase, step) {
        _ if rollout.paused.is_some() => return None,
        (Phase::Warm { since }, _) => since.plus(rollout.schedule.watch()),
        (Phase::Stepping, Some(Step::Pause(Some(span)))) => entered.plus(*span),
        (Phase::Stepping, Some(Step::Bake(bake))) => entered.plus(bake.deadline),
        _ => return None,
    };
    let late = scene.wake_at.is_none_or(|wake| wake > at);
    (at > scene.now && late).then(|| format!("rollout {} is not woken in time", rollout.id))
}

/// Nothing that only goes back may be refused, whatever is wrong.
pub(crate) fn refused(service: Option<&Service>, event: &Event, error: &Error) -> Vec<String> {
    let on_trial = service.filter(|service| {
        service.rollout.as_ref().is_some_and(Rollout::is_on_trial) && service.stable.is_some()
    });
    let goes_back = match event {
        Event::Asked { ask: Ask::Abort | Ask::Rollback { to: None }, .. } => true,
        Event::Asked { ask: Ask::Rollback { to: Some(to) }, .. } => {
            service.is_some_and(|service| service.stable.as_ref() == Some(to))
        }
        _ => false,
    };
    // Asked for again on the way, it is under way.
    let on_the_way = on_trial.and_then(|service| service.rollout.as_ref()).is_some_and(|r| {
        r.kind.is_way_back() && matches!(event, Event::Asked { ask: Ask::Rollback { .. }, .. })
    });
    let is_removing = service.is_some_and(|service| service.removing);
    // Before its schema is there no instance of the candidate runs: nothing has to go back.
    let waits = on_trial
        .and_then(|service| service.rollout.as_ref())
        .is_some_and(|r| matches!(r.schedule.step(r.step.index), Some(Step::Migrate(_))));
    let wrong = goes_back && !waits && on_trial.is_some() && !is_removing && !on_the_way;
    wrong.then(|| format!("the way back is closed: {error}")).into_iter().collect()
}

/// Whether verdicts set this rollout back by themselves.
fn decides(rollout: &Rollout, service: &Service) -> bool {
    let reports = rollout.schedule.analysis.as_ref().is_some_and(|a| a.report_only);
    let asks = service.spec.rollback.on_failure != serin_core::OnFailure::Rollback;
    !reports && !asks
}

/// Whether a rollout is on its way back.
fn is_reverting(rollout: &Rollout) -> bool {
    matches!(rollout.phase, Phase::Reverting { .. })
}
