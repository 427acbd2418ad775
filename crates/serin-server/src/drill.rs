//! Rehearsals of the way back: a copy of a service beside it, a bad version of the copy, and what
//! was measured. The service itself is never touched.

use crate::api::error::ApiError;
use crate::api::view::{Applied, DrillRecord, Drills, schema_of};
use crate::apply;
use crate::control::{Core, Handle};
use axum::http::StatusCode;
use serin_core::{
    Actor, Analysis, Bake, Millis, OnInconclusive, RollbackSpec, Schedule, Service, ServiceName,
    ServiceSpec, Step, TrafficSpec, VerifySpec, Version, Weight,
};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

/// The environment of every copy; policies may treat it apart.
const ENVIRONMENT: &str = "drill";
/// Instances of a copy, at most.
const REPLICAS: u32 = 2;
/// What a copy's bad version is called.
const BAD: &str = "drill-bad";
/// Longest wait for the verdict on the bad version.
const DEADLINE: Millis = Millis::secs(60);
/// Requests after the way back before errors say anything: the drill's own users are few.
const ENOUGH: u64 = 20;
/// Drills remembered of one service.
const REMEMBERED: usize = 50;
/// Longest name of a service.
const NAME_MAX: usize = 50;

/// Starts a copy of `name` beside it, with the revision that is stable there.
pub(crate) async fn start(
    handle: &Handle,
    by: Actor,
    name: ServiceName,
) -> Result<Applied, ApiError> {
    let listen = free_address().map_err(|error| no_address(&error))?;
    let wanted = name.clone();
    let made = handle.ask(move |core| {
        let service = core.executor.service(&wanted);
        made(core, service.ok_or_else(|| crate::api::unknown_service(core, &wanted))?, listen)
    });
    let (spec, version) = made.await.ok_or_else(ApiError::ending)??;
    apply::deploy_made(handle, by, spec, version, Some(format!("drill of {name}"))).await
}

/// Deploys a version to the copy of `name` that fails on purpose.
pub(crate) async fn spoil(
    handle: &Handle,
    by: Actor,
    name: ServiceName,
) -> Result<Applied, ApiError> {
    let copy = copy_name(&name)?;
    let mut spec = apply::spec_of(handle, &copy).await?;
    let program = std::env::current_exe()
        .map_err(|error| ApiError::invalid(format!("the bad version cannot be made: {error}")))?;
    let program = program.to_string_lossy().into_owned();
    spec.run.command = vec![program, "__drill-app".into(), "$(PORT)".into()];
    let version: Version = BAD.parse().map_err(|why| invalid(&why))?;
    apply::deploy_made(handle, by, spec, version, Some(format!("drill of {name}"))).await
}

fn made(
    core: &Core,
    service: &Service,
    listen: SocketAddr,
) -> Result<(ServiceSpec, Version), ApiError> {
    let name = &service.name;
    let copy = copy_name(name)?;
    if core.executor.service(&copy).is_some() {
        let title = format!("`{copy}` is there already: a drill runs, or one was cut short");
        let error = ApiError::new(StatusCode::CONFLICT, "refused", title);
        return Err(error.hint(format!("take it away with `serin remove {copy} --yes`")));
    }
    let stable = service.stable.as_ref().and_then(|id| Some((id, service.revisions.get(id)?)));
    let Some((id, revision)) = stable else {
        let title = format!("{name} has no stable revision to rehearse with");
        let error = ApiError::new(StatusCode::CONFLICT, "refused", title);
        return Err(error.hint("wait until its first revision is up"));
    };
    let mut spec = copy_of(&service.spec, copy, listen);
    spec.run.clone_from(&revision.run);
    // The copy uses the schema as it is, and never changes it.
    if let Some(database) = spec.run.database.as_mut() {
        database.migration = None;
    }
    Ok((spec, id.version.clone()))
}

/// The same programs under another name, at another address, judged by errors alone and quickly.
fn copy_of(original: &ServiceSpec, copy: ServiceName, listen: SocketAddr) -> ServiceSpec {
    let asked = original.traffic.listen;
    let traffic = TrafficSpec {
        listen: asked.map(|_| listen),
        request_timeout: original.traffic.request_timeout,
        drain: original.traffic.drain,
        ..TrafficSpec::worker()
    };
    let schedule = Schedule {
        progress_deadline: original.schedule.progress_deadline,
        ..if asked.is_some() { judged() } else { by_order() }
    };
    let rehearsed = &original.rollback.verify;
    let verify =
        VerifySpec { min_requests: rehearsed.min_requests.min(ENOUGH), ..rehearsed.clone() };
    ServiceSpec {
        environment: ENVIRONMENT.into(),
        replicas: original.replicas.min(REPLICAS),
        rollback: RollbackSpec { hold_after: false, verify, ..RollbackSpec::default() },
        ..ServiceSpec::of(copy, original.run.clone(), traffic, schedule)
    }
}

/// Half of the traffic until the errors are too many.
fn judged() -> Schedule {
    let bake = Bake { at_least: Millis(0), requests: 0, until_evidence: true, deadline: DEADLINE };
    let steps = [Step::SetWeight(Weight::HALF), Step::Bake(bake), Step::SetWeight(Weight::ALL)];
    let analysis = Analysis {
        metrics: vec![serin_stats::Metric::Errors.into()],
        on_inconclusive: OnInconclusive::Rollback,
        ..Analysis::default()
    };
    Schedule { analysis: Some(analysis), ..Schedule::of("drill", steps.into()) }
}

/// A worker has no requests to be judged by: it waits for the order to go back.
fn by_order() -> Schedule {
    Schedule::of("drill", vec![Step::SetWeight(Weight::HALF), Step::Pause(None)])
}

/// What the copy of a service is called.
pub(crate) fn copy_name(name: &ServiceName) -> Result<ServiceName, ApiError> {
    let suffix = "-drill";
    let kept: String = name.as_str().chars().take(NAME_MAX - suffix.len()).collect();
    format!("{kept}{suffix}").parse().map_err(|why| invalid(&why))
}

fn invalid(why: &serin_core::IdError) -> ApiError {
    ApiError::invalid(why.to_string())
}

fn no_address(error: &io::Error) -> ApiError {
    ApiError::invalid(format!("there is no free address on this machine: {error}"))
}

/// An address nobody has now.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The drills of a service, newest first.
pub(crate) fn read(data: &Path, name: &ServiceName) -> Drills {
    let text = std::fs::read_to_string(file(data, name)).unwrap_or_default();
    let drills = text.lines().rev().filter_map(|line| serde_json::from_str(line).ok());
    Drills { schema: schema_of("drills"), drills: drills.collect() }
}

/// Remembers one more.
pub(crate) fn remember(data: &Path, name: &ServiceName, drill: &DrillRecord) -> io::Result<()> {
    let path = file(data, name);
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let line = serde_json::to_string(drill)?;
    let mut lines: Vec<&str> = before.lines().chain([line.as_str()]).collect();
    lines.drain(..lines.len().saturating_sub(REMEMBERED));
    let part = path.with_extension("part");
    let mut written = std::fs::File::create(&part)?;
    writeln!(written, "{}", lines.join("\n"))?;
    written.sync_all()?;
    std::fs::rename(part, path)
}

/// Forgets those of a service that is gone.
pub(crate) fn forget(data: &Path, name: &ServiceName) {
    // Usually there were none.
    let _ = std::fs::remove_file(file(data, name));
}

fn file(data: &Path, name: &ServiceName) -> PathBuf {
    data.join("drills").join(format!("{name}.jsonl"))
}

#[cfg(test)]
mod tests;
