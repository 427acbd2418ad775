//! Facts that reach the engine, all in the past tense.

use crate::{
    Counts, Departure, FlagEnd, FlagOrder, MigrationNews, MigrationOrder, Observation, RevisionId,
    ServiceSpec, Skips, Weight,
};
use serde::{Deserialize, Serialize};

/// Something that happened. The engine absorbs it and then decides from state alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "nearly every event is an observation")]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// A controller took this service over; its plans carry this epoch from now on.
    TookOver {
        /// The controller's epoch, higher than any before.
        epoch: u64,
        /// Rollouts that an earlier service of this name had.
        rollouts: u64,
    },
    /// A person or a program asked for something.
    Asked {
        /// Who.
        by: Actor,
        /// Why, in their words.
        reason: Option<String>,
        /// What.
        ask: Ask,
    },
    /// The platform looked.
    Observed(Observation),
    /// The data plane reported cumulative counts, one per generation.
    Counted(Vec<Counts>),
    /// A test of a step has ended.
    HookEnded {
        /// Which one.
        hook: HookKey,
        /// Whether it passed.
        passed: bool,
        /// What it said, at most 2,000 bytes; the last of it.
        text: String,
    },
    /// What became of a flag that a rollout changes.
    FlagSet {
        /// What was owed.
        order: Box<FlagOrder>,
        /// What became of it.
        ended: FlagEnd,
    },
    /// What became of a migration that is owed.
    Migrated {
        /// What was owed.
        order: Box<MigrationOrder>,
        /// What became of it.
        news: MigrationNews,
    },
    /// The controller before went back and could not write it down.
    WentBack(WentBack),
    /// The time the engine asked to be woken at has come.
    Woke,
}

impl Event {
    /// Whether somebody asks for a way back.
    pub fn asks_back(&self) -> bool {
        matches!(self, Self::Asked { ask: Ask::Abort | Ask::Rollback { .. }, .. })
    }
}

/// How far a way back came that could not be written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WentBack {
    /// The rollout's number within its service.
    pub rollout: u64,
    /// The candidate's share when it was noted.
    #[serde(default)]
    pub weight: Weight,
    /// Instances ordered then, where both sides trade places.
    #[serde(default)]
    pub places: Option<PlacesLeft>,
}

/// Instances ordered of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacesLeft {
    /// Of the candidate.
    pub candidate: u32,
    /// Of stable.
    pub stable: u32,
}

/// One try of one test; the same key always means the same try.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HookKey {
    /// The rollout's number within the service.
    pub rollout: u64,
    /// The step, from 0.
    pub step: usize,
    /// The test within the step, from 0.
    pub hook: usize,
    /// The try, from 1.
    pub attempt: u32,
}

/// Who did something: a login name, a token's name, or `serin` itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actor(pub String);

/// What can be asked of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ask {
    /// Make this revision the one that runs.
    Deploy(Box<DeployAsk>),
    /// Skip what the rollout waits for; with `full`, all steps that are left.
    Promote {
        /// Skip every step that is left.
        full: bool,
    },
    /// Hold the rollout where it is; traffic stays as it is.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Stop this rollout, all traffic to stable.
    Abort,
    /// A new rollout to an older revision; the last good one unless said.
    Rollback {
        /// Where to.
        to: Option<RevisionId>,
    },
    /// Agree to what an approval step asks.
    Approve,
    /// Try the last candidate again from its first step.
    Retry {
        /// Even if it was rolled back before, with fresh evidence.
        allow_bad: bool,
    },
    /// End the hold after a rollback: deploys are taken again.
    Release,
    /// Say that a revision is bad, or that it is not.
    Mark {
        /// Which.
        revision: RevisionId,
        /// What it is from now on.
        bad: bool,
    },
    /// Drop the old shape of the database: from then on there is no way back to revisions that use
    /// it.
    Contract {
        /// Why, against what speaks against it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        override_reason: Option<String>,
        /// The backup there is, or why none is needed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        backup: Option<String>,
    },
    /// Let go of what is kept without traffic now: old revisions, failed candidates.
    Clean,
    /// Stop everything of this service and forget it.
    Remove,
}

/// A deploy in detail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeployAsk {
    /// The whole service as it shall be.
    pub spec: ServiceSpec,
    /// Its revision: version and digest of template and artefact.
    pub revision: RevisionId,
    /// Deploy even a revision that was rolled back before, with fresh evidence.
    pub allow_bad: bool,
    /// The trains it could take; `None` where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub departure: Option<Departure>,
    /// Steps that are left out.
    #[serde(default, skip_serializing_if = "Skips::is_nothing")]
    pub skips: Skips,
}

/// Why an ask was refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For people.
    pub message: String,
    /// What to do instead.
    pub hint: Option<String>,
}

/// Kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// There is no rollout to act on.
    NoRollout,
    /// The rollout is past the point where this is possible.
    TooLate,
    /// The revision was rolled back before.
    BadRevision,
    /// There is no such revision, or none to go back to.
    NoRevision,
    /// Nothing to skip now.
    NothingToSkip,
    /// It is that way already.
    Already,
    /// The service is being removed.
    Removing,
    /// The settings of the analysis cannot work.
    InvalidAnalysis,
    /// A rollout is under way and deploys are refused meanwhile.
    Busy,
    /// The service is held after a rollback.
    Held,
    /// This revision and the running one do not understand each other's data.
    Incompatible,
    /// Whoever asked may not.
    NotAllowed,
    /// The schema of the database is not fit for it.
    Schema,
}

impl Refusal {
    pub(crate) fn new(code: RefusalCode, message: impl Into<String>, hint: &str) -> Self {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        Self { code, message: message.into(), hint }
    }
}
