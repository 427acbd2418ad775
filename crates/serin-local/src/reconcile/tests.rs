//! A pretend world: what `reconcile` asks for is noted and told in one line each.

mod adoption;
mod baseline;
mod life;
mod properties;
mod traffic;
mod worker;

use super::*;
use crate::facts::{Listed, ListedState};
use serin_core::{
    FreshBaseline, Generation, Limits, LogLimits, ProbeKind, RevisionPlan, Role, RunSpec, Weight,
};
use std::collections::BTreeMap;

struct World {
    plan: Plan,
    fleet: Fleet,
    now: Timestamp,
}

fn probe(period: u64, failure_threshold: u32) -> Probe {
    Probe {
        kind: ProbeKind::Tcp,
        period: Millis(period),
        timeout: Millis(1000),
        failure_threshold,
        success_threshold: 1,
        initial_delay: Millis(0),
    }
}

fn run() -> RunSpec {
    RunSpec {
        command: vec!["./app".into()],
        env: BTreeMap::new(),
        env_files: Vec::new(),
        working_directory: "/srv".into(),
        user: None,
        limits: Limits::default(),
        readiness: probe(1000, 3),
        liveness: Some(probe(10_000, 3)),
        grace: Millis::secs(10),
        log: LogLimits::default(),
        metrics: None,
        database: None,
    }
}

/// `revisions`: version, percent, replicas; `v1` is stable.
fn plan(n: u64, revisions: &[(&str, u32, u32)]) -> Plan {
    let revision = |(version, percent, replicas): &(&str, u32, u32)| {
        let role = if *version == "v1" { Role::Stable } else { Role::Candidate };
        let weight = Weight::percent(*percent).unwrap();
        let wanted = RevisionPlan {
            role,
            replicas: *replicas,
            weight,
            run: run().into(),
            fresh: None,
            colour: serin_core::Colour::Blue,
        };
        (format!("{version}@aa").parse().unwrap(), wanted)
    };
    Plan {
        listen: "127.0.0.1:80".parse().ok(),
        warm_up: Millis::secs(5),
        revisions: revisions.iter().map(revision).collect(),
        ..Plan::empty("s".parse().unwrap(), Generation { epoch: 1, n })
    }
}

impl World {
    /// Everything is known to be empty.
    fn new(revisions: &[(&str, u32, u32)]) -> Self {
        let plan = plan(1, revisions);
        let mut fleet = Fleet::new(plan.service.clone(), Millis::secs(30));
        fleet.table.first_plan = Some(plan.generation);
        let now = Timestamp(1_000_000);
        fleet.listed(&[], now);
        fleet.met(None, now);
        Self { plan, fleet, now }
    }

    /// A world in which the first plan holds: all started, ready, and the table acknowledged.
    fn settled(revisions: &[(&str, u32, u32)]) -> Self {
        let mut world = Self::new(revisions);
        world.go();
        for id in world.names() {
            world.spawn(&id);
            world.ok(&id);
        }
        world.go();
        world.ack();
        world.go();
        world
    }

    fn names(&self) -> Vec<String> {
        self.fleet.instances.keys().cloned().collect()
    }

    fn want(&mut self, n: u64, revisions: &[(&str, u32, u32)]) -> &mut Self {
        self.want_beside(n, revisions, None)
    }

    /// The same with a fresh baseline of `v1`, where the plan has it: replicas, percent.
    fn want_beside(
        &mut self,
        n: u64,
        revisions: &[(&str, u32, u32)],
        fresh: Option<(u32, u32)>,
    ) -> &mut Self {
        let mut new = plan(n, revisions);
        if let (Some((replicas, percent)), Some(v1)) = (fresh, new.revisions.values_mut().next()) {
            let weight = Weight::percent(percent.min(v1.weight.parts() / 1000)).unwrap();
            v1.weight = Weight::try_from(u64::from(v1.weight.parts() - weight.parts())).unwrap();
            v1.fresh = Some(FreshBaseline { replicas, weight });
        }
        self.fleet.replan(&self.plan, &new);
        self.fleet.planned(&new);
        self.plan = new;
        self
    }

    fn pass(&mut self, ms: u64) -> &mut Self {
        self.now = self.now.plus(Millis(ms));
        self
    }

    /// Reconciles until nothing more is asked for; probes are not told.
    fn go(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        for round in 0.. {
            assert!(round < 10, "no end: {told:?}");
            let actions = reconcile(&self.plan, &self.fleet, self.now);
            if actions.is_empty() {
                return told;
            }
            for action in actions {
                self.fleet.note(&action, self.now);
                self.carry_out(&action);
                told.extend(tell(&action));
            }
        }
        told
    }

    fn carry_out(&mut self, action: &Action) {
        let Action::Start { instance, crew, slot } = action else { return };
        let wanted = crew.wanted(&self.plan).unwrap();
        let port = 10_000 + self.fleet.next_number as u16;
        let label = self.fleet.next_label((crew, wanted), *slot, port, self.now);
        self.fleet.begun(instance, &label, self.now);
    }

    fn spawn(&mut self, id: &str) -> &mut Self {
        self.fleet.spawned(id, 1, Some("aa".into()), self.now);
        self
    }

    fn probed(&mut self, id: &str, probing: Probing, ok: bool) -> &mut Self {
        let probe = if probing == Probing::Readiness { probe(1000, 3) } else { probe(10_000, 3) };
        let result = if ok { Ok("up".into()) } else { Err("down".into()) };
        self.fleet.probed(id, (probing, &probe), result, self.now);
        self
    }

    fn ok(&mut self, id: &str) -> &mut Self {
        self.probed(id, Probing::Readiness, true)
    }

    fn fail(&mut self, id: &str, times: u32) -> &mut Self {
        for _ in 0..times {
            self.probed(id, Probing::Readiness, false);
        }
        self
    }

    fn hang(&mut self, id: &str) -> &mut Self {
        for _ in 0..3 {
            self.probed(id, Probing::Liveness, false);
        }
        self
    }

    fn exit(&mut self, id: &str, code: i32) -> &mut Self {
        self.fleet.exited(id, ExitCause::Code(code), self.now);
        self
    }

    /// The data plane takes on the last order.
    fn oust(&mut self, id: &str, code: i32) -> &mut Self {
        self.fleet.ousted(id, ExitCause::Code(code), self.now);
        self
    }

    fn ack(&mut self) -> &mut Self {
        let order = self.fleet.table.sent.as_ref().unwrap().order();
        self.fleet.applied(order, true, None, self.now);
        self
    }

    /// The data plane counts, with what it holds now in force.
    fn count(&mut self, loads: &[(&str, u64)]) -> &mut Self {
        let order = self.fleet.table.acked;
        self.fleet.counted(&loads.iter().copied().collect(), order);
        self
    }

    fn phase(&self, id: &str) -> crate::PhaseName {
        self.fleet.instances[id].phase.name()
    }
}

fn tell(action: &Action) -> Option<String> {
    Some(match action {
        Action::Route(route) => {
            let arm = |arm: &wire::Arm| {
                let version = arm.revision.split('@').next().unwrap();
                let ids: Vec<&str> = arm.backends.iter().map(|b| short(&b.instance)).collect();
                let fresh = if arm.role == wire::Role::Baseline { "'" } else { "" };
                format!("{version}{fresh}={}[{}]", arm.weight / 1000, ids.join(","))
            };
            let arms: Vec<String> = route.arms.iter().map(arm).collect();
            format!("route {}/{} {}", route.generation.n, route.sub, arms.join(" "))
        }
        Action::Start { instance, slot, .. } => format!("start {instance} slot {slot}"),
        Action::Drain { instance, why, left } => {
            format!("drain {instance} {why:?} from {}/{}", left.generation.n, left.sub)
        }
        Action::Recall { instance } => format!("recall {instance}"),
        Action::Stop { instance, grace } => format!("stop {instance} {grace}"),
        Action::Explain { instance, cause } => format!("explain {instance} {cause:?}"),
        Action::Forget { instance } => format!("forget {instance}"),
        Action::Read { instance } => format!("read {instance}"),
        Action::Probe { .. } => return None,
    })
}

/// The own instances of a version.
fn own(version: &str) -> Crew {
    Crew::own(&format!("{version}@aa").parse().unwrap())
}

/// The number of an instance.
fn short(id: &str) -> &str {
    id.rsplit('-').next().unwrap()
}

/// A process of `v1` as the keeper lists it.
fn listed(id: &str, slot: u32, state: ListedState) -> Listed {
    let number = short(id).parse().unwrap();
    let version = id.split('-').nth(1).unwrap();
    let label = Label {
        service: "s".parse().unwrap(),
        revision: format!("{version}@aa").parse().unwrap(),
        role: Role::Stable,
        baseline: false,
        slot,
        port: 10_000 + number as u16,
        artefact: Some("aa".into()),
        started: Timestamp(500_000),
        failures: 0,
        restarts: 0,
        grace: Millis::secs(10),
        number,
    };
    Listed { instance: id.into(), label, pid: 7, state }
}

/// The data plane holds sub-order `sub` of plan `n`.
fn held(n: u64, sub: u64) -> wire::Order {
    wire::Order { generation: wire_generation(Generation { epoch: 1, n }), sub }
}
