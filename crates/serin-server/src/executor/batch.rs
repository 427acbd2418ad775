//! Many facts in one transaction: what arrives together costs one write to the disk. The rule
//! stays: nothing is acted on before it is stored.

use super::{Effect, Error, Executor, Held, Log, changes_nothing, effects, is_old_news};
use serin_core::{Event, ServiceName, Timestamp, Transition, step};
use std::collections::{BTreeMap, BTreeSet};

/// Most facts decided on before what they led to is stored and acted on: a bound on how long the
/// first of them waits for the last.
pub(crate) const TOGETHER: usize = 128;

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

/// What facts that came together lead to; nothing of it has happened yet. It holds as long as
/// nothing else is given to the executor.
#[derive(Debug)]
pub struct Draft<'a> {
    facts: &'a [Fact],
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
            let mut draft = self.draft(facts, now);
            self.store_orders(&mut draft, now, &mut outcome);
            self.store_rest(draft, now, &mut outcome);
        }
        outcome
    }

    /// Stores what gives orders, with everything else about those services, in a transaction of its
    /// own: an order does not wait until what decides nothing is written down.
    pub fn store_orders(&mut self, draft: &mut Draft<'_>, now: Timestamp, outcome: &mut Outcome) {
        let orders = draft.turns.iter().filter(|(_, turn)| turn.apply.is_some());
        let ordered: BTreeSet<ServiceName> =
            orders.map(|(_, turn)| turn.next.name.clone()).collect();
        let (orders, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut draft.turns)
            .into_iter()
            .partition(|(_, turn)| ordered.contains(&turn.next.name));
        if rest.is_empty() || orders.is_empty() {
            draft.turns = [orders, rest].concat();
            return;
        }
        draft.turns = rest;
        let facts = draft.facts.iter().filter(|(name, _)| ordered.contains(name));
        self.keep(orders, &facts.collect::<Vec<_>>(), now, outcome);
    }

    /// Stores all that is left of a draft.
    pub fn store_rest(&mut self, draft: Draft<'_>, now: Timestamp, outcome: &mut Outcome) {
        let Draft { facts, turns, quiet, failed, .. } = draft;
        let open = |name: &ServiceName| turns.iter().any(|(_, turn)| turn.next.name == *name);
        let facts: Vec<_> = facts.iter().filter(|(name, _)| open(name)).collect();
        for turn in quiet {
            self.hold(turn);
        }
        outcome.failed.extend(failed);
        self.keep(turns, &facts, now, outcome);
    }

    fn keep(
        &mut self,
        turns: Vec<(&Event, Transition)>,
        facts: &[&Fact],
        now: Timestamp,
        outcome: &mut Outcome,
    ) {
        let stored = if turns.is_empty() { Ok(None) } else { self.commit(&turns, now) };
        match stored {
            Ok(last) => self.take(turns, last, &mut outcome.effects),
            Err(error) => {
                self.trouble = Some(error.to_string());
                outcome.failed.extend(facts.first().map(|(name, _)| (name.clone(), error.into())));
                self.go_back(facts, now, outcome);
            }
        }
    }

    /// Decides on facts, at most a few hundred of them, without doing anything yet.
    pub fn draft<'a>(&self, facts: &'a [Fact], now: Timestamp) -> Draft<'a> {
        let (turns, newest) = (vec![], BTreeMap::new());
        let mut draft = Draft { facts, turns, newest, quiet: vec![], failed: vec![] };
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
    fn go_back(&mut self, facts: &[&Fact], now: Timestamp, outcome: &mut Outcome) {
        for (name, event) in facts.iter().copied() {
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
