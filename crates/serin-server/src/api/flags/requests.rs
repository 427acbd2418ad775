//! Changes that others must agree to, flags on their way out, and breakers.

use super::write::{Asked, TOLD, is_told};
use super::{Where, ask, key_of};
use crate::api::error::ApiError;
use crate::api::view::{
    Asking, FlagRequest, FlagRequests, FlagRetirement, RetireRequest, WantedRequests, schema_of,
};
use crate::control::Handle;
use crate::flags::{FlagError, RetirePlan, WATCH_S};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use serin_edge::Revision;
use tokio::time::timeout;

/// Longest time a stage of a retirement is watched, in seconds: 90 days.
const WATCH_MAX: u32 = 90 * 86_400;

/// `GET /api/v1/flag-requests`.
pub(in crate::api) async fn requests(
    State(handle): State<Handle>,
    Query(place): Query<Where>,
    Query(wanted): Query<WantedRequests>,
) -> Result<Json<FlagRequests>, ApiError> {
    let set = place.set();
    let found = ask(&handle, move |core| {
        core.flags.set(&set)?;
        let all = core.flags.requests(&set, wanted.key.as_deref());
        let shown = all.filter(|request| wanted.all || request.is_pending());
        let requests = shown.cloned().map(FlagRequest::of).collect();
        Ok(FlagRequests { schema: schema_of("flag-requests"), set, requests })
    });
    Ok(Json(found.await?))
}

/// `GET /api/v1/flag-requests/{id}`.
pub(in crate::api) async fn request(
    State(handle): State<Handle>,
    Path(target): Path<String>,
) -> Result<Json<FlagRequest>, ApiError> {
    let id = number(&target)?;
    Ok(Json(ask(&handle, move |core| core.flags.request_view(id)).await?))
}

/// `POST /api/v1/flag-requests/{id}:approve` and `:reject`.
pub(in crate::api) async fn answer(
    State(handle): State<Handle>,
    Path(target): Path<String>,
    Json(asking): Json<Asking>,
) -> Result<Json<FlagRequest>, ApiError> {
    let (id, verb) = target.rsplit_once(':').unwrap_or((&target, ""));
    let (id, verb, asked) = (number(id)?, verb.to_owned(), Asked::of(&asking));
    let done = handle.ask(move |core| {
        match verb.as_str() {
            "approve" => core.agree(id, asked.who())?,
            "reject" => core.reject(id, asked.who())?,
            other => {
                let title = format!("there is no verb `{other}`");
                let error = ApiError::new(StatusCode::NOT_FOUND, "unknown-verb", title);
                return Err(error.hint("verbs: approve, reject"));
            }
        }
        Ok((core.flags.request_view(id)?, core.flags.revision()))
    });
    let (mut view, revision) = done.await.ok_or_else(ApiError::ending)??;
    view.pushed = told(&handle, revision).await;
    Ok(Json(view))
}

/// Whether the data plane has everything up to `revision` within a few seconds.
async fn told(handle: &Handle, revision: Revision) -> bool {
    let mut told = handle.told();
    let has = timeout(TOLD, told.wait_for(|told| told.has(revision)));
    matches!(has.await, Ok(Ok(_)))
}

fn number(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| {
        ApiError::invalid(format!("`{text}` is no number of a request"))
            .hint("`serin flag pending` lists them")
    })
}

/// `GET /api/v1/flags/{key}/retirement`.
pub(in crate::api) async fn retirement(
    State(handle): State<Handle>,
    Path(key): Path<String>,
    Query(place): Query<Where>,
) -> Result<Json<FlagRetirement>, ApiError> {
    let set = place.set();
    Ok(Json(ask(&handle, move |core| FlagRetirement::of(&core.flags, &set, &key)).await?))
}

/// `POST /api/v1/flags/{key}/retirement`.
pub(in crate::api) async fn retire(
    State(handle): State<Handle>,
    Path(key): Path<String>,
    Query(place): Query<Where>,
    Json(request): Json<RetireRequest>,
) -> Result<Json<FlagRetirement>, ApiError> {
    let (key, set, asked) = (key_of(&key)?, place.set(), Asked::of(&request.asking));
    let watch_s = request.watch_s.unwrap_or(WATCH_S);
    if watch_s > WATCH_MAX {
        let title = format!("a stage cannot be watched for {watch_s} s");
        return Err(ApiError::invalid(title).hint("watch it for at most 90 days"));
    }
    let plan = RetirePlan { keep: request.keep, background: request.background, watch_s };
    let found = ask(&handle, move |core| {
        let (place, who) = ((set.as_str(), &key), asked.who());
        if request.what.as_deref() == Some("start") {
            core.retire(place, plan, who)?;
        }
        if let Some(references) = request.references {
            core.scanned(place, references, who)?;
        }
        match request.what.as_deref() {
            None | Some("start") => {}
            Some("next") => core.retire_on(place, who)?,
            Some("cancel") => core.retire_no_more(place, who)?,
            Some(other) => {
                let why = format!("`{other}` is nothing to do: start, next or cancel");
                return Err(FlagError::Unreadable(why));
            }
        }
        let found = FlagRetirement::of(&core.flags, &set, key.as_str())?;
        Ok((found, core.flags.revision()))
    });
    let (found, revision) = found.await?;
    // Clients have it when the answer comes, unless the data plane is away.
    is_told(&handle, revision).await;
    Ok(Json(found))
}

/// `POST /api/v1/breakers/{name}:open` and `:close`: somebody says that a breaker turned. How many
/// changes of flags wait for it is told.
pub(in crate::api) async fn breaker(
    State(handle): State<Handle>,
    Path(target): Path<String>,
    Json(asking): Json<Asking>,
) -> Result<Json<Value>, ApiError> {
    let (name, verb) = target.rsplit_once(':').unwrap_or((&target, ""));
    let open = match verb {
        "open" => true,
        "close" => false,
        other => {
            let title = format!("there is no verb `{other}`");
            let error = ApiError::new(StatusCode::NOT_FOUND, "unknown-verb", title);
            return Err(error.hint("verbs: open, close"));
        }
    };
    let (name, asked) = (name.to_owned(), Asked::of(&asking));
    let turned = ask(&handle, move |core| {
        let who = asked.who();
        let why = who.reason.map_or_else(|| who.by.to_owned(), |why| format!("{why} ({})", who.by));
        let waiting = core.breaker(&name, open, &why);
        Ok((name, waiting, core.flags.revision()))
    });
    let (name, waiting, revision) = turned.await?;
    let pushed = told(&handle, revision).await;
    Ok(Json(json!({ "schema": schema_of("breaker"), "name": name, "open": open,
                    "waiting": waiting, "pushed": pushed })))
}
