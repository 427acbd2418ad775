//! The way back: runbooks and rehearsals.

use super::error::ApiError;
use super::read::{ask, named};
use super::view::{DrillRecord, Drills, KnownRevision, Leftovers, Runbook, schema_of};
use crate::control::{Handle, now};
use crate::{drill, views};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serin_core::{ProbeKind, RolloutRecord, Service};

/// Rollouts that are searched for measured ways back.
const SEARCHED: u32 = 200;
/// Rows of each table in a runbook, at most.
const ROWS: usize = 20;

pub(super) async fn runbook(
    State(handle): State<Handle>,
    Path(name): Path<String>,
) -> Result<Json<Runbook>, ApiError> {
    let name = named(&name)?;
    let answer = ask(&handle, name.clone(), move |core, service| {
        let records = core.executor.store().records(&name, SEARCHED)?;
        let mut drills = drill::read(core.data(), &name).drills;
        drills.truncate(ROWS);
        Ok(written(service, &records, drills))
    });
    Ok(Json(answer.await?))
}

fn written(service: &Service, records: &[RolloutRecord], drills: Vec<DrillRecord>) -> Runbook {
    let spec = &service.spec;
    let ready_path = match &spec.run.readiness.kind {
        ProbeKind::HttpGet { path } => Some(path.clone()),
        ProbeKind::Tcp => None,
    };
    Runbook {
        schema: schema_of("runbook"),
        service: service.name.clone(),
        environment: spec.environment.clone(),
        at: now(),
        listen: spec.traffic.listen,
        ready_path,
        replicas: spec.replicas,
        state: service.state().into(),
        running: service.stable.clone(),
        candidate: service.rollout.as_ref().map(|rollout| rollout.candidate.clone()),
        last_good: service.rollback_target().cloned(),
        revisions: revisions(service),
        measured: views::measured(records).take(ROWS).collect(),
        drills,
    }
}

fn revisions(service: &Service) -> Vec<KnownRevision> {
    let known = service.revisions.iter().map(|(id, revision)| KnownRevision {
        revision: id.clone(),
        standing: revision.standing,
        created_at: revision.created_at,
        promoted_at: revision.promoted_at,
    });
    let mut known: Vec<_> = known.collect();
    known.sort_by_key(|one| std::cmp::Reverse((one.promoted_at, one.created_at)));
    known
}

pub(super) async fn drills(
    State(handle): State<Handle>,
    Path(name): Path<String>,
) -> Result<Json<Drills>, ApiError> {
    let name = named(&name)?;
    let answer = ask(&handle, name.clone(), move |core, _| Ok(drill::read(core.data(), &name)));
    Ok(Json(answer.await?))
}

/// Remembers a rehearsal.
pub(super) async fn drilled(
    State(handle): State<Handle>,
    Path(name): Path<String>,
    Json(drill): Json<DrillRecord>,
) -> Result<Json<Drills>, ApiError> {
    let name = named(&name)?;
    let answer = ask(&handle, name.clone(), move |core, _| {
        drill::remember(core.data(), &name, &drill).map_err(|error| {
            let title = format!("the drill could not be written down: {error}");
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "store", title)
                .hint("look for room in the data directory")
        })?;
        Ok(drill::read(core.data(), &name))
    });
    Ok(Json(answer.await?))
}

/// What runs and serves nobody, of all services.
pub(super) async fn leftovers(State(handle): State<Handle>) -> Result<Json<Leftovers>, ApiError> {
    let now = now();
    let all = handle.ask(move |core| {
        core.executor.services().flat_map(|service| views::left(service, now)).collect()
    });
    let leftovers = all.await.ok_or_else(ApiError::ending)?;
    Ok(Json(Leftovers { schema: schema_of("leftovers"), at: now, leftovers }))
}
