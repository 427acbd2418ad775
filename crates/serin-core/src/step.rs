//! The steps a rollout is made of.

use crate::{EnvValue, FlagStep, MigrateStep, Millis, Weight};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One step of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Give the candidate this share, after it is sized for it.
    SetWeight(Weight),
    /// Wait for a time, or for a person.
    Pause(Option<Millis>),
    /// Wait under traffic.
    Bake(Bake),
    /// Raise the share as the evidence allows, until it is there.
    Expose(Expose),
    /// Size the candidate apart from its share; done when its instances are ready.
    SetScale(Scale),
    /// Lead requests with certain headers to the candidate, whatever its share.
    SetHeaderRoute(HeaderRoute),
    /// Send copies of requests to the candidate; users see stable's answers alone.
    SetMirror(MirrorRoute),
    /// Wait for named checks of the analysis to be good.
    Analyse(Analyse),
    /// Wait for people to agree.
    Approve(Approval),
    /// Run tests against the candidate, all at once; all must pass.
    Run(Vec<Hook>),
    /// Run variants beside stable for a time.
    Experiment(Experiment),
    /// Change who gets a flag; it goes back with the code.
    Flag(FlagStep),
    /// Bring the schema of the database, before any instance of the candidate starts.
    Migrate(MigrateStep),
}

/// A step that chooses the shares itself: each is as large as the harm that is still possible
/// allows. It ends with the evidence of its rung; the share is then what it came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expose {
    /// Failed requests that users may yet suffer on average if the candidate is harmful.
    pub budget: f64,
    /// Most that the candidate gets in this step.
    pub up_to: Weight,
    /// After this, [`crate::OnInconclusive`] decides.
    pub deadline: Millis,
}

/// Conditions of a bake; all must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bake {
    /// At least this long.
    pub at_least: Millis,
    /// At least so many judged requests on the candidate.
    pub requests: u64,
    /// Until the evidence says the candidate is not harmful.
    pub until_evidence: bool,
    /// After this, [`crate::OnInconclusive`] decides.
    pub deadline: Millis,
}

/// How many instances the candidate has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scale {
    /// As many as its share of the traffic needs.
    #[default]
    MatchWeight,
    /// So many.
    Instances(u32),
    /// This share of the replicas, rounded up.
    Share(Weight),
}

/// Requests that go to the candidate because of their headers. They are counted, and never
/// evidence: they were not dealt at random.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderRoute {
    /// Tells routes of one rollout apart.
    pub name: String,
    /// Any of these; empty takes the route away.
    pub matches: Vec<HeaderMatch>,
}

/// A header and what its value must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderMatch {
    /// Lower-case name.
    pub header: String,
    /// What its value must be.
    pub value: TextMatch,
}

/// What a text must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TextMatch {
    /// This, to the letter.
    Exact(String),
    /// Something that begins with this.
    Prefix(String),
    /// Something in which this regular expression is found.
    Regex(String),
    /// Anything.
    Present,
}

/// Copies of requests for the candidate; its answers are thrown away and judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorRoute {
    /// Tells routes of one rollout apart.
    pub name: String,
    /// Any of these; empty for all requests with a safe method (GET, HEAD, OPTIONS).
    pub matches: Vec<RequestMatch>,
    /// Share of the requests that match; nothing takes the route away.
    pub share: Weight,
}

/// A request; everything that is said must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestMatch {
    /// Any of these methods, upper-case; empty for the safe ones.
    #[serde(default)]
    pub methods: Vec<String>,
    /// What its path must be.
    #[serde(default)]
    pub path: Option<TextMatch>,
    /// All of these.
    #[serde(default)]
    pub headers: Vec<HeaderMatch>,
}

/// Waits until checks of the analysis are good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analyse {
    /// Names of the checks; they begin with this step.
    pub checks: Vec<String>,
    /// After this, [`crate::OnInconclusive`] decides.
    pub deadline: Millis,
}

/// People who must agree before the rollout goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who may; empty for anybody who may ask at all.
    pub from: Vec<String>,
    /// How many different people, at least 1.
    pub count: u32,
    /// After this the rollout is aborted; `None` waits for ever.
    pub timeout: Option<Millis>,
}

/// A test against the candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    /// Its name, for people.
    pub name: String,
    /// What is done.
    pub kind: HookKind,
    /// How long one try may take.
    pub timeout: Millis,
    /// Tries before it counts as failed, at least 1.
    pub tries: u32,
}

/// What a test does. `$(CANDIDATE_URL)`, `$(REVISION)`, `$(SERVICE)` are filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HookKind {
    /// A program passes with exit code 0.
    Command {
        /// Program and arguments.
        argv: Vec<String>,
        /// Further environment.
        env: BTreeMap<String, EnvValue>,
    },
    /// A request passes with the wanted status.
    Http {
        /// Upper-case.
        method: String,
        /// Whole URL, or a path on the candidate.
        url: String,
        /// First and last status that passes.
        status: (u16, u16),
        /// A text the body must hold.
        contains: Option<String>,
    },
}

/// Variants beside stable for a time. Stable and the candidate take part with their own shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// Beside stable and candidate.
    pub variants: Vec<Variant>,
    /// How long at least.
    pub at_least: Millis,
    /// After this it ends in any case.
    pub deadline: Millis,
    /// How a winner is chosen; without it the variants are only compared.
    pub winner: Option<WinnerRule>,
}

/// One more arm: the candidate or stable with another environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Its name; its revision is called `<version>-<name>`.
    pub name: String,
    /// What it is made of.
    pub of: VariantOf,
    /// What is different.
    pub env: BTreeMap<String, EnvValue>,
    /// Its share of requests.
    pub weight: Weight,
    /// Its instances; as many as its share needs unless said.
    pub instances: Option<u32>,
}

/// What a variant is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VariantOf {
    /// The revision on trial.
    Candidate,
    /// The trusted revision.
    Stable,
}

/// How the winner of an experiment is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WinnerRule {
    /// What counts as success, counted by the data plane.
    pub goal: Goal,
    /// Chance to name a winner that is none, over the whole experiment; in (0, 0.5).
    pub alpha: f64,
    /// Users (or requests) of each arm before anything is decided.
    pub min_units: u64,
    /// What happens at the deadline without a winner.
    pub otherwise: NoWinner,
}

/// A request that counts as success: it matches, and its answer is below 400.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    /// Its method, upper-case; any when `None`.
    pub method: Option<String>,
    /// Its path.
    pub path: TextMatch,
}

/// What an experiment without a winner leads to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NoWinner {
    /// Everything back to stable.
    #[default]
    Stable,
    /// A person decides.
    Pause,
    /// The candidate goes on.
    Candidate,
}

impl Step {
    /// Whether it ends with evidence: a rung of the ladder.
    pub fn asks_for_evidence(&self) -> bool {
        match self {
            Self::Bake(bake) => bake.until_evidence,
            Self::Expose(_) => true,
            _ => false,
        }
    }
}
