//! A made-up machine under the engine: instances that start, get ready, crash and drain one by one,
//! in an order the test chooses or chance does.

use crate::support::{World, revision, spec};
use serin_core::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    Starting { crashed: bool },
    Ready,
    Leaving,
}

/// What an instance of a revision does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    Good,
    /// Starts and never gets ready.
    Hangs,
    /// Does not start.
    Fails,
}

pub struct Machine {
    pub world: World,
    pub held: Plan,
    pub lives: BTreeMap<RevisionId, Vec<(Life, Timestamp)>>,
    pub truth: BTreeMap<RevisionId, Truth>,
    restarts: BTreeMap<RevisionId, u32>,
    pub in_flight: u64,
}

pub fn replace(max_surge: Amount, max_unavailable: Amount) -> Capacity {
    Capacity::Replace { max_surge, max_unavailable }
}

/// A rolling schedule in these batches, each with a short bake.
pub fn rolling(replicas: u32, capacity: Capacity, batches: &[u32]) -> ServiceSpec {
    let bake =
        |p: &u32| [Step::SetWeight(Weight::percent(*p).unwrap()), crate::support::bake(5, false)];
    let mut service = spec(batches.iter().flat_map(bake).collect());
    service.replicas = replicas;
    service.schedule.analysis = None;
    service.schedule.keep_warm = Millis(0);
    service.schedule.warm_up = Millis::secs(1);
    service.schedule.capacity = capacity;
    service
}

impl Machine {
    /// v1 is stable, all of it ready.
    pub fn on_v1(service: ServiceSpec) -> Self {
        let mut world = World::new(vec![]);
        world.service = Service::new(service);
        world.event(&Event::TookOver { epoch: 1, rollouts: 0 }).unwrap();
        world.deploy("v1").unwrap();
        let held = world.plan().clone();
        let mut machine = Self {
            world,
            held,
            lives: BTreeMap::new(),
            truth: BTreeMap::new(),
            restarts: BTreeMap::new(),
            in_flight: 0,
        };
        machine.run(30);
        assert!(machine.world.service.rollout.is_none(), "{}", machine.world.waiting);
        machine.world.told.clear();
        machine.world.records.clear();
        machine.world.applied.clear();
        machine
    }

    /// The platform takes the last order.
    pub fn take(&mut self) {
        self.held = self.world.plan().clone();
        let now = self.world.now;
        for (id, wanted) in &self.held.revisions {
            let crew = self.lives.entry(id.clone()).or_default();
            staff(crew, wanted.replicas as usize, now);
        }
        for (id, crew) in &mut self.lives {
            if !self.held.revisions.contains_key(id) {
                staff(crew, 0, now);
            }
        }
    }

    pub fn look(&mut self) {
        let revisions = self.seen();
        let observation = Observation {
            applied: Some(self.held.generation),
            revisions,
            ..Observation::default()
        };
        self.world.observe(observation);
    }

    fn seen(&self) -> BTreeMap<RevisionId, RevisionObservation> {
        let planned = |id: &RevisionId| self.held.revisions.contains_key(id);
        let there = self.lives.iter().filter(|(id, crew)| !crew.is_empty() || planned(id));
        there.map(|(id, crew)| (id.clone(), self.seen_of(id, crew))).collect()
    }

    fn seen_of(&self, id: &RevisionId, crew: &[(Life, Timestamp)]) -> RevisionObservation {
        let count = |is: fn(&Life) -> bool| crew.iter().filter(|(life, _)| is(life)).count() as u32;
        let ready = crew.iter().filter(|(life, _)| *life == Life::Ready);
        let starting = count(|life| matches!(life, Life::Starting { .. }));
        let fails = self.truth.get(id) == Some(&Truth::Fails) && starting > 0;
        RevisionObservation {
            starting,
            ready: count(|life| *life == Life::Ready),
            stopping: count(|life| *life == Life::Leaving),
            youngest_ready_at: ready.map(|(_, since)| *since).max(),
            restarts: self.restarts.get(id).copied().unwrap_or(0),
            in_flight: self.in_flight,
            failure: fails.then(|| StartFailure {
                instance: format!("shop-{}-1", id.version),
                cause: ExitCause::Code(3),
                last_probe: None,
                log: vec![],
            }),
            ..RevisionObservation::default()
        }
    }

    /// One instance of `version` that starts gets ready.
    pub fn ready_one(&mut self, version: &str) -> bool {
        let id = revision(version);
        if self.truth.get(&id).is_some_and(|truth| *truth != Truth::Good) {
            return false;
        }
        self.change(&id, |life| matches!(life, Life::Starting { .. }), Some(Life::Ready))
    }

    /// One that leaves is gone.
    pub fn gone_one(&mut self, version: &str) -> bool {
        self.change(&revision(version), |life| *life == Life::Leaving, None)
    }

    /// One that is ready crashes and is started again.
    pub fn crash_one(&mut self, version: &str) -> bool {
        let id = revision(version);
        let to = Life::Starting { crashed: true };
        let hit = self.change(&id, |life| *life == Life::Ready, Some(to));
        *self.restarts.entry(id).or_default() += u32::from(hit);
        hit
    }

    fn change(&mut self, id: &RevisionId, is: fn(&Life) -> bool, to: Option<Life>) -> bool {
        let now = self.world.now;
        let Some(crew) = self.lives.get_mut(id) else { return false };
        let Some(at) = crew.iter().position(|(life, _)| is(life)) else { return false };
        match to {
            Some(life) => crew[at] = (life, now),
            None => drop(crew.remove(at)),
        }
        true
    }

    pub fn versions(&self) -> Vec<String> {
        self.lives.keys().map(|id| id.version.as_str().to_owned()).collect()
    }

    /// Seconds in which everything goes as fast as it can.
    pub fn run(&mut self, secs: u64) {
        for _ in 0..secs {
            self.second();
        }
    }

    pub fn second(&mut self) {
        self.take();
        for version in self.versions() {
            while self.ready_one(&version) || self.gone_one(&version) {}
        }
        self.look();
        self.check();
        self.world.advance(1);
    }

    pub fn ready(&self, version: &str) -> usize {
        self.count(version, |life| *life == Life::Ready)
    }

    pub fn count(&self, version: &str, is: fn(&Life) -> bool) -> usize {
        let crew = self.lives.get(&revision(version));
        crew.map_or(0, |crew| crew.iter().filter(|(life, _)| is(life)).count())
    }

    /// Instances that may be there, and that must be in traffic.
    pub fn limits(&self) -> (usize, usize) {
        let service = &self.world.service.spec;
        let n = service.replicas;
        match service.schedule.capacity {
            Capacity::Beside => (2 * n as usize, n as usize),
            Capacity::Replace { max_surge, max_unavailable } => {
                let (surge, fewer) = (max_surge.up(n), max_unavailable.down(n).min(n));
                ((n + surge) as usize, (n - fewer) as usize)
            }
        }
    }

    /// The promises, now. Instances that died by themselves are nobody's fault.
    pub fn check(&self) {
        let (most, least) = self.limits();
        let all: usize = self.lives.values().map(Vec::len).sum();
        assert!(all <= most, "{all} processes of {most}: {:?}", self.lives);
        let led = |id: &RevisionId| self.held.weight(id) > Weight::NONE;
        let good = |id: &RevisionId, life: &Life| match life {
            Life::Ready => led(id),
            Life::Starting { crashed } => *crashed,
            Life::Leaving => false,
        };
        let there = |(id, crew): (&RevisionId, &Vec<(Life, Timestamp)>)| {
            crew.iter().filter(|(life, _)| good(id, life)).count()
        };
        let there: usize = self.lives.iter().map(there).sum();
        if self.world.service.stable.is_some() {
            assert!(there >= least, "{there} in traffic of {least}: {:?}", self.lives);
        }
    }
}

/// As many as ordered; those that never were ready leave first.
fn staff(crew: &mut Vec<(Life, Timestamp)>, wanted: usize, now: Timestamp) {
    let staying =
        |crew: &[(Life, Timestamp)]| crew.iter().filter(|(life, _)| *life != Life::Leaving).count();
    let kinds: [fn(&Life) -> bool; 3] = [
        |life| *life == Life::Starting { crashed: false },
        |life| matches!(life, Life::Starting { .. }),
        |life| *life == Life::Ready,
    ];
    for kind in kinds {
        while staying(crew) > wanted
            && let Some(at) = crew.iter().position(|(life, _)| kind(life))
        {
            crew[at].0 = Life::Leaving;
        }
    }
    while staying(crew) < wanted {
        crew.push((Life::Starting { crashed: false }, now));
    }
}
