//! What was counted.

use super::{Generation, Role};
#[cfg(doc)]
use super::{Route, WEIGHT_TOTAL};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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
    /// Leaves only what a judge of these services looks at: the totals of a busy service are many
    /// times as long.
    pub fn keep_evidence(&mut self, services: &BTreeSet<String>) {
        self.services.retain(|counted| services.contains(&counted.service));
        for arm in self.services.iter_mut().flat_map(|counted| &mut counted.arms) {
            arm.totals = Totals::default();
        }
        self.instances.clear();
        self.dropped.clear();
    }

    /// Requests dropped in all services.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().map(Dropped::total).sum()
    }

    /// The counters of a revision's own arm in one generation, whatever its role.
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
    /// Of a flag: users seen with both variants within one window of this generation.
    #[serde(default)]
    pub crossed: u64,
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
    /// Requests dealt to the arm.
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
    /// Requests that were led here by override, rule, preview address or [`Route::only`], and
    /// copies that were sent here. In none of the above; of these, only copies are judged.
    #[serde(default)]
    pub led: u64,
    /// Copies of requests for this arm.
    #[serde(default, skip_serializing_if = "Copies::is_none")]
    pub copies: Copies,
    /// The evidence: closed cohorts only.
    pub judged: Judged,
    /// Everything, as it happened.
    pub totals: Totals,
}

/// What became of the copies for an arm. Bodies are kept up to [`MAX_COPY_BODY`], and so many
/// copies at a time as [`MAX_COPIES`] says; a user's request never waits for a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copies {
    /// Sent.
    pub sent: u64,
    /// Not made because too many were under way, or no instance was ready.
    pub dropped: u64,
    /// Not made because the request's body was too large.
    pub too_large: u64,
}

impl Copies {
    /// Whether there were none at all.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Largest request body that is copied, in bytes.
pub const MAX_COPY_BODY: usize = 64 * 1024;

/// Copies under way at a time, by service and worker.
pub const MAX_COPIES: u32 = 128;

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
    /// Units in `n` that reached [`Route::goal`]: a request that matches was answered below 400
    /// (users: at least one of the window's).
    #[serde(default)]
    pub goals: u64,
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
