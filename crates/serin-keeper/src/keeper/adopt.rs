//! Taking over from a keeper that died, and leaving what the next one needs.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::Keeper;
use super::process::{Process, Stop};
use crate::error::Error;
use crate::journal::write_private;
use crate::paths::Paths;
use crate::procfs::{self, now_ms};
use crate::protocol::{CONTROL, Exit, JournalEvent, PROXY};
use crate::pump::Pump;
use crate::report::say;
use crate::state::{Role, SavedFifo, SavedProcess, State};

/// First wait before a data plane is asked again; it doubles each time.
const LISTENER_REST: Duration = Duration::from_millis(250);

/// Longest such wait: an ask may block the keeper for seconds.
const MAX_LISTENER_REST: Duration = Duration::from_secs(60);

/// How long saving rests when the disk does not take it.
const SAVE_REST: Duration = Duration::from_secs(1);

/// What a keeper before this one has left. The mark of this boot is in place before anything is
/// started.
///
/// # Errors
/// The state file is there and cannot be read. Only after the machine has gone down, when nothing
/// of what it named can run, that is as good as an empty one: a power cut may tear a file, and
/// nobody may be there to mend it.
pub(super) fn inherited(paths: &Paths, boot_id: &str) -> Result<Option<State>, Error> {
    let marked = fs::read_to_string(&paths.boot).unwrap_or_default();
    let rebooted = !boot_id.is_empty() && marked != boot_id;
    let left = match State::load(&paths.state) {
        Err(e) if rebooted && e.kind() == io::ErrorKind::InvalidData => {
            let path = paths.state.display();
            say(format_args!("{path} was torn when the machine went down; it is written anew"));
            Some(State::default())
        }
        loaded => loaded.map_err(Error::io("read", &paths.state))?,
    };
    if rebooted {
        // On a full disk all goes on without the mark: it counts only for a torn file.
        let _ = write_private(&paths.boot, boot_id.as_bytes());
    }
    Ok(left)
}

impl Keeper {
    pub(super) fn adopt(&mut self, state: State) {
        let same_boot = !state.boot_id.is_empty() && state.boot_id == self.boot_id;
        if !same_boot {
            self.journal.rebooted();
        }
        for fifo in state.fifos {
            self.reopen_fifo(fifo);
        }
        for saved in state.processes {
            self.adopt_process(saved, same_boot);
        }
        for addr in state.listeners {
            self.listeners.miss(addr);
        }
        self.hold_listeners_again();
    }

    fn reopen_fifo(&mut self, SavedFifo { instance, log }: SavedFifo) {
        let opened = if instance == CONTROL || instance == PROXY {
            Pump::open_held(&self.paths.fifo, &instance, log)
        } else {
            Pump::open(&self.paths.fifo, &instance, log)
        };
        match opened {
            Ok(pump) => {
                self.pumps.insert(instance.clone(), pump);
                // Also finds out whether anyone still has it open.
                self.drain(&instance);
            }
            Err(e) => say(format_args!("cannot read the log of {instance} on: {e}")),
        }
    }

    fn adopt_process(&mut self, saved: SavedProcess, same_boot: bool) {
        let Some(pid) = Pid::from_raw(saved.pid) else { return };
        let pidfd = if same_boot && saved.exit.is_none() { still_there(pid, &saved) } else { None };
        let (name, role, was_live) = (saved.instance.clone(), saved.role, saved.exit.is_none());
        let is_live = pidfd.is_some();
        if is_live {
            self.journal.add(&name, JournalEvent::Adopted { pid: saved.pid });
        } else if was_live {
            let event = JournalEvent::Exited { code: None, signal: None, unknown: true };
            self.journal.add(&name, event);
        }
        if is_live || role == Role::App {
            self.processes.insert(name, adopted(saved, pid, pidfd));
        }
    }

    /// From the data plane where it holds them, else bound anew.
    fn hold_listeners_again(&mut self) {
        let proxy_lives = self.live(Role::Proxy).is_some();
        if proxy_lives && self.listeners.has_missing() {
            self.take_back_listeners();
        }
        let failures = self.listeners.bind_missing();
        for failure in &failures {
            say(format_args!("{}", failure.message));
        }
        // A data plane that is just starting may hold some and not answer yet.
        if proxy_lives && !failures.is_empty() {
            let rest = self.listener_rest.map_or(LISTENER_REST, |(_, rest)| rest * 2);
            let rest = rest.min(MAX_LISTENER_REST);
            self.listener_rest = Some((Instant::now() + rest, rest));
        } else {
            self.listener_rest = None;
        }
    }

    /// Asks again for listeners that a living data plane holds and has not handed back.
    pub(super) fn ask_again_for_listeners(&mut self, now: Instant) {
        if self.listener_rest.is_some_and(|(due, _)| due <= now) {
            self.hold_listeners_again();
        }
    }

    pub(super) fn take_back_listeners(&mut self) {
        match self.listeners.take_back(&self.paths.proxy_socket) {
            Ok(count) => say(format_args!("the data plane has handed {count} listeners back")),
            Err(e) => say(format_args!("the data plane does not hand its listeners back: {e}")),
        }
        self.unsaved = true;
    }

    /// Writes what is behind, the state file and the journal; after a failure again only when
    /// [`SAVE_REST`] is over.
    pub(super) fn save(&mut self) {
        let now = Instant::now();
        if self.save_again.is_some_and(|again| again > now) {
            return;
        }
        if self.unsaved {
            let saved = self.state().save(&self.paths.state);
            self.unsaved = saved.is_err();
            self.report_save(saved.err().as_ref());
        }
        self.journal.write();
        let behind = self.unsaved || self.journal.is_behind();
        self.save_again = behind.then(|| now + SAVE_REST);
    }

    fn state(&self) -> State {
        let fifos = self.pumps.iter().map(|(instance, pump)| SavedFifo {
            instance: instance.clone(),
            log: pump.log_spec().clone(),
        });
        State {
            boot_id: self.boot_id.clone(),
            processes: self.processes.iter().map(|(name, p)| p.saved(name)).collect(),
            fifos: fifos.collect(),
            listeners: self.listeners.addrs(),
        }
    }

    /// Says it once when saving begins to fail, and once when it works again.
    fn report_save(&mut self, error: Option<&io::Error>) {
        let path = self.paths.state.display();
        match (error, self.save_failed) {
            (Some(e), false) => say(format_args!(
                "cannot write {path}: {e}; all goes on, but a keeper started anew would not know \
                 what has changed since"
            )),
            (None, true) => say(format_args!("{path} is written again")),
            _ => {}
        }
        self.save_failed = error.is_some();
    }
}

/// The process itself, not another one that got its number.
fn still_there(pid: Pid, saved: &SavedProcess) -> Option<OwnedFd> {
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    (procfs::start_ticks(pid)? == saved.start_ticks).then_some(pidfd)
}

fn adopted(saved: SavedProcess, pid: Pid, pidfd: Option<OwnedFd>) -> Process {
    let gone = Exit { code: None, signal: None, unknown: true, at_ms: now_ms() };
    let exit = if pidfd.is_some() { None } else { Some(saved.exit.unwrap_or(gone)) };
    let stop = saved.kill_at_ms.map(|at| Stop::after(at.saturating_sub(now_ms())));
    Process {
        role: saved.role,
        label: saved.label,
        pid,
        start_ticks: saved.start_ticks,
        started_at_ms: saved.started_at_ms,
        since: Instant::now(),
        grace_ms: saved.grace_ms,
        pidfd,
        is_child: false,
        launch: None,
        askers: Vec::new(),
        stop,
        exit,
    }
}
