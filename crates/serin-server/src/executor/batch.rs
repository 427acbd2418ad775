//! Many facts in one transaction: what arrives together costs one write to the disk. The rule
//! stays: nothing is acted on before it is stored.

use super::{Effect, Error, Executor, Held, Log, changes_nothing, effects, is_old_news};
use serin_core::{Event, ServiceName, Timestamp, Transition, step};
use std::collections::BTreeMap;

/// Most facts decided on before what they led to is stored and acted on: a bound on how long the
/// first of them waits for the last.
const TOGETHER: usize = 128;

/// A fact about a service.
pub type Fact = (ServiceName, Event);

/// What came of many facts.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What to do, in the order of the facts.
    pub effects: Vec<Effect>,
    /// Facts that had no effect, and why.
    pub failed: Vec<(ServiceName, Error)>,
}

/// What facts of one batch lead to; nothing of it has happened yet.
struct Draft<'a> {
    /// What is to be stored, in order.
    turns: Vec<(&'a Event, Transition)>,
    /// The newest turn of each service.
    newest: BTreeMap<&'a ServiceName, usize>,
    /// Services whose fact changed nothing but when to wake next.
    quiet: Vec<Transition>,
    failed: Vec<(ServiceName, Error)>,
}

impl<L: Log> Executor<L> {
    /// Absorbs facts about any services, a good many in each transaction. When they cannot be
    /// stored only what leads back to stable is done; all others have to come again.
    pub fn submit_all(&mut self, facts: &[Fact], now: Timestamp) -> Outcome {
        let mut outcome = Outcome::default();
        for facts in facts.chunks(TOGETHER) {
            self.submit_some(facts, now, &mut outcome);
        }
        outcome
    }

    fn submit_some(&mut self, facts: &[Fact], now: Timestamp, outcome: &mut Outcome) {
        let draft = self.draft(facts, now);
        let stored = if draft.turns.is_empty() { Ok(None) } else { self.commit(&draft.turns, now) };
        match stored {
            Ok(last) => {
                outcome.failed.extend(draft.failed);
                draft.quiet.into_iter().for_each(|turn| self.hold(turn));
                self.take(draft.turns, last, &mut outcome.effects);
            }
            Err(error) => {
                self.trouble = Some(error.to_string());
                outcome.failed.extend(facts.first().map(|(name, _)| (name.clone(), error.into())));
                self.go_back(facts, now, outcome);
            }
        }
    }

    fn draft<'a>(&self, facts: &'a [Fact], now: Timestamp) -> Draft<'a> {
        let mut draft =
            Draft { turns: vec![], newest: BTreeMap::new(), quiet: vec![], failed: vec![] };
        for (name, event) in facts {
            self.decide(&mut draft, name, event, now);
        }
        draft
    }

    fn decide<'a>(
        &self,
        draft: &mut Draft<'a>,
        name: &'a ServiceName,
        event: &'a Event,
        now: Timestamp,
    ) {
        let earlier = draft.newest.get(name).map(|at| &draft.turns[*at].1.next);
        let held = earlier.or_else(|| self.services.get(name).map(|held| &held.service));
        let Some(service) = held.filter(|service| !service.is_gone()) else {
            return draft.failed.push((name.clone(), Error::UnknownService(name.clone())));
        };
        if is_old_news(service, event) {
            return;
        }
        let turn = step(service, event, now);
        if let Some(refusal) = turn.refused {
            return draft.failed.push((name.clone(), refusal.into()));
        }
        if !changes_nothing(service, &turn) {
            draft.newest.insert(name, draft.turns.len());
            draft.turns.push((event, turn));
        } else if earlier.is_none() {
            draft.quiet.push(turn);
        }
    }

    /// Takes stored turns as the truth.
    fn take(
        &mut self,
        turns: Vec<(&Event, Transition)>,
        last: Option<u64>,
        orders: &mut Vec<Effect>,
    ) {
        let lines: u64 = turns.iter().map(|(_, turn)| turn.journal.len() as u64).sum();
        let mut before = last.map_or(0, |last| last - lines);
        for (_, turn) in turns {
            before += turn.journal.len() as u64;
            orders.extend(effects(&turn, Some(before)));
            if turn.next.is_gone() {
                self.services.remove(&turn.next.name);
                orders.push(Effect::Forget(turn.next.name.clone()));
            } else {
                self.hold(turn);
            }
        }
    }

    fn hold(&mut self, turn: Transition) {
        self.services.insert(turn.next.name.clone(), Held::after(turn));
    }

    /// Of facts that could not be stored, does what only moves traffic to stable.
    fn go_back(&mut self, facts: &[Fact], now: Timestamp, outcome: &mut Outcome) {
        for (name, event) in facts {
            let Some(held) = self.services.get(name) else { continue };
            if !self.is_way_back(&step(&held.service, event, now)) {
                continue;
            }
            match self.submit(name, event, now) {
                Ok(effects) => outcome.effects.extend(effects),
                Err(error) => outcome.failed.push((name.clone(), error)),
            }
        }
    }
}
