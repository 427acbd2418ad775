//! The table: every service's newest order, in memory first, then on disk.

use crate::clock::Clock;
use crate::disk;
use crate::flags::Sets;
use crate::reported::Reported;
use crate::sessions::Sessions;
use crate::wire::{Generation, Order, Route};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// Connections of users at a time; more wait in the backlog.
const MAX_CONNECTIONS: usize = 10_000;
/// Connections of clients of flags at a time.
const MAX_FLAG_CONNECTIONS: usize = 20_000;
/// Format of the file.
const FORMAT: u32 = 1;

/// Routes by service.
pub type Routes = BTreeMap<String, Arc<Route>>;

/// What all threads share.
pub struct Shared {
    pub clock: Clock,
    /// Room for connections.
    pub slots: Arc<Semaphore>,
    /// Users of services with affinity.
    pub sessions: Arc<Sessions>,
    /// Releases whose evidence apps report.
    pub reported: Reported,
    /// Room for clients of flags, whose idle streams shall take no user's place.
    pub flag_slots: Arc<Semaphore>,
    version: AtomicU64,
    routes: Mutex<Arc<Routes>>,
    flag_addresses: Mutex<Arc<BTreeSet<SocketAddr>>>,
    flags: Mutex<Arc<Sets>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(routes: Routes) -> Arc<Self> {
        Arc::new(Self {
            clock: Clock::start(),
            slots: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            sessions: Arc::default(),
            reported: Reported::default(),
            version: AtomicU64::new(1),
            flag_slots: Arc::new(Semaphore::new(MAX_FLAG_CONNECTIONS)),
            flag_addresses: Mutex::default(),
            routes: Mutex::new(Arc::new(routes)),
            flags: Mutex::default(),
        })
    }

    /// Grows with every change.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The routes that hold now.
    pub fn routes(&self) -> Arc<Routes> {
        lock(&self.routes).clone()
    }

    /// Addresses where flags are served.
    pub fn flag_addresses(&self) -> Arc<BTreeSet<SocketAddr>> {
        lock(&self.flag_addresses).clone()
    }

    /// Serves flags at these addresses from now on.
    pub fn set_flag_addresses(&self, addresses: BTreeSet<SocketAddr>) {
        *lock(&self.flag_addresses) = Arc::new(addresses);
    }

    /// The sets of flags that hold now.
    pub fn flags(&self) -> Arc<Sets> {
        lock(&self.flags).clone()
    }

    /// Other sets hold for every request from now on.
    pub fn set_flags(&self, sets: Sets) {
        self.reported.adopt(&sets, &self.sessions, self.clock.now_ms());
        *lock(&self.flags) = Arc::new(sets);
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    fn set(&self, routes: Routes) {
        *lock(&self.routes) = Arc::new(routes);
        self.version.fetch_add(1, Ordering::AcqRel);
    }
}

/// Why an order changes nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is older than what is held.
    #[error("the order is older than {0}, which is held")]
    Stale(Order),
    /// It contradicts itself.
    #[error(transparent)]
    Route(#[from] crate::wire::RouteError),
    /// Another service has the address.
    #[error("{addr} is the address of {service}; give the service one of its own")]
    Taken {
        /// Address asked for.
        addr: SocketAddr,
        /// Service that has it.
        service: String,
    },
}

/// An address of the route that another service has.
fn taken(routes: &Routes, route: &Route) -> Option<Refused> {
    let mut others = routes.values().filter(|held| held.service != route.service);
    others.find_map(|held| {
        let addr = held.addresses().find(|held| route.addresses().any(|addr| addr == *held))?;
        Some(Refused::Taken { addr, service: held.service.clone() })
    })
}

#[derive(Default, Serialize, Deserialize)]
struct Saved {
    format: u32,
    routes: Vec<Route>,
    /// Generations up to which removed services stay removed.
    #[serde(default)]
    removed: BTreeMap<String, Generation>,
}

/// The table and its file.
pub struct Table {
    pub shared: Arc<Shared>,
    path: PathBuf,
    /// Generations up to which removed services stay removed. Locked while a change is made.
    removed: Mutex<BTreeMap<String, Generation>>,
    /// Version that the file holds. Locked while the file is written.
    on_disk: Mutex<u64>,
}

impl Table {
    /// The table as the file has it; without a file, an empty one.
    ///
    /// # Errors
    /// A file that cannot be read or is not a table.
    pub fn load(path: &Path) -> io::Result<Self> {
        let saved = match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Saved::default(),
            Err(error) => return Err(error),
        };
        let named = |route: Route| (route.service.clone(), Arc::new(route));
        Ok(Self {
            shared: Shared::new(saved.routes.into_iter().map(named).collect()),
            path: path.to_owned(),
            removed: Mutex::new(saved.removed),
            on_disk: Mutex::new(0),
        })
    }

    /// Makes an order hold for every request from now on. Nothing is on disk yet.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed.
    pub fn apply(&self, route: Route) -> Result<(), Refused> {
        route.check()?;
        let removed = lock(&self.removed);
        let mut routes = Routes::clone(&self.shared.routes());
        if let Some(gone) = removed.get(&route.service).filter(|gone| route.generation <= **gone) {
            return Err(Refused::Stale(Order { generation: *gone, sub: u64::MAX }));
        }
        if let Some(held) = routes.get(&route.service) {
            if route == **held {
                return Ok(());
            }
            if route.order() <= held.order() {
                return Err(Refused::Stale(held.order()));
            }
        }
        if let Some(taken) = taken(&routes, &route) {
            return Err(taken);
        }
        routes.insert(route.service.clone(), Arc::new(route));
        self.shared.set(routes);
        drop(removed);
        Ok(())
    }

    /// Forgets a service; with a generation, also refuses what is not newer.
    pub fn remove(&self, service: &str, generation: Option<Generation>) {
        let mut removed = lock(&self.removed);
        if let Some(generation) = generation {
            let held = removed.entry(service.to_owned()).or_default();
            *held = generation.max(*held);
        }
        let mut routes = Routes::clone(&self.shared.routes());
        routes.remove(service);
        self.shared.set(routes);
    }

    /// Puts the table as it is now on disk, unless a save that others waited for has done so.
    ///
    /// # Errors
    /// Whatever the file system says; the old file is whole.
    pub fn save(&self) -> io::Result<()> {
        let wanted = self.shared.version();
        let mut on_disk = lock(&self.on_disk);
        if *on_disk >= wanted {
            return Ok(());
        }
        let (version, saved) = {
            let removed = lock(&self.removed);
            let routes = self.shared.routes().values().map(|route| Route::clone(route)).collect();
            (self.shared.version(), Saved { format: FORMAT, routes, removed: removed.clone() })
        };
        disk::write(&self.path, &serde_json::to_vec(&saved).map_err(io::Error::other)?)?;
        *on_disk = version;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
