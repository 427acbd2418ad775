//! What waits, what is held, what is kept, and what a step has beside its two shares.

use crate::api::view::{
    ApprovalView, BoardedView, LeftoverView, MeasuredWay, QueuedView, TestView, VariantView,
    WayBackView,
};
use serin_core::{
    Boarded, Leftover, LeftoverKind, Millis, Outcome, Recovery, RevisionId, Rollout, RolloutKind,
    RolloutRecord, Service, ServiceSpec, Step, Timestamp, WayBack, leftovers, rollback_class,
    verdict_sentence, way_back_before,
};

/// Where `rollback` leads now.
pub(crate) fn way_back(service: &Service) -> Option<WayBackView> {
    let to = service.rollback_target()?;
    let (class, text) = rollback_class(service, to);
    Some(WayBackView { to: Some(to.clone()), class, text })
}

/// How one would go back from `revision`, before it is deployed.
pub(crate) fn way_back_from(
    service: &Service,
    spec: &ServiceSpec,
    revision: &RevisionId,
) -> WayBackView {
    let (class, text) = way_back_before(service, spec, revision);
    WayBackView { to: service.stable.clone(), class, text }
}

pub(crate) fn queued(service: &Service) -> Option<QueuedView> {
    let queued = service.queued.as_ref()?;
    Some(QueuedView {
        revision: queued.deploy.revision.clone(),
        by: queued.by.0.clone(),
        reason: queued.reason.clone(),
        at: queued.at,
    })
}

/// Deploys that wait for their train.
pub(crate) fn boarded(service: &Service) -> Vec<BoardedView> {
    let view = |boarded: &Boarded| BoardedView {
        revision: boarded.deploy.revision.clone(),
        by: boarded.by.0.clone(),
        reason: boarded.reason.clone(),
        departs: boarded.departs,
    };
    service.boarded.iter().map(view).collect()
}

/// Which clients the revisions in the plan serve, where they differ.
pub(crate) fn clients(service: &Service) -> Vec<String> {
    let plan = service.plan.as_deref();
    let all = plan.into_iter().flat_map(|plan| &plan.clients);
    all.map(|(id, c)| format!("{} serves {} {}", id.version, c.header, c.serves)).collect()
}

/// Tests of the present step.
pub(crate) fn tests(rollout: &Rollout) -> Vec<TestView> {
    let Some(Step::Run(hooks)) = rollout.schedule.step(rollout.step.index) else { return vec![] };
    let runs = hooks.iter().zip(&rollout.step.tests);
    let view = runs.map(|(hook, run)| TestView {
        name: hook.name.clone(),
        attempt: run.attempt,
        tries: hook.tries,
        passed: run.passed,
        text: run.text.clone(),
    });
    view.collect()
}

/// The approval the present step asks for.
pub(crate) fn approval(rollout: &Rollout) -> Option<ApprovalView> {
    let Some(Step::Approve(asked)) = rollout.schedule.step(rollout.step.index) else { return None };
    Some(ApprovalView {
        given: rollout.step.approved_by.iter().map(|actor| actor.0.clone()).collect(),
        wanted: asked.count,
        from: asked.from.clone(),
        until: asked.timeout.map(|span| rollout.step.entered_at.plus(span)),
    })
}

/// Arms of the experiment under way.
pub(crate) fn variants(rollout: &Rollout) -> Vec<VariantView> {
    let variants = rollout.beside.experiment.iter().flat_map(|trial| &trial.variants);
    let view = variants.map(|arm| VariantView {
        revision: arm.id.clone(),
        replicas: arm.replicas,
        goal: arm.goal,
        weight: arm.weight,
        counted: arm.counted,
        verdict: arm.assessment.as_ref().map(verdict_sentence),
        dropped: arm.dropped.as_ref().map(|cause| cause.text.clone()),
    });
    view.collect()
}

/// What of `service` runs and serves nobody.
pub(crate) fn left(service: &Service, now: Timestamp) -> impl Iterator<Item = LeftoverView> {
    let view = |left: Leftover| LeftoverView {
        service: service.name.clone(),
        may_go: matches!(left.kind, LeftoverKind::OldRevision | LeftoverKind::FailedCandidate),
        left,
    };
    leftovers(service, now).into_iter().map(view)
}

/// The ways back among `records`, as they were measured.
pub(crate) fn measured(records: &[RolloutRecord]) -> impl Iterator<Item = MeasuredWay> {
    records.iter().filter_map(|record| record.back.as_ref().map(|back| way(record, back)))
}

fn way(record: &RolloutRecord, back: &WayBack) -> MeasuredWay {
    let after = |at: Timestamp| at.since(back.began_at);
    MeasuredWay {
        rollout: record.id,
        at: back.began_at,
        from: back.left.clone(),
        to: back.to.clone(),
        asked: record.kind == RolloutKind::Rollback || record.outcome != Outcome::RolledBack,
        routed: back.routed_at.map(after),
        silent: back.silent_at.map(after),
        recovered: recovered(back),
    }
}

/// From the decision until errors were back; `None` when that is not known, or they are not.
pub(crate) fn recovered(back: &WayBack) -> Option<Millis> {
    match &back.recovered {
        Some(Recovery::Recovered { at, .. }) => Some(at.since(back.began_at)),
        _ => None,
    }
}
