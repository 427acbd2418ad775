//! Carrying out actions: each is handed to a helper and noted in the fleet.

use super::{Actor, DRAIN_POLL, Fact};
use crate::crew::Crew;
use crate::launch::{Job, launch};
use crate::log;
use crate::plane::Wanted;
use crate::probe;
use crate::published;
use crate::reconcile::Action;
use crate::world::{Phase, Probing};
use serin_core::{ExitCause, Millis, ServiceName, Timestamp};
use serin_keeper::protocol::Request;
use serin_proxy::wire;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};

/// Lines of a failed instance's log that are told.
const TOLD_LINES: usize = 20;
/// Time between two looks at what instances hold.
const IDLE_POLL: Millis = Millis::secs(5);
/// The same while a rollout has two revisions up.
const ROLLING_POLL: Millis = Millis::secs(1);

impl Actor {
    pub(super) fn carry_out(&mut self, name: &ServiceName, action: Action, now: Timestamp) {
        if let Some(served) = self.services.get_mut(name) {
            served.fleet.note(&action, now);
        }
        match action {
            Action::Route(route) => self.route(name, *route),
            Action::Start { instance, crew, slot } => {
                self.start(name, &instance, (&crew, slot), now);
            }
            Action::Stop { instance, grace } => {
                self.order(Request::Stop { instance, grace_ms: grace.0 });
            }
            Action::Forget { instance } => self.forget(instance),
            Action::Explain { instance, cause } => self.explain(name, instance, cause),
            Action::Probe { instance, probing } => self.probe(name, instance, probing),
            Action::Read { instance } => self.read(name, instance),
            Action::Drain { .. } => self.next_poll = now,
            Action::Recall { .. } => {}
        }
    }

    /// The fleet keeps steady times; the data plane compares with the wall clock.
    fn route(&self, name: &ServiceName, mut route: wire::Route) {
        let backends = route.arms.iter_mut().flat_map(|arm| &mut arm.backends);
        backends.for_each(|backend| backend.ready_since_ms += self.clock.shift());
        self.plane.order(name.as_str(), Wanted::Route(Box::new(route)));
    }

    /// An order to the keeper that may be repeated and whose effect the journal tells.
    pub(super) fn order(&self, request: Request) {
        let keeper = self.keeper.clone();
        tokio::spawn(async move {
            // A refusal means that the process is gone, which the journal says, too.
            let _ = keeper.insist(request).await;
        });
    }

    /// The keeper's memory of an ended process goes, and its log.
    fn forget(&self, instance: String) {
        let path = log::path(&self.settings.data, &instance);
        self.order(Request::Forget { instance });
        tokio::task::spawn_blocking(move || log::remove(&path));
    }

    fn start(
        &mut self,
        name: &ServiceName,
        instance: &str,
        (crew, slot): (&Crew, u32),
        now: Timestamp,
    ) {
        let Some(served) = self.services.get_mut(name) else { return };
        let Some(wanted) = served.plan.as_ref().and_then(|p| crew.wanted(p)) else { return };
        let port = self.ports.take(now, can_bind);
        let label = served.fleet.next_label((crew, wanted), slot, port.unwrap_or(0), now);
        served.fleet.begun(instance, &label, now);
        if port.is_none() {
            let why = crate::Error::NoPort.to_string();
            served.fleet.exited(instance, ExitCause::NotStarted(why), now);
            return;
        }
        let log = log::path(&self.settings.data, instance);
        let (instance, run, colour) = (instance.into(), wanted.run.clone(), wanted.colour);
        let (data, flags) = (self.settings.data.clone(), self.flags.get());
        let job = Job { instance, label, run, colour, log, data, flags };
        let (keeper, tell) = (self.keeper.clone(), self.tell.clone());
        tokio::spawn(async move {
            let _ = tell.send(Fact::Launched(launch(job, &keeper).await));
        });
    }

    fn explain(&self, name: &ServiceName, instance: String, cause: ExitCause) {
        let (service, tell) = (name.clone(), self.tell.clone());
        let path = log::path(&self.settings.data, &instance);
        tokio::task::spawn_blocking(move || {
            let log = log::tail(&path, TOLD_LINES);
            let _ = tell.send(Fact::Explained { service, instance, cause, log });
        });
    }

    fn probe(&self, name: &ServiceName, instance: String, probing: Probing) {
        let Some(served) = self.services.get(name) else { return };
        let Some(known) = served.fleet.instances.get(&instance) else { return };
        let run = served.plan.as_ref().and_then(|p| known.crew.wanted(p)).map(|w| w.run);
        let probe = run.and_then(|run| match probing {
            Probing::Readiness => Some(run.readiness.clone()),
            Probing::Liveness => run.liveness.clone(),
        });
        let Some(probe) = probe else { return };
        let (service, tell, port) = (name.clone(), self.tell.clone(), known.port);
        tokio::spawn(async move {
            let result = probe::attempt(&probe, port).await;
            let probe = Box::new((probing, probe));
            let _ = tell.send(Fact::Probed { service, instance, probe, result });
        });
    }

    fn read(&self, name: &ServiceName, instance: String) {
        let Some(served) = self.services.get(name) else { return };
        let Some(known) = served.fleet.instances.get(&instance) else { return };
        let wanted = served.plan.as_ref().and_then(|plan| known.crew.wanted(plan));
        let Some(spec) = wanted.and_then(|wanted| wanted.run.metrics.clone()) else { return };
        let (service, tell, port) = (name.clone(), self.tell.clone(), known.port);
        tokio::spawn(async move {
            let result = published::fetch(&spec.path, port).await;
            let period = spec.period;
            let _ = tell.send(Fact::Read { service, instance, period, result });
        });
    }

    /// Has the keeper listen for a service, so that its address is held whatever happens to the
    /// data plane.
    pub(super) fn bind(&self, name: &ServiceName, addr: SocketAddr) {
        let (keeper, tell, service) = (self.keeper.clone(), self.tell.clone(), name.clone());
        tokio::spawn(async move {
            let answer = keeper.insist(Request::Bind { addr: addr.to_string() }).await;
            if let Some(why) = answer.ok().and_then(|reply| crate::local::refusal(addr, &reply)) {
                let _ = tell.send(Fact::Unbound { service, why: why.to_string() });
            }
        });
    }

    /// Asks the data plane what instances hold: often while some of them drain.
    pub(super) fn poll(&mut self, now: Timestamp) {
        if self.polling || now < self.next_poll || self.services.is_empty() {
            return;
        }
        self.next_poll = now.plus(self.poll_gap());
        self.polling = true;
        let orders: BTreeMap<_, _> =
            self.services.iter().map(|(name, s)| (name.clone(), s.fleet.table.acked)).collect();
        let (plane, tell) = (self.plane.clone(), self.tell.clone());
        tokio::spawn(async move {
            let counters = plane.counters().await.ok().map(Box::new);
            let _ = tell.send(Fact::Loads { counters, orders });
        });
    }

    fn poll_gap(&self) -> Millis {
        let draining = |s: &super::Served| {
            s.fleet.instances.values().any(|i| matches!(i.phase, Phase::Draining { .. }))
        };
        let rolling = |s: &super::Served| s.plan.as_ref().is_some_and(|p| p.revisions.len() > 1);
        if self.services.values().any(draining) {
            DRAIN_POLL
        } else if self.services.values().any(rolling) {
            ROLLING_POLL
        } else {
            IDLE_POLL
        }
    }
}

/// Whether nobody listens on a port just now.
pub(super) fn can_bind(port: u16) -> bool {
    TcpListener::bind(crate::route::address(port)).is_ok()
}
