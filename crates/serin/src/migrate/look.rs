//! `serin migrate status` and `history`.

use super::args::Target;
use super::render::{aside_lines, drift_line, hidden_line, history_lines, next, put, status_lines};
use super::target::failed;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Channel, Line, Printer};
use crate::render::{Frame, now};
use serde::Serialize;
use serin_migrate::{Aside, Drift, Hidden, Past, State, Status};

/// Rows of each table, about, in which the shapes are compared.
const LOOKED_AT: u32 = 10_000;

#[derive(Serialize)]
struct StatusDocument<'a> {
    schema: &'static str,
    migration: Option<&'a Status>,
    next: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<&'a Drift>,
    #[serde(skip_serializing_if = "<[Hidden]>::is_empty")]
    hidden: &'a [Hidden],
}

#[derive(Serialize)]
struct HistoryDocument<'a> {
    schema: &'static str,
    migrations: &'a [Past],
    #[serde(rename = "putAside")]
    put_aside: &'a [Aside],
    hidden: &'a [Hidden],
}

/// `serin migrate status`.
pub async fn status(printer: &Printer, target: &Target) -> Result<Exit, Failure> {
    let named = target.named()?;
    let status = named.runner.status().await.map_err(failed)?;
    let both = status.as_ref().is_some_and(|status| status.state == State::Dual);
    // Where the rows cannot be compared, there is nothing to tell of it.
    let drift = if both { named.runner.drift(LOOKED_AT).await.ok() } else { None };
    let hidden = named.runner.hidden().await.map_err(failed)?;
    with_more(printer, status.as_ref(), drift.as_ref(), &hidden);
    Ok(Exit::Reached)
}

/// Shows how far it is.
pub fn show(printer: &Printer, status: Option<&Status>) {
    with_more(printer, status, None, &[]);
}

/// Shows how far it is, how far the shapes are apart, and what lies hidden.
pub fn with_more(
    printer: &Printer,
    status: Option<&Status>,
    drift: Option<&Drift>,
    hidden: &[Hidden],
) {
    if printer.is_json() {
        let next = status.and_then(next);
        let schema = "serin.migrate.status/v1";
        printer.document(&StatusDocument { schema, migration: status, next, drift, hidden });
        return;
    }
    let none =
        || vec![Line::plain("no migration was ever started here; `serin migrate start` does")];
    let mut lines = status.map_or_else(none, |status| status_lines(status, hidden, now()));
    lines.extend(drift.map(drift_line));
    lines.extend(hidden.iter().filter(|one| one.may_go()).map(hidden_line));
    put(printer, lines);
}

/// `serin migrate history`.
pub async fn history(printer: &Printer, target: &Target) -> Result<Exit, Failure> {
    let named = target.named()?;
    let past = named.runner.history().await.map_err(failed)?;
    let aside = named.runner.aside().await.map_err(failed)?;
    let hidden = named.runner.hidden().await.map_err(failed)?;
    if printer.is_json() {
        let schema = "serin.migrate.history/v1";
        let document =
            HistoryDocument { schema, migrations: &past, put_aside: &aside, hidden: &hidden };
        printer.document(&document);
    } else if past.is_empty() {
        printer.data(&Line::plain("no migration was ever started here"));
    } else {
        let frame = Frame::of(printer, Channel::Out);
        let more = hidden.iter().map(hidden_line).chain(aside_lines(&aside));
        for line in history_lines(&past, &frame).into_iter().chain(more) {
            printer.data(&line);
        }
    }
    Ok(Exit::Reached)
}
