//! Documents about rollouts.

use super::{ApprovalView, TestView, VariantView};
use serde::{Deserialize, Serialize};
use serin_core::{
    Downtime, Places, RevisionId, RolloutKind, RolloutRecord, Timestamp, WayBack, Weight,
};
use serin_stats::Assessment;

/// A rollout under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RolloutView {
    /// Its number within the service.
    pub id: u64,
    /// What set it off.
    pub kind: RolloutKind,
    /// The revision on trial.
    pub candidate: RevisionId,
    /// The one it is compared with.
    pub baseline: Option<RevisionId>,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub started_at: Timestamp,
    /// Step under way, from 1; `steps` + 1 when all are done.
    pub step: usize,
    /// Number of steps.
    pub steps: usize,
    /// Each step in words.
    pub step_words: Vec<String>,
    /// When the present step began.
    pub step_entered_at: Timestamp,
    /// Its stage.
    pub stage: String,
    /// The share decided on.
    pub weight: Weight,
    /// `stepping`, `warm`, `retiring`, `reverting`.
    pub phase: String,
    /// Why it is going back, if it is.
    pub cause: Option<String>,
    /// Held by a person or for lack of evidence.
    pub paused: Option<String>,
    /// Judged candidate requests so far.
    pub judged: u64,
    /// The verdict in full.
    pub assessment: Option<Assessment>,
    /// The verdict in words.
    pub verdict: Option<String>,
    /// How well the latency is known, where it is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_intervals: Option<LatencyIntervals>,
    /// What was skipped, and by whom.
    #[serde(default)]
    pub skipped: Vec<String>,
    /// Tests of the present step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestView>,
    /// The approval the present step asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalView>,
    /// Arms of the experiment under way, beside stable and the candidate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<VariantView>,
    /// Names of the routes that lead requests to the candidate by their headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// Share of the requests that are copied to the candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Weight>,
    /// Instances ordered of both sides where the candidate takes stable's places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<Places>,
    /// Time without anybody to answer users.
    #[serde(default)]
    pub downtime: Downtime,
    /// What else was done to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The way back, once there is one, with what was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<WayBack>,
}

/// Confidence sequences (1 - alpha) of recent latency in milliseconds; baseline, then candidate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LatencyIntervals {
    /// Of the median.
    pub p50_ms: [Option<(f64, f64)>; 2],
    /// Of the 99th percentile.
    pub p99_ms: [Option<(f64, f64)>; 2],
}

/// One rollout, running or ended, `GET /api/v1/services/{name}/rollouts/{id}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RolloutStatus {
    /// `serin.rollout/v1`.
    pub schema: String,
    /// Set while it runs.
    pub running: Option<RolloutView>,
    /// Set when it has ended.
    pub record: Option<RolloutRecord>,
    /// Why it is not moving.
    pub waiting_for: String,
}
