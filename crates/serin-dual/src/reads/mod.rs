//! Reads of the store that the phase names, with a sample compared with the other store after the
//! caller has the answer.
//!
//! What differs is read again on both sides after a pause, so that a write on its way is no
//! difference. At most so many comparisons are under way; what comes on top is counted as left
//! out, and nobody waits.

mod background;
mod counts;
mod sample;

pub use counts::{Mismatch, ReadCounts};
pub(crate) use sample::Sampler;

use crate::phase::{Phase, Side};
use counts::Counts;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How a key is read in each of the two stores.
pub trait Lookup: Send + Sync + 'static {
    /// What both answer. "Not there" is an answer too: use an `Option`.
    type Value: Clone + PartialEq + Send + Sync + 'static;
    /// Why there is no answer.
    type Error: Display + Send;

    /// Reads in the old store.
    fn in_old(&self, key: &str) -> impl Future<Output = Result<Self::Value, Self::Error>> + Send;

    /// Reads in the new store.
    fn in_new(&self, key: &str) -> impl Future<Output = Result<Self::Value, Self::Error>> + Send;

    /// Makes a value the same on both sides where it may differ: an order, a rounding, a field
    /// that only one of them has.
    fn normalised(&self, value: Self::Value, from: Side) -> Self::Value {
        let _ = from;
        value
    }

    /// What is kept of a value that differs. Without it only the key is.
    fn shown(&self, value: &Self::Value) -> Option<String> {
        let _ = value;
        None
    }

    /// Told about each difference, once it is one: to log it, to alert someone.
    fn differs(&self, mismatch: &Mismatch) {
        let _ = mismatch;
    }
}

/// How reads are compared.
#[derive(Debug, Clone, Copy)]
pub struct ReadSettings {
    /// Reads of 100 000 that are compared.
    pub sample: u32,
    /// Comparisons under way at once.
    pub at_once: usize,
    /// Pause before what differs is read again.
    pub again: Duration,
    /// How often it is read again.
    pub looks: u32,
    /// Longest wait for an answer that is only compared.
    pub limit: Duration,
    /// Longest wait for the new store before the old one answers, in `read_new_dual_write`.
    pub fall_back_after: Duration,
    /// Differences kept, the newest ones.
    pub kept: usize,
}

impl Default for ReadSettings {
    fn default() -> Self {
        Self {
            sample: 1000,
            at_once: 16,
            again: Duration::from_millis(500),
            looks: 2,
            limit: Duration::from_secs(5),
            fall_back_after: Duration::from_secs(2),
            kept: 100,
        }
    }
}

/// Reads, and compares a sample.
#[derive(Debug)]
pub struct Reader<L> {
    lookup: Arc<L>,
    settings: ReadSettings,
    counts: Arc<Counts>,
    room: Arc<Semaphore>,
    sampler: Sampler,
}

impl<L: Lookup> Reader<L> {
    /// A reader.
    pub fn new(lookup: L, settings: ReadSettings) -> Self {
        Self {
            lookup: Arc::new(lookup),
            settings,
            counts: Arc::new(Counts::new(settings.kept)),
            room: Arc::new(Semaphore::new(settings.at_once.min(Semaphore::MAX_PERMITS))),
            sampler: Sampler::new(settings.sample),
        }
    }

    /// Reads `key` as `phase` says. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// What the store that answers said; in `read_new_dual_write` only when both failed.
    pub async fn read(&self, phase: Phase, key: &str) -> Result<L::Value, L::Error> {
        let reading = phase.reading();
        let (value, from) = if reading.falls_back {
            self.with_fallback(reading.from, key).await?
        } else {
            (ask(&*self.lookup, reading.from, key).await?, reading.from)
        };
        self.counts.served(from);
        // An answer of the other store has nothing to be compared with.
        if reading.compares && from == reading.from && self.sampler.takes() {
            self.compare(key, &value, from);
        }
        Ok(value)
    }

    async fn with_fallback(&self, from: Side, key: &str) -> Result<(L::Value, Side), L::Error> {
        let limit = self.settings.fall_back_after;
        let first = tokio::time::timeout(limit, ask(&*self.lookup, from, key)).await;
        if let Ok(Ok(value)) = first {
            return Ok((value, from));
        }
        self.counts.fell_back();
        let other = from.other();
        let second = ask(&*self.lookup, other, key).await;
        // Of two errors the one of the store that should have answered says more.
        second.map(|value| (value, other)).map_err(|error| match first {
            Ok(Err(first)) => first,
            _ => error,
        })
    }

    /// Behind the caller's back, if there is room.
    fn compare(&self, key: &str, value: &L::Value, from: Side) {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            self.counts.left_out();
            return;
        };
        let job = background::Job {
            lookup: Arc::clone(&self.lookup),
            counts: Arc::clone(&self.counts),
            settings: self.settings,
            key: key.to_owned(),
            from,
        };
        let value = value.clone();
        tokio::spawn(async move {
            job.run(value).await;
            drop(permit);
        });
    }

    /// What was read and compared since it began.
    pub fn counts(&self) -> ReadCounts {
        self.counts.read()
    }

    /// The newest differences, oldest first.
    pub fn mismatches(&self) -> Vec<Mismatch> {
        self.counts.mismatches()
    }

    /// Waits until no comparison is under way.
    pub async fn settled(&self) {
        let all = self.settings.at_once.min(Semaphore::MAX_PERMITS);
        // The semaphore is never closed.
        let _ = self.room.acquire_many(u32::try_from(all).unwrap_or(u32::MAX)).await;
    }
}

async fn ask<L: Lookup>(lookup: &L, side: Side, key: &str) -> Result<L::Value, L::Error> {
    match side {
        Side::Old => lookup.in_old(key).await,
        Side::New => lookup.in_new(key).await,
    }
}

#[cfg(test)]
mod tests;
