//! One move from stable to candidate, and the record it leaves.

use crate::{
    Actor, AffinitySpec, Baseline, Beside, Counted, Downtime, FlagEnd, Generation, Millis, Places,
    RevisionId, Scale, Schedule, Shared, StartFailure, TestRun, Timestamp, WayBack, Weight,
};
use serde::{Deserialize, Serialize};
use serin_stats::threshold::{CheckState, CheckVerdict};
use serin_stats::{Assessment, Judge, Rung};
use std::collections::BTreeSet;

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
    pub schedule: Shared<Schedule>,
    /// What keeps users with their arm, frozen at the start: it decides what a unit is.
    #[serde(default)]
    pub affinity: Option<AffinitySpec>,
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
    /// The rung that verdict was asked for.
    #[serde(default)]
    pub assessed_at: Option<Rung>,
    /// The checks of the analysis, in its order.
    #[serde(default)]
    pub checks: Vec<CheckRun>,
    /// Codes of verdicts that were only told, each once.
    #[serde(default)]
    pub reported: BTreeSet<String>,
    /// What was counted already, so that each request counts once.
    pub counted: Counted,
    /// Restarts of the candidate seen when the rollout began.
    pub restarts_before: u32,
    /// When evidence or health decided against the candidate.
    pub verdict_at: Option<Timestamp>,
    /// Evidence was promoted past by wish or by default, for the record.
    pub skipped: Vec<String>,
    /// Routes, copies and further arms.
    #[serde(default)]
    pub beside: Beside,
    /// The way back, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<WayBack>,
    /// Codes of verdicts that a person decided against; they decide nothing any more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub overridden: BTreeSet<String>,
    /// What else was done to it, for the record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Instances of both sides where the candidate takes stable's places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<Places>,
    /// The candidate's instances where they are set apart from its share.
    #[serde(default)]
    pub scale: Scale,
    /// Time without anybody to answer users.
    #[serde(default)]
    pub downtime: Downtime,
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
    /// Another configuration of the same version, by the service's steps.
    Config,
    /// A deploy of a revision that was good and is kept ready: all at once.
    FastTrack,
}

impl RolloutKind {
    /// The word of the command line and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Release => "release",
            Self::Rollback => "rollback",
            Self::Config => "config",
            Self::FastTrack => "fast-track",
        }
    }

    /// Whether it leads back to what was good before.
    pub fn is_way_back(self) -> bool {
        matches!(self, Self::Rollback | Self::FastTrack)
    }

    /// Whether it goes by the service's steps and is judged.
    pub fn is_tried(self) -> bool {
        matches!(self, Self::Release | Self::Config)
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
    /// Of a step that chooses the shares: the one it goes to next.
    #[serde(default)]
    pub aim: Option<Aim>,
    /// Of such a step: when the share was moved last.
    #[serde(default)]
    pub moved_at: Option<Timestamp>,
    /// Of such a step: judged candidate requests at that time.
    #[serde(default)]
    pub judged_at_move: u64,
    /// Of a step that runs tests: how each stands, in the order of the step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestRun>,
    /// Of a step that waits for approval: who agreed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_by: Vec<Actor>,
    /// Of a step that changes a flag: what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<FlagEnd>,
}

impl StepState {
    /// Step `index`, begun at `now`.
    pub(crate) fn begun(index: usize, now: Timestamp, judged_before: u64) -> Self {
        let judged_at_move = judged_before;
        Self {
            index,
            entered_at: now,
            judged_before,
            aim: None,
            moved_at: None,
            judged_at_move,
            tests: vec![],
            approved_by: vec![],
            flag: None,
        }
    }
}

/// A share that was chosen and waits for its instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aim {
    /// The share.
    pub weight: Weight,
    /// When it was chosen.
    pub since: Timestamp,
}

/// One check on its way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckRun {
    /// What it remembers; `None` before its step, and before the candidate has traffic.
    pub state: Option<CheckState>,
    /// Whether it was good at least once.
    pub passed: bool,
    /// What it said last.
    pub verdict: Option<CheckVerdict>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Short and fixed, for counters: `errors`, `latency`, `start`, `crash`, `not-ready`,
    /// `inconclusive`, `budget`, `check`, `test`, `approval`, `experiment`, `migration`,
    /// `person`, `superseded`, or the name of a metric.
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
    /// An instance of the candidate failed, and how; its place is stable's again.
    Instance(String),
    /// A check is neither good nor bad, and why.
    Check(String),
    /// It was decided against the candidate, which stays where it is (`onFailure: hold`).
    Failed(Box<Cause>),
    /// It was decided against the candidate, and a person may still say no.
    Confirm {
        /// What was decided.
        cause: Box<Cause>,
        /// When it goes back without an answer.
        until: Timestamp,
    },
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
    /// The rung it was asked for.
    #[serde(default)]
    pub assessed_at: Option<Rung>,
    /// What was skipped, and by whom.
    pub skipped: Vec<String>,
    /// The revision that was stable in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<RevisionId>,
    /// The way back, if there was one, with what was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<WayBack>,
    /// Codes of verdicts that a person decided against.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub overridden: BTreeSet<String>,
    /// What else was done to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// How long nobody was there to answer users, because all old instances had to go first.
    #[serde(default)]
    pub downtime: Millis,
}

impl Cause {
    /// Whether it says that the candidate is bad, not only that it was not shown to be the best or
    /// that its schema could not be made.
    pub(crate) fn is_verdict(&self) -> bool {
        !matches!(self.code.as_str(), "inconclusive" | "experiment" | "migration")
    }
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

    /// The place of the present step's stage.
    pub(crate) fn stage_index(&self) -> usize {
        let mut left = self.step.index;
        let here = self.schedule.stages.iter().position(|stage| {
            let is_here = left < stage.steps.len();
            left = left.saturating_sub(stage.steps.len());
            is_here
        });
        here.unwrap_or(self.schedule.stages.len())
    }

    /// Whether a controller took over a short while ago, so that instances may be coming back.
    pub(crate) fn is_settling(&self, now: Timestamp) -> bool {
        self.took_over_at.is_some_and(|at| now < at.plus(self.schedule.progress_deadline))
    }

    /// Whether two instances are wanted because a judge compares.
    pub(crate) fn is_analysed(&self) -> bool {
        self.schedule.analysis.is_some() && self.kind.is_tried()
    }

    /// Judged candidate requests since the present step began.
    pub(crate) fn judged_here(&self) -> u64 {
        self.counted.judged.saturating_sub(self.step.judged_before)
    }

    /// Whether it is compared with instances as young as its own.
    pub(crate) fn wants_fresh(&self) -> bool {
        let asked = self.schedule.analysis.as_ref().map(|a| a.baseline);
        // Where places are traded there is no room for more instances.
        self.places.is_none() && self.is_analysed() && asked == Some(Baseline::Fresh)
    }

    /// Whether verdicts set nothing back.
    pub(crate) fn only_reports(&self) -> bool {
        self.schedule.analysis.as_ref().is_some_and(|a| a.report_only)
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

    pub(crate) fn into_record(self, active: Option<RevisionId>, now: Timestamp) -> RolloutRecord {
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
            assessed_at: self.assessed_at,
            skipped: self.skipped,
            active,
            back: self.back,
            overridden: self.overridden,
            notes: self.notes,
            downtime: self.downtime.total,
        }
    }
}
