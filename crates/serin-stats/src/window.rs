//! The recent past of one arm's latency: the last 10 s to 5 min, in two generations.

use crate::bucket::{MAX_BUCKET, bucket_middle_ms};
use crate::hist::Histogram;
use serde::{Deserialize, Serialize};

/// The bucket of unfinished requests: slower than everything.
pub const UNFINISHED: u16 = MAX_BUCKET + 1;
/// A generation ends when it is this old and full ...
const MIN_SECONDS: u64 = 10;
/// ... that is, has so many requests (a hundred above the 99th percentile) ...
const FULL: u64 = 10_000;
/// ... or when it is this old.
const MAX_SECONDS: u64 = 150;

/// A sliding latency histogram. Counts are integers, so that it is exact and small.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// (bucket, count in the generation before, count in this one), sorted by bucket.
    entries: Vec<(u16, u64, u64)>,
    /// Seconds and requests in this generation.
    seconds: u64,
    requests: u64,
}

impl Window {
    /// Adds one tick of `seconds`, and forgets what is too old.
    pub fn learn(&mut self, seconds: u32, latency: &Histogram, unfinished: u64) {
        self.merge(latency.iter().chain((unfinished > 0).then_some((UNFINISHED, unfinished))));
        self.seconds = self.seconds.saturating_add(u64::from(seconds));
        let n = latency.total().saturating_add(unfinished);
        self.requests = self.requests.saturating_add(n);
        let full = self.seconds >= MIN_SECONDS && self.requests >= FULL;
        if full || self.seconds >= MAX_SECONDS {
            self.turn();
        }
    }

    fn merge(&mut self, news: impl Iterator<Item = (u16, u64)>) {
        let mut at = 0;
        for (bucket, count) in news {
            while self.entries.get(at).is_some_and(|e| e.0 < bucket) {
                at += 1;
            }
            match self.entries.get_mut(at) {
                Some(e) if e.0 == bucket => e.2 = e.2.saturating_add(count),
                _ => self.entries.insert(at, (bucket, 0, count)),
            }
        }
    }

    /// Starts a new generation; the one before the last is forgotten.
    fn turn(&mut self) {
        self.entries.retain(|e| e.2 > 0);
        for e in &mut self.entries {
            (e.1, e.2) = (e.2, 0);
        }
        (self.seconds, self.requests) = (0, 0);
    }

    /// Requests remembered.
    pub fn total(&self) -> u64 {
        self.entries.iter().fold(0, |sum, e| sum.saturating_add(e.1).saturating_add(e.2))
    }

    /// The bucket of each quantile in `levels` (ascending, within 0..1). `None` where fewer than
    /// `least` requests are expected above the quantile, or where it lies among the unfinished.
    pub fn quantiles<const N: usize>(&self, levels: &[f64; N], least: f64) -> [Option<u16>; N] {
        let total = self.total() as f64;
        let mut found = [None; N];
        let mut below = 0.0;
        let mut next = 0;
        for e in &self.entries {
            below += e.1 as f64 + e.2 as f64;
            while next < N && below >= levels[next] * total {
                let enough = total * (1.0 - levels[next]) >= least - 1e-6;
                found[next] = (enough && e.0 <= MAX_BUCKET).then_some(e.0);
                next += 1;
            }
        }
        found
    }

    /// Median and 99th percentile in milliseconds, for display.
    pub fn summary_ms(&self) -> [Option<f64>; 2] {
        self.quantiles(&[0.5, 0.99], 0.0).map(|b| b.map(bucket_middle_ms))
    }
}
