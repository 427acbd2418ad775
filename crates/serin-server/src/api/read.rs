//! Answers to questions.

use super::error::ApiError;
use super::view::{
    Checkup, Explanation, History, InstanceLog, Logs, RolloutStatus, ServerView, ServiceView,
    Services, UsageView, schema_of,
};
use crate::control::{Core, Handle, now};
use crate::views;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serin_core::{RevisionId, Service, ServiceName, waiting_on};

type Answer<T> = Result<Json<T>, ApiError>;

/// Rollouts in a history, at most.
const HISTORY_MAX: u32 = 200;

/// Journal lines in an explanation, at most.
const ENTRIES_MAX: u32 = 200;

pub(super) async fn server(State(handle): State<Handle>) -> Answer<ServerView> {
    let view = handle.ask(|core| {
        let counts = core.counts.as_ref();
        ServerView {
            schema: schema_of("server"),
            version: env!("CARGO_PKG_VERSION").into(),
            epoch: core.executor.epoch(),
            pid: std::process::id(),
            data_plane_epoch: counts.map(|c| c.epoch),
            dropped: counts.map_or(0, serin_local::wire::Counters::dropped_total),
            storage_trouble: core.executor.trouble().map(Into::into),
        }
    });
    Ok(Json(view.await.ok_or_else(ApiError::ending)?))
}

pub(super) async fn services(State(handle): State<Handle>) -> Answer<Services> {
    let all = handle.ask(|core| {
        let names: Vec<_> = core.executor.services().map(|s| s.name.clone()).collect();
        (names, core.flags.trouble())
    });
    let (names, flags_trouble) = all.await.ok_or_else(ApiError::ending)?;
    let mut services = Vec::new();
    for name in names {
        // One that is removed meanwhile is no error here.
        services.extend(view(&handle, name).await.ok());
    }
    Ok(Json(Services { schema: schema_of("services"), services, flags_trouble }))
}

pub(super) async fn service(
    State(handle): State<Handle>,
    Path(name): Path<String>,
) -> Answer<ServiceView> {
    Ok(Json(view(&handle, named(&name)?).await?))
}

/// The view of one service, with fresh counters.
pub(crate) async fn view(handle: &Handle, name: ServiceName) -> Result<ServiceView, ApiError> {
    let fresh = handle.counters().await;
    let instances = handle.local().instances(&name);
    ask(handle, name, move |core, service| {
        let around = views::Around {
            waiting_on: waiting_on(service, now()),
            counts: fresh.as_ref().or(core.counts.as_ref()),
            instances,
            trouble: core.executor.trouble(),
            untold: core.untold(&service.name),
        };
        Ok(views::service_view(service, around))
    })
    .await
}

/// Asks about a service that must exist.
pub(super) async fn ask<T: Send + 'static>(
    handle: &Handle,
    name: ServiceName,
    read: impl FnOnce(&Core, &Service) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let answer = handle.ask(move |core| match core.executor.service(&name) {
        Some(service) => read(core, service),
        None => Err(super::unknown_service(core, &name)),
    });
    answer.await.ok_or_else(ApiError::ending)?
}

pub(super) async fn rollout(
    State(handle): State<Handle>,
    Path((name, id)): Path<(String, u64)>,
) -> Answer<RolloutStatus> {
    let name = named(&name)?;
    let answer = ask(&handle, name.clone(), move |core, service| {
        let running = service.rollout.as_ref().filter(|r| r.id == id).map(views::rollout_view);
        let ended = if running.is_none() { core.executor.store().record(&name, id)? } else { None };
        let record = ended;
        if running.is_none() && record.is_none() {
            let title = format!("{name} has no rollout {id}");
            return Err(ApiError::new(StatusCode::NOT_FOUND, "unknown-rollout", title)
                .hint("see `serin history`"));
        }
        let waiting_for = waiting_on(service, now()).to_string();
        Ok(RolloutStatus { schema: schema_of("rollout"), running, record, waiting_for })
    });
    Ok(Json(answer.await?))
}

pub(super) async fn history(
    State(handle): State<Handle>,
    Path(name): Path<String>,
) -> Answer<History> {
    let name = named(&name)?;
    let answer = ask(&handle, name.clone(), move |core, _| {
        let rollouts = core.executor.store().records(&name, HISTORY_MAX)?;
        let found = core.executor.store().checkups(&name, HISTORY_MAX)?;
        let checkups = found.into_iter().filter_map(read_checkup).collect();
        Ok(History { schema: schema_of("history"), rollouts, checkups })
    });
    Ok(Json(answer.await?))
}

pub(super) async fn explain(
    State(handle): State<Handle>,
    Path(name): Path<String>,
) -> Answer<Explanation> {
    let name = named(&name)?;
    let service = view(&handle, name.clone()).await?;
    let newest = service.rollout.as_ref().map(|r| r.id);
    let newest = newest.or_else(|| service.last.as_ref().map(|r| r.id)).unwrap_or(0);
    let lines = ask(&handle, name.clone(), move |core, _| {
        let store = core.executor.store();
        let found = store.checkups(&name, HISTORY_MAX)?.into_iter();
        let checkup = found.filter(|(id, _)| *id == newest).find_map(read_checkup);
        Ok((store.journal_of(&name, newest, ENTRIES_MAX)?, checkup.map(|(_, seen)| seen)))
    });
    let (lines, checkup) = lines.await?;
    let entries = lines.into_iter();
    let entries = entries.map(|row| views::journal_line(row.seq, row.service, row.entry)).collect();
    Ok(Json(Explanation { schema: schema_of("explain"), service, entries, checkup }))
}

/// What another version of Serin wrote and this one cannot read is not shown.
fn read_checkup((rollout, text): (u64, String)) -> Option<(u64, Checkup)> {
    Some((rollout, serde_json::from_str(&text).ok()?))
}

#[derive(Deserialize)]
pub(super) struct LogsQuery {
    revision: Option<String>,
    lines: Option<usize>,
}

/// Lines of a log in one answer, at most.
const LINES_MAX: usize = 10_000;

pub(super) async fn logs(
    State(handle): State<Handle>,
    Path(name): Path<String>,
    Query(query): Query<LogsQuery>,
) -> Answer<Logs> {
    let name = named(&name)?;
    let wanted = query.revision.clone();
    let revision = ask(&handle, name.clone(), move |_, service| {
        wanted.as_deref().map(|text| known_revision(service, text)).transpose()
    });
    let revision = revision.await?;
    let lines = query.lines.unwrap_or(100).min(LINES_MAX);
    let tails = handle.local().log_tail(&name, revision.as_ref(), lines).await;
    let instances =
        tails.into_iter().map(|(instance, lines)| InstanceLog { instance, lines }).collect();
    Ok(Json(Logs { schema: schema_of("logs"), instances }))
}

/// What the instances of a service used over the last ten minutes.
pub(super) async fn usage(
    State(handle): State<Handle>,
    Path(name): Path<String>,
) -> Answer<UsageView> {
    let name = named(&name)?;
    ask(&handle, name.clone(), |_, _| Ok(())).await?;
    Ok(Json(UsageView { schema: schema_of("usage"), instances: handle.local().usage(&name) }))
}

/// The newest known revision a user's word means: a version, or `version@digest`.
pub(super) fn known_revision(service: &Service, text: &str) -> Result<RevisionId, ApiError> {
    let means = |id: &RevisionId| id.version.as_str() == text || id.to_string() == text;
    let found = service.revisions.iter().filter(|(id, _)| means(id));
    let newest = found.max_by_key(|(id, revision)| (revision.created_at, *id));
    let known: Vec<_> = service.revisions.keys().map(|id| id.version.to_string()).collect();
    newest.map(|(id, _)| id.clone()).ok_or_else(|| {
        let title = format!("{} has no revision `{text}`", service.name);
        ApiError::new(StatusCode::NOT_FOUND, "unknown-revision", title)
            .hint(format!("known revisions: {}", known.join(", ")))
    })
}

/// A service's name as a path gives it.
pub(super) fn named(text: &str) -> Result<ServiceName, ApiError> {
    text.parse().map_err(|why: serin_core::IdError| ApiError::invalid(why.to_string()))
}
