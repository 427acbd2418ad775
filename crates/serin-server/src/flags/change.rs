//! Changing flags: the one place where a flag becomes another.

use super::edit::{Who, Wish};
use super::held::{Mark, Stamp};
use super::push::Tell;
use super::{Act, BACK, Changed, FlagError, Set, approve, edit, stored};
use crate::control::Core;
use serin_edge::{Revision, Upsert};
use serin_flags::{Definition, FlagKey, Problem, problems_of_change};
use serin_store::FlagWrite;
use std::sync::Arc;

/// Who agreed to a change, and to which request.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Agreed<'a> {
    pub(super) by: &'a [String],
    pub(super) request: Option<u64>,
}

impl Core {
    /// Makes a flag what `next` says, or takes it away.
    ///
    /// # Errors
    /// When it would not be valid, waits for others to agree, or cannot be stored; then nothing was
    /// changed.
    pub(crate) fn change_flag(
        &mut self,
        act: Act<'_>,
        next: Option<Definition>,
    ) -> Result<Changed, FlagError> {
        self.change_flag_with(act, next, vec![])
    }

    /// The same, with what else is written in the same transaction: also when the change itself has
    /// to wait for others to agree.
    pub(crate) fn change_flag_with(
        &mut self,
        act: Act<'_>,
        next: Option<Definition>,
        more: Vec<FlagWrite>,
    ) -> Result<Changed, FlagError> {
        let before = self.flags.set(act.set)?.definition.flags.get(act.key);
        if approve::is_free(act.verb, before.map(AsRef::as_ref), next.as_ref())
            || self.flags.demand(act.set, act.key.as_str()).is_none()
        {
            return self.make_change(act, next, more, Agreed::default());
        }
        Err(self.ask_for_change(act, next, &more))
    }

    /// What would be wrong with the set if the flag were so.
    pub(super) fn wrong_with(&mut self, act: Act<'_>, next: Option<Definition>) -> Vec<Problem> {
        let Some(set) = self.flags.sets.get_mut(act.set) else { return vec![] };
        let held = set.definition.clone();
        let before = put(set, act.key, next);
        let problems = problems_of_change(&held, &set.definition);
        put(set, act.key, before);
        problems
    }

    /// Makes a change that needs nobody's word any more; the only way to change a flag.
    ///
    /// # Errors
    /// When it would not be valid, or cannot be stored; then nothing was changed.
    pub(super) fn make_change(
        &mut self,
        act: Act<'_>,
        next: Option<Definition>,
        more: Vec<FlagWrite>,
        agreed: Agreed<'_>,
    ) -> Result<Changed, FlagError> {
        self.flags.set(act.set)?;
        let Some(set) = self.flags.sets.get_mut(act.set) else { return Err(lost()) };
        let held = set.definition.clone();
        let before = put(set, act.key, next.clone());
        // A kill, or a way back, holds whatever else is wrong with the set.
        let is_way_back = ["kill", BACK].contains(&act.verb);
        let problems =
            if is_way_back { vec![] } else { problems_of_change(&held, &set.definition) };
        if !problems.is_empty() {
            put(set, act.key, before);
            return Err(FlagError::Invalid(problems));
        }
        let n = self.flags.n + 1;
        let stamp = stamp(act, n, agreed);
        let old = set.marks.get(act.key).cloned();
        let mark = next.as_ref().map(|flag| Mark::after(flag, stamp.clone(), old.as_ref()));
        let changed = Changed { n, before, after: next };
        let writes = stored::writes(act, &stamp, &changed, mark.as_ref());
        let more = [more, self.retirement_ends(act, changed.after.as_ref())].concat();
        if let Err(error) = self.write_flags(act, [writes?, more].concat()) {
            if let Some(set) = self.flags.sets.get_mut(act.set) {
                put(set, act.key, changed.before);
            }
            return Err(error.into());
        }
        self.flags.n = n;
        if let Some(set) = self.flags.sets.get_mut(act.set) {
            match mark {
                Some(mark) => set.marks.insert(act.key.clone(), mark),
                None => set.marks.remove(act.key),
            };
        }
        if changed.after.as_ref().is_none_or(|flag| flag.archived_at.is_some()) {
            self.flags.forget_retirement(act.set, act.key);
        }
        self.tell_plane(act, &changed);
        self.release_follows(act.set, act.key.as_str());
        Ok(changed)
    }

    /// Does what somebody wishes of a flag that is there.
    ///
    /// # Errors
    /// When it does not fit, would not be valid, or cannot be stored.
    pub(crate) fn wish_flag(
        &mut self,
        set: &str,
        key: &str,
        wish: &Wish,
        who: Who<'_>,
    ) -> Result<Changed, FlagError> {
        // The controller may have died between a kill and the end of its release.
        self.release_follows(set, key);
        let (key, flag, _) = self.flags.flag(set, key)?;
        let (key, next) = (key.clone(), edit::edit(flag, wish, who)?);
        self.refuse_wish(wish, &next)?;
        self.change_flag(Act { set, key: &key, who, verb: wish.verb() }, Some(next))
    }

    /// Tells the data plane of one flag. With the first flag it has to open its addresses, and with
    /// the last one to close them.
    fn tell_plane(&mut self, act: Act<'_>, changed: &Changed) {
        let is_only =
            self.flags.sets.values().map(|set| set.definition.flags.len()).sum::<usize>() < 2;
        let first = is_only && (changed.before.is_none() || changed.after.is_none());
        let change = Upsert {
            base: Revision { n: changed.n - 1, ..self.flags.revision() },
            revision: self.flags.revision(),
            set: act.set.to_owned(),
            key: act.key.clone(),
            definition: changed.after.clone().map(Arc::new),
        };
        self.flags.tell(if first { Tell::All } else { Tell::One(Box::new(change)) });
    }
}

/// Puts a flag into its set, or takes it out; the one that was there.
fn put(set: &mut Set, key: &FlagKey, flag: Option<Definition>) -> Option<Definition> {
    let before = match flag {
        Some(flag) => set.definition.flags.insert(key.clone(), flag),
        None => set.definition.flags.remove(key),
    };
    before.map(Arc::unwrap_or_clone)
}

fn stamp(act: Act<'_>, n: u64, agreed: Agreed<'_>) -> Stamp {
    let approved = agreed.by.to_vec();
    let (verb, request) = (act.verb.to_owned(), agreed.request);
    Stamp { verb, approved, request, ..stamp_of(act.who, n) }
}

/// Who and when; the verb is for others to say.
pub(super) fn stamp_of(who: Who<'_>, n: u64) -> Stamp {
    let (by, reason) = (who.by.to_owned(), who.reason.map(str::to_owned));
    let (verb, approved) = Default::default();
    Stamp { n, at: who.at, by, reason, verb, approved, request: None }
}

/// The set was looked up a moment ago.
pub(super) fn lost() -> FlagError {
    FlagError::Unreadable("the set is gone".into())
}
