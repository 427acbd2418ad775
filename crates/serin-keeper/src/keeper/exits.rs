//! Ends of processes, and what they have written.

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, wait, waitid};

use super::Keeper;
use crate::procfs::now_ms;
use crate::protocol::{Exit, JournalEvent};
use crate::pump::{CHUNK, Pumped};
use crate::signals;
use crate::state::Role;

/// Most turns of a pump at an exit: twice what a pipe holds. A grandchild that left the group
/// and writes on must not hold the keeper.
const DRAIN_TURNS: usize = 2 * (1 << 20) / CHUNK;

/// Exited instances kept for `list`; the oldest go first.
const MAX_EXITED: usize = 1000;

impl Keeper {
    /// The pidfd of a process is readable.
    pub(super) fn process_ended(&mut self, name: &str) {
        // How its launch went must be known first.
        self.launch_ready(name);
        let Some(process) = self.processes.get(name).filter(|p| p.is_live()) else { return };
        let Some(exit) = exit_of(process.pid, process.is_child) else { return };
        process.kill_group();
        if process.is_child {
            let _ = waitid(WaitId::Pid(process.pid), WaitIdOptions::EXITED);
        }
        self.note_exit(name, exit);
    }

    fn note_exit(&mut self, name: &str, exit: Exit) {
        let Some(process) = self.processes.get_mut(name) else { return };
        process.pidfd = None;
        process.exit = Some(exit);
        let Exit { code, signal, unknown, .. } = exit;
        self.drain(name);
        self.journal.add(name, JournalEvent::Exited { code, signal, unknown });
        self.unsaved = true;
        self.after_exit(name);
    }

    /// An app stays in the list; the planes are started again.
    fn after_exit(&mut self, name: &str) {
        if self.processes.get(name).is_some_and(|p| p.role == Role::App) {
            self.drop_oldest_exited();
        } else if let Some(process) = self.processes.remove(name) {
            self.plane_gone(name, &process);
        }
    }

    fn drop_oldest_exited(&mut self) {
        let exited = self.processes.iter().filter_map(|(n, p)| Some((p.exit?.at_ms, n)));
        let mut exited: Vec<_> = exited.collect();
        if exited.len() > MAX_EXITED {
            exited.sort_unstable();
            let oldest = exited[0].1.clone();
            self.processes.remove(&oldest);
        }
    }

    /// One turn of a FIFO that has something or has ended.
    pub(super) fn pump_ready(&mut self, name: &str) {
        let Some(pump) = self.pumps.get_mut(name) else { return };
        match pump.turn(&mut self.buffer) {
            Pumped::Some(None) | Pumped::Nothing => {}
            Pumped::Some(Some(lines)) => self.journal.add(name, JournalEvent::LogDropped { lines }),
            Pumped::End => self.drop_pump(name),
        }
    }

    /// Reads what is in a FIFO now.
    pub(super) fn drain(&mut self, name: &str) {
        for _ in 0..DRAIN_TURNS {
            let Some(pump) = self.pumps.get_mut(name) else { return };
            match pump.turn(&mut self.buffer) {
                Pumped::Some(None) => {}
                Pumped::Some(Some(lines)) => {
                    self.journal.add(name, JournalEvent::LogDropped { lines });
                }
                Pumped::Nothing => return,
                Pumped::End => return self.drop_pump(name),
            }
        }
    }

    fn drop_pump(&mut self, name: &str) {
        if let Some(mut pump) = self.pumps.remove(name) {
            let lines = pump.take_dropped();
            if lines > 0 {
                self.journal.add(name, JournalEvent::LogDropped { lines });
            }
            pump.remove();
            self.unsaved = true;
        }
    }

    /// As process 1: children of others that became ours. Our own are looked at first; one that
    /// ends just then may be among those reaped here.
    pub(super) fn reap_orphans(&mut self) {
        if let Some(orphans) = &self.signals.orphans {
            signals::take(orphans);
        }
        let children = self.processes.iter().filter(|(_, p)| p.is_child);
        for name in children.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.process_ended(&name);
        }
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let ours = self.processes.iter_mut().find(|(_, p)| p.is_live() && p.pid == pid);
            let Some((name, process)) = ours else { continue };
            process.is_child = false;
            process.kill_group();
            let (name, code, signal) =
                (name.clone(), status.exit_status(), status.terminating_signal());
            self.note_exit(&name, known(code, signal));
        }
    }
}

/// How a process ended; `None` when it has not. A child is left unreaped.
fn exit_of(pid: Pid, is_child: bool) -> Option<Exit> {
    if !is_child {
        return Some(known(None, None));
    }
    let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(pid), peek) {
        Ok(Some(status)) => Some(known(status.exit_status(), status.terminating_signal())),
        Ok(None) | Err(Errno::INTR) => None,
        Err(_) => Some(known(None, None)),
    }
}

fn known(code: Option<i32>, signal: Option<i32>) -> Exit {
    Exit { code, signal, unknown: code.is_none() && signal.is_none(), at_ms: now_ms() }
}
