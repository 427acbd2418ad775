//! Rules of a service beside its steps: how many instances at once, how it goes back, what a
//! deploy during a rollout means, and which data its revisions understand.

use crate::Millis;
use serde::{Deserialize, Serialize};

/// How instances of the two revisions stand beside each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Capacity {
    /// Stable keeps its full size until the candidate is promoted.
    #[default]
    Beside,
    /// The candidate takes stable's places, a few at a time. Traffic follows the instances.
    Replace {
        /// Instances of both beyond the replicas; rounded up.
        max_surge: Amount,
        /// Ready instances fewer than the replicas; rounded down.
        max_unavailable: Amount,
    },
}

/// A number of instances, or a share of the replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Amount {
    /// So many.
    Count(u32),
    /// Percent of the replicas, 0 to 100.
    Percent(u32),
}

impl Amount {
    /// Of `replicas`, rounded up.
    pub fn up(self, replicas: u32) -> u32 {
        match self {
            Self::Count(n) => n,
            Self::Percent(p) => (u64::from(replicas) * u64::from(p)).div_ceil(100) as u32,
        }
    }

    /// Of `replicas`, rounded down.
    pub fn down(self, replicas: u32) -> u32 {
        match self {
            Self::Count(n) => n,
            Self::Percent(p) => (u64::from(replicas) * u64::from(p) / 100) as u32,
        }
    }
}

/// What one failed candidate instance means while the candidate takes stable's places.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnInstanceFailure {
    /// Everything goes back.
    #[default]
    Back,
    /// Its place goes back to stable alone; a person decides about the rest.
    Stop,
    /// Its place goes back to stable alone for now and is tried again; the others go on.
    Forward,
}

/// What a deploy does while a rollout is under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnNewRevision {
    /// Takes its place: traffic to stable first, then the new one from its first step.
    #[default]
    Restart,
    /// Waits until it has ended; the newest waiting deploy wins.
    Queue,
    /// Is refused.
    Reject,
}

/// How a service goes back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RollbackSpec {
    /// What a verdict against the candidate does.
    pub on_failure: OnFailure,
    /// Deploys of the revision that was left, and of older ones, are refused until released.
    pub hold_after: bool,
    /// What proves that a way back worked.
    pub verify: VerifySpec,
}

impl Default for RollbackSpec {
    fn default() -> Self {
        Self { on_failure: OnFailure::Rollback, hold_after: true, verify: VerifySpec::default() }
    }
}

/// What a verdict against the candidate does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// All traffic to stable at once.
    #[default]
    Rollback,
    /// Everything stays as it is and a person decides: for changes that cannot go back.
    Hold,
    /// A person is asked first; without an answer it goes back.
    Confirm {
        /// How long the answer may take.
        timeout: Millis,
    },
}

/// What proves that a way back worked: the route read back, no new request on the revision that
/// was left, and errors back where they were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VerifySpec {
    /// How long errors may take to come back.
    pub within: Millis,
    /// Errors are back at this multiple of what stable had before...
    pub ratio: f64,
    /// ...or at this rate, whichever is more.
    pub floor: f64,
    /// Requests before errors say anything.
    pub min_requests: u64,
}

impl Default for VerifySpec {
    fn default() -> Self {
        Self { within: Millis::secs(60), ratio: 1.1, floor: 0.002, min_requests: 200 }
    }
}

/// What going back would take, from the lightest to the heaviest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RollbackClass {
    /// Traffic is led elsewhere: ready instances are there.
    Routing,
    /// A flag is switched.
    Flag,
    /// The configuration goes back, the program stays.
    Config,
    /// Instances have to be started first.
    Redeploy,
    /// The older revision cannot read what was written since.
    Data,
}

/// Data formats a revision understands, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFormats {
    /// Those it can read.
    pub reads: std::collections::BTreeSet<u32>,
    /// The one it writes.
    pub writes: u32,
}

impl DataFormats {
    /// Whether it can read what `other` writes.
    pub fn reads_from(&self, other: &Self) -> bool {
        self.reads.contains(&other.writes)
    }
}

/// One of two names that revisions take in turn, so that each has resources of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Colour {
    /// The first revision's.
    #[default]
    Blue,
    /// The other.
    Green,
}

impl Colour {
    /// The one that is not live.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }

    /// The word for `$(COLOUR)`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }
}
