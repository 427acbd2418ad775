//! The service as its owner would have written it.

use crate::condition::{Condition, HARM_RATIO, Incident, STABLE_ERRORS};
use crate::run::Terms;
use serin_core::{
    AffinitySpec, Analysis, Bake, Limits, LogLimits, Millis, Probe, ProbeKind, RevisionId, RunSpec,
    Schedule, ServiceName, ServiceSpec, Step, TrafficSpec, Weight,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Bound on false rollbacks, unless said otherwise.
pub const ALPHA: f64 = 0.05;
/// Bound on wrong passes.
pub const BETA: f64 = 0.05;
/// Instances of each revision.
pub const REPLICAS: u32 = 2;

/// Longer than any run.
const FOREVER: Millis = Millis::secs(3600);

/// The service `name` at `listen`.
pub fn service(
    name: &ServiceName,
    listen: SocketAddr,
    condition: &Condition,
    terms: Terms,
) -> ServiceSpec {
    let affinity = condition
        .affinity
        .clone()
        .map(|(key, window)| AffinitySpec { key, window: Millis(window.as_millis() as u64) });
    let traffic = TrafficSpec {
        request_timeout: Millis(condition.timeout.as_millis() as u64),
        affinity,
        ..TrafficSpec::at(listen)
    };
    let schedule = Schedule {
        analysis: Some(analysis(terms.alpha)),
        keep_warm: FOREVER,
        ..Schedule::of("canary", steps(condition, terms.horizon))
    };
    ServiceSpec {
        replicas: REPLICAS,
        ..ServiceSpec::of(name.clone(), program(), traffic, schedule)
    }
}

/// The defaults, with risks at which a few hundred runs can show something, and harm that shows
/// within a run.
fn analysis(alpha: f64) -> Analysis {
    Analysis {
        alpha,
        beta: BETA,
        harm_ratio: HARM_RATIO,
        harm_floor: STABLE_ERRORS,
        report_only: true,
        ..Analysis::default()
    }
}

/// The last bake is longer than the run: a PASS is noted and changes nothing.
fn steps(condition: &Condition, horizon: Duration) -> Vec<Step> {
    let bake = |at_least, until_evidence| {
        Step::Bake(Bake { at_least, requests: 0, until_evidence, deadline: FOREVER })
    };
    let share = |percent| Step::SetWeight(Weight::percent(percent).unwrap_or(Weight::ALL));
    let mut steps = Vec::new();
    if condition.incident == Incident::Weights {
        let third = Millis(horizon.as_millis() as u64 / 3);
        for percent in [20, 35] {
            steps.extend([share(percent), bake(third, false)]);
        }
        steps.push(share(50));
    } else {
        steps.push(share(40));
    }
    steps.extend([bake(FOREVER, true), share(100)]);
    steps
}

fn program() -> RunSpec {
    let probe = Probe {
        kind: ProbeKind::Tcp,
        period: Millis::secs(1),
        timeout: Millis::secs(1),
        failure_threshold: 3,
        success_threshold: 1,
        initial_delay: Millis(0),
    };
    RunSpec {
        command: vec!["./shop".into()],
        env: BTreeMap::new(),
        env_files: Vec::new(),
        working_directory: "/srv".into(),
        user: None,
        limits: Limits::default(),
        readiness: probe,
        liveness: None,
        grace: Millis::secs(1),
        log: LogLimits::default(),
        metrics: None,
        database: None,
    }
}

/// The revision everybody is on.
pub fn stable() -> RevisionId {
    revision("v1@aa01")
}

/// The revision on trial.
pub fn candidate() -> RevisionId {
    revision("v2@aa02")
}

#[expect(clippy::expect_used, reason = "the two texts are right")]
fn revision(text: &str) -> RevisionId {
    text.parse().expect("a revision")
}
