//! Everything that holds at one moment: sets, and who may ask for them.

use crate::access::Access;
use crate::revision::Revision;
use crate::set::{Set, Source};
use crate::table::Table;
use crate::tally::Tally;
use serin_flags::Problem;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a table is not taken. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is older than what is held.
    #[error("the flags are older than {0}, which is held")]
    Stale(Revision),
    /// A set cannot be compiled; the one before goes on.
    #[error("the flag set `{set}` cannot be used: {}", said(.problems))]
    Set {
        /// Its name.
        set: String,
        /// All that is wrong with it.
        problems: Vec<Problem>,
    },
    /// Two sets of one name.
    #[error("the flag set `{0}` is there twice; give each its own name")]
    Twice(String),
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
    /// The process ends: streams do too.
    pub closing: bool,
    /// What it was made of, without the sets.
    pub frame: Arc<Table>,
}

impl World {
    /// The world after this one.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn next(&self, frame: Table, sources: Vec<Source>, tally: &Tally) -> Result<Self, Refused> {
        let revision = frame.revision;
        if revision < self.revision {
            return Err(Refused::Stale(self.revision));
        }
        let mut sets = BTreeMap::new();
        for source in sources {
            let name = source.name().to_owned();
            let set = self.set_of(source, revision, tally)?;
            if sets.insert(name.clone(), set).is_some() {
                return Err(Refused::Twice(name));
            }
        }
        Ok(Self {
            revision,
            sets,
            fallback: frame.fallback.clone(),
            access: Access::new(&frame.tokens),
            origins: frame.origins.clone(),
            closing: self.closing,
            frame: Arc::new(frame),
        })
    }

    /// The set as it is if nothing of it changed, else a new one.
    fn set_of(
        &self,
        source: Source,
        revision: Revision,
        tally: &Tally,
    ) -> Result<Arc<Set>, Refused> {
        let held = self.sets.get(source.name());
        if let Some(same) = held.filter(|held| held.source.is(&source)) {
            return Ok(same.clone());
        }
        let name = source.name().to_owned();
        let set = Set::compile(source, revision, held.map(Arc::as_ref), tally);
        set.map(Arc::new).map_err(|problems| Refused::Set { set: name, problems })
    }

    /// The same world in a process that ends.
    pub fn closed(&self) -> Self {
        Self {
            revision: self.revision,
            sets: self.sets.clone(),
            fallback: self.fallback.clone(),
            access: Access::new(&self.frame.tokens),
            origins: self.origins.clone(),
            closing: true,
            frame: self.frame.clone(),
        }
    }
}
