//! The owner of feature flags: what each set is, its history, what is scheduled, who may ask. It
//! lives in the one task that owns all state.
//!
//! # Invariants
//! - A change is stored before it holds and before anybody hears of it; a change that is not valid
//!   or cannot be stored leaves everything as it was.
//! - A kill is never refused for want of an approval or of room: on a full disk it holds at once and
//!   is written later, and the next controller hears of it.
//! - What is scheduled leaves with the change it makes, in one transaction: it happens once.
//! - The data plane is given what holds, again and again until it says that it has it on its disk.

mod approve;
mod change;
mod diff;
mod due;
mod edit;
mod error;
mod held;
mod import;
mod push;
mod request;
mod retire;
mod retiring;
mod rollout;
mod room;
mod sets;
pub(crate) mod stale;
mod steady;
mod stored;
mod strategy;
mod tokens;
mod trigger;
mod used;
mod watch;
pub(crate) mod words;

pub use diff::{Difference, differences};
pub use due::Due;
pub(crate) use edit::{Refused, Who, Wish, admitted, beside_release, restored};
pub(crate) use error::FlagError;
pub use held::{Constant, Stamp};
pub(crate) use held::{Mark, one_for_all};
pub(crate) use push::{Told, start as start_push};
pub use request::{Agreement, Request, RequestState, Requested};
pub use retire::{PassedStage, RetireStage, Retirement, Scanned, WATCH_S};
pub(crate) use retiring::Plan as RetirePlan;
pub(crate) use rollout::gives_somebody;
pub(crate) use stored::Past;
pub(crate) use strategy::{Strategy, apply, on_variant, percent};
pub use tokens::KeptToken;
pub use trigger::Trigger;
pub use used::{Answered, Used};

use crate::control::{Core, now};
use push::{Push, Tell};
use serin_edge::{Counts, Revision, Table};
use serin_flags::{Definition, FlagKey, SetDefinition, Timestamp};
use serin_store::{FlagChange, FlagWrite, KillNote, Store};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use used::Uses;
use watch::Watched;

/// The set that is there from the beginning.
pub(crate) const FIRST: &str = "production";

/// The word for a change that only takes a flag back from users: like a kill it is never refused for
/// want of room. The engine takes it again if it was not written.
pub(crate) const BACK: &str = "back";

/// All sets.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    sets: BTreeMap<String, Set>,
    /// Number of the last change.
    n: u64,
    /// What holds and could not be written yet: kills on a full disk.
    unwritten: Vec<FlagWrite>,
    kills: Vec<KillNote>,
    /// Who may ask, by hash.
    pub(crate) tokens: BTreeMap<String, KeptToken>,
    /// Changes to come, by number.
    due: BTreeMap<u64, Due>,
    steady: steady::Steady,
    /// What was asked for and others must agree to, by number; also what became of it.
    requests: BTreeMap<u64, Request>,
    /// Services that changes to come watch.
    watched: BTreeMap<String, Watched>,
    /// Flags on their way out, by set and key.
    retiring: BTreeMap<(String, String), Retirement>,
    pub(crate) uses: Uses,
    push: Option<Push>,
    /// Where the protocols are served.
    listen: Vec<SocketAddr>,
    /// Whether somebody asked for that address: then it is open without a flag too.
    asked: bool,
    /// This controller's epoch.
    epoch: u64,
}

/// Where flags are served.
#[derive(Debug, Clone, Default)]
pub struct FlagsListen {
    /// Addresses; the first is the one that apps are told.
    pub at: Vec<SocketAddr>,
    /// Whether somebody asked for them; otherwise they are opened with the first flag.
    pub asked: bool,
}

/// One set.
#[derive(Debug)]
pub(crate) struct Set {
    /// What it is, flags included.
    pub(crate) definition: SetDefinition,
    /// What else is known of each flag.
    pub(crate) marks: BTreeMap<FlagKey, Mark>,
    /// Its own last change; none for the one that was there from the beginning.
    pub(crate) changed: Option<Stamp>,
}

/// A change that holds now.
#[derive(Debug, Clone)]
pub(crate) struct Changed {
    /// Its number.
    pub(crate) n: u64,
    /// The flag until then.
    pub(crate) before: Option<Definition>,
    /// The flag from then on.
    pub(crate) after: Option<Definition>,
}

/// Which flag, who changes it, and what it is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act<'a> {
    /// The set.
    pub(crate) set: &'a str,
    /// The flag.
    pub(crate) key: &'a FlagKey,
    /// Who, why, when.
    pub(crate) who: Who<'a>,
    /// The word in the history.
    pub(crate) verb: &'a str,
}

impl Set {
    fn new(name: &str) -> Self {
        Self { definition: SetDefinition::new(name), marks: BTreeMap::new(), changed: None }
    }

    /// A flag with its mark.
    pub(crate) fn flag(&self, key: &str) -> Option<(&FlagKey, &Definition, &Mark)> {
        let (key, definition) = self.definition.flags.get_key_value(key)?;
        Some((key, definition, self.marks.get(key)?))
    }
}

impl Flags {
    /// Reads what is stored.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn load(store: &Store) -> Result<Self, serin_store::Error> {
        stored::load(store)
    }

    /// All sets by name.
    pub(crate) fn sets(&self) -> impl Iterator<Item = &Set> {
        self.sets.values()
    }

    /// One set.
    ///
    /// # Errors
    /// When there is none of this name.
    pub(crate) fn set(&self, name: &str) -> Result<&Set, FlagError> {
        let known = || self.sets.keys().cloned().collect();
        self.sets
            .get(name)
            .ok_or_else(|| FlagError::UnknownSet { name: name.to_owned(), known: known() })
    }

    /// One flag.
    ///
    /// # Errors
    /// When there is no such set or flag.
    pub(crate) fn flag(
        &self,
        set: &str,
        key: &str,
    ) -> Result<(&FlagKey, &Definition, &Mark), FlagError> {
        let set = self.set(set)?;
        set.flag(key).ok_or_else(|| unknown_flag(set, key))
    }

    /// Whether the data plane has everything up to this change.
    pub(crate) fn is_pushed(&self, n: u64) -> bool {
        let revision = Revision { epoch: self.epoch, n };
        self.push.as_ref().is_some_and(|push| push.told.borrow().has(revision))
    }

    /// From now on the data plane is told of every change.
    pub(crate) fn tell_to(&mut self, push: Push) {
        self.push = Some(push);
    }

    /// Where the protocols are served, and under which epoch.
    pub(crate) fn serve(&mut self, listen: FlagsListen, epoch: u64) {
        (self.listen, self.asked, self.epoch) = (listen.at, listen.asked, epoch);
    }

    /// Changes of a flag that are to come.
    pub(crate) fn due_of(&self, set: &str, key: &str) -> impl Iterator<Item = &Due> {
        self.due.values().filter(move |due| due.set == set && due.key == key)
    }

    /// What keeps clients from being served: what the data plane complains of, or an address that
    /// is not opened without a token.
    pub(crate) fn trouble(&self) -> Option<String> {
        let told = self.push.as_ref().and_then(|push| push.told.borrow().trouble.clone());
        told.or_else(|| {
            let shut = self.listen.iter().find(|at| !self.may_open(at))?;
            Some(format!(
                "{shut} can be reached from elsewhere and is not opened without a token: make one \
                 with `serin flag token --create NAME`"
            ))
        })
    }

    /// Beyond this machine only whoever has a token may ask.
    fn may_open(&self, at: &SocketAddr) -> bool {
        at.ip().is_loopback() || !self.tokens.is_empty()
    }

    /// Where the protocols are served now. Nobody is asked to make room for what is not used,
    /// unless it was asked for.
    fn open_at(&self) -> Vec<SocketAddr> {
        if !self.has_flags() && !self.asked {
            return vec![];
        }
        self.listen.iter().filter(|at| self.may_open(at)).copied().collect()
    }

    /// What the data plane shall hold.
    pub(crate) fn revision(&self) -> Revision {
        Revision { epoch: self.epoch, n: self.n }
    }

    fn has_flags(&self) -> bool {
        self.sets.values().any(|set| !set.definition.flags.is_empty())
    }

    /// Number of the last change of anything.
    pub(crate) fn n(&self) -> u64 {
        self.n
    }
}

fn unknown_flag(set: &Set, key: &str) -> FlagError {
    let names = set.definition.flags.keys().map(FlagKey::as_str);
    let mut near: Vec<_> = names
        .map(|name| (strsim::jaro_winkler(name, key), name))
        .filter(|(alike, _)| *alike > 0.8)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let near = near.into_iter().take(3).map(|(_, name)| format!("`{name}`")).collect();
    FlagError::UnknownFlag { set: set.definition.name.clone(), key: key.to_owned(), near }
}

/// A name that a set can have: as a service's environment.
pub(crate) fn set_name(text: &str) -> Result<&str, FlagError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ok = (1..=63).contains(&text.len()) && text.chars().all(fits) && !text.starts_with('-');
    let why = || {
        let shown: String = text.chars().take(40).collect();
        FlagError::Unreadable(format!("{shown:?} is no name of a set: use a-z, 0-9 and `-`"))
    };
    if ok { Ok(text) } else { Err(why()) }
}

/// The present, as flags write it.
pub(crate) fn seconds() -> Timestamp {
    Timestamp(now().0.div_euclid(1000))
}

impl Core {
    /// All that the data plane has to know of flags.
    pub(crate) fn flag_table(&mut self) -> Table {
        let flags = &self.flags;
        let sets = flags.sets.values().map(|set| Arc::new(set.definition.clone())).collect();
        let listen = flags.open_at();
        let tokens = flags.tokens.values().map(|kept| kept.token.clone()).collect();
        Table { revision: flags.revision(), listen, sets, tokens, ..Table::default() }
    }

    /// Takes in what clients have asked for.
    pub(crate) fn flags_counted(&mut self, counts: &Counts) {
        self.flags.uses.take(counts, seconds());
    }

    /// Stores what clients have asked for. What cannot be stored now is stored with the next.
    pub(crate) fn store_uses(&mut self) {
        let write = |((set, key), used)| {
            let text = serde_json::to_string(&used).ok()?;
            Some(FlagWrite::Use { set, key, text })
        };
        let writes: Vec<_> = self.flags.uses.take_changed().into_iter().filter_map(write).collect();
        if !writes.is_empty() {
            let _ = self.executor.store_mut().commit_flags(&writes);
        }
    }
}

impl Flags {
    fn tell(&self, tell: Tell) {
        if let Some(push) = &self.push {
            // Fails only when everything is ending.
            let _ = push.tells.send(tell);
        }
    }
}

/// A line of the history as it is stored.
pub(crate) fn past(change: &FlagChange) -> Option<Past> {
    serde_json::from_str(&change.text).ok()
}
