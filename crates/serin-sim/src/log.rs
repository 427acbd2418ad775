//! The log the executor writes to: the shipped store, or one in memory that promises the same and
//! costs little. Several handles to one log are several controllers; only the newest may write.

use serin_core::{
    Entry, Event, RecordedTick, RolloutRecord, Service, ServiceName, Shared, Timestamp,
};
use serin_server::executor::Log;
use serin_store::{Commit, Error, JournalRow, LoggedEvent, Store, WayBackNote};
use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Rows at most, where everything is asked for.
const ALL: u32 = u32::MAX;

/// One controller's handle to a log.
#[derive(Debug)]
pub struct SimLog {
    disk: Rc<RefCell<Disk>>,
    epoch: u64,
}

#[derive(Debug)]
struct Disk {
    newest: u64,
    /// Nothing at all is stored. A store has some room left when its disk is full, how much
    /// depends on what it held before.
    closed: bool,
    /// Whether a full disk closes it.
    strict: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Store(Store),
    Memory(Memory),
}

/// What a store holds, without the disk.
#[derive(Debug, Default)]
struct Memory {
    services: BTreeMap<ServiceName, Shared<Service>>,
    events: BTreeMap<ServiceName, Vec<(Timestamp, Event)>>,
    records: BTreeMap<ServiceName, Vec<RolloutRecord>>,
    ticks: BTreeMap<(ServiceName, u64), Vec<RecordedTick>>,
    journal: Vec<(ServiceName, Entry)>,
    ways_back: Vec<WayBackNote>,
}

impl SimLog {
    /// The shipped store, on a disk that is memory. `strict`: when it is full nothing more fits.
    pub fn store(strict: bool) -> Self {
        let log = Self::of(Kind::Store(Store::in_memory().expect("a store in memory")));
        log.disk.borrow_mut().strict = strict;
        log
    }

    /// A log in memory.
    pub fn memory() -> Self {
        Self::of(Kind::Memory(Memory::default()))
    }

    fn of(kind: Kind) -> Self {
        Self {
            disk: Rc::new(RefCell::new(Disk { newest: 0, closed: false, strict: true, kind })),
            epoch: 0,
        }
    }

    /// A handle for another controller.
    #[must_use]
    pub fn another(&self) -> Self {
        Self { disk: Rc::clone(&self.disk), epoch: 0 }
    }

    /// Whether there is room.
    pub fn set_full(&self, full: bool) {
        let mut disk = self.disk.borrow_mut();
        disk.closed = full && disk.strict;
        if let Kind::Store(store) = &disk.kind {
            store.limit_pages(full.then_some(1));
        }
    }

    /// All events of a service, oldest first.
    pub fn events(&self, name: &ServiceName) -> Result<Vec<LoggedEvent>, Error> {
        match &self.disk.borrow().kind {
            Kind::Store(store) => store.events(name),
            Kind::Memory(memory) => {
                let events = memory.events.get(name).into_iter().flatten().zip(1..);
                let logged = |((at, event), seq): (&(Timestamp, Event), u64)| LoggedEvent {
                    seq,
                    at: *at,
                    event: event.clone(),
                };
                Ok(events.map(logged).collect())
            }
        }
    }

    /// Ended rollouts, newest first, at most `limit`.
    pub fn records(&self, name: &ServiceName, limit: u32) -> Result<Vec<RolloutRecord>, Error> {
        match &self.disk.borrow().kind {
            Kind::Store(store) => store.records(name, limit),
            Kind::Memory(memory) => {
                let records = memory.records.get(name).into_iter().flatten();
                Ok(records.rev().take(limit as usize).cloned().collect())
            }
        }
    }

    /// What the judge of a rollout was given.
    pub fn ticks(&self, name: &ServiceName, id: u64) -> Result<Vec<RecordedTick>, Error> {
        match &self.disk.borrow().kind {
            Kind::Store(store) => {
                Ok(store.ticks(name, id, 0, ALL)?.into_iter().map(|(_, tick)| tick).collect())
            }
            Kind::Memory(memory) => {
                Ok(memory.ticks.get(&(name.clone(), id)).cloned().unwrap_or_default())
            }
        }
    }

    /// Journal lines after `after`, of one service if given.
    pub fn journal(
        &self,
        name: Option<&ServiceName>,
        after: u64,
    ) -> Result<Vec<JournalRow>, Error> {
        match &self.disk.borrow().kind {
            Kind::Store(store) => store.journal(name, after, ALL),
            Kind::Memory(memory) => Ok(memory.journal(name, after)),
        }
    }

    fn memory_of(&self) -> Option<Ref<'_, Memory>> {
        Ref::filter_map(self.disk.borrow(), |disk| match &disk.kind {
            Kind::Memory(memory) => Some(memory),
            Kind::Store(_) => None,
        })
        .ok()
    }
}

impl Log for SimLog {
    fn claim_epoch(&mut self) -> Result<u64, Error> {
        let mut disk = self.disk.borrow_mut();
        if disk.closed {
            return Err(Error::Full);
        }
        let epoch = match &mut disk.kind {
            Kind::Store(store) => store.claim_epoch()?,
            Kind::Memory(_) => disk.newest + 1,
        };
        disk.newest = epoch;
        self.epoch = epoch;
        Ok(epoch)
    }

    fn services(&self) -> Result<Vec<Shared<Service>>, Error> {
        if let Some(memory) = self.memory_of() {
            return Ok(memory.services.values().cloned().collect());
        }
        match &self.disk.borrow().kind {
            Kind::Store(store) => store.services(),
            Kind::Memory(_) => Ok(vec![]),
        }
    }

    fn last_rollout(&self, name: &ServiceName) -> Result<u64, Error> {
        match &self.disk.borrow().kind {
            Kind::Store(store) => store.last_rollout(name),
            Kind::Memory(memory) => {
                let ids = memory.records.get(name).into_iter().flatten().map(|record| record.id);
                Ok(ids.max().unwrap_or(0))
            }
        }
    }

    fn commit(&mut self, commits: &[Commit]) -> Result<Option<u64>, Error> {
        let mut disk = self.disk.borrow_mut();
        if disk.newest != self.epoch {
            return Err(Error::Superseded { newest: disk.newest, own: self.epoch });
        }
        if disk.closed {
            return Err(Error::Full);
        }
        match &mut disk.kind {
            Kind::Store(store) => store.commit(commits),
            Kind::Memory(memory) => Ok(memory.commit(commits)),
        }
    }

    fn note_ways_back(&mut self, notes: &[WayBackNote]) {
        let mut disk = self.disk.borrow_mut();
        // A controller that was followed has nothing to say any more.
        if disk.newest != self.epoch {
            return;
        }
        match &mut disk.kind {
            Kind::Store(store) => store.note_ways_back(notes).expect("memory is there"),
            Kind::Memory(memory) => notes.clone_into(&mut memory.ways_back),
        }
    }

    fn ways_back(&self) -> Vec<WayBackNote> {
        match &self.disk.borrow().kind {
            Kind::Store(store) => store.ways_back(),
            Kind::Memory(memory) => memory.ways_back.clone(),
        }
    }
}

impl Memory {
    fn commit(&mut self, commits: &[Commit]) -> Option<u64> {
        let before = self.journal.len();
        for commit in commits {
            self.take(commit);
        }
        let after = self.journal.len();
        (after > before).then_some(after as u64)
    }

    fn take(&mut self, commit: &Commit) {
        let name = &commit.service.name;
        let entries = commit.journal.iter().map(|entry| (name.clone(), entry.clone()));
        self.journal.extend(entries);
        if !commit.records.is_empty() {
            self.records.entry(name.clone()).or_default().extend(commit.records.iter().cloned());
        }
        for tick in commit.ticks {
            self.ticks.entry((name.clone(), tick.rollout)).or_default().push(tick.clone());
        }
        let event = (commit.at, commit.event.clone());
        match self.events.get_mut(name) {
            Some(events) => events.push(event),
            None => drop(self.events.insert(name.clone(), vec![event])),
        }
        if commit.service.is_gone() {
            self.services.remove(name);
        } else {
            self.services.insert(name.clone(), commit.service.clone());
        }
    }

    fn journal(&self, name: Option<&ServiceName>, after: u64) -> Vec<JournalRow> {
        let rows = self.journal.iter().zip(1..).skip(after as usize);
        let wanted = rows.filter(|((of, _), _)| name.is_none_or(|name| name == of));
        let row = |((service, entry), seq): (&(ServiceName, Entry), u64)| JournalRow {
            seq,
            service: service.clone(),
            entry: entry.clone(),
        };
        wanted.map(row).collect()
    }
}
