//! Log-bucket histograms: 32 buckets an octave of microseconds, kept by octave so that an unused
//! range costs nothing.

use serin_stats::bucket_upper_us;

/// Buckets in an octave, and octaves.
const PAGE: usize = 32;

/// A cumulative histogram.
#[derive(Default)]
pub struct Hist {
    pages: [Option<Box<[u64; PAGE]>>; PAGE],
    total: u64,
}

impl Hist {
    /// Adds one observation.
    pub fn add(&mut self, bucket: u16) {
        self.add_many(bucket, 1);
    }

    fn add_many(&mut self, bucket: u16, count: u64) {
        let (page, slot) = (usize::from(bucket) / PAGE, usize::from(bucket) % PAGE);
        if let Some(page) = self.pages.get_mut(page) {
            page.get_or_insert_default()[slot] += count;
            self.total += count;
        }
    }

    /// Observations held.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Adds all of another's observations.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in other.entries() {
            self.add_many(bucket, count);
        }
    }

    /// Halves every count, so that what is newer weighs more.
    pub fn halve(&mut self) {
        self.total = 0;
        for count in self.pages.iter_mut().flatten().flat_map(|page| page.iter_mut()) {
            *count /= 2;
            self.total += *count;
        }
    }

    /// Buckets that hold anything, ascending.
    pub fn entries(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        let pages = self.pages.iter().enumerate();
        let pages = pages.filter_map(|(index, page)| page.as_ref().map(|page| (index, page)));
        pages.flat_map(|(index, page)| {
            let slots = page.iter().enumerate().filter(|(_, count)| **count > 0);
            slots.map(move |(slot, count)| ((index * PAGE + slot) as u16, *count))
        })
    }

    /// The same, collected.
    pub fn sparse(&self) -> Vec<(u16, u64)> {
        self.entries().collect()
    }

    /// Upper edge of the bucket that holds the quantile `q` in 0..=1, in microseconds; `None`
    /// when nothing was observed.
    pub fn quantile_us(&self, q: f64) -> Option<u64> {
        let wanted = (q * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        self.entries()
            .find(|(_, count)| {
                seen += count;
                seen >= wanted
            })
            .map(|(bucket, _)| bucket_upper_us(bucket))
    }
}

/// Adds one sparse histogram to another; both ascending.
pub fn merge_sparse(into: &mut Vec<(u16, u64)>, from: &[(u16, u64)]) {
    for &(bucket, count) in from {
        match into.binary_search_by_key(&bucket, |entry| entry.0) {
            Ok(at) => into[at].1 += count,
            Err(at) => into.insert(at, (bucket, count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_merge_and_halve() {
        let mut hist = Hist::default();
        assert_eq!(hist.quantile_us(0.99), None);
        (0..99).for_each(|_| hist.add(320));
        hist.add(640);
        assert_eq!(hist.quantile_us(0.99), Some(bucket_upper_us(320)));
        assert_eq!(hist.quantile_us(1.0), Some(bucket_upper_us(640)));
        let mut twice = Hist::default();
        twice.merge(&hist);
        twice.merge(&hist);
        assert_eq!(twice.sparse(), [(320, 198), (640, 2)]);
        twice.halve();
        assert_eq!((twice.total(), twice.sparse()), (100, vec![(320, 99), (640, 1)]));
    }

    #[test]
    fn sparse_merge_keeps_order() {
        let mut into = vec![(1, 1), (5, 1)];
        merge_sparse(&mut into, &[(0, 2), (5, 3), (9, 1)]);
        assert_eq!(into, [(0, 2), (1, 1), (5, 4), (9, 1)]);
    }
}
