//! `serin remove`: the one verb that cannot be taken back.

use super::{asked, verb_path};
use crate::cli::RemoveArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Tone, can_ask};
use crate::render;
use serde_json::json;
use serin_server::api::view::{ServiceView, VerbRequest};
use std::time::Duration;
use tokio::time::{sleep, timeout};

const PACE: Duration = Duration::from_millis(200);

/// `serin remove`.
pub async fn remove(context: &Context<'_>, args: RemoveArgs) -> Result<Exit, Failure> {
    let service = args.service;
    let view = context.view(&service).await?;
    if !args.yes && !is_meant(context, &view)? {
        return Err(Failure::usage("not-confirmed", "nothing was changed"));
    }
    let request = VerbRequest { reason: args.why.reason, ..asked() };
    match context.client.submit(&verb_path(&service, "remove"), &request).await {
        Ok(document) => drop(document.read::<ServiceView>()?),
        // It was there just now: what nothing runs for is gone before the answer.
        Err(failure) if is_unknown(&failure) => return Ok(said(context, &service)),
        Err(failure) => return Err(failure),
    }
    if args.stay.detach {
        context.printer.note(&Line::plain(format!("{service}: removing")));
        return Ok(Exit::Reached);
    }
    let gone = gone(context, &service);
    match tokio::select! {
        ended = timeout(args.stay.timeout, gone) => Some(ended),
        _ = tokio::signal::ctrl_c() => None,
    } {
        Some(Ok(Ok(()))) => Ok(said(context, &service)),
        Some(Ok(Err(failure))) => Err(failure),
        Some(Err(_)) => Err(Failure::new(
            Exit::TimedOut,
            "timeout",
            format!("{service} is still being removed"),
        )
        .hint(format!("see what it waits for with `serin status {service}`"))),
        None => Ok(Exit::Detached),
    }
}

fn said(context: &Context<'_>, service: &str) -> Exit {
    if context.printer.is_json() {
        context.printer.document(&json!({ "schema": "serin.removed/v1", "service": service }));
    } else {
        context.printer.data(&render::removed(service, &context.frame()));
    }
    Exit::Reached
}

/// Waits until the server does not know it any more.
async fn gone(context: &Context<'_>, service: &str) -> Result<(), Failure> {
    loop {
        match context.view(service).await {
            Err(failure) if is_unknown(&failure) => return Ok(()),
            Err(failure) => return Err(failure),
            Ok(_) => sleep(PACE).await,
        }
    }
}

/// Whether the server says that it does not know the service.
fn is_unknown(failure: &Failure) -> bool {
    failure.exit == Exit::Usage && failure.code == "unknown-service"
}

/// Asks with the effect in the question.
fn is_meant(context: &Context<'_>, view: &ServiceView) -> Result<bool, Failure> {
    let effect = format!(
        "{}: stops {},{} and forgets its revisions",
        view.name,
        render::words::count(view.instances.len() as u64, "instance"),
        view.listen.map_or_else(String::new, |listen| format!(" closes {listen}"))
    );
    if !can_ask() {
        let message = format!("not confirmed: remove {effect}");
        return Err(Failure::usage("not-confirmed", message).hint("confirm it with --yes"));
    }
    context.printer.alarm(&Line::toned(Tone::Warn, "remove").text(" ").text(effect));
    let question = Line::plain("type the service's name to go on:");
    let answer = context.printer.ask(&question);
    let answer = answer.map_err(|error| Failure::internal(format!("no answer: {error}")))?;
    Ok(answer == view.name.as_str())
}
