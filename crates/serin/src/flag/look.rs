//! Verbs that only look: list, get, history, sets.

use super::args::{HistoryArgs, KeyArgs, ListArgs, SetsArgs};
use super::change::{asking, put};
use super::eval::read_file;
use super::{people, render};
use crate::client::escaped;
use crate::context::{Context, query};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::look::show;
use crate::printer::{Line, Tone};
use http::Method;
use serin_server::api::view::{FlagHistory, FlagList, FlagSetPatch, FlagSets, FlagView};

/// Path of a flag's document.
pub fn path_of(key: &str, rest: &str, set: &str) -> String {
    let place = query(&[("set", Some(set.to_owned()))]);
    format!("/api/v1/flags/{}{rest}{place}", escaped(key))
}

/// `serin flag list`.
pub async fn list(context: &Context<'_>, args: ListArgs) -> Result<Exit, Failure> {
    let archived = args.archived.then(|| "true".to_owned());
    let query = query(&[("set", Some(args.set.set)), ("archived", archived)]);
    show(context, format!("/api/v1/flags{query}"), render::list).await
}

/// `serin flag get`.
pub async fn get(context: &Context<'_>, args: KeyArgs) -> Result<Exit, Failure> {
    let path = path_of(&args.key, "", &args.set.set);
    show(context, path, |view: &FlagView, frame| render::detail(view, frame)).await
}

/// `serin flag history`.
pub async fn history(context: &Context<'_>, args: HistoryArgs) -> Result<Exit, Failure> {
    let place = [("set", Some(args.set.set)), ("before", args.before.map(|n| n.to_string()))];
    let path = match &args.key {
        Some(key) => format!("/api/v1/flags/{}/history{}", escaped(key), query(&place)),
        None => format!("/api/v1/flag-history{}", query(&place)),
    };
    let named = args.key.is_some();
    show(context, path, |found: &FlagHistory, frame| render::history(found, named, frame)).await
}

/// `serin flag sets`.
pub async fn sets(context: &Context<'_>, args: SetsArgs) -> Result<Exit, Failure> {
    if let Some(name) = &args.name {
        return one_set(context, name, &args).await;
    }
    if let Some(name) = args.create {
        let path = format!("/api/v1/flag-sets/{}", escaped(&name));
        put(context, &path, &asking(args.why.reason)).await?;
    }
    show(context, "/api/v1/flag-sets".into(), |found: &FlagSets, frame| render::sets(found, frame))
        .await
}

/// Those that stand before all others.
pub async fn pinned(context: &Context<'_>, set: &str) -> Result<Exit, Failure> {
    let mut list = all(context, set).await?;
    list.flags.retain(|flag| flag.pinned);
    if context.printer.is_json() {
        context.printer.document(&list);
    } else if list.flags.is_empty() {
        let text = "there is none yet: make the usual ones with `serin flag ops --create`";
        context.printer.data(&Line::toned(Tone::Dim, text));
    } else {
        for line in render::list(&list, &context.frame()) {
            context.printer.data(&line);
        }
    }
    Ok(Exit::Reached)
}

async fn one_set(context: &Context<'_>, name: &str, args: &SetsArgs) -> Result<Exit, Failure> {
    let path = format!("/api/v1/flag-sets/{}", escaped(name));
    let document = if args.remove {
        context.client.send(Method::DELETE, &path, &asking(args.why.reason.clone()), None).await?
    } else if let Some(demand) = people::demand(&args.demand) {
        let patch = std::iter::once(("approval".to_owned(), demand)).collect();
        let request = FlagSetPatch { asking: asking(args.why.reason.clone()), patch };
        context.client.send(Method::PATCH, &path, &request, None).await?
    } else if let Some(file) = &args.patch {
        let patch = serde_json::from_slice(&read_file(file)?).map_err(|error| {
            Failure::usage("invalid-patch", format!("`{}` is no patch: {error}", file.display()))
                .hint("write {\"segments\":{\"beta\":{\"users\":[\"ada\"]}}}")
        })?;
        let request = FlagSetPatch { asking: asking(args.why.reason.clone()), patch };
        context.client.send(Method::PATCH, &path, &request, None).await?
    } else {
        context.client.document(&path).await?
    };
    if let Some(exit) = people::waits(context, &document)? {
        return Ok(exit);
    }
    context.printer.pass(&document);
    Ok(Exit::Reached)
}

/// All flags of a set.
pub async fn all(context: &Context<'_>, set: &str) -> Result<FlagList, Failure> {
    let query = query(&[("set", Some(set.to_owned()))]);
    context.client.get(&format!("/api/v1/flags{query}")).await
}
