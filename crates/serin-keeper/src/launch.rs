//! Starting a process: the keeper's side of the trampoline.
//!
//! The trampoline is started with a socket as its stdin and waits there for its order, a line of
//! JSON. The keeper sends it only after its state file names the pid. The socket is close-on-exec
//! in the trampoline: its end after `ready` says that the command was executed, a message before
//! the end says why not.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

use crate::outbox::Outbox;
use crate::procfs;
use crate::protocol::Limits;

/// What the trampoline is to do.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) command: Vec<String>,
    /// The complete environment; `None` keeps the keeper's own.
    pub(crate) env: Option<BTreeMap<String, String>>,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) user: Option<String>,
    pub(crate) limits: Limits,
    /// Soft limit of open files to go back to, the keeper has raised its own.
    pub(crate) soft_files: Option<u64>,
}

/// A process that has been started and has not yet executed its command.
pub(crate) struct Launch {
    socket: UnixStream,
    order: Outbox,
    answer: Vec<u8>,
}

/// A process just started.
pub(crate) struct Launched {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    pub(crate) start_ticks: u64,
    pub(crate) launch: Launch,
}

/// Starts the trampoline; `log` becomes its stdout and stderr.
pub(crate) fn start(exe: &Path, order: &Order, log: File) -> io::Result<Launched> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut command = Command::new(exe);
    command.arg("__exec").stdin(OwnedFd::from(theirs)).stdout(log.try_clone()?).stderr(log);
    if order.env.is_some() {
        command.env_clear();
    }
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    let mut outbox = Outbox::default();
    outbox.push(line, None);
    // Dropping a `Child` neither ends nor waits for it; the keeper waits through the pidfd.
    let mut child = command.spawn()?;
    drop(command);
    let pid = Pid::from_raw(child.id() as i32).ok_or(io::ErrorKind::InvalidData)?;
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(e) => {
            // Without an order the trampoline ends by itself.
            drop(ours);
            let _ = child.wait();
            return Err(e.into());
        }
    };
    let start_ticks = procfs::start_ticks(pid).unwrap_or(0);
    let launch = Launch { socket: ours, order: outbox, answer: Vec::new() };
    Ok(Launched { pid, pidfd, start_ticks, launch })
}

impl Launch {
    pub(crate) fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// There is something to send still.
    pub(crate) fn wants_to_send(&self) -> bool {
        !self.order.is_empty()
    }

    /// Sends and receives what is possible now. `Some` when it is decided: the command was
    /// executed, or why not.
    pub(crate) fn turn(&mut self) -> Option<Result<(), String>> {
        // A trampoline that is gone is noticed by the read below.
        let _ = self.order.flush(&self.socket);
        let mut buffer = [0; 4096];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Some(self.verdict()),
                Ok(count) => self.answer.extend_from_slice(&buffer[..count]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return None,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Some(self.verdict()),
            }
        }
    }

    fn verdict(&self) -> Result<(), String> {
        let answer = String::from_utf8_lossy(&self.answer);
        match answer.strip_prefix(READY) {
            Some("") => Ok(()),
            Some(failure) => Err(failure.to_owned()),
            None if answer.is_empty() => {
                Err("ended before it could execute the command".to_owned())
            }
            None => Err(answer.into_owned()),
        }
    }
}

/// Said by the trampoline when all that is left to do is to execute the command.
pub(crate) const READY: &str = "ready\n";

/// Arguments as strings; what is not UTF-8 is replaced.
pub(crate) fn command_line(exe: &Path, args: &[String]) -> Vec<String> {
    let exe: OsString = exe.as_os_str().to_owned();
    std::iter::once(exe.to_string_lossy().into_owned()).chain(args.iter().cloned()).collect()
}
