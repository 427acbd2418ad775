//! `serin migrate pause`, `rate` and `clean`.

use super::args::{RateArgs, Target};
use super::target::failed;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Printer};
use crate::render::words::count;

/// `serin migrate pause`.
pub async fn pause(printer: &Printer, target: &Target) -> Result<Exit, Failure> {
    let named = target.named()?;
    named.runner.pause().await.map_err(failed)?;
    let text = "paused after the batch under way; go on with `serin migrate resume`";
    printer.note(&Line::plain(text));
    told(printer, &named.runner).await
}

/// `serin migrate rate`.
pub async fn rate(printer: &Printer, args: &RateArgs) -> Result<Exit, Failure> {
    let named = args.target.named()?;
    named.runner.set_rate(args.share.0).await.map_err(failed)?;
    let text = args.share.0.map_or_else(
        || "rows are filled as the migration says".to_owned(),
        |share| {
            format!("rows are filled {:.0} % of the time, from the next batch on", share * 100.0)
        },
    );
    printer.note(&Line::plain(text));
    told(printer, &named.runner).await
}

async fn told(printer: &Printer, runner: &serin_migrate::Runner) -> Result<Exit, Failure> {
    if printer.is_json() {
        let status = runner.status().await.map_err(failed)?;
        super::look::show(printer, status.as_ref());
    }
    Ok(Exit::Reached)
}

/// `serin migrate clean`.
pub async fn clean(printer: &Printer, target: &Target) -> Result<Exit, Failure> {
    let named = target.named()?;
    let cleaned = named.runner.clean().await.map_err(failed)?;
    let dropped = named.runner.drop_aside().await.map_err(failed)?;
    if printer.is_json() {
        printer.document(
            &serde_json::json!({ "schema": "serin.migrate.clean/v1", "cleaned": cleaned, "putAside": dropped }),
        );
    } else {
        let text = match cleaned {
            0 => "nothing is hidden whose grace time is over".to_owned(),
            n => format!("dropped what {} hid", count(n as u64, "migration")),
        };
        printer.data(&Line::plain(text));
        if dropped > 0 {
            let tables = count(dropped as u64, "table");
            printer.data(&Line::plain(format!("dropped {tables} of what ways back put aside")));
        }
    }
    Ok(Exit::Reached)
}
