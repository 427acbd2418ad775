//! Documents about the way back: what a runbook needs, and rehearsals.

use serde::{Deserialize, Serialize};
use serin_core::{Millis, RevisionId, RevisionStanding, ServiceName, Timestamp};
use std::net::SocketAddr;

/// `GET /api/v1/services/{name}/runbook`: the facts a person needs to go back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Runbook {
    /// `serin.runbook/v1`.
    pub schema: String,
    /// Whose.
    pub service: ServiceName,
    /// Its environment.
    pub environment: String,
    /// When these facts were true.
    pub at: Timestamp,
    /// Where users come in.
    pub listen: Option<SocketAddr>,
    /// Path of the readiness probe, if it is one over HTTP.
    pub ready_path: Option<String>,
    /// Instances wanted.
    pub replicas: u32,
    /// The state in one word.
    pub state: String,
    /// What runs.
    pub running: Option<RevisionId>,
    /// The move under way, if there is one: its candidate.
    pub candidate: Option<RevisionId>,
    /// Where `serin rollback` leads.
    pub last_good: Option<RevisionId>,
    /// Every known revision, the newest first.
    pub revisions: Vec<KnownRevision>,
    /// Ways back that were gone and measured, the newest first.
    pub measured: Vec<MeasuredWay>,
    /// Rehearsals, the newest first.
    pub drills: Vec<DrillRecord>,
}

/// One revision that is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownRevision {
    /// Which.
    pub revision: RevisionId,
    /// What came of it.
    pub standing: RevisionStanding,
    /// When it was first asked for.
    pub created_at: Timestamp,
    /// When it last became stable.
    pub promoted_at: Option<Timestamp>,
}

/// A way back that was gone. Times count from the decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredWay {
    /// The rollout it was part of.
    pub rollout: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// The revision that was left.
    pub from: RevisionId,
    /// Where it led.
    pub to: Option<RevisionId>,
    /// A person asked; otherwise evidence or health decided.
    pub asked: bool,
    /// Until the data plane had the new route on its disk.
    pub routed: Option<Millis>,
    /// Until the last request was assigned to the revision that was left.
    pub silent: Option<Millis>,
    /// Until errors were back where they had been.
    pub recovered: Option<Millis>,
}

/// `GET /api/v1/services/{name}/drills`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Drills {
    /// `serin.drills/v1`.
    pub schema: String,
    /// Newest first.
    pub drills: Vec<DrillRecord>,
}

/// One rehearsal; `POST /api/v1/services/{name}/drills` remembers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrillRecord {
    /// When it was over.
    pub at: Timestamp,
    /// Who asked for it.
    pub by: String,
    /// The version it was rehearsed with.
    pub version: String,
    /// Its bad version was found by evidence; otherwise the way back was ordered.
    pub judged: bool,
    /// From the bad version's first request to the verdict.
    pub detected: Option<Millis>,
    /// From the decision until the route was confirmed.
    pub routed: Option<Millis>,
    /// From the decision until no request was assigned to the bad version any more.
    pub silent: Option<Millis>,
    /// From the decision until errors were back where they had been.
    pub recovered: Option<Millis>,
    /// Requests of the drill's users, and those that failed.
    pub requests: (u64, u64),
    /// The same, of those sent after the way back was gone.
    pub after: (u64, u64),
    /// How long the way back might take.
    pub target: Millis,
    /// Whether everything was as it should be.
    pub passed: bool,
}
