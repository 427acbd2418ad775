//! Rules of our own: what becomes slow, wrong or irreversible while two versions are live.

mod views;
mod writes;

use crate::facts::Fact;
use crate::parse::{Parsed, Statement};
use crate::rules::own_weight;
use crate::{Finding, Setting};
use serin_migrate::Phase;

/// Everything they find.
pub(crate) fn all(text: &str, parsed: &Parsed, setting: &Setting) -> Vec<Finding> {
    let errors = parsed.errors.iter().map(|(span, message)| {
        finding("syntax", format!("this SQL cannot be read: {message}"))
            .hint("correct it; if Postgres takes it, allow the rule with a reason")
            .at(text, span)
    });
    let mut found: Vec<Finding> = errors.take(1).collect();
    let migrates = setting.phase.is_some();
    for statement in &parsed.statements {
        if migrates {
            found.extend(writes::in_statement(text, statement, parsed, setting));
            found.extend(destructive(text, statement, parsed, setting));
        }
        if setting.views {
            found.extend(views::in_statement(text, statement, setting));
        }
    }
    if migrates {
        found.extend(without_check(parsed, setting));
        found.extend(structure(text, parsed, setting));
    }
    found
}

/// A finding of a rule of ours.
pub(crate) fn finding(rule: &str, message: impl Into<String>) -> Finding {
    Finding::new(rule, own_weight(rule), message)
}

/// Whether this SQL made the table itself before: nobody else uses it yet.
pub(crate) fn is_new(parsed: &Parsed, name: &str, at: usize) -> bool {
    let before = parsed.statements.iter().take_while(|statement| statement.span.start < at);
    let mut facts = before.flat_map(|statement| &statement.facts);
    facts.any(|fact| matches!(fact, Fact::CreatesTable { table } if table == name))
}

fn destructive(
    text: &str,
    statement: &Statement,
    parsed: &Parsed,
    setting: &Setting,
) -> Vec<Finding> {
    if !matches!(setting.phase, Some(Phase::Expand | Phase::Migrate)) {
        return Vec::new();
    }
    let told = |fact: &Fact| match fact {
        Fact::Destroys { what, table, span } if !is_new(parsed, table, span.start) => {
            let message = format!("this {what} while the old version still runs");
            let hint = "move it to the contract, which comes when the old version is gone";
            Some(finding("destructive-in-expand", message).hint(hint).at(text, span))
        }
        _ => None,
    };
    statement.facts.iter().filter_map(told).collect()
}

fn without_check(parsed: &Parsed, setting: &Setting) -> Vec<Finding> {
    let destroys = |statement: &Statement| {
        statement.facts.iter().any(|fact| matches!(fact, Fact::Destroys { .. }))
    };
    let contract = setting.phase == Some(Phase::Contract);
    let destroys = contract && parsed.statements.iter().any(destroys);
    match setting.pre_check.as_deref() {
        Some(check) if is_trivial(check) => {
            let message = format!("the check `{}` cannot fail", check.trim());
            vec![finding("trivial-check", message).hint("ask what must be true before this runs")]
        }
        None if destroys => {
            let message = "something is taken away for good, and nothing is asked before";
            let hint = "add a check, such as that no row has only the old value";
            vec![finding("contract-without-check", message).hint(hint)]
        }
        _ => Vec::new(),
    }
}

/// Whether a check is a constant.
fn is_trivial(check: &str) -> bool {
    let text = check.trim().trim_end_matches(';').to_ascii_lowercase();
    let rest = text.strip_prefix("select").map(str::trim);
    rest.is_some_and(|rest| matches!(rest, "true" | "1" | "1=1" | "1 = 1" | "'t'" | "'true'"))
}

/// Foreign keys without an index, row-level security without a policy.
fn structure(text: &str, parsed: &Parsed, setting: &Setting) -> Vec<Finding> {
    let facts = || parsed.statements.iter().flat_map(|statement| &statement.facts);
    let indexed = |on: &str, first: &str| {
        let here = |fact: &Fact| matches!(fact, Fact::Index { table, column } if table == on && column == first);
        facts().any(here) || setting.indexes.contains(&(on.to_owned(), first.to_owned()))
    };
    let policed = |on: &str| facts().any(|f| matches!(f, Fact::Policy { table } if table == on));
    let told = |(statement, fact): (&Statement, &Fact)| match fact {
        Fact::ForeignKey { table, column, span } if !indexed(table, column) => {
            Some(no_index(table, column).at(text, span))
        }
        Fact::RowLevelSecurity { table } if !policed(table) => {
            let message = format!(
                "row-level security without a policy hides every row of `{table}` from all but its owner"
            );
            let hint = "create the policies in the same migration, before this statement";
            Some(finding("row-level-security", message).hint(hint).at(text, &statement.span))
        }
        _ => None,
    };
    let pairs = parsed.statements.iter().flat_map(|s| s.facts.iter().map(move |fact| (s, fact)));
    pairs.filter_map(told).collect()
}

/// A foreign key that nothing finds its rows by.
pub(crate) fn no_index(table: &str, column: &str) -> Finding {
    let message = format!(
        "`{table}.{column}` refers to another table and has no index that begins with it: each \
         delete there reads all of `{table}`"
    );
    finding("missing-index-on-foreign-key", message)
        .hint(format!("create an index on `{table}` ({column}), concurrently"))
}
