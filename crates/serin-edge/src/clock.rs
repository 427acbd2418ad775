//! The time of day.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub fn now_s() -> u64 {
    since().as_secs()
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    since().as_millis() as u64
}

fn since() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
