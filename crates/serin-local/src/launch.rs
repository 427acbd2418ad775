//! Starting one instance: what it runs, its environment, and the order to the keeper.

use crate::error::Error;
use crate::keeper::Keeper;
use crate::kept;
use crate::label::Label;
use crate::vars::{Vars, within};
use serin_core::{Colour, RunSpec, ServiceName};
use serin_keeper::protocol::{ErrorCode, Limits, LogSpec, ProcessSpec, Reply, Request};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What has to be started.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) instance: String,
    pub(crate) label: Label,
    pub(crate) run: RunSpec,
    pub(crate) colour: Colour,
    pub(crate) log: PathBuf,
    /// Where programs are kept.
    pub(crate) data: PathBuf,
    /// Where the flags are served.
    pub(crate) flags: Option<SocketAddr>,
}

/// How it went: the reason is for people.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) service: ServiceName,
    pub(crate) instance: String,
    pub(crate) outcome: Result<Started, String>,
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: i32,
    pub(crate) artefact: Option<String>,
}

/// Starts it, however often the keeper goes away meanwhile: the keeper starts a name only once.
pub(crate) async fn launch(job: Job, keeper: &Keeper) -> Launched {
    let (service, instance) = (job.label.service.clone(), job.instance.clone());
    let outcome = match prepare(job).await {
        Ok((spec, artefact)) => spawn(keeper, spec, artefact).await,
        Err(error) => Err(error.to_string()),
    };
    Launched { service, instance, outcome }
}

/// Reads files: not on the threads that serve.
async fn prepare(job: Job) -> Result<(ProcessSpec, Option<String>), Error> {
    let work = tokio::task::spawn_blocking(move || specify(job));
    work.await.map_err(|_| Error::Ended)?
}

fn specify(mut job: Job) -> Result<(ProcessSpec, Option<String>), Error> {
    let vars = Vars {
        service: job.label.service.clone(),
        revision: job.label.revision.clone(),
        role: job.label.role,
        colour: job.colour,
        instance: job.instance.clone(),
        port: job.label.port,
        flags: job.flags,
    };
    let env = vars.environment(&job.run, &|name| std::env::var(name).ok())?;
    let found = kept::as_deployed(&job.data, &job.run, &vars.revision)?;
    let digest = Some(found.digest);
    job.label.artefact.clone_from(&digest);
    let mut command = vars.command(&job.run);
    for argument in command.iter_mut().skip(1) {
        if let Some(kept) = found.files.get(&within(&job.run, argument)) {
            *argument = kept.to_string_lossy().into_owned();
        }
    }
    if let Some((program, kept)) = command.first_mut().zip(found.program) {
        *program = kept.to_string_lossy().into_owned();
    }
    let spec = ProcessSpec {
        label: serde_json::to_value(&job.label)
            .map_err(|e| Error::Unexpected { who: "the label", what: e.to_string() })?,
        command,
        env,
        cwd: job.run.working_directory.clone().into(),
        user: job.run.user.clone(),
        limits: limits(&job.run),
        log: log(&job),
        grace_ms: job.run.grace.0,
        instance: job.instance,
    };
    Ok((spec, digest))
}

fn limits(run: &RunSpec) -> Limits {
    Limits {
        open_files: run.limits.open_files,
        memory_bytes: run.limits.memory_bytes,
        processes: run.limits.processes,
        core_bytes: None,
    }
}

/// We count the current file among those kept, the keeper does not.
fn log(job: &Job) -> LogSpec {
    let limits = &job.run.log;
    LogSpec {
        path: job.log.clone(),
        max_bytes: limits.max_bytes.max(1024),
        keep: limits.keep.saturating_sub(1),
    }
}

async fn spawn(
    keeper: &Keeper,
    process: ProcessSpec,
    artefact: Option<String>,
) -> Result<Started, String> {
    let process = Box::new(process);
    match keeper.insist(Request::Spawn { process }).await {
        Ok(Reply::Spawned { pid, .. }) => Ok(Started { pid, artefact }),
        Ok(Reply::Error { code: ErrorCode::Exited, .. }) => {
            Err("it ended while the keeper was away".into())
        }
        Ok(Reply::Error { message, .. }) => Err(message),
        Ok(other) => Err(format!("the keeper answered something unexpected: {other:?}")),
        Err(error) => Err(error.to_string()),
    }
}
