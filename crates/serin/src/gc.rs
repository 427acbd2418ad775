//! `serin gc`: instances that are kept and serve nobody.

use crate::cli::GcArgs;
use crate::context::{Context, path_of};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Tone};
use crate::render;
use crate::who::actor;
use serin_server::api::view::{LeftoverView, Leftovers, ServiceView, VerbRequest};
use std::collections::BTreeSet;

/// The environment of the copies that drills make.
const DRILL: &str = "drill";

/// `serin gc`. What is past its time goes by itself; `--now` does not wait for it.
pub async fn gc(context: &Context<'_>, args: GcArgs) -> Result<Exit, Failure> {
    if let Some(service) = &args.service {
        // An unknown name is an error, not an empty list.
        context.view(service).await?;
    }
    let mut left: Leftovers = context.client.get("/api/v1/leftovers").await?;
    let is_meant =
        |one: &LeftoverView| args.service.as_ref().is_none_or(|name| one.service.as_str() == name);
    left.leftovers.retain(is_meant);
    if context.printer.is_json() {
        context.printer.document(&left);
    } else {
        for line in render::leftovers(&left, &context.frame()) {
            context.printer.data(&line);
        }
    }
    let free = left.leftovers.iter().filter(|one| one.may_go);
    let services: BTreeSet<_> = free.map(|one| one.service.as_str()).collect();
    if args.now {
        let_go(context, &services, args.why.reason).await?;
    } else if !args.dry_run && !services.is_empty() {
        let text = "each goes when its time has come; `serin gc --now` does not wait";
        context.printer.note(&Line::plain(text));
    }
    copies(context).await?;
    Ok(Exit::Reached)
}

async fn let_go(
    context: &Context<'_>,
    services: &BTreeSet<&str>,
    reason: Option<String>,
) -> Result<(), Failure> {
    for service in services {
        let request =
            VerbRequest { reason: reason.clone(), actor: Some(actor()), ..VerbRequest::default() };
        let path = path_of(service, ":clean");
        context.client.post::<ServiceView>(&path, &request).await?;
        let text = ": what it kept is let go; what serves users and its last good revision stay";
        context.printer.note(&Line::toned(Tone::Bold, service).text(text));
    }
    if services.is_empty() {
        context.printer.note(&Line::plain("nothing may be let go"));
    }
    Ok(())
}

/// A drill that was cut short leaves its copy.
async fn copies(context: &Context<'_>) -> Result<(), Failure> {
    let services = context.services().await?;
    for copy in services.iter().filter(|service| service.environment == DRILL) {
        let text = format!(
            "{0} is the copy of a drill; if none runs, take it away with `serin remove {0} --yes`",
            copy.name
        );
        context.printer.note(&Line::toned(Tone::Warn, "note").text(": ").text(text));
    }
    Ok(())
}
