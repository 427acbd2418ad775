//! What a platform saw. Facts only: the engine decides what they mean.

use crate::{Generation, RevisionId, Timestamp};
use serde::{Deserialize, Serialize};
use serin_stats::Histogram;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// One look at a service's world.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// (controller epoch, number): an older look never overwrites a newer one.
    pub seq: (u64, u64),
    /// The newest generation the data plane has on its disk.
    pub applied: Option<Generation>,
    /// What runs, by revision; one that is absent has no process left.
    pub revisions: BTreeMap<RevisionId, RevisionObservation>,
    /// The fresh baseline, while it has a process left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh: Option<RevisionObservation>,
    /// Why the platform cannot act now, for people.
    pub trouble: Option<String>,
}

impl Observation {
    /// Whether it shows the same world as another look.
    pub fn shows_the_same(&self, other: &Self) -> bool {
        let Self { seq: _, applied, revisions, fresh, trouble } = self;
        *applied == other.applied
            && *revisions == other.revisions
            && *fresh == other.fresh
            && *trouble == other.trouble
    }
}

/// What was seen of one revision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RevisionObservation {
    /// Processes that run and are not ready yet.
    pub starting: u32,
    /// Ready instances.
    pub ready: u32,
    /// Instances that are draining or stopping.
    pub stopping: u32,
    /// When the newest of the ready instances became ready.
    pub youngest_ready_at: Option<Timestamp>,
    /// Instances that ended or were replaced unasked since the revision was first started.
    pub restarts: u32,
    /// Requests on its instances now.
    pub in_flight: u64,
    /// The last instance that could not be brought up.
    pub failure: Option<StartFailure>,
    /// The last ready instance that ended unasked.
    #[serde(default)]
    pub lost: Option<StartFailure>,
    /// Instances run different artefacts under one revision, or another than was deployed.
    pub drift: bool,
    /// Addresses of the ready instances, for tests against them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<SocketAddr>,
    /// Numbers the instances publish themselves, by name; the sum over the instances, counters
    /// since each began.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub published: BTreeMap<String, f64>,
    /// What was measured at the instances, by the names of [`crate::Plan::measures`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measured: BTreeMap<String, f64>,
}

/// Why an instance did not come up, or was lost, with what a person needs to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartFailure {
    /// Which one.
    pub instance: String,
    /// How it ended.
    pub cause: ExitCause,
    /// The last probe's result, such as `GET /ready: connection refused`.
    pub last_probe: Option<String>,
    /// The last lines of its log, at most 20.
    pub log: Vec<String>,
}

/// How an instance ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExitCause {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It could not be started.
    NotStarted(String),
    /// It is gone and nobody saw how.
    Unknown,
    /// It still runs and does not become ready.
    NotReady,
    /// It was replaced because its liveness probe failed.
    NotLive,
}

/// Which run of the data plane counted, and which of its reports this is. Ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CountKey {
    /// Start of the data plane, ms since the Unix epoch.
    pub epoch: u64,
    /// Number of the report.
    pub seq: u64,
}

/// Generations of one service the data plane reports at most: the newest.
pub const REPORTED_GENERATIONS: usize = 16;

/// Cumulative counts of closed cohorts of one (service, generation).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Source and order.
    pub key: CountKey,
    /// Weights in force while these requests arrived.
    pub generation: Generation,
    /// The last arrival second that is closed, Unix seconds.
    pub closed_through: i64,
    /// By revision the request was assigned to.
    pub arms: BTreeMap<RevisionId, ArmCounts>,
    /// The fresh baseline: instances of stable that were started beside the candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh: Option<ArmCounts>,
    /// Users seen in both arms within one window, where users stay with theirs.
    #[serde(default)]
    pub crossed: u64,
}

/// Cumulative counts of one arm.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ArmCounts {
    /// Judged requests.
    pub n: u64,
    /// Of those, errors.
    pub errors: u64,
    /// Of those, still unfinished when their cohort closed.
    pub unfinished: u64,
    /// Latency of finished requests without error.
    pub latency: Histogram,
    /// All requests assigned to the arm, judged or not.
    pub assigned: u64,
    /// When the last of them was assigned.
    pub last_assigned_at: Option<Timestamp>,
    /// Requests that their client gave up before they could be judged; in none of the above.
    #[serde(default)]
    pub aborted: u64,
    /// Whether `n`, `errors` and `latency` count users (once in each window) instead of requests.
    #[serde(default)]
    pub sessions: bool,
    /// Of a flag: users who were given the arm, each once in each closed window, whether their
    /// requests were judged or the app alone evaluated the flag for them. 0 elsewhere.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub users: u64,
    /// Judged units and errors by part of the users (64), drawn independently of the arm: how
    /// much stable differs from itself. Empty unless units are users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub split: Vec<(u64, u64)>,
    /// Of the judged units, those that reached the goal of the plan.
    #[serde(default)]
    pub goals: u64,
    /// Requests led here by header or rule, or copied; in none of the above but the latency and
    /// errors of copies where the plan mirrors.
    #[serde(default)]
    pub led: u64,
    /// Judged requests and errors by instance.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub instances: BTreeMap<String, (u64, u64)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl std::fmt::Display for ExitCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(signal) => write!(f, "ended by signal {signal}"),
            Self::NotStarted(why) => f.write_str(why),
            Self::Unknown => f.write_str("ended, nobody saw how"),
            Self::NotLive => f.write_str("failed its liveness probe"),
            Self::NotReady => f.write_str("runs but does not become ready"),
        }
    }
}
