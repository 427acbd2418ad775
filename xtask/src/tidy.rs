//! `cargo xtask tidy`: the house rules that no compiler knows. Also a test of this package, so
//! that `cargo test` finds a broken rule too.

mod documents;
mod edges;
mod functions;
mod layout;
mod lines;
mod source;

#[cfg(test)]
mod tests;

use crate::{
    failure::{Doing, Failure, Result},
    root,
};
use source::Source;
use std::{
    collections::BTreeSet,
    fmt, fs,
    path::{Path, PathBuf},
};

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    file: PathBuf,
    line: usize,
    rule: &'static str,
    message: String,
}

impl Finding {
    fn new(
        file: impl Into<PathBuf>,
        line: usize,
        rule: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { file: file.into(), line, rule, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file.display(), self.line, self.rule, self.message)
    }
}

/// Checks the repository and prints each finding.
pub fn run() -> Result<()> {
    let report = check(&root::path())?;
    println!("{}", report.summary);
    for finding in &report.findings {
        println!("{finding}");
    }
    match report.findings.len() {
        0 => Ok(()),
        1 => Err(Failure::new("1 house rule is broken; it is named above")),
        count => Err(Failure::new(format!("{count} house rules are broken; they are named above"))),
    }
}

/// What tidy has to say.
struct Report {
    findings: BTreeSet<Finding>,
    summary: String,
}

fn check(root: &Path) -> Result<Report> {
    let files = root::files(root)?;
    let sources = read_sources(root, &files)?;
    let mut findings = BTreeSet::new();
    let mut lengths = Vec::new();
    for source in &sources {
        findings.extend(layout::check(source));
        findings.extend(lines::check(source));
        findings.extend(functions::check(source, &mut lengths));
    }
    findings.extend(documents::check(root, &files)?);
    findings.extend(edges::check(root)?);
    let median = functions::median(&mut lengths);
    findings.extend(functions::median_finding(median));
    let summary = format!(
        "tidy: {} Rust files, {} functions outside tests, median {median} lines",
        sources.len(),
        lengths.len(),
    );
    Ok(Report { findings, summary })
}

fn read_sources(root: &Path, files: &[PathBuf]) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "rs")) {
        let text =
            fs::read_to_string(root.join(file)).doing(|| format!("reading {}", file.display()))?;
        sources.push(Source::new(file.clone(), text));
    }
    source::mark_test_modules(&mut sources);
    Ok(sources)
}
