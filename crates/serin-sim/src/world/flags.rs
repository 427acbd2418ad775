//! The flags of the world: what rollouts owe of them, what people do with them, and what must be so
//! of both. The keeper of flags is written here a second time, from what people were promised.

use super::World;
use serin_core::{
    Actor, Ask, Event, FlagChange, FlagEnd, FlagOrder, FlagWork, Outcome, RolloutRecord, Service,
    ServiceName, Switched, Weight, flags_wanted,
};
use std::collections::BTreeMap;

/// Of so many changes that a rollout makes, one is the last thing a controller does.
const CRASH_EVERY: u32 = 50;

/// Orders of one service that are done at a time.
const TOGETHER: usize = 20;

/// What a person does with a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Kill,
    On,
    Off,
    Share(Weight),
}

/// Who gets a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    on: bool,
    share: Weight,
    killed: bool,
}

/// A change, and the rollout that made it; none: a person, or a way back.
#[derive(Debug)]
struct Change {
    before: State,
    after: State,
    by: Option<(u64, usize)>,
}

/// A flag's place: its set, which here is its service's name, and its key.
type Name = (String, String);

/// All flags.
#[derive(Debug, Default)]
pub(super) struct Flags {
    now: BTreeMap<Name, State>,
    /// Number of each flag's last change.
    last: BTreeMap<Name, u64>,
    changes: Vec<Change>,
    /// Killed by a person, and not switched on by one since.
    killed: BTreeMap<Name, bool>,
    records: BTreeMap<ServiceName, Vec<RolloutRecord>>,
}

impl Flags {
    fn state(&self, name: &Name) -> State {
        let fresh = State { on: true, share: Weight::NONE, killed: false };
        self.now.get(name).copied().unwrap_or(fresh)
    }

    fn change(&mut self, name: &Name, after: State, by: Option<(u64, usize)>) -> u64 {
        let before = self.state(name);
        self.changes.push(Change { before, after, by });
        let n = self.changes.len() as u64;
        self.now.insert(name.clone(), after);
        self.last.insert(name.clone(), n);
        n
    }

    fn numbered(&self, n: u64) -> Option<&Change> {
        self.changes.get(usize::try_from(n).ok()?.checked_sub(1)?)
    }

    /// A person's word holds at once.
    fn person(&mut self, name: &Name, act: Act) {
        let was = self.state(name);
        let after = match act {
            Act::Kill => State { killed: true, ..was },
            Act::On => State { killed: false, on: true, ..was },
            Act::Off => State { on: false, ..was },
            Act::Share(share) => State { share, ..was },
        };
        self.killed.insert(name.clone(), after.killed);
        self.change(name, after, None);
    }

    /// Does what a rollout owes; done twice it is done once.
    fn order(&mut self, order: &FlagOrder) -> FlagEnd {
        let name = (order.set.clone(), order.key.clone());
        match &order.work {
            FlagWork::Change { change, after } => self.forth(&name, order, change, *after),
            FlagWork::Back { change: Switched::UNTOLD } => {
                let by = Some((order.rollout, order.step));
                let last = self.last.get(&name).copied();
                let made = last.filter(|n| self.numbered(*n).is_some_and(|one| one.by == by));
                made.map_or(FlagEnd::Back, |n| self.back(&name, n))
            }
            FlagWork::Back { change } => self.back(&name, *change),
        }
    }

    fn forth(
        &mut self,
        name: &Name,
        order: &FlagOrder,
        change: &FlagChange,
        after: Option<u64>,
    ) -> FlagEnd {
        let (by, was) = (Some((order.rollout, order.step)), self.state(name));
        let last = self.last.get(name).copied();
        if let Some(n) = last.filter(|n| self.numbered(*n).is_some_and(|one| one.by == by)) {
            return FlagEnd::Changed { change: n };
        }
        if was.killed {
            let why = "it was killed".to_owned();
            let so = *change == FlagChange::Off;
            return if so { FlagEnd::Left { why } } else { FlagEnd::Refused { why } };
        }
        let own = after.and_then(|n| self.numbered(n));
        if own.is_some_and(|own| own.after != was) {
            return FlagEnd::Left { why: "a person changed it".into() };
        }
        let after = match change {
            FlagChange::Off => State { on: false, ..was },
            FlagChange::On | FlagChange::Variant(_) => {
                State { on: true, share: Weight::ALL, ..was }
            }
            FlagChange::Percent(share) => State { on: true, share: *share, ..was },
        };
        FlagEnd::Changed { change: self.change(name, after, by) }
    }

    fn back(&mut self, name: &Name, n: u64) -> FlagEnd {
        let was = self.state(name);
        let Some(past) = self.numbered(n) else {
            return FlagEnd::Left { why: "its state before is not known".into() };
        };
        let (before, after) = (past.before, past.after);
        if was == before {
            return FlagEnd::Back;
        }
        if was != after {
            return FlagEnd::Left { why: "a person changed it".into() };
        }
        self.change(name, before, None);
        FlagEnd::Back
    }

    /// A rollout is on record. One that was not stored before the controller ended goes on, and
    /// ends another time.
    pub(super) fn note_record(&mut self, name: &ServiceName, record: &RolloutRecord) {
        let records = self.records.entry(name.clone()).or_default();
        records.retain(|known| known.id != record.id);
        records.push(record.clone());
    }

    /// A flag that a person killed is killed until a person says otherwise, whatever rollouts did.
    fn kills_hold(&self) -> Option<String> {
        let given = |(name, killed): &(&Name, &bool)| **killed && !self.state(name).killed;
        let (name, _) = self.killed.iter().find(given)?;
        Some(format!("flag {} was killed and is given again", name.1))
    }

    /// What a rollout changed and did not keep is as it was before. Of `service`, at rest.
    fn went_back(&self, service: &Service) -> Vec<String> {
        let none = vec![];
        let records = self.records.get(&service.name).unwrap_or(&none);
        let mine = self.last.iter().filter(|(name, _)| name.0 == service.name.as_str());
        let left = mine.filter_map(|(name, n)| {
            let change = self.numbered(*n)?;
            // What changed nothing has nothing to go back to.
            let (rollout, _) = change.by.filter(|_| change.before != change.after)?;
            let record = records.iter().find(|record| record.id == rollout)?;
            let why = left_behind(record, records)?;
            Some(format!("flag {} is as rollout {rollout} left it, {why}", name.1))
        });
        left.collect()
    }
}

/// Why the flags of a rollout must have gone back.
fn left_behind(record: &RolloutRecord, all: &[RolloutRecord]) -> Option<String> {
    if record.outcome != Outcome::Promoted {
        return Some(format!("which was {}", record.outcome.as_str()));
    }
    let later = all.iter().filter(|other| other.id > record.id);
    let mut back = later.filter(|other| {
        let earlier = |one: &RolloutRecord| {
            one.id < record.id && one.to == other.to && one.outcome == Outcome::Promoted
        };
        other.kind.is_way_back() && other.outcome == Outcome::Promoted && all.iter().any(earlier)
    });
    back.next().map(|back| format!("and rollout {} went back to {}", back.id, back.to.version))
}

/// Whether something is owed of flags that can be done now.
pub(super) fn owes(service: &Service) -> bool {
    let refused = |service: &Service| {
        let ended = service.rollout.as_ref().and_then(|rollout| rollout.step.flag.as_ref());
        matches!(ended, Some(FlagEnd::Refused { .. }))
    };
    let wanted = flags_wanted(service);
    let back = wanted.iter().any(|order| matches!(order.work, FlagWork::Back { .. }));
    back || (!wanted.is_empty() && !refused(service))
}

impl World {
    /// A person changes a flag.
    pub(super) fn press_flag(&mut self, service: &str, key: &str, act: Act) -> Result<(), String> {
        if self.press_release(service, key, act) {
            return Ok(());
        }
        self.must_be(service)?;
        self.flags.person(&(service.to_owned(), key.to_owned()), act);
        self.say(|| format!("flag {key}: {act:?} by a person"));
        Ok(())
    }

    /// Does what is owed of flags, as the shell does at each look.
    pub(super) fn tend_flags(&mut self, name: &ServiceName) {
        for _ in 0..TOGETHER {
            let service = self.controller.up().and_then(|executor| executor.service(name));
            let Some(service) = service else { return };
            let Some(order) = flags_wanted(service).into_iter().next() else { return };
            let known = service.rollout.as_ref().and_then(|rollout| rollout.step.flag.clone());
            let forth = matches!(order.work, FlagWork::Change { .. });
            if forth && self.disk_full {
                return;
            }
            let ended = self.flags.order(&order);
            if forth && known.as_ref() == Some(&ended) {
                return;
            }
            self.say(|| format!("flag {}: {ended:?}", order.key));
            if self.dice && self.rng.u32(..CRASH_EVERY) == 0 {
                self.crash();
                return self.abort_untold(name);
            }
            self.note(name, &Event::FlagSet { order: Box::new(order), ended });
            if self.disk_full {
                return;
            }
        }
    }

    /// The flag is set and nobody was told, and in this very moment somebody stops the rollout.
    fn abort_untold(&mut self, name: &ServiceName) {
        let by = Actor("bo".to_owned());
        self.note(name, &Event::Asked { by, reason: None, ask: Ask::Abort });
    }

    /// What is wrong with flags at any time.
    pub(super) fn check_kills(&mut self) {
        let wrong = self.flags.kills_hold();
        self.wrong.extend(wrong);
    }

    /// What is wrong with flags at rest.
    pub(super) fn flags_at_rest(&self, service: &Service) -> Vec<String> {
        let under_way = service.rollout.is_some();
        if under_way { vec![] } else { self.flags.went_back(service) }
    }
}
