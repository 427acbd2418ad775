//! What the API says. The command line and the dashboard read these same documents.
//! Fields are only ever added within one schema version.

mod back;
mod flag_requests;
mod flags;
mod life;
mod people;
mod plan;
mod rollout;

pub use back::{DrillRecord, Drills, KnownRevision, MeasuredWay, Runbook};
pub(crate) use flag_requests::WantedRequests;
pub use flag_requests::{
    Agreement, Difference, FlagRequest, FlagRequests, FlagRetirement, PassedStage, Request,
    RequestState, Requested, RetireRequest, RetireStage, Retirement, Scanned,
};
pub use flags::{
    Answered, Asking, Constant, Due, FlagHistory, FlagList, FlagPast, FlagPatch, FlagPut,
    FlagRollout, FlagSchedule, FlagSetPatch, FlagSetRow, FlagSets, FlagToken, FlagTokens, FlagVerb,
    FlagView, Found, Imported, Ready, StaleFlag, StaleReport, StaleRequest, Stamp, Trigger,
    UnknownKey, Used, Verdict,
};
pub use life::{
    ApprovalView, BoardedView, CheckedInstance, Checkup, LeftoverView, Leftovers, NotifyTest,
    NotifyTested, QueuedView, TestView, UntoldView, VariantView, WayBackView,
};
pub use people::{ApiToken, ApiTokens, TokenWish};
pub use plan::{AdviceView, Foresight, PlanPreview, Plans, StepRoom};
pub use rollout::{LatencyIntervals, RolloutStatus, RolloutView};

use serde::{Deserialize, Serialize};
use serin_core::{
    Entry, Hold, Kept, OpenMigration, RefusalCode, RevisionId, RolloutRecord, ServiceName, Skips,
    Timestamp, WaitingOn, Weight,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// All services, `GET /api/v1/services`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Services {
    /// `serin.services/v1`.
    pub schema: String,
    /// By name.
    pub services: Vec<ServiceView>,
    /// What keeps clients of feature flags from being served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags_trouble: Option<String>,
}

/// One service, `GET /api/v1/services/{name}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceView {
    /// `serin.service/v1`.
    pub schema: String,
    /// Its name.
    pub name: ServiceName,
    /// Its environment.
    pub environment: String,
    /// `stable`, `starting`, `rolling-out`, `rolling-back`, `finishing`, `paused`, `removing`, `down`.
    pub state: String,
    /// Where users come in.
    pub listen: Option<SocketAddr>,
    /// Instances wanted.
    pub replicas: u32,
    /// The trusted revision.
    pub stable: Option<RevisionId>,
    /// The move under way.
    pub rollout: Option<RolloutView>,
    /// The last move that ended.
    pub last: Option<RolloutRecord>,
    /// Why it is not moving, as data.
    pub waiting_on: WaitingOn,
    /// The same as a sentence.
    pub waiting_for: String,
    /// Traffic by revision since the last change of weights.
    pub traffic: Vec<ArmView>,
    /// Its processes.
    pub instances: Vec<InstanceRow>,
    /// Things a person should know: drift, one replica, a full disk.
    pub notes: Vec<String>,
    /// Where `rollback` leads now, and what it takes.
    #[serde(default)]
    pub way_back: Option<WayBackView>,
    /// The deploy that waits for the rollout under way.
    #[serde(default)]
    pub queued: Option<QueuedView>,
    /// Deploys that wait for their train.
    #[serde(default)]
    pub boarded: Vec<BoardedView>,
    /// Which clients its revisions serve, as sentences.
    #[serde(default)]
    pub clients: Vec<String>,
    /// What is not deployed again since the last way back.
    #[serde(default)]
    pub hold: Option<Hold>,
    /// The revision whose instances stay without traffic.
    #[serde(default)]
    pub kept: Option<Kept>,
    /// The migration of its database that is under way or waits for its contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<OpenMigration>,
    /// The last migration whose contract is done: only its shape is left, or that and the one of the
    /// migration under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contracted: Option<String>,
    /// People who are not told what they asked to be told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untold: Vec<UntoldView>,
}

/// Traffic of one revision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ArmView {
    /// Which.
    pub revision: RevisionId,
    /// `stable`, `candidate`, `baseline` (instances of stable as young as the candidate's), or
    /// `former` and `former-baseline` when it is in no plan now.
    pub role: String,
    /// The share asked for.
    pub asked: Weight,
    /// The share it got of the requests since the last change of weights; 0 to 1.
    pub realised: Option<f64>,
    /// Requests since the data plane started.
    pub requests: u64,
    /// Of those, answered with a status of 500 or above, timed out or broken.
    pub errors: u64,
    /// First and last request assigned to it.
    pub first_request_at: Option<Timestamp>,
    /// Last request assigned to it.
    pub last_request_at: Option<Timestamp>,
    /// Median latency in milliseconds.
    pub p50_ms: Option<f64>,
    /// 99th percentile of latency in milliseconds.
    pub p99_ms: Option<f64>,
}

/// One process of a service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InstanceRow {
    /// Its name.
    pub id: String,
    /// Its revision.
    pub revision: RevisionId,
    /// `starting`, `ready`, `not-ready`, `draining`, `stopping`, `exited`.
    pub phase: String,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Its process, if it runs.
    pub pid: Option<u32>,
    /// Requests on it now.
    pub in_flight: u64,
    /// Times it was replaced unasked.
    pub restarts: u32,
    /// Processor use in percent of one core.
    pub cpu_percent: Option<f64>,
    /// Resident memory in bytes.
    pub rss_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u32>,
    /// Open files.
    pub open_files: Option<u32>,
    /// Result of the last probe.
    pub last_probe: Option<String>,
    /// Digest of the artefact it was started from.
    pub artefact: String,
}

/// `GET /api/v1/services/{name}/history`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct History {
    /// `serin.history/v1`.
    pub schema: String,
    /// Newest first.
    pub rollouts: Vec<RolloutRecord>,
    /// What was seen after ways back, by number of the rollout.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checkups: BTreeMap<u64, Checkup>,
}

/// `GET /api/v1/services/{name}/explain`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explanation {
    /// `serin.explain/v1`.
    pub schema: String,
    /// The service now.
    pub service: ServiceView,
    /// The journal of its newest rollout, oldest first.
    pub entries: Vec<JournalLine>,
    /// What was seen after its way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkup: Option<Checkup>,
}

/// One journal entry with its place in the log; also each event of `GET /api/v1/events`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JournalLine {
    /// Place in the log of all services.
    pub seq: u64,
    /// Whose.
    pub service: ServiceName,
    /// What.
    #[serde(flatten)]
    pub entry: Entry,
    /// The sentence.
    pub text: String,
}

/// `GET /api/v1/services/{name}/logs?revision=&lines=`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Logs {
    /// `serin.logs/v1`.
    pub schema: String,
    /// By instance, oldest line first.
    pub instances: Vec<InstanceLog>,
}

/// `GET /api/v1/services/{name}/usage`.
#[derive(Debug, Clone, Serialize)]
pub struct UsageView {
    /// `serin.usage/v1`.
    pub schema: String,
    /// Of each running instance: its revision and its samples, 5 s apart, oldest first.
    pub instances: Vec<serin_local::InstanceUsage>,
}

/// The end of one instance's log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InstanceLog {
    /// Which.
    pub instance: String,
    /// Lines.
    pub lines: Vec<String>,
}

/// Body of `POST /api/v1/apply`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApplyRequest {
    /// The file's name, for messages.
    pub source: String,
    /// Its text.
    pub text: String,
    /// Directory relative paths count from, absolute.
    pub base_dir: String,
    /// Revision to use instead of the file's, when the file has one service.
    pub revision: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Who, as the client knows it.
    pub actor: Option<String>,
    /// Check only.
    pub dry_run: bool,
    /// Deploy revisions that were rolled back before.
    pub allow_bad: bool,
    /// Do not wait for the next train.
    #[serde(default)]
    pub now: bool,
    /// Steps that are left out; needs a reason.
    #[serde(default)]
    pub skips: Skips,
}

/// Answer to an apply or a deploy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Applied {
    /// `serin.applied/v1`.
    pub schema: String,
    /// One a service.
    pub services: Vec<AppliedService>,
}

/// What an apply did to one service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AppliedService {
    /// Which.
    pub service: ServiceName,
    /// `created`, `rollout-started`, `queued`, `boarded`, `configured` or `unchanged`.
    pub action: String,
    /// The revision that is asked for.
    pub revision: RevisionId,
    /// The rollout that was started or is under way.
    pub rollout: Option<u64>,
    /// When its train leaves, if it has to wait for one.
    #[serde(default)]
    pub departs: Option<Timestamp>,
    /// Warnings about it.
    pub warnings: Vec<String>,
}

/// Body of `POST /api/v1/services/{name}:{verb}`; verbs `deploy`, `retry`, `promote`, `approve`,
/// `pause`, `resume`, `abort`, `rollback`, `release`, `mark`, `clean`, `drill`,
/// `contract`, `remove`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of one verb
pub struct VerbRequest {
    /// `deploy`: the revision; `rollback`: where to; `mark`: which.
    pub revision: Option<String>,
    /// `promote`: skip all steps.
    pub full: bool,
    /// `deploy`, `retry`: even one that was rolled back before.
    pub allow_bad: bool,
    /// `deploy`: do not wait for the next train.
    pub now: bool,
    /// `deploy`: steps that are left out; needs a reason.
    pub skips: Skips,
    /// `mark`: it is bad; otherwise it is not. `drill`: deploy the bad version to the copy;
    /// otherwise start the copy.
    pub bad: bool,
    /// Check only.
    pub dry_run: bool,
    /// Why.
    pub reason: Option<String>,
    /// Who, as the client knows it.
    pub actor: Option<String>,
    /// `contract`: what speaks against it is set aside, for this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
    /// `contract`: the backup there is, or why none is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
}

/// An error, RFC 9457 problem+json. Status 404 unknown, 409 refused, 422 invalid file, 503 storage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Problem {
    /// One line.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// For programs: `unknown-service`, `refused`, `invalid-file`, `address-in-use`, `disk-full`...
    pub code: String,
    /// The next thing to do.
    pub hint: Option<String>,
    /// For invalid files: the drawn errors.
    pub detail: Option<String>,
    /// Of what was refused: why, such as `held` or `bad-revision`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<RefusalCode>,
}

/// `GET /api/v1/server`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerView {
    /// `serin.server/v1`.
    pub schema: String,
    /// Version of the binary.
    pub version: String,
    /// The controller's epoch.
    pub epoch: u64,
    /// Process id of the control plane.
    pub pid: u32,
    /// Start of the data plane, ms since the Unix epoch; `None` while it is away.
    pub data_plane_epoch: Option<u64>,
    /// Responses made by Serin itself with a status of 500 or above, since the data plane started.
    pub dropped: u64,
    /// Set while decisions cannot be stored.
    pub storage_trouble: Option<String>,
}

/// The name and version of a document.
pub fn schema_of(document: &str) -> String {
    format!("serin.{document}/v1")
}
