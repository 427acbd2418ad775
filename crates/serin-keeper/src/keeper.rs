//! The keeper itself: its state and its loop.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::Error;
use crate::journal::Journal;
use crate::listeners::Listeners;
use crate::paths::Paths;
use crate::procfs;
use crate::pump::{CHUNK, Pump};
use crate::report::say;
use crate::signals::Signals;
use crate::state::{Role, State};

mod adopt;
mod connection;
mod exits;
mod planes;
mod poll;
mod process;
mod requests;
mod shutdown;
mod spawn;
mod stop;

use connection::Connection;
use planes::Planes;
use process::Process;
use shutdown::Phase;

/// Descriptors the keeper wants: three for each process, one for each connection.
const OPEN_FILES: u64 = 65_536;

/// What a keeper works with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory; made if it does not exist.
    pub data: PathBuf,
    /// The `serin` binary, started for the trampoline (`__exec`), the control and the data plane.
    pub exe: PathBuf,
    /// Arguments of the control plane.
    pub control_args: Vec<String>,
    /// Arguments of the data plane.
    pub proxy_args: Vec<String>,
}

/// Keeps processes until SIGTERM, SIGINT or a `shutdown` request has stopped all of them.
///
/// # Errors
/// When the data directory cannot be used: [`Error::Locked`] by another keeper,
/// [`Error::PathTooLong`], [`Error::Exposed`], or any call to the system; also when the state file
/// of a keeper before this one cannot be read, for then what it had started may still run.
pub fn run(options: Options) -> Result<(), Error> {
    let (mut keeper, left) = Keeper::start(options)?;
    if let Some(state) = left {
        keeper.adopt(state);
    }
    keeper.start_planes();
    say(format_args!("ready, pid {}, data in {}", std::process::id(), keeper.paths.data.display()));
    while !keeper.is_done() {
        let path = keeper.paths.data.clone();
        keeper.turn().map_err(Error::io("wait for events of", path))?;
    }
    keeper.end();
    Ok(())
}

struct Keeper {
    options: Options,
    paths: Paths,
    _lock: File,
    signals: Signals,
    socket: UnixListener,
    /// Accepting failed for want of descriptors; try again then.
    accept_again: Option<Instant>,
    connections: BTreeMap<u64, Connection>,
    last_connection: u64,
    processes: BTreeMap<String, Process>,
    pumps: BTreeMap<String, Pump>,
    journal: Journal,
    listeners: Listeners,
    /// When a data plane that holds missing listeners is asked again, and the wait before it.
    listener_rest: Option<(Instant, Duration)>,
    planes: Planes,
    phase: Phase,
    boot_id: String,
    /// The state file is older than the state.
    unsaved: bool,
    /// The state file could not be written; said once.
    save_failed: bool,
    /// When to try again what could not be written.
    save_again: Option<Instant>,
    /// Soft limit of open files at the start, for the apps.
    soft_files: Option<u64>,
    buffer: Vec<u8>,
}

impl Keeper {
    /// Also returns what a keeper before this one has left.
    fn start(mut options: Options) -> Result<(Self, Option<State>), Error> {
        let paths = Paths::prepare(&options.data)?;
        let lock = paths.lock()?;
        let boot_id = procfs::boot_id();
        let left = adopt::inherited(&paths, &boot_id)?;
        options.exe =
            std::path::absolute(&options.exe).map_err(Error::io("resolve", &options.exe))?;
        let journal = Journal::open(&paths.journal).map_err(Error::io("open", &paths.journal))?;
        let signals = Signals::register().map_err(Error::io("watch signals for", &paths.data))?;
        let socket = listen(&paths).map_err(Error::io("listen on", &paths.socket))?;
        let keeper = Self {
            options,
            _lock: lock,
            signals,
            socket,
            accept_again: None,
            connections: BTreeMap::new(),
            last_connection: 0,
            processes: BTreeMap::new(),
            pumps: BTreeMap::new(),
            journal,
            listeners: Listeners::default(),
            listener_rest: None,
            planes: Planes::default(),
            phase: Phase::Running,
            boot_id,
            unsaved: true,
            save_failed: false,
            save_again: None,
            soft_files: raise_open_files(),
            buffer: vec![0; CHUNK],
            paths,
        };
        Ok((keeper, left))
    }

    /// One round: wait, handle what came, do what is due, save.
    fn turn(&mut self) -> io::Result<()> {
        for token in self.wait()? {
            self.handle(token);
        }
        let now = Instant::now();
        self.accept_again = self.accept_again.filter(|again| *again > now);
        self.kill_overdue(now);
        self.start_due_planes(now);
        self.check_replacement(now);
        self.ask_again_for_listeners(now);
        self.advance_shutdown();
        self.feed_watches();
        self.save();
        Ok(())
    }

    /// The earliest moment something is due.
    fn next_deadline(&self) -> Option<Instant> {
        let kills = self.processes.values().filter_map(Process::kill_at);
        let listeners = self.listener_rest.map(|(due, _)| due);
        let others = [self.accept_again, listeners, self.save_again];
        kills.chain(self.planes.next_due()).chain(others.into_iter().flatten()).min()
    }

    fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    /// The last words: logs are drained, the socket is removed, the lock goes with the process.
    fn end(&mut self) {
        for name in self.pumps.keys().cloned().collect::<Vec<_>>() {
            self.drain(&name);
        }
        while let Some((_, pump)) = self.pumps.pop_first() {
            pump.remove();
        }
        self.listeners.clear();
        self.unsaved = true;
        self.save_again = None;
        self.save();
        self.flush_connections();
        let _ = std::fs::remove_file(&self.paths.socket);
    }

    fn live(&self, role: Role) -> Option<(&String, &Process)> {
        self.processes.iter().find(|(_, p)| p.role == role && p.is_live())
    }
}

/// The lock is held: a socket that is there belongs to a keeper that is dead.
fn listen(paths: &Paths) -> io::Result<UnixListener> {
    let _ = std::fs::remove_file(&paths.socket);
    let socket = UnixListener::bind(&paths.socket)?;
    std::fs::set_permissions(&paths.socket, std::fs::Permissions::from_mode(0o600))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Returns the soft limit there was.
fn raise_open_files() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(OPEN_FILES, |hard| hard.min(OPEN_FILES));
    if current.is_some_and(|soft| soft < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum };
        if let Err(e) = setrlimit(Resource::Nofile, raised) {
            say(format_args!("cannot raise the limit of open files to {wanted}: {e}"));
        }
    }
    current
}

/// How long until `deadline`, rounded up to whole milliseconds so that it is due on waking.
fn until(deadline: Instant) -> Duration {
    let left = deadline.saturating_duration_since(Instant::now());
    Duration::from_millis(left.as_micros().div_ceil(1000) as u64)
}
