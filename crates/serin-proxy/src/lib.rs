//! The L7 data plane of Serin: splits, retries, counts and drains HTTP/1.1 traffic on hyper, in a
//! process of its own that serves the last table it was given with nobody's help.
//!
//! [`run`] is the process. [`client`] talks to it, in the words of [`wire`].
//!
//! Life of a request: a worker's `session` serves the connection; `forward` cleans the request
//! (`headers`), leads it where it says (`steer`) or deals it to an arm, picks an instance
//! (`route`), takes a connection (`pool`) and passes bodies through (`body`), or joins the two
//! sides (`tunnel`). `mirror` may send a copy elsewhere. `count` counts it; for a service with
//! affinity, `affinity` says whose it is and `sessions` counts users.
//!
//! # Invariants
//! - A table swap holds for the very next request, on old connections too.
//! - A retry may change the instance, never the arm.
//! - Each request is counted once, in the second it arrived and the arm it was assigned to.
//! - Override comes before rules, rules before users and weights; what was led is never evidence.
//! - Nobody waits for a copy, and copies take no more than so much memory.
//! - With affinity, a user is evidence at most once in a window and arm, whatever the worker, and
//!   a growing weight moves no user off the candidate.
//! - An order older than the one held for its service changes nothing.
//! - Nothing is retried that the app may have seen, unless its method is idempotent and it has no
//!   body.
//! - No body is ever held whole, but that of a copy.
//! - Feature flags are served from this process's own copy, on the same terms: changed by order,
//!   served with nobody's help.

mod affinity;
mod alarm;
mod body;
pub mod client;
mod clock;
mod control;
mod count;
mod disk;
pub mod fds;
mod flags;
mod forward;
mod headers;
mod hist;
mod hosted;
mod io;
mod journal;
mod merge;
mod met;
mod mirror;
mod pool;
mod reported;
mod route;
mod session;
mod sessions;
mod shard;
mod siphash;
mod steer;
mod table;
mod tunnel;
mod websocket;
pub mod wire;
mod worker;

use hosted::Hosted;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use table::Table;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

pub use serin_edge as edge;

/// How the data plane runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Path of the control socket. Its folder is created for its owner only.
    pub control: PathBuf,
    /// Path of the file that keeps the table.
    pub table: PathBuf,
    /// Path of the keeper's socket, where listeners come from; without one they are opened here.
    pub keeper: Option<PathBuf>,
    /// Worker threads; 0 = one for each core, at most 4.
    pub workers: usize,
    /// After SIGTERM, what runs has this long to finish.
    pub drain_deadline: Duration,
}

/// Why the data plane could not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The control socket.
    #[error("cannot open the control socket {path}: {source}")]
    Control {
        /// Path of the socket.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The table's file.
    #[error("cannot read the table {path}: {source}")]
    Table {
        /// Path of the file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Threads, runtimes, signals.
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
}

/// Runs the data plane until SIGTERM, SIGINT or [`wire::Request::Quit`], then until what runs has
/// finished or the drain deadline is over.
///
/// # Errors
/// [`Error`], only at the start.
#[expect(clippy::needless_pass_by_value, reason = "the process is its options'")]
pub fn run(options: Options) -> Result<(), Error> {
    raise_descriptor_limit();
    let table = Arc::new(load(&options.table)?);
    let folder = options.table.parent().unwrap_or(Path::new("."));
    let hosted = Hosted::load(folder, &table.shared)
        .map_err(|source| Error::Table { path: folder.join(hosted::FILE), source })?;
    let hosted = Arc::new(hosted);
    let count = match options.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from).min(4),
        some => some,
    };
    let workers = start(count, &table, &hosted).map_err(Error::Runtime)?;
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(4).thread_keep_alive(Duration::from_secs(1));
    let runtime =
        builder.build_local(tokio::runtime::LocalOptions::default()).map_err(Error::Runtime)?;
    let control = control::Control::new(table, hosted, options.keeper.clone(), workers);
    let result = runtime.block_on(control.run(&options));
    runtime.shutdown_background();
    result
}

/// A file that is not a table is put aside: answering 503 until the controller sends its orders
/// again beats not coming up.
fn load(path: &Path) -> Result<Table, Error> {
    let failed = |source| Error::Table { path: path.to_owned(), source };
    match Table::load(path) {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            let aside = path.with_extension("bad");
            eprintln!("{} is not a table ({error}); moved to {}", path.display(), aside.display());
            std::fs::rename(path, aside).map_err(failed)?;
            Table::load(path).map_err(failed)
        }
        other => other.map_err(failed),
    }
}

fn start(
    count: usize,
    table: &Table,
    hosted: &Hosted,
) -> std::io::Result<Vec<UnboundedSender<worker::Order>>> {
    let (senders, receivers): (Vec<_>, Vec<UnboundedReceiver<_>>) =
        (0..count).map(|_| mpsc::unbounded_channel()).unzip();
    for (index, orders) in receivers.into_iter().enumerate() {
        let (shared, edge) = (table.shared.clone(), hosted.edge.clone());
        let others = if index == 0 { senders[1..].to_vec() } else { Vec::new() };
        let name = format!("worker-{index}");
        let work = move || {
            let _whole = Whole;
            if let Err(error) = worker::run(shared, edge, orders, others) {
                eprintln!("worker {index} could not start: {error}");
                std::process::abort();
            }
        };
        std::thread::Builder::new().name(name).spawn(work)?;
    }
    Ok(senders)
}

/// A process that lost a worker would leave its connections hanging: it ends, and the keeper
/// starts another.
struct Whole;

impl Drop for Whole {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// Each request in progress takes two descriptors.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Refused, the old limit holds, and accepting pauses when it is reached.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
