//! What is known of one service's processes and of the table that leads traffic to them. Pure data;
//! [`crate::facts`] absorbs what happened, [`crate::reconcile`] decides what to do.

use crate::crew::Crew;
use crate::label::Label;
use crate::published::Published;
use serde::Serialize;
use serin_core::{ExitCause, Generation, Millis, Plan, Role, ServiceName, StartFailure, Timestamp};
use serin_proxy::wire;
use std::collections::{BTreeMap, BTreeSet};

/// Name of one process of a service; a new process gets a new name.
pub type InstanceId = String;

/// The order that stands for "the service is out of the data plane altogether".
pub(crate) const WITHDRAWN: wire::Order =
    wire::Order { generation: wire::Generation { epoch: u64::MAX, n: u64::MAX }, sub: u64::MAX };

/// One service's instances and its table.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// Whose instances.
    pub service: ServiceName,
    /// Every process known, also the last ones that have ended.
    pub instances: BTreeMap<InstanceId, Instance>,
    /// Places for instances: a crew with n replicas fills slots 0 to n-1.
    pub slots: BTreeMap<(Crew, u32), Slot>,
    /// What is remembered of each crew beyond its instances.
    pub tallies: BTreeMap<Crew, Tally>,
    /// What the data plane was told and what it holds.
    pub table: Table,
    /// Whether the keeper's list was read: before that, nothing may be started or routed.
    pub listed: bool,
    /// Number of the next instance.
    pub next_number: u64,
    /// Time that requests on an instance get to finish, from the moment the data plane sends it no
    /// new ones.
    pub drain_deadline: Millis,
}

/// One process of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// What it runs, and whose place it fills.
    pub crew: Crew,
    /// The role its revision had when it was started.
    pub role: Role,
    /// The place it fills.
    pub slot: u32,
    /// TCP port on 127.0.0.1.
    pub port: u16,
    /// Process id; nothing until the keeper has started it.
    pub pid: Option<i32>,
    /// When it was started.
    pub started: Timestamp,
    /// Where it is in its life.
    pub phase: Phase,
    /// May it take traffic?
    pub readiness: Check,
    /// Must it be replaced?
    pub liveness: Check,
    /// Whether it has ever been ready, as far as this control plane saw.
    pub ever_ready: bool,
    /// Its longest time without a break in readiness.
    pub longest_ready: Millis,
    /// How it was taken over from the keeper's list, if it was.
    pub adopted: Option<Adoption>,
    /// Its place in the table, if it has one.
    pub routed: Option<Routed>,
    /// Whether it failed its liveness probe.
    pub dead: bool,
    /// Time between SIGTERM and SIGKILL.
    pub grace: Millis,
    /// Digest of what it runs, once known.
    pub artefact: Option<String>,
    /// Requests and upgraded connections on it, as last counted by the data plane.
    pub load: Load,
    /// What it publishes itself.
    pub published: Published,
    /// Whether its story was asked for: why it does not become ready, or why it was lost.
    pub reported: bool,
    /// When it was lost after it had been ready, until its story is known.
    pub untold_since: Option<Timestamp>,
}

/// A process that a former control plane started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adoption {
    /// When it was taken over.
    pub since: Timestamp,
    /// Whether probes have shown since what it is.
    pub proven: bool,
}

/// A place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routed {
    /// The first order with it.
    pub from: wire::Order,
    /// Whether the data plane has acknowledged that order.
    pub acked: bool,
}

/// What the data plane last said an instance holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests and upgraded connections.
    pub in_flight: u64,
    /// The order that was in force when this was counted: an older count says nothing about an
    /// instance that has left the table since.
    pub counted_at: Option<wire::Order>,
}

/// Where an instance is in its life.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Not ready yet.
    Starting {
        /// Since when.
        since: Timestamp,
    },
    /// Takes traffic.
    Ready {
        /// Since when.
        since: Timestamp,
    },
    /// Was ready and is not now.
    Unready {
        /// Since when it was ready before.
        ready_since: Timestamp,
    },
    /// Out of the table; finishes what it has.
    Draining {
        /// Since when.
        since: Timestamp,
        /// The first order to the data plane without it.
        left: wire::Order,
        /// Why it has to go.
        why: Why,
        /// When the data plane was seen to hold that order.
        acked: Option<Timestamp>,
        /// Since when it was ready before, should it be wanted again.
        ready_since: Option<Timestamp>,
    },
    /// Was sent SIGTERM; SIGKILL follows.
    Stopping {
        /// Since when.
        since: Timestamp,
    },
    /// Gone.
    Exited {
        /// Since when.
        at: Timestamp,
        /// How.
        cause: ExitCause,
    },
}

/// Why an instance has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The plan does not want it any more.
    Surplus,
    /// It failed its liveness probe.
    Dead,
}

/// Results of one probe in a row, and when it is tried next.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Check {
    /// When the next try is due.
    pub next_at: Timestamp,
    /// Whether a try is under way.
    pub trying: bool,
    /// Successes in a row.
    pub successes: u32,
    /// Failures in a row.
    pub failures: u32,
    /// The last result in words: `GET /ready: 200 OK`.
    pub last: Option<String>,
}

/// A place for one instance.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Slot {
    /// Instances lost here in a row.
    pub failures: u32,
    /// The next one is not started before this.
    pub not_before: Timestamp,
    /// Instances that found their port taken by somebody else.
    pub ousted: u32,
}

/// What is remembered of a crew beyond its instances.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// Instances that ended or were replaced unasked.
    pub restarts: u32,
    /// The slot and the story of the last instance that could not be brought up.
    pub failure: Option<(u32, StartFailure)>,
    /// The story of the last instance that was ready and ended unasked.
    pub lost: Option<StartFailure>,
}

/// What the data plane was told about the service.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Table {
    /// Whether the data plane has said what it holds: before that, it is given no order.
    pub known: bool,
    /// Whether it is there.
    pub reachable: bool,
    /// The first plan since this process began: mostly the one its predecessor left.
    pub first_plan: Option<Generation>,
    /// The last order; nothing after a restart until the first one is given.
    pub sent: Option<wire::Route>,
    /// Whether the service was withdrawn.
    pub withdrawn: bool,
    /// Whether its plan has no users: then no table leads to it, and the data plane has no word in
    /// what is done.
    pub worker: bool,
    /// The newest order the data plane is known to hold.
    pub acked: Option<wire::Order>,
    /// The newest generation the data plane has on its disk.
    pub durable: Option<Generation>,
    /// What the data plane could not do.
    pub trouble: Option<String>,
}

/// An instance's phase without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PhaseName {
    /// Not ready yet.
    Starting,
    /// Takes traffic.
    Ready,
    /// Was ready and is not now.
    Unready,
    /// Out of the table, finishing what it has.
    Draining,
    /// Was sent SIGTERM.
    Stopping,
    /// Gone.
    Exited,
}

/// One of an instance's two probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probing {
    /// May it take traffic?
    Readiness,
    /// Must it be replaced?
    Liveness,
}

impl Phase {
    /// Its name.
    pub fn name(&self) -> PhaseName {
        match self {
            Self::Starting { .. } => PhaseName::Starting,
            Self::Ready { .. } => PhaseName::Ready,
            Self::Unready { .. } => PhaseName::Unready,
            Self::Draining { .. } => PhaseName::Draining,
            Self::Stopping { .. } => PhaseName::Stopping,
            Self::Exited { .. } => PhaseName::Exited,
        }
    }
}

impl Instance {
    /// A process that is about to be started as `label` says.
    pub fn new(label: &Label, now: Timestamp) -> Self {
        Self {
            crew: label.crew(),
            role: label.role,
            slot: label.slot,
            port: label.port,
            pid: None,
            started: now,
            phase: Phase::Starting { since: now },
            readiness: Check::default(),
            liveness: Check::default(),
            ever_ready: false,
            longest_ready: Millis(0),
            adopted: None,
            routed: None,
            dead: false,
            grace: label.grace,
            artefact: label.artefact.clone(),
            load: Load::default(),
            published: Published::default(),
            reported: false,
            untold_since: None,
        }
    }

    /// Whether it fills its slot: it serves or shall serve.
    pub fn holds_slot(&self) -> bool {
        matches!(self.phase, Phase::Starting { .. } | Phase::Ready { .. } | Phase::Unready { .. })
    }

    /// Whether it is ready.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. })
    }

    /// Whether it is ready and requests reach it. A data plane that is away cannot say so, and a
    /// worker has none: then readiness has to do.
    pub fn is_serving(&self, table: &Table) -> bool {
        let led = self.routed.is_some_and(|routed| routed.acked);
        self.is_ready() && (led || table.worker || !table.reachable)
    }

    /// Whether its process may still run.
    pub fn is_alive(&self) -> bool {
        !matches!(self.phase, Phase::Exited { .. })
    }

    /// When it was taken over, if probes have not shown yet what it is.
    pub fn unproven_since(&self) -> Option<Timestamp> {
        self.adopted.filter(|adoption| !adoption.proven).map(|adoption| adoption.since)
    }

    /// Since when it is ready.
    pub fn ready_since(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Ready { since } => Some(since),
            _ => None,
        }
    }

    /// The results of one of its probes.
    pub fn check_mut(&mut self, probing: Probing) -> &mut Check {
        match probing {
            Probing::Readiness => &mut self.readiness,
            Probing::Liveness => &mut self.liveness,
        }
    }
}

impl Table {
    /// The newest order known, given or held.
    pub fn newest(&self) -> Option<wire::Order> {
        self.sent.as_ref().map(wire::Route::order).max(self.acked)
    }

    /// Whether the data plane holds `order` or a newer one, or nobody has to.
    pub fn holds(&self, order: wire::Order) -> bool {
        self.is_unrouted() || self.acked.is_some_and(|acked| acked >= order)
    }

    /// Whether no request can reach its instances: a worker that the data plane knows nothing of.
    pub fn is_unrouted(&self) -> bool {
        self.worker && self.acked.is_none()
    }

    /// Whether a worker is still in the data plane, from the time when it had users.
    pub(crate) fn lingers(&self) -> bool {
        self.worker && self.acked.is_some_and(|acked| acked != WITHDRAWN)
    }

    /// The generation that can be told as applied, of a plan that is being made true.
    pub(crate) fn applied(&self, plan: Option<&Plan>) -> Option<Generation> {
        let worker = plan.filter(|_| self.worker && !self.lingers());
        worker.map(|plan| plan.generation).or(self.durable)
    }
}

impl Fleet {
    /// A service of which nothing is known yet.
    pub fn new(service: ServiceName, drain_deadline: Millis) -> Self {
        Self {
            service,
            instances: BTreeMap::new(),
            slots: BTreeMap::new(),
            tallies: BTreeMap::new(),
            table: Table::default(),
            listed: false,
            next_number: 1,
            drain_deadline,
        }
    }

    /// The service is wanted again after it was withdrawn.
    pub(crate) fn welcome(&mut self) {
        if std::mem::take(&mut self.table.withdrawn) {
            self.begin_anew();
        }
    }

    /// A plan is to be made true: its drain time holds from now on.
    pub fn planned(&mut self, plan: &Plan) {
        self.drain_deadline = plan.drain;
        let was_worker = std::mem::replace(&mut self.table.worker, plan.listen.is_none());
        if was_worker && !self.table.worker {
            self.begin_anew();
        } else if self.table.worker {
            self.table.sent = None;
        }
    }

    /// No order of before counts any more.
    fn begin_anew(&mut self) {
        (self.table.sent, self.table.acked, self.table.first_plan) = (None, None, None);
        for instance in self.instances.values_mut() {
            if let Phase::Draining { left, .. } = &mut instance.phase {
                // No table from now on has it: the first one that is acknowledged will do.
                *left = wire::Order::default();
            }
        }
    }

    /// Instances of a crew that fill a slot.
    pub fn holders(&self, crew: &Crew) -> impl Iterator<Item = (&InstanceId, &Instance)> {
        self.instances.iter().filter(move |(_, i)| i.crew == *crew && i.holds_slot())
    }

    /// Ports that a process may still listen on.
    pub fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.instances.values().filter(|i| i.is_alive()).map(|i| i.port)
    }

    /// Whether any process may still run.
    pub fn has_processes(&self) -> bool {
        self.instances.values().any(Instance::is_alive)
    }

    /// Instances in the last table; nothing when that is not known.
    pub fn routed(&self) -> Option<BTreeSet<&str>> {
        let arms = &self.table.sent.as_ref()?.arms;
        Some(arms.iter().flat_map(|arm| &arm.backends).map(|b| b.instance.as_str()).collect())
    }
}
