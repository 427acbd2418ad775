//! How much time the new calculation may take.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Time saved up at most: a calm minute does not pay for a storm.
const SAVED: Duration = Duration::from_secs(1);

/// An account of time: fills with a share of the clock, is emptied by what was spent. It may be
/// overdrawn by what is already under way; then nothing more begins until it is filled again.
#[derive(Debug)]
pub(super) struct Budget {
    share: f64,
    begun: Instant,
    /// Nanoseconds spent, and given away because nobody wanted them.
    spent: AtomicI64,
}

impl Budget {
    pub(super) fn new(share: f64, now: Instant) -> Self {
        let share = if share.is_finite() { share.max(0.0) } else { 0.0 };
        let budget = Self { share, begun: now, spent: AtomicI64::new(0) };
        // Begins with what is saved at most, so that the first call can be compared.
        budget.spent.store(-budget.most(), Ordering::Relaxed);
        budget
    }

    /// Whether something may begin.
    pub(super) fn has_some(&self, now: Instant) -> bool {
        let earned = self.earned(now);
        // What is above the limit is gone.
        self.spent.fetch_max(earned - self.most(), Ordering::Relaxed);
        self.share > 0.0 && earned > self.spent.load(Ordering::Relaxed)
    }

    pub(super) fn spend(&self, time: Duration) {
        let nanos = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX / 2);
        self.spent.fetch_add(nanos, Ordering::Relaxed);
    }

    fn earned(&self, now: Instant) -> i64 {
        let passed = now.saturating_duration_since(self.begun).as_nanos() as f64;
        (passed * self.share) as i64
    }

    fn most(&self) -> i64 {
        (SAVED.as_nanos() as f64 * self.share) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spends_no_more_than_its_share() {
        let begun = Instant::now();
        let budget = Budget::new(0.05, begun);
        let mut spent = Duration::ZERO;
        for millis in 0..100_000 {
            if budget.has_some(begun + Duration::from_millis(millis)) {
                budget.spend(Duration::from_millis(7));
                spent += Duration::from_millis(7);
            }
        }
        // 5 % of 100 s, and what was saved at the beginning.
        assert!((5000..=5060).contains(&spent.as_millis()), "{spent:?}");
    }

    #[test]
    fn saves_no_more_than_a_second() {
        let begun = Instant::now();
        let budget = Budget::new(0.1, begun);
        let later = begun + Duration::from_hours(1);
        let mut times = 0;
        while budget.has_some(later) {
            budget.spend(Duration::from_millis(10));
            times += 1;
        }
        assert_eq!(times, 10);
    }

    #[test]
    fn no_budget_is_nothing() {
        let now = Instant::now();
        for share in [0.0, -1.0, f64::NAN] {
            assert!(!Budget::new(share, now).has_some(now + Duration::from_secs(9)), "{share}");
        }
    }
}
