//! A platform whose instances are ready at once and whose traffic is made up. It lives on a thread
//! of its own, so that its work is not counted as the control plane's.

use crate::world::{Chance, Traffic, done};
use serde::Serialize;
use serin_core::{Plan, ServiceName};
use serin_local::wire::{Counters, Judged, Totals};
use serin_server::rehearsal::{Counting, Platform, Report};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How long it takes until a plan is on the disk of the data plane.
const WRITES: Duration = Duration::from_millis(1);

/// Generations of a service whose counters are kept, as a data plane does.
const GENERATIONS: usize = 16;

/// Orders to the thread.
enum Order {
    Apply(Box<Plan>),
    /// Of these services, or everything.
    Count(Option<Vec<ServiceName>>, oneshot::Sender<Vec<u8>>),
}

/// What was measured, and what the services are at.
#[derive(Debug, Default)]
pub struct Seen {
    /// When the newest fact about a service was handed to the control loop.
    facts: BTreeMap<ServiceName, Instant>,
    plans: BTreeMap<ServiceName, Plan>,
    /// Milliseconds from a fact to the plan that follows from it.
    pub delays: Vec<f64>,
    /// Plans handed out again, which nothing follows from.
    pub repeated: u64,
}

/// The handle that the control loop has.
#[derive(Clone)]
pub struct MadeUp {
    orders: mpsc::UnboundedSender<Order>,
    seen: Arc<Mutex<Seen>>,
}

impl MadeUp {
    /// Starts its thread; reports go to `reports`.
    pub fn start(reports: mpsc::Sender<Report>) -> std::io::Result<Self> {
        let (orders, inbox) = mpsc::unbounded_channel();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let world = World {
            reports,
            seen: Arc::clone(&seen),
            traffic: BTreeMap::new(),
            chance: Chance(11),
            seq: 0,
            started: now_ms(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let life = move || runtime.block_on(world.run(inbox));
        std::thread::Builder::new().name("made-up".into()).spawn(life)?;
        Ok(Self { orders, seen })
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Somebody asks something of a service now.
    pub fn asked(&mut self, service: &ServiceName) {
        self.facts.insert(service.clone(), Instant::now());
    }

    /// Whether two revisions of it run.
    pub fn is_rolling(&self, service: &ServiceName) -> bool {
        self.plans.get(service).is_some_and(|plan| plan.revisions.len() > 1)
    }

    fn handed(&mut self, plan: &Plan) {
        let service = &plan.service;
        if self.plans.get(service).is_some_and(|known| known.generation >= plan.generation) {
            self.repeated += 1;
            return;
        }
        if let Some(fact) = self.facts.get(service) {
            self.delays.push(fact.elapsed().as_secs_f64() * 1000.0);
        }
        self.plans.insert(service.clone(), plan.clone());
    }
}

impl Platform for MadeUp {
    fn apply(&self, plan: Plan) {
        self.seen().handed(&plan);
        let _ = self.orders.send(Order::Apply(Box::new(plan)));
    }

    fn remove(&self, _: ServiceName) {}

    fn counters(&self) -> Counting {
        self.count(None)
    }

    fn evidence(&self, services: Vec<ServiceName>) -> Counting {
        self.count(Some(services))
    }
}

impl MadeUp {
    fn count(&self, of: Option<Vec<ServiceName>>) -> Counting {
        let this = self.clone();
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            this.orders.send(Order::Count(of, reply)).ok()?;
            // Decoded here, as what comes over the socket of a real data plane is.
            let text = answer.await.ok()?;
            serde_json::from_slice::<Counters>(&text).map_err(|e| eprintln!("counters: {e}")).ok()
        })
    }
}

struct World {
    reports: mpsc::Sender<Report>,
    seen: Arc<Mutex<Seen>>,
    traffic: BTreeMap<ServiceName, VecDeque<Traffic>>,
    chance: Chance,
    seq: u64,
    started: u64,
}

impl World {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        while let Some(order) = orders.recv().await {
            match order {
                Order::Apply(plan) => self.apply(&plan),
                Order::Count(None, reply) => drop(reply.send(self.everything())),
                Order::Count(Some(of), reply) => drop(reply.send(self.count(&of))),
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&mut self, plan: &Plan) {
        let kept = self.traffic.entry(plan.service.clone()).or_default();
        if kept.back().is_none_or(|newest| newest.counts.generation < plan.generation) {
            kept.push_back(Traffic::new(plan));
            while kept.len() > GENERATIONS {
                kept.pop_front();
            }
        }
        self.seq += 1;
        let report = Report::Observed(plan.service.clone(), done(plan, self.seq));
        let (service, seen, reports) =
            (plan.service.clone(), Arc::clone(&self.seen), self.reports.clone());
        tokio::spawn(async move {
            tokio::time::sleep(WRITES).await;
            seen.lock().unwrap_or_else(PoisonError::into_inner).asked(&service);
            let _ = reports.send(report).await;
        });
    }

    /// A second goes by where versions are on trial; everything counted, as it goes over a socket.
    fn count(&mut self, of: &[ServiceName]) -> Vec<u8> {
        self.seq += 1;
        let rolling: Vec<_> =
            self.traffic.keys().filter(|name| self.seen().is_rolling(name)).cloned().collect();
        for name in &rolling {
            let newest = self.traffic.get_mut(name).and_then(VecDeque::back_mut);
            if let Some(newest) = newest {
                newest.second(&mut self.chance);
            }
        }
        let mut said = self.said(|name| of.contains(name));
        for arm in said.services.iter_mut().flat_map(|service| &mut service.arms) {
            arm.totals = Totals::default();
        }
        let text = serde_json::to_vec(&said).unwrap_or_default();
        for name in &rolling {
            self.seen().asked(name);
        }
        text
    }

    /// Everything, as people look at it.
    fn everything(&mut self) -> Vec<u8> {
        self.seq += 1;
        serde_json::to_vec(&self.said(|_| true)).unwrap_or_default()
    }

    fn said(&self, of: impl Fn(&ServiceName) -> bool) -> Said {
        let now = now_ms();
        let all = self.traffic.iter().filter(|(name, _)| of(name));
        let services = all.flat_map(|(name, kept)| kept.iter().map(|one| service(name, one)));
        Said {
            epoch: self.started,
            seq: self.seq,
            now_ms: now,
            closed_through_s: now / 1000,
            services: services.collect(),
            instances: [],
            dropped: [],
        }
    }
}

fn service(name: &ServiceName, traffic: &Traffic) -> SaidService {
    let arms = traffic.counts.arms.iter().map(|(id, arm)| SaidArm {
        revision: id.to_string(),
        role: "stable",
        weight_asked: 0,
        assigned: arm.assigned,
        first_assigned_ms: 0,
        last_assigned_ms: 0,
        judged: Judged {
            n: arm.n,
            errors: arm.errors,
            latency: arm.latency.iter().collect(),
            ..Judged::default()
        },
        totals: Totals {
            requests: arm.n,
            latency: arm.latency.iter().collect(),
            ..Totals::default()
        },
    });
    let generation = traffic.counts.generation;
    let generation = SaidGeneration { epoch: generation.epoch, n: generation.n };
    SaidService { service: name.to_string(), generation, arms: arms.collect() }
}

fn now_ms() -> u64 {
    jiff::Timestamp::now().as_millisecond() as u64
}

/// The counters as the data plane says them.
#[derive(Serialize)]
struct Said {
    epoch: u64,
    seq: u64,
    now_ms: u64,
    closed_through_s: u64,
    services: Vec<SaidService>,
    instances: [u8; 0],
    dropped: [u8; 0],
}

#[derive(Serialize)]
struct SaidService {
    service: String,
    generation: SaidGeneration,
    arms: Vec<SaidArm>,
}

#[derive(Serialize)]
struct SaidGeneration {
    epoch: u64,
    n: u64,
}

#[derive(Serialize)]
struct SaidArm {
    revision: String,
    role: &'static str,
    weight_asked: u32,
    assigned: u64,
    first_assigned_ms: u64,
    last_assigned_ms: u64,
    judged: Judged,
    totals: Totals,
}
