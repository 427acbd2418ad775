//! One comparison.

use super::counts::{Counts, End};
use super::{Lookup, Mismatch, ReadSettings, ask};
use crate::phase::Side;
use std::sync::Arc;

/// A read that was answered by `from` and is compared with the other store.
pub(super) struct Job<L> {
    pub lookup: Arc<L>,
    pub counts: Arc<Counts>,
    pub settings: ReadSettings,
    pub key: String,
    pub from: Side,
}

/// Counts as failed what is dropped before its end: a panic in the reading code.
struct Ending<'a>(&'a Counts, Option<End>);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if let Some(end) = self.1 {
            self.0.ended(end);
        }
    }
}

impl<L: Lookup> Job<L> {
    pub(super) async fn run(self, value: L::Value) {
        let mut ending = Ending(&self.counts, Some(End::Failed));
        let Some(other) = self.ask(self.from.other()).await else { return };
        let mine = self.lookup.normalised(value, self.from);
        if mine == other {
            ending.1 = Some(End::Equal);
            return;
        }
        let mut last = (mine, other);
        for _ in 0..self.settings.looks {
            tokio::time::sleep(self.settings.again).await;
            let Some(pair) = self.ask_both().await else { return };
            if pair.0 == pair.1 {
                ending.1 = Some(End::CaughtUp);
                return;
            }
            last = pair;
        }
        ending.1 = None;
        self.differed(&last.0, &last.1);
    }

    async fn ask_both(&self) -> Option<(L::Value, L::Value)> {
        let (mine, other) = tokio::join!(self.ask(self.from), self.ask(self.from.other()));
        mine.zip(other)
    }

    /// The normalised answer, if it comes in time.
    async fn ask(&self, side: Side) -> Option<L::Value> {
        let asked = tokio::time::timeout(self.settings.limit, ask(&*self.lookup, side, &self.key));
        let value = asked.await.ok()?.ok()?;
        Some(self.lookup.normalised(value, side))
    }

    fn differed(&self, mine: &L::Value, other: &L::Value) {
        let (old, new) = match self.from {
            Side::Old => (mine, other),
            Side::New => (other, mine),
        };
        let shown = |value| self.lookup.shown(value);
        let mismatch = Mismatch { key: self.key.clone(), old: shown(old), new: shown(new) };
        self.counts.differed(mismatch.clone());
        self.lookup.differs(&mismatch);
    }
}
