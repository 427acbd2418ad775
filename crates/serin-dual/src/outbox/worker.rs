//! The worker's side: one round.

use super::error::{Error, Refusal};
use super::queue::{self, Among, Claimed};
use super::{Change, Stores};
use crate::phase::Side;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, IsolationLevel, Transaction};

/// What a dead letter does to later writes of its key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnDead {
    /// They wait: order counts more than being up to date.
    #[default]
    Wait,
    /// They go on: right where each change carries the whole state.
    Pass,
}

/// How a worker works.
#[derive(Debug, Clone, Copy)]
pub struct WorkerSettings {
    /// Rows taken at once, 1 to 10 000; their transaction stays open while they are applied.
    pub batch: u32,
    /// Rows applied in one transaction of the other store, from 1.
    pub together: usize,
    /// Tries before a refused change is given up. A store that is gone does not count.
    pub attempts: u32,
    /// Pause after the first refusal; doubled with each, at most a thousand times it.
    pub pause: Duration,
    /// Longest time of a round, and of one statement in the other store; then it is tried again.
    /// Meanwhile the outbox's database keeps what VACUUM would take away.
    pub limit: Duration,
    /// Pause when nothing waits.
    pub idle: Duration,
    /// What a dead letter does to later writes of its key.
    pub on_dead: OnDead,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            batch: 200,
            together: 20,
            attempts: 8,
            pause: Duration::from_millis(100),
            limit: Duration::from_secs(30),
            idle: Duration::from_millis(50),
            on_dead: OnDead::Wait,
        }
    }
}

/// Brings what was written in one store to the other. Any number of them may run, anywhere.
#[derive(Debug)]
pub struct Worker<S> {
    pub(super) stream: String,
    pub(super) stores: Arc<S>,
    /// The store whose outbox it empties.
    pub(super) from: Side,
    pub(super) settings: WorkerSettings,
    /// Rounds since the last one that looked at all that waits and found something.
    barren: AtomicU32,
}

/// One in so many rounds that find nothing among the oldest rows looks at all of them.
const ALL_EACH: u32 = 20;

/// What a round did.
#[derive(Debug, Default)]
pub struct Round {
    /// Rows taken from the outbox.
    pub claimed: u64,
    /// Changes made.
    pub applied: u64,
    /// Changes that were there already: after a kill.
    pub repeated: u64,
    /// Changes that were refused and are tried again.
    pub refused: u64,
    /// Changes given up.
    pub dead: u64,
    /// Why it ended early: the other store is gone or full. Nothing is lost; try again.
    pub stopped: Option<Refusal>,
    done: Vec<i64>,
    failures: Vec<(i64, i32, Refusal)>,
    blocked: BTreeSet<String>,
}

const MARK: &str = "\
INSERT INTO serin.dual_applied AS a (stream, key, position) VALUES ($1, $2, $3)
ON CONFLICT (stream, key) DO UPDATE SET position = excluded.position, applied_at = clock_timestamp()
WHERE a.position < excluded.position";

impl<S: Stores> Worker<S> {
    /// A worker that empties the outbox of the store `from`.
    pub fn new(dual: &super::Dual<S>, from: Side, settings: WorkerSettings) -> Self {
        let (stream, stores) = (dual.stream.clone(), Arc::clone(&dual.stores));
        Self { stream, stores, from, settings, barren: AtomicU32::new(0) }
    }

    /// Takes some rows, applies them, and takes them out of the outbox. `outbox` is a connection
    /// to the store whose outbox it is, `store` one to the other.
    ///
    /// # Errors
    /// [`Error::Database`] about the outbox. What happens to the other store is in [`Round`].
    pub async fn round(&self, outbox: &mut Client, store: &mut Client) -> Result<Round, Error> {
        let isolation = IsolationLevel::ReadCommitted;
        let held = outbox.build_transaction().isolation_level(isolation).start().await;
        let held = held.map_err(Error::at(self.from, "beginning a round"))?;
        let rows = self.claim(&held).await?;
        let mut round = Round { claimed: rows.len() as u64, ..Round::default() };
        for some in rows.chunks(self.settings.together.max(1)) {
            self.apply(store, some, &mut round).await?;
            if round.stopped.is_some() {
                break;
            }
        }
        self.settle(&held, &mut round).await?;
        held.commit().await.map_err(Error::at(self.from, "ending a round"))?;
        Ok(round)
    }

    async fn claim(&self, outbox: &Transaction<'_>) -> Result<Vec<Claimed>, Error> {
        let WorkerSettings { batch, on_dead, .. } = self.settings;
        let claim = |among| queue::claim(outbox, self.from, &self.stream, batch, on_dead, among);
        let rows = claim(Among::Oldest).await?;
        let is_turn = || self.barren.fetch_add(1, Ordering::Relaxed).is_multiple_of(ALL_EACH);
        if !rows.is_empty() || !is_turn() {
            return Ok(rows);
        }
        let rows = claim(Among::All).await?;
        if !rows.is_empty() {
            self.barren.store(0, Ordering::Relaxed);
        }
        Ok(rows)
    }

    /// Some rows in one transaction, and each by itself where that fails.
    async fn apply(
        &self,
        store: &mut Client,
        rows: &[Claimed],
        round: &mut Round,
    ) -> Result<(), Error> {
        let open: Vec<&Claimed> =
            rows.iter().filter(|row| !round.blocked.contains(&row.key)).collect();
        match self.attempt(store, &open).await? {
            Ok(applied) => round.applied(&open, applied),
            Err(refusal) if refusal.is_passing() => round.stopped = Some(refusal),
            Err(_) => self.apply_each(store, &open, round).await?,
        }
        Ok(())
    }

    async fn apply_each(
        &self,
        store: &mut Client,
        rows: &[&Claimed],
        round: &mut Round,
    ) -> Result<(), Error> {
        for row in rows {
            if round.blocked.contains(&row.key) {
                continue;
            }
            match self.attempt(store, &[row]).await? {
                Ok(applied) => round.applied(&[row], applied),
                Err(refusal) if refusal.is_passing() => {
                    round.stopped = Some(refusal);
                    return Ok(());
                }
                Err(refusal) => round.refused(row, refusal),
            }
        }
        Ok(())
    }

    /// How many of the rows were new to the store, or why none was applied.
    async fn attempt(
        &self,
        store: &mut Client,
        rows: &[&Claimed],
    ) -> Result<Result<u64, Refusal>, Error> {
        let changes = rows.iter().map(|row| serde_json::from_str(&row.change));
        let changes = changes.collect::<Result<Vec<Change>, _>>()?;
        let made = self.make(store, rows, &changes).await;
        Ok(made)
    }

    async fn make(
        &self,
        store: &mut Client,
        rows: &[&Claimed],
        changes: &[Change],
    ) -> Result<u64, Refusal> {
        let isolation = IsolationLevel::ReadCommitted;
        let store = store.build_transaction().isolation_level(isolation).start().await?;
        let limit = self.settings.limit.as_millis().max(1);
        store.batch_execute(&format!("SET LOCAL statement_timeout = {limit}")).await?;
        let mut applied = 0;
        for (row, change) in rows.iter().zip(changes) {
            // The row of the key is held until the commit: whoever else brings it waits here.
            if self.is_new(&store, row).await? {
                self.make_one(&store, change).await?;
                applied += 1;
            }
        }
        store.commit().await?;
        Ok(applied)
    }

    /// Notes the position of a key, unless it is there.
    async fn is_new(&self, store: &Transaction<'_>, row: &Claimed) -> Result<bool, Refusal> {
        let (stream, key) = ((&self.stream as _, Type::TEXT), (&row.key as _, Type::TEXT));
        let position = (&row.position as _, Type::INT8);
        Ok(store.execute_typed(MARK, &[stream, key, position]).await? == 1)
    }

    async fn make_one(&self, store: &Transaction<'_>, change: &Change) -> Result<(), Refusal> {
        match self.from {
            Side::Old => self.stores.in_new(store, change).await,
            Side::New => self.stores.in_old(store, change).await,
        }
    }

    /// Writes down in the outbox what became of the rows.
    async fn settle(&self, outbox: &Transaction<'_>, round: &mut Round) -> Result<(), Error> {
        if !round.done.is_empty() {
            queue::done(outbox, self.from, &round.done).await?;
        }
        for (position, attempts, refusal) in &round.failures {
            let again = self.pause(*attempts);
            queue::failed(outbox, self.from, *position, refusal, again).await?;
            match again {
                Some(_) => round.refused += 1,
                None => round.dead += 1,
            }
        }
        Ok(())
    }

    /// The pause before the next try after so many earlier ones; none when it is given up.
    fn pause(&self, attempts: i32) -> Option<Duration> {
        let earlier = attempts.unsigned_abs();
        (earlier + 1 < self.settings.attempts)
            .then(|| self.settings.pause * 2_u32.pow(earlier.min(10)))
    }
}

impl Round {
    fn applied(&mut self, rows: &[&Claimed], applied: u64) {
        self.done.extend(rows.iter().map(|row| row.position));
        self.applied += applied;
        self.repeated += rows.len() as u64 - applied;
    }

    /// Later rows of the key wait, so that they are not applied before it.
    fn refused(&mut self, row: &Claimed, refusal: Refusal) {
        self.blocked.insert(row.key.clone());
        self.failures.push((row.position, row.attempts, refusal));
    }
}
