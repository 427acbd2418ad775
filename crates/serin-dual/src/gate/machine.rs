//! The phase over time, driven by a flag's variant.

use super::decide::{Cost, Decision, Never, Unmet, decide};
use super::{Evidence, Rules};
use crate::phase::{Phase, UnknownPhase};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Where the move is, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The phase.
    pub phase: Phase,
    /// When it was entered, in milliseconds since any fixed moment.
    pub since: u64,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The flag asks for what is.
    Unchanged,
    /// The flag's phase was entered.
    Moved {
        /// The phase before.
        from: Phase,
        /// What it costs.
        costs: Vec<Cost>,
    },
    /// The flag's phase may not be entered yet; everything stays as it is.
    Held {
        /// What the flag asks for.
        wanted: Phase,
        /// All that is missing.
        unmet: Vec<Unmet>,
    },
    /// The flag's phase cannot be entered from here; everything stays as it is.
    Refused {
        /// What the flag asks for.
        wanted: Phase,
        /// Why not.
        why: Never,
    },
    /// The flag's variant is no phase; everything stays as it is.
    Unknown(UnknownPhase),
}

/// The state afterwards, and what was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The state from now on.
    pub state: State,
    /// What was done.
    pub outcome: Outcome,
}

/// Looks at the flag's `variant` at `now`, in the milliseconds of [`State::since`], and makes the
/// move it asks for where that is allowed. The caller makes it true in the stores before readers
/// see the new phase.
pub fn step(state: State, variant: &str, evidence: &Evidence, rules: &Rules, now: u64) -> Step {
    let wanted = match Phase::from_variant(variant) {
        Ok(wanted) => wanted,
        Err(unknown) => return Step { state, outcome: Outcome::Unknown(unknown) },
    };
    // A clock that went back has not soaked anything.
    let held = Duration::from_millis(now.saturating_sub(state.since));
    match decide(state.phase, wanted, held, evidence, rules) {
        Decision::Stay => Step { state, outcome: Outcome::Unchanged },
        Decision::Wait { unmet } => Step { state, outcome: Outcome::Held { wanted, unmet } },
        Decision::Never { why } => Step { state, outcome: Outcome::Refused { wanted, why } },
        Decision::Go { costs } => Step {
            state: State { phase: wanted, since: now },
            outcome: Outcome::Moved { from: state.phase, costs },
        },
    }
}

#[cfg(test)]
mod tests;
