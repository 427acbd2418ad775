//! Flags that steps change: what is owed of them now, and what became of it.
//!
//! Level-triggered like tests: whoever keeps the flags does what is owed and says what came of it;
//! what is not said is owed again. A way back of the code marks the changes that go back with it,
//! and waits for none of them.

use super::Turn;
use crate::{
    Fact, FlagChange, FlagEnd, FlagOrder, FlagStep, FlagWork, Phase, RevisionId, Rollout, Service,
    Step, Switched,
};

/// Changes that are remembered for a way back.
const SWITCHED_MAX: usize = 200;

/// What is owed of flags now for `service`, in the order in which it has to be done.
pub fn flags_wanted(service: &Service) -> Vec<FlagOrder> {
    // The last change goes back first, so that each finds the flag as it left it.
    let back = service.switched.iter().rev().filter(|one| one.back).map(|one| FlagOrder {
        service: service.name.clone(),
        rollout: one.rollout,
        step: one.step,
        set: one.set.clone(),
        key: one.key.clone(),
        work: FlagWork::Back { change: one.change },
    });
    back.chain(service.rollout.as_ref().and_then(|rollout| due(service, rollout))).collect()
}

/// The change that the present step waits for.
fn due(service: &Service, rollout: &Rollout) -> Option<FlagOrder> {
    let step = present(rollout).filter(|_| rollout.paused.is_none() && !is_done(rollout))?;
    let earlier = service.switched.iter().rev();
    let told = |one: &&Switched| one.change != Switched::UNTOLD;
    let mut earlier =
        earlier.filter(|one| one.rollout == rollout.id && is_of(one, step)).filter(told);
    let after = earlier.next().map(|one| one.change);
    Some(FlagOrder {
        service: service.name.clone(),
        rollout: rollout.id,
        step: rollout.step.index,
        set: step.set.clone(),
        key: step.key.clone(),
        work: FlagWork::Change { change: step.change.clone(), after },
    })
}

fn is_of(one: &Switched, step: &FlagStep) -> bool {
    one.set == step.set && one.key == step.key
}

fn is_done(rollout: &Rollout) -> bool {
    matches!(rollout.step.flag, Some(FlagEnd::Changed { .. } | FlagEnd::Left { .. }))
}

/// The present step, if it changes a flag.
fn present(rollout: &Rollout) -> Option<&FlagStep> {
    match rollout.schedule.step(rollout.step.index) {
        Some(Step::Flag(step)) if matches!(rollout.phase, Phase::Stepping) => Some(step),
        _ => None,
    }
}

/// The step that `order` is about, as long as the rollout is at it.
fn asked<'s>(service: &'s Service, order: &FlagOrder) -> Option<&'s FlagStep> {
    let rollout = service.rollout.as_ref().filter(|r| r.id == order.rollout);
    let rollout = rollout.filter(|r| r.step.index == order.step && !is_done(r))?;
    present(rollout).filter(|step| step.set == order.set && step.key == order.key)
}

impl Turn {
    /// Takes in what became of an order. What is said twice changes nothing.
    pub(super) fn flag_ended(&mut self, order: &FlagOrder, ended: &FlagEnd) {
        match (&order.work, ended) {
            (FlagWork::Back { change }, FlagEnd::Back | FlagEnd::Left { .. }) => {
                self.flag_is_back(order, *change, ended);
            }
            (FlagWork::Change { change, .. }, FlagEnd::Changed { change: n }) => {
                self.flag_changed(order, change, *n);
            }
            (FlagWork::Change { change, .. }, FlagEnd::Refused { .. } | FlagEnd::Left { .. }) => {
                self.flag_not_changed(order, change, ended);
            }
            _ => {}
        }
    }

    fn flag_changed(&mut self, order: &FlagOrder, change: &FlagChange, n: u64) {
        // A change that came too late, after the rollout turned back, goes back as well.
        let back = asked(&self.service, order).is_none();
        let ended = FlagEnd::Changed { change: n };
        if let Some(rollout) = self.service.rollout.as_mut().filter(|_| !back) {
            rollout.step.flag = Some(ended.clone());
        }
        if self.service.switched.iter().any(|one| one.change == n) {
            return;
        }
        let (set, key) = (order.set.clone(), order.key.clone());
        let (rollout, step, at) = (order.rollout, order.step, self.now);
        let one =
            Switched { rollout, step, set: set.clone(), key: key.clone(), change: n, at, back };
        self.service.switched.push(one);
        self.forget_switched();
        self.tell(Fact::Flag { set, key, change: Some(change.clone()), ended });
    }

    fn flag_not_changed(&mut self, order: &FlagOrder, change: &FlagChange, ended: &FlagEnd) {
        let here = asked(&self.service, order).is_some();
        let Some(rollout) = self.service.rollout.as_mut().filter(|_| here) else { return };
        if rollout.step.flag.as_ref() == Some(ended) {
            return;
        }
        rollout.step.flag = Some(ended.clone());
        let (set, key) = (order.set.clone(), order.key.clone());
        self.tell(Fact::Flag { set, key, change: Some(change.clone()), ended: ended.clone() });
    }

    fn flag_is_back(&mut self, order: &FlagOrder, change: u64, ended: &FlagEnd) {
        let all = &mut self.service.switched;
        let made = |one: &Switched| (one.rollout, one.step) == (order.rollout, order.step);
        let it = |one: &Switched| one.change == change && one.back && made(one);
        let Some(at) = all.iter().position(it) else { return };
        let one = all.remove(at);
        if change == Switched::UNTOLD {
            return;
        }
        // What somebody else decides about is left alone by the earlier steps too, told once.
        if matches!(ended, FlagEnd::Left { .. }) {
            all.retain(|other| !other.back || other.set != one.set || other.key != one.key);
        }
        let (set, key, ended) = (one.set, one.key, ended.clone());
        self.tell(Fact::Flag { set, key, change: None, ended });
    }

    /// The oldest changes are forgotten when there are many; what is owed never is.
    fn forget_switched(&mut self) {
        let all = &mut self.service.switched;
        if all.len() > SWITCHED_MAX
            && let Some(at) = all.iter().position(|one| !one.back)
        {
            all.remove(at);
        }
    }

    /// Goes on when the flag is so.
    pub(super) fn flag_step(&mut self) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let go = is_done(rollout) && rollout.paused.is_none();
        if go {
            self.next_step(self.now);
        }
        go
    }

    /// The flags that the rollout under way changed go back; it still is where it was.
    pub(super) fn take_flags_back(&mut self) {
        self.remember_untold();
        let Some(rollout) = self.service.rollout.as_ref().map(|r| r.id) else { return };
        let all = self.service.switched.iter_mut();
        all.filter(|one| one.rollout == rollout).for_each(|one| one.back = true);
    }

    /// A step that is left before anybody told what came of it may have changed its flag.
    pub(super) fn remember_untold(&mut self) {
        let Some(rollout) = self.service.rollout.as_ref().filter(|r| !is_done(r)) else { return };
        let Some(step) = present(rollout) else { return };
        let (set, key) = (step.set.clone(), step.key.clone());
        let (rollout, step, change) = (rollout.id, rollout.step.index, Switched::UNTOLD);
        let one = Switched { rollout, step, set, key, change, at: self.now, back: false };
        self.service.switched.push(one);
        self.forget_switched();
    }

    /// The flags that were changed since `to` was stable go back.
    pub(super) fn take_flags_back_to(&mut self, to: &RevisionId) {
        let Some(known) = self.service.revisions.get(to) else { return };
        let (Some(at), rollout) = (known.promoted_at, known.promoted_in) else { return };
        let later = |one: &&mut Switched| match rollout {
            0 => one.at > at,
            rollout => one.rollout > rollout,
        };
        self.service.switched.iter_mut().filter(later).for_each(|one| one.back = true);
    }
}
