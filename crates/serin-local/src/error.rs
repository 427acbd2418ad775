//! What can go wrong here, in words.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a call of this crate failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process listens there.
    #[error("{addr} is in use by another process; choose another `listen` address or stop it")]
    AddrInUse {
        /// The address.
        addr: SocketAddr,
    },
    /// The keeper cannot listen there.
    #[error("{addr} cannot be used: {message}")]
    AddrUnusable {
        /// The address.
        addr: SocketAddr,
        /// The keeper's words.
        message: String,
    },
    /// A program that is not there.
    #[error("`{program}` is not found; give its path, or put its directory into `PATH`")]
    NoProgram {
        /// As the command names it.
        program: String,
    },
    /// A command without a program.
    #[error("`run.command` is empty; name a program")]
    NoCommand,
    /// A variable that the environment of the server has not.
    #[error(
        "env `{name}` is taken from variable `{from}`, which the server's environment does not have"
    )]
    NoVariable {
        /// Variable of the app.
        name: String,
        /// Variable of the server.
        from: String,
    },
    /// A file that cannot be read. Its content is never shown.
    #[error("{what} `{path}` cannot be read: {source}", path = path.display())]
    Unreadable {
        /// What it is for.
        what: String,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that became another one while it was looked at.
    #[error("the files of the command change while they are read; deploy when they are complete")]
    Changing,
    /// What a revision is made of cannot be put aside, so there would be no way back to it.
    #[error("`{path}` cannot be kept for a way back: {source}", path = path.display())]
    NotKept {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of an environment file that is no assignment. Its content is never shown.
    #[error("line {line} of `{path}` is not NAME=value", path = path.display())]
    BadEnvLine {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// No free port.
    #[error(
        "no free port below the system's own range; stop instances or raise ip_local_port_range"
    )]
    NoPort,
    /// The keeper refused an order.
    #[error("the keeper refused: {0}")]
    Keeper(String),
    /// The keeper or the data plane does not answer.
    #[error("{who} does not answer on `{socket}`; it is tried again", socket = socket.display())]
    Away {
        /// Who.
        who: &'static str,
        /// Its socket.
        socket: PathBuf,
    },
    /// A reply that makes no sense.
    #[error("{who} answered something unexpected: {what}")]
    Unexpected {
        /// Who.
        who: &'static str,
        /// What came.
        what: String,
    },
    /// A settings value that cannot be.
    #[error("the data directory `{path}` is not a directory", path = path.display())]
    NoDirectory {
        /// Which one.
        path: PathBuf,
    },
    /// This platform has been shut down.
    #[error("the platform has ended")]
    Ended,
}
