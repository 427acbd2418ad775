//! What a rollout has beside its two shares: tests, routes, copies, and arms of an experiment.

use crate::{
    Cause, Colour, Generation, HeaderRoute, MirrorRoute, RevisionId, RunSpec, Shared, Timestamp,
    VariantOf, Weight,
};
use serde::{Deserialize, Serialize};
use serin_stats::winner::{Race, WinnerVerdict};
use serin_stats::{Assessment, Judge};
use std::collections::BTreeSet;

/// One test of the present step on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestRun {
    /// The try, from 1.
    pub attempt: u32,
    /// Since when this try is wanted; `None` while the candidate cannot be reached.
    pub since: Option<Timestamp>,
    /// How it ended, all tries counted.
    pub passed: Option<bool>,
    /// What the last try that ended said, at most 2,000 bytes.
    pub text: String,
}

impl Default for TestRun {
    fn default() -> Self {
        Self { attempt: 1, since: None, passed: None, text: String::new() }
    }
}

/// Routes, copies and further arms. Everything in here is gone from the plan as soon as the
/// rollout goes back or its steps are over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Beside {
    /// Requests led to the candidate by their headers, in the order they were asked for.
    pub routes: Vec<HeaderRoute>,
    /// Copies for the candidate.
    pub mirror: Option<MirrorRoute>,
    /// The experiment under way.
    pub experiment: Option<Trial>,
    /// Revisions that took part and shall be gone when the rollout ends.
    pub left: BTreeSet<RevisionId>,
}

/// An experiment under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its step, from 0.
    pub step: usize,
    /// Arms beside stable and candidate.
    pub variants: Vec<VariantRun>,
    /// Since when all arms have their shares.
    pub since: Option<Timestamp>,
    /// The search for a winner.
    pub contest: Option<Contest>,
}

/// One variant of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariantRun {
    /// Its revision: that of what it is made of, with its name behind the version.
    pub id: RevisionId,
    /// What it is made of.
    pub of: VariantOf,
    /// How its instances run.
    pub run: Shared<RunSpec>,
    /// Which of the two sets of resources it uses.
    pub colour: Colour,
    /// Its instances.
    pub replicas: u32,
    /// The share it is meant to have.
    pub goal: Weight,
    /// The share it has.
    pub weight: Weight,
    /// Compares it with stable.
    pub judge: Option<Judge>,
    /// What that says.
    pub assessment: Option<Assessment>,
    /// Judged requests and those that failed.
    pub counted: (u64, u64),
    /// Restarts seen when it began.
    pub restarts_before: u32,
    /// Why it takes part no more.
    pub dropped: Option<Box<Cause>>,
}

/// The search for the best arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contest {
    /// Those that take part, in the order of the race.
    pub arms: Vec<RevisionId>,
    /// Arms at the beginning; the bound on a false winner is shared among so many.
    pub begun_with: usize,
    /// Counts and evidence.
    pub race: Race,
    /// Counts of this generation and later ones are used.
    pub from: Generation,
    /// What is known of the winner.
    pub verdict: Option<WinnerVerdict>,
}

impl Trial {
    /// Variants that still take part.
    pub fn running(&self) -> impl Iterator<Item = &VariantRun> {
        self.variants.iter().filter(|v| v.dropped.is_none())
    }
}
