//! From what people write to a flagd document that clients obey unmodified.

mod clause;
mod document;
mod expression;
mod flag;
mod portable;
mod probe;
mod segment;
mod split;

use crate::{Definition, FlagKey, Method, Problem, SetDefinition, check::validate_served};
use expression::Size;
use serde_json::Value;
use std::collections::BTreeMap;

pub(crate) use document::about_set;
pub use portable::Portable;
pub(crate) use probe::probes;
pub(crate) use split::is_boolean;

/// Who will evaluate the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// Serin itself: the operators of [`crate::operator`] may be used.
    Server,
    /// Any client of flagd: only what flagd's schema 0.2.15 knows.
    Portable,
}

/// A flag that is not in a portable document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// The flag.
    pub flag: FlagKey,
    /// What in it only Serin can evaluate.
    pub reason: String,
}

/// A document, and what could not be put into it.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// The flagd document.
    pub document: Value,
    /// Flags that only Serin can evaluate; none in the server form.
    pub left_out: Vec<LeftOut>,
}

/// Nodes of one flag's rules, and of a whole set's, after references are replaced.
const NODES_PER_FLAG: usize = 200_000;
const NODES: usize = 4_000_000;

/// Compiles a set. A set with any problem is refused whole.
///
/// Every percentage has a literal salt (never flagd's shorthand, whose hash depends on the flag's
/// key and the client's version), every prerequisite and segment is inlined, and a killed flag is
/// its off variant without any rule. An archived flag is not in the document.
pub fn compile(set: &SetDefinition, form: Form) -> Result<Compiled, Vec<Problem>> {
    let problems = validate_served(set);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut compiler = Compiler::new(set, form);
    let flags = set.flags.iter().filter(|(_, definition)| definition.archived_at.is_none());
    let compiled: Vec<_> = flags
        .filter_map(|(key, definition)| Some((key, compiler.entry(key, definition)?)))
        .collect();
    if !compiler.problems.is_empty() {
        return Err(compiler.problems);
    }
    let flags = compiled.into_iter().map(|(key, flag)| (key.to_string(), flag)).collect();
    Ok(Compiled { document: document::whole(set, flags), left_out: compiler.left_out })
}

/// Compiles one flag of a set, with what it refers to. `Ok(None)`: it is archived, or not portable.
/// For changing a single flag: the rest of the set is taken to be in order.
pub fn compile_flag(
    set: &SetDefinition,
    key: &FlagKey,
    form: Form,
) -> Result<Option<Value>, Vec<Problem>> {
    let problems = crate::validate_flag(set, key);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut compiler = Compiler::new(set, form);
    let served = set.flags.get(key).filter(|definition| definition.archived_at.is_none());
    let flag = served.and_then(|definition| compiler.entry(key, definition));
    if compiler.problems.is_empty() { Ok(flag) } else { Err(compiler.problems) }
}

/// Why clients that evaluate flagd's format themselves do not get a flag of a set that is in order;
/// none when they do, or when nobody does because it is archived or unknown.
pub fn not_portable(set: &SetDefinition, key: &FlagKey) -> Option<String> {
    let (key, definition) = set.flags.get_key_value(key)?;
    if definition.archived_at.is_some() {
        return None;
    }
    let mut compiler = Compiler::new(set, Form::Portable);
    compiler.entry(key, definition);
    compiler.left_out.pop().map(|left| left.reason)
}

/// Why an expression cannot be written.
#[derive(Debug)]
enum Stop {
    /// Only Serin could evaluate it.
    NotPortable(String),
    /// It cannot be done at all: what, and what to do.
    Cannot(String, &'static str),
}

type Expression = Result<Value, Stop>;

/// A set being compiled.
pub(crate) struct Compiler<'a> {
    set: &'a SetDefinition,
    form: Form,
    segments: BTreeMap<&'a str, (Value, usize)>,
    size: Size,
    pub(crate) problems: Vec<Problem>,
    left_out: Vec<LeftOut>,
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(set: &'a SetDefinition, form: Form) -> Self {
        let size = Size::new(NODES_PER_FLAG, NODES);
        let (problems, left_out) = (Vec::new(), Vec::new());
        Self { set, form, segments: BTreeMap::new(), size, problems, left_out }
    }

    /// A flag's part of the document.
    pub(crate) fn entry(&mut self, key: &'a FlagKey, definition: &'a Definition) -> Option<Value> {
        self.size.next_flag();
        match self.targeting(key, definition) {
            Ok(targeting) => Some(document::flag(definition, targeting)),
            Err(Stop::NotPortable(reason)) => {
                self.left_out.push(LeftOut { flag: key.clone(), reason });
                None
            }
            Err(Stop::Cannot(found, allowed)) => {
                self.problems.push(Problem::new(format!("flags.{key}"), found).allowed(allowed));
                None
            }
        }
    }

    /// Gives up unless Serin will evaluate it.
    fn server_only(&self, what: &str) -> Result<(), Stop> {
        match self.form {
            Form::Server => Ok(()),
            Form::Portable => Err(Stop::NotPortable(what.to_owned())),
        }
    }

    /// The hash of a flag.
    fn method(&self, definition: &Definition) -> Method {
        definition.bucketing.unwrap_or(self.set.bucketing.into())
    }
}

/// Whether a flag decides nothing any more: everybody gets the same, whatever is written in it.
pub(crate) fn is_forced_off(definition: &Definition) -> bool {
    definition.killed.is_some() || definition.state == crate::State::Off
}

#[cfg(test)]
mod tests;
