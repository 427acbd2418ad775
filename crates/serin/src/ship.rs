//! Verbs that change something: apply, deploy, promote, pause, resume, abort, rollback, remove.

use crate::cli::{
    AbortArgs, ActArgs, ApplyArgs, DeployArgs, Goal, PromoteArgs, RollbackArgs, Stay, WaitArgs,
};
use crate::client::Document;
use crate::context::{Context, path_of};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::file::File;
use crate::follow::{Wish, follow};
use crate::printer::{Channel, Line, Tone};
use crate::render;
use crate::size;
use crate::who::actor;
use serin_core::{RevisionId, RolloutKind, Skips};
use serin_server::api::view::{
    Applied, AppliedService, ApplyRequest, RolloutView, Runbook, ServiceView, VerbRequest,
};
use std::path::Path;
use std::time::Duration;

mod lifecycle;
mod queue;
mod remove;

pub use lifecycle::{approve, mark, release, retry};
pub use remove::remove;

/// `serin apply`.
pub async fn apply(context: &Context<'_>, args: ApplyArgs) -> Result<Exit, Failure> {
    let request = ApplyRequest {
        reason: args.why.reason,
        dry_run: args.dry_run,
        allow_bad: args.allow_bad,
        now: args.now,
        skips: args.skip.skips(),
        ..request(context, &args.file, args.revision)?
    };
    let document = context.client.submit("/api/v1/apply", &request).await?;
    settle(context, &document, args.dry_run, args.stay).await
}

/// A file as the server takes it. What is wrong with the file itself is said without a server.
pub fn request(
    context: &Context<'_>,
    path: &Path,
    revision: Option<String>,
) -> Result<ApplyRequest, Failure> {
    let file = File::read(path)?;
    file.load(context.printer.has_color(Channel::Err))?;
    Ok(ApplyRequest {
        source: file.name,
        text: file.text,
        base_dir: file.base_dir.to_string_lossy().into_owned(),
        revision,
        reason: None,
        actor: Some(actor()),
        dry_run: false,
        allow_bad: false,
        now: false,
        skips: Skips::Nothing,
    })
}

/// `serin deploy`.
pub async fn deploy(context: &Context<'_>, args: DeployArgs) -> Result<Exit, Failure> {
    let service = context.service(args.service).await?;
    let request = VerbRequest {
        revision: Some(args.revision),
        allow_bad: args.allow_bad,
        now: args.now,
        skips: args.skip.skips(),
        dry_run: args.dry_run,
        reason: args.why.reason,
        ..asked()
    };
    let document = context.client.submit(&verb_path(&service, "deploy"), &request).await?;
    settle(context, &document, args.dry_run, args.stay).await
}

/// Says what an apply did, and stays with the rollouts it started.
pub async fn settle(
    context: &Context<'_>,
    document: &Document,
    dry_run: bool,
    stay: Stay,
) -> Result<Exit, Failure> {
    let applied: Applied = document.read()?;
    if context.printer.is_json() {
        context.printer.pass(document);
    }
    let mut ways = Vec::new();
    for service in &applied.services {
        let way = way(context, service, dry_run).await;
        if !context.printer.is_json() {
            say_applied(context, service, way.as_ref(), dry_run);
            say_size(context, service).await;
        }
        ways.extend(way.map(|way| (service.service.to_string(), way)));
    }
    let mut exit = Exit::Reached;
    for (name, way) in ways.into_iter().filter(|_| !dry_run && !stay.detach) {
        let (rollout, goal) = match way {
            Way::To(rollout) => (rollout, Goal::Promoted),
            Way::Back { rollout, .. } => (rollout, Goal::Stopped),
            Way::Queued(revision) => {
                (queue::turn(context, &name, &revision, stay.timeout).await?, Goal::Promoted)
            }
        };
        let end = stay_with(context, name, rollout, goal, stay.timeout).await?;
        exit = exit.worse(end);
        if end == Exit::Detached {
            break;
        }
    }
    Ok(exit)
}

/// The rollout through which a service gets to the revision that was asked for.
enum Way {
    /// Its own.
    To(u64),
    /// One of another revision that makes way: the asked one is stable.
    Back { rollout: u64, candidate: String },
    /// One that has not begun: it waits for another to end.
    Queued(RevisionId),
}

async fn way(context: &Context<'_>, service: &AppliedService, dry_run: bool) -> Option<Way> {
    if let Some(rollout) = service.rollout {
        return Some(Way::To(rollout));
    }
    if matches!(service.action.as_str(), "queued" | "boarded") {
        return Some(Way::Queued(service.revision.clone()));
    }
    // Only words depend on it: without an answer it is as if nothing were under way.
    let view = context.view(service.service.as_str()).await.ok()?;
    let of_other = |rollout: &RolloutView| {
        rollout.candidate != service.revision
            && rollout.baseline.as_ref() == Some(&service.revision)
            && (dry_run || rollout.phase == "reverting")
    };
    view.rollout.filter(of_other).map(|rollout| Way::Back {
        rollout: rollout.id,
        candidate: rollout.candidate.version.as_str().to_owned(),
    })
}

fn say_applied(context: &Context<'_>, service: &AppliedService, way: Option<&Way>, dry_run: bool) {
    let what = match way {
        Some(Way::Back { candidate, .. }) => made_way(service, candidate, dry_run),
        _ => what_happened(service, dry_run),
    };
    let line = Line::toned(Tone::Bold, service.service.as_str()).text(format!(": {what}"));
    context.printer.data(&line);
    for warning in &service.warnings {
        context.printer.alarm(&Line::toned(Tone::Warn, "warning").text(": ").text(warning));
    }
}

/// How much goes with a new version, where git knows.
async fn say_size(context: &Context<'_>, service: &AppliedService) {
    let new = matches!(service.action.as_str(), "rollout-started" | "queued" | "boarded");
    if !new {
        return;
    }
    let Ok(view) = context.view(service.service.as_str()).await else { return };
    let Some(stable) = view.stable else { return };
    let (old, new) = (stable.version.name(), service.revision.version.name());
    if let Some(size) = size::between(old, new).await {
        let line = Line::toned(Tone::Dim, format!("  change since {old}: {size}"));
        context.printer.data(&line);
    }
}

fn made_way(service: &AppliedService, candidate: &str, dry_run: bool) -> String {
    let verb = if dry_run { "would be" } else { "was" };
    let revision = service.revision.version.as_str();
    format!("{revision} is what runs; the rollout of {candidate} {verb} stopped")
}

fn what_happened(service: &AppliedService, dry_run: bool) -> String {
    let revision = service.revision.version.as_str();
    match (service.action.as_str(), service.rollout) {
        ("created", _) if dry_run => format!("would be created with {revision}"),
        ("created", _) => format!("created with {revision}"),
        ("rollout-started", _) if dry_run => format!("a rollout to {revision} would start"),
        ("rollout-started", Some(id)) => format!("rollout {id} to {revision} started"),
        ("queued", _) if dry_run => format!("{revision} would wait for the rollout under way"),
        ("queued", _) => format!("{revision} waits for the rollout under way"),
        ("boarded", _) => {
            let at = service.departs.map_or_else(|| "next".into(), render::words::moment);
            let verb = if dry_run { "would wait" } else { "waits" };
            format!("{revision} {verb} for the train that leaves at {at}")
        }
        ("configured", _) if dry_run => "configuration would change, no new revision".into(),
        ("configured", _) => "configuration changed, no new revision".into(),
        ("unchanged", Some(id)) => format!("rollout {id} to {revision} is under way already"),
        ("unchanged", None) => format!("unchanged, {revision} runs already"),
        (other, _) => format!("{other} {revision}"),
    }
}

/// `serin promote`: what is skipped is listed before and after.
pub async fn promote(context: &Context<'_>, args: PromoteArgs) -> Result<Exit, Failure> {
    let service = context.moving_service(args.service).await?;
    let before = context.view(&service).await?;
    for step in render::skips(&before, args.full) {
        context.printer.note(&step);
    }
    let request =
        VerbRequest { full: args.full, dry_run: args.dry_run, reason: args.why.reason, ..asked() };
    let after = submitted(context, &service, "promote", &request).await?;
    if !context.printer.is_json() {
        say_state(context, &after);
        for line in render::skipped(&before, &after) {
            context.printer.data(&line);
        }
    }
    Ok(Exit::Reached)
}

/// `serin pause` and `serin resume`.
pub async fn hold(context: &Context<'_>, verb: &str, args: ActArgs) -> Result<Exit, Failure> {
    let service = context.moving_service(args.service).await?;
    act(context, &service, verb, &VerbRequest { reason: args.why.reason, ..asked() }).await
}

async fn act(
    context: &Context<'_>,
    service: &str,
    verb: &str,
    request: &VerbRequest,
) -> Result<Exit, Failure> {
    let view = submitted(context, service, verb, request).await?;
    if !context.printer.is_json() {
        say_state(context, &view);
    }
    Ok(Exit::Reached)
}

/// Has `verb` done; programs get the answer as it came.
async fn submitted(
    context: &Context<'_>,
    service: &str,
    verb: &str,
    request: &VerbRequest,
) -> Result<ServiceView, Failure> {
    let document = context.client.submit(&verb_path(service, verb), request).await?;
    if context.printer.is_json() {
        context.printer.pass(&document);
    }
    document.read::<ServiceView>()
}

/// `shop: paused at step 2 of 3; waiting on ...`.
fn say_state(context: &Context<'_>, view: &ServiceView) {
    let service = view.name.as_str();
    let line = Line::toned(Tone::Bold, service).text(format!(": {}", view.state));
    let step = view.rollout.as_ref().filter(|r| r.steps > 0).map(|rollout| {
        format!(" at step {} of {}", rollout.step.min(rollout.steps), rollout.steps)
    });
    let waits = format!("; waiting on {}", view.waiting_for);
    context.printer.data(&line.text(step.unwrap_or_default()).text(waits));
}

/// `serin abort`.
pub async fn abort(context: &Context<'_>, args: AbortArgs) -> Result<Exit, Failure> {
    let service = context.moving_service(args.service).await?;
    let request = VerbRequest { reason: args.why.reason, ..asked() };
    go_back(context, service, "abort", &request, args.stay).await
}

/// `serin rollback`.
pub async fn rollback(context: &Context<'_>, args: RollbackArgs) -> Result<Exit, Failure> {
    let service = context.service(args.service).await?;
    if !context.printer.is_json() {
        // Facts for whoever watches; the way back does not wait for them.
        let facts = context.client.get::<Runbook>(&path_of(&service, "/runbook")).await;
        let lines = facts.map(|facts| render::heading(&facts, args.to.as_deref()));
        lines.iter().flatten().for_each(|line| context.printer.note(line));
    }
    let request = VerbRequest { revision: args.to, reason: args.why.reason, ..asked() };
    go_back(context, service, "rollback", &request, args.stay).await
}

async fn go_back(
    context: &Context<'_>,
    service: String,
    verb: &str,
    request: &VerbRequest,
    stay: Stay,
) -> Result<Exit, Failure> {
    let view = submitted(context, &service, verb, request).await?;
    match view.rollout {
        Some(rollout) if !stay.detach => {
            stay_with(context, service, rollout.id, goal_back(&rollout), stay.timeout).await
        }
        _ => {
            let text = format!("{service}: {}; waiting on {}", view.state, view.waiting_for);
            context.printer.note(&Line::plain(text));
            Ok(Exit::Reached)
        }
    }
}

/// A rollout on trial is stopped to go back; otherwise the way back is a rollout of its own.
fn goal_back(rollout: &RolloutView) -> Goal {
    if rollout.kind == RolloutKind::Rollback && rollout.phase != "reverting" {
        Goal::Promoted
    } else {
        Goal::Stopped
    }
}

/// `serin wait`.
pub async fn wait(context: &Context<'_>, args: WaitArgs) -> Result<Exit, Failure> {
    let service = context.moving_service(args.service).await?;
    let view = context.view(&service).await?;
    let id = view.rollout.map(|rollout| rollout.id).or(view.last.map(|record| record.id));
    let Some(id) = id else {
        let message = format!("{service} never had a rollout");
        return Err(Failure::usage("no-rollout", message).hint("start one with `serin deploy`"));
    };
    stay_with(context, service, id, args.goal, args.timeout).await
}

async fn stay_with(
    context: &Context<'_>,
    service: String,
    rollout: u64,
    goal: Goal,
    timeout: Duration,
) -> Result<Exit, Failure> {
    let wish = Wish { service, rollout, goal, timeout: Some(timeout), channel: Channel::Err };
    follow(context, wish).await
}

/// `serin watch`: the story itself is what was asked for.
pub async fn watch(context: &Context<'_>, service: Option<String>) -> Result<Exit, Failure> {
    let service = context.moving_service(service).await?;
    let view = context.view(&service).await?;
    if let Some(rollout) = &view.rollout {
        let (rollout, channel) = (rollout.id, Channel::Out);
        let wish = Wish { service, rollout, goal: Goal::Promoted, timeout: None, channel };
        return follow(context, wish).await;
    }
    if context.printer.is_json() {
        context.printer.document(&view);
    } else {
        for line in render::detail(&view, &context.frame()) {
            context.printer.data(&line);
        }
        context.printer.note(&Line::plain("no rollout is under way"));
    }
    Ok(Exit::Reached)
}

fn verb_path(service: &str, verb: &str) -> String {
    path_of(service, &format!(":{verb}"))
}

/// A request that says who asks.
fn asked() -> VerbRequest {
    VerbRequest { actor: Some(actor()), ..VerbRequest::default() }
}
