//! Takes a fact into the state, without deciding anything yet.

use super::Turn;
use super::hold::ENGINE;
use crate::{Actor, Event, Observation, Refusal, WentBack};

impl Turn {
    pub(super) fn absorb(&mut self, event: &Event) -> Result<(), Refusal> {
        match event {
            Event::TookOver { epoch, rollouts } => self.take_over(*epoch, *rollouts),
            Event::Asked { by, reason, ask } => return self.ask(by, reason.as_deref(), ask),
            Event::Observed(observation) => self.observe(observation),
            Event::Counted(counts) => self.count(counts),
            Event::HookEnded { hook, passed, text } => self.hook_ended(hook, *passed, text),
            Event::FlagSet { order, ended } => self.flag_ended(order, ended),
            Event::Migrated { order, news } => self.migrated(order, news),
            Event::WentBack(back) => return self.went_back(back),
            Event::Woke => {}
        }
        Ok(())
    }

    /// A new controller's plans outrank every plan of the one before, so the last plan is
    /// issued again under the new epoch. A service without a plan starts its numbers at the
    /// present second: one of the same name may have been removed under the same epoch.
    fn take_over(&mut self, epoch: u64, rollouts: u64) {
        if self.service.plan.is_none() {
            self.service.next_rollout = rollouts + 1;
            self.service.generation.n = self.now.0.unsigned_abs() / 1000;
        }
        if let Some(rollout) = self.service.rollout.as_mut() {
            rollout.took_over_at = Some(self.now);
        }
        if epoch > self.service.generation.epoch {
            self.service.generation.epoch = epoch;
            self.force_apply = self.service.plan.is_some();
            // What the one before saw last may not be so any more: it may have gone back without
            // being able to write it down. Nothing goes on before the plan is confirmed again.
            self.service.observed.applied = None;
        }
    }

    /// Takes the way back of the controller before, from where that one left both sides: an order
    /// from what it wrote down last would lead users where nobody is any more.
    fn went_back(&mut self, back: &WentBack) -> Result<(), Refusal> {
        let rollout = self.service.rollout.as_ref();
        if rollout.is_none_or(|r| r.id != back.rollout) {
            return Ok(());
        }
        // It knew more than what is stored: what was seen last may be of orders before its own.
        self.service.observed.applied = None;
        let by = Actor(ENGINE.into());
        self.abort(&by, Some("it went back while nothing could be stored"))?;
        let Some(rollout) = self.service.rollout.as_mut() else { return Ok(()) };
        if let Some((places, left)) = rollout.places.as_mut().zip(back.places) {
            (places.candidate, places.stable) = (left.candidate, left.stable);
            rollout.weight = back.weight;
        }
        Ok(())
    }

    fn observe(&mut self, seen: &Observation) {
        if seen.seq <= self.service.observed.seq {
            return;
        }
        let applied = seen.applied.max(self.service.observed.applied);
        self.service.observed = Observation { applied, ..seen.clone() };
        self.read_published();
    }
}
