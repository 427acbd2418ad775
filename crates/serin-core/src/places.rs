//! What a rollout remembers of the instances of both sides while the candidate takes stable's
//! places, and of the time in which nobody answered users.

use crate::{Millis, StartFailure, Timestamp};
use serde::{Deserialize, Serialize};

/// Instances ordered of both revisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Places {
    /// Of the candidate.
    pub candidate: u32,
    /// Of stable.
    pub stable: u32,
    /// When more of the candidate were ordered last. Crashes cannot move it.
    pub rising_at: Timestamp,
    /// All that were ordered then have been ready and warm.
    pub arrived: bool,
    /// Places of failed instances that went back to stable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedPlaces>,
    /// How often places went back because an instance failed.
    #[serde(default)]
    pub failures: u32,
    /// What is known of the last such instance, for as long as the platform tells of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<StartFailure>,
}

/// Places that are stable's again because the candidate's instances in them failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedPlaces {
    /// How many.
    pub places: u32,
    /// Instances the candidate keeps meanwhile.
    pub keeps: u32,
    /// When they are tried again; `None` when a person goes on.
    pub until: Option<Timestamp>,
}

/// Time in which no revision had traffic because all old instances had to go first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Downtime {
    /// Since when, if it goes on.
    pub since: Option<Timestamp>,
    /// All of it that is over.
    pub total: Millis,
}

impl Places {
    pub(crate) fn new(candidate: u32, stable: u32, now: Timestamp) -> Self {
        Self {
            candidate,
            stable,
            rising_at: now,
            arrived: false,
            failed: None,
            failures: 0,
            known: None,
        }
    }
}
