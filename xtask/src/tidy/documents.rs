//! Everything that is not Rust: pages are short, links lead somewhere, nothing names one
//! developer's machine, and every package obeys the workspace's lints.

use super::Finding;
use crate::failure::{Doing, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Pages and the lines they may have.
const PAGES: [(&str, usize); 2] = [("README.md", 150), ("ARCHITECTURE.md", 300)];

/// Folders of a developer's machine. Split, so that this file does not break its own rule.
const MACHINE_FOLDERS: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];

/// Checks the pages, and every text file for machine paths.
pub fn check(root: &Path, files: &[PathBuf]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (page, lines_max) in PAGES {
        findings.extend(page_length(root, page, lines_max));
    }
    for file in files {
        let bytes = fs::read(root.join(file)).doing(|| format!("reading {}", file.display()))?;
        // What is not text has no paths a person could read.
        let Ok(text) = String::from_utf8(bytes) else { continue };
        findings.extend(machine_paths(file, &text));
        findings.extend(unlinted_package(file, &text));
        if file.extension().is_some_and(|extension| extension == "md") {
            let folder = root.join(file.parent().unwrap_or(Path::new("")));
            findings.extend(broken_links(file, &text, |target| folder.join(target).exists()));
        }
    }
    Ok(findings)
}

fn page_length(root: &Path, page: &str, lines_max: usize) -> Option<Finding> {
    let Ok(text) = fs::read_to_string(root.join(page)) else {
        return Some(Finding::new(page, 1, "page", "is missing"));
    };
    let lines = text.lines().count();
    (lines > lines_max).then(|| {
        let message = format!("{lines} lines, {lines_max} are allowed");
        Finding::new(page, lines_max + 1, "page", message)
    })
}

/// Absolute paths that only exist on the machine of whoever wrote them.
pub fn machine_paths(file: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for folder in MACHINE_FOLDERS {
            if line.match_indices(folder).any(|(at, _)| begins_a_path(&line[..at])) {
                let message = format!("`{folder}...` exists on one machine only");
                findings.push(Finding::new(file, index + 1, "machine-path", message));
            }
        }
    }
    findings
}

/// `src/home/x` and `https://host/home/x` are no absolute paths.
fn begins_a_path(before: &str) -> bool {
    !before.ends_with(|c: char| c.is_alphanumeric() || "/._-~}".contains(c))
}

/// A package that does not take the lints of the workspace is free to be unsafe.
pub fn unlinted_package(file: &Path, text: &str) -> Option<Finding> {
    let is_package = file.ends_with("Cargo.toml") && text.contains("[package]");
    let mut lines = text.lines().map(str::trim);
    let is_linted = lines.any(|line| line == "[lints]") && lines.next() == Some("workspace = true");
    (is_package && !is_linted)
        .then(|| Finding::new(file, 1, "lints", "has no `[lints]` with `workspace = true`"))
}

/// Links of a Markdown page to files of the repository that are not there.
pub fn broken_links(file: &Path, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        fenced ^= line.trim_start().starts_with("```");
        let targets = if fenced { Vec::new() } else { link_targets(line) };
        for target in targets.into_iter().filter(|target| !exists(target)) {
            let message = format!("links to `{target}`, which is not there");
            findings.push(Finding::new(file, index + 1, "broken-link", message));
        }
    }
    findings
}

/// `b` of `[a](b)` and of `[a](b#c)`, where `b` is a file.
fn link_targets(line: &str) -> Vec<&str> {
    let after = line.split("](").skip(1);
    let targets = after.filter_map(|rest| rest.split([')', '#', ' ']).next());
    targets.filter(|target| !target.is_empty() && !target.contains(':')).collect()
}
