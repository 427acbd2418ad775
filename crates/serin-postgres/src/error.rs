//! Why there is no server.

use std::path::PathBuf;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No programs.
    #[error("no `initdb` and `postgres` found; install Debian's `postgresql`, or set SERIN_PG_BIN")]
    NotInstalled,
    /// Root may not run it, and there is nobody else to be.
    #[error("Postgres does not run as root, and there is no user `postgres` or `nobody`")]
    NoUser,
    /// A program failed.
    #[error("`{program}` failed: {said}", program = .program.display())]
    Program {
        /// Which.
        program: PathBuf,
        /// The last of what it said.
        said: String,
    },
    /// It did not come up in time.
    #[error("Postgres did not answer within {seconds} s; its log ends with: {log}")]
    Silent {
        /// Time waited.
        seconds: u64,
        /// End of its log.
        log: String,
    },
    /// No certificate could be made.
    #[error("making a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
