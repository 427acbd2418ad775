//! The last stretch of both arms' requests.

use super::reading::{Sample, Traffic};
use crate::{ArmTick, Tick};
use serde::{Deserialize, Serialize};

/// Slices a window is kept in.
const SLICES: u64 = 20;

/// Requests of a while, forgotten in slices of a twentieth of the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    slices: Vec<Slice>,
    /// Counts that contradict themselves came in since the last measurement.
    contradiction: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Slice {
    /// End of its first and of its last tick.
    first_ms: u64,
    last_ms: u64,
    seconds: u64,
    canary: Traffic,
    stable: Traffic,
}

impl Window {
    /// Adds a tick that ended at `at_ms`. A clock that was set back empties the window: its times
    /// cannot be compared any more.
    pub fn add(&mut self, at_ms: u64, window_ms: u64, timed: bool, tick: &Tick) {
        if let Some(why) = contradiction(tick) {
            self.contradiction = Some(why);
            return;
        }
        if self.slices.last().is_some_and(|slice| slice.last_ms > at_ms) {
            self.slices.clear();
        }
        let width = window_ms / SLICES;
        if self.slices.last().is_none_or(|slice| at_ms - slice.first_ms >= width) {
            self.slices.push(Slice { first_ms: at_ms, ..Slice::default() });
        }
        if let Some(slice) = self.slices.last_mut() {
            slice.last_ms = at_ms;
            slice.seconds = slice.seconds.saturating_add(u64::from(tick.seconds));
            slice.canary.add(&tick.canary, timed);
            slice.stable.add(&tick.baseline, timed);
        }
        self.forget(at_ms, window_ms);
    }

    fn forget(&mut self, at_ms: u64, window_ms: u64) {
        let old = at_ms.saturating_sub(window_ms);
        self.slices.retain(|slice| slice.last_ms > old || window_ms > at_ms);
    }

    /// What is in it at `at_ms`.
    pub fn sample(&mut self, at_ms: u64, window_ms: u64) -> Sample {
        if let Some(why) = self.contradiction.take() {
            return Sample::Unreadable(why);
        }
        self.forget(at_ms, window_ms);
        let (mut seconds, mut canary, mut stable) = (0_u64, Traffic::default(), Traffic::default());
        for slice in &self.slices {
            seconds = seconds.saturating_add(slice.seconds);
            canary.merge(&slice.canary);
            stable.merge(&slice.stable);
        }
        if self.slices.is_empty() {
            return Sample::Nothing;
        }
        Sample::Window { seconds: seconds as f64, canary, stable }
    }
}

fn contradiction(tick: &Tick) -> Option<String> {
    let wrong = |arm: &ArmTick| {
        let finished = arm.n.checked_sub(arm.errors);
        arm.unfinished > arm.errors || finished.is_none_or(|n| arm.latency.total() > n)
    };
    [("canary", &tick.canary), ("stable", &tick.baseline)].into_iter().find(|arm| wrong(arm.1)).map(
        |(name, arm)| {
            let (n, errors, timed) = (arm.n, arm.errors, arm.latency.total());
            format!("counts of the {name} contradict: {errors} errors and {timed} timed of {n}")
        },
    )
}
