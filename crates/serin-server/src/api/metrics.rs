//! Numbers for Prometheus, at `/metrics`.

use super::error::ApiError;
use crate::control::{Core, Handle};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use std::fmt::Write as _;

/// `GET /metrics`.
pub(super) async fn metrics(State(handle): State<Handle>) -> Result<impl IntoResponse, ApiError> {
    let text = handle.ask(|core| text(core)).await.ok_or_else(ApiError::ending)??;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}

fn text(core: &Core) -> Result<String, ApiError> {
    let mut out = String::new();
    rolled_back(core, &mut out)?;
    traffic(core, &mut out);
    Ok(out)
}

fn rolled_back(core: &Core, out: &mut String) -> Result<(), ApiError> {
    head(out, "deployments_rolled_back_total", "counter", "Rollouts that were rolled back.");
    for line in core.executor.store().rolled_back()? {
        let _ = writeln!(
            out,
            "deployments_rolled_back_total{{service=\"{}\",version=\"{}\",reason=\"{}\"}} {}",
            line.service, line.version, line.reason, line.count
        );
    }
    Ok(())
}

fn traffic(core: &Core, out: &mut String) {
    let Some(counts) = &core.counts else { return };
    head(
        out,
        "serin_requests_total",
        "counter",
        "Requests, by the revision they were assigned to.",
    );
    for (service, revision, role, requests, _) in arms(counts) {
        let _ = writeln!(
            out,
            "serin_requests_total{{service=\"{service}\",revision=\"{revision}\",role=\"{role}\"}} {requests}"
        );
    }
    head(out, "serin_errors_total", "counter", "Responses of 500 and above and broken requests.");
    for (service, revision, role, _, errors) in arms(counts) {
        let _ = writeln!(
            out,
            "serin_errors_total{{service=\"{service}\",revision=\"{revision}\",role=\"{role}\"}} {errors}"
        );
    }
    head(out, "serin_dropped_total", "counter", "Requests without a whole answer from the app.");
    for dropped in &counts.dropped {
        let _ = writeln!(
            out,
            "serin_dropped_total{{service=\"{}\"}} {}",
            dropped.service,
            dropped.total()
        );
    }
}

type Arm<'a> = (&'a str, &'a str, &'static str, u64, u64);

/// Arms of the newest generation of each service.
fn arms(counts: &serin_proxy::wire::Counters) -> Vec<Arm<'_>> {
    let newest = |service: &str| {
        counts.services.iter().rfind(|s| s.service == service).map(|s| s.generation)
    };
    let services = counts.services.iter().filter(|s| newest(&s.service) == Some(s.generation));
    let arms = services.flat_map(|s| s.arms.iter().map(move |arm| (s.service.as_str(), arm)));
    arms.map(|(service, arm)| {
        let t = &arm.totals;
        let errors = t.responses_5xx + t.timeouts + t.connect_failures + t.resets;
        let role = match arm.role {
            serin_proxy::wire::Role::Stable => "stable",
            serin_proxy::wire::Role::Candidate => "candidate",
        };
        (service, arm.revision.as_str(), role, arm.assigned, errors)
    })
    .collect()
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}
