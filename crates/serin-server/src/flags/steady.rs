//! The time by which changes to come are made. A clock that is set forward would make them early,
//! and give a flag to users before anybody wanted it; so it is not believed at once.

use serin_flags::Timestamp;
use std::time::{Duration, Instant};

/// A clock that is further ahead of its own pace than this was set, in seconds.
const SET_S: i64 = 60;
/// A clock that was set forward and stays so is believed after this.
const BELIEVED: Duration = Duration::from_mins(10);

/// A clock, watched.
#[derive(Debug, Default)]
pub(crate) struct Steady {
    /// What it showed when it was last believed.
    held: Option<(Timestamp, Instant)>,
    /// Since when it has been ahead.
    ahead: Option<Instant>,
}

impl Steady {
    /// The time that holds while the clock shows `wall`; `now` is time that nobody can set. A word
    /// about it is said on standard error.
    pub(crate) fn read(&mut self, wall: Timestamp, now: Instant) -> Timestamp {
        let (then, since) = *self.held.get_or_insert((wall, now));
        let passed = i64::try_from(now.duration_since(since).as_secs()).unwrap_or(i64::MAX);
        let expected = Timestamp(then.0.saturating_add(passed));
        let ahead = wall.0.saturating_sub(expected.0);
        if ahead > SET_S {
            if self.ahead.is_none() {
                eprintln!(
                    "serin: the clock was set forward by {ahead} s: scheduled changes of flags wait \
                     {} minutes for it to be set right",
                    BELIEVED.as_secs() / 60
                );
            }
            if now.duration_since(*self.ahead.get_or_insert(now)) < BELIEVED {
                return expected;
            }
        }
        (self.held, self.ahead) = (Some((wall, now)), None);
        wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line: seconds that passed, what the clock shows, what holds.
    fn check(steps: &[(u64, i64, i64)]) {
        let (mut clock, start) = (Steady::default(), Instant::now());
        for (at, (passed, wall, wanted)) in steps.iter().enumerate() {
            let held = clock.read(Timestamp(*wall), start + Duration::from_secs(*passed));
            assert_eq!(held, Timestamp(*wanted), "step {at} of {steps:?}");
        }
    }

    #[test]
    fn a_clock_that_is_set_forward_is_believed_after_a_while() {
        check(&[
            (0, 100, 100),
            (1, 101, 101),
            (2, 4_002, 102),
            (601, 4_601, 701),
            (603, 4_603, 4_603),
        ]);
    }

    #[test]
    fn a_clock_that_is_set_right_again_made_nothing_early() {
        check(&[(0, 100, 100), (1, 9_101, 101), (50, 150, 150), (700, 800, 800)]);
    }

    #[test]
    fn small_steps_and_steps_back_hold_at_once() {
        check(&[(0, 100, 100), (1, 160, 160), (2, 40, 40), (3, 41, 41), (500, 560, 560)]);
    }
}
