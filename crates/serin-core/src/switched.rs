//! Flags that steps of a rollout change, and what is remembered so that they can go back.

use crate::{ServiceName, Timestamp, Weight};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Changes a flag as a step of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagStep {
    /// The set the flag is in.
    pub set: String,
    /// Its key.
    pub key: String,
    /// Who gets it from then on.
    pub change: FlagChange,
}

/// Who gets a flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FlagChange {
    /// Everybody.
    On,
    /// Nobody.
    Off,
    /// Everybody gets this variant.
    Variant(String),
    /// So many users.
    Percent(Weight),
}

/// What a rollout owes of a flag now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagOrder {
    /// Whose rollout.
    pub service: ServiceName,
    /// The rollout's number within the service.
    pub rollout: u64,
    /// The step, from 0.
    pub step: usize,
    /// The set.
    pub set: String,
    /// The flag's key.
    pub key: String,
    /// What has to be done.
    pub work: FlagWork,
}

/// What has to be done with a flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FlagWork {
    /// It is changed, unless somebody changed it after `after`, the rollout's own last change.
    Change {
        /// Who gets it.
        change: FlagChange,
        /// Number of the change that an earlier step of the same rollout made.
        after: Option<u64>,
    },
    /// It is what it was before `change`, unless somebody changed it since.
    Back {
        /// Number of the change that the step made.
        change: u64,
    },
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FlagEnd {
    /// It was changed; the history of flags knows the state before by this number.
    Changed {
        /// Number of the change.
        change: u64,
    },
    /// It cannot be changed, for now.
    Refused {
        /// What is so.
        why: String,
    },
    /// It is as it was before.
    Back,
    /// Somebody else decides about it by now: it was left alone.
    Left {
        /// What is so.
        why: String,
    },
}

/// A flag that a step changed, and that goes back with the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switched {
    /// The rollout's number within the service.
    pub rollout: u64,
    /// The step, from 0.
    pub step: usize,
    /// The set.
    pub set: String,
    /// The flag's key.
    pub key: String,
    /// Number of the change in the history of flags; it knows the state before.
    pub change: u64,
    /// When.
    pub at: Timestamp,
    /// The state before is owed.
    #[serde(default)]
    pub back: bool,
}

impl Switched {
    /// Stands for the number of a change of which nobody told whether it was made: whoever was to
    /// tell died, or could not store it. If it was made, and is the flag's last, it goes back too.
    pub const UNTOLD: u64 = 0;
}

impl fmt::Display for FlagChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On => f.write_str("on for everybody"),
            Self::Off => f.write_str("off"),
            Self::Variant(name) => write!(f, "`{name}` for everybody"),
            Self::Percent(share) => write!(f, "on for {share} of users"),
        }
    }
}
