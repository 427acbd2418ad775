//! Everything the edge is told, as one document: what a host keeps on its disk.

use crate::access::Token;
use crate::revision::Revision;
use serde::{Deserialize, Serialize};
use serin_flags::{Definition, FlagKey, SetDefinition, State};
use std::net::SocketAddr;
use std::sync::Arc;

/// The set that is meant when nobody says which.
pub const FALLBACK: &str = "production";

/// All sets, and who may ask for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Table {
    /// Its position; an older one never replaces a newer one.
    #[serde(default)]
    pub revision: Revision,
    /// Where the protocols are served; every address serves all of them.
    #[serde(default)]
    pub listen: Vec<SocketAddr>,
    /// The set that is meant when neither token nor selector says which.
    #[serde(default = "fallback")]
    pub fallback: String,
    /// Who may ask; without any, everybody who reaches the address.
    #[serde(default)]
    pub tokens: Vec<Token>,
    /// Origins of web pages that may ask from a browser; `*` is every one, none is none.
    #[serde(default)]
    pub origins: Vec<String>,
    /// The sets, each name once.
    #[serde(default)]
    pub sets: Vec<Arc<SetDefinition>>,
}

fn fallback() -> String {
    FALLBACK.to_owned()
}

impl Default for Table {
    fn default() -> Self {
        Self {
            revision: Revision::default(),
            listen: Vec::new(),
            fallback: fallback(),
            tokens: Vec::new(),
            origins: Vec::new(),
            sets: Vec::new(),
        }
    }
}

/// One flag in place of what it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Upsert {
    /// Position of the table that is changed; any other refuses the change.
    pub base: Revision,
    /// Position of the table with this change.
    pub revision: Revision,
    /// The set; one that is not there is made.
    pub set: String,
    /// The flag.
    pub key: FlagKey,
    /// What it is from now on; none takes it away.
    pub definition: Option<Arc<Definition>>,
}

impl Upsert {
    /// Whether it takes the flag from everybody.
    pub(crate) fn switches_off(&self) -> bool {
        let off = |flag: &Arc<Definition>| flag.killed.is_some() || flag.state != State::On;
        self.definition.as_ref().is_some_and(off)
    }
}

impl Table {
    /// The same table with one flag changed.
    pub(crate) fn with(&self, change: &Upsert) -> Self {
        let mut next = Self { revision: change.revision, ..self.clone() };
        let held = next.sets.iter().position(|set| set.name == change.set);
        let mut set = match held {
            Some(at) => SetDefinition::clone(&next.sets[at]),
            None => SetDefinition::new(&change.set),
        };
        let _before = match &change.definition {
            Some(definition) => set.flags.insert(change.key.clone(), definition.clone()),
            None => set.flags.remove(change.key.as_str()),
        };
        match held {
            Some(at) => next.sets[at] = Arc::new(set),
            None => next.sets.push(Arc::new(set)),
        }
        next
    }
}
