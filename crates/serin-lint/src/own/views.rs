//! What works on a table and not on the view that clients see instead.

use super::finding;
use crate::facts::{Fact, ViewUse};
use crate::parse::Statement;
use crate::{Finding, Setting};

/// From this version on, MERGE takes views.
const MERGE_ON_VIEWS: u32 = 17;

pub(super) fn in_statement(text: &str, statement: &Statement, setting: &Setting) -> Vec<Finding> {
    // The SQL of a migration itself sees the tables, but for functions: apps call those.
    let told = |fact: &Fact| match fact {
        Fact::ViewUse { kind, table, span } => {
            let (message, hint) = words(*kind, table, setting.major)?;
            Some(finding("view-incompatible", message).hint(hint).at(text, span))
        }
        _ => None,
    };
    let of_apps = setting.phase.is_none();
    let function = text[statement.span.clone()].trim_start().get(..6);
    let defines = function.is_some_and(|word| word.eq_ignore_ascii_case("create"));
    if of_apps || defines {
        return statement.facts.iter().filter_map(told).collect();
    }
    Vec::new()
}

fn words(kind: ViewUse, table: &str, major: u32) -> Option<(String, &'static str)> {
    Some(match kind {
        ViewUse::CopyFrom => (
            format!("COPY into `{table}` fails when `{table}` is a view"),
            "insert with several rows a statement, or copy into the table by its full name",
        ),
        ViewUse::CopyTo => (
            format!("COPY from `{table}` fails when `{table}` is a view"),
            "write COPY (SELECT ...) TO, which takes views",
        ),
        ViewUse::Truncate => (
            format!("TRUNCATE of `{table}` fails when `{table}` is a view"),
            "use DELETE, or name the table with its schema",
        ),
        ViewUse::Merge if major < MERGE_ON_VIEWS => (
            format!("MERGE into `{table}` fails on a view before Postgres {MERGE_ON_VIEWS}"),
            "use INSERT ... ON CONFLICT (columns) DO UPDATE",
        ),
        ViewUse::Merge => return None,
        ViewUse::OnConstraint => (
            "ON CONFLICT ON CONSTRAINT fails on a view: it has no constraints".into(),
            "name the columns instead: ON CONFLICT (column)",
        ),
        ViewUse::SystemColumn => (
            format!("a view has no column `{table}`"),
            "compare a version column of your own, or the columns themselves",
        ),
    })
}
