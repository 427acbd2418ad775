//! Which reads are compared.

use std::sync::atomic::{AtomicU64, Ordering};

/// Takes so many of 100 000, spread evenly. Needs no random numbers: steps of the golden ratio
/// leave no pattern that a regular caller could fall into.
#[derive(Debug)]
pub(crate) struct Sampler {
    /// Of all 64-bit numbers.
    below: u64,
    all: bool,
    next: AtomicU64,
}

const OF: u64 = 100_000;
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl Sampler {
    pub(crate) fn new(sample: u32) -> Self {
        let below = (u64::MAX / OF).saturating_mul(sample.into());
        Self { below, all: u64::from(sample) >= OF, next: AtomicU64::new(0) }
    }

    pub(crate) fn takes(&self) -> bool {
        let point = self.next.fetch_add(GOLDEN, Ordering::Relaxed);
        self.all || point < self.below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_its_share() {
        for (sample, expected) in [(0, 0), (1000, 1000), (50_000, 50_000), (100_000, 100_000)] {
            let sampler = Sampler::new(sample);
            let taken = (0..100_000).filter(|_| sampler.takes()).count() as i64;
            assert!((taken - expected).abs() <= 2, "{sample}: {taken}");
        }
    }
}
