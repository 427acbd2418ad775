//! The control protocol of the data plane: one JSON document per line over a unix socket, one
//! reply line for each request line, in order.
//!
//! Requests are externally tagged: `{"apply":{..}}`, `{"remove":{"service":"shop"}}`,
//! `"counters"`, `"ping"`, `{"listeners":null}`.

mod affinity;

pub use affinity::{Affinity, AffinityError, AffinityKey, DEFAULT_WINDOW_S, MAX_WINDOW_S};

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

/// The whole of a service's traffic, in parts; the weights of a route sum to it.
pub const WEIGHT_TOTAL: u32 = 100_000;

/// Default of [`Route::request_timeout_ms`].
pub const DEFAULT_REQUEST_TIMEOUT_MS: u64 = 60_000;

/// Default of [`Route::warmup_ms`].
pub const DEFAULT_WARMUP_MS: u64 = 5_000;

/// Name of one plan of a service: the controller's epoch, then a number within it. Never reused;
/// ordered lexicographically.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Generation {
    /// Epoch of the controller that made the plan.
    pub epoch: u64,
    /// Number of the plan within the epoch.
    pub n: u64,
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.n)
    }
}

/// Position of an order for one service: generation first, then `sub`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Order {
    /// Generation of the plan.
    pub generation: Generation,
    /// Grows within a generation when only the backends change.
    pub sub: u64,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.generation, self.sub)
    }
}

/// What the data plane shall do with one service's requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Name of the service.
    pub service: String,
    /// Address its users connect to. No two services share one.
    pub listen: SocketAddr,
    /// Generation of the plan this route makes true. Counters are kept by it.
    pub generation: Generation,
    /// Grows when only the backends change within a generation.
    #[serde(default)]
    pub sub: u64,
    /// The revisions that take traffic. Weights sum to [`WEIGHT_TOTAL`], or all of them are 0:
    /// then every request is answered 503, while instances may already get ready.
    #[serde(default)]
    pub arms: Vec<Arm>,
    /// Milliseconds without progress (to the response head, then between parts of the body)
    /// after which a request is given up; 0 = never.
    #[serde(default = "default_request_timeout_ms")]
    pub request_timeout_ms: u64,
    /// A request on an instance that has been ready for less than this many milliseconds is not
    /// evidence (it is in the totals).
    #[serde(default = "default_warmup_ms")]
    pub warmup_ms: u64,
    /// Users stay with the arm they were dealt to, and are the unit of evidence. Without it, each
    /// request is dealt by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
}

fn default_request_timeout_ms() -> u64 {
    DEFAULT_REQUEST_TIMEOUT_MS
}

fn default_warmup_ms() -> u64 {
    DEFAULT_WARMUP_MS
}

impl Route {
    /// Position of this order.
    pub fn order(&self) -> Order {
        Order { generation: self.generation, sub: self.sub }
    }

    /// Checks what one route can say wrong about itself.
    ///
    /// # Errors
    /// [`RouteError`] names the rule and the numbers.
    pub fn check(&self) -> Result<(), RouteError> {
        if self.service.is_empty() {
            return Err(RouteError::NoName);
        }
        let sum: u64 = self.arms.iter().map(|arm| u64::from(arm.weight)).sum();
        if sum != 0 && sum != u64::from(WEIGHT_TOTAL) {
            return Err(RouteError::Weights { service: self.service.clone(), sum });
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.arms.iter().find(|arm| !seen.insert((&arm.revision, arm.role))) {
            return Err(RouteError::Twice {
                service: self.service.clone(),
                revision: twice.revision.clone(),
            });
        }
        let service = || self.service.clone();
        let affinity = self.affinity.as_ref().map_or(Ok(()), Affinity::check);
        affinity.map_err(|why| RouteError::Affinity { service: service(), why })
    }
}

/// Why a route is refused before it is applied.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// A route needs the name of its service.
    #[error("a route has no service name; set `service`")]
    NoName,
    /// The weights do not make a whole.
    #[error("the weights of {service} sum to {sum}, not to 100000; give each arm its share")]
    Weights {
        /// Service of the route.
        service: String,
        /// What the weights sum to.
        sum: u64,
    },
    /// Two arms of one revision in one role.
    #[error("{service} names revision {revision} twice in one role; merge the two arms into one")]
    Twice {
        /// Service of the route.
        service: String,
        /// Revision named twice.
        revision: String,
    },
    /// The affinity cannot be had.
    #[error("the affinity of {service}: {why}")]
    Affinity {
        /// Service of the route.
        service: String,
        /// What is wrong with it.
        why: AffinityError,
    },
}

/// One revision's part of a route. No two arms have both revision and role in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// Name of the revision.
    pub revision: String,
    /// Its role.
    pub role: Role,
    /// Share in parts per [`WEIGHT_TOTAL`]. An arm of weight 0 gets no request, not even when the
    /// others have no ready instance.
    pub weight: u32,
    /// Its ready instances; one that is not ready is not listed.
    #[serde(default)]
    pub backends: Vec<Backend>,
}

/// Role of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The revision users are on.
    Stable,
    /// The revision being shipped.
    Candidate,
    /// Instances of the stable revision, started beside the candidate to be compared with it.
    Baseline,
}

/// One ready instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// Name of the instance; a new process gets a new name.
    pub instance: String,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Since when it is ready, in milliseconds of Unix time.
    pub ready_since_ms: i64,
}

/// One request line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Make this route true. Answered by [`Reply::Applied`] or [`Reply::Stale`].
    Apply(Route),
    /// Forget a service. Answered by [`Reply::Removed`].
    Remove {
        /// Service to forget; unknown names are fine.
        service: String,
        /// When given, every order of this generation or an older one is refused from now on, so
        /// that a late order cannot bring the service back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        generation: Option<Generation>,
    },
    /// Everything counted so far. Answered by [`Reply::Counters`].
    Counters,
    /// Is anybody there? Answered by [`Reply::Pong`].
    Ping,
    /// Which orders are held? Answered by [`Reply::Table`].
    Table,
    /// Duplicates of the listeners. Answered by [`Reply::Addrs`] with the descriptors in the
    /// same order as ancillary data (`SCM_RIGHTS`), at most [`MAX_FDS`].
    Listeners,
    /// Stop accepting, finish what is running, exit 0: the same as SIGTERM. Answered by
    /// [`Reply::Quitting`].
    Quit,
}

/// Most descriptors one message carries.
pub const MAX_FDS: usize = 64;

/// One reply line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The order holds for every request that arrives from now on.
    Applied {
        /// Generation now held.
        generation: Generation,
        /// Sub-order now held.
        sub: u64,
        /// Whether the table is on disk; when false, `error` says why, and traffic follows the
        /// order nevertheless.
        durable: bool,
        /// What kept the table from the disk, or the listener from opening.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The order is older than what is held (or has the same position and says something else).
    Stale {
        /// The order held.
        have: Order,
    },
    /// The service is forgotten.
    Removed {
        /// Whether the table is on disk.
        durable: bool,
        /// What kept the table from the disk.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// Everything counted.
    Counters(Box<Counters>),
    /// The data plane is there.
    Pong {
        /// Its process id.
        pid: u32,
        /// Milliseconds of Unix time at its start.
        epoch: u64,
        /// True from SIGTERM on.
        #[serde(default)]
        draining: bool,
    },
    /// The orders held, by service.
    Table(Vec<Held>),
    /// Addresses of the listeners whose descriptors come with this line.
    Addrs(Vec<SocketAddr>),
    /// The drain has begun.
    Quitting,
    /// The request was refused and nothing has changed.
    Error(String),
}

/// One held order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Service.
    pub service: String,
    /// Position of the order held.
    pub order: Order,
    /// Address asked for.
    pub listen: SocketAddr,
    /// Whether the address is open.
    pub listening: bool,
}

/// Everything counted since the start of the process. All numbers are cumulative; a new `epoch`
/// means they began again at zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Milliseconds of Unix time at the start of the process.
    pub epoch: u64,
    /// Grows with each reply.
    pub seq: u64,
    /// The data plane's clock, milliseconds of Unix time.
    pub now_ms: u64,
    /// Every cohort of every service up to and including this second (Unix time) is closed.
    pub closed_through_s: u64,
    /// One entry for each (service, generation), the newest generation of a service last, at most
    /// the last 16.
    pub services: Vec<ServiceCounters>,
    /// What each instance holds; also instances no longer in the table, while they hold anything.
    pub instances: Vec<InstanceLoad>,
    /// Requests Serin could not get answered, by service.
    pub dropped: Vec<Dropped>,
}

impl Counters {
    /// Requests dropped in all services.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().map(Dropped::total).sum()
    }

    /// The counters of the stable or candidate arm of a revision in one generation.
    pub fn arm(&self, service: &str, generation: Generation, rev: &str) -> Option<&ArmCounters> {
        self.find(service, generation, |arm| arm.revision == rev && arm.role != Role::Baseline)
    }

    /// The counters of the baseline arm in one generation.
    pub fn baseline(&self, service: &str, generation: Generation) -> Option<&ArmCounters> {
        self.find(service, generation, |arm| arm.role == Role::Baseline)
    }

    fn find(
        &self,
        service: &str,
        generation: Generation,
        wanted: impl Fn(&ArmCounters) -> bool,
    ) -> Option<&ArmCounters> {
        let mut services = self.services.iter();
        let entry = services.find(|s| s.service == service && s.generation == generation)?;
        entry.arms.iter().find(|arm| wanted(arm))
    }
}

/// Counters of one service in one generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceCounters {
    /// Service.
    pub service: String,
    /// Generation under which the requests arrived.
    pub generation: Generation,
    /// Every cohort of the service up to and including this second (Unix time) is closed, in all
    /// generations alike. Another service's long window does not hold it back. 0 = ask
    /// [`Counters::closed_through_s`].
    #[serde(default)]
    pub closed_through_s: u64,
    /// One entry for each arm, in the route's order.
    pub arms: Vec<ArmCounters>,
}

/// Counters of one arm in one generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmCounters {
    /// Revision.
    pub revision: String,
    /// Role it had.
    pub role: Role,
    /// Weight asked for, parts per [`WEIGHT_TOTAL`].
    pub weight_asked: u32,
    /// Requests assigned to the arm.
    pub assigned: u64,
    /// When the first was assigned, milliseconds of Unix time; 0 = never.
    pub first_assigned_ms: u64,
    /// When the last was assigned, milliseconds of Unix time; 0 = never.
    pub last_assigned_ms: u64,
    /// With affinity: users assigned to the arm, each once in each closed window, judged or not.
    #[serde(default)]
    pub sessions_assigned: u64,
    /// With affinity: judged users and, of these, those with
    /// an error, by part of all users (64). The parts are drawn independently of the arms, so
    /// that they show how much stable differs from itself. Empty otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub split: Vec<(u64, u64)>,
    /// Judged requests and, of these, errors, by the instance that the first attempt went to; at
    /// most [`MAX_INSTANCES`], in the order in which they came. Requests also with affinity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<(String, u64, u64)>,
    /// The evidence: closed cohorts only.
    pub judged: Judged,
    /// Everything, as it happened.
    pub totals: Totals,
}

/// Most instances counted one by one in an arm; what later ones serve is in the arm's own counts.
pub const MAX_INSTANCES: usize = 100;

/// Evidence of one arm over closed cohorts: each request once, in the second it arrived, in the
/// arm it was assigned to, by its first attempt.
///
/// With affinity the unit is the user in a window: `n` users with at least one judged request
/// that arrived in the window, of these `errors` with at least one error, and the latency of each
/// user's first judged request of the window, of users without an error.
///
/// What is still open at the close is held against whoever it waits for at that moment. It is
/// `aborted` when it waits for the client, and `unfinished`, an error, in every other case:
///
/// - Until the response begins it waits for the client when a part of the request body is owed
///   and the instance's socket has taken all that came. An instance that does not read, so that
///   nothing more can be passed on, is waited for itself.
/// - From the response's head on it waits for the client when the client does not take what the
///   instance has sent. An instance that has begun to answer and stops is waited for itself, also
///   while a part of the request body is owed: it may have said all it wants to hear.
///
/// A user is judged by the requests that do not wait for the user: one without any other is in
/// none of the counts. The request timeout blames by the same rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// Requests with an outcome, unfinished ones included, aborted ones not.
    pub n: u64,
    /// Of these: status >= 500, timeout, refused or reset connection, no ready instance, or
    /// `unfinished`.
    pub errors: u64,
    /// Of the errors: still running at the close, and not because of the client (users: and no
    /// other error).
    pub unfinished: u64,
    /// Requests given up by the client before the close, or waiting for it at the close; in
    /// neither `n` nor `errors`. Requests also with affinity, where a user with no other request
    /// is in neither either.
    pub aborted: u64,
    /// Whether the unit is the user in a window instead of the request.
    #[serde(default)]
    pub sessions: bool,
    /// Time from arrival to the last byte of responses without error: (bucket, count), bucket =
    /// `floor(32 * log2(us))` within 0..=1023, ascending.
    pub latency: Vec<(u16, u64)>,
}

/// Everything that happened to an arm's requests, warm-up and late finishes included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Requests assigned that have come to an end.
    pub requests: u64,
    /// Responses of the app with status >= 500.
    pub responses_5xx: u64,
    /// Requests given up after the request timeout.
    pub timeouts: u64,
    /// Attempts that found no open port.
    pub connect_failures: u64,
    /// Attempts whose connection closed or broke before the response was whole.
    pub resets: u64,
    /// Requests given up by the client.
    pub client_aborts: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Requests that another arm served because this one had no ready instance.
    pub fallback: u64,
    /// Connections upgraded (status 101).
    pub upgrades: u64,
    /// Time to the last byte of responses without error, as in [`Judged::latency`].
    pub latency: Vec<(u16, u64)>,
}

/// What one instance holds now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceLoad {
    /// Service.
    pub service: String,
    /// Instance.
    pub instance: String,
    /// Requests and upgraded connections it holds.
    pub in_flight: u64,
    /// Of these, upgraded connections.
    pub upgraded: u64,
}

/// Requests that got no whole response of the app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Service.
    pub service: String,
    /// 503: no ready instance.
    pub no_ready: u64,
    /// 502: no attempt reached the app, or the connection broke before the response.
    pub failed: u64,
    /// 504: the request timeout ran out.
    pub timeout: u64,
    /// The response broke off after its head had been passed on.
    pub truncated: u64,
}

impl Dropped {
    /// All kinds together.
    pub fn total(&self) -> u64 {
        self.no_ready + self.failed + self.timeout + self.truncated
    }
}

#[cfg(test)]
mod tests;
