//! A sparse, mergeable histogram over the buckets of [`crate::bucket`].

use crate::bucket::{MAX_BUCKET, bucket_lower_us, bucket_of_us, bucket_upper_us};
use serde::{Deserialize, Serialize};

/// Counts by bucket; empty buckets are not stored. Serialised as a list of `[bucket, count]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u16, u64)>", into = "Vec<(u16, u64)>")]
pub struct Histogram {
    /// Sorted by bucket, no duplicates, no zero counts, no bucket above `MAX_BUCKET`.
    entries: Vec<(u16, u64)>,
}

impl Histogram {
    /// An empty histogram.
    pub fn new() -> Self {
        Self::default()
    }

    /// From counts indexed by bucket, as a data plane keeps them. Entries past the last bucket
    /// count in the last.
    pub fn from_dense(counts: &[u64]) -> Self {
        counts.iter().enumerate().map(|(b, &n)| (b.min(1023) as u16, n)).collect()
    }

    /// Counts `count` more requests in `bucket`. Saturates instead of overflowing.
    pub fn record(&mut self, bucket: u16, count: u64) {
        if count == 0 {
            return;
        }
        let bucket = bucket.min(MAX_BUCKET);
        match self.entries.binary_search_by_key(&bucket, |e| e.0) {
            Ok(at) => self.entries[at].1 = self.entries[at].1.saturating_add(count),
            Err(at) => self.entries.insert(at, (bucket, count)),
        }
    }

    /// Counts one request that took `us` microseconds.
    pub fn record_us(&mut self, us: u64) {
        self.record(bucket_of_us(us), 1);
    }

    /// Adds all counts of `other`.
    pub fn add(&mut self, other: &Self) {
        for &(bucket, count) in &other.entries {
            self.record(bucket, count);
        }
    }

    /// What was counted since `earlier`, both being cumulative. `None` when a count went down: the
    /// counter was reset between the two.
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        let mut left = earlier.entries.iter().peekable();
        let mut entries = Vec::with_capacity(self.entries.len());
        for &(bucket, count) in &self.entries {
            let before = left.next_if(|e| e.0 == bucket).map_or(0, |e| e.1);
            let more = count.checked_sub(before)?;
            if more > 0 {
                entries.push((bucket, more));
            }
        }
        left.next().is_none().then_some(Self { entries })
    }

    /// Requests counted.
    pub fn total(&self) -> u64 {
        self.entries.iter().fold(0, |sum, e| sum.saturating_add(e.1))
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Requests in `bucket` or slower.
    pub fn count_from(&self, bucket: u16) -> u64 {
        let at = self.entries.partition_point(|e| e.0 < bucket);
        self.entries[at..].iter().fold(0, |sum, e| sum.saturating_add(e.1))
    }

    /// Requests slower than the upper edge of `bucket`.
    pub fn exceedances(&self, bucket: u16) -> u64 {
        self.count_from(bucket.saturating_add(1))
    }

    /// Every bucket moved by `by` (negative: faster), clamped to the bucket range.
    #[must_use]
    pub fn shifted(&self, by: i32) -> Self {
        let moved = |b: u16| (i32::from(b).saturating_add(by)).clamp(0, i32::from(MAX_BUCKET));
        self.entries.iter().map(|&(b, n)| (moved(b) as u16, n)).collect()
    }

    /// Bucket holding the quantile `q` in 0..=1: the first one at which at least `q` of all
    /// requests are counted. `None` when empty.
    pub fn quantile_bucket(&self, q: f64) -> Option<u16> {
        let rank = libm::ceil(q.clamp(0.0, 1.0) * self.total() as f64).max(1.0);
        let mut seen = 0_u64;
        let mut entries = self.entries.iter();
        let found = entries.find(|e| {
            seen = seen.saturating_add(e.1);
            seen as f64 >= rank
        });
        found.or(self.entries.last()).map(|e| e.0)
    }

    /// Edges in microseconds of the bucket holding quantile `q`: the true quantile lies in
    /// `lower..upper` (unless it is in the last bucket, which is open above).
    pub fn quantile_us(&self, q: f64) -> Option<(u64, u64)> {
        self.quantile_bucket(q).map(|b| (bucket_lower_us(b), bucket_upper_us(b)))
    }

    /// Non-empty buckets with their counts, fastest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u16, u64)> + '_ {
        self.entries.iter().copied()
    }
}

impl FromIterator<(u16, u64)> for Histogram {
    fn from_iter<T: IntoIterator<Item = (u16, u64)>>(iter: T) -> Self {
        let mut entries: Vec<(u16, u64)> =
            iter.into_iter().filter(|e| e.1 > 0).map(|(b, n)| (b.min(MAX_BUCKET), n)).collect();
        entries.sort_by_key(|e| e.0);
        entries.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
        Self { entries }
    }
}

impl From<Vec<(u16, u64)>> for Histogram {
    fn from(entries: Vec<(u16, u64)>) -> Self {
        entries.into_iter().collect()
    }
}

impl From<Histogram> for Vec<(u16, u64)> {
    fn from(histogram: Histogram) -> Self {
        histogram.entries
    }
}
