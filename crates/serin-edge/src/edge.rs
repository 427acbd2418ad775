//! The one thing all threads share: what holds, what was counted, how many streams are open.

use crate::follow::Lines;
use crate::met::Watcher;
use crate::otlp::Spans;
use crate::revision::Revision;
use crate::set::Source;
use crate::signature::Signer;
use crate::table::{Table, Upsert};
use crate::tally::{Counts, Tally};
use crate::world::{Refused, RefusedSet, World};
use serin_flags::{FlagSet, SetDefinition};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::watch;

/// How an edge is set up.
#[derive(Clone)]
pub struct Settings {
    /// Signs the addresses of event streams. The same in every process that serves the same
    /// clients, and after a restart; 32 random bytes, never shown.
    pub key: [u8; 32],
    /// Most event streams at a time; more are told to come back later.
    pub max_streams: usize,
}

impl Settings {
    /// Default of [`Self::max_streams`].
    pub const MAX_STREAMS: usize = 20_000;

    /// With this key.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key, max_streams: Self::MAX_STREAMS }
    }
}

/// Serves flags over every protocol. Shared by all threads; each serves with a worker of its own
/// ([`crate::Worker`]).
pub struct Edge {
    world: watch::Sender<Arc<World>>,
    /// Apart from the world, so that connections are not woken by every change.
    closing: watch::Sender<bool>,
    /// Held while a change is made.
    changing: Mutex<()>,
    pub(crate) signer: Signer,
    pub(crate) tally: Tally,
    /// Who is told of users in releases.
    pub(crate) watcher: OnceLock<Arc<dyn Watcher>>,
    pub(crate) spans: Spans,
    streams: AtomicUsize,
    max_streams: usize,
}

impl Edge {
    /// An edge without a set.
    pub fn new(settings: &Settings) -> Arc<Self> {
        let frame = Arc::new(Table::default());
        let world = World { fallback: frame.fallback.clone(), frame, ..World::default() };
        Arc::new(Self {
            world: watch::Sender::new(Arc::new(world)),
            closing: watch::Sender::new(false),
            changing: Mutex::new(()),
            signer: Signer::new(&settings.key),
            tally: Tally::default(),
            watcher: OnceLock::new(),
            spans: Spans::default(),
            streams: AtomicUsize::new(0),
            max_streams: settings.max_streams,
        })
    }

    /// Makes a table hold for every request from now on, and tells the open streams of sets that
    /// changed. Nothing is on disk yet. A set that cannot be used stays as it was, with what its
    /// new form kills switched off; which ones and why is returned.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed.
    pub fn replace(&self, mut table: Table) -> Result<Vec<RefusedSet>, Refused> {
        let sources = std::mem::take(&mut table.sets);
        self.change(|_| Ok((table, sources.into_iter().map(Source::Written).collect())), None)
    }

    /// The same with sets that are flagd documents, taken word for word.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed.
    pub fn replace_sources(
        &self,
        table: Table,
        sources: Vec<Source>,
    ) -> Result<Vec<RefusedSet>, Refused> {
        self.change(|_| Ok((table, sources)), None)
    }

    /// Changes one flag; of the others, only those that need it are looked at. If the set cannot be
    /// used so and the change switches the flag off, that alone holds, and why is returned.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed.
    pub fn upsert(&self, change: &Upsert) -> Result<Vec<RefusedSet>, Refused> {
        let make = |world: &World| {
            if change.base != world.revision {
                return Err(Refused::Stale(world.revision));
            }
            let held = world.sets.values().map(|set| set.source.clone());
            let (written, documents): (Vec<_>, Vec<_>) =
                held.partition(|source| matches!(source, Source::Written(_)));
            let sets = written.into_iter().filter_map(|source| match source {
                Source::Written(definition) => Some(definition),
                Source::Document { .. } => None,
            });
            let mut table = Table { sets: sets.collect(), ..Table::clone(&world.frame) };
            table = table.with(change);
            let sets = std::mem::take(&mut table.sets);
            let sources = sets.into_iter().map(Source::Written).chain(documents);
            Ok((table, sources.collect()))
        };
        self.change(make, Some(change))
    }

    /// Makes what `make` says hold. Sets that cannot be taken stay as they were, and are said; a
    /// change of one flag, `step`, is refused for that unless it switches the flag off.
    fn change<F>(&self, make: F, step: Option<&Upsert>) -> Result<Vec<RefusedSet>, Refused>
    where
        F: FnOnce(&World) -> Result<(Table, Vec<Source>), Refused>,
    {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.world();
        let (frame, sources) = make(&now)?;
        let (mut next, mut refused) = now.next(frame, sources, &self.tally)?;
        if let Some(step) = step {
            if !step.switches_off()
                && let Some(why) = refused.pop()
            {
                return Err(why.into());
            }
            next.lines = Lines::after(step);
        }
        self.world.send_replace(Arc::new(next));
        drop(now);
        self.tally.retire();
        Ok(refused)
    }

    /// The table that holds, as a host keeps it.
    pub fn table(&self) -> Table {
        let world = self.world();
        let sets = world.sets.values().filter_map(|set| match &set.source {
            Source::Written(definition) => Some(definition.clone()),
            Source::Document { .. } => None,
        });
        Table { sets: sets.collect(), ..Table::clone(&world.frame) }
    }

    /// Where the table that holds wants to be served.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.world().frame.listen.clone()
    }

    /// The sets that hold, as they were written and as they are evaluated.
    pub fn sets(&self) -> BTreeMap<String, (Arc<SetDefinition>, Arc<FlagSet>)> {
        let world = self.world();
        let written = world.sets.iter().filter_map(|(name, set)| match &set.source {
            Source::Written(definition) => {
                Some((name.clone(), (definition.clone(), set.flags.clone())))
            }
            Source::Document { .. } => None,
        });
        written.collect()
    }

    /// Position of the table that holds.
    pub fn revision(&self) -> Revision {
        self.world.borrow().revision
    }

    /// Ends all streams, so that their clients go elsewhere.
    pub fn close(&self) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = self.world().closed();
        self.world.send_replace(Arc::new(closed));
        self.closing.send_replace(true);
    }

    /// Everything counted since the process began.
    pub fn counts(&self) -> Counts {
        self.world().sets.values().for_each(|set| set.settle());
        Counts { streams: self.streams() as u64, ..self.tally.read() }
    }

    /// Open event streams.
    pub fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    pub(crate) fn world(&self) -> Arc<World> {
        self.world.borrow().clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Arc<World>> {
        self.world.subscribe()
    }

    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// A place among the open streams, if there is one.
    pub(crate) fn seat(self: &Arc<Self>) -> Option<Seat> {
        let seat = Seat { edge: self.clone() };
        let taken = self.streams.fetch_add(1, Ordering::Relaxed);
        (taken < self.max_streams).then_some(seat)
    }
}

/// A place among the open streams.
pub struct Seat {
    edge: Arc<Edge>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.edge.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
