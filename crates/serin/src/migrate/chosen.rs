//! The migration that is meant, and its plan against the database as it is.

use super::order::{self, Mismatch};
use super::source::{self, What, Written};
use super::target::{Named, failed};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Channel, Printer};
use serin_migrate::{Flaws, Plan, PlanError, State, catalog, current_view, phased_plan};
use std::path::Path;

/// What comes next.
pub struct Chosen {
    /// Its file.
    pub written: Written,
    /// Files after it.
    pub after: usize,
}

/// The next file of a directory that was not applied, or the file that was named; `None` when all
/// were applied.
pub async fn next(
    printer: &Printer,
    named: &Named,
    path: &Path,
) -> Result<Option<Chosen>, Failure> {
    let mut files = source::all(path, printer.has_color(Channel::Err))?;
    if !path.is_dir() {
        return Ok(files.pop().map(|written| Chosen { written, after: 0 }));
    }
    let past = named.runner.history().await.map_err(failed)?;
    let names: Vec<&str> = files.iter().map(Written::name).collect();
    let at = order::applied(&names, &past, false).map_err(at_odds)?;
    let after = files.len().saturating_sub(at + 1);
    Ok((at < files.len()).then(|| Chosen { written: files.swap_remove(at), after }))
}

fn at_odds(mismatch: Mismatch) -> Failure {
    Failure::new(Exit::Refused, "mismatched-history", mismatch.message).hint(mismatch.hint)
}

/// The plan of a file.
pub async fn plan(printer: &Printer, named: &Named, written: &Written) -> Result<Plan, Failure> {
    let schema = named.runner.database().schema().clone();
    let client = named.runner.connect().await.map_err(failed)?;
    let made = match &written.what {
        What::Phased(set) => phased_plan(&client, set, schema).await.map_err(PlanError::Flaws),
        What::Operations(migration) => {
            let view = current_view(&named.runner).await.map_err(failed)?;
            let seen = catalog::read(&client, &schema).await.map_err(|error| unread(&error))?;
            serin_migrate::plan::make(&client, &seen, migration, view.as_ref()).await
        }
    };
    made.map_err(|error| match error {
        PlanError::Flaws(flaws) => flawed(printer, written, &flaws),
        error => unread(&error),
    })
}

fn unread(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Unreachable, "unreachable", format!("the catalogue cannot be read: {error}"))
        .hint("see that the database runs, and that its user may read the catalogue")
}

/// Everything that is wrong with a migration for this database.
pub fn flawed(_printer: &Printer, written: &Written, flaws: &Flaws) -> Failure {
    let line = |flaw: &serin_migrate::Flaw| {
        let place = written.place(&flaw.path, None);
        let hint = flaw.hint.as_ref().map_or(String::new(), |hint| format!("\n  hint: {hint}"));
        let path = if flaw.path.is_empty() { String::new() } else { format!("{}: ", flaw.path) };
        format!("{place}: {path}{}{hint}", flaw.message)
    };
    let detail: Vec<String> = flaws.0.iter().map(line).collect();
    let count = match flaws.0.len() {
        1 => "1 thing is".to_owned(),
        n => format!("{n} things are"),
    };
    let message =
        format!("{} cannot be applied: {count} wrong; nothing was changed", written.name());
    Failure { detail: Some(detail.join("\n")), ..Failure::usage("invalid-migration", message) }
}

/// The open migration, when it is this one.
pub async fn is_open(named: &Named, name: &str) -> Result<Option<State>, Failure> {
    let status = named.runner.status().await.map_err(failed)?;
    Ok(status.filter(|status| status.name == name && !status.state.is_over()).map(|s| s.state))
}
