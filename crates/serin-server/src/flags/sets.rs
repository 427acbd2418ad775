//! Sets themselves: made, changed, taken away.

use super::change::{Agreed, stamp_of};
use super::edit::Who;
use super::held::Stamp;
use super::push::Tell;
use super::{FIRST, FlagError, Refused, Set, set_name, stored};
use crate::control::Core;
use serin_flags::{SetDefinition, problems_of_change};
use serin_store::FlagWrite;

/// Sets, at most.
const SETS_MAX: usize = 200;

impl Core {
    /// Makes a new, empty set.
    ///
    /// # Errors
    /// When there is one already, there are too many, or it cannot be stored.
    pub(crate) fn create_set(&mut self, name: &str, who: Who<'_>) -> Result<u64, FlagError> {
        let name = set_name(name)?;
        if self.flags.sets.contains_key(name) {
            let hint = format!("`serin flag list --set {name}` shows it");
            return Err(Refused::new(format!("there is a set `{name}` already"), hint).into());
        }
        if self.flags.sets.len() >= SETS_MAX {
            let why = format!("there are {SETS_MAX} sets already");
            return Err(Refused::new(why, "take one away that nobody uses").into());
        }
        self.change_set(SetDefinition::new(name), who, "create")
    }

    /// Makes a set what `definition` says beside its flags.
    ///
    /// # Errors
    /// When it would not be valid, waits for others to agree, or cannot be stored.
    pub(crate) fn change_set(
        &mut self,
        head: SetDefinition,
        who: Who<'_>,
        verb: &str,
    ) -> Result<u64, FlagError> {
        match self.flags.demand_of_set(&head.name) {
            None => self.make_set((head, verb), who, vec![], Agreed::default()),
            Some(_) => Err(self.ask_for_set(head, who)),
        }
    }

    /// Changes a set with nobody's word to wait for.
    ///
    /// # Errors
    /// When it would not be valid, or cannot be stored.
    pub(super) fn make_set(
        &mut self,
        (head, verb): (SetDefinition, &str),
        who: Who<'_>,
        more: Vec<FlagWrite>,
        agreed: Agreed<'_>,
    ) -> Result<u64, FlagError> {
        let name = head.name.clone();
        let held = self.flags.sets.get(&name).map(|set| set.definition.clone());
        let held = held.unwrap_or_else(|| SetDefinition::new(""));
        let whole = SetDefinition { flags: held.flags.clone(), ..head };
        let problems = problems_of_change(&held, &whole);
        if !problems.is_empty() {
            return Err(FlagError::Invalid(problems));
        }
        let n = self.flags.n + 1;
        let (verb, approved, request) = (verb.to_owned(), agreed.by.to_vec(), agreed.request);
        let stamp = Stamp { verb, approved, request, ..stamp_of(who, n) };
        let writes = [stored::set_writes(&whole, &stamp)?, more].concat();
        self.executor.store_mut().commit_flags(&writes)?;
        self.flags.n = n;
        let set = self.flags.sets.entry(name.clone()).or_insert_with(|| Set::new(&name));
        (set.definition, set.changed) = (whole, Some(stamp));
        self.flags.tell(Tell::All);
        Ok(n)
    }

    /// Takes a set away that serves nothing; its history stays.
    ///
    /// # Errors
    /// When there is none, it serves a flag, it is the first one, or that cannot be stored.
    pub(crate) fn drop_set(&mut self, name: &str) -> Result<(), FlagError> {
        let flags = &self.flags.set(name)?.definition.flags;
        let served = flags.values().filter(|flag| flag.archived_at.is_none()).count();
        if served > 0 || name == FIRST {
            let why = format!("`{name}` serves {served} flags, or is the set everybody has");
            return Err(Refused::new(why, "archive its flags first").into());
        }
        let drop = FlagWrite::DropSet { set: name.to_owned() };
        self.executor.store_mut().commit_flags(&[drop])?;
        self.flags.sets.remove(name);
        // A table of its own number: the data plane takes only what is newer.
        self.flags.n += 1;
        self.flags.tell(Tell::All);
        Ok(())
    }
}
