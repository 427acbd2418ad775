//! Verbs that change a flag.

use super::args::{ArchiveArgs, KillArgs, RestoreArgs, VerbArgs};
use super::look::path_of;
use super::{people, render};
use crate::client::{Document, escaped};
use crate::context::{Context, query};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Tone};
use crate::who::actor;
use http::Method;
use serde::Serialize;
use serin_server::api::view::{Asking, FlagVerb, FlagView};

/// Who asks, and why.
pub fn asking(reason: Option<String>) -> Asking {
    Asking { actor: Some(actor()), reason }
}

/// `PUT` with a document.
pub async fn put(
    context: &Context<'_>,
    path: &str,
    request: &impl Serialize,
) -> Result<Document, Failure> {
    context.client.send(Method::PUT, path, request, None).await
}

/// `serin flag on|off|disable`.
pub async fn verb(context: &Context<'_>, verb: &str, args: VerbArgs) -> Result<Exit, Failure> {
    let request = FlagVerb { asking: asking(args.why.reason), ..FlagVerb::default() };
    ask(context, &args.key, &args.set.set, verb, &request).await
}

/// `serin flag kill`.
pub async fn kill(context: &Context<'_>, args: KillArgs) -> Result<Exit, Failure> {
    let request = FlagVerb { asking: asking(Some(args.reason)), ..FlagVerb::default() };
    ask(context, &args.key, &args.set.set, "kill", &request).await
}

/// `serin flag restore`.
pub async fn restore(context: &Context<'_>, args: RestoreArgs) -> Result<Exit, Failure> {
    let asking = asking(args.why.reason);
    let request = FlagVerb { asking, to: Some(args.to), ..FlagVerb::default() };
    ask(context, &args.key, &args.set.set, "restore", &request).await
}

/// `serin flag archive`.
pub async fn archive(context: &Context<'_>, args: ArchiveArgs) -> Result<Exit, Failure> {
    let asking = asking(args.why.reason);
    if args.delete {
        let who = [("set", Some(args.set.set)), ("actor", asking.actor), ("reason", asking.reason)];
        let path = format!("/api/v1/flags/{}{}", escaped(&args.key), query(&who));
        context.client.send(Method::DELETE, &path, &serde_json::json!({}), None).await?;
        if !context.printer.is_json() {
            let line = Line::toned(Tone::Bold, &args.key).text(": gone; its history stays");
            context.printer.data(&line);
        }
        return Ok(Exit::Reached);
    }
    let verb = if args.undo { "unarchive" } else { "archive" };
    let request = FlagVerb { asking, force: args.force, ..FlagVerb::default() };
    ask(context, &args.key, &args.set.set, verb, &request).await
}

async fn ask(
    context: &Context<'_>,
    key: &str,
    set: &str,
    verb: &str,
    request: &FlagVerb,
) -> Result<Exit, Failure> {
    let path = path_of(key, &format!(":{verb}"), set);
    let document = context.client.submit(&path, request).await?;
    changed(context, &document)
}

/// Says what a flag is after a change.
pub fn changed(context: &Context<'_>, document: &Document) -> Result<Exit, Failure> {
    if let Some(exit) = people::waits(context, document)? {
        return Ok(exit);
    }
    let view: FlagView = document.read()?;
    if context.printer.is_json() {
        context.printer.pass(document);
    } else {
        let line = Line::toned(Tone::Bold, &view.key).text(format!(" ({}): ", view.set));
        context.printer.data(&line.text(&view.serving));
        for note in &view.notes {
            context.printer.alarm(&Line::toned(Tone::Warn, "note").text(format!(": {note}")));
        }
    }
    if !context.printer.is_json()
        && let Some(line) = render::trouble(view.trouble.as_ref())
    {
        context.printer.alarm(&line);
    }
    if view.pushed {
        return Ok(Exit::Reached);
    }
    let text = match view.trouble {
        Some(_) => ": it is stored, and does not hold for all clients as long as there is trouble",
        None => ": it is stored, and the data plane did not answer; it is told again until it does",
    };
    context.printer.alarm(&Line::toned(Tone::Warn, "warning").text(text));
    Ok(Exit::TimedOut)
}
