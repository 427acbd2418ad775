//! Flags and code together: does what rollouts of services owe of flags, and keeps flags from users
//! as long as the code they need does not serve everything.
//!
//! # Invariants
//! - A flag goes back only if it is as the rollout left it: what a person did since stays.
//! - Done twice, an order changes a flag once: the history says who made its last change and why.

use super::edit::{Refused, Who, Wish, edit, restored};
use super::held::{Mark, Served, one_for_all};
use super::strategy::Strategy;
use super::{Act, BACK, FlagError, Past, past, seconds};
use crate::control::Core;
use serin_core::{
    Event, FlagChange, FlagEnd, FlagOrder, FlagWork, Service, ServiceName, Switched, flags_wanted,
};
use serin_flags::{Definition, FlagKey, State};
use std::collections::BTreeMap;

/// Who changes flags for a rollout.
const SELF: &str = "serin";

/// The word in the history for a change by a step.
const STEP: &str = "rollout";

/// Orders of one service that are done at a time.
const TOGETHER: usize = 100;

/// Whether anybody may get more than the off variant.
pub(crate) fn gives_somebody(flag: &Definition) -> bool {
    one_for_all(flag) != Some(Served::Variant(&flag.off_variant))
}

impl Core {
    /// Refuses a flag that gives users what its code cannot do yet.
    ///
    /// # Errors
    /// With the version that is needed and the one that serves.
    pub(crate) fn refuse_without_code(&self, next: &Definition) -> Result<(), FlagError> {
        match self.lacks_code(next).filter(|_| gives_somebody(next)) {
            Some(why) => Err(Refused::new(why, "bring that version out first").into()),
            None => Ok(()),
        }
    }

    /// The same for a wish, unless it only takes the flag from users.
    ///
    /// # Errors
    /// As [`Self::refuse_without_code`].
    pub(super) fn refuse_wish(&self, wish: &Wish, next: &Definition) -> Result<(), FlagError> {
        if wish.gives() { self.refuse_without_code(next) } else { Ok(()) }
    }

    /// Does what is owed of flags for all services.
    pub(crate) fn tend_all_flags(&mut self) {
        let owing = |service: &&Service| !flags_wanted(service).is_empty();
        let names = self.executor.services().filter(owing).map(|service| service.name.clone());
        for name in names.collect::<Vec<_>>() {
            self.tend_flags(&name);
        }
    }

    /// Does what the rollouts of one service owe of flags. What cannot be stored is owed again at
    /// the next look.
    pub(crate) fn tend_flags(&mut self, name: &ServiceName) {
        for _ in 0..TOGETHER {
            let Some(service) = self.executor.service(name) else { return };
            let Some(order) = flags_wanted(service).into_iter().next() else { return };
            let known = service.rollout.as_ref().and_then(|rollout| rollout.step.flag.clone());
            let Some(ended) = self.make_order(&order) else { return };
            if matches!(order.work, FlagWork::Change { .. }) && known.as_ref() == Some(&ended) {
                return;
            }
            let event = Event::FlagSet { order: Box::new(order), ended };
            if let Err(error) = self.follow_up(name, &event) {
                eprintln!("serin: {name}: {error}");
                return;
            }
        }
    }

    /// What became of the order; none when it could not be stored.
    fn make_order(&mut self, order: &FlagOrder) -> Option<FlagEnd> {
        let made = match &order.work {
            FlagWork::Change { change, after } => self.change_for(order, change, *after),
            FlagWork::Back { change } => self.back_for(order, *change),
        };
        match (made, &order.work) {
            (Ok(ended), _) => Some(ended),
            (Err(FlagError::Store(error)), _) => {
                eprintln!("serin: flag {}: {error}", order.key);
                None
            }
            (Err(error), FlagWork::Change { .. }) => Some(FlagEnd::Refused { why: said(&error) }),
            (Err(error), FlagWork::Back { .. }) => Some(FlagEnd::Left { why: said(&error) }),
        }
    }

    fn change_for(
        &mut self,
        order: &FlagOrder,
        change: &FlagChange,
        after: Option<u64>,
    ) -> Result<FlagEnd, FlagError> {
        let (key, flag, mark) = self.flags.flag(&order.set, &order.key)?;
        let (key, flag, mark) = (key.clone(), flag.clone(), mark.clone());
        let reason = reason(order);
        if is_ours(&mark, &reason) {
            return Ok(FlagEnd::Changed { change: mark.changed.n });
        }
        if let Some(killed) = &flag.killed {
            let why = format!("it was killed by {}: {}", killed.by, killed.reason);
            let is_so = *change == FlagChange::Off;
            return Ok(if is_so { FlagEnd::Left { why } } else { FlagEnd::Refused { why } });
        }
        if let Some(after) = after
            && self.past(after)?.is_some_and(|past| past.after.as_ref() != Some(&flag))
        {
            return Ok(left(&mark));
        }
        let who = Who { by: SELF, reason: Some(&reason), at: seconds() };
        let next = changed(&flag, change, who)?;
        self.refuse_without_code(&next)?;
        self.write_for(order, &key, next, (&reason, STEP)).map(|n| FlagEnd::Changed { change: n })
    }

    fn back_for(&mut self, order: &FlagOrder, change: u64) -> Result<FlagEnd, FlagError> {
        let (key, flag, mark) = self.flags.flag(&order.set, &order.key)?;
        let (key, flag, mark) = (key.clone(), flag.clone(), mark.clone());
        let change = match change {
            // Nothing was made, or somebody changed it since.
            Switched::UNTOLD if !is_ours(&mark, &reason(order)) => return Ok(FlagEnd::Back),
            Switched::UNTOLD => mark.changed.n,
            told => told,
        };
        let Some(Past { before: Some(before), after, .. }) = self.past(change)? else {
            let why = "its state before is not in its history".to_owned();
            return Ok(FlagEnd::Left { why });
        };
        if flag == before {
            return Ok(FlagEnd::Back);
        }
        if after.as_ref() != Some(&flag) {
            return Ok(left(&mark));
        }
        let next = restored(Some(&flag), &before);
        let reason = format!("{} went back", reason(order));
        self.write_for(order, &key, next, (&reason, BACK)).map(|_| FlagEnd::Back)
    }

    fn write_for(
        &mut self,
        order: &FlagOrder,
        key: &FlagKey,
        next: Definition,
        (reason, verb): (&str, &str),
    ) -> Result<u64, FlagError> {
        let who = Who { by: SELF, reason: Some(reason), at: seconds() };
        let act = Act { set: &order.set, key, who, verb };
        self.change_flag(act, Some(next)).map(|changed| changed.n)
    }

    fn past(&self, n: u64) -> Result<Option<Past>, FlagError> {
        Ok(self.executor.store().flag_change(n)?.as_ref().and_then(past))
    }
}

/// What the history says of a change; the same text for the same step of the same rollout.
fn reason(order: &FlagOrder) -> String {
    format!("rollout {} of {}, step {}", order.rollout, order.service, order.step + 1)
}

fn is_ours(mark: &Mark, reason: &str) -> bool {
    let changed = &mark.changed;
    changed.by == SELF && changed.verb == STEP && changed.reason.as_deref() == Some(reason)
}

fn left(mark: &Mark) -> FlagEnd {
    let by = &mark.changed.by;
    let because = mark.changed.reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    FlagEnd::Left { why: format!("{by} changed it meanwhile{because}") }
}

/// The error with what is near, where there is something.
fn said(error: &FlagError) -> String {
    match error {
        FlagError::UnknownFlag { near, .. } if !near.is_empty() => {
            format!("{error}; did you mean {}?", near.join(" or "))
        }
        error => error.to_string(),
    }
}

/// The flag as the step wants it.
fn changed(flag: &Definition, change: &FlagChange, who: Who<'_>) -> Result<Definition, Refused> {
    let strategy = match change {
        FlagChange::Off => return edit(flag, &Wish::Off, who),
        FlagChange::On => Strategy::All,
        FlagChange::Variant(name) if *name == flag.off_variant => Strategy::None,
        FlagChange::Variant(name) => Strategy::Variants(BTreeMap::from([(name.clone(), 100.0)])),
        FlagChange::Percent(share) => Strategy::Percentage(f64::from(share.parts()) / 1_000.0),
    };
    let on = Definition { state: State::On, ..flag.clone() };
    edit(&on, &Wish::Strategy(strategy), who)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_core::Weight;
    use serin_flags::{Kind, Timestamp};

    #[test]
    fn a_step_gives_a_flag_that_was_off_to_whom_it_says() {
        let who = Who { by: SELF, reason: None, at: Timestamp(7) };
        let off = Definition { state: State::Off, ..Definition::boolean(Kind::Release, "shop") };
        let half = FlagChange::Percent(Weight::percent(50).unwrap());
        let none = FlagChange::Percent(Weight::NONE);
        for (change, wanted) in [
            (FlagChange::On, Some(100.0)),
            (half, Some(50.0)),
            (none, Some(0.0)),
            (FlagChange::Variant("on".into()), Some(100.0)),
            (FlagChange::Variant("off".into()), Some(0.0)),
        ] {
            let next = changed(&off, &change, who).unwrap();
            assert_eq!((next.state, super::super::percent(&next)), (State::On, wanted), "{change}");
            assert_eq!(gives_somebody(&next), wanted > Some(0.0), "{change}");
        }
        assert_eq!(changed(&off, &FlagChange::Off, who).unwrap(), off);
        assert!(changed(&off, &FlagChange::Variant("blue".into()), who).is_err());
    }
}
