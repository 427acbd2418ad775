//! Verbs that explain flags, carry them elsewhere, bring them here, and plan their changes.

use super::args::{ExplainArgs, ExportArgs, ImportArgs, ScheduleArgs, TestArgs, TokenArgs};
use super::change::asking;
use super::eval::read_file;
use super::look::path_of;
use super::people;
use super::render::when;
use crate::client::{Document, escaped};
use crate::context::{Context, query};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::look::show;
use crate::printer::{Line, Tone};
use crate::render::Frame;
use http::Method;
use serde_json::{Value, json};
use serin_flags::matrix;
use serin_server::api::view::{FlagSchedule, FlagTokens, FlagView, Imported, Trigger};

/// `serin flag explain`.
pub async fn explain(context: &Context<'_>, args: ExplainArgs) -> Result<Exit, Failure> {
    let path = path_of(&args.key, "/explain", &args.set.set);
    let document = context.client.submit(&path, &json!({ "context": user(&args)? })).await?;
    if context.printer.is_json() {
        context.printer.pass(&document);
        return Ok(Exit::Reached);
    }
    let found: Value = document.read()?;
    context.printer.data_text(found["text"].as_str().unwrap_or_default());
    let changed = &found["changed"];
    let text = |name: &str| changed[name].as_str().unwrap_or_default().to_owned();
    let line = format!("last change: {} by {}, {}", changed["n"], text("by"), text("verb"));
    context.printer.data(&Line::toned(Tone::Dim, line));
    Ok(Exit::Reached)
}

fn user(args: &ExplainArgs) -> Result<Value, Failure> {
    let mut context = match &args.context {
        None => json!({}),
        Some(text) => serde_json::from_str(text).map_err(|error| {
            Failure::usage("bad-context", format!("the context is not JSON: {error}"))
                .hint("write it as --context '{\"plan\":\"pro\"}'")
        })?,
    };
    if let (Some(user), Some(fields)) = (&args.user, context.as_object_mut()) {
        fields.insert("targetingKey".into(), user.clone().into());
    }
    Ok(context)
}

/// `serin flag test`.
pub async fn test(context: &Context<'_>, args: TestArgs) -> Result<Exit, Failure> {
    let view: FlagView = context.client.get(&path_of(&args.key, "", &args.set.set)).await?;
    let key = view.key.parse().map_err(|error: serin_flags::KeyError| {
        Failure::internal(format!("the server named a flag that is none: {error}"))
    })?;
    let paths = matrix::paths(&key, &view.definition);
    if context.printer.is_json() {
        let document = json!({ "schema": "serin.flag-test/v1", "flag": view.key, "paths": paths });
        context.printer.document(&document);
    } else if args.matrix {
        let names: Vec<_> = paths.iter().map(|path| path.environment.1.clone()).collect();
        let variable = matrix::variable(&key);
        context.printer.data_text(&json!({ variable: names }).to_string());
    } else {
        for path in &paths {
            let (name, value) = &path.environment;
            let line = Line::toned(Tone::Bold, &path.name).text(format!(": {name}={value}"));
            context.printer.data(&line);
        }
    }
    Ok(Exit::Reached)
}

/// `serin flag export`.
pub async fn export(context: &Context<'_>, args: ExportArgs) -> Result<Exit, Failure> {
    let place = [("set", Some(args.set.set)), ("format", Some(args.format))];
    let document =
        context.client.document(&format!("/api/v1/flag-export{}", query(&place))).await?;
    if context.printer.is_json() {
        context.printer.pass(&document);
        return Ok(Exit::Reached);
    }
    let found: Value = document.read()?;
    context.printer.document(&found["document"]);
    for list in ["leftOut", "notes"] {
        for one in found[list].as_array().into_iter().flatten() {
            let what = if list == "leftOut" { "left out" } else { "differs" };
            let text = format!(": {}: {}", one["flag"].as_str().unwrap_or_default(), one["why"]);
            context.printer.alarm(&Line::toned(Tone::Warn, what).text(text));
        }
    }
    Ok(Exit::Reached)
}

/// `serin flag import`.
pub async fn import(context: &Context<'_>, args: ImportArgs) -> Result<Exit, Failure> {
    let text = String::from_utf8_lossy(&read_file(&args.file)?).into_owned();
    let asking = asking(args.why.reason);
    let request = json!({ "actor": asking.actor, "reason": asking.reason, "format": args.format,
        "text": text, "environment": args.from, "dry_run": args.dry_run });
    let path = format!("/api/v1/flag-import{}", query(&[("set", Some(args.set.set))]));
    let document = context.client.submit(&path, &request).await?;
    if context.printer.is_json() {
        context.printer.pass(&document);
        return Ok(Exit::Reached);
    }
    let found: Imported = document.read()?;
    for note in &found.notes {
        context.printer.alarm(&Line::toned(Tone::Warn, "note").text(format!(": {note}")));
    }
    let (new, kept) = (found.new.len(), found.kept.len());
    let did = if found.dry_run { "would be made" } else { "made" };
    let line = format!("{}: {new} {did}, {kept} there already and left as they are", found.set);
    context.printer.data(&Line::plain(line));
    Ok(Exit::Reached)
}

/// `serin flag schedule`.
pub async fn schedule(context: &Context<'_>, args: ScheduleArgs) -> Result<Exit, Failure> {
    let path = path_of(&args.key, "/schedule", &args.set.set);
    if args.clear {
        let none = json!({});
        let document = context.client.send(Method::DELETE, &path, &none, None).await?;
        return planned(context, &document);
    }
    let timed = args.at.is_some() || args.ramp.is_some();
    let trigger = trigger(&args)?;
    if !timed && trigger.is_none() {
        return show(context, path, schedule_lines).await;
    }
    let asking = asking(args.why.reason);
    let mut request = json!({ "actor": asking.actor, "reason": asking.reason,
        "at": args.at.map(|at| at.to_string()), "ramp": args.ramp.unwrap_or_default(),
        "when": trigger, "every": args.every.map(|every| every.as_secs()) });
    let (what, value) = match args.percent {
        Some(percent) => ("set", json!({ "strategy": "percentage", "value": percent })),
        None if args.off => ("off", json!({})),
        None => ("on", json!({})),
    };
    request["do"] = what.into();
    for name in ["strategy", "value"].into_iter().filter(|name| !value[*name].is_null()) {
        request[name] = value[name].clone();
    }
    planned(context, &context.client.submit(&path, &request).await?)
}

/// What a change waits for instead of a time.
fn trigger(args: &ScheduleArgs) -> Result<Option<Trigger>, Failure> {
    let for_s = args.lasting.map_or(60, |time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX));
    let least = args.least.unwrap_or(50);
    if let Some(service) = args.when_rolled_back.clone() {
        return Ok(Some(Trigger::RolledBack { service }));
    }
    if let Some(text) = &args.when_errors {
        let (service, percent) = bound(text, "shop=5%")?;
        let above = percent / 100.0;
        return Ok(Some(Trigger::Errors { service, above, for_s, least }));
    }
    if let Some(text) = &args.when_burn {
        let (service, rate) = bound(text, "shop=14.4")?;
        let objective = args.objective.unwrap_or(99.9) / 100.0;
        return Ok(Some(Trigger::Burn { service, objective, rate, for_s, least }));
    }
    Ok(args.when_breaker.clone().map(|name| Trigger::Breaker { name }))
}

/// A service and a number.
fn bound(text: &str, example: &str) -> Result<(String, f64), Failure> {
    let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let number = |text: &str| text.trim_end_matches('%').parse().ok();
    parts.and_then(|(name, text)| Some((name.to_owned(), number(text)?))).ok_or_else(|| {
        Failure::usage("usage", format!("`{text}` is no service with its bound"))
            .hint(format!("write it as `{example}`"))
    })
}

fn planned(context: &Context<'_>, document: &Document) -> Result<Exit, Failure> {
    if let Some(exit) = people::waits(context, document)? {
        return Ok(exit);
    }
    if context.printer.is_json() {
        context.printer.pass(document);
        return Ok(Exit::Reached);
    }
    for line in schedule_lines(&document.read()?, &context.frame()) {
        context.printer.data(&line);
    }
    Ok(Exit::Reached)
}

fn schedule_lines(schedule: &FlagSchedule, _: &Frame) -> Vec<Line> {
    if schedule.due.is_empty() {
        return vec![Line::toned(Tone::Dim, "no change is to come")];
    }
    let line = |due: &serin_server::api::view::Due| {
        let wish = serde_json::to_string(&due.wish).unwrap_or_default();
        let time = match &due.trigger {
            None => when(due.at),
            Some(trigger) => trigger.words(),
        };
        let fired = due.fired.map(|at| format!("; acted {}, again after it was calm", when(at)));
        let agreed = due.approved.join(", ");
        let agreed = if agreed.is_empty() { agreed } else { format!(", approved by {agreed}") };
        let text = format!("  {wish}, by {}{agreed}{}", due.by, fired.unwrap_or_default());
        Line::toned(Tone::Bold, time).text(text)
    };
    schedule.due.iter().map(line).collect()
}

/// `serin flag token`.
pub async fn token(context: &Context<'_>, args: TokenArgs) -> Result<Exit, Failure> {
    let path = "/api/v1/flag-tokens";
    let document = match (&args.create, &args.revoke) {
        (Some(name), _) => {
            let kind = if args.frontend { "frontend" } else { "backend" };
            let asking = asking(args.why.reason);
            let request =
                json!({ "actor": asking.actor, "name": name, "set": args.only, "kind": kind });
            context.client.submit(path, &request).await?
        }
        (_, Some(name)) => {
            let path = format!("{path}/{}", escaped(name));
            context.client.send(Method::DELETE, &path, &json!({}), None).await?
        }
        _ => context.client.document(path).await?,
    };
    if context.printer.is_json() {
        context.printer.pass(&document);
        return Ok(Exit::Reached);
    }
    let found: FlagTokens = document.read()?;
    if let Some(secret) = &found.secret {
        context.printer.data_text(secret);
        context.printer.note(&Line::plain("this is shown once; keep it where your app finds it"));
        return Ok(Exit::Reached);
    }
    for token in &found.tokens {
        let set = token.set.as_deref().unwrap_or("every set");
        let text = format!("  {set}, made {} by {}", when(token.at), token.by);
        context.printer.data(&Line::toned(Tone::Bold, &token.name).text(text));
    }
    if found.tokens.is_empty() {
        let text = "there is none: everybody who reaches the address may ask";
        context.printer.data(&Line::toned(Tone::Dim, text));
    }
    Ok(Exit::Reached)
}
