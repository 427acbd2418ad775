//! Numbers for Prometheus, at `/metrics`.

use super::error::ApiError;
use crate::control::{Core, Handle};
use crate::views;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serin_core::{Service, Timestamp};
use serin_local::wire::{ArmCounters, Counters, Role};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// `GET /metrics`.
pub(super) async fn metrics(State(handle): State<Handle>) -> Result<impl IntoResponse, ApiError> {
    let text = handle.ask(|core| text(core)).await.ok_or_else(ApiError::ending)??;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}

fn text(core: &Core) -> Result<String, ApiError> {
    let mut out = String::new();
    rolled_back(core, &mut out)?;
    life(core, &mut out);
    ways_back(core, &mut out);
    downtime(core, &mut out);
    if let Some(counts) = &core.counts {
        traffic(counts, &mut out);
        dropped(counts, &mut out);
    }
    Ok(out)
}

fn rolled_back(core: &Core, out: &mut String) -> Result<(), ApiError> {
    let name = "deployments_rolled_back_total";
    head(out, name, "Rollouts that were rolled back.");
    for line in core.executor.store().rolled_back()? {
        let (service, version, reason) = (line.service, line.version, line.reason);
        let labels = format!("service=\"{service}\",version=\"{version}\",reason=\"{reason}\"");
        let _ = writeln!(out, "{name}{{{labels}}} {}", line.count);
    }
    Ok(())
}

/// What each service is doing, as gauges.
fn life(core: &Core, out: &mut String) {
    let mut family = |name: &str, help: &str, value: fn(&Service) -> u32| {
        gauge(out, name, help);
        for service in core.executor.services() {
            let _ = writeln!(out, "{name}{{service=\"{}\"}} {}", service.name, value(service));
        }
    };
    family("serin_rollout_active", "1 while a rollout is under way.", |s| {
        s.rollout.is_some().into()
    });
    family("serin_rollout_paused", "1 while a rollout is held.", |s| {
        s.rollout.as_ref().is_some_and(|rollout| rollout.paused.is_some()).into()
    });
    family("serin_deploys_queued", "Deploys that wait for a rollout to end.", |s| {
        s.queued.is_some().into()
    });
    family("serin_held", "1 while deploys are refused after a way back.", |s| {
        s.hold.is_some().into()
    });
    family("serin_kept_instances", "Instances kept without traffic.", |s| {
        s.kept.as_ref().map_or(0, |kept| kept.replicas)
    });
    weights(core, out);
}

fn weights(core: &Core, out: &mut String) {
    let name = "serin_weight_ratio";
    gauge(out, name, "Share of the requests that a revision is meant to get, 0 to 1.");
    for service in core.executor.services() {
        for (id, revision) in service.plan.iter().flat_map(|plan| &plan.revisions) {
            let (role, share) = (revision.role.as_str(), f64::from(revision.weight.parts()) / 1e5);
            let service = &service.name;
            let labels = format!("service=\"{service}\",revision=\"{id}\",role=\"{role}\"");
            let _ = writeln!(out, "{name}{{{labels}}} {share}");
        }
    }
}

/// How long the newest way back took, while it is the newest rollout.
fn ways_back(core: &Core, out: &mut String) {
    let name = "serin_rollback_seconds";
    gauge(out, name, "The newest way back: seconds from the decision until this was so.");
    for service in core.executor.services() {
        let running = service.rollout.as_ref().and_then(|rollout| rollout.back.as_ref());
        let last = service.last.as_ref().and_then(|record| record.back.as_ref());
        let Some(back) = running.or(last) else { continue };
        let after = |at: Option<Timestamp>| at.map(|at| at.since(back.began_at));
        let times = [
            ("routed", after(back.routed_at)),
            ("silent", after(back.silent_at)),
            ("recovered", views::recovered(back)),
        ];
        for (until, time) in times.iter().filter_map(|(until, time)| Some((until, (*time)?))) {
            let labels = format!("service=\"{}\",until=\"{until}\"", service.name);
            let _ = writeln!(out, "{name}{{{labels}}} {}", time.0 as f64 / 1000.0);
        }
    }
}

/// How long the newest rollout left users without anybody, where it did.
fn downtime(core: &Core, out: &mut String) {
    let name = "serin_downtime_seconds";
    gauge(out, name, "The newest rollout: seconds in which nobody was there to answer users.");
    for service in core.executor.services() {
        let running = service.rollout.as_ref().map(|rollout| rollout.downtime.total);
        let last = service.last.as_ref().map(|record| record.downtime);
        let seconds = running.or(last).unwrap_or_default().0 as f64 / 1000.0;
        let _ = writeln!(out, "{name}{{service=\"{}\"}} {seconds}", service.name);
    }
}

fn traffic(counts: &Counters, out: &mut String) {
    let sums = sums(counts);
    let mut family = |name: &str, help: &str, value: fn(&Sum) -> u64| {
        head(out, name, help);
        for ((service, revision), sum) in &sums {
            let role = sum.role;
            let labels = format!("service=\"{service}\",revision=\"{revision}\",role=\"{role}\"");
            let _ = writeln!(out, "{name}{{{labels}}} {}", value(sum));
        }
    };
    family("serin_requests_total", "Requests, by the revision they were assigned to.", |s| {
        s.requests
    });
    family("serin_errors_total", "Responses of 500 and above and broken requests.", |s| s.errors);
}

fn dropped(counts: &Counters, out: &mut String) {
    let name = "serin_dropped_total";
    head(out, name, "Requests without a whole answer from the app.");
    for dropped in &counts.dropped {
        let _ = writeln!(out, "{name}{{service=\"{}\"}} {}", dropped.service, dropped.total());
    }
}

/// Requests and errors of one revision.
#[derive(Default)]
struct Sum {
    role: &'static str,
    requests: u64,
    errors: u64,
}

impl Sum {
    fn add(&mut self, arm: &ArmCounters) {
        let t = &arm.totals;
        self.role = if arm.role == Role::Stable { "stable" } else { "candidate" };
        self.requests += arm.assigned + arm.led - arm.copies.sent;
        self.errors += t.responses_5xx + t.timeouts + t.connect_failures + t.resets;
    }
}

/// By (service, revision), over all generations the data plane still reports.
fn sums(counts: &Counters) -> BTreeMap<(&str, &str), Sum> {
    let mut sums: BTreeMap<_, Sum> = BTreeMap::new();
    for service in &counts.services {
        for arm in &service.arms {
            let key = (service.service.as_str(), arm.revision.as_str());
            sums.entry(key).or_default().add(arm);
        }
    }
    sums
}

fn head(out: &mut String, name: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter");
}

fn gauge(out: &mut String, name: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
}
