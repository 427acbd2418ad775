//! How fast a service's stable revision answers, and so how long its cohorts wait.

use crate::hist::Hist;
use std::cell::{Cell, RefCell};

const MIN_DELAY_MS: u64 = 1_000;
/// Finished requests of stable needed before its p99 is believed.
const PACE_NEEDS: u64 = 20;
/// The pace forgets half of what it knows this often.
const PACE_HALF_LIFE_MS: u64 = 10_000;

/// How fast a service's stable revision answers, from its recent requests.
#[derive(Default)]
pub struct Pace {
    pub(super) recent: RefCell<Hist>,
    halved_ms: Cell<u64>,
}

impl Pace {
    /// Longest time after its second at which a cohort closes.
    pub const MAX_DELAY_MS: u64 = 30_000;

    /// A request of stable was answered without error.
    pub fn add(&self, bucket: u16, now_ms: u64) {
        let mut recent = self.recent.borrow_mut();
        if now_ms >= self.halved_ms.get() + PACE_HALF_LIFE_MS {
            self.halved_ms.set(now_ms);
            if recent.total() >= 2 * PACE_NEEDS {
                recent.halve();
            }
        }
        recent.add(bucket);
    }

    /// How long after its second a cohort closes; `None` while stable's pace is unknown.
    pub fn delay_ms(&self) -> Option<u64> {
        let recent = self.recent.borrow();
        if recent.total() < PACE_NEEDS {
            return None;
        }
        let p99 = recent.quantile_us(0.99)?;
        Some((4 * p99 / 1_000).clamp(MIN_DELAY_MS, Self::MAX_DELAY_MS))
    }
}
