//! What is told: facts in the past tense, the same sentence in command line, API, dashboard and
//! audit.

mod life;
mod places;
mod steps;

use crate::{
    Actor, Cause, FlagChange, FlagEnd, KeptFor, MigrationTold, Millis, Outcome, Recovery,
    RevisionId, RolloutKind, Timestamp, Weight,
};
use serde::{Deserialize, Serialize};
use serin_stats::Assessment;
use std::fmt;

/// Something worth telling, with its time and rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// In which rollout of the service, if in one.
    pub rollout: Option<u64>,
    /// What.
    pub fact: Fact,
}

/// What can be told.
#[allow(missing_docs)] // the variants' own lines say what their fields are
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "camelCase")]
pub enum Fact {
    /// A rollout began.
    Started {
        kind: RolloutKind,
        from: Option<RevisionId>,
        to: RevisionId,
        by: Actor,
        reason: Option<String>,
    },
    /// Evidence of an earlier try was taken up.
    Inherited { revision: RevisionId, requests: u64 },
    /// The spec changed without a new revision.
    Configured { by: Actor },
    /// The candidate's share was decided.
    Weight { revision: RevisionId, weight: Weight },
    /// A step was completed.
    StepDone { step: usize, steps: usize },
    /// A step was skipped.
    StepSkipped { step: usize, what: String },
    /// The verdict on the candidate changed.
    Verdict { assessment: Box<Assessment> },
    /// The rollout is held.
    Paused { text: String },
    /// It goes on; without a name because the evidence came after all.
    Resumed { by: Option<Actor>, reason: Option<String> },
    /// The candidate has all traffic; the old revision is kept for a while.
    Warming { revision: RevisionId, kept: RevisionId, span: Millis },
    /// All traffic has been ordered back to stable.
    Reverting { outcome: Outcome, cause: Box<Cause> },
    /// The candidate became stable; the old one drains.
    Promoted { revision: RevisionId },
    /// The rollout is over.
    Ended { kind: RolloutKind, outcome: Outcome, revision: RevisionId },
    /// A verdict that decides nothing because the analysis only reports.
    Reported { text: String },
    /// No more ticks of this rollout are recorded.
    TicksFull { kept: u64 },
    /// A plan was not handed out because it breaks a rule.
    PlanRefused { notes: Vec<String> },
    /// The service is being taken away.
    Removing { by: Actor },
    /// What was asked for is what runs, or what is on its way.
    Unchanged { revision: RevisionId, running: bool },
    /// The number of instances was changed.
    Scaled { from: u32, to: u32, by: Actor },
    /// A deploy waits for the rollout under way.
    Queued { revision: RevisionId, behind: RevisionId, by: Actor },
    /// A deploy that waited will not start.
    Unqueued { revision: RevisionId, by: Actor, why: String },
    /// A deploy waits for its train.
    Boarded { revision: RevisionId, by: Actor, departs: Timestamp, span: Millis },
    /// The train of a deploy leaves.
    Departed { revision: RevisionId, by: Actor },
    /// A person deploys without waiting for the train.
    TrainWaived { revision: RevisionId, by: Actor, departs: Timestamp, why: String },
    /// The steps of the rollout were replaced; it goes on at this one of the new.
    Replanned { by: Actor, step: usize, steps: usize, weight: Weight },
    /// Steps that are not gone through, because the revision was good and is ready.
    FastTracked { revision: RevisionId, steps: usize },
    /// Instances stay although they have no traffic.
    Kept { revision: RevisionId, why: KeptFor, instances: u32, span: Millis },
    /// They go now.
    LetGo { revision: RevisionId },
    /// The revision survived and counts as good.
    Survived { revision: RevisionId },
    /// Deploys of this revision and older ones are refused from now on.
    Held { left: RevisionId },
    /// They are taken again; without a name because something newer was deployed.
    Released { left: RevisionId, by: Option<Actor> },
    /// A person said what a revision is worth.
    Marked { revision: RevisionId, bad: bool, by: Actor, reason: Option<String> },
    /// A verdict against the candidate that a person has to answer.
    Convicted { cause: Box<Cause>, confirm: Option<Millis> },
    /// A person decided against a verdict.
    Overridden { by: Actor, reason: Option<String>, cause: Box<Cause> },
    /// The data plane has confirmed that all traffic is on this revision again.
    Routed { revision: RevisionId, after: Millis },
    /// No new request reached what was left any more.
    Silent { left: RevisionId, after: Millis },
    /// What became of the errors after the way back.
    BackProven { recovery: Recovery, after: Millis },
    /// There is no earlier version, so what is there stays.
    NoWayBack { text: String },
    /// A rollback came to nothing; this revision keeps the traffic.
    RollbackFailed { to: RevisionId, stays: Option<RevisionId>, cause: Box<Cause> },
    /// Something about data formats that people should know.
    Formats { text: String },
    /// Instances were ordered where the candidate takes stable's places.
    Places { candidate: RevisionId, has: u32, stable: RevisionId, keeps: u32, of: u32 },
    /// An instance of the candidate failed; its place is stable's again, for a while or until
    /// somebody goes on.
    PlaceBack { revision: RevisionId, text: String, retry: Option<Millis> },
    /// The candidate has all traffic and stable's places; it is watched for a while.
    Watching { revision: RevisionId, span: Millis },
    /// Nobody answers users until this revision is ready.
    Down { revision: RevisionId },
    /// Users are answered again, after so long.
    Up { revision: RevisionId, after: Millis },
    /// A try of a test has ended.
    TestEnded { step: usize, name: String, passed: bool, attempt: u32, tries: u32, text: String },
    /// Somebody agreed to what a step asks.
    Approved { step: usize, by: Actor, have: u32, wanted: u32, reason: Option<String> },
    /// Requests with certain headers go to the candidate; without words, no more.
    HeaderRoute { revision: RevisionId, name: String, what: String },
    /// Copies go to the candidate.
    Mirror { revision: RevisionId, share: Weight },
    /// Variants are started beside stable and the candidate.
    ExperimentBegun { variants: Vec<String> },
    /// One of them takes part no more.
    VariantDropped { revision: RevisionId, cause: Box<Cause> },
    /// The experiment is over, and what it found.
    ExperimentEnded { text: String },
    /// A flag was changed by a step, or goes back with the code (without a change).
    Flag { set: String, key: String, change: Option<FlagChange>, ended: FlagEnd },
    /// What became of a migration.
    Migration { name: String, told: MigrationTold },
}

/// How much a fact asks of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Nothing.
    Info,
    /// A look when there is time.
    Warn,
    /// Somebody has to act now.
    Page,
}

impl Fact {
    /// How much it asks of people.
    pub fn severity(&self) -> Severity {
        match self {
            Self::NoWayBack { .. } | Self::RollbackFailed { .. } | Self::Convicted { .. } => {
                Severity::Page
            }
            Self::BackProven { recovery: Recovery::NotRecovered { .. }, .. } => Severity::Page,
            Self::Reverting { outcome: Outcome::RolledBack, .. }
            | Self::Paused { .. }
            | Self::Overridden { .. }
            | Self::PlanRefused { .. }
            | Self::Reported { .. }
            | Self::Formats { .. }
            | Self::Unqueued { .. }
            | Self::TrainWaived { .. }
            | Self::Flag { ended: FlagEnd::Refused { .. } | FlagEnd::Left { .. }, .. }
            | Self::Migration {
                told:
                    MigrationTold::Stopped { .. }
                    | MigrationTold::Refused { .. }
                    | MigrationTold::Contract { against: Some(_), .. }
                    | MigrationTold::TooLate { .. }
                    | MigrationTold::Doubted { .. }
                    | MigrationTold::Left,
                ..
            }
            | Self::PlaceBack { .. } => Severity::Warn,
            Self::Scaled { from, to, .. } if to * 2 < *from => Severity::Warn,
            _ => Severity::Info,
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { kind, from, to, by, reason } => {
                fmt_started(f, *kind, from.as_ref(), to, by)?;
                reason.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
            }
            Self::Inherited { revision, requests } => write!(
                f,
                "{} was tried before; its evidence from {requests} requests counts",
                revision.version
            ),
            Self::Configured { by } => write!(f, "configuration changed by {}", by.0),
            Self::Weight { revision, weight } => {
                write!(f, "{} gets {weight} of the traffic", revision.version)
            }
            Self::StepDone { step, steps } => write!(f, "step {step} of {steps} done"),
            Self::StepSkipped { step, what } => write!(f, "step {step} skipped: {what}"),
            Self::Verdict { assessment } => {
                f.write_str(&crate::outlook::verdict_sentence(assessment))
            }
            Self::Paused { text } => write!(f, "paused: {text}"),
            Self::Resumed { by: None, .. } => f.write_str("resumed: the evidence is there"),
            Self::Resumed { by: Some(by), reason } => {
                write!(f, "resumed by {}", by.0)?;
                reason.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
            }
            Self::Warming { revision, kept, span } => write!(
                f,
                "{} has all traffic; {} is kept warm for {span}",
                revision.version, kept.version
            ),
            Self::Reverting { outcome: Outcome::RolledBack, cause } => {
                write!(f, "rolled back: {}", cause.text)
            }
            Self::Reverting { cause, .. } => f.write_str(&cause.text),
            Self::Promoted { revision } => write!(f, "{} is stable now", revision.version),
            Self::Ended { kind, outcome, revision } => fmt_ended(f, *kind, *outcome, revision),
            Self::Reported { text } => write!(f, "only reported, nothing is set back: {text}"),
            Self::TicksFull { kept } => write!(
                f,
                "{kept} ticks of the judge are recorded, later ones are not; the rollout goes on"
            ),
            Self::PlanRefused { notes } => write!(f, "plan not applied: {}", notes.join("; ")),
            Self::Removing { by } => write!(f, "removal asked by {}", by.0),
            Self::Places { .. }
            | Self::PlaceBack { .. }
            | Self::Watching { .. }
            | Self::Down { .. }
            | Self::Up { .. } => places::fmt(self, f),
            other => life::fmt(other, f),
        }
    }
}

fn fmt_started(
    f: &mut fmt::Formatter<'_>,
    kind: RolloutKind,
    from: Option<&RevisionId>,
    to: &RevisionId,
    by: &Actor,
) -> fmt::Result {
    let verb = match kind {
        RolloutKind::Rollback => "rollback",
        RolloutKind::Config => "rollout of a new configuration",
        RolloutKind::FastTrack => "fast track",
        RolloutKind::First | RolloutKind::Release => "rollout",
    };
    write!(f, "{verb} to {} started by {}", to.version, by.0)?;
    from.map_or(Ok(()), |from| write!(f, " (from {})", from.version))
}

fn fmt_ended(
    f: &mut fmt::Formatter<'_>,
    kind: RolloutKind,
    outcome: Outcome,
    revision: &RevisionId,
) -> fmt::Result {
    let version = &revision.version;
    match (kind, outcome) {
        (RolloutKind::Rollback, Outcome::Promoted) => write!(f, "rollback to {version} is done"),
        (RolloutKind::Rollback, _) => write!(f, "rollback to {version} failed"),
        (_, outcome) => write!(f, "rollout of {version} ended: {}", outcome.as_str()),
    }
}
