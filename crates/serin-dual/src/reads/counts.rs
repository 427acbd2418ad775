//! What was read and compared.

use crate::gate::Compared;
use crate::phase::Side;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

/// A key whose answers still differed at the last look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The key.
    pub key: String,
    /// The old store's answer, where [`Lookup::shown`](super::Lookup::shown) gives one.
    pub old: Option<String>,
    /// The new store's answer.
    pub new: Option<String>,
}

/// What was read and compared so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ReadCounts {
    /// Answers of the old store.
    pub from_old: u64,
    /// Answers of the new store.
    pub from_new: u64,
    /// Reads that the new store failed or was too slow for.
    pub fell_back: u64,
    /// Compared to the end: the next three together.
    pub compared: u64,
    /// Equal at once.
    pub equal: u64,
    /// Equal at a later look: a write was on its way.
    pub caught_up: u64,
    /// Different at the last look.
    pub differed: u64,
    /// Not compared: the other store failed or was too slow.
    pub failed: u64,
    /// Not compared: too many were under way.
    pub left_out: u64,
}

impl ReadCounts {
    /// As evidence for the next move, since `before`. An answer that did not come is a difference:
    /// callers would have had none.
    pub fn since(&self, before: &Self) -> Compared {
        let of = |pick: fn(&Self) -> u64| pick(self).saturating_sub(pick(before));
        let failed = of(|counts| counts.failed);
        Compared {
            compared: of(|counts| counts.compared) + failed,
            differed: of(|counts| counts.differed) + failed,
        }
    }
}

/// How a comparison ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Equal,
    CaughtUp,
    Failed,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    served: [AtomicU64; 2],
    fell_back: AtomicU64,
    equal: AtomicU64,
    caught_up: AtomicU64,
    differed: AtomicU64,
    failed: AtomicU64,
    left_out: AtomicU64,
    kept: usize,
    newest: Mutex<VecDeque<Mismatch>>,
}

impl Counts {
    pub(super) fn new(kept: usize) -> Self {
        Self { kept, ..Self::default() }
    }

    pub(super) fn served(&self, side: Side) {
        add(&self.served[usize::from(side == Side::New)]);
    }

    pub(super) fn fell_back(&self) {
        add(&self.fell_back);
    }

    pub(super) fn left_out(&self) {
        add(&self.left_out);
    }

    pub(super) fn ended(&self, end: End) {
        add(match end {
            End::Equal => &self.equal,
            End::CaughtUp => &self.caught_up,
            End::Failed => &self.failed,
        });
    }

    pub(super) fn differed(&self, mismatch: Mismatch) {
        add(&self.differed);
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.push_back(mismatch);
        while newest.len() > self.kept {
            newest.pop_front();
        }
    }

    pub(super) fn mismatches(&self) -> Vec<Mismatch> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(super) fn read(&self) -> ReadCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (equal, caught_up) = (of(&self.equal), of(&self.caught_up));
        let differed = of(&self.differed);
        ReadCounts {
            from_old: of(&self.served[0]),
            from_new: of(&self.served[1]),
            fell_back: of(&self.fell_back),
            compared: equal + caught_up + differed,
            equal,
            caught_up,
            differed,
            failed: of(&self.failed),
            left_out: of(&self.left_out),
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
