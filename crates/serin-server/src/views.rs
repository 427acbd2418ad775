//! Turns state into the documents of the API.

mod life;

pub(crate) use life::{left, measured, recovered, way_back_from};

use crate::api::view::{
    ArmView, InstanceRow, JournalLine, LatencyIntervals, RolloutView, ServiceView, UntoldView,
    schema_of,
};
use crate::notify::{Trouble, Untold};
use serin_core::{
    Entry, PauseReason, Phase, RevisionId, Rollout, Service, ServiceName, Timestamp, WaitingOn,
    Weight, describe, verdict_sentence,
};
use serin_local::wire::{ArmCounters, Counters, Role};
use serin_local::{InstanceView, PhaseName};
use serin_stats::Histogram;
use std::collections::BTreeMap;

/// A journal entry with its sentence.
pub(crate) fn journal_line(seq: u64, service: ServiceName, entry: Entry) -> JournalLine {
    let text = entry.fact.to_string();
    JournalLine { seq, service, entry, text }
}

/// What is known besides the service's own state.
pub(crate) struct Around<'a> {
    pub(crate) waiting_on: WaitingOn,
    pub(crate) counts: Option<&'a Counters>,
    pub(crate) instances: Vec<InstanceView>,
    pub(crate) trouble: Option<&'a str>,
    pub(crate) untold: Vec<Untold>,
}

/// The whole view of one service.
pub(crate) fn service_view(service: &Service, around: Around<'_>) -> ServiceView {
    ServiceView {
        schema: schema_of("service"),
        name: service.name.clone(),
        environment: service.spec.environment.clone(),
        state: service.state().into(),
        listen: service.spec.traffic.listen,
        replicas: service.spec.replicas,
        stable: service.stable.clone(),
        rollout: service.rollout.as_ref().map(rollout_view),
        last: service.last.clone(),
        waiting_for: around.trouble.map_or_else(|| around.waiting_on.to_string(), Into::into),
        waiting_on: around.waiting_on,
        traffic: arms(service, around.counts),
        notes: notes(service, around.trouble),
        instances: instances(service, around.instances),
        way_back: life::way_back(service),
        queued: life::queued(service),
        boarded: life::boarded(service),
        clients: life::clients(service),
        hold: service.hold.clone(),
        kept: service.kept.clone(),
        migration: service.schemas.open.clone(),
        contracted: service.schemas.settled_by.clone(),
        untold: around.untold.into_iter().map(untold).collect(),
    }
}

fn untold(untold: Untold) -> UntoldView {
    let Untold { target, waiting, trouble } = untold;
    let Trouble { since, why, lost } = trouble;
    UntoldView { target, waiting, lost, since, why }
}

/// A running rollout.
pub(crate) fn rollout_view(rollout: &Rollout) -> RolloutView {
    RolloutView {
        id: rollout.id,
        kind: rollout.kind,
        candidate: rollout.candidate.clone(),
        baseline: rollout.baseline.clone(),
        by: rollout.by.0.clone(),
        reason: rollout.reason.clone(),
        started_at: rollout.started_at,
        step: rollout.step.index + 1,
        steps: rollout.schedule.len(),
        step_words: rollout.schedule.steps().map(|(_, step)| describe(step)).collect(),
        step_entered_at: rollout.step.entered_at,
        stage: rollout.stage().into(),
        weight: rollout.weight,
        phase: phase_word(&rollout.phase).into(),
        cause: cause(&rollout.phase),
        paused: rollout.paused.as_ref().map(pause_words),
        judged: rollout.counted.judged,
        assessment: rollout.assessment.clone(),
        verdict: rollout.assessment.as_ref().map(verdict_sentence),
        latency_intervals: latency_intervals(rollout),
        skipped: rollout.skipped.clone(),
        tests: life::tests(rollout),
        approval: life::approval(rollout),
        variants: life::variants(rollout),
        routes: rollout.beside.routes.iter().map(|route| route.name.clone()).collect(),
        mirror: rollout.beside.mirror.as_ref().map(|mirror| mirror.share),
        places: rollout.places.clone(),
        downtime: rollout.downtime,
        notes: rollout.notes.clone(),
        back: rollout.back.clone(),
    }
}

fn latency_intervals(rollout: &Rollout) -> Option<LatencyIntervals> {
    let judge = rollout.judge.as_ref()?;
    let [p50_ms, p99_ms] = [0.5, 0.99].map(|q| judge.quantile_intervals(q));
    let known = [p50_ms, p99_ms].iter().flatten().any(Option::is_some);
    known.then_some(LatencyIntervals { p50_ms, p99_ms })
}

fn phase_word(phase: &Phase) -> &'static str {
    match phase {
        Phase::Stepping => "stepping",
        Phase::Warm { .. } => "warm",
        Phase::Retiring => "retiring",
        Phase::Reverting { .. } => "reverting",
    }
}

fn cause(phase: &Phase) -> Option<String> {
    match phase {
        Phase::Reverting { cause, .. } => Some(cause.text.clone()),
        _ => None,
    }
}

fn pause_words(why: &PauseReason) -> String {
    match why {
        PauseReason::Person(who) => format!("by {}", who.0),
        PauseReason::Inconclusive => "inconclusive evidence".into(),
        PauseReason::Guard(why) | PauseReason::Check(why) | PauseReason::Instance(why) => {
            why.clone()
        }
        PauseReason::Failed(cause) | PauseReason::Confirm { cause, .. } => cause.text.clone(),
    }
}

fn notes(service: &Service, trouble: Option<&str>) -> Vec<String> {
    let seen = &service.observed.revisions;
    let drifted = seen.iter().filter(|(_, r)| r.drift);
    let drifted = drifted.map(|(id, _)| {
        format!(
            "instances of {} run files that changed after it was deployed; give those of each \
             version a path with $(REVISION), and deploy it anew",
            id.version
        )
    });
    let failing = seen.iter().filter_map(|(id, r)| {
        let failure = r.failure.as_ref()?;
        Some(format!("{} of {}: {}", failure.instance, id.version, failure.cause))
    });
    let schema = service.schema_sentence(crate::control::now());
    let first = trouble.map(ToOwned::to_owned).into_iter().chain(schema);
    first.chain(drifted).chain(failing).collect()
}

/// Sums of one revision over all generations the data plane still knows, and its share in the
/// newest one.
#[derive(Default)]
struct Sum {
    requests: u64,
    errors: u64,
    first: Option<u64>,
    last: Option<u64>,
    latency: Histogram,
    asked: u32,
    newest_assigned: u64,
    role: Option<Role>,
}

fn arms(service: &Service, counts: Option<&Counters>) -> Vec<ArmView> {
    let name = service.name.as_str();
    let of = counts.iter().flat_map(|c| &c.services).filter(|s| s.service == name);
    let mut sums: BTreeMap<(String, bool), Sum> = BTreeMap::new();
    for generation in of {
        for sum in sums.values_mut() {
            (sum.asked, sum.newest_assigned, sum.role) = (0, 0, None);
        }
        for arm in &generation.arms {
            let key = (arm.revision.clone(), arm.role == Role::Baseline);
            sums.entry(key).or_default().add(arm);
        }
    }
    let newest: u64 = sums.values().map(|s| s.newest_assigned).sum();
    let arms = sums.into_iter();
    arms.filter_map(|((id, fresh), sum)| Some(sum.view(id.parse().ok()?, fresh, newest))).collect()
}

impl Sum {
    fn add(&mut self, arm: &ArmCounters) {
        let t = &arm.totals;
        self.requests += arm.assigned;
        self.errors += t.responses_5xx + t.timeouts + t.connect_failures + t.resets;
        let set = |ms: u64| (ms > 0).then_some(ms);
        self.first = [self.first, set(arm.first_assigned_ms)].into_iter().flatten().min();
        self.last = self.last.max(set(arm.last_assigned_ms));
        for (bucket, count) in &t.latency {
            self.latency.record(*bucket, *count);
        }
        self.asked = arm.weight_asked;
        self.newest_assigned = arm.assigned;
        self.role = Some(arm.role);
    }

    fn view(self, revision: RevisionId, fresh: bool, newest: u64) -> ArmView {
        let quantile = |q| self.latency.quantile_us(q).map(|(low, high)| middle_ms(low, high));
        ArmView {
            revision,
            role: match self.role {
                Some(Role::Stable) => "stable",
                Some(Role::Candidate) => "candidate",
                Some(Role::Baseline) => "baseline",
                Some(Role::Variant) => "variant",
                Some(Role::Kept) => "kept",
                None if fresh => "former-baseline",
                None => "former",
            }
            .into(),
            asked: Weight::try_from(u64::from(self.asked)).unwrap_or(Weight::NONE),
            realised: (newest > 0).then(|| self.newest_assigned as f64 / newest as f64),
            requests: self.requests,
            errors: self.errors,
            first_request_at: self.first.map(|ms| Timestamp(ms as i64)),
            last_request_at: self.last.map(|ms| Timestamp(ms as i64)),
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
        }
    }
}

fn middle_ms(low_us: u64, high_us: u64) -> f64 {
    (low_us + high_us) as f64 / 2000.0
}

/// What runs, and what ended of the revisions that should run.
fn instances(service: &Service, views: Vec<InstanceView>) -> Vec<InstanceRow> {
    let planned = service.plan.as_deref().map(|plan| &plan.revisions);
    let is_planned = |v: &InstanceView| planned.is_some_and(|all| all.contains_key(&v.revision));
    let shown = views.into_iter().filter(|v| v.exit.is_none() || is_planned(v));
    shown.map(instance_row).collect()
}

fn instance_row(view: InstanceView) -> InstanceRow {
    InstanceRow {
        id: view.id,
        revision: view.revision,
        phase: instance_phase(view.phase).into(),
        port: view.port,
        pid: view.pid.and_then(|pid| u32::try_from(pid).ok()),
        in_flight: view.in_flight,
        restarts: view.restarts,
        cpu_percent: view.usage.map(|u| u.cpu_percent),
        rss_bytes: view.usage.map(|u| u.rss_bytes),
        threads: view.usage.map(|u| u.threads),
        open_files: view.usage.map(|u| u.open_files),
        last_probe: view.last_probe,
        artefact: view.artefact.unwrap_or_default(),
    }
}

pub(crate) fn instance_phase(phase: PhaseName) -> &'static str {
    match phase {
        PhaseName::Starting => "starting",
        PhaseName::Ready => "ready",
        PhaseName::Unready => "not-ready",
        PhaseName::Draining => "draining",
        PhaseName::Stopping => "stopping",
        PhaseName::Exited => "exited",
    }
}
