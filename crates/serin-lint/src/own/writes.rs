//! Writes that hold their locks too long.

use super::{finding, is_new};
use crate::facts::{Bound, Fact, Verb};
use crate::parse::{Parsed, Statement};
use crate::{Finding, Setting, Severity};

/// Tables up to so many rows may be written at once: it takes some milliseconds.
const FEW_ROWS: u64 = 10_000;

pub(super) fn in_statement(
    text: &str,
    statement: &Statement,
    parsed: &Parsed,
    setting: &Setting,
) -> Vec<Finding> {
    let told = |fact: &Fact| match fact {
        Fact::Write { verb, table, bound, span } if !is_new(parsed, table, span.start) => {
            unbatched(*verb, table, *bound, setting).map(|finding| finding.at(text, span))
        }
        Fact::Loop { writes: true, commits: false } => Some(endless().at(text, &statement.span)),
        Fact::CommitInBlock if setting.in_transaction => {
            Some(committing().at(text, &statement.span))
        }
        _ => None,
    };
    statement.facts.iter().filter_map(told).collect()
}

fn unbatched(verb: Verb, table: &str, bound: Bound, setting: &Setting) -> Option<Finding> {
    let rows = setting.rows.get(table).copied();
    let word = match verb {
        Verb::Update => "updates",
        Verb::Delete => "deletes",
    };
    let how_many = match (rows, bound) {
        (Some(rows), Bound::None) => format!("all of about {rows} rows of `{table}`"),
        (Some(rows), _) => format!("any number of the about {rows} rows of `{table}`"),
        (None, Bound::None) => format!("all rows of `{table}`"),
        (None, _) => format!("any number of rows of `{table}`"),
    };
    let message =
        format!("this {word} {how_many} in one transaction; each stays locked to its end");
    let hint = "let Serin do it in batches: `batch:` in phased SQL, `up` in an operation";
    let found = finding("unbatched-write", message).hint(hint);
    match bound {
        Bound::Batch => None,
        _ if rows.is_some_and(|rows| rows <= FEW_ROWS) => {
            Some(Finding { severity: Severity::Info, ..found })
        }
        Bound::Value => Some(Finding { severity: Severity::Info, ..found }),
        Bound::None | Bound::Condition => Some(found),
    }
}

fn endless() -> Finding {
    let message = "a loop in a DO block is one transaction: each row it writes stays locked to its \
                   end, however small the batches, and sleeping in it makes that longer";
    finding("loop-without-commit", message)
        .hint("say `batch:` with table, key, set and where; Serin commits each batch")
}

fn committing() -> Finding {
    let message = "COMMIT in a block fails inside the transaction that this runs in";
    finding("commit-in-block", message).hint("say `batch:` with table, key, set and where")
}
