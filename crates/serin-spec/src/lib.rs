//! The user's file: YAML text in, checked [`ServiceSpec`]s out, or everything that is wrong with
//! it, each problem with its place, what is allowed and the nearest valid name.
//!
//! The text becomes a tree that remembers where each value stands (`yaml`); a reader walks the
//! tree key by key (`reader`, `field`) and lowers it to the types of `serin-core`; rules that
//! need more than one value, or more than one service, follow.
//!
//! # Invariants
//! - All problems of a file are reported at once; only a YAML syntax error hides what follows it.
//! - A file with an error gives no service at all.
//! - No key is ignored: what no reader asked for is an error.
//! - No I/O; what the machine must have is asked through closures ([`environment_problems`]).
//! - No panic and bounded memory for any text: size, depth, values and services have limits.
//! - Values of environment variables never stand in a message, and in a drawn line only when their
//!   name does not look like a secret's.

mod across;
mod advice;
mod affinity;

mod analysis;
mod checks;
mod clients;
mod data;
mod database;
mod environment;
mod field;
mod flags;
mod migrate;
mod nearest;
mod notify;
mod place;
mod preset;
mod probe;
mod problem;
mod quantity;
mod reader;
mod rollback;
mod run;
mod service;
mod steps;
mod strategy;
mod traffic;
mod train;
mod tree;
mod variables;
mod written;
mod yaml;

pub use advice::{Advice, advice};
pub use environment::{Need, environment_problems};
pub use place::{Mark, Span};
pub use preset::{Preset, presets};
pub use problem::{Also, Problem, Problems, Severity};
pub use strategy::guarded;
pub use tree::document_tree;
pub use written::written_out;

use reader::Context;
use serin_core::ServiceSpec;
use std::{collections::BTreeMap, path::Path};

/// Bytes a file may have.
const MAX_BYTES: usize = 1 << 20;
/// Services in one file.
const MAX_SERVICES: usize = 1000;

/// A file that was read.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its path as shown to the user.
    pub name: &'a str,
    /// Its content.
    pub text: &'a str,
    /// The absolute directory it stands in; relative paths in it are meant from here.
    pub base_dir: &'a Path,
}

/// A file without errors.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// In the order of the file; names and addresses are unique.
    pub services: Vec<Located<ServiceSpec>>,
    /// What its author should know.
    pub warnings: Vec<Problem>,
}

/// A value and where it and its parts stand in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it starts.
    pub mark: Mark,
    marks: BTreeMap<String, Mark>,
}

impl<T> Located<T> {
    /// Where the value at a path like `spec.run.command[0]` stands; for one that is not written,
    /// the place of the nearest part that is.
    pub fn mark_of(&self, path: &str) -> &Mark {
        let mut path = path;
        loop {
            if let Some(mark) = self.marks.get(path) {
                return mark;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return &self.mark,
            }
        }
    }

    /// The path of the first key called `key`, wherever it is written.
    pub fn path_of(&self, key: &str) -> Option<&str> {
        let mut paths = self.marks.keys().filter(|path| path.rsplit('.').next() == Some(key));
        paths.next().map(String::as_str)
    }

    /// A problem with the value at `path`, found by someone who knows more than the file: a port
    /// in use, a user that does not exist.
    pub fn problem(
        &self,
        severity: Severity,
        code: &'static str,
        path: &str,
        message: impl Into<String>,
    ) -> Problem {
        Problem::at(self.mark_of(path), severity, code, message.into())
    }
}

/// Reads a file: either no error, or all of them (with the warnings among them).
pub fn load(source: &Source<'_>) -> Result<Loaded, Problems> {
    if source.text.len() > MAX_BYTES {
        return Err(too_large(source.text.len()));
    }
    let cx = Context::new(source.text);
    let services = read(&cx, source);
    let problems = Problems(cx.into_problems());
    if problems.has_errors() {
        Err(problems)
    } else {
        Ok(Loaded { services, warnings: problems.0 })
    }
}

fn read(cx: &Context<'_>, source: &Source<'_>) -> Vec<Located<ServiceSpec>> {
    let parsed = yaml::parse(source.text);
    let complete = parsed.problems.is_empty();
    for problem in parsed.problems {
        cx.report(problem);
    }
    if parsed.documents.is_empty() && complete {
        cx.report(nothing_in_it());
    }
    if parsed.documents.len() > MAX_SERVICES {
        let at = parsed.documents[MAX_SERVICES].span.clone();
        let message = format!("the file has more than {MAX_SERVICES} services");
        cx.report(Problem::error("too-large", at, message).hint("split it into several files"));
        return Vec::new();
    }
    let read_one = |document| service::read(cx, document, source.base_dir);
    parsed.documents.iter().filter_map(read_one).collect()
}

fn too_large(bytes: usize) -> Problems {
    let message = format!("the file has {bytes} bytes; allowed are {MAX_BYTES}");
    Problems(vec![Problem::error("too-large", 0..0, message).hint("split it into several files")])
}

fn nothing_in_it() -> Problem {
    Problem::error("empty-file", 0..0, "there is no service in this file")
        .hint("a service has `apiVersion`, `kind`, `metadata` and `spec`")
}

/// An annotated example that uses every key, as documentation.
pub fn reference() -> &'static str {
    include_str!("reference.yaml")
}
