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

/// A sliding latency histogram. Counts are integers, so that it is exact, and of 32 bits in columns
/// of their own, so that both arms of a service whose latency fills every bucket stay below 21 KB.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Buckets in use, sorted.
    buckets: Vec<u16>,
    /// Their counts in the generation before ...
    before: Vec<u32>,
    /// ... and in this one. Both saturate.
    now: Vec<u32>,
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
            while self.buckets.get(at).is_some_and(|b| *b < bucket) {
                at += 1;
            }
            if self.buckets.get(at) != Some(&bucket) {
                self.buckets.insert(at, bucket);
                self.before.insert(at, 0);
                self.now.insert(at, 0);
            }
            self.now[at] = self.now[at].saturating_add(count.min(u64::from(u32::MAX)) as u32);
        }
    }

    /// Starts a new generation; the one before the last is forgotten.
    fn turn(&mut self) {
        let used = |at: &usize| self.now[*at] > 0;
        let kept: Vec<usize> = (0..self.now.len()).filter(used).collect();
        self.buckets = kept.iter().map(|at| self.buckets[*at]).collect();
        self.before = kept.iter().map(|at| self.now[*at]).collect();
        self.now = vec![0; kept.len()];
        (self.seconds, self.requests) = (0, 0);
    }

    /// (bucket, requests) of both generations.
    fn counts(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        let both = self.before.iter().zip(&self.now);
        let sums = both.map(|(before, now)| u64::from(*before) + u64::from(*now));
        self.buckets.iter().copied().zip(sums)
    }

    /// Requests remembered.
    pub fn total(&self) -> u64 {
        self.counts().map(|(_, n)| n).sum()
    }

    /// The bucket of each quantile in `levels` (ascending, within 0..1). `None` where fewer than
    /// `least` requests are expected above the quantile, or where it lies among the unfinished.
    pub fn quantiles<const N: usize>(&self, levels: &[f64; N], least: f64) -> [Option<u16>; N] {
        let total = self.total() as f64;
        let mut found = [None; N];
        let mut below = 0.0;
        let mut next = 0;
        for (bucket, n) in self.counts() {
            below += n as f64;
            while next < N && below >= levels[next] * total {
                let enough = total * (1.0 - levels[next]) >= least - 1e-6;
                found[next] = (enough && bucket <= MAX_BUCKET).then_some(bucket);
                next += 1;
            }
        }
        found
    }

    /// What finished of it, as a histogram.
    pub fn histogram(&self) -> Histogram {
        self.counts().filter(|(bucket, _)| *bucket != UNFINISHED).collect()
    }

    /// Median and 99th percentile in milliseconds, for display.
    pub fn summary_ms(&self) -> [Option<f64>; 2] {
        self.quantiles(&[0.5, 0.99], 0.0).map(|b| b.map(bucket_middle_ms))
    }
}
