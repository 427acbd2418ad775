//! The data plane under test: a process of its own.

use anyhow::{Context as _, Result, bail};
use serin_core::{Counts, ServiceName};
use serin_proxy::client::{Applied, Client};
use serin_proxy::wire::Route;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{Mutex, watch};

/// The word that makes the program a data plane.
pub const WORD: &str = "__plane";
/// Time between looks at a data plane that is not there.
const AGAIN: Duration = Duration::from_millis(50);
/// Looks before it is given up.
const LOOKS: usize = 600;
/// Time between two readings of the counters.
const SECOND: Duration = Duration::from_secs(1);

/// What the data plane has counted, in the engine's words.
pub type Report = Arc<BTreeMap<ServiceName, Vec<Counts>>>;

/// Is a data plane until it is told to end or its parent is gone: what the program does when called with [`WORD`].
///
/// # Errors
/// It cannot start.
pub fn be(folder: &Path) -> Result<()> {
    let options = serin_proxy::Options {
        control: folder.join("own/control.sock"),
        table: folder.join("table.json"),
        keeper: None,
        workers: 2,
        drain_deadline: Duration::from_secs(1),
    };
    std::thread::spawn(|| {
        // Standard input ends with whoever started this, however that ended.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    serin_proxy::run(options).context("the data plane")
}

/// A running data plane.
pub struct Plane {
    folder: TempDir,
    program: PathBuf,
    child: std::sync::Mutex<Child>,
    control: Mutex<Option<Client>>,
}

impl Plane {
    /// Starts one; `program` becomes it when called with [`WORD`] and a folder.
    ///
    /// # Errors
    /// No folder, no process.
    pub fn start(program: &Path) -> Result<Arc<Self>> {
        let folder = TempDir::new()?;
        let child = std::sync::Mutex::new(spawn(program, folder.path())?);
        let (program, control) = (program.to_owned(), Mutex::new(None));
        Ok(Arc::new(Self { folder, program, child, control }))
    }

    /// Kills it, without a chance to say anything, and starts another on the same files.
    ///
    /// # Errors
    /// No process.
    pub fn restart(&self) -> Result<()> {
        let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        child.kill()?;
        child.wait()?;
        *child = spawn(&self.program, self.folder.path())?;
        Ok(())
    }

    /// Process id of the data plane that runs now.
    pub fn pid(&self) -> u32 {
        self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner).id()
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("own/control.sock")
    }

    /// Makes a route true, on whichever data plane is there.
    ///
    /// # Errors
    /// It is refused, or no data plane comes.
    pub async fn apply(&self, route: &Route) -> Result<()> {
        let mut control = self.control.lock().await;
        for _ in 0..LOOKS {
            let mut client = match control.take() {
                Some(client) => client,
                None => connect(&self.socket()).await?,
            };
            match client.apply(route).await {
                Ok(Applied::Done { durable: true, error: None }) => {
                    *control = Some(client);
                    return Ok(());
                }
                Ok(Applied::Stale(order)) => bail!("{order} is newer than {}", route.order()),
                Ok(Applied::Done { .. }) | Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
        bail!("{} cannot be applied", route.service)
    }

    /// Forgets a service. What cannot be forgotten does no harm here.
    pub async fn remove(&self, service: &str) {
        let mut control = self.control.lock().await;
        if let Some(client) = control.as_mut()
            && client.remove(service, None).await.is_err()
        {
            *control = None;
        }
    }

    /// What is counted, read every second as long as somebody wants to know.
    pub fn reports(&self) -> watch::Receiver<Report> {
        let (tell, reports) = watch::channel(Report::default());
        tokio::spawn(read(self.socket(), tell));
        reports
    }
}

/// Reads the counters every second until nobody listens or no data plane comes back: then the
/// sender is dropped, which tells the listeners.
async fn read(socket: PathBuf, tell: watch::Sender<Report>) -> Result<()> {
    let mut client = connect(&socket).await?;
    let mut second = tokio::time::interval(SECOND);
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !tell.is_closed() {
        second.tick().await;
        match client.counters().await {
            Ok(counters) => {
                let all = serin_local::counts_of(&counters).into_iter().collect();
                tell.send_replace(Arc::new(all));
            }
            Err(_) => client = connect(&socket).await?,
        }
    }
    Ok(())
}

async fn connect(socket: &Path) -> Result<Client> {
    for _ in 0..LOOKS {
        if let Ok(client) = Client::connect(socket).await {
            return Ok(client);
        }
        tokio::time::sleep(AGAIN).await;
    }
    bail!("no data plane at {}", socket.display())
}

impl Drop for Plane {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn spawn(program: &Path, folder: &Path) -> Result<Child> {
    let mut command = Command::new(program);
    command.arg(WORD).arg(folder).stdin(Stdio::piped());
    command.spawn().with_context(|| format!("starting {}", program.display()))
}
