//! Files: not long, not a drawer for everything, and each library says what it promises.

use super::{Finding, source::Source};
use std::path::Path;

const LINES_MAX: usize = 500;

/// Names that say nothing about what is inside.
const DRAWERS: [&str; 4] = ["utils", "common", "helpers", "misc"];

/// Checks one file.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(length(source));
    findings.extend(drawer_file(source));
    findings.extend(drawer_modules(source));
    findings.extend(header(source));
    findings
}

fn length(source: &Source) -> Option<Finding> {
    let lines = source.line_count();
    (lines > LINES_MAX).then(|| {
        let message =
            format!("{lines} lines, {LINES_MAX} are allowed; split it by what it is about");
        Finding::new(&source.path, LINES_MAX + 1, "long-file", message)
    })
}

fn drawer_file(source: &Source) -> Option<Finding> {
    let whole = source.path.with_extension("");
    let drawer = whole.iter().find_map(|part| DRAWERS.iter().find(|name| part == **name))?;
    Some(Finding::new(&source.path, 1, "module-name", drawer_message(drawer)))
}

fn drawer_modules(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for drawer in DRAWERS {
        for at in source.words(&format!("mod {drawer}")) {
            let line = source.line_of(at);
            let message = drawer_message(drawer);
            findings.push(Finding::new(&source.path, line, "module-name", message));
        }
    }
    findings
}

fn drawer_message(name: &str) -> String {
    format!("a module named `{name}` gathers what belongs nowhere; name it after what it does")
}

fn header(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_library = source.path.ends_with("src/lib.rs");
    let is_binary = source.path.ends_with("src/main.rs");
    if (is_library || is_binary) && !source.text.starts_with("//!") {
        let message = "the first line says what the crate does: `//! ...`";
        findings.push(Finding::new(&source.path, 1, "crate-header", message));
    }
    if is_library && is_in_crates(&source.path) && !has_invariants(&source.text) {
        let message = "the header has no section `//! # Invariants`";
        findings.push(Finding::new(&source.path, 1, "crate-header", message));
    }
    findings
}

fn is_in_crates(path: &Path) -> bool {
    path.starts_with("crates")
}

fn has_invariants(text: &str) -> bool {
    let header = text.lines().take_while(|line| line.starts_with("//!"));
    let mut after = header.skip_while(|line| line.trim_end() != "//! # Invariants").skip(1);
    after.any(|line| line.trim_start_matches("//!").trim() != "")
}
