//! When what is waited for has come, or can no longer come.

use crate::cli::Goal;
use crate::exit::Exit;
use crate::render::is_unwell;
use serin_core::{Outcome, RolloutRecord, WaitingOn};
use serin_server::api::view::{RolloutView, ServiceView};

/// The exit code when a rollout has ended as `record` says. Going back is no success when it did
/// not help.
pub fn at_end(goal: Goal, record: &RolloutRecord) -> Exit {
    match (goal, record.outcome) {
        (Goal::Stopped, outcome) if outcome != Outcome::Promoted && is_unwell(record) => {
            Exit::Internal
        }
        (Goal::Promoted, Outcome::Promoted) if is_unwell(record) => Exit::Internal,
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(outcome: &str, recovered: &str) -> RolloutRecord {
        let recovered = json!({ recovered: { "at": 9, "rate": 0.1, "limit": 0.01 } });
        serde_json::from_value(json!({
            "id": 3, "kind": "rollback", "from": "v1@bb", "to": "v2@aa", "by": "mark",
            "reason": null, "started_at": 1, "ended_at": 9, "outcome": outcome, "cause": null,
            "steps_completed": 1, "steps": 3, "verdict_at": null, "assessment": null,
            "skipped": [],
            "back": {
                "class": "routing", "left": "v2@aa", "to": "v1@bb", "began_at": 1,
                "routed_at": 2, "silent_at": 3, "recovered": recovered, "before": null
            }
        }))
        .unwrap()
    }

    #[test]
    fn a_way_back_that_did_not_help_is_no_success() {
        let codes = |goal, outcome| {
            ["recovered", "notRecovered"].map(|r| at_end(goal, &record(outcome, r)).code())
        };
        assert_eq!(codes(Goal::Promoted, "promoted"), [0, 1]);
        assert_eq!(codes(Goal::Stopped, "aborted"), [0, 1]);
        assert_eq!(codes(Goal::Promoted, "rolled-back"), [3, 3]);
    }
}
