//! The keeper's protocol, version 1.
//!
//! A unix socket, `<data>/keeper.sock` (0600 in a 0700 directory). One JSON document per line in
//! both directions, UTF-8, at most [`MAX_LINE`] bytes. Any number of connections; requests on one
//! connection may be sent without waiting, every request carries an `id` of the asker's choice and
//! its reply carries the same `id`. Replies may come in another order than the requests: a `spawn`
//! is answered when the command has been executed or could not be.
//!
//! ```text
//! -> {"id":1,"op":"spawn","process":{"instance":"shop-v2-1","label":{"port":8101},"command":["./shop"],"env":{},"cwd":"/srv","log":{"path":"/d/logs/shop-v2-1.log"}}}
//! <- {"id":1,"reply":"spawned","instance":"shop-v2-1","pid":71,"started_at_ms":1760000000000,"start_ticks":4711}
//! -> {"id":2,"op":"stop","instance":"shop-v2-1","grace_ms":30000}
//! <- {"id":2,"reply":"ok"}
//! -> {"id":3,"op":"list"}
//! <- {"id":3,"reply":"processes","processes":[{"instance":"shop-v2-1","label":{"port":8101},"pid":71,"started_at_ms":1760000000000,"start_ticks":4711,"state":"exited","code":null,"signal":15,"unknown":false,"at_ms":1760000001000}]}
//! -> {"id":4,"op":"watch","after":0}
//! <- {"id":4,"reply":"watching","oldest":1,"newest":2}
//! <- {"id":4,"reply":"entry","seq":1,"at_ms":1760000000000,"instance":"shop-v2-1","event":"started","pid":71}
//! -> {"id":5,"op":"forget","instance":"shop-v2-1"}
//! <- {"id":5,"reply":"ok"}
//! -> {"id":6,"op":"bind","addr":"127.0.0.1:8080"}
//! <- {"id":6,"reply":"bound","addr":"127.0.0.1:8080"}
//! -> {"id":7,"op":"unbind","addr":"127.0.0.1:8080"}
//! <- {"id":7,"reply":"ok"}
//! -> {"id":8,"op":"shutdown"}
//! <- {"id":8,"reply":"ok"}
//! <- {"id":9,"reply":"error","code":"not-found","message":"..."}
//! ```
//!
//! # Listeners
//! The data plane asks on a connection of its own, without an `id`:
//! ```text
//! -> {"listener":{"addr":"127.0.0.1:8080"}}
//! <- {"ok":true,"addr":"127.0.0.1:8080"}      the listening socket is attached (SCM_RIGHTS)
//! <- {"error":"127.0.0.1:8080 is in use ..."}  or nothing attached
//! ```
//! The fd comes with the first byte of its line: read with `recvmsg` and room for one fd. The
//! socket is non-blocking, close-on-exec on receipt is up to the receiver (`MSG_CMSG_CLOEXEC`).
//!
//! The reverse, after the keeper was started again: the keeper connects to `<data>/proxy.sock`,
//! sends `{"listeners":null}` and reads one line `{"addrs":["127.0.0.1:8080", ...]}` with the fds
//! in the same order (at most 253 fds in a message; more messages may follow until the newline).
//!
//! # Replacing the data plane
//! On SIGHUP the keeper starts a second data plane. It fetches the listeners as above, binds its
//! control socket at a path of its own and renames it to `<data>/proxy.sock`, which replaces the
//! old one in one step. When the keeper finds the new process behind that socket (`SO_PEERCRED`)
//! it sends SIGTERM to the old one, which drains: it must not remove `proxy.sock`. A new one that
//! has not taken over after 10 s is ended, and the old one goes on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Longest line the keeper reads, in bytes (an environment may be large).
pub const MAX_LINE: usize = 8 << 20;

/// Name of the keeper's socket in the data directory.
pub const SOCKET: &str = "keeper.sock";

/// Name of the data plane's control socket in the data directory.
pub const PROXY_SOCKET: &str = "proxy.sock";

/// The control plane's name in the journal and in `list`; no instance may have it.
pub const CONTROL: &str = "control";

/// The data plane's name in the journal and in `list`; no instance may have it. A data plane that
/// drains after its replacement is called `proxy.<pid>`.
pub const PROXY: &str = "proxy";

/// One line from an asker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestLine {
    /// Given back in every reply to this request.
    pub id: u64,
    /// What is asked.
    #[serde(flatten)]
    pub request: Request,
}

/// What can be asked of the keeper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Request {
    /// Start a process. Reply: [`Reply::Spawned`]. Repeating the order for an instance that runs
    /// gives the same pid; for one that has exited it is an error ([`ErrorCode::Exited`]), so an
    /// order that arrives late can never start a dead instance again.
    Spawn {
        /// What to start.
        process: Box<ProcessSpec>,
    },
    /// SIGTERM to the process group, SIGKILL after the grace period. Reply: [`Reply::Ok`] at once;
    /// the exit is told by the journal. Idempotent; of several graces the earliest end holds.
    Stop {
        /// Which instance.
        instance: String,
        /// Milliseconds from SIGTERM to SIGKILL.
        grace_ms: u64,
    },
    /// All processes known. Reply: [`Reply::Processes`].
    List,
    /// Drop an instance that has exited from the list. Reply: [`Reply::Ok`].
    Forget {
        /// Which instance.
        instance: String,
    },
    /// The journal after sequence number `after`, then live, until the connection closes.
    /// Reply: [`Reply::Watching`], then [`Reply::Entry`] for each entry.
    Watch {
        /// Entries with a greater `seq` are sent.
        after: u64,
    },
    /// Hold a listening TCP socket. Reply: [`Reply::Bound`]. Idempotent. Port 0 lets the system
    /// choose.
    Bind {
        /// Numeric socket address, `127.0.0.1:8080` or `[::1]:8080`.
        addr: String,
    },
    /// Let go of a listening socket; a data plane that has it keeps it. Reply: [`Reply::Ok`],
    /// also when it was not held.
    Unbind {
        /// The address as bound.
        addr: String,
    },
    /// Stop everything as on SIGTERM. Reply: [`Reply::Ok`] at once.
    Shutdown,
}

/// A process to start.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// Unique name, 1 to 100 characters of `[A-Za-z0-9._-]`, not starting with a dot; not
    /// [`CONTROL`], [`PROXY`] or `proxy.*`.
    pub instance: String,
    /// Opaque to the keeper, stored (so it must hold no secret) and given back by `list`.
    #[serde(default)]
    pub label: serde_json::Value,
    /// Program and arguments. A program without a slash is searched in `PATH` of [`Self::env`],
    /// one with a slash is relative to [`Self::cwd`].
    pub command: Vec<String>,
    /// The complete environment. Never written to disk or to a log by the keeper.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Working directory, absolute.
    pub cwd: PathBuf,
    /// Name or number of the user to run as; needs a keeper that runs as root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Resource limits.
    #[serde(default)]
    pub limits: Limits,
    /// Where stdout and stderr go.
    pub log: LogSpec,
    /// Milliseconds from SIGTERM to SIGKILL when the keeper itself stops everything.
    #[serde(default = "default_grace_ms")]
    pub grace_ms: u64,
}

impl std::fmt::Debug for ProcessSpec {
    /// Without the environment's values: a debug print must not leak a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessSpec")
            .field("instance", &self.instance)
            .field("command", &self.command)
            .field("env", &self.env.keys())
            .field("cwd", &self.cwd)
            .field("user", &self.user)
            .field("limits", &self.limits)
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

/// Resource limits of a process (soft and hard); what is `None` is inherited from the keeper's
/// own start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// `RLIMIT_NOFILE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// `RLIMIT_AS`, bytes of address space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// `RLIMIT_NPROC`, processes and threads of the same user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// `RLIMIT_CORE`, bytes of a core file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_bytes: Option<u64>,
}

/// A log file with rotation by size: `path`, `path.1` (newer) ... `path.<keep>` (oldest).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSpec {
    /// Absolute path; missing directories are made (0700), the file is 0600.
    pub path: PathBuf,
    /// Size at which a file is rotated, at least 1024.
    #[serde(default = "default_max_bytes")]
    pub max_bytes: u64,
    /// Rotated files kept beside the current one.
    #[serde(default = "default_keep")]
    pub keep: u32,
}

impl LogSpec {
    /// A log at `path` with the default size (10 MiB) and two rotated files.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), max_bytes: default_max_bytes(), keep: default_keep() }
    }
}

/// The grace period of an instance that names none, milliseconds.
pub fn default_grace_ms() -> u64 {
    30_000
}

fn default_max_bytes() -> u64 {
    10 << 20
}

fn default_keep() -> u32 {
    2
}

/// One line from the keeper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplyLine {
    /// The request's id; 0 when the line could not be read as far as its id.
    pub id: u64,
    /// The answer.
    #[serde(flatten)]
    pub reply: Reply,
}

/// What the keeper answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// Done, or taken on.
    Ok,
    /// The instance runs: its command has been executed.
    Spawned {
        /// Which instance.
        instance: String,
        /// Process id, also its process group and session.
        pid: i32,
        /// Wall clock at its start, milliseconds since 1970.
        started_at_ms: u64,
        /// Field 22 of `/proc/<pid>/stat`: with the pid it names the process within one boot.
        start_ticks: u64,
    },
    /// All processes known, in order of their names, control and data plane included.
    Processes {
        /// The processes.
        processes: Vec<ProcessInfo>,
    },
    /// A watch begins.
    Watching {
        /// `seq` of the oldest entry kept; 0 when there is none.
        oldest: u64,
        /// `seq` of the newest entry; 0 when there is none. If it is less than the `after` that
        /// was asked for, the journal was lost: watch again from 0 and `list`.
        newest: u64,
    },
    /// One entry of a watch.
    Entry(JournalEntry),
    /// The listening socket is held.
    Bound {
        /// The address, with the real port.
        addr: String,
    },
    /// Refused or failed.
    Error {
        /// For programs.
        code: ErrorCode,
        /// For people: what happened and one thing to do.
        message: String,
    },
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The line is not a request.
    BadRequest,
    /// A process specification with an impossible value.
    BadSpec,
    /// No such instance.
    NotFound,
    /// The instance has exited and is kept until forgotten.
    Exited,
    /// The instance is being stopped, or still runs (for `forget`).
    Busy,
    /// The command could not be executed.
    ExecFailed,
    /// Another process has the address.
    AddrInUse,
    /// Not a numeric socket address, or none of this machine.
    AddrInvalid,
    /// The system does not allow the port.
    AddrDenied,
    /// The keeper is stopping everything.
    ShuttingDown,
    /// Anything else; the message says it.
    Internal,
    /// A code this version does not know.
    #[serde(other)]
    Unknown,
}

/// A process as the keeper knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Its name.
    pub instance: String,
    /// As given at `spawn`.
    pub label: serde_json::Value,
    /// Process id, also its process group and session. Of an exited process: the one it had.
    pub pid: i32,
    /// Wall clock at its start, milliseconds since 1970.
    pub started_at_ms: u64,
    /// Field 22 of `/proc/<pid>/stat`.
    pub start_ticks: u64,
    /// What it is doing.
    #[serde(flatten)]
    pub state: ProcessState,
}

/// What a process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ProcessState {
    /// It runs (or is about to execute its command).
    Running,
    /// SIGTERM was sent, SIGKILL follows.
    Stopping,
    /// It is gone.
    Exited(Exit),
}

/// How a process ended: `code` or `signal`, or `unknown` for one that was adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code, 0 to 255.
    pub code: Option<i32>,
    /// Number of the signal that ended it.
    pub signal: Option<i32>,
    /// The status could not be learned.
    #[serde(default)]
    pub unknown: bool,
    /// Wall clock when the keeper noticed, milliseconds since 1970.
    pub at_ms: u64,
}

/// One entry of the journal. `seq` rises; it has gaps after a reboot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Sequence number, from 1.
    pub seq: u64,
    /// Wall clock, milliseconds since 1970.
    pub at_ms: u64,
    /// Which process.
    pub instance: String,
    /// What happened.
    #[serde(flatten)]
    pub event: JournalEvent,
}

/// What happened to a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum JournalEvent {
    /// It executed its command.
    Started {
        /// Process id.
        pid: i32,
    },
    /// Its command could not be executed, or it was stopped before. It is not listed, and its id
    /// may be used again.
    SpawnFailed {
        /// The reason.
        message: String,
    },
    /// A stop was ordered: SIGTERM was sent.
    Stopping {
        /// Milliseconds until SIGKILL.
        grace_ms: u64,
    },
    /// The grace period was over: SIGKILL was sent.
    Killed,
    /// It ended; what it wrote before is in its log file.
    Exited {
        /// Exit code.
        code: Option<i32>,
        /// Number of the signal.
        signal: Option<i32>,
        /// The status could not be learned.
        #[serde(default)]
        unknown: bool,
    },
    /// A keeper that was started again took it over.
    Adopted {
        /// Process id.
        pid: i32,
    },
    /// A new data plane has taken over under load; the old one drains as `proxy.<pid>`.
    Replaced {
        /// Process id of the new one.
        pid: i32,
    },
    /// Log lines were lost because the log file could not be written.
    LogDropped {
        /// Lines lost since the last such entry.
        lines: u64,
    },
    /// An event this version does not know.
    #[serde(other)]
    Unknown,
}

/// A line of the data plane asking for a listening socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerLine {
    /// Which one.
    pub listener: ListenerAddr,
}

/// Names a listening socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerAddr {
    /// Numeric socket address.
    pub addr: String,
}

/// The answer to a [`ListenerLine`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ListenerReply {
    /// The socket is attached.
    Ok {
        /// Always true.
        ok: bool,
        /// The address, with the real port.
        addr: String,
    },
    /// Nothing is attached.
    Error {
        /// What happened and what to do.
        error: String,
    },
}

/// The data plane's answer to `{"listeners":null}`; the fds come in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldListeners {
    /// Numeric socket addresses.
    pub addrs: Vec<String>,
}

#[cfg(test)]
mod tests;
