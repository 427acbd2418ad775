//! Migrations that belong to a service: the server does the work, and knows what runs.

use super::args::GoArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Tone};
use crate::who::actor;
use serin_core::MigrationPhase;
use serin_server::api::view::{ServiceView, VerbRequest};
use std::time::{Duration, Instant};

/// Time between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(500);

/// `serin migrate contract SERVICE`: drops the old shape, and stays until it is gone or refused.
pub async fn contract(
    context: &Context<'_>,
    service: &str,
    args: &GoArgs,
) -> Result<Exit, Failure> {
    let request = VerbRequest {
        actor: Some(actor()),
        override_reason: args.r#override.clone(),
        backup: args.backup.clone(),
        ..VerbRequest::default()
    };
    let path = format!("/api/v1/services/{service}:contract");
    let mut view: ServiceView = context.client.submit(&path, &request).await?.read()?;
    let name = view.migration.as_ref().map(|open| open.name.clone());
    let until = args.stay.timeout.map(|time| Instant::now() + time);
    loop {
        // The next one may have begun already.
        let open = view.migration.as_ref().filter(|open| Some(&open.name) == name.as_ref());
        let Some(open) = open else { return Ok(done(context, service)) };
        if matches!(open.phase, MigrationPhase::Promoted { .. }) {
            let why = open.stopped.clone().unwrap_or_else(|| "it was refused".into());
            let hint = if why.contains("name the backup") {
                "name it: `--backup 'nightly of 3 May'`, or `--backup 'none: test data'`"
            } else {
                "set aside what can be with `--override REASON`, or wait"
            };
            return Err(Failure::new(Exit::Refused, "refused", why).hint(hint));
        }
        if matches!(open.phase, MigrationPhase::Halting { .. } | MigrationPhase::Back) {
            return Err(Failure::new(
                Exit::Refused,
                "stopped",
                "the contract was stopped, for a way back",
            )
            .hint("see `serin status`"));
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return Ok(Exit::TimedOut);
        }
        tokio::time::sleep(LOOK).await;
        view = context.view(service).await?;
    }
}

fn done(context: &Context<'_>, service: &str) -> Exit {
    if !context.printer.is_json() {
        let line = Line::toned(Tone::Bold, service);
        context.printer.data(&line.text(": only the new shape is left"));
    }
    Exit::Reached
}
