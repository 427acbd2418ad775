//! Documents about a service's life beside its steps: what waits, what is held, what is kept, and
//! what a rollout has beside its two shares.

use serde::{Deserialize, Serialize};
use serin_core::{Leftover, RevisionId, RollbackClass, ServiceName, Timestamp, Weight};

/// A deploy that waits for the rollout under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueuedView {
    /// The revision.
    pub revision: RevisionId,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A deploy that waits for its train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoardedView {
    /// The revision.
    pub revision: RevisionId,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// When it leaves.
    pub departs: Timestamp,
}

/// Where a way back leads, and what it takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WayBackView {
    /// Where it leads; `None` when there is nothing to go back to.
    pub to: Option<RevisionId>,
    /// What it takes.
    pub class: RollbackClass,
    /// The same as a sentence.
    pub text: String,
}

/// A test of the present step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestView {
    /// Its name.
    pub name: String,
    /// The try under way, from 1.
    pub attempt: u32,
    /// Tries it has.
    pub tries: u32,
    /// How it ended, if it has.
    pub passed: Option<bool>,
    /// The last it said.
    pub text: String,
}

/// An approval the present step asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovalView {
    /// Who agreed.
    pub given: Vec<String>,
    /// How many have to.
    pub wanted: u32,
    /// Who may; empty for anybody.
    pub from: Vec<String>,
    /// When the rollout is aborted without.
    pub until: Option<Timestamp>,
}

/// An arm of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariantView {
    /// Its revision.
    pub revision: RevisionId,
    /// Its instances.
    pub replicas: u32,
    /// The share it is meant to have.
    pub goal: Weight,
    /// The share it has.
    pub weight: Weight,
    /// Judged requests and those that failed.
    pub counted: (u64, u64),
    /// Compared with stable, as a sentence.
    pub verdict: Option<String>,
    /// Why it takes part no more.
    pub dropped: Option<String>,
}

/// `GET /api/v1/leftovers`: what runs and serves nobody, or waits for somebody.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Leftovers {
    /// `serin.leftovers/v1`.
    pub schema: String,
    /// When this was true.
    pub at: Timestamp,
    /// By service and revision.
    pub leftovers: Vec<LeftoverView>,
}

/// Instances of one revision that are left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeftoverView {
    /// Whose.
    pub service: ServiceName,
    /// `serin gc --now` may let them go: they serve nobody and nothing waits for them.
    pub may_go: bool,
    /// What.
    #[serde(flatten)]
    pub left: Leftover,
}

/// What was seen of the instances that serve after a way back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkup {
    /// When.
    pub at: Timestamp,
    /// What it led to.
    pub revision: RevisionId,
    /// Each living instance of it.
    pub instances: Vec<CheckedInstance>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckedInstance {
    /// Which.
    pub instance: String,
    /// `starting`, `ready`, `not-ready`, `draining` or `stopping`.
    pub phase: String,
    /// Whether its readiness probe passed.
    pub healthy: bool,
    /// What the probe said.
    pub probe: String,
    /// Lines of its log that were looked at: the last 1,000.
    pub lines: usize,
    /// Those of them that look like errors.
    pub error_lines: usize,
}

/// Somebody who is not told what they asked to be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UntoldView {
    /// The name under `notify`.
    pub target: String,
    /// Messages that are tried again.
    pub waiting: usize,
    /// Messages that were given up.
    pub lost: usize,
    /// Time of the first message that did not arrive.
    pub since: Timestamp,
    /// Why the last try failed.
    pub why: String,
}

/// `POST /api/v1/services/{name}/notify-test`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotifyTest {
    /// `serin.notify-test/v1`.
    pub schema: String,
    /// The service.
    pub service: ServiceName,
    /// Everybody under `notify`, in the order of the file.
    pub targets: Vec<NotifyTested>,
}

/// What became of a test message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotifyTested {
    /// The name under `notify`.
    pub target: String,
    /// What it is told for, by the words of the file.
    pub on: Vec<String>,
    /// Why it did not arrive; `None` when it did.
    pub failed: Option<String>,
}
