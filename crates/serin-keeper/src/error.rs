//! Why the keeper cannot start.

use std::io;
use std::path::PathBuf;

/// Why [`run`](crate::run) ended without doing its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another keeper works on the same data directory.
    #[error(
        "data directory {data} is in use by the keeper with pid {pid}; \
         stop that one or choose another directory"
    )]
    Locked {
        /// The data directory.
        data: PathBuf,
        /// The holder's pid; 0 when it has not written it yet.
        pid: u32,
    },
    /// A socket's path does not fit into a unix socket address.
    #[error(
        "socket path {path} has {len} bytes, the system allows {max}; \
         choose a data directory with a shorter path",
        max = crate::paths::MAX_SOCKET_PATH
    )]
    PathTooLong {
        /// The socket's path.
        path: PathBuf,
        /// Its length in bytes.
        len: usize,
    },
    /// The data directory is open to others and holds something.
    #[error(
        "data directory {data} has mode {mode:04o}, open to other users; \
         run `chmod 700 {data}` or choose another directory"
    )]
    Exposed {
        /// The data directory.
        data: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A call to the system failed.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`.
    pub(crate) fn io<E: Into<io::Error>>(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source: source.into() }
    }
}
