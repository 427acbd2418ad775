//! `serin migrate status` and `history`.

use super::args::Target;
use super::render::{aside_lines, history_lines, next, put, status_lines};
use super::target::failed;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Channel, Line, Printer};
use crate::render::{Frame, now};
use serde::Serialize;
use serin_migrate::{Aside, Past, Status};

#[derive(Serialize)]
struct StatusDocument<'a> {
    schema: &'static str,
    migration: Option<&'a Status>,
    next: Option<&'a str>,
}

#[derive(Serialize)]
struct HistoryDocument<'a> {
    schema: &'static str,
    migrations: &'a [Past],
    #[serde(rename = "putAside")]
    put_aside: &'a [Aside],
}

/// `serin migrate status`.
pub async fn status(printer: &Printer, target: &Target) -> Result<Exit, Failure> {
    let named = target.named()?;
    let status = named.runner.status().await.map_err(failed)?;
    show(printer, status.as_ref());
    Ok(Exit::Reached)
}

/// Shows how far it is.
pub fn show(printer: &Printer, status: Option<&Status>) {
    if printer.is_json() {
        let next = status.and_then(next);
        let schema = "serin.migrate.status/v1";
        printer.document(&StatusDocument { schema, migration: status, next });
        return;
    }
    let none =
        || vec![Line::plain("no migration was ever started here; `serin migrate start` does")];
    put(printer, status.map_or_else(none, |status| status_lines(status, now())));
}

/// `serin migrate history`.
pub async fn history(printer: &Printer, target: &Target) -> Result<Exit, Failure> {
    let named = target.named()?;
    let past = named.runner.history().await.map_err(failed)?;
    let aside = named.runner.aside().await.map_err(failed)?;
    if printer.is_json() {
        let schema = "serin.migrate.history/v1";
        printer.document(&HistoryDocument { schema, migrations: &past, put_aside: &aside });
    } else if past.is_empty() {
        printer.data(&Line::plain("no migration was ever started here"));
    } else {
        let frame = Frame::of(printer, Channel::Out);
        for line in history_lines(&past, &frame).into_iter().chain(aside_lines(&aside)) {
            printer.data(&line);
        }
    }
    Ok(Exit::Reached)
}
