//! What tests, approvals, routes and experiments wait for.

use super::{WaitingOn, acknowledgement, left};
use crate::engine::experiment::standing;
use crate::engine::{analyse, convict, migrate};
use crate::{
    Analyse, Approval, Experiment, FlagEnd, FlagStep, Hook, Millis, Rollout, Service, Step,
    Timestamp, VariantRun, Weight,
};
use serin_stats::winner::{Missing, WinnerVerdict};

/// What `step` waits for, where it is one of those.
pub(super) fn waits(service: &Service, r: &Rollout, step: &Step, now: Timestamp) -> WaitingOn {
    match step {
        Step::Run(hooks) => tests(service, r, hooks),
        Step::Approve(asked) => approval(r, asked, now),
        Step::Analyse(step) => checks(r, step, now),
        Step::SetHeaderRoute(_) | Step::SetMirror(_) => route(service, r, now),
        Step::Experiment(step) => experiment(service, r, step, now),
        Step::Flag(step) => flag(r, step),
        Step::Migrate(step) => migrate::waits(service, r, step),
        _ => acknowledgement(service),
    }
}

fn flag(rollout: &Rollout, step: &FlagStep) -> WaitingOn {
    let why = match &rollout.step.flag {
        Some(FlagEnd::Refused { why }) => why.clone(),
        _ => format!("to be {}", step.change),
    };
    WaitingOn::Flag { key: step.key.clone(), why }
}

fn tests(service: &Service, rollout: &Rollout, hooks: &[Hook]) -> WaitingOn {
    if convict::needs_instance(rollout) {
        return instance(service, rollout);
    }
    let runs = || hooks.iter().zip(&rollout.step.tests);
    let open = runs().filter(|(_, run)| run.passed.is_none());
    let running = open.map(|(hook, _)| hook.name.clone()).collect();
    let passed = runs().filter(|(_, run)| run.passed == Some(true)).count() as u32;
    WaitingOn::Tests { running, passed, of: hooks.len() as u32 }
}

fn instance(service: &Service, rollout: &Rollout) -> WaitingOn {
    let ready = service.ready(&rollout.candidate);
    WaitingOn::Instances { revision: rollout.candidate.clone(), ready, wanted: ready.max(1) }
}

fn approval(rollout: &Rollout, asked: &Approval, now: Timestamp) -> WaitingOn {
    let given: Vec<_> = rollout.step.approved_by.iter().map(|who| who.0.clone()).collect();
    let missing = asked.from.iter().filter(|who| !given.contains(who)).cloned().collect();
    WaitingOn::Approval {
        given,
        wanted: asked.count.max(1),
        missing,
        left: asked.timeout.map(|span| left(rollout.step.entered_at, span, now)),
    }
}

fn checks(rollout: &Rollout, step: &Analyse, now: Timestamp) -> WaitingOn {
    let why = analyse::missing(rollout, step, now);
    why.map_or(WaitingOn::Traffic, |why| WaitingOn::Check { why })
}

fn route(service: &Service, rollout: &Rollout, now: Timestamp) -> WaitingOn {
    if !convict::needs_instance(rollout) {
        return acknowledgement(service);
    }
    if service.ready(&rollout.candidate) == 0 {
        return instance(service, rollout);
    }
    let warm = service.ready_for(&rollout.candidate, now);
    if warm < rollout.schedule.warm_up {
        let left = Millis(rollout.schedule.warm_up.0 - warm.0);
        return WaitingOn::WarmUp { revision: rollout.candidate.clone(), left };
    }
    acknowledgement(service)
}

fn experiment(service: &Service, r: &Rollout, step: &Experiment, now: Timestamp) -> WaitingOn {
    let Some(trial) = r.beside.experiment.as_ref() else { return acknowledgement(service) };
    let late = |v: &&VariantRun| v.weight != v.goal && service.ready(&v.id) < v.replicas;
    if let Some(v) = trial.running().find(late) {
        let ready = service.ready(&v.id);
        return WaitingOn::Instances { revision: v.id.clone(), ready, wanted: v.replicas };
    }
    if let Some(v) = trial.running().find(|v| v.weight == Weight::NONE && v.goal > v.weight) {
        let warm = service.ready_for(&v.id, now);
        let left = Millis(r.schedule.warm_up.0.saturating_sub(warm.0));
        return WaitingOn::WarmUp { revision: v.id.clone(), left };
    }
    let Some(since) = trial.since else { return acknowledgement(service) };
    let least = left(since, step.at_least, now);
    if step.winner.is_none() || least > Millis(0) {
        let standing = standing(r).map(|said| format!(": {said}")).unwrap_or_default();
        return WaitingOn::Time { left: least, what: format!("the experiment{standing}") };
    }
    WaitingOn::Experiment {
        standing: standing(r).unwrap_or_default(),
        missing: missing(r).unwrap_or_default(),
        left: left(r.step.entered_at, step.deadline, now),
    }
}

/// What a winner still needs.
fn missing(rollout: &Rollout) -> Option<String> {
    let contest = rollout.beside.experiment.as_ref()?.contest.as_ref()?;
    let name =
        |arm: &usize| contest.arms.get(*arm).map_or(String::new(), |id| id.version.to_string());
    let Some(WinnerVerdict::Continue { missing, standing, .. }) = contest.verdict.as_ref() else {
        return None;
    };
    let users = crate::outlook::units(rollout.affinity.is_some());
    missing.first().map(|missing| match missing {
        Missing::Users { arm, n, needed } => {
            format!("{} more {users} of {}", needed.saturating_sub(*n), name(arm))
        }
        Missing::Lead { over, .. } => {
            format!("evidence that {} beats {}", name(&standing.leader), name(over))
        }
        Missing::Loss { .. } => format!("to be surer of {}", name(&standing.leader)),
    })
}
