//! Random but possible services, schedules and revisions.

use fastrand::Rng;
use serin_core::{
    AffinityKey, AffinitySpec, Analysis, Bake, Baseline, Digest, Expose, Limits, LogLimits, Millis,
    OnInconclusive, Probe, ProbeKind, RevisionId, RunSpec, Schedule, ServiceSpec, Stage, Step,
    TrafficSpec, Weight,
};
use serin_stats::threshold::{Check, Failures, Population, Range, Signal};
use serin_stats::{Kind, MetricSettings, Role, Worse};
use std::collections::BTreeMap;

/// What a revision is really like; the product does not know.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Truth {
    /// As good as every good one.
    Good,
    /// This share of its requests fails.
    Errors(f64),
    /// As good ones for so many seconds since it was first ready; then this share fails.
    Late {
        /// Seconds.
        after: u64,
        /// Share of requests.
        share: f64,
    },
    /// This share of its requests is given up by their clients.
    GivenUp(f64),
    /// Each request takes so much longer, in milliseconds.
    Slow(u64),
    /// Exits as soon as it is started.
    WontStart,
    /// Runs and never gets ready.
    NeverReady,
    /// Exits now and then: this share of turns.
    Crashes(f64),
}

impl Truth {
    /// A random one; half of them good.
    pub fn draw(rng: &mut Rng) -> Self {
        match rng.u32(..10) {
            0..5 => Self::Good,
            5 | 6 => Self::Errors(0.1 + rng.f64() * 0.5),
            7 => Self::Slow(100 + rng.u64(..400)),
            8 => {
                if rng.bool() {
                    Self::WontStart
                } else {
                    Self::NeverReady
                }
            }
            _ if rng.f64() < 0.3 => Self::GivenUp(0.1 + rng.f64() * 0.8),
            _ if rng.f64() < 0.4 => Self::Late { after: rng.u64(5..120), share: 0.2 },
            _ => Self::Crashes(0.05 + rng.f64() * 0.2),
        }
    }

    /// Whether evidence on traffic from the start would have to stop it: far beyond every border
    /// of harm that scripts ask for.
    pub fn is_harmful_under_traffic(self) -> bool {
        match self {
            Self::Errors(share) => share >= 0.05,
            Self::Slow(ms) => ms >= 50,
            _ => false,
        }
    }
}

/// The id of the revision called `version`.
pub fn revision(version: &str) -> RevisionId {
    let hash: [u8; 6] = version.bytes().cycle().fold_six();
    RevisionId {
        version: version.parse().expect("a valid version"),
        digest: Digest::from_hash(&hash),
    }
}

trait FoldSix {
    fn fold_six(self) -> [u8; 6];
}

impl<I: Iterator<Item = u8>> FoldSix for I {
    fn fold_six(self) -> [u8; 6] {
        let mut out = [0; 6];
        for (i, byte) in self.take(12).enumerate() {
            out[i % 6] = u8::wrapping_mul(out[i % 6], 31).wrapping_add(byte);
        }
        out
    }
}

/// A random service called `name` on a port of its own.
pub fn spec(name: &str, port: u16, rng: &mut Rng) -> ServiceSpec {
    ServiceSpec {
        name: name.parse().expect("a valid name"),
        environment: "production".into(),
        replicas: rng.u32(1..=6),
        version: None,
        run: run_spec().into(),
        traffic: TrafficSpec::at(([127, 0, 0, 1], port).into()),
        schedule: schedule(rng).into(),
        on_new_revision: serin_core::OnNewRevision::default(),
        rollback: serin_core::RollbackSpec::default(),
        data: None,
        clients: None,
        train: None,
        notify: vec![],
        history_limit: 10,
        instance_hour_cost: None,
        flag: None,
    }
}

/// Sets what came later than the first golden transcripts, so that those keep their dice.
pub fn extend(spec: &mut ServiceSpec, rng: &mut Rng) {
    if rng.f64() < 0.25 {
        let key = AffinityKey::Cookie("user".into());
        spec.traffic.affinity = Some(AffinitySpec { key, window: Millis::secs(rng.u64(1..20)) });
    }
    let schedule = &mut spec.schedule;
    let Some(analysis) = schedule.analysis.as_mut() else { return };
    if rng.f64() < 0.25 {
        analysis.baseline = Baseline::Fresh;
    }
    if rng.f64() < 0.2 {
        analysis.max_errors = Some(rng.u64(20..500));
    }
    if rng.f64() < 0.2 {
        analysis.after_promotion = Millis::secs(rng.u64(1..60));
    }
    analysis.report_only = rng.f64() < 0.1;
    analysis.checks.extend((rng.f64() < 0.3).then(|| check(rng)));
    analysis.metrics.extend((rng.f64() < 0.2).then(restarts));
    if schedule.rungs() > 0 && rng.f64() < 0.3 {
        let up_to = Weight::percent(rng.u32(5..60)).expect("at most 100");
        let budget = rng.u64(5..200) as f64;
        let deadline = Millis::secs(rng.u64(60..300));
        let steps =
            vec![Step::Expose(Expose { budget, up_to, deadline }), Step::SetWeight(Weight::ALL)];
        schedule.stages = vec![Stage { name: "exposed".into(), steps }];
    }
}

fn check(rng: &mut Rng) -> Check {
    let (signal, most) = match rng.u32(..3) {
        0 => (Signal::ErrorRate, 0.05),
        1 => (Signal::SuccessRate, 1.0),
        _ => (Signal::Latency { quantile: 0.99 }, 80.0),
    };
    let all = [Population::Canary, Population::Service];
    Check {
        population: all[rng.usize(..2)],
        success: Some(Range::at_most(most)),
        failures: if rng.bool() { Failures::Total(2) } else { Failures::Consecutive(2) },
        interval_ms: rng.u64(1..30) * 1000,
        window_ms: rng.u64(1..30) * 1000,
        count: rng.bool().then(|| rng.u32(1..4)),
        initial_delay_ms: rng.u64(..10) * 1000,
        ..Check::of("drawn", signal)
    }
}

fn restarts() -> MetricSettings {
    let kind = Kind::Count { worse: Worse::Rise, harm_ratio: 2.0, harm_floor: 0.0 };
    MetricSettings { metric: "restarts".to_owned().into(), role: Role::Normal, kind }
}

fn run_spec() -> RunSpec {
    let probe = Probe {
        kind: ProbeKind::Tcp,
        period: Millis::secs(1),
        timeout: Millis::secs(1),
        failure_threshold: 3,
        success_threshold: 1,
        initial_delay: Millis(0),
    };
    RunSpec {
        command: vec!["./app".into()],
        env: BTreeMap::new(),
        env_files: vec![],
        working_directory: "/srv".into(),
        user: None,
        limits: Limits::default(),
        readiness: probe,
        liveness: None,
        grace: Millis::secs(10),
        log: LogLimits::default(),
        metrics: None,
        database: None,
    }
}

fn schedule(rng: &mut Rng) -> Schedule {
    let evidence = rng.f64() < 0.7;
    let steps = steps(evidence, rng);
    Schedule {
        analysis: (evidence || rng.bool()).then(|| analysis(rng)),
        warm_up: Millis::secs(rng.u64(..6)),
        progress_deadline: Millis::secs(rng.u64(20..90)),
        keep_warm: Millis::secs(rng.u64(..20)),
        ..Schedule::of("canary", steps)
    }
}

fn analysis(rng: &mut Rng) -> Analysis {
    let all = [OnInconclusive::Pause, OnInconclusive::Rollback, OnInconclusive::Promote];
    Analysis { on_inconclusive: all[rng.usize(..3)], ..Analysis::default() }
}

fn steps(evidence: bool, rng: &mut Rng) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut weight = 0;
    while weight < 100 {
        weight = (weight + rng.u32(5..60)).min(100);
        steps.push(Step::SetWeight(Weight::percent(weight).expect("at most 100")));
        if weight < 100 {
            steps.extend(between(evidence, rng));
        }
    }
    steps
}

fn between(evidence: bool, rng: &mut Rng) -> Option<Step> {
    match rng.u32(..4) {
        0 => Some(Step::Pause(Some(Millis::secs(rng.u64(1..20))))),
        1 if rng.f64() < 0.2 => Some(Step::Pause(None)),
        _ if evidence || rng.bool() => Some(Step::Bake(Bake {
            at_least: Millis::secs(rng.u64(..10)),
            requests: rng.u64(..200),
            until_evidence: evidence,
            deadline: Millis::secs(rng.u64(60..300)),
        })),
        _ => None,
    }
}
