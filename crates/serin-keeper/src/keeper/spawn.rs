//! Starting instances.

use std::io;
use std::path::Path;

use rustix::process::{Signal, WaitId, WaitIdOptions, waitid};

use super::Keeper;
use super::process::Process;
use super::requests::refuse;
use super::shutdown::{Phase, STOPPING};
use crate::launch::{self, Order};
use crate::protocol::{CONTROL, ErrorCode, JournalEvent, PROXY, ProcessSpec, ProcessState, Reply};
use crate::pump::Pump;
use crate::state::Role;

/// Longest instance id, in bytes; it becomes a file name.
const MAX_NAME: usize = 100;

impl Keeper {
    pub(super) fn spawn(&mut self, asker: (u64, u64), spec: ProcessSpec) {
        if let Some(reply) = self.refusal(&spec) {
            self.reply(asker, reply);
            return;
        }
        if let Some(process) = self.processes.get_mut(&spec.instance) {
            if process.launch.is_some() {
                process.askers.push(asker);
                self.owe(asker.0);
            } else {
                let reply = spawned(&spec.instance, process);
                self.reply(asker, reply);
            }
            return;
        }
        let instance = spec.instance.clone();
        match self.start_app(spec) {
            Ok(mut process) => {
                process.askers.push(asker);
                self.owe(asker.0);
                self.processes.insert(instance, process);
                self.unsaved = true;
            }
            Err(error) => {
                let message = format!("cannot start {instance}: {error}");
                // Its FIFO has no writer and is removed.
                self.drain(&instance);
                self.reply(asker, refuse(ErrorCode::ExecFailed, message));
            }
        }
    }

    fn refusal(&self, spec: &ProcessSpec) -> Option<Reply> {
        let name = &spec.instance;
        if !matches!(self.phase, Phase::Running) {
            return Some(refuse(ErrorCode::ShuttingDown, STOPPING.to_owned()));
        }
        if let Some(problem) = problem_of(spec) {
            return Some(refuse(ErrorCode::BadSpec, problem));
        }
        match self.processes.get(name)?.info(name).state {
            ProcessState::Running => None,
            ProcessState::Stopping => {
                Some(refuse(ErrorCode::Busy, format!("{name} is being stopped; use a new id")))
            }
            ProcessState::Exited(_) => {
                let message = format!("{name} has exited; use a new id, or forget it first");
                Some(refuse(ErrorCode::Exited, message))
            }
        }
    }

    fn start_app(&mut self, spec: ProcessSpec) -> io::Result<Process> {
        let pump = match self.pumps.remove(&spec.instance) {
            // Left open by what an earlier process of this name has left behind.
            Some(mut pump) => {
                pump.set_log(spec.log)?;
                pump
            }
            None => Pump::open(&self.paths.fifo, &spec.instance, spec.log)?,
        };
        let writer = pump.writer();
        self.pumps.insert(spec.instance, pump);
        let order = Order {
            command: spec.command,
            env: Some(spec.env),
            cwd: Some(spec.cwd),
            user: spec.user,
            limits: spec.limits,
            soft_files: self.soft_files,
        };
        let launched = launch::start(&self.options.exe, &order, writer?)?;
        let mut process = Process::launched(Role::App, launched);
        process.label = spec.label;
        process.grace_ms = spec.grace_ms;
        Ok(process)
    }

    pub(super) fn launch_ready(&mut self, name: &str) {
        let Some(process) = self.processes.get_mut(name) else { return };
        let Some(verdict) = process.launch.as_mut().and_then(launch::Launch::turn) else { return };
        process.launch = None;
        let askers = std::mem::take(&mut process.askers);
        let reply = match verdict {
            Ok(()) => {
                let pid = process.pid.as_raw_nonzero().get();
                let reply = spawned(name, process);
                self.journal.add(name, JournalEvent::Started { pid });
                reply
            }
            Err(message) => {
                self.launch_failed(name, &message);
                refuse(ErrorCode::ExecFailed, message)
            }
        };
        for asker in askers {
            self.pay(asker, reply.clone());
        }
    }

    /// The trampoline is about to exit: waiting for it takes no time.
    fn launch_failed(&mut self, name: &str, message: &str) {
        self.unsaved = true;
        let Some(process) = self.processes.remove(name) else { return };
        process.signal(Signal::KILL);
        let _ = waitid(WaitId::Pid(process.pid), WaitIdOptions::EXITED);
        let message = message.to_owned();
        self.journal.add(name, JournalEvent::SpawnFailed { message });
        self.drain(name);
        self.plane_gone(name, &process);
    }
}

fn spawned(instance: &str, process: &Process) -> Reply {
    Reply::Spawned {
        instance: instance.to_owned(),
        pid: process.pid.as_raw_nonzero().get(),
        started_at_ms: process.started_at_ms,
        start_ticks: process.start_ticks,
    }
}

fn problem_of(spec: &ProcessSpec) -> Option<String> {
    let name = &spec.instance;
    let path_problem = |what: &str, path: &Path| {
        (!path.is_absolute()).then(|| format!("{what} {} is not an absolute path", path.display()))
    };
    let usual = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > MAX_NAME || name.starts_with('.') || !name.chars().all(usual)
    {
        return Some(format!(
            "instance {name:?} is not 1 to {MAX_NAME} characters of [A-Za-z0-9._-] without a dot \
             in front"
        ));
    }
    if name == CONTROL || name == PROXY || name.starts_with("proxy.") {
        return Some(format!("instance {name} has a name of the keeper's own; choose another"));
    }
    if spec.command.first().is_none_or(String::is_empty) {
        return Some(format!("instance {name} has no command"));
    }
    if spec.log.max_bytes < 1024 {
        return Some(format!("log max_bytes {} is less than 1024", spec.log.max_bytes));
    }
    if let Some(key) = bad_env_key(spec) {
        return Some(format!("environment variable {key:?}: a name has no `=`, nothing has a NUL"));
    }
    path_problem("cwd", &spec.cwd).or_else(|| path_problem("log", &spec.log.path))
}

fn bad_env_key(spec: &ProcessSpec) -> Option<&str> {
    let bad = |key: &str, value: &str| {
        key.is_empty() || key.contains(['=', '\0']) || value.contains('\0')
    };
    spec.env.iter().find(|(key, value)| bad(key, value)).map(|(key, _)| key.as_str())
}
