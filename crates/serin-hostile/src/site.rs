//! One service and its platform: the engine decides, this makes its plans true with instances in
//! this process and routes in the data plane.

use crate::app::{App, Behaviour};
use crate::plane::Plane;
use crate::spec;
use anyhow::{Result, bail};
use serin_calibration::rng::Rng;
use serin_core::{
    Actor, AffinityKey, Ask, Counts, DeployAsk, Event, Generation, Observation, Plan, RecordedTick,
    RevisionId, RevisionObservation, RevisionPlan, Role, Service, ServiceSpec, Shared, Timestamp,
    step,
};
use serin_proxy::wire;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

struct Instance {
    name: String,
    app: App,
    since: Timestamp,
}

/// A service with its world.
pub struct Site {
    /// What the engine knows.
    pub service: Shared<Service>,
    /// What its judge was given.
    pub ticks: Vec<RecordedTick>,
    plane: Arc<Plane>,
    candidate: Behaviour,
    stable: Behaviour,
    rng: Rng,
    instances: BTreeMap<RevisionId, Vec<Instance>>,
    restarts: BTreeMap<RevisionId, u32>,
    applied: Option<Generation>,
    looks: u64,
    subs: u64,
    started: u64,
}

/// Wall-clock time.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_millis() as i64)
}

impl Site {
    /// A service nobody has deployed to.
    ///
    /// # Errors
    /// The engine refuses it.
    pub async fn new(
        plane: Arc<Plane>,
        spec: ServiceSpec,
        stable: Behaviour,
        candidate: Behaviour,
        rng: Rng,
    ) -> Result<Self> {
        let mut site = Self {
            service: Service::new(spec).into(),
            ticks: Vec::new(),
            plane,
            candidate,
            stable,
            rng,
            instances: BTreeMap::new(),
            restarts: BTreeMap::new(),
            applied: None,
            looks: 0,
            subs: 0,
            started: 0,
        };
        site.tell(Event::TookOver { epoch: 1, rollouts: 0 }).await?;
        Ok(site)
    }

    /// Asks for a revision.
    ///
    /// # Errors
    /// It is refused, or the world does not follow.
    pub async fn deploy(&mut self, revision: RevisionId) -> Result<()> {
        let ask = DeployAsk {
            spec: self.service.spec.clone(),
            revision,
            allow_bad: false,
            departure: None,
            skips: serin_core::Skips::Nothing,
        };
        let ask = Ask::Deploy(Box::new(ask));
        self.tell(Event::Asked { by: Actor("bench".into()), reason: None, ask }).await
    }

    /// What the data plane has counted, if any of it is new.
    ///
    /// # Errors
    /// The world does not follow.
    pub async fn counted(&mut self, counts: &[Counts]) -> Result<()> {
        let rollout = self.service.rollout.as_ref().filter(|_| self.service.wants_counts());
        let news = rollout.map(|r| r.news(counts.to_vec())).unwrap_or_default();
        let event = if news.is_empty() { Event::Woke } else { Event::Counted(news) };
        self.tell(event).await
    }

    /// Gives the engine an event, and makes true what follows from it.
    async fn tell(&mut self, event: Event) -> Result<()> {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let turn = step(&self.service, &event, now());
            if let Some(refusal) = turn.refused {
                bail!("refused: {refusal}");
            }
            self.service = turn.next;
            self.ticks.extend(turn.ticks);
            if let Some(plan) = turn.apply {
                self.make_true(&plan).await?;
                next = Some(self.look());
            }
        }
        Ok(())
    }

    async fn make_true(&mut self, plan: &Plan) -> Result<()> {
        for (id, wanted) in &plan.revisions {
            while self.instances.get(id).map_or(0, Vec::len) < wanted.replicas as usize {
                self.start(id).await?;
            }
        }
        self.route(plan).await?;
        self.instances.retain(|id, _| plan.revisions.contains_key(id));
        self.applied = Some(plan.generation);
        Ok(())
    }

    async fn start(&mut self, id: &RevisionId) -> Result<()> {
        let behaviour = if *id == spec::stable() { &self.stable } else { &self.candidate };
        self.started += 1;
        let rng = Rng::of(self.rng.bits(), self.started);
        let app = App::start(behaviour.clone(), rng).await?;
        let name = format!("{}-{}", id.version, self.started);
        self.instances.entry(id.clone()).or_default().push(Instance { name, app, since: now() });
        Ok(())
    }

    async fn route(&mut self, plan: &Plan) -> Result<()> {
        self.subs += 1;
        let arm = |(id, wanted): (&RevisionId, &RevisionPlan)| wire::Arm {
            revision: id.to_string(),
            role: match wanted.role {
                Role::Stable => wire::Role::Stable,
                _ => wire::Role::Candidate,
            },
            weight: wanted.weight.parts(),
            backends: self.instances.get(id).into_iter().flatten().map(backend).collect(),
        };
        let listen = plan.listen.expect("a service of the bench has users");
        let generation = wire::Generation { epoch: plan.generation.epoch, n: plan.generation.n };
        let arms = plan.revisions.iter().map(arm).collect();
        let route = wire::Route {
            sub: self.subs,
            request_timeout_ms: plan.request_timeout.0,
            warmup_ms: plan.warm_up.0,
            affinity: plan.affinity.as_ref().map(|affinity| wire::Affinity {
                key: match &affinity.key {
                    AffinityKey::Cookie(name) => wire::AffinityKey::Cookie(name.clone()),
                    AffinityKey::Header(name) => wire::AffinityKey::Header(name.clone()),
                    AffinityKey::Address => wire::AffinityKey::Address,
                },
                salt: affinity.salt.clone(),
                window_s: (affinity.window.0 / 1000) as u32,
            }),
            ..wire::Route::new(plan.service.as_str(), listen, generation, arms)
        };
        self.plane.apply(&route).await
    }

    /// What a platform would see.
    fn look(&mut self) -> Event {
        self.looks += 1;
        let seen = |(id, instances): (&RevisionId, &Vec<Instance>)| {
            let seen = RevisionObservation {
                ready: instances.len() as u32,
                youngest_ready_at: instances.iter().map(|i| i.since).max(),
                restarts: self.restarts.get(id).copied().unwrap_or(0),
                ..RevisionObservation::default()
            };
            (id.clone(), seen)
        };
        Event::Observed(Observation {
            seq: (1, self.looks),
            applied: self.applied,
            revisions: self.instances.iter().map(seen).collect(),
            fresh: None,
            trouble: None,
        })
    }

    /// Kills an instance of a revision; the platform has not noticed yet.
    pub fn kill(&mut self, id: &RevisionId) {
        let victim =
            self.instances.get_mut(id).and_then(|all| (!all.is_empty()).then(|| all.remove(0)));
        drop(victim.map(|instance| instance.app));
        *self.restarts.entry(id.clone()).or_default() += 1;
    }

    /// The platform notices what runs, and tells data plane and engine.
    ///
    /// # Errors
    /// The world does not follow.
    pub async fn notice(&mut self) -> Result<()> {
        if let Some(plan) = self.service.plan.clone() {
            self.route(&plan).await?;
        }
        let look = self.look();
        self.tell(look).await
    }

    /// Starts another instance of a revision, and routes to it.
    ///
    /// # Errors
    /// No port, or the world does not follow.
    pub async fn replace(&mut self, id: &RevisionId) -> Result<()> {
        self.start(id).await?;
        self.notice().await
    }

    /// Takes the service out of the data plane.
    pub async fn close(self) {
        self.plane.remove(self.service.name.as_str()).await;
    }
}

fn backend(instance: &Instance) -> wire::Backend {
    wire::Backend {
        instance: instance.name.clone(),
        addr: instance.app.addr,
        ready_since_ms: instance.since.0,
    }
}
