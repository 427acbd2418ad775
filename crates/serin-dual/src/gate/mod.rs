//! When a move may go on, and when it may go back: facts in, a decision out. Knows no clock and
//! no store.

mod decide;
mod machine;
mod preset;
mod rate;
mod rules;
mod words;

pub use decide::{Cost, Decision, Never, Unmet, decide};
pub use machine::{Outcome, State, Step, step};
pub use preset::{PRESETS, Preset, Share, preset};
pub use rate::upper_rate;
pub use rules::{BacklogLimit, Needs, ReadLimit, Rules};

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is known about the two stores. What is not known is `None`, and never counts as good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What waits in the outbox of the store that is written first.
    pub backlog: Option<Backlog>,
    /// Reads compared since the phase began.
    pub reads: Option<Compared>,
    /// The last whole comparison of the two stores.
    pub checksum: Option<Checksum>,
    /// A person agreed to this move.
    pub approved: bool,
}

/// What one store has and the other does not have yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    /// Writes that wait, the dead ones not counted.
    pub waiting: u64,
    /// Age of the oldest of them.
    pub oldest: Duration,
    /// Writes that were given up, each with its reason, and wait for a person.
    pub dead: u64,
}

/// Reads of both stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// Compared to the end.
    pub compared: u64,
    /// Those that still differed after a second look.
    pub differed: u64,
}

/// How a whole comparison ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// Nothing differed, and all of it was compared.
    pub equal: bool,
    /// Time since it ended.
    pub age: Duration,
}
