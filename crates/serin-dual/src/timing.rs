//! How long something takes, in a fixed amount of memory.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Eight buckets for each doubling of a microsecond: a quantile is at most an eighth too high.
const PER_DOUBLING: u64 = 8;
const BUCKETS: usize = 8 * 40;

/// Counts times, from any number of threads.
#[derive(Debug)]
pub struct Timings {
    buckets: Box<[AtomicU64]>,
    longest: AtomicU64,
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Timing {
    /// How many.
    pub count: u64,
    /// Half took at most this, up to an eighth more than it was.
    pub p50: Duration,
    /// 99 of 100 took at most this, up to an eighth more than it was.
    pub p99: Duration,
    /// The longest, exactly.
    pub longest: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        let buckets = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self { buckets, longest: AtomicU64::new(0) }
    }
}

impl Timings {
    /// Counts one.
    pub fn add(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let bucket = bucket(nanos / 1000);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.longest.fetch_max(nanos, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn read(&self) -> Timing {
        let counts: Vec<u64> = self.buckets.iter().map(|b| b.load(Ordering::Relaxed)).collect();
        let count = counts.iter().sum();
        let longest = Duration::from_nanos(self.longest.load(Ordering::Relaxed));
        let quantile = |parts: u64| quantile(&counts, count, parts).min(longest);
        Timing { count, p50: quantile(50), p99: quantile(99), longest }
    }
}

fn bucket(micros: u64) -> usize {
    if micros < PER_DOUBLING {
        return micros as usize;
    }
    let doubling = u64::from(micros.ilog2());
    let part = (micros >> (doubling - 3)) & (PER_DOUBLING - 1);
    (((doubling - 2) * PER_DOUBLING + part) as usize).min(BUCKETS - 1)
}

/// The first microsecond that is above the bucket.
fn above(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < PER_DOUBLING {
        return bucket + 1;
    }
    let (doubling, part) = (bucket / PER_DOUBLING + 2, bucket % PER_DOUBLING);
    (PER_DOUBLING + part + 1) << (doubling - 3)
}

fn quantile(counts: &[u64], count: u64, parts: u64) -> Duration {
    let rank = (count * parts).div_ceil(100);
    let mut seen = 0;
    let found = counts.iter().position(|in_bucket| {
        seen += in_bucket;
        seen >= rank && rank > 0
    });
    found.map_or(Duration::ZERO, |bucket| Duration::from_micros(above(bucket)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_and_hold_their_times() {
        for micros in (0..5000).chain([1 << 20, (1 << 30) + 12345]) {
            let found = bucket(micros);
            assert!(above(found) > micros, "{micros}");
            assert!(found == 0 || above(found - 1) <= micros, "{micros}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles() {
        let timings = Timings::default();
        assert_eq!(timings.read(), Timing::default());
        for millis in 1..=100 {
            timings.add(Duration::from_millis(millis));
        }
        let Timing { count, p50, p99, longest } = timings.read();
        assert_eq!((count, longest), (100, Duration::from_millis(100)));
        assert!((50..=57).contains(&p50.as_millis()), "{p50:?}");
        assert!((99..=100).contains(&p99.as_millis()), "{p99:?}");
    }
}
