//! The REST API, on the control socket and, when asked, on TCP. Everything a client can do goes
//! through here.

mod back;
pub(crate) mod error;
mod events;
mod flags;
mod metrics;
mod notify;
mod people;
mod plan;
mod read;
mod ticks;
pub mod view;
pub(crate) mod write;

use crate::control::{Core, Handle};
use crate::people::People;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use axum::{Extension, Router};
use error::ApiError;
use serin_core::ServiceName;
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};

/// Most bytes of a request's body.
const BODY_MAX: usize = 2 << 20;

/// Who may use the API on TCP.
pub(crate) struct Gate {
    /// The owner's token.
    pub(crate) token: String,
    /// Everybody else.
    pub(crate) people: People,
}

/// Serves until the process ends.
pub(crate) async fn serve(
    handle: Handle,
    unix: UnixListener,
    tcp: Option<TcpListener>,
    gate: Gate,
) {
    let gate = Arc::new(gate);
    let routes = routes(handle).layer(Extension(gate.clone()));
    let guarded = routes.clone().layer(from_fn_with_state(gate, people::guard));
    let tcp = async {
        match tcp {
            Some(tcp) => axum::serve(tcp, guarded).await,
            None => std::future::pending().await,
        }
    };
    // Neither ends while the process lives.
    let _ = tokio::join!(axum::serve(unix, routes).into_future(), tcp);
}

fn routes(handle: Handle) -> Router {
    Router::new()
        .route("/api/v1/server", get(read::server))
        .route("/api/v1/services", get(read::services))
        .route("/api/v1/services/{target}", get(read::service).post(write::verb))
        .route("/api/v1/services/{target}/rollouts/{id}", get(read::rollout))
        .route("/api/v1/services/{target}/rollouts/{id}/ticks", get(ticks::ticks))
        .route("/api/v1/services/{target}/history", get(read::history))
        .route("/api/v1/services/{target}/explain", get(read::explain))
        .route("/api/v1/services/{target}/plan", get(plan::plan))
        .route("/api/v1/services/{target}/logs", get(read::logs))
        .route("/api/v1/services/{target}/usage", get(read::usage))
        .route("/api/v1/services/{target}/runbook", get(back::runbook))
        .route("/api/v1/services/{target}/drills", get(back::drills).post(back::drilled))
        .route("/api/v1/services/{target}/notify-test", post(notify::test))
        .route("/api/v1/leftovers", get(back::leftovers))
        .route("/api/v1/flags", get(flags::flags))
        .route(
            "/api/v1/flags/{target}",
            get(flags::flag)
                .put(flags::put)
                .patch(flags::patch)
                .post(flags::verb)
                .delete(flags::delete),
        )
        .route("/api/v1/flags/{target}/history", get(flags::history))
        .route("/api/v1/flag-history", get(flags::set_history))
        .route("/api/v1/flags/{target}/explain", post(flags::explain))
        .route(
            "/api/v1/flags/{target}/schedule",
            get(flags::planned).post(flags::schedule).delete(flags::unschedule),
        )
        .route("/api/v1/flags/{target}/retirement", get(flags::retirement).post(flags::retire))
        .route("/api/v1/flag-requests", get(flags::requests))
        .route("/api/v1/flag-requests/{target}", get(flags::request).post(flags::answer))
        .route("/api/v1/breakers/{target}", post(flags::breaker))
        .route("/api/v1/flag-export", get(flags::export))
        .route("/api/v1/flag-import", post(flags::import))
        .route("/api/v1/flag-tokens", get(flags::tokens).post(flags::create_token))
        .route("/api/v1/flag-tokens/{name}", delete(flags::drop_token))
        .route(people::TOKENS, get(people::list).post(people::create))
        .route("/api/v1/tokens/{name}", delete(people::revoke))
        .route("/api/v1/flag-stale", post(flags::stale))
        .route("/api/v1/flag-sets", get(flags::sets))
        .route(
            "/api/v1/flag-sets/{name}",
            get(flags::get_set)
                .put(flags::create_set)
                .patch(flags::patch_set)
                .delete(flags::drop_set),
        )
        .route("/api/flags/{key}", post(flags::strategy))
        .route("/api/v1/plan", post(plan::plan_file))
        .route("/api/v1/apply", post(write::apply))
        .route("/api/v1/flag-rollouts", post(write::flag_rollout))
        .route("/api/v1/events", get(events::events))
        .route("/metrics", get(metrics::metrics))
        .fallback(|| async {
            ApiError::new(StatusCode::NOT_FOUND, "unknown-path", "there is nothing at this path")
        })
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(handle)
}

/// The error for a service nobody knows, with the names that are near.
pub(crate) fn unknown_service(core: &Core, name: &ServiceName) -> ApiError {
    let names: Vec<_> = core.executor.services().map(|s| s.name.to_string()).collect();
    let near = |other: &&String| strsim::jaro_winkler(other, name.as_str()) > 0.75;
    let near: Vec<_> = names.iter().filter(near).map(|n| format!("`{n}`")).collect();
    let title = format!("there is no service `{name}`");
    let error = ApiError::new(StatusCode::NOT_FOUND, "unknown-service", title);
    match (near.is_empty(), names.is_empty()) {
        (false, _) => error.hint(format!("did you mean {}?", near.join(" or "))),
        (true, false) => error.hint(format!("known services: {}", names.join(", "))),
        (true, true) => error.hint("make one with `serin apply -f serin.yaml`"),
    }
}
