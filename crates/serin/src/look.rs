//! Verbs that only look: status, explain, history, logs, plan.

use crate::cli::{LogsArgs, PlanArgs};
use crate::context::{Context, path_of, query};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Channel, Line, Tone};
use crate::render::{self, Frame};
use crate::ship;
use serde::de::DeserializeOwned;
use serin_server::api::view::{
    Explanation, History, InstanceLog, Logs, PlanPreview, Plans, ServiceView, Services,
};
use std::path::Path;

/// `serin status`.
pub async fn status(context: &Context<'_>, service: Option<String>) -> Result<Exit, Failure> {
    let Some(service) = service else {
        let all = "/api/v1/services".to_owned();
        return show(context, all, |all: &Services, frame| {
            let flags = all.flags_trouble.iter();
            let flags = flags.map(|why| Line::toned(Tone::Warn, "flags").text(format!(": {why}")));
            table(&all.services, frame).into_iter().chain(flags).collect()
        })
        .await;
    };
    let path = path_of(&service, "");
    show(context, path, |view: &ServiceView, frame| render::detail(view, frame)).await
}

fn table(services: &[ServiceView], frame: &Frame) -> Vec<Line> {
    if services.is_empty() {
        let text = "there is no service yet: make one with `serin apply -f serin.yaml`";
        return vec![Line::toned(Tone::Dim, text)];
    }
    render::status(services, frame)
}

/// `serin explain`.
pub async fn explain(context: &Context<'_>, service: Option<String>) -> Result<Exit, Failure> {
    let service = context.moving_service(service).await?;
    let path = path_of(&service, "/explain");
    show(context, path, |found: &Explanation, frame| render::explain(found, frame)).await
}

/// `serin history`.
pub async fn history(context: &Context<'_>, service: Option<String>) -> Result<Exit, Failure> {
    let service = context.service(service).await?;
    let path = path_of(&service, "/history");
    show(context, path, |found: &History, frame| render::history(found, frame)).await
}

/// `serin plan`.
pub async fn plan(context: &Context<'_>, args: PlanArgs) -> Result<Exit, Failure> {
    if let Some(path) = &args.file {
        return plan_file(context, path, args.revision, args.full).await;
    }
    let service = context.service(args.service).await?;
    let path = path_of(&service, "/plan") + &query(&[("revision", args.revision)]);
    show(context, path, |found: &PlanPreview, frame| render::plan(found, args.full, frame)).await
}

/// `serin plan -f`: what an apply would do.
async fn plan_file(
    context: &Context<'_>,
    path: &Path,
    revision: Option<String>,
    full: bool,
) -> Result<Exit, Failure> {
    let request = ship::request(context, path, revision)?;
    let document = context.client.submit("/api/v1/plan", &request).await?;
    if context.printer.is_json() {
        context.printer.pass(&document);
        return Ok(Exit::Reached);
    }
    for plan in &document.read::<Plans>()?.plans {
        for line in render::plan(plan, full, &context.frame()) {
            context.printer.data(&line);
        }
    }
    Ok(Exit::Reached)
}

/// `serin logs`.
pub async fn logs(context: &Context<'_>, args: LogsArgs) -> Result<Exit, Failure> {
    let service = context.service(args.service).await?;
    let query = query(&[("revision", args.revision), ("lines", Some(args.lines.to_string()))]);
    let path = path_of(&service, "/logs") + &query;
    if context.printer.is_json() {
        return show(context, path, |_: &Logs, _| Vec::new()).await;
    }
    let found: Logs = context.client.get(&path).await?;
    if found.instances.iter().all(|log| log.lines.is_empty()) {
        context.printer.note(&Line::plain("no instance has written anything"));
    }
    let named = found.instances.len() > 1;
    found.instances.iter().for_each(|log| say_log(context, log, named));
    Ok(Exit::Reached)
}

/// On a terminal, nothing an app wrote may move the cursor; a pipe gets its bytes.
fn say_log(context: &Context<'_>, log: &InstanceLog, named: bool) {
    let rule = context.printer.glyphs().rule;
    for text in &log.lines {
        let name = if named { format!("{} {rule} ", log.instance) } else { String::new() };
        if Channel::Out.is_terminal() {
            context.printer.data(&Line::toned(Tone::Dim, name).text(text));
        } else {
            context.printer.data_text(&format!("{name}{text}\n"));
        }
    }
}

/// Gets a document and shows it: as it came, or as lines.
pub async fn show<T: DeserializeOwned>(
    context: &Context<'_>,
    path: String,
    render: impl Fn(&T, &Frame) -> Vec<Line>,
) -> Result<Exit, Failure> {
    if context.printer.is_json() {
        context.printer.pass(&context.client.document(&path).await?);
        return Ok(Exit::Reached);
    }
    let document: T = context.client.get(&path).await?;
    for line in render(&document, &context.frame()) {
        context.printer.data(&line);
    }
    Ok(Exit::Reached)
}
