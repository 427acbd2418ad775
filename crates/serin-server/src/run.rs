//! Life of the control plane: open everything, serve, end on a signal.

use crate::flags::FlagsListen;
use crate::people::People;
use crate::{api, control, token};
use serin_core::Millis;
use serin_local::Settings;
use serin_store::{Ballast, Store};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};

/// Time an instance that leaves may take to finish its requests.
const DRAIN_DEADLINE: Millis = Millis::secs(30);

/// What the control plane is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory, made by the keeper.
    pub data: PathBuf,
    /// Address of the API beside its socket; off unless given.
    pub api_listen: Option<SocketAddr>,
    /// Where flags are served.
    pub flags_listen: FlagsListen,
}

/// Why the control plane could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be used.
    #[error("the store `{path}` cannot be opened", path = .path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serin_store::Error,
    },
    /// The engine could not take over.
    #[error("the stored state cannot be taken over")]
    TakeOver(#[from] crate::executor::Error),
    /// The platform cannot be used.
    #[error("the platform cannot be used")]
    Local(#[from] serin_local::Error),
    /// A socket or file cannot be made.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Runs the control plane until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start; once it serves it does not fail.
pub fn run(options: &Options) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::io("the runtime cannot be started"))?;
    runtime.block_on(serve(options))
}

async fn serve(options: &Options) -> Result<(), Error> {
    let data = &options.data;
    let path = data.join("serin.db");
    let store = Store::open(&path).map_err(|source| Error::Store { path, source })?;
    let ballast = Ballast::new(data.join("ballast"));
    let opened = control::open(store, ballast, options.flags_listen.clone())?;
    let settings =
        Settings { data: data.clone(), epoch: opened.epoch(), drain_deadline: DRAIN_DEADLINE };
    let (local, reports) = serin_local::start(settings).await?;
    let handle = control::spawn(opened, data.clone(), local, reports);
    let token = token::load_or_create(&data.join("token"))
        .map_err(Error::io("the token file cannot be used"))?;
    let people = People::load(&data.join("people.json"))
        .map_err(Error::io("the file `people.json` of tokens cannot be used"))?;
    let gate = api::Gate { token, people };
    let unix = bind_unix(&data.join("serin.sock"))?;
    let tcp = bind_tcp(options.api_listen).await?;
    let mut term = signal(SignalKind::terminate()).map_err(Error::io("signals"))?;
    let mut int = signal(SignalKind::interrupt()).map_err(Error::io("signals"))?;
    tokio::select! {
        () = api::serve(handle, unix, tcp, gate) => {}
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}

/// Binds the control socket for its owner only, taking the place of one left behind.
fn bind_unix(path: &Path) -> Result<UnixListener, Error> {
    let what = format!("the control socket `{}` cannot be bound", path.display());
    let fresh = path.with_extension("sock.new");
    let _ = std::fs::remove_file(&fresh);
    // Bound aside and moved: there is no moment in which others could connect.
    let bound = UnixListener::bind(&fresh).and_then(|listener| {
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&fresh, path)?;
        Ok(listener)
    });
    bound.map_err(Error::io(what))
}

async fn bind_tcp(address: Option<SocketAddr>) -> Result<Option<TcpListener>, Error> {
    let Some(address) = address else { return Ok(None) };
    let what = format!("the API cannot listen on {address}; choose another `--api-listen`");
    TcpListener::bind(address).await.map(Some).map_err(Error::io(what))
}
