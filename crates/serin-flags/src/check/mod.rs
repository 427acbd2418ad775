//! Whether a set of definitions can be served. Everything that is wrong is named at once; a set
//! with any problem is refused whole.

mod clause;
mod definition;
pub(crate) mod forms;
mod graph;
mod segment;
mod serve;
mod variants;

use crate::{Definition, FlagKey, Metadata, Problem, SetDefinition, compile::is_forced_off};
use std::collections::{BTreeMap, BTreeSet};

/// More problems than this are not listed.
const MOST_PROBLEMS: usize = 1_000;

/// What a set may hold. Each limit is far above what people write, and keeps a hostile document
/// from costing more than its own size.
pub(crate) mod limit {
    /// Bytes of a document.
    pub const BYTES: usize = 64 << 20;
    /// Flags of a set.
    pub const FLAGS: usize = 100_000;
    /// Segments of a set.
    pub const SEGMENTS: usize = 10_000;
    /// Segments or flags in a chain of references.
    pub const DEPTH: usize = 8;
    /// Variants of a flag.
    pub const VARIANTS: usize = 100;
    /// Bytes of a variant's value as JSON.
    pub const VALUE: usize = 256 << 10;
    /// Rules, targets, prerequisites, clauses, tags, metadata of one owner.
    pub const ITEMS: usize = 500;
    /// Users or values of one list.
    pub const LIST: usize = 100_000;
    /// Bytes of a name, a salt, an attribute.
    pub const NAME: usize = 200;
    /// Bytes of a description, a user's key, a value of metadata.
    pub const TEXT: usize = 10_000;
    /// Bytes of a regular expression.
    pub const PATTERN: usize = 1_000;
    /// Bytes of memory of a compiled regular expression.
    pub const PATTERN_SIZE: usize = 1 << 20;
}

/// All that is wrong with a set; at most 1 000 problems. None: it can be served.
pub fn validate(set: &SetDefinition) -> Vec<Problem> {
    Check::of(set).everything()
}

/// What keeps a set from being served: as [`validate`], but what a flag that is killed or off does
/// not read any more is not looked at. A mistake in there must not keep anybody from switching a
/// flag off.
pub(crate) fn validate_served(set: &SetDefinition) -> Vec<Problem> {
    Check { served: true, ..Check::of(set) }.everything()
}

/// The same for some flags of a set whose other parts are in order. Who refers to them has to be
/// among them.
pub(crate) fn validate_some(set: &SetDefinition, keys: &BTreeSet<FlagKey>) -> Vec<Problem> {
    let mut check = Check { served: true, ..Check::of(set) };
    check.at_most("flags", set.flags.len(), limit::FLAGS);
    for (key, definition) in keys.iter().filter_map(|key| set.flags.get_key_value(key)) {
        check.definition(key, definition);
    }
    check.prerequisite_cycles_below(keys);
    check.problems
}

/// What is wrong with one flag of a set, its references included. For changing a single flag:
/// the rest of the set is taken to be in order.
pub fn validate_flag(set: &SetDefinition, key: &FlagKey) -> Vec<Problem> {
    let mut check = Check::of(set);
    match set.flags.get(key) {
        Some(definition) => check.definition(key, definition),
        None => check.add(
            Problem::new(format!("flags.{key}"), "there is no such flag")
                .near(key.as_str(), set.flags.keys().map(FlagKey::as_str)),
        ),
    }
    check.prerequisite_cycles();
    check.problems
}

/// A check under way.
struct Check<'a> {
    set: &'a SetDefinition,
    /// Whether only what is read when it is served counts.
    served: bool,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    fn of(set: &'a SetDefinition) -> Self {
        Self { set, served: false, problems: Vec::new() }
    }

    fn everything(mut self) -> Vec<Problem> {
        self.whole();
        for (name, segment) in &self.set.segments {
            self.segment(name, segment);
        }
        for (key, definition) in &self.set.flags {
            self.definition(key, definition);
        }
        self.segment_cycles();
        self.prerequisite_cycles();
        self.problems
    }

    /// Whether what this flag says of users counts.
    fn reads_rules(&self, definition: &Definition) -> bool {
        !(self.served && is_forced_off(definition))
    }

    fn add(&mut self, problem: Problem) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(problem);
        }
    }

    fn whole(&mut self) {
        if self.set.version != crate::model::VERSION {
            let found = format!("version {} of the model is not known", self.set.version);
            self.add(Problem::new("version", found).allowed("1"));
        }
        self.name("name", &self.set.name);
        self.at_most("flags", self.set.flags.len(), limit::FLAGS);
        self.at_most("segments", self.set.segments.len(), limit::SEGMENTS);
        self.metadata("metadata", &self.set.metadata);
        if let Some(approval) = &self.set.approval {
            self.approval("approval", approval);
        }
    }

    /// A name that people gave: not empty, not long, fit for one line of a terminal.
    fn name(&mut self, place: &str, name: &str) {
        if name.trim().is_empty() {
            self.add(Problem::new(place, "is empty").allowed("a name"));
        } else {
            self.short(place, name, limit::NAME);
        }
        if name.chars().any(char::is_control) {
            self.add(Problem::new(place, "has control characters").allowed("text of one line"));
        }
    }

    fn short(&mut self, place: &str, text: &str, most: usize) {
        if text.len() > most {
            let found = format!("is {} bytes long", text.len());
            self.add(Problem::new(place, found).allowed(format!("at most {most} bytes")));
        }
    }

    fn at_most(&mut self, place: &str, count: usize, most: usize) {
        if count > most {
            self.add(Problem::new(place, format!("{count} of them")).allowed(format!("{most}")));
        }
    }

    fn metadata(&mut self, place: &str, metadata: &Metadata) {
        self.at_most(place, metadata.len(), limit::ITEMS);
        for (key, value) in metadata {
            self.short(place, key, limit::NAME);
            self.short(place, value.as_str().unwrap_or_default(), limit::TEXT);
        }
    }

    fn users(&mut self, place: &str, users: &[String]) {
        self.at_most(place, users.len(), limit::LIST);
        for (at, user) in users.iter().enumerate() {
            if user.is_empty() || user.len() > limit::TEXT {
                let found = format!("user {} is {} bytes long", at + 1, user.len());
                let allowed = format!("targeting keys of 1 to {} bytes", limit::TEXT);
                self.add(Problem::new(place, found).allowed(allowed));
            }
        }
    }

    fn segments(&mut self, place: &str, names: &[String]) {
        self.at_most(place, names.len(), limit::ITEMS);
        for name in names.iter().filter(|name| !self.set.segments.contains_key(*name)) {
            let names = self.set.segments.keys().map(String::as_str);
            let found = format!("there is no segment {}", shown(name));
            self.add(Problem::new(place, found).allowed("a segment of this set").near(name, names));
        }
    }
}

/// A text of others in a message: quoted, and cut when it is long.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A name of others as a part of a place.
fn plain(name: &str) -> String {
    name.chars().take(60).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// The first name that comes twice.
fn repeated<'n>(names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let mut seen = BTreeSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

/// Who refers to whom, by name.
type References<'a> = BTreeMap<&'a str, Vec<&'a str>>;

#[cfg(test)]
mod tests;
