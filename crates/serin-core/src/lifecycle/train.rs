//! Release trains: deploys that leave together with a cadence, and those that wait for theirs. Here
//! is what a timetable says; the times are reckoned by who knows calendars.

use crate::{Actor, DeployAsk, Millis, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// When trains leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Train {
    /// So often, counted from the beginning of 1970 in UTC; 1 min to 30 days.
    Every(Millis),
    /// At these times of these days.
    At(Timetable),
}

/// Times of days, by a clock on the wall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timetable {
    /// Minutes after midnight, at least one.
    pub minutes: BTreeSet<u16>,
    /// Days of the week, 1 = Monday to 7 = Sunday; empty for all.
    pub days: BTreeSet<u8>,
    /// Name of the time zone in the tz database.
    pub zone: String,
}

/// The trains that a deploy could take, as they were reckoned when it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// The next one.
    pub at: Timestamp,
    /// The one after it.
    pub then: Timestamp,
    /// A person wants it at once.
    #[serde(default)]
    pub waived: bool,
}

/// A deploy that waits for its train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Boarded {
    /// Who asked for it.
    pub by: Actor,
    /// Why, in their words.
    pub reason: Option<String>,
    /// When it was asked for.
    pub at: Timestamp,
    /// What.
    pub deploy: Box<DeployAsk>,
    /// When its train leaves.
    pub departs: Timestamp,
}

impl Train {
    /// The next two departures after `now`, where no calendar is needed for it.
    pub fn departures(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let Self::Every(span) = self else { return None };
        let next = Timestamp(now.0 - now.0.rem_euclid(span.0.max(1) as i64)).plus(*span);
        Some((next, next.plus(*span)))
    }
}
