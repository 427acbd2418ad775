//! What became of users who were given a variant, as their apps say it: the evidence of releases
//! that no traffic through here says anything about.
//!
//! Which arm a user is in is drawn here, whatever the app says it gave.

mod post;

pub use post::{PATH, answer};

use crate::edge::Edge;
use crate::set::Set;
use serde::{Deserialize, Serialize};
use serin_flags::{Arm, Context};

/// How it ended for a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Badly: an error.
    pub failed: bool,
    /// Microseconds it took, where that is known.
    pub took_us: Option<u64>,
    /// The goal of the release was reached.
    pub reached: bool,
}

/// What became of a user in a release.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// The set.
    pub set: &'a str,
    /// The flag.
    pub flag: &'a str,
    /// The arm that the app's word stands for: the one that is drawn here, or, where the app gave
    /// another variant, the other.
    pub arm: Arm,
    /// Whether the app gave what is drawn here, as far as it says.
    pub drawn: bool,
    /// Whom the flag is evaluated for.
    pub context: &'a Context<'a>,
    /// How it ended.
    pub ended: Ended,
    /// What tells it from all others, so that one that comes twice counts once.
    pub id: Option<&'a [u8]>,
    /// Milliseconds since it ended; 0 where that is not known.
    pub age_ms: u64,
}

/// What was done with an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Taken {
    /// It is evidence.
    Counted,
    /// It came before.
    Repeated,
    /// It is too old to tell whether it came before.
    Late,
    /// The app gave another variant than is drawn here. No evidence.
    Mismatched,
    /// The user takes no part in a release of the flag.
    Apart,
    /// The release is judged by traffic.
    NotReported,
}

impl Taken {
    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Repeated => "repeated",
            Self::Late => "late",
            Self::Mismatched => "mismatched",
            Self::Apart => "apart",
            Self::NotReported => "not-reported",
        }
    }
}

/// What an app says of one user.
#[derive(Clone, Copy)]
pub(crate) struct Said<'a> {
    pub flag: &'a str,
    /// What it gave, if it says so.
    pub variant: Option<&'a str>,
    pub context: &'a Context<'a>,
    pub ended: Ended,
    pub id: Option<&'a [u8]>,
    pub age_ms: u64,
}

impl Edge {
    /// Whether outcomes are evidence here.
    pub(crate) fn is_judging(&self) -> bool {
        self.watcher.get().is_some()
    }

    /// An app says what became of a user.
    pub(crate) fn outcome(&self, set: &Set, said: &Said<'_>, now_s: u64) -> Taken {
        let taken = self.take(set, said, now_s).unwrap_or(Taken::Apart);
        self.tally.outcome(set.name(), said.flag, taken);
        taken
    }

    fn take(&self, set: &Set, said: &Said<'_>, now_s: u64) -> Option<Taken> {
        let (watcher, place) = self.watcher.get().zip(set.place(said.flag))?;
        let flag = &set.flags.flags()[place];
        let given = set.flags.evaluate_flag(flag, said.context, now_s.cast_signed()).ok()?;
        let (own, variant) = given.arm.zip(given.variant)?;
        let drawn = said.variant.is_none_or(|said| said == variant);
        let arm = if drawn { own } else { own.other() };
        let Said { flag, context, ended, id, age_ms, .. } = *said;
        let outcome = Outcome { set: set.name(), flag, arm, drawn, context, ended, id, age_ms };
        Some(watcher.outcome(&outcome))
    }
}
