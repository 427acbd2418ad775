//! From definitions to what is evaluated, without a document between; flag by flag, where only some
//! of them are others.

use crate::{
    Definition, Flag, FlagKey, FlagSet, Form, Limits, Problem, SetDefinition,
    check::{validate_served, validate_some},
    compile::{Compiler, about_set},
    read::Reader,
};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl FlagSet {
    /// Makes a set ready. A set with any problem is refused whole, with all of them.
    pub fn of(set: &SetDefinition) -> Result<Self, Vec<Problem>> {
        none(validate_served(set))?;
        let (flags, metadata) = made(set, set.flags.iter())?;
        let flags = Self::new(flags, metadata, set.bucketing);
        flags.within(&Limits::default()).map(|flags| flags.demanding(set))
    }

    /// The set after a change from `before`, of which this one was made, to `next`. Flags that are
    /// neither others now nor need one that is are shared with this set ([`Arc::ptr_eq`]), so that
    /// a change of one flag costs little more than that flag.
    ///
    /// # Errors
    /// As [`Self::of`]; what did not change is not looked at again.
    pub fn after(
        &self,
        before: &SetDefinition,
        next: &SetDefinition,
    ) -> Result<Self, Vec<Problem>> {
        if !same_frame(before, next) {
            return Self::of(next);
        }
        let (changed, made) = changed(before, next)?;
        self.with(&changed, made).within(&Limits::default()).map(|flags| flags.demanding(next))
    }

    fn demanding(self, set: &SetDefinition) -> Self {
        self.requiring_targeting_key(set.require_targeting_key)
    }
}

/// What would keep a set from being served after a change from `before`, which is in order, to
/// `next`. What did not change is not looked at again.
pub fn problems_of_change(before: &SetDefinition, next: &SetDefinition) -> Vec<Problem> {
    let made = if same_frame(before, next) {
        changed(before, next).map(drop)
    } else {
        FlagSet::of(next).map(drop)
    };
    made.err().unwrap_or_default()
}

/// Flags that are others, or need one that is; and those of them that are served, made anew.
fn changed(
    before: &SetDefinition,
    next: &SetDefinition,
) -> Result<(BTreeSet<FlagKey>, Vec<Flag>), Vec<Problem>> {
    let changed = affected(before, next);
    none(validate_some(next, &changed))?;
    let entries = changed.iter().filter_map(|key| next.flags.get_key_value(key));
    let (made, _) = made(next, entries)?;
    Ok((changed, made))
}

fn none(problems: Vec<Problem>) -> Result<(), Vec<Problem>> {
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Whether all that is not a flag is the same.
fn same_frame(a: &SetDefinition, b: &SetDefinition) -> bool {
    a.name == b.name
        && a.version == b.version
        && a.bucketing == b.bucketing
        && a.metadata == b.metadata
        && a.segments == b.segments
}

type Entry<'a> = (&'a FlagKey, &'a Arc<Definition>);

/// The flags of some definitions, and the set's metadata. Archived ones are not served.
fn made<'a>(
    set: &'a SetDefinition,
    entries: impl Iterator<Item = Entry<'a>>,
) -> Result<(Vec<Flag>, crate::Metadata), Vec<Problem>> {
    let limits = Limits::default();
    let mut compiler = Compiler::new(set, Form::Server);
    let mut reader = Reader::new(set.bucketing, &limits, &about_set(set), None);
    for (key, definition) in entries.filter(|(_, flag)| flag.archived_at.is_none()) {
        if let Some(body) = compiler.entry(key, definition) {
            reader.add(key.as_str(), &body);
        }
    }
    none(compiler.problems)?;
    reader.done()
}

/// Flags that are others in `next`, gone, or need one of these.
fn affected(before: &SetDefinition, next: &SetDefinition) -> BTreeSet<FlagKey> {
    let mut affected = BTreeSet::new();
    let mut waiting = different(before, next);
    let above = needed_by(next);
    while let Some(key) = waiting.pop() {
        for upper in above.get(&key).into_iter().flatten() {
            if !affected.contains(*upper) {
                waiting.push((*upper).clone());
            }
        }
        affected.insert(key);
    }
    affected
}

/// By flag, those that need it.
fn needed_by(set: &SetDefinition) -> BTreeMap<&FlagKey, Vec<&FlagKey>> {
    let mut above: BTreeMap<&FlagKey, Vec<&FlagKey>> = BTreeMap::new();
    for (key, flag) in &set.flags {
        for needs in &flag.prerequisites {
            above.entry(&needs.flag).or_default().push(key);
        }
    }
    above
}

/// Keys whose definitions differ, or that only one of the two has.
fn different(before: &SetDefinition, next: &SetDefinition) -> Vec<FlagKey> {
    let (mut old, mut new) = (before.flags.iter().peekable(), next.flags.iter().peekable());
    let mut keys = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return keys,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((old, _)), Some((new, _))) => old.cmp(new),
        };
        let gone = old.next_if(|_| order.is_le());
        let come = new.next_if(|_| order.is_ge());
        match (gone, come) {
            (Some((_, old)), Some((_, new))) if Arc::ptr_eq(old, new) || old == new => {}
            (Some((key, _)), _) | (None, Some((key, _))) => keys.push(key.clone()),
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests;
