//! What was calculated and compared.

use crate::timing::{Timing, Timings};
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// An input whose results differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShadowMismatch {
    /// What the caller wants to see of it; empty without a [`Builder::shown`](super::Builder::shown).
    pub shown: String,
}

/// What was calculated and compared so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ShadowCounts {
    /// Compared to the end.
    pub compared: u64,
    /// Compared, and different.
    pub differed: u64,
    /// Times the new calculation panicked.
    pub panicked: u64,
    /// Results that came too late.
    pub timed_out: u64,
    /// Calculations that run for too long right now.
    pub hanging: u64,
    /// Left out: no thread was free and enough waited.
    pub left_out: u64,
    /// Left out: the budget was spent.
    pub too_dear: u64,
    /// Times of the old calculation, of the calls in the sample.
    pub old: Timing,
    /// Times of the new one, of the same calls.
    pub new: Timing,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    compared: AtomicU64,
    differed: AtomicU64,
    panicked: AtomicU64,
    timed_out: AtomicU64,
    left_out: AtomicU64,
    too_dear: AtomicU64,
    pub(super) old: Timings,
    pub(super) new: Timings,
    kept: usize,
    newest: Mutex<VecDeque<ShadowMismatch>>,
}

impl Counts {
    pub(super) fn new(kept: usize) -> Self {
        Self { kept, ..Self::default() }
    }

    pub(super) fn compared(&self) {
        add(&self.compared);
    }

    pub(super) fn panicked(&self) {
        add(&self.panicked);
    }

    pub(super) fn timed_out(&self) {
        add(&self.timed_out);
    }

    pub(super) fn left_out(&self) {
        add(&self.left_out);
    }

    pub(super) fn too_dear(&self) {
        add(&self.too_dear);
    }

    pub(super) fn differed(&self) {
        add(&self.differed);
    }

    pub(super) fn keep(&self, mismatch: ShadowMismatch) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.push_back(mismatch);
        while newest.len() > self.kept {
            newest.pop_front();
        }
    }

    pub(super) fn mismatches(&self) -> Vec<ShadowMismatch> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(super) fn read(&self) -> ShadowCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ShadowCounts {
            compared: of(&self.compared),
            differed: of(&self.differed),
            panicked: of(&self.panicked),
            timed_out: of(&self.timed_out),
            hanging: 0,
            left_out: of(&self.left_out),
            too_dear: of(&self.too_dear),
            old: self.old.read(),
            new: self.new.read(),
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
