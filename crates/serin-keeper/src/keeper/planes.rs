//! The control plane and the data plane: kept running, and the data plane replaced under load.

use std::io;
use std::time::{Duration, Instant};

use super::Keeper;
use super::process::Process;
use super::shutdown::Phase;
use crate::launch::{self, Order};
use crate::listeners;
use crate::log::tail;
use crate::protocol::{CONTROL, JournalEvent, Limits, LogSpec, PROXY};
use crate::pump::Pump;
use crate::report::say;
use crate::state::Role;

/// A plane that lived shorter than this died at its start.
const QUICK_DEATH: Duration = Duration::from_secs(1);

/// The quick death in a row at which the operator is told what the plane has said.
const TELLING_DEATH: u32 = 3;

/// Lines at the end of its log among which there should be one that is not empty.
const LAST_WORDS: usize = 10;

/// Longest wait before a plane is started again.
const MAX_BACKOFF_MS: u64 = 2000;

/// How long a new data plane may take until it answers on the control socket.
const REPLACE_PATIENCE: Duration = Duration::from_secs(10);

/// How often that is looked at.
const REPLACE_LOOK: Duration = Duration::from_millis(25);

/// The new data plane until it has taken over.
pub(super) const NEXT_PROXY: &str = "proxy.next";

#[derive(Default)]
pub(super) struct Planes {
    control: Plane,
    proxy: Plane,
    replacement: Option<Replacement>,
}

#[derive(Default)]
struct Plane {
    quick_deaths: u32,
    /// When it is to be started.
    due: Option<Instant>,
}

struct Replacement {
    look: Instant,
    give_up: Instant,
}

impl Planes {
    pub(super) fn next_due(&self) -> impl Iterator<Item = Instant> {
        let look = self.replacement.as_ref().map(|r| r.look);
        [self.control.due, self.proxy.due, look].into_iter().flatten()
    }
}

impl Plane {
    /// 0, 50, 100, 200 ... 2000 ms.
    fn backoff(&mut self, lived: Duration) -> Duration {
        if lived >= QUICK_DEATH {
            self.quick_deaths = 0;
            return Duration::ZERO;
        }
        self.quick_deaths += 1;
        let doublings = self.quick_deaths.saturating_sub(2).min(10);
        let wait = if self.quick_deaths < 2 { 0 } else { 50 << doublings };
        Duration::from_millis(wait.min(MAX_BACKOFF_MS))
    }
}

impl Keeper {
    /// At the keeper's start: those that were not adopted are due at once.
    pub(super) fn start_planes(&mut self) {
        let now = Instant::now();
        self.planes.proxy.due = self.live(Role::Proxy).is_none().then_some(now);
        self.planes.control.due = self.live(Role::Control).is_none().then_some(now);
        if self.live(Role::NextProxy).is_some() {
            self.await_replacement();
        }
        self.start_due_planes(now);
        self.save();
    }

    /// The data plane first: the control plane wants to talk to it.
    pub(super) fn start_due_planes(&mut self, now: Instant) {
        if self.phase != Phase::Running {
            self.planes = Planes::default();
            return;
        }
        if self.planes.proxy.due.is_some_and(|due| due <= now) {
            self.planes.proxy.due = None;
            self.start_plane(PROXY, Role::Proxy);
        }
        if self.planes.control.due.is_some_and(|due| due <= now) {
            self.planes.control.due = None;
            self.start_plane(CONTROL, Role::Control);
        }
    }

    fn start_plane(&mut self, name: &str, role: Role) {
        match self.launch_plane(name, role) {
            Ok(process) => {
                self.processes.insert(name.to_owned(), process);
                self.unsaved = true;
            }
            Err(error) => {
                say(format_args!("cannot start {name}: {error}"));
                self.plane_due(role, Duration::ZERO);
            }
        }
    }

    fn launch_plane(&mut self, name: &str, role: Role) -> io::Result<Process> {
        let (log, args) = match role {
            Role::Control => (CONTROL, &self.options.control_args),
            _ => (PROXY, &self.options.proxy_args),
        };
        let order = Order {
            command: launch::command_line(&self.options.exe, args),
            env: None,
            cwd: None,
            user: None,
            limits: Limits::default(),
            soft_files: None,
        };
        let writer = self.plane_pump(log)?.writer()?;
        let launched = launch::start(&self.options.exe, &order, writer)?;
        say(format_args!("{name} is started with pid {}", launched.pid));
        Ok(Process::launched(role, launched))
    }

    /// All data planes write to one FIFO, which outlives them.
    pub(super) fn plane_pump(&mut self, log: &str) -> io::Result<&mut Pump> {
        if !self.pumps.contains_key(log) {
            let spec = LogSpec::at(self.paths.logs.join(format!("{log}.log")));
            let pump = Pump::open_held(&self.paths.fifo, log, spec)?;
            self.pumps.insert(log.to_owned(), pump);
        }
        self.pumps.get_mut(log).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// A plane has ended or could not be started; it is no longer in the table.
    pub(super) fn plane_gone(&mut self, name: &str, process: &Process) {
        if process.role == Role::App || process.role == Role::RetiredProxy {
            return;
        }
        self.drain(if process.role == Role::Control { CONTROL } else { PROXY });
        if self.phase != Phase::Running {
            return;
        }
        if process.role == Role::NextProxy {
            self.planes.replacement = None;
            say(format_args!("the new data plane ended; the old one goes on, see logs/proxy.log"));
        } else if process.role == Role::Proxy && self.live(Role::NextProxy).is_some() {
            self.promote_next_proxy();
        } else {
            say(format_args!("{name} ended {}; it is started again", how(process)));
            self.plane_due(process.role, process.lived());
            self.tell_last_words(process.role);
        }
        self.hold_missing_listeners();
    }

    /// Once for each row of quick deaths: why, in the plane's own words.
    fn tell_last_words(&self, role: Role) {
        let (name, plane) = match role {
            Role::Control => (CONTROL, &self.planes.control),
            _ => (PROXY, &self.planes.proxy),
        };
        if plane.quick_deaths != TELLING_DEATH {
            return;
        }
        let path = self.paths.logs.join(format!("{name}.log"));
        let last = tail(&path, LAST_WORDS).into_iter().rfind(|line| !line.trim().is_empty());
        let last = last.as_deref().unwrap_or("nothing");
        let path = path.display();
        say(format_args!("{name} keeps dying at its start; the end of {path}: {last}"));
    }

    fn plane_due(&mut self, role: Role, lived: Duration) {
        let control = role == Role::Control;
        let plane = if control { &mut self.planes.control } else { &mut self.planes.proxy };
        plane.due = Some(Instant::now() + plane.backoff(lived));
    }

    /// SIGHUP: starts a new data plane beside the old one.
    pub(super) fn replace_proxy(&mut self) {
        let ready = self.phase == Phase::Running && self.planes.replacement.is_none();
        if !ready || self.live(Role::Proxy).is_none() {
            say(format_args!("the data plane is not replaced: it is being started or stopped"));
            return;
        }
        match self.launch_plane(NEXT_PROXY, Role::NextProxy) {
            Ok(process) => {
                self.processes.insert(NEXT_PROXY.to_owned(), process);
                self.unsaved = true;
                self.await_replacement();
            }
            Err(error) => say(format_args!("cannot start a new data plane: {error}")),
        }
    }

    fn await_replacement(&mut self) {
        let now = Instant::now();
        self.planes.replacement =
            Some(Replacement { look: now + REPLACE_LOOK, give_up: now + REPLACE_PATIENCE });
    }

    /// The new data plane has taken over when the control socket is its own.
    pub(super) fn check_replacement(&mut self, now: Instant) {
        let Some(replacement) = &mut self.planes.replacement else { return };
        if replacement.look > now {
            return;
        }
        replacement.look = now + REPLACE_LOOK;
        let give_up = replacement.give_up <= now;
        let Some((_, next)) = self.live(Role::NextProxy) else {
            self.planes.replacement = None;
            return;
        };
        if listeners::owner(&self.paths.proxy_socket) == Some(next.pid) {
            self.promote_next_proxy();
        } else if give_up {
            say(format_args!("the new data plane does not answer; the old one goes on"));
            self.planes.replacement = None;
            self.stop(NEXT_PROXY, 0);
        }
    }

    fn promote_next_proxy(&mut self) {
        self.planes.replacement = None;
        let Some(mut next) = self.processes.remove(NEXT_PROXY) else { return };
        next.role = Role::Proxy;
        let pid = next.pid.as_raw_nonzero().get();
        let old = self.processes.insert(PROXY.to_owned(), next);
        self.journal.add(PROXY, JournalEvent::Replaced { pid });
        say(format_args!("data plane {pid} has taken over"));
        self.unsaved = true;
        if let Some(mut old) = old.filter(Process::is_live) {
            old.role = Role::RetiredProxy;
            let name = format!("{PROXY}.{}", old.pid);
            self.processes.insert(name.clone(), old);
            self.retire(&name);
        }
    }

    /// What the ended data plane may have held is free now.
    fn hold_missing_listeners(&mut self) {
        if self.listeners.has_missing() {
            for failure in self.listeners.bind_missing() {
                say(format_args!("{}", failure.message));
            }
        }
    }
}

fn how(process: &Process) -> String {
    match process.exit {
        Some(exit) => match (exit.code, exit.signal) {
            (Some(code), _) => format!("with exit code {code}"),
            (_, Some(signal)) => format!("by signal {signal}"),
            _ => "with unknown status".to_owned(),
        },
        None => "before it began".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_a_long_life_starts_anew() {
        let mut plane = Plane::default();
        let quick = Duration::from_millis(10);
        let waits: Vec<u128> = (0..9).map(|_| plane.backoff(quick).as_millis()).collect();
        assert_eq!(waits, [0, 50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(plane.backoff(QUICK_DEATH), Duration::ZERO);
        assert_eq!(plane.backoff(quick), Duration::ZERO);
    }
}
