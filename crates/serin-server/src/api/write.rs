//! Wishes.

use super::error::ApiError;
use super::read::{known_revision, named, view};
use super::view::{Applied, ApplyRequest, FlagRollout, ServiceView, VerbRequest, schema_of};
use crate::control::{Handle, now};
use crate::{apply, drill, release};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serin_core::{Actor, Ask, Event, Service, ServiceName};

pub(super) async fn apply(
    State(handle): State<Handle>,
    Json(request): Json<ApplyRequest>,
) -> Result<Json<Applied>, ApiError> {
    let by = actor(request.actor.as_deref());
    Ok(Json(apply::apply(&handle, by, request).await?))
}

/// `POST /api/v1/services/{name}:{verb}`.
pub(super) async fn verb(
    State(handle): State<Handle>,
    Path(target): Path<String>,
    Json(request): Json<VerbRequest>,
) -> Result<Response, ApiError> {
    let Some((name, verb)) = target.rsplit_once(':') else {
        return Err(ApiError::invalid("a verb is missing: POST to `{service}:{verb}`"));
    };
    let name = named(name)?;
    let by = actor(request.actor.as_deref());
    if verb == "deploy" {
        return Ok(Json(apply::deploy(&handle, by, name, request).await?).into_response());
    }
    if verb == "drill" {
        let applied = if request.bad {
            drill::spoil(&handle, by, name).await?
        } else {
            drill::start(&handle, by, name).await?
        };
        return Ok(Json(applied).into_response());
    }
    Ok(Json(ask(&handle, by, name, verb.to_owned(), request).await?).into_response())
}

async fn ask(
    handle: &Handle,
    by: Actor,
    name: ServiceName,
    verb: String,
    request: VerbRequest,
) -> Result<ServiceView, ApiError> {
    let wanted = name.clone();
    let done = handle.ask(move |core| {
        let Some(service) = core.executor.service(&wanted) else {
            return Err(super::unknown_service(core, &wanted));
        };
        let ask = ask_of(service, &verb, &request)?;
        let event = Event::Asked { by, reason: request.reason.clone(), ask };
        if request.dry_run {
            core.executor.preview(&wanted, &event, now())?;
        } else {
            core.submit(&wanted, &event)?;
        }
        Ok(())
    });
    done.await.ok_or_else(ApiError::ending)??;
    view(handle, name).await
}

fn ask_of(service: &Service, verb: &str, request: &VerbRequest) -> Result<Ask, ApiError> {
    let named =
        request.revision.as_deref().map(|text| known_revision(service, text)).transpose()?;
    Ok(match verb {
        "promote" => Ask::Promote { full: request.full },
        "pause" => Ask::Pause,
        "resume" => Ask::Resume,
        "abort" => Ask::Abort,
        "remove" => Ask::Remove,
        "approve" => Ask::Approve,
        "retry" => Ask::Retry { allow_bad: request.allow_bad },
        "release" => Ask::Release,
        "clean" => Ask::Clean,
        "contract" => Ask::Contract {
            override_reason: request.override_reason.clone(),
            backup: request.backup.clone(),
        },
        "mark" => {
            let Some(revision) = named else {
                let missing = ApiError::invalid("no revision is named");
                return Err(missing.hint("say which: `serin mark SERVICE VERSION bad`"));
            };
            Ask::Mark { revision, bad: request.bad }
        }
        "rollback" => Ask::Rollback { to: named },
        other => {
            let title = format!("there is no verb `{other}`");
            return Err(ApiError::new(StatusCode::NOT_FOUND, "unknown-verb", title));
        }
    })
}

/// Who asks, as their client says; never empty, at most 64 characters, printable.
pub(crate) fn actor(given: Option<&str>) -> Actor {
    let clean = |c: &char| !c.is_control();
    let name: String = given.unwrap_or_default().chars().filter(clean).take(64).collect();
    Actor(if name.trim().is_empty() { "unknown".into() } else { name })
}

/// `POST /api/v1/flag-rollouts`.
pub(super) async fn flag_rollout(
    State(handle): State<Handle>,
    Json(request): Json<FlagRollout>,
) -> Result<Response, ApiError> {
    Ok(match release::start(&handle, request).await? {
        release::Begun::Started(service) => {
            let (schema, services) = (schema_of("applied"), vec![service]);
            Json(Applied { schema, services }).into_response()
        }
        release::Begun::Waits(request) => (StatusCode::ACCEPTED, Json(request)).into_response(),
    })
}
