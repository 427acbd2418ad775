//! The handle of the platform.

use crate::actor::{Actor, Command, Fact, Parts};
use crate::counts::counts_of;
use crate::error::Error;
use crate::keeper::Keeper;
use crate::log;
use crate::measure::{Measured, Meters, Order};
use crate::observe::InstanceView;
use crate::plane::Plane;
use crate::ports::{Ports, ephemeral_low};
use crate::usage::{Look, Samples, Usage};
use serin_core::{Counts, Millis, Observation, Plan, RevisionId, ServiceName, Timestamp};
use serin_keeper::protocol::{ErrorCode, Reply, Request};
use serin_proxy::wire;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Reports that may wait for their reader.
const REPORTS: usize = 1024;
/// Time the keeper has to answer about an address.
const BIND_ANSWER: Duration = Duration::from_secs(5);

/// How the platform is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The data directory, with the sockets of the keeper and the data plane.
    pub data: PathBuf,
    /// Epoch of this controller: the first part of every observation's number.
    pub epoch: u64,
    /// Time requests on a leaving instance get to finish.
    pub drain_deadline: Millis,
}

/// Where instances find the flags; nowhere as long as nobody answers there. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct FlagAddress(Arc<Mutex<Option<SocketAddr>>>);

impl FlagAddress {
    /// From now on it is this.
    pub fn set(&self, at: Option<SocketAddr>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// What it is now.
    pub fn get(&self) -> Option<SocketAddr> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the platform says unasked.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// A look at one service: on every change, at most 20 a second, and at least every 5 s.
    Observed(ServiceName, Observation),
}

/// What one instance used over time.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceUsage {
    /// Which one.
    pub instance: String,
    /// What it runs.
    pub revision: RevisionId,
    /// Whether it belongs to the fresh baseline, beside its revision's own instances.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub baseline: bool,
    /// Samples, oldest first, 5 s apart, at most ten minutes.
    pub samples: Vec<Usage>,
}

/// The platform "one machine". Cheap to clone; it ends when the last clone is dropped, and what it
/// runs goes on.
#[derive(Debug, Clone)]
pub struct Local {
    commands: mpsc::UnboundedSender<Command>,
    keeper: Keeper,
    plane: Plane,
    shared: Arc<Shared>,
    flags: FlagAddress,
    data: PathBuf,
}

/// Starts the platform. It connects to `<data>/keeper.sock` and `<data>/proxy.sock`, and again
/// whenever one of them goes away; until then it does nothing and says so. Needs a tokio runtime.
///
/// # Errors
/// [`Error::NoDirectory`] when the data directory is not there.
#[allow(clippy::unused_async)] // part of the agreed interface: it needs the runtime
pub async fn start(settings: Settings) -> Result<(Local, mpsc::Receiver<Report>), Error> {
    if !settings.data.is_dir() {
        return Err(Error::NoDirectory { path: settings.data });
    }
    let (tell, facts) = mpsc::unbounded_channel();
    let (commands, orders) = mpsc::unbounded_channel();
    let (reports, receiver) = mpsc::channel(REPORTS);
    let from_keeper = tell.clone();
    let keeper = Keeper::start(&settings.data, move |f| from_keeper.send(Fact::Keeper(f)).is_ok());
    let from_plane = tell.clone();
    let plane = Plane::start(&settings.data, move |f| from_plane.send(Fact::Plane(f)).is_ok());
    let shared = Arc::new(Shared::default());
    let flags = FlagAddress::default();
    let data = settings.data.clone();
    let local = Local {
        commands,
        keeper: keeper.clone(),
        plane: plane.clone(),
        shared: Arc::clone(&shared),
        flags: flags.clone(),
        data,
    };
    let ports = ports();
    let facts = (tell, facts);
    let parts =
        Parts { settings, commands: orders, reports, keeper, plane, shared, flags, facts, ports };
    tokio::spawn(Actor::new(parts).run());
    Ok((local, receiver))
}

/// Ports of this machine, beginning at a place of this process's own.
fn ports() -> Ports {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    let start = u64::from(nanos) ^ (u64::from(std::process::id()) << 7);
    Ports::new(ephemeral_low(&range.unwrap_or_default()), start)
}

impl Local {
    /// Makes `plan` true, and keeps it true. May be repeated; an older generation is ignored.
    pub fn apply(&self, plan: Plan) {
        let _ = self.commands.send(Command::Apply(Box::new(plan)));
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Where instances that are started are told to find the flags.
    pub fn flags(&self) -> &FlagAddress {
        &self.flags
    }

    /// Takes the service out of the data plane, drains its instances and stops them.
    pub fn remove(&self, service: ServiceName) {
        let _ = self.commands.send(Command::Remove(service));
    }

    /// Has the keeper listen on `addr`, so that nobody else can; repeating it is fine.
    ///
    /// # Errors
    /// [`Error::AddrInUse`], [`Error::AddrUnusable`], or [`Error::Away`] after 5 s.
    pub async fn reserve(&self, addr: SocketAddr) -> Result<(), Error> {
        let reply = self.ask(Request::Bind { addr: addr.to_string() }).await?;
        refusal(addr, &reply).map_or(Ok(()), Err)
    }

    /// Lets the keeper stop listening on `addr`.
    ///
    /// # Errors
    /// As [`Local::reserve`].
    pub async fn release(&self, addr: SocketAddr) -> Result<(), Error> {
        let reply = self.ask(Request::Unbind { addr: addr.to_string() }).await?;
        refusal(addr, &reply).map_or(Ok(()), Err)
    }

    async fn ask(&self, request: Request) -> Result<Reply, Error> {
        let answer = timeout(BIND_ANSWER, self.keeper.insist(request)).await;
        answer.map_err(|_| self.keeper.away())?
    }

    /// The evidence counted so far, by service and generation.
    ///
    /// # Errors
    /// [`Error::Away`] when the data plane does not answer.
    pub async fn counts(&self) -> Result<Vec<(ServiceName, Vec<Counts>)>, Error> {
        Ok(counts_of(&self.counters().await?))
    }

    /// Everything the data plane counted, as it says it; [`counts_of`] takes the evidence out.
    ///
    /// # Errors
    /// [`Error::Away`] when the data plane does not answer.
    pub async fn counters(&self) -> Result<wire::Counters, Error> {
        self.plane.counters().await
    }

    /// What is evidence about these services, and nothing else; [`counts_of`] takes it out.
    ///
    /// # Errors
    /// [`Error::Away`] when the data plane does not answer.
    pub async fn evidence(&self, services: &[ServiceName]) -> Result<wire::Counters, Error> {
        self.plane.evidence(services.iter().map(ToString::to_string).collect()).await
    }

    /// The service's instances as last seen, the ended ones last.
    pub fn instances(&self, service: &ServiceName) -> Vec<InstanceView> {
        let looks = self.shared.lock();
        let mut views = looks.views.get(service).cloned().unwrap_or_default();
        for view in &mut views {
            view.usage = looks.samples.latest(&view.id);
        }
        views
    }

    /// Services with instances here, also those no plan has named since this process began.
    pub fn services(&self) -> Vec<ServiceName> {
        self.shared.lock().views.keys().cloned().collect()
    }

    /// What each running instance of the service used.
    pub fn usage(&self, service: &ServiceName) -> Vec<InstanceUsage> {
        let shared = self.shared.lock();
        let views = shared.views.get(service).into_iter().flatten();
        let usage = |view: &InstanceView| InstanceUsage {
            instance: view.id.clone(),
            revision: view.revision.clone(),
            baseline: view.baseline,
            samples: shared.samples.of(&view.id),
        };
        views.filter(|view| view.exit.is_none()).map(usage).collect()
    }

    /// The last `lines` log lines of each of the service's instances, the ended ones included, or
    /// only of those of one revision.
    pub async fn log_tail(
        &self,
        service: &ServiceName,
        revision: Option<&RevisionId>,
        lines: usize,
    ) -> Vec<(String, Vec<String>)> {
        let views = self.instances(service).into_iter();
        let names: Vec<String> = views
            .filter(|view| revision.is_none_or(|wanted| view.revision == *wanted))
            .map(|view| view.id)
            .collect();
        let data = self.data.clone();
        let read = move |name: String| (name.clone(), log::tail(&log::path(&data, &name), lines));
        let work = tokio::task::spawn_blocking(move || names.into_iter().map(read).collect());
        work.await.unwrap_or_default()
    }
}

/// Why the keeper did not take an address.
pub(crate) fn refusal(addr: SocketAddr, reply: &Reply) -> Option<Error> {
    match reply {
        Reply::Bound { .. } | Reply::Ok => None,
        Reply::Error { code: ErrorCode::AddrInUse, .. } => Some(Error::AddrInUse { addr }),
        Reply::Error { message, .. } => {
            Some(Error::AddrUnusable { addr, message: message.clone() })
        }
        other => Some(Error::Unexpected { who: "the keeper", what: format!("{other:?}") }),
    }
}

/// What everybody may look at without asking the actor.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    inner: Mutex<Looks>,
    /// Apart, so that nobody waits while files are read.
    meters: Mutex<Meters>,
}

#[derive(Debug, Default)]
struct Looks {
    views: BTreeMap<ServiceName, Vec<InstanceView>>,
    samples: Samples,
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Looks> {
        // What is inside is replaced as a whole: a panic elsewhere cannot have left it half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn publish(&self, service: &ServiceName, views: Vec<InstanceView>) {
        let mut looks = self.lock();
        if views.is_empty() {
            looks.views.remove(service);
        } else {
            looks.views.insert(service.clone(), views);
        }
    }

    /// Carries out orders at `now`.
    pub(crate) fn measure(
        &self,
        orders: &[Order],
        data: &Path,
        now: Timestamp,
    ) -> Vec<(ServiceName, Measured)> {
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        meters.look(orders, data, now.0)
    }

    pub(crate) fn sample(&self, pids: BTreeMap<String, i32>) {
        let look = Look::at(pids);
        self.lock().samples.take(&look);
    }
}
