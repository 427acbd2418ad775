//! The control protocol of the data plane: one JSON document per line over a unix socket, one
//! reply line for each request line, in order.
//!
//! Requests are externally tagged: `{"apply":{..}}`, `{"remove":{"service":"shop"}}`,
//! `"counters"`, `"ping"`, `{"listeners":null}`.

mod affinity;
mod clients;
mod counters;
mod flags;
mod flags_held;
mod rules;

pub use affinity::{Affinity, AffinityError, AffinityKey, DEFAULT_WINDOW_S, MAX_WINDOW_S};
pub use clients::{ClientSpan, ClientVersion, Clients};
pub use counters::{
    ArmCounters, Copies, Counters, Dropped, InstanceLoad, Judged, MAX_COPIES, MAX_COPY_BODY,
    MAX_INSTANCES, ServiceCounters, Totals,
};
pub use flags::{Flags, FlagsError, MAX_CARRIED, Source, flag_header, folded_key};
pub use flags_held::FlagsReply;
pub use rules::{Goal, HeaderMatch, Mirror, Preview, RequestMatch, Rule, RuleError, TextMatch};

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
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
    /// A request with this header says itself where it goes: `stable` or `never`, `candidate` or
    /// `always`, or a version in the table, in any case; another value says nothing. It comes
    /// before the rules, and is no evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_header: Option<String>,
    /// Requests that are led because of their headers: the first rule that fits, before users and
    /// weights. They are no evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Only requests with one of these are dealt; the others are led to stable. Empty: all are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<HeaderMatch>,
    /// Where copies of dealt requests go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// An address of its own for one revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// Judged requests that count as success ([`Judged::goals`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// Flags that its requests carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<Flags>,
    /// Revisions that do not serve every client.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clients: BTreeMap<String, Clients>,
}

fn default_request_timeout_ms() -> u64 {
    DEFAULT_REQUEST_TIMEOUT_MS
}

fn default_warmup_ms() -> u64 {
    DEFAULT_WARMUP_MS
}

impl Route {
    /// A route of these arms without anything special.
    pub fn new(service: &str, listen: SocketAddr, generation: Generation, arms: Vec<Arm>) -> Self {
        Self {
            service: service.to_owned(),
            listen,
            generation,
            sub: 0,
            arms,
            request_timeout_ms: DEFAULT_REQUEST_TIMEOUT_MS,
            warmup_ms: DEFAULT_WARMUP_MS,
            affinity: None,
            override_header: None,
            rules: Vec::new(),
            only: Vec::new(),
            mirror: None,
            preview: None,
            goal: None,
            flags: None,
            clients: BTreeMap::new(),
        }
    }

    /// Every address it takes.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        let preview = self.preview.as_ref().map(|preview| preview.listen);
        std::iter::once(self.listen).chain(preview)
    }

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
        affinity.map_err(|why| RouteError::Affinity { service: service(), why })?;
        let flags = self.flags.as_ref().map_or(Ok(()), Flags::check);
        flags.map_err(|why| RouteError::Flags { service: service(), why })?;
        rules::check(self).map_err(|why| RouteError::Rule { service: service(), why })
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
    /// The flags cannot be carried.
    #[error("the flags of {service}: {why}")]
    Flags {
        /// Service of the route.
        service: String,
        /// What is wrong with them.
        why: FlagsError,
    },
    /// A rule cannot be followed.
    #[error("the rules of {service}: {why}")]
    Rule {
        /// Service of the route.
        service: String,
        /// What is wrong with it.
        why: RuleError,
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
    /// One more revision beside the two, to be compared with stable.
    Variant,
    /// A revision kept ready without traffic of its own.
    Kept,
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
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
    /// What is evidence about these services, and nothing else of what was counted. Answered by
    /// [`Reply::Counters`].
    Evidence {
        /// Their names.
        services: BTreeSet<String>,
    },
    /// Serve these flags. Answered by [`Reply::Flags`].
    Flags(serin_edge::Table),
    /// Change one flag of the table that is held. Answered by [`Reply::Flags`].
    FlagUpsert(serin_edge::Upsert),
    /// Evaluations counted so far, without those that are as they were when this connection asked
    /// last. Answered by [`Reply::FlagCounts`].
    FlagCounts,
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
    /// What became of an order about flags.
    Flags(FlagsReply),
    /// Evaluations counted since the process began.
    FlagCounts(Box<serin_edge::Counts>),
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

#[cfg(test)]
mod tests;
