//! Between the pure engine and the world: every fact goes through here, is decided on, made
//! durable, and only then acted on. No input or output but the log; the time is handed in. The
//! simulator drives this very code, mostly on a log in memory.

mod batch;

pub(crate) use batch::TOGETHER;
pub use batch::{Draft, Fact, Outcome};

use serin_core::{
    Ask, DeployAsk, Entry, Event, Notice, Phase, Places, PlacesLeft, Plan, Refusal, Rollout,
    RolloutRecord, Service, ServiceName, Shared, Timestamp, Transition, WentBack,
    moves_only_to_stable, step,
};
use serin_store::{Ballast, Commit, Error as StoreError, Store, WayBackNote};
use std::collections::BTreeMap;

/// What the shell must do after an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Make this plan true; it is handed out again until it is observed.
    Apply(Shared<Plan>),
    /// Tell whoever listens. The number is its place in the journal.
    Tell(u64, ServiceName, Entry),
    /// Tell people who asked to be called; it is owed in the store, unless nothing can be stored.
    Notify(ServiceName, Notice),
    /// A rollout ended.
    Ended(ServiceName, Box<RolloutRecord>),
    /// The service is gone: forget it.
    Forget(ServiceName),
}

/// Why an event had no effect.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such service.
    #[error("there is no service `{0}`")]
    UnknownService(ServiceName),
    /// The engine refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be stored; it has not happened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the executor needs of durable state.
pub trait Log {
    /// Takes the next controller epoch; it was never used before. Later commits are made under it.
    ///
    /// # Errors
    /// When it cannot be stored.
    fn claim_epoch(&mut self) -> Result<u64, StoreError>;

    /// All services as they were last written.
    ///
    /// # Errors
    /// When they cannot be read.
    fn services(&self) -> Result<Vec<Shared<Service>>, StoreError>;

    /// The highest number of an ended rollout of any service that ever had this name.
    ///
    /// # Errors
    /// When it cannot be read.
    fn last_rollout(&self, service: &ServiceName) -> Result<u64, StoreError>;

    /// Writes all of `commits`, oldest first, or nothing. Returns the number of the last journal
    /// entry, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Full`] when there is no room; then nothing was written.
    fn commit(&mut self, commits: &[Commit]) -> Result<Option<u64>, StoreError>;

    /// Remembers ways back that were taken and could not be committed, in place of those
    /// remembered before. As good as it can.
    fn note_ways_back(&mut self, notes: &[WayBackNote]);

    /// What was remembered so.
    fn ways_back(&self) -> Vec<WayBackNote>;
}

impl Log for Store {
    fn claim_epoch(&mut self) -> Result<u64, StoreError> {
        self.claim_epoch()
    }

    fn services(&self) -> Result<Vec<Shared<Service>>, StoreError> {
        self.services()
    }

    fn last_rollout(&self, service: &ServiceName) -> Result<u64, StoreError> {
        self.last_rollout(service)
    }

    fn commit(&mut self, commits: &[Commit]) -> Result<Option<u64>, StoreError> {
        self.commit(commits)
    }

    fn note_ways_back(&mut self, notes: &[WayBackNote]) {
        // With no room for this either the way back stands until this controller ends.
        let _ = self.note_ways_back(notes);
    }

    fn ways_back(&self) -> Vec<WayBackNote> {
        self.ways_back()
    }
}

/// A log that could not be taken over, and why.
pub type NotOpened<L> = Box<(L, Error)>;

/// Owner of all services' state.
#[derive(Debug)]
pub struct Executor<L = Store> {
    store: L,
    ballast: Option<Ballast>,
    epoch: u64,
    services: BTreeMap<ServiceName, Held>,
    trouble: Option<String>,
    /// Ways back that were taken and could not be written; bounded by what a full disk allows:
    /// one for each service, as nothing else is decided meanwhile.
    unwritten: Vec<(Timestamp, Event, Transition)>,
}

/// One service in memory, equal to what the store holds.
#[derive(Debug)]
struct Held {
    service: Shared<Service>,
    wake_at: Option<Timestamp>,
}

impl<L: Log> Executor<L> {
    /// Takes over everything in `store` under a new epoch. The effects hand out every plan anew.
    ///
    /// # Errors
    /// When the store cannot be read or written; it is given back.
    pub fn open(
        mut store: L,
        ballast: Option<Ballast>,
        now: Timestamp,
    ) -> Result<(Self, Vec<Effect>), NotOpened<L>> {
        let taken = store.claim_epoch().and_then(|epoch| Ok((epoch, store.services()?)));
        let (epoch, stored) = match taken {
            Ok(taken) => taken,
            Err(error) => return Err(Box::new((store, error.into()))),
        };
        let services = stored.into_iter().map(|s| (s.name.clone(), Held::new(s))).collect();
        let mut executor =
            Self { store, ballast, epoch, services, trouble: None, unwritten: vec![] };
        let told = executor.go_back_again(now);
        let took_over = || Event::TookOver { epoch, rollouts: 0 };
        let facts: Vec<_> = executor.services.keys().map(|n| (n.clone(), took_over())).collect();
        let Outcome { effects, mut failed } = executor.submit_all(&facts, now);
        match failed.pop() {
            None => {
                executor.note_ways_back();
                Ok((executor, told.into_iter().chain(effects).collect()))
            }
            Some((_, error)) => Err(Box::new((executor.store, error))),
        }
    }

    /// Takes ways back again that the controller before took and could not write, before anything
    /// else is decided. Their plans are issued with all the others, under the new epoch.
    fn go_back_again(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut told = Vec::new();
        for WayBackNote { service, back } in self.store.ways_back() {
            let event = Event::WentBack(back);
            let effects = self.submit(&service, &event, now).unwrap_or_default();
            told.extend(effects.into_iter().filter(|e| !matches!(e, Effect::Apply(_))));
        }
        told
    }

    /// Notes how far each way back came; the newest counts.
    fn note_ways_back(&mut self) {
        let turned = |(_, _, t): &(Timestamp, Event, Transition)| {
            let back = how_far(t.next.rollout.as_ref()?);
            Some((t.next.name.clone(), back))
        };
        let newest: BTreeMap<_, _> = self.unwritten.iter().filter_map(turned).collect();
        let notes = newest.into_iter().map(|(service, back)| WayBackNote { service, back });
        self.store.note_ways_back(&notes.collect::<Vec<_>>());
    }

    /// This controller's epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The store, for reading.
    pub fn store(&self) -> &L {
        &self.store
    }

    /// The store, for what is beside the services.
    pub fn store_mut(&mut self) -> &mut L {
        &mut self.store
    }

    /// Gives the held-back disk space up, for what must be written on a full disk. It is taken
    /// again when there is room.
    pub fn release_ballast(&self) {
        if let Some(ballast) = &self.ballast {
            ballast.release();
        }
    }

    /// Ends this executor as a crash would: nothing is written.
    pub fn into_store(self) -> L {
        self.store
    }

    /// Why nothing can be stored now, if so.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// All services, by name.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values().map(|held| &*held.service)
    }

    /// One service.
    pub fn service(&self, name: &ServiceName) -> Option<&Service> {
        self.services.get(name).map(|held| &*held.service)
    }

    /// The soonest time a service wants to be woken.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.services.values().filter_map(|held| held.wake_at).min()
    }

    /// Services whose time has come.
    pub fn due(&self, now: Timestamp) -> Vec<ServiceName> {
        let due = |held: &&Held| held.wake_at.is_some_and(|at| at <= now);
        self.services.values().filter(due).map(|held| held.service.name.clone()).collect()
    }

    /// Plans nobody has confirmed yet; they are owed until then, also without a rollout.
    pub fn owed(&self) -> Vec<Shared<Plan>> {
        let owed = self.services.values().filter(|held| !held.service.is_applied());
        owed.filter_map(|held| held.service.plan.clone()).collect()
    }

    /// Absorbs one fact about one service: decides, stores, and says what to do.
    ///
    /// # Errors
    /// Refused by the engine, unknown service, or not storable. In each case nothing changed,
    /// except that on a full disk the way back to stable is taken all the same.
    pub fn submit(
        &mut self,
        name: &ServiceName,
        event: &Event,
        now: Timestamp,
    ) -> Result<Vec<Effect>, Error> {
        let Some(held) = self.services.get(name) else { return self.create(name, event, now) };
        if is_old_news(&held.service, event) {
            return Ok(vec![]);
        }
        let transition = step(&held.service, event, now);
        if let Some(refusal) = transition.refused {
            return Err(refusal.into());
        }
        if changes_nothing(&held.service, &transition) {
            self.services.insert(name.clone(), Held::after(transition));
            return Ok(vec![]);
        }
        self.settle(vec![(event, transition)], now)
    }

    /// What `event` would lead to, without doing it.
    pub fn preview(
        &self,
        name: &ServiceName,
        event: &Event,
        now: Timestamp,
    ) -> Result<Transition, Error> {
        let blank = deploy_of(event).map(|ask| Service::new(ask.spec.clone()));
        let known = self.services.get(name).map(|held| &*held.service).or(blank.as_ref());
        let service = known.ok_or_else(|| Error::UnknownService(name.clone()))?;
        let mut transition = step(service, event, now);
        transition.refused.take().map_or(Ok(transition), |refusal| Err(refusal.into()))
    }

    /// Says that the disk is as good as full, before a decision finds out.
    pub fn note_full_disk(&mut self) {
        self.trouble.get_or_insert_with(|| StoreError::Full.to_string());
    }

    /// Writes what could not be written, and takes the held-back disk space again when there is
    /// room. Whether storing works.
    pub fn recover(&mut self, now: Timestamp) -> bool {
        let written = self.unwritten.is_empty() || self.commit(&[], now).is_ok();
        let held = self.ballast.as_ref().is_none_or(|ballast| ballast.hold().is_ok());
        if written && held {
            self.trouble = None;
        }
        written && held
    }

    /// A first deploy makes the service; it begins under this controller's epoch, after the
    /// rollouts of an earlier service of its name. Both events are stored or neither.
    fn create(
        &mut self,
        name: &ServiceName,
        event: &Event,
        now: Timestamp,
    ) -> Result<Vec<Effect>, Error> {
        let ask = deploy_of(event).ok_or_else(|| Error::UnknownService(name.clone()))?;
        let rollouts = self.store.last_rollout(name)?;
        let took_over = Event::TookOver { epoch: self.epoch, rollouts };
        let first = step(&Service::new(ask.spec.clone()), &took_over, now);
        let second = step(&first.next, event, now);
        if let Some(refusal) = second.refused {
            return Err(refusal.into());
        }
        self.settle(vec![(&took_over, first), (event, second)], now)
    }

    /// Makes transitions of one service durable, then takes the last as the truth.
    fn settle(
        &mut self,
        mut turns: Vec<(&Event, Transition)>,
        now: Timestamp,
    ) -> Result<Vec<Effect>, Error> {
        let last = self.write(&turns, now)?;
        let Some((_, newest)) = turns.pop() else { return Ok(vec![]) };
        let mut effects = effects(&newest, last);
        let name = newest.next.name.clone();
        if newest.next.is_gone() {
            self.services.remove(&name);
            effects.push(Effect::Forget(name));
        } else {
            self.services.insert(name, Held::after(newest));
        }
        Ok(effects)
    }

    /// Writes in one transaction, together with what could not be written before. When nothing
    /// can be stored nothing new is decided, but the way back is open: on a full disk held-back
    /// space is given up for it, and if it still cannot be written it is taken at once and
    /// written later.
    fn write(
        &mut self,
        turns: &[(&Event, Transition)],
        now: Timestamp,
    ) -> Result<Option<u64>, Error> {
        let error = match self.commit(turns, now) {
            Ok(last) => return Ok(last),
            Err(error) => error,
        };
        self.trouble = Some(error.to_string());
        let is_safe = turns.iter().all(|(_, transition)| self.is_way_back(transition));
        if !is_safe && !turns.iter().any(|(event, _)| event.asks_back()) {
            return Err(error.into());
        }
        if let Some(ballast) = self.ballast.as_ref().filter(|_| matches!(error, StoreError::Full)) {
            ballast.release();
        }
        let written = self.commit(turns, now);
        if !is_safe {
            return Ok(written?);
        }
        if written.is_err() {
            let later = turns.iter().map(|(event, t)| (now, (*event).clone(), t.clone()));
            self.unwritten.extend(later);
            self.note_ways_back();
        }
        Ok(written.unwrap_or(None))
    }

    fn commit(
        &mut self,
        turns: &[(&Event, Transition)],
        now: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        let older = self.unwritten.iter().map(|(at, event, t)| commit_of(*at, event, t));
        let newer = turns.iter().map(|(event, t)| commit_of(now, event, t));
        let all: Vec<_> = older.chain(newer).collect();
        let last = self.store.commit(&all)?;
        if !self.unwritten.is_empty() {
            self.unwritten.clear();
            self.note_ways_back();
        }
        Ok(last)
    }

    /// Whether a way back is decided on whose first order is yet to come: where instances trade
    /// places, stable has to get its own back first.
    fn begins_way_back(&self, transition: &Transition) -> bool {
        let reverts = |service: &Service| {
            let phase = service.rollout.as_ref().map(|rollout| &rollout.phase);
            matches!(phase, Some(Phase::Reverting { .. }))
        };
        let before = self.services.get(&transition.next.name);
        let had = before.is_some_and(|held| reverts(&held.service));
        transition.apply.is_none() && reverts(&transition.next) && !had
    }

    /// Whether it only moves traffic to stable and starts nothing, no other rollout either: the
    /// next controller knows it by the rollout that goes back.
    fn is_way_back(&self, transition: &Transition) -> bool {
        let before = self.services.get(&transition.next.name).map(|held| &*held.service);
        let under_way = |service: &Service| service.rollout.as_ref().map(|rollout| rollout.id);
        let begins = under_way(&transition.next)
            .is_some_and(|id| before.and_then(under_way).is_none_or(|before| before != id));
        if begins {
            return false;
        }
        let before = before.and_then(|service| service.plan.as_deref());
        let Some((plan, before)) = transition.apply.as_ref().zip(before) else {
            return self.begins_way_back(transition);
        };
        let starts_nothing = plan.revisions.keys().all(|id| before.revisions.contains_key(id));
        starts_nothing && moves_only_to_stable(plan, Some(before))
    }
}

impl Executor {
    /// Makes the store smaller in small steps, as long as `goes_on` and nothing is wrong with it.
    /// Whether there may be more to do.
    pub fn compact(&mut self, now: Timestamp, mut goes_on: impl FnMut() -> bool) -> bool {
        // A store that takes no decisions is left alone: they come first when there is room.
        while self.trouble.is_none() && self.unwritten.is_empty() && goes_on() {
            match self.store.compact(now) {
                Ok(true) => {}
                // What cannot be done now is tried again at another time.
                Ok(false) | Err(_) => return false,
            }
        }
        true
    }
}

impl Held {
    fn new(service: Shared<Service>) -> Self {
        Self { service, wake_at: None }
    }

    fn after(transition: Transition) -> Self {
        Self { service: transition.next, wake_at: transition.wake_at }
    }
}

fn commit_of<'a>(at: Timestamp, event: &'a Event, transition: &'a Transition) -> Commit<'a> {
    Commit {
        at,
        event,
        service: &transition.next,
        apply: transition.apply.as_deref(),
        journal: &transition.journal,
        records: &transition.records,
        ticks: &transition.ticks,
        notices: &transition.notices,
    }
}

fn how_far(rollout: &Rollout) -> WentBack {
    let places = rollout.places.as_ref();
    let left = |p: &Places| PlacesLeft { candidate: p.candidate, stable: p.stable };
    WentBack { rollout: rollout.id, weight: rollout.weight, places: places.map(left) }
}

fn deploy_of(event: &Event) -> Option<&DeployAsk> {
    match event {
        Event::Asked { ask: Ask::Deploy(ask), .. } => Some(ask),
        _ => None,
    }
}

/// An observation that says nothing new is not worth an entry in the log.
fn is_old_news(service: &Service, event: &Event) -> bool {
    let Event::Observed(seen) = event else { return false };
    let known = &service.observed;
    seen.seq <= known.seq || seen.shows_the_same(known)
}

fn changes_nothing(service: &Service, transition: &Transition) -> bool {
    transition.journal.is_empty()
        && transition.apply.is_none()
        && transition.ticks.is_empty()
        && *transition.next == *service
}

fn effects(transition: &Transition, last: Option<u64>) -> Vec<Effect> {
    let name = &transition.next.name;
    let first = last.map_or(0, |last| last + 1 - transition.journal.len() as u64);
    let tell = (first..).zip(&transition.journal);
    let tell = tell.map(|(seq, entry)| Effect::Tell(seq, name.clone(), entry.clone()));
    let ended = transition.records.iter();
    let ended = ended.map(|record| Effect::Ended(name.clone(), Box::new(record.clone())));
    let notices = transition.notices.iter();
    let notices = notices.map(|notice| Effect::Notify(name.clone(), notice.clone()));
    let plan = transition.apply.clone().map(Effect::Apply);
    plan.into_iter().chain(tell).chain(ended).chain(notices).collect()
}
