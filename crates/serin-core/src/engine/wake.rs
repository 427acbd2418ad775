//! When the engine has to look again.

use super::convict::{ROLLBACK_PATIENCE, ready_by};
use super::keep::next_change;
use super::{experiment, expose, hooks, prove, trade};
use crate::{PauseReason, Phase, Rollout, Service, Step, Timestamp};

/// When the engine must look again although nothing happened.
pub(super) fn next_wake(service: &Service, now: Timestamp) -> Option<Timestamp> {
    let rollout = service.rollout.as_ref();
    let rollout = rollout.map_or(vec![], |rollout| wakes(service, rollout));
    let others = next_change(service).chain(super::contract::next_contract(service));
    let later = rollout.into_iter().chain(others).filter(|at| *at > now);
    let begins = service.queued.is_some() && service.rollout.is_none();
    let departs = service.boarded.first().map(|boarded| boarded.departs);
    let free = service.rollout.as_ref().is_none_or(|r| r.is_on_trial() && !r.kind.is_way_back());
    let departs = departs.map(|at| at.max(now)).filter(|at| *at > now || free);
    later.chain(begins.then_some(now)).chain(departs).min()
}

fn wakes(service: &Service, rollout: &Rollout) -> Vec<Timestamp> {
    let entered = rollout.step.entered_at;
    let times = match (&rollout.phase, rollout.schedule.step(rollout.step.index)) {
        (Phase::Warm { since }, _) => vec![since.plus(rollout.schedule.watch())],
        (Phase::Stepping, Some(Step::Pause(Some(span)))) => vec![entered.plus(*span)],
        (Phase::Stepping, Some(Step::Bake(bake))) => {
            vec![entered.plus(bake.at_least), entered.plus(bake.deadline)]
        }
        (Phase::Stepping, Some(Step::SetWeight(_) | Step::SetScale(_))) => {
            let patience = entered.plus(ROLLBACK_PATIENCE);
            warm_at(service, rollout).chain([ready_by(rollout), patience]).collect()
        }
        (Phase::Stepping, Some(Step::Expose(step))) => {
            let times =
                [ready_by(rollout), entered.plus(step.deadline), expose::next_look(rollout)];
            warm_at(service, rollout).chain(times).collect()
        }
        (Phase::Stepping, Some(Step::Run(_))) => hooks::wakes(rollout),
        (Phase::Stepping, Some(Step::Approve(asked))) => {
            asked.timeout.map(|timeout| entered.plus(timeout)).into_iter().collect()
        }
        (Phase::Stepping, Some(Step::Analyse(step))) => vec![entered.plus(step.deadline)],
        (Phase::Stepping, Some(Step::SetHeaderRoute(_) | Step::SetMirror(_))) => {
            warm_at(service, rollout).chain([ready_by(rollout)]).collect()
        }
        (Phase::Stepping, Some(Step::Experiment(step))) => {
            experiment::wakes(service, rollout, step)
        }
        _ => vec![],
    };
    let settled = rollout.took_over_at.map(|at| at.plus(rollout.schedule.progress_deadline));
    let answer = match &rollout.paused {
        Some(PauseReason::Confirm { until, .. }) => Some(*until),
        _ => None,
    };
    let proof = prove::next_look(rollout, &service.spec.rollback.verify);
    let places = trade::wakes(rollout);
    times.into_iter().chain(places).chain(settled).chain(answer).chain(proof).collect()
}

/// When the instances that are ready now are warm.
fn warm_at<'a>(service: &'a Service, r: &'a Rollout) -> impl Iterator<Item = Timestamp> + 'a {
    let seen = service.observed.revisions.get(&r.candidate).into_iter();
    let seen = seen.chain(service.observed.fresh.as_ref());
    seen.filter_map(|s| s.youngest_ready_at).map(|at| at.plus(r.schedule.warm_up))
}
