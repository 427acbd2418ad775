//! What of the data plane's counts a rollout has used, so that each request counts once.

use crate::{ArmCounts, CountKey, Generation, RevisionId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What of the data plane's cumulative counts was used already.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// The last report used.
    pub key: CountKey,
    /// Earlier runs of the data plane; a late report of one is not used.
    pub past_epochs: BTreeSet<u64>,
    /// The last closed second seen.
    pub closed_through: i64,
    /// By generation: the counts at that report.
    pub at: BTreeMap<Generation, CountedAt>,
    /// By generation: what was to be dealt to the two that are compared.
    #[serde(default)]
    pub planned: BTreeMap<Generation, Planned>,
    /// Judged candidate requests so far.
    pub judged: u64,
    /// Those that failed.
    #[serde(default)]
    pub errors: u64,
    /// Judged candidate requests and those that failed, by the second they were closed through:
    /// the last minute.
    #[serde(default)]
    pub lately: Vec<(i64, u64, u64)>,
    /// Judged requests a second of the whole service, lately.
    #[serde(default)]
    pub rate: f64,
    /// Restarts of what is compared with and of the candidate that were counted already.
    #[serde(default)]
    pub restarts: Option<(u32, u32)>,
    /// Whether the time before the rollout was looked at.
    #[serde(default)]
    pub calibrated: bool,
    /// Judged requests on stable and those that failed.
    #[serde(default)]
    pub stable: (u64, u64),
    /// Ticks recorded so far.
    #[serde(default)]
    pub ticks: u64,
    /// What stable was like before a rollout that gives the candidate everything at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<ArmCounts>>,
}

/// What a plan deals to the candidate and to what it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// The candidate's share of both, in (0, 1).
    pub share: f64,
    /// It is compared with the fresh baseline.
    pub fresh: bool,
}

/// The counts of one generation at the last report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CountedAt {
    /// By revision.
    pub arms: BTreeMap<RevisionId, ArmCounts>,
    /// Of the fresh baseline.
    #[serde(default)]
    pub fresh: Option<ArmCounts>,
    /// Users seen in both arms.
    #[serde(default)]
    pub crossed: u64,
}
