//! New steps for a rollout under way.

use crate::{Schedule, Step, Weight};

/// The step of `schedule` at which a candidate that has `weight` goes on: the first after the last
/// `setWeight` that gives no more than it has.
pub(crate) fn first_step_after(schedule: &Schedule, weight: Weight) -> usize {
    let reached =
        |step: &Step| matches!(step, Step::SetWeight(w) if *w <= weight && *w > Weight::NONE);
    let last = schedule.steps().enumerate().filter(|(_, (_, step))| reached(step)).last();
    last.map_or(0, |(at, _)| at + 1)
}
