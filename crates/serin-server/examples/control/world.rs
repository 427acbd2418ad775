//! Services, versions and traffic that are made up.

use serin_core::{
    Actor, ArmCounts, Ask, CountKey, Counts, DeployAsk, Event, Observation, Plan, RevisionId,
    RevisionObservation, ServiceSpec, Timestamp,
};
use std::error::Error;

/// Requests of a service in a second while its version is on trial.
const REQUESTS: u64 = 200;

const SPEC: &str = r#"{
  "name": "NAME", "environment": "production", "replicas": 3, "version": null,
  "run": {
    "command": ["./shop", "--port", "$(PORT)"],
    "env": {}, "env_files": [], "working_directory": "/srv/shop",
    "user": null,
    "limits": {"open_files": null, "memory_bytes": null, "processes": null},
    "readiness": {"kind": "tcp", "period": 1000, "timeout": 1000,
                  "failure_threshold": 3, "success_threshold": 1, "initial_delay": 0},
    "liveness": null, "grace": 30000, "log": {"max_bytes": 10485760, "keep": 2}
  },
  "traffic": {"listen": "127.0.0.1:8080", "request_timeout": 60000},
  "schedule": {
    "strategy": "canary",
    "stages": [{"name": "canary", "steps": [
      {"setWeight": 20000},
      {"bake": {"at_least": 0, "requests": 0, "until_evidence": true, "deadline": 3600000}},
      {"setWeight": 50000},
      {"bake": {"at_least": 0, "requests": 0, "until_evidence": true, "deadline": 3600000}},
      {"setWeight": 100000}]}],
    "analysis": ANALYSIS, "warm_up": 0, "progress_deadline": 60000, "keep_warm": 0
  }
}"#;

/// The service of a number.
pub fn spec(number: usize) -> Result<ServiceSpec, Box<dyn Error>> {
    let analysis = serde_json::to_string(&serin_core::Analysis::default())?;
    let text = SPEC.replace("NAME", &format!("shop-{number}")).replace("ANALYSIS", &analysis);
    Ok(serde_json::from_str(&text)?)
}

/// Somebody deploys version `version` of a service.
pub fn deploy(spec: &ServiceSpec, version: usize) -> Result<Event, Box<dyn Error>> {
    let revision: RevisionId = format!("v{version}@{version:012x}").parse()?;
    let ask = DeployAsk {
        spec: spec.clone(),
        revision,
        allow_bad: true,
        departure: None,
        skips: serin_core::Skips::Nothing,
    };
    let reason = Some(format!("release {version} as planned"));
    Ok(Event::Asked { by: Actor("ada".into()), reason, ask: Ask::Deploy(Box::new(ask)) })
}

/// What a platform that has done everything sees.
pub fn done(plan: &Plan, seq: u64) -> Observation {
    let seen = |replicas| RevisionObservation {
        ready: replicas,
        youngest_ready_at: Some(Timestamp(0)),
        ..RevisionObservation::default()
    };
    Observation {
        seq: (plan.generation.epoch, seq),
        applied: Some(plan.generation),
        revisions: plan.revisions.iter().map(|(id, r)| (id.clone(), seen(r.replicas))).collect(),
        fresh: None,
        trouble: None,
    }
}

/// Whether a version is made to fail: every tenth.
fn is_bad(id: &RevisionId) -> bool {
    id.to_string().split('@').next().is_some_and(|version| version.ends_with('7'))
}

/// Cumulative counts of one plan.
#[derive(Debug, Clone)]
pub struct Traffic {
    pub counts: Counts,
    weights: Vec<(RevisionId, u64)>,
}

impl Traffic {
    pub fn new(plan: &Plan) -> Self {
        let weight = |id: &RevisionId| u64::from(plan.weight(id).parts());
        let weights: Vec<_> = plan.revisions.keys().map(|id| (id.clone(), weight(id))).collect();
        let arms = weights.iter().map(|(id, _)| (id.clone(), ArmCounts::default())).collect();
        let (key, generation) = (CountKey::default(), plan.generation);
        Self {
            counts: Counts { key, generation, closed_through: 0, arms, fresh: None, crossed: 0 },
            weights,
        }
    }

    /// A second goes by.
    pub fn second(&mut self, chance: &mut Chance) {
        for (id, weight) in &self.weights {
            let Some(arm) = self.counts.arms.get_mut(id) else { continue };
            let n = REQUESTS * weight / 100_000;
            let errors =
                (0..n).filter(|_| chance.is_lucky(if is_bad(id) { 50 } else { 1 })).count();
            (arm.n, arm.assigned) = (arm.n + n, arm.assigned + n);
            arm.errors += errors as u64;
            (0..n - errors as u64).for_each(|_| arm.latency.record_us(chance.latency()));
        }
    }
}

/// Chance with a fixed seed.
#[derive(Debug)]
pub struct Chance(pub u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// True in `of_thousand` of a thousand cases.
    fn is_lucky(&mut self, of_thousand: u64) -> bool {
        self.next() % 1000 < of_thousand
    }

    /// Microseconds: about lognormal around 20 ms, sigma 0.3.
    fn latency(&mut self) -> u64 {
        let sum: f64 = (0..6).map(|_| (self.next() % 10_000) as f64 / 10_000.0).sum();
        (20_000.0 * ((sum - 3.0) * 1.414 * 0.3).exp()) as u64
    }
}
