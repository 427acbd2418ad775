//! What a deploy would do, before anybody asks for it.

use super::error::ApiError;
use super::read::{ask, named, view};
use super::view::{AdviceView, ApplyRequest, PlanPreview, Plans, ServiceView, schema_of};
use crate::control::{Core, Handle, now};
use crate::executor::Error;
use crate::foresee::foresee;
use crate::{apply, train, views};
use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serin_core::{
    Actor, Ask, DeployAsk, Event, Outlook, RevisionId, RolloutKind, Service, ServiceName,
    ServiceSpec, Timestamp, clients_left_out, outlook,
};
use serin_stats::planner;

/// Error rate of stable assumed when saying what a plan would catch.
const USUAL_ERROR_RATE: f64 = 0.005;
/// Rollouts that are searched for measured times.
const SEARCHED: u32 = 200;
/// Stands for a version that nobody has named yet.
const UNNAMED: &str = "plan.unnamed";
/// Measured ways back that are told.
const TOLD: usize = 5;

#[derive(Deserialize)]
pub(super) struct PlanQuery {
    revision: Option<String>,
}

/// What a deploy would do. Without a revision: what any new one would go through.
pub(super) async fn plan(
    State(handle): State<Handle>,
    Path(name): Path<String>,
    Query(query): Query<PlanQuery>,
) -> Result<Json<PlanPreview>, ApiError> {
    let name = named(&name)?;
    let spec = apply::spec_of(&handle, &name).await?;
    let version = query.revision.as_deref().map(apply::asked).transpose();
    let version = version.map_err(ApiError::invalid)?;
    let is_named = version.is_some();
    // Whatever it will be called: only the name of it is shown.
    let version = version.map_or_else(|| UNNAMED.parse(), Ok);
    let version = version.map_err(|why: serin_core::IdError| ApiError::invalid(why.to_string()))?;
    let to = apply::revision_id(&spec, version).await;
    let to = to.map_err(|why| ApiError::invalid(why.to_string()))?;
    let traffic = traffic(&handle, &name).await;
    let answer = ask(&handle, name, move |core, service| {
        let (spec, to) = (service.spec.clone(), service.called(to));
        preview(core, service.clone(), &Wish { spec, to, is_named, traffic })
    });
    Ok(Json(answer.await?))
}

/// `POST /api/v1/plan`: what an apply of a file would do.
pub(super) async fn plan_file(
    State(handle): State<Handle>,
    Json(request): Json<ApplyRequest>,
) -> Result<Json<Plans>, ApiError> {
    let mut plans = Vec::new();
    for (spec, to) in apply::wishes(&handle, &request).await? {
        let traffic = traffic(&handle, &spec.name).await;
        let answer = handle.ask(move |core| {
            let known = core.executor.service(&spec.name).cloned();
            let service = known.unwrap_or_else(|| Service::new(spec.clone()));
            let to = service.called(to);
            preview(core, service, &Wish { spec, to, is_named: true, traffic })
        });
        plans.push(answer.await.ok_or_else(ApiError::ending)??);
    }
    Ok(Json(Plans { schema: schema_of("plans"), plans }))
}

/// What users of a service do now, where it was measured.
#[derive(Debug, Clone, Copy, Default)]
struct Traffic {
    /// Requests a second.
    rps: Option<f64>,
    /// Share of stable's requests that failed.
    errors: Option<f64>,
}

async fn traffic(handle: &Handle, name: &ServiceName) -> Traffic {
    let Ok(view) = view(handle, name.clone()).await else { return Traffic::default() };
    Traffic { rps: requests_per_second(&view), errors: error_rate(&view) }
}

/// A deploy that nobody has asked for.
struct Wish {
    spec: ServiceSpec,
    to: RevisionId,
    /// A version was named; otherwise it stands for any.
    is_named: bool,
    traffic: Traffic,
}

fn preview(core: &Core, mut service: Service, wish: &Wish) -> Result<PlanPreview, ApiError> {
    let Wish { spec, to, is_named, traffic } = wish;
    let would = would(core, &service, wish);
    let kind = match would {
        Would::Start(kind) => kind,
        _ if service.stable.is_some() => RolloutKind::Release,
        _ => RolloutKind::First,
    };
    let way_back = views::way_back_from(&service, spec, to);
    let left_out = clients_left_out(&service, spec, to);
    service.spec.clone_from(spec);
    let mut foreseen = outlook(&service, &spec.schedule, kind);
    if let Would::Refuse(why) = &would {
        foreseen.notes.insert(0, format!("a deploy would be refused: {why}"));
    }
    foreseen.notes.extend(left_out);
    if kind == RolloutKind::FastTrack {
        foreseen = at_once(foreseen);
    }
    let records = core.executor.store().records(&service.name, SEARCHED)?;
    Ok(PlanPreview {
        schema: schema_of("plan"),
        service: service.name.clone(),
        from: service.stable.clone(),
        to: if *is_named { to.version.to_string() } else { "a new revision".into() },
        action: would.word().into(),
        departs: if let Would::Board(at) = would { Some(at) } else { None },
        takes: foresee(spec, &foreseen, &records),
        outlook: foreseen,
        requests_per_second: traffic.rps,
        requests_to_catch: requests_to_catch(&service),
        way_back: Some(way_back),
        measured: views::measured(&records).take(TOLD).collect(),
        strategy: spec.schedule.strategy.clone(),
        written: serin_spec::written_out(&spec.schedule),
        advice: advice(spec, *traffic),
    })
}

/// Without anything measured there is nothing to say.
fn advice(spec: &ServiceSpec, traffic: Traffic) -> Option<AdviceView> {
    let found = serin_spec::advice(spec, traffic.rps?, traffic.errors?)?;
    Some(AdviceView { strategy: found.strategy, sentence: found.sentence })
}

/// What a deploy would lead to.
enum Would {
    Start(RolloutKind),
    Wait,
    /// With the train that leaves then.
    Board(Timestamp),
    Refuse(String),
    Nothing,
}

impl Would {
    fn word(&self) -> &'static str {
        match self {
            Self::Start(kind) => kind.as_str(),
            Self::Wait => "queued",
            Self::Board(_) => "boarded",
            Self::Refuse(_) => "refused",
            Self::Nothing => "nothing",
        }
    }
}

/// Asks the engine itself; nothing is changed.
fn would(core: &Core, service: &Service, wish: &Wish) -> Would {
    let to = &wish.to;
    let departure = train::departure(&wish.spec, now(), false);
    let (spec, revision) = (wish.spec.clone(), to.clone());
    let ask = DeployAsk {
        spec,
        revision,
        allow_bad: false,
        departure,
        skips: serin_core::Skips::Nothing,
    };
    let ask = Ask::Deploy(Box::new(ask));
    let event = Event::Asked { by: Actor("plan".into()), reason: None, ask };
    let next = match core.executor.preview(&service.name, &event, now()) {
        Err(Error::Refused(refusal)) => return Would::Refuse(refusal.message),
        Err(error) => return Would::Refuse(error.to_string()),
        Ok(transition) => transition.next,
    };
    let is_new = next.next_rollout != service.next_rollout;
    if let Some(boarded) = next.boarded.iter().find(|boarded| boarded.deploy.revision == *to) {
        return Would::Board(boarded.departs);
    }
    match &next.rollout {
        Some(rollout) if is_new && rollout.candidate == *to => Would::Start(rollout.kind),
        _ if next.queued.as_ref().is_some_and(|queued| queued.deploy.revision == *to) => {
            Would::Wait
        }
        // It makes way first and starts then.
        Some(_) if service.stable.as_ref() != Some(to) => Would::Start(RolloutKind::Release),
        _ => Would::Nothing,
    }
}

/// A revision that is ready and was good goes through no steps.
fn at_once(outlook: Outlook) -> Outlook {
    let skipped = outlook.steps.len();
    let note =
        format!("it was good and its instances are ready: {skipped} steps are not gone through");
    let notes = std::iter::once(note).chain(outlook.notes).collect();
    Outlook { steps: vec![], requests: None, notes, ..outlook }
}

/// Average over the time the present weights have held.
fn requests_per_second(view: &ServiceView) -> Option<f64> {
    let requests: u64 = view.traffic.iter().map(|arm| arm.requests).sum();
    let first = view.traffic.iter().filter_map(|arm| arm.first_request_at).min()?;
    let last = view.traffic.iter().filter_map(|arm| arm.last_request_at).max()?;
    let seconds = last.since(first).0 as f64 / 1000.0;
    (seconds >= 1.0).then(|| requests as f64 / seconds)
}

/// Share of stable's requests that failed since the data plane started.
fn error_rate(view: &ServiceView) -> Option<f64> {
    let stable = view.traffic.iter().find(|arm| arm.role == "stable" && arm.requests > 0)?;
    Some(stable.errors as f64 / stable.requests as f64)
}

fn requests_to_catch(service: &Service) -> Option<u64> {
    let schedule = &service.spec.schedule;
    let sticky = service.spec.traffic.affinity.is_some();
    let config = schedule.analysis.as_ref()?.judge_config(sticky).ok()?;
    let first = outlook(service, schedule, RolloutKind::Release);
    let share = f64::from(first.steps.first()?.weight.parts()) / 100_000.0;
    planner::requests_to_detect(&config, USUAL_ERROR_RATE, 2.0, share.clamp(0.001, 0.999))
}
