//! Stopping processes: SIGTERM, a grace period, SIGKILL.

use std::time::Instant;

use rustix::process::Signal;

use super::Keeper;
use super::process::Stop;
use super::requests::{not_found, refuse};
use crate::protocol::{ErrorCode, JournalEvent, Reply};
use crate::state::Role;

impl Keeper {
    /// The `stop` request.
    pub(super) fn stop_app(&mut self, instance: &str, grace_ms: u64) -> Reply {
        match self.processes.get(instance) {
            None => not_found(instance),
            Some(process) if process.role != Role::App => refuse(
                ErrorCode::BadRequest,
                format!("{instance} is the keeper's own; `shutdown` stops everything"),
            ),
            Some(_) => {
                self.stop(instance, grace_ms);
                Reply::Ok
            }
        }
    }

    /// Orders the end of a process, or an earlier end of one that is being stopped.
    pub(super) fn stop(&mut self, name: &str, grace_ms: u64) {
        let Some(process) = self.processes.get_mut(name).filter(|p| p.is_live()) else { return };
        let stop = Stop::after(grace_ms);
        match process.kill_at() {
            Some(earlier) if earlier <= stop.kill_at() => return,
            Some(_) => process.stop = Some(stop),
            None if process.stop.is_some() => return,
            None => {
                process.stop = Some(stop);
                process.signal(Signal::TERM);
                self.journal.add(name, JournalEvent::Stopping { grace_ms });
            }
        }
        self.unsaved = true;
    }

    /// Kills those whose grace period is over.
    pub(super) fn kill_overdue(&mut self, now: Instant) {
        for (name, process) in &mut self.processes {
            if process.kill_at().is_some_and(|at| at <= now) {
                process.signal(Signal::KILL);
                self.journal.add(name, JournalEvent::Killed);
                if let Some(stop) = &mut process.stop {
                    stop.killed = true;
                }
            }
        }
    }
}
