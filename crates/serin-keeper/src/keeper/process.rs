//! One process in the keeper's table.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, pidfd_send_signal};

use crate::launch::{Launch, Launched};
use crate::procfs::{self, now_ms};
use crate::protocol::{Exit, ProcessInfo, ProcessState};
use crate::state::{Role, SavedProcess};

pub(super) struct Process {
    pub(super) role: Role,
    pub(super) label: serde_json::Value,
    pub(super) pid: Pid,
    pub(super) start_ticks: u64,
    pub(super) started_at_ms: u64,
    /// For [`Self::lived`]; of an adopted process the moment of adoption.
    pub(super) since: Instant,
    pub(super) grace_ms: u64,
    /// Readable when the process has ended; `None` afterwards.
    pub(super) pidfd: Option<OwnedFd>,
    /// A child of this keeper: its status can be learned, its pid is ours until then.
    pub(super) is_child: bool,
    /// Until the command is executed.
    pub(super) launch: Option<Launch>,
    /// Who is to be told: connection and request.
    pub(super) askers: Vec<(u64, u64)>,
    pub(super) stop: Option<Stop>,
    pub(super) exit: Option<Exit>,
}

/// A stop under way.
#[derive(Clone, Copy)]
pub(super) struct Stop {
    kill_at: Instant,
    kill_at_ms: u64,
    pub(super) killed: bool,
}

impl Stop {
    pub(super) fn after(grace_ms: u64) -> Self {
        // More than a year is never meant and could not be added to an `Instant`.
        let grace_ms = grace_ms.min(366 * 86_400_000);
        Self {
            kill_at: Instant::now() + Duration::from_millis(grace_ms),
            kill_at_ms: now_ms() + grace_ms,
            killed: false,
        }
    }

    pub(super) fn kill_at(&self) -> Instant {
        self.kill_at
    }
}

impl Process {
    pub(super) fn launched(role: Role, launched: Launched) -> Self {
        Self {
            role,
            label: serde_json::Value::Null,
            pid: launched.pid,
            start_ticks: launched.start_ticks,
            started_at_ms: now_ms(),
            since: Instant::now(),
            grace_ms: 0,
            pidfd: Some(launched.pidfd),
            is_child: true,
            launch: Some(launched.launch),
            askers: Vec::new(),
            stop: None,
            exit: None,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        self.exit.is_none()
    }

    /// When SIGKILL is due.
    pub(super) fn kill_at(&self) -> Option<Instant> {
        self.stop.filter(|stop| self.is_live() && !stop.killed).map(|stop| stop.kill_at)
    }

    pub(super) fn lived(&self) -> Duration {
        self.since.elapsed()
    }

    /// Signals the process's group: each member once, for some take a second SIGTERM as "now".
    /// Before the process has a group of its own only the process itself is there.
    pub(super) fn signal(&self, signal: Signal) {
        let Some(pidfd) = &self.pidfd else { return };
        if !self.signal_group(signal) {
            let _ = pidfd_send_signal(pidfd, signal);
        }
    }

    /// Kills what its leader has left behind.
    pub(super) fn kill_group(&self) {
        self.signal_group(Signal::KILL);
    }

    /// False when there is no such group. The pid of a child is ours until it is waited for. That
    /// of an adopted process may be free by now, but while its group has members no new process
    /// gets the number: only a process of that number with another start is a stranger.
    fn signal_group(&self, signal: Signal) -> bool {
        let ours = self.is_child
            || procfs::start_ticks(self.pid).is_none_or(|ticks| ticks == self.start_ticks);
        ours && kill_process_group(self.pid, signal).is_ok()
    }

    pub(super) fn info(&self, instance: &str) -> ProcessInfo {
        let state = match (self.exit, self.stop) {
            (Some(exit), _) => ProcessState::Exited(exit),
            (None, Some(_)) => ProcessState::Stopping,
            (None, None) => ProcessState::Running,
        };
        ProcessInfo {
            instance: instance.to_owned(),
            label: self.label.clone(),
            pid: self.pid.as_raw_nonzero().get(),
            started_at_ms: self.started_at_ms,
            start_ticks: self.start_ticks,
            state,
        }
    }

    pub(super) fn saved(&self, instance: &str) -> SavedProcess {
        SavedProcess {
            instance: instance.to_owned(),
            role: self.role,
            label: self.label.clone(),
            pid: self.pid.as_raw_nonzero().get(),
            start_ticks: self.start_ticks,
            started_at_ms: self.started_at_ms,
            grace_ms: self.grace_ms,
            kill_at_ms: self.stop.map(|stop| stop.kill_at_ms),
            exit: self.exit,
        }
    }
}
