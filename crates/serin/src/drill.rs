//! `serin drill`: the way back, rehearsed on a copy of a service beside it.

mod app;
mod load;

pub use app::main as app_main;

use crate::cli::DrillArgs;
use crate::context::{Context, path_of};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::{Line, Tone};
use crate::render;
use crate::who::actor;
use load::Load;
use serin_core::{Millis, Outcome, Recovery, RolloutRecord, Timestamp, WayBack};
use serin_server::api::view::{
    Applied, DrillRecord, Drills, RolloutStatus, RolloutView, Runbook, ServiceView, VerbRequest,
};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

const PACE: Duration = Duration::from_millis(100);
/// Requests after the way back that say whether it worked.
const AFTER: u64 = 200;
/// Longest wait for the copy to be gone.
const LEAVING: Duration = Duration::from_secs(60);
/// Share of requests after the way back that may fail.
const STRAY: f64 = 0.01;

/// The copy, and what it is a copy of.
struct Drill<'c> {
    context: &'c Context<'c>,
    service: String,
    copy: String,
    target: Millis,
}

/// `serin drill`.
pub async fn drill(context: &Context<'_>, args: DrillArgs) -> Result<Exit, Failure> {
    let service = context.service(args.service).await?;
    let facts: Runbook = context.client.get(&path_of(&service, "/runbook")).await?;
    // From here on nothing ends it before the copy is gone.
    let mut interrupt = signals(SignalKind::interrupt())?;
    let mut terminate = signals(SignalKind::terminate())?;
    let started = start(context, &service, false).await?;
    let target = Millis(u64::try_from(args.target.as_millis()).unwrap_or(u64::MAX));
    let drill = Drill { context, service, copy: started.0.clone(), target };
    let ended = tokio::select! {
        ended = timeout(args.timeout, drill.rehearse(&facts, started.1)) => Some(ended),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    drill.leave().await;
    match ended {
        Some(Ok(rehearsed)) => drill.conclude(rehearsed?).await,
        Some(Err(_)) => Err(drill.too_late(args.timeout)),
        None => Ok(Exit::Detached),
    }
}

fn signals(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::internal(format!("cannot listen to signals: {error}")))
}

/// Starts the copy, or its bad version: its name and the number of the rollout.
async fn start(context: &Context<'_>, service: &str, bad: bool) -> Result<(String, u64), Failure> {
    let request = VerbRequest { bad, actor: Some(actor()), ..VerbRequest::default() };
    let applied: Applied = context.client.post(&path_of(service, ":drill"), &request).await?;
    let copy = applied.services.into_iter().next();
    let started = copy.and_then(|copy| Some((copy.service.to_string(), copy.rollout?)));
    started.ok_or_else(|| Failure::internal("the server started no copy"))
}

impl Drill<'_> {
    async fn rehearse(&self, facts: &Runbook, first: u64) -> Result<DrillRecord, Failure> {
        let version = facts.running.as_ref().map_or_else(String::new, |id| id.version.to_string());
        self.say(&format!("a copy of {} with {version} starts as {}", self.service, self.copy));
        let up = self.ended(first).await?;
        if up.outcome != Outcome::Promoted {
            return Err(self.not_up(&up));
        }
        let view = self.context.view(&self.copy).await?;
        let path = facts.ready_path.as_deref().unwrap_or("/");
        let load = view.listen.map(|listen| Load::start(listen, path));
        if let Some(load) = &load {
            self.answered(load, Timestamp(0), 1).await;
            self.say("users are at work on it; a version that fails every request is deployed");
        } else {
            self.say("it has no users; the way back will be ordered half way");
        }
        let (_, rollout) = start(self.context, &self.service, true).await?;
        if load.is_none() {
            self.order_back(rollout).await?;
        }
        let record = self.ended(rollout).await?;
        self.say("it is gone; looking whether users are well");
        if let Some(load) = &load {
            self.answered(load, record.ended_at, AFTER).await;
        }
        let view = self.context.view(&self.copy).await?;
        Ok(self.measured(&version, &record, &view, load.as_ref()))
    }

    /// Waits until users sent `wanted` requests since `since`.
    async fn answered(&self, load: &Load, since: Timestamp, wanted: u64) {
        while load.since(since).0 < wanted {
            sleep(PACE).await;
        }
    }

    /// Half way, a person says no.
    async fn order_back(&self, rollout: u64) -> Result<(), Failure> {
        let here = |running: &RolloutView| running.step >= 2 && running.phase == "stepping";
        loop {
            let status = self.rollout(rollout).await?;
            if status.record.is_some() || status.running.as_ref().is_some_and(here) {
                break;
            }
            sleep(PACE).await;
        }
        let request = VerbRequest { actor: Some(actor()), ..VerbRequest::default() };
        let path = path_of(&self.copy, ":abort");
        self.context.client.post::<ServiceView>(&path, &request).await.map(|_| ())
    }

    async fn rollout(&self, id: u64) -> Result<RolloutStatus, Failure> {
        self.context.client.get(&path_of(&self.copy, &format!("/rollouts/{id}"))).await
    }

    /// Waits for the end of a rollout of the copy.
    async fn ended(&self, rollout: u64) -> Result<RolloutRecord, Failure> {
        loop {
            if let Some(record) = self.rollout(rollout).await?.record {
                return Ok(record);
            }
            sleep(PACE).await;
        }
    }

    fn measured(
        &self,
        version: &str,
        record: &RolloutRecord,
        view: &ServiceView,
        load: Option<&Load>,
    ) -> DrillRecord {
        let bad = view.traffic.iter().find(|arm| arm.revision == record.to);
        let first = bad.and_then(|arm| arm.first_request_at);
        let back = record.back.as_ref();
        let decided = back.map(|back| back.began_at).or(record.verdict_at);
        let decided = decided.unwrap_or(record.ended_at);
        let silent = bad.and_then(|arm| arm.last_request_at).map(|last| last.since(decided));
        let counts = |since| load.map_or((0, 0), |load| load.since(since));
        let drill = DrillRecord {
            at: render::now(),
            by: actor(),
            version: version.into(),
            judged: load.is_some(),
            detected: first.zip(record.verdict_at).map(|(first, verdict)| verdict.since(first)),
            routed: back.and_then(|back| Some(back.routed_at?.since(back.began_at))),
            silent,
            recovered: back.and_then(recovered),
            requests: counts(Timestamp(0)),
            after: counts(record.ended_at),
            target: self.target,
            passed: false,
        };
        DrillRecord { passed: self.is_passed(&drill, record), ..drill }
    }

    fn is_passed(&self, drill: &DrillRecord, record: &RolloutRecord) -> bool {
        let wanted = if drill.judged { Outcome::RolledBack } else { Outcome::Aborted };
        let in_time = |time: Option<Millis>| time.is_none_or(|time| time <= self.target);
        let (requests, failed) = drill.after;
        let found = record.cause.as_ref().is_none_or(|cause| cause.code != "inconclusive");
        record.outcome == wanted
            && found
            && !render::is_unwell(record)
            && [drill.routed, drill.silent].into_iter().all(in_time)
            && failed as f64 <= requests as f64 * STRAY
    }

    /// Takes the copy away; what cannot be taken away is told.
    async fn leave(&self) {
        let request = VerbRequest { actor: Some(actor()), ..VerbRequest::default() };
        let asked = self.context.client.submit(&path_of(&self.copy, ":remove"), &request).await;
        let gone = async {
            while self.context.view(&self.copy).await.is_ok() {
                sleep(PACE).await;
            }
        };
        if asked.is_err() || timeout(LEAVING, gone).await.is_err() {
            let text = format!("{0} is still there: `serin remove {0} --yes`", self.copy);
            self.context.printer.alarm(&Line::toned(Tone::Warn, "warning").text(": ").text(text));
        }
    }

    /// Writes it down and says how it went.
    async fn conclude(&self, drill: DrillRecord) -> Result<Exit, Failure> {
        let path = path_of(&self.service, "/drills");
        self.context.client.post::<Drills>(&path, &drill).await?;
        if self.context.printer.is_json() {
            self.context.printer.document(&render::DrillDocument::of(&self.service, &drill));
        } else {
            for line in render::drill(&self.service, &drill, &self.context.frame()) {
                self.context.printer.data(&line);
            }
        }
        Ok(if drill.passed { Exit::Reached } else { Exit::Internal })
    }

    fn say(&self, text: &str) {
        self.context.printer.note(&Line::toned(Tone::Dim, "drill").text(": ").text(text));
    }

    fn not_up(&self, record: &RolloutRecord) -> Failure {
        let why = record.cause.as_ref().map_or("it ended", |cause| cause.text.as_str());
        let message = format!("the copy of {} did not come up: {why}", self.service);
        Failure::new(Exit::Internal, "drill", message)
            .hint("its programs may not bear a second copy beside them on this machine")
    }

    fn too_late(&self, after: Duration) -> Failure {
        let time = render::words::span(Millis(after.as_millis() as u64));
        let message = format!("the drill of {} was not over after {time}", self.service);
        Failure::new(Exit::TimedOut, "timeout", message).hint("give it more with --timeout")
    }
}

/// From the decision until errors were back.
fn recovered(back: &WayBack) -> Option<Millis> {
    match back.recovered {
        Some(Recovery::Recovered { at, .. }) => Some(at.since(back.began_at)),
        _ => None,
    }
}
