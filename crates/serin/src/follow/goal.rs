//! When what is waited for has come, or can no longer come.

use crate::cli::Goal;
use crate::exit::Exit;
use serin_core::{Outcome, RolloutRecord, WaitingOn};
use serin_server::api::view::{RolloutView, ServiceView};

/// The exit code when a rollout has ended as `record` says.
pub fn at_end(goal: Goal, record: &RolloutRecord) -> Exit {
    match (goal, record.outcome) {
        (Goal::Stopped, Outcome::RolledBack | Outcome::Aborted | Outcome::Superseded) => {
            Exit::Reached
        }
        // It is over, and the pause that was waited for never came.
        (Goal::Paused | Goal::Stopped, Outcome::Promoted) => Exit::Aborted,
        (_, outcome) => Exit::of_outcome(outcome),
    }
}

/// Whether a rollout under way is at the place that is waited for.
pub fn is_reached(goal: Goal, rollout: &RolloutView, service: &ServiceView) -> bool {
    match goal {
        Goal::Promoted | Goal::Stopped => false,
        Goal::Step(number) => rollout.step >= number,
        Goal::Paused => {
            rollout.paused.is_some() || matches!(service.waiting_on, WaitingOn::Person { .. })
        }
    }
}
