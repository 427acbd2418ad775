//! Everything that holds at one moment: sets, and who may ask for them.

use crate::access::Access;
use crate::follow::Lines;
use crate::revision::Revision;
use crate::set::{Set, Source};
use crate::table::Table;
use crate::tally::Tally;
use serin_flags::{Definition, Problem, SetDefinition, State};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a table is not taken. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is older than what is held.
    #[error("the flags are older than {0}, which is held")]
    Stale(Revision),
    /// Two sets of one name.
    #[error("the flag set `{0}` is there twice; give each its own name")]
    Twice(String),
    /// The one set that a change is about.
    #[error(transparent)]
    Set(#[from] RefusedSet),
}

/// Why a set is not taken; the one before goes on, with what the new one kills switched off.
#[derive(Debug, thiserror::Error)]
#[error("the flag set `{set}` cannot be used: {}", said(.problems))]
pub struct RefusedSet {
    /// Its name.
    pub set: String,
    /// All that is wrong with it.
    pub problems: Vec<Problem>,
}

fn said(problems: &[Problem]) -> String {
    const SHOWN: usize = 5;
    let mut lines: Vec<String> = problems.iter().take(SHOWN).map(ToString::to_string).collect();
    if problems.len() > SHOWN {
        lines.push(format!("and {} more", problems.len() - SHOWN));
    }
    lines.join("; ")
}

/// What holds.
#[derive(Default)]
pub struct World {
    /// Its position.
    pub revision: Revision,
    /// Sets by name.
    pub sets: BTreeMap<String, Arc<Set>>,
    /// The set that is meant when nobody says which.
    pub fallback: String,
    /// Who may ask.
    pub access: Access,
    /// Origins of web pages that may ask.
    pub origins: Vec<String>,
    /// Whether anybody has ever said which flags there are. Until then there is no answer, which
    /// is not the same as no flag.
    pub loaded: bool,
    /// The process ends: streams do too.
    pub closing: bool,
    /// What it was made of, without the sets.
    pub frame: Arc<Table>,
    /// What others who follow it are sent.
    pub lines: Lines,
}

impl World {
    /// The world after this one, and the sets that could not be taken into it.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn next(
        &self,
        frame: Table,
        sources: Vec<Source>,
        tally: &Tally,
    ) -> Result<(Self, Vec<RefusedSet>), Refused> {
        let revision = frame.revision;
        if revision < self.revision {
            return Err(Refused::Stale(self.revision));
        }
        let (mut sets, mut refused) = (BTreeMap::new(), Vec::new());
        for source in sources {
            let name = source.name().to_owned();
            if sets.contains_key(&name) {
                return Err(Refused::Twice(name));
            }
            let set = self.set_of(source.clone(), revision, tally);
            let set = set.or_else(|why| {
                refused.push(why);
                self.kept(&source, revision, tally)
            });
            if let Ok(set) = set {
                sets.insert(name, set);
            }
        }
        let next = Self {
            revision,
            sets,
            fallback: frame.fallback.clone(),
            access: Access::new(&frame.tokens),
            origins: frame.origins.clone(),
            loaded: true,
            closing: self.closing,
            frame: Arc::new(frame),
            lines: Lines::default(),
        };
        Ok((next, refused))
    }

    /// The set as it is if nothing of it changed, else a new one.
    fn set_of(
        &self,
        source: Source,
        revision: Revision,
        tally: &Tally,
    ) -> Result<Arc<Set>, RefusedSet> {
        let held = self.sets.get(source.name());
        if let Some(same) = held.filter(|held| held.source.is(&source)) {
            return Ok(same.clone());
        }
        let name = source.name().to_owned();
        let set = Set::compile(source, revision, held.map(Arc::as_ref), tally);
        set.map(Arc::new).map_err(|problems| RefusedSet { set: name, problems })
    }

    /// The set of before, with what `wanted` kills switched off: a mistake in one flag must not
    /// keep another one on.
    fn kept(&self, wanted: &Source, revision: Revision, tally: &Tally) -> Result<Arc<Set>, ()> {
        let held = self.sets.get(wanted.name()).ok_or(())?;
        let (Source::Written(before), Source::Written(wanted)) = (&held.source, wanted) else {
            return Ok(held.clone());
        };
        let kept = Source::Written(Arc::new(with_kills(before, wanted)));
        Ok(self.set_of(kept, revision, tally).unwrap_or_else(|_| held.clone()))
    }

    /// The same world in a process that ends.
    pub fn closed(&self) -> Self {
        Self {
            revision: self.revision,
            sets: self.sets.clone(),
            fallback: self.fallback.clone(),
            access: Access::new(&self.frame.tokens),
            origins: self.origins.clone(),
            loaded: self.loaded,
            closing: true,
            frame: self.frame.clone(),
            lines: Lines::default(),
        }
    }
}

fn with_kills(before: &SetDefinition, wanted: &SetDefinition) -> SetDefinition {
    let mut kept = before.clone();
    let off = |flag: &Definition| flag.killed.is_some() || flag.state != State::On;
    for (key, new) in wanted.flags.iter().filter(|(_, new)| off(new)) {
        if let Some(flag) = kept.flags.get_mut(key) {
            (flag.killed, flag.state) = (new.killed.clone(), new.state);
        }
    }
    kept
}
