//! Unix time that never steps back: taken once at the start, then carried by the monotonic clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Clock of one process; copies agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    start_ms: u64,
}

impl Clock {
    /// A clock that begins now.
    pub fn start() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), start_ms: since.as_millis() as u64 }
    }

    /// Milliseconds of Unix time at the start: the data plane's epoch.
    pub fn epoch(&self) -> u64 {
        self.start_ms
    }

    /// Milliseconds of Unix time at an instant.
    pub fn ms(&self, at: Instant) -> u64 {
        self.start_ms + at.saturating_duration_since(self.start).as_millis() as u64
    }

    /// Milliseconds of Unix time now.
    pub fn now_ms(&self) -> u64 {
        self.ms(Instant::now())
    }
}
