//! Documents about rollouts that have not begun.

use super::{MeasuredWay, WayBackView};
use serde::{Deserialize, Serialize};
use serin_core::{Outlook, RevisionId, ServiceName, Timestamp};

/// `POST /api/v1/plan`: what an apply would do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plans {
    /// `serin.plans/v1`.
    pub schema: String,
    /// One a service, in the order of the file.
    pub plans: Vec<PlanPreview>,
}

/// `GET /api/v1/services/{name}/plan?revision=`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlanPreview {
    /// `serin.plan/v1`.
    pub schema: String,
    /// Whose.
    pub service: ServiceName,
    /// From.
    pub from: Option<RevisionId>,
    /// To.
    pub to: String,
    /// `first`, `release`, `config`, `fast-track`, `queued`, `boarded`, `refused` or `nothing`.
    pub action: String,
    /// When its train leaves, if it has to wait for one.
    #[serde(default)]
    pub departs: Option<Timestamp>,
    /// Steps, times, requests.
    pub outlook: Outlook,
    /// Requests a second the service gets now, if known.
    pub requests_per_second: Option<f64>,
    /// Judged candidate requests expected until a doubled error rate is caught, at 0.5 %.
    pub requests_to_catch: Option<u64>,
    /// What it takes on this machine.
    #[serde(default)]
    pub takes: Foresight,
    /// How one goes back from it, said before it begins.
    #[serde(default)]
    pub way_back: Option<WayBackView>,
    /// Ways back of this service that were measured, the newest first.
    #[serde(default)]
    pub measured: Vec<MeasuredWay>,
    /// The strategy's name in the file.
    #[serde(default)]
    pub strategy: String,
    /// Its steps as a list in YAML, written out.
    #[serde(default)]
    pub written: String,
    /// What is proposed for the present traffic; `None` where nothing was measured, and where the
    /// steps ask for evidence already.
    #[serde(default)]
    pub advice: Option<AdviceView>,
}

/// A strategy that would find more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdviceView {
    /// What to write under `spec.strategy`; `None` where the traffic is too thin for evidence.
    pub strategy: Option<String>,
    /// What it takes and finds, beside what there is now.
    pub sentence: String,
}

/// What a rollout takes: instances beside those that run, and time without any.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Foresight {
    /// Instances in each step.
    pub steps: Vec<StepRoom>,
    /// Instances beyond the replicas, at most.
    pub extra_at_most: u32,
    /// Hours of instances beyond the replicas, when every step takes its shortest time.
    pub extra_hours: f64,
    /// What those cost, in the currency of the file.
    pub extra_cost: Option<f64>,
    /// How the instances of both stand beside each other, as a sentence.
    pub capacity: String,
    /// How long users have nobody to answer them, as a sentence; `None` when never.
    pub downtime: Option<String>,
}

/// Instances in one step, once it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRoom {
    /// Of the version that runs.
    pub stable: u32,
    /// Of the new one.
    pub candidate: u32,
}

impl StepRoom {
    /// Of both.
    pub fn total(&self) -> u32 {
        self.stable + self.candidate
    }
}
