//! Signals as readable sockets.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// The signals the keeper acts on.
pub(crate) struct Signals {
    /// SIGTERM and SIGINT.
    pub(crate) stop: UnixStream,
    /// SIGHUP.
    pub(crate) replace: UnixStream,
    /// SIGCHLD, only as process 1 of a container: orphans of others have to be reaped.
    pub(crate) orphans: Option<UnixStream>,
}

impl Signals {
    pub(crate) fn register() -> io::Result<Self> {
        let first = rustix::process::getpid().is_init();
        Ok(Self {
            stop: on(&[SIGTERM, SIGINT])?,
            replace: on(&[SIGHUP])?,
            orphans: if first { Some(on(&[SIGCHLD])?) } else { None },
        })
    }
}

fn on(signals: &[i32]) -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    for signal in signals {
        pipe::register(*signal, write.try_clone()?)?;
    }
    Ok(read)
}

/// Takes what has come in: how many signals, at least.
pub(crate) fn take(socket: &UnixStream) -> usize {
    let mut buffer = [0; 64];
    let mut total = 0;
    while let Ok(count) = (&mut &*socket).read(&mut buffer) {
        total += count;
        if count < buffer.len() {
            break;
        }
    }
    total
}
