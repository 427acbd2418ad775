//! Time that never jumps, and how far the wall clock is from it.

use serin_core::Timestamp;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Smaller differences are drift of no importance; following them would make every time flutter.
const STEP_MS: i64 = 1000;

/// Counts from the wall clock's time at its start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
    base: i64,
    shift: i64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now(), base: wall_ms(), shift: 0 }
    }

    /// Now, by the steady clock.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.base + self.origin.elapsed().as_millis() as i64)
    }

    /// The moment of the system's steady clock at which `at` comes.
    pub(crate) fn instant(&self, at: Timestamp) -> Instant {
        let after = u64::try_from(at.0 - self.base).unwrap_or(0);
        self.origin + std::time::Duration::from_millis(after)
    }

    /// What to add to a time of this clock for the wall clock's.
    pub(crate) fn shift(&self) -> i64 {
        self.shift
    }

    /// Looks at the wall clock; follows it when it was set.
    pub(crate) fn compare(&mut self) {
        let shift = wall_ms() - self.now().0;
        if (shift - self.shift).abs() >= STEP_MS {
            self.shift = shift;
        }
    }
}

fn wall_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_millis() as i64)
}
