//! How large a range is, and how long the pause after it.

use super::Limits;
use std::time::Duration;

/// Rows of the largest range.
const MOST: u64 = 200_000;

/// Longest pause.
const LONGEST: Duration = Duration::from_mins(1);

/// Adapts the ranges to what the databases bear.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    chunk: u64,
    least: u64,
    range_time: Duration,
    duty: f64,
    rate: Option<f64>,
}

impl Pace {
    pub(super) fn new(limits: &Limits) -> Self {
        let least = limits.leaf.clamp(1, MOST);
        let duty = if limits.duty.is_finite() { limits.duty.clamp(0.01, 1.0) } else { 1.0 };
        Self {
            chunk: limits.chunk.clamp(least, MOST),
            least,
            range_time: limits.range_time.max(Duration::from_millis(1)),
            duty,
            rate: limits.rate.filter(|rate| *rate > 0.0),
        }
    }

    /// Rows of the next range.
    pub(super) fn chunk(&self) -> u64 {
        self.chunk
    }

    /// The pause after a range of so many rows that took so long.
    pub(super) fn after(&mut self, rows: u64, took: Duration) -> Duration {
        if took > self.range_time * 2 {
            self.chunk = (self.chunk / 2).max(self.least);
        } else if took < self.range_time / 2 && rows >= self.chunk {
            self.chunk = (self.chunk * 2).min(MOST);
        }
        let rest = took.mul_f64((1.0 - self.duty) / self.duty);
        let by_rate = self.rate.map_or(Duration::ZERO, |rate| {
            Duration::try_from_secs_f64(rows as f64 / rate).unwrap_or(LONGEST).saturating_sub(took)
        });
        rest.max(by_rate).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(limits: Limits) -> Pace {
        Pace::new(&limits)
    }

    #[test]
    fn pauses_as_long_as_it_asked() {
        let mut pace = pace(Limits::default());
        let second = Duration::from_secs(1);
        assert_eq!(pace.after(10_000, second), second);
        let mut busy = Pace::new(&Limits { duty: 1.0, ..Limits::default() });
        assert_eq!(busy.after(10_000, second), Duration::ZERO);
    }

    #[test]
    fn keeps_the_rate() {
        let mut pace = pace(Limits { rate: Some(1000.0), duty: 1.0, ..Limits::default() });
        assert_eq!(pace.after(5000, Duration::from_secs(2)), Duration::from_secs(3));
    }

    #[test]
    fn ranges_follow_the_time_they_take() {
        let mut pace = pace(Limits::default());
        pace.after(10_000, Duration::from_millis(10));
        assert_eq!(pace.chunk(), 20_000);
        for _ in 0..9 {
            pace.after(pace.chunk(), Duration::from_secs(5));
        }
        assert_eq!(pace.chunk(), 200);
        for _ in 0..20 {
            pace.after(pace.chunk(), Duration::ZERO);
        }
        assert_eq!(pace.chunk(), MOST);
    }

    #[test]
    fn senseless_limits_do_no_harm() {
        let limits =
            Limits { chunk: 0, leaf: 0, duty: f64::NAN, rate: Some(-1.0), ..Limits::default() };
        let mut pace = pace(limits);
        assert_eq!((pace.chunk(), pace.after(1, Duration::from_secs(9))), (1, Duration::ZERO));
    }
}
