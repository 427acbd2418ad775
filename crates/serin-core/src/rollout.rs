//! One move from stable to candidate, and the record it leaves.

use crate::{
    Actor, ArmCounts, CountKey, Generation, RevisionId, Schedule, StartFailure, Timestamp, Weight,
};
use serde::{Deserialize, Serialize};
use serin_stats::{Assessment, Judge};
use std::collections::{BTreeMap, BTreeSet};

/// A rollout under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// Its number within the service, from 1.
    pub id: u64,
    /// What set it off.
    pub kind: RolloutKind,
    /// The revision on trial.
    pub candidate: RevisionId,
    /// The stable revision it is compared with; `None` for a first revision.
    pub baseline: Option<RevisionId>,
    /// Who asked for it.
    pub by: Actor,
    /// Why, in their words.
    pub reason: Option<String>,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// The service's generation then; only requests of later ones are evidence.
    pub after: Generation,
    /// The steps, frozen at the start.
    pub schedule: Schedule,
    /// Where it is in them.
    pub step: StepState,
    /// What it is doing.
    pub phase: Phase,
    /// The candidate's share that was decided on.
    pub weight: Weight,
    /// The share its instances are sized for.
    pub size_for: Weight,
    /// Why it is held, if it is.
    pub paused: Option<PauseReason>,
    /// Since when.
    pub paused_at: Option<Timestamp>,
    /// When a new controller took over during it; instances get a while to come back then.
    pub took_over_at: Option<Timestamp>,
    /// The plan from which on the candidate has all traffic and nothing to be compared with.
    pub alone_from: Option<Generation>,
    /// The judge with all evidence so far.
    pub judge: Option<Judge>,
    /// Its last verdict in full.
    pub assessment: Option<Assessment>,
    /// What was counted already, so that each request counts once.
    pub counted: Counted,
    /// Restarts of the candidate seen when the rollout began.
    pub restarts_before: u32,
    /// When evidence or health decided against the candidate.
    pub verdict_at: Option<Timestamp>,
    /// Evidence was promoted past by wish or by default, for the record.
    pub skipped: Vec<String>,
}

/// How a rollout came to be; decides which schedule it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RolloutKind {
    /// The first revision of a service: there is nothing to compare with.
    First,
    /// A new revision, by the service's steps.
    Release,
    /// Back to a revision that was good before: all at once.
    Rollback,
}

impl RolloutKind {
    /// The word of the command line and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Release => "release",
            Self::Rollback => "rollback",
        }
    }
}

/// Position in the steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepState {
    /// Index into all steps of the schedule; their number when none is left.
    pub index: usize,
    /// When this step began.
    pub entered_at: Timestamp,
    /// Judged candidate requests when it began.
    pub judged_before: u64,
}

/// What a rollout is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Going through the steps.
    Stepping,
    /// The candidate has all traffic; stable is kept warm.
    Warm {
        /// Since when.
        since: Timestamp,
    },
    /// The candidate is the new stable; the old one drains and stops.
    Retiring,
    /// All traffic goes to stable; the candidate drains and stops.
    Reverting {
        /// How the rollout will have ended.
        outcome: Outcome,
        /// Why.
        cause: Box<Cause>,
    },
}

/// How a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The candidate is stable now.
    Promoted,
    /// Evidence or health decided against it.
    RolledBack,
    /// A person stopped it.
    Aborted,
    /// A newer deploy took its place.
    Superseded,
}

impl Outcome {
    /// The word of the command line and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled-back",
            Self::Aborted => "aborted",
            Self::Superseded => "superseded",
        }
    }
}

/// Why a rollout ended the way it did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// Short and fixed, for counters: `errors`, `latency`, `start`, `crash`, `not-ready`,
    /// `inconclusive`, `budget`, `check`, `person`, `superseded`, or the name of a metric.
    pub code: String,
    /// The sentence, with both numbers, the limit and the sample size where there are any.
    pub text: String,
    /// The stage it happened in.
    pub stage: String,
    /// The step, counted from 1.
    pub step: usize,
    /// What is known of the instance that failed.
    pub failure: Option<StartFailure>,
}

/// Why a rollout is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PauseReason {
    /// A person said so.
    Person(Actor),
    /// The bake's deadline passed without evidence.
    Inconclusive,
    /// What was compared cannot be trusted, and why.
    Guard(String),
    /// A check is neither good nor bad, and why.
    Check(String),
}

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
    pub at: BTreeMap<Generation, BTreeMap<RevisionId, ArmCounts>>,
    /// Judged candidate requests so far.
    pub judged: u64,
}

/// What stays of a rollout when it has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutRecord {
    /// Its number within the service.
    pub id: u64,
    /// What set it off.
    pub kind: RolloutKind,
    /// The revision that was stable before.
    pub from: Option<RevisionId>,
    /// The candidate.
    pub to: RevisionId,
    /// Who asked for it.
    pub by: Actor,
    /// Why.
    pub reason: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was over, the losing side stopped.
    pub ended_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, unless it was promoted.
    pub cause: Option<Cause>,
    /// Steps it completed.
    pub steps_completed: usize,
    /// Steps it had.
    pub steps: usize,
    /// When it was decided against the candidate.
    pub verdict_at: Option<Timestamp>,
    /// The last verdict.
    pub assessment: Option<Assessment>,
    /// What was skipped, and by whom.
    pub skipped: Vec<String>,
}

impl Rollout {
    /// Whether the candidate can still be decided against.
    pub fn is_on_trial(&self) -> bool {
        matches!(self.phase, Phase::Stepping | Phase::Warm { .. })
    }

    /// Whether `id` is one of its two revisions.
    pub fn involves(&self, id: &RevisionId) -> bool {
        self.candidate == *id || self.baseline.as_ref() == Some(id)
    }

    /// The name of the stage of the present step.
    pub fn stage(&self) -> &str {
        let last = self.schedule.len().saturating_sub(1);
        let name = self.schedule.steps().nth(self.step.index.min(last)).map(|(name, _)| name);
        name.unwrap_or("start")
    }

    /// Whether a controller took over a short while ago, so that instances may be coming back.
    pub(crate) fn is_settling(&self, now: Timestamp) -> bool {
        self.took_over_at.is_some_and(|at| now < at.plus(self.schedule.progress_deadline))
    }

    /// Whether two instances are wanted because a judge compares.
    pub(crate) fn is_analysed(&self) -> bool {
        self.schedule.analysis.is_some() && self.kind == RolloutKind::Release
    }

    pub(crate) fn cause(&self, code: &str, text: String, failure: Option<StartFailure>) -> Cause {
        Cause {
            code: code.into(),
            text,
            stage: self.stage().into(),
            step: (self.step.index + 1).min(self.schedule.len().max(1)),
            failure,
        }
    }

    pub(crate) fn into_record(self, now: Timestamp) -> RolloutRecord {
        let (outcome, cause) = match self.phase {
            Phase::Reverting { outcome, cause } => (outcome, Some(*cause)),
            _ => (Outcome::Promoted, None),
        };
        RolloutRecord {
            id: self.id,
            kind: self.kind,
            from: self.baseline,
            to: self.candidate,
            by: self.by,
            reason: self.reason,
            started_at: self.started_at,
            ended_at: now,
            outcome,
            cause,
            steps_completed: self.step.index,
            steps: self.schedule.len(),
            verdict_at: self.verdict_at,
            assessment: self.assessment,
            skipped: self.skipped,
        }
    }
}
