//! The file as its author meets it: what loads, what is refused, and what is said about it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod advice;
mod cases;
mod fuzz;
mod limits;
mod look;
mod lowered;
mod machine;
mod manual;
mod values;

use serin_spec::{Loaded, Problem, Problems, Severity, Source, load};
use std::path::Path;

/// The shortest service that is complete; `run` has line 5 and `traffic` line 7.
const SERVICE: &str = "\
apiVersion: serin.dev/v1alpha1
kind: Service
metadata: { name: shop }
spec:
  run:
    command: [\"./shop\", \"$(PORT)\"]
  traffic: { listen: \"127.0.0.1:8080\" }
";

fn source(text: &str) -> Source<'_> {
    Source { name: "serin.yaml", text, base_dir: Path::new("/srv/app") }
}

fn loaded(text: &str) -> Loaded {
    load(&source(text)).unwrap_or_else(|p| panic!("{}", p.render(&source(text), false)))
}

fn problems(text: &str) -> Problems {
    match load(&source(text)) {
        Ok(loaded) => Problems(loaded.warnings),
        Err(problems) => problems,
    }
}

/// Everything said about a text, one line each: `line:column code: message [label] -> hint`.
fn said(text: &str) -> String {
    lines(&problems(text).0)
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn line(problem: &Problem) -> String {
    let Problem { line, column, code, message, .. } = problem;
    let warning = if problem.severity == Severity::Warning { "warning " } else { "" };
    let label = problem.label.as_ref().map_or(String::new(), |label| format!(" [{label}]"));
    let hint = problem.hint.as_ref().map_or(String::new(), |hint| format!(" -> {hint}"));
    format!("{line}:{column} {warning}{code}: {message}{label}{hint}")
}
