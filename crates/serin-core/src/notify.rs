//! Whom a service calls, and what for: pages and messages to people, made from what the engine
//! decides. Sending them is the shell's work.

use crate::{EnvValue, Millis, RevisionId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyTarget {
    /// Its name, unique in the service.
    pub name: String,
    /// How.
    pub kind: NotifyKind,
    /// What for.
    pub on: BTreeSet<Occasion>,
    /// How long one try may take.
    pub timeout: Millis,
}

/// How somebody is told. Values that are not literal are read for every try and never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NotifyKind {
    /// A program, which gets the message on its standard input.
    Command {
        /// Program and arguments; `$(SERVICE)`, `$(REVISION)`, `$(EVENT)`, `$(TEXT)` are filled in.
        argv: Vec<String>,
        /// Further environment.
        env: BTreeMap<String, EnvValue>,
    },
    /// A POST of the message; a status of 200 to 299 says that it arrived.
    Http {
        /// An `http://` address.
        url: EnvValue,
        /// Further headers.
        headers: BTreeMap<String, EnvValue>,
    },
}

/// What somebody can be told for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Occasion {
    /// A candidate was taken back by evidence or health.
    RolledBack,
    /// A way back came to nothing, or there is none.
    RollbackFailed,
    /// Errors are not back after a way back: what was left was not the reason.
    WayBackDidNotHelp,
    /// Nothing goes on before a person answers.
    NeedsPerson,
    /// A rollout began.
    Started,
    /// A candidate became stable.
    Promoted,
    /// A person stopped a rollout, or a newer one took its place.
    Aborted,
    /// A verdict that decides nothing, because the analysis only reports or a person overruled it.
    Reported,
    /// A message that says nothing but that messages arrive.
    Test,
}

impl Occasion {
    /// Those a file can ask for, each with its word there.
    pub const ALL: [(&'static str, Self); 8] = [
        ("rolledBack", Self::RolledBack),
        ("rollbackFailed", Self::RollbackFailed),
        ("wayBackDidNotHelp", Self::WayBackDidNotHelp),
        ("needsPerson", Self::NeedsPerson),
        ("started", Self::Started),
        ("promoted", Self::Promoted),
        ("aborted", Self::Aborted),
        ("reported", Self::Reported),
    ];

    /// What whoever is on call has to know.
    pub fn usual() -> BTreeSet<Self> {
        [Self::RolledBack, Self::RollbackFailed, Self::WayBackDidNotHelp, Self::NeedsPerson].into()
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, one)| *one == self).map_or("test", |(word, _)| word)
    }
}

/// One thing that people are to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The same text for every try to tell it: service, rollout, occasion, time and number.
    pub key: String,
    /// Names of those who are told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// What for.
    pub event: Occasion,
    /// When it was decided.
    pub at: Timestamp,
    /// In which rollout.
    pub rollout: Option<u64>,
    /// Which revision it is about.
    pub revision: Option<RevisionId>,
    /// One plain sentence with the next useful command.
    pub text: String,
    /// Why, without the rest.
    pub reason: String,
    /// The next useful command.
    pub command: String,
}
