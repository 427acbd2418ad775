//! Rules about what speaks against a candidate.

use super::{Scene, decides};
use crate::draw::Truth;
use serin_core::{
    Cause, ExitCause, Millis, Outcome, RevisionStanding, Rollout, RolloutKind, RolloutRecord,
    Service, Weight,
};
use serin_stats::{Assessment, Guard, Metric, Outcome as Verdict};

/// Within this an engine has looked again at what it knows.
const GRACE: Millis = Millis::secs(15);

/// Restarts that nobody has to put up with.
const RESTARTS_MAX: u32 = 3;

/// What speaks against a candidate has set it back in the same turn.
pub(super) fn followed(rollout: &Rollout, service: &Service, scene: &Scene<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    wrong.extend(counted_once(rollout, scene));
    if !rollout.is_on_trial() || !decides(rollout, service) {
        return wrong;
    }
    // A person may have gone on against this very verdict, under settings that asked.
    let overruled = |code: &str| rollout.overridden.contains(code);
    let fails = rollout.assessment.as_ref().filter(|a| a.outcome == Verdict::Fail);
    if fails.is_some_and(|a| !overruled(&verdict_code(a))) {
        wrong.push(format!("{} stays on trial after a FAIL", rollout.candidate));
    }
    let budget = rollout.schedule.analysis.as_ref().and_then(|a| a.max_errors);
    if budget.is_some_and(|most| rollout.counted.errors >= most) && !overruled("budget") {
        wrong.push(format!("{} stays on trial after its budget", rollout.candidate));
    }
    if rollout.kind != RolloutKind::Rollback && !is_settling(rollout, scene) {
        wrong.extend(unhealthy(rollout, service));
    }
    wrong
}

fn is_settling(rollout: &Rollout, scene: &Scene<'_>) -> bool {
    let (now, deadline) = (scene.now, rollout.schedule.progress_deadline);
    // What is known already is looked at again when the engine wakes: a while later, or in this
    // very second where the clock was set over that time.
    let wakes_now = scene.effects.is_empty() && scene.wake_at.is_some_and(|at| at <= now);
    rollout.took_over_at.is_some_and(|at| wakes_now || now < at.plus(deadline).plus(GRACE))
}

fn unhealthy(rollout: &Rollout, service: &Service) -> Option<String> {
    let seen = service.observed.revisions.get(&rollout.candidate)?;
    let candidate = &rollout.candidate;
    let ready = |id| service.observed.revisions.get(id).map_or(0, |seen| seen.ready);
    let stable_is_there = service.stable.as_ref().is_some_and(|id| ready(id) > 0);
    if rollout.weight > Weight::NONE && seen.ready == 0 && stable_is_there {
        return Some(format!("{candidate} has traffic and nobody is there"));
    }
    let restarts = seen.restarts.saturating_sub(rollout.restarts_before);
    // A person may have gone on against the crashes; against nobody being there nobody does.
    if restarts >= RESTARTS_MAX && !rollout.overridden.contains("crash") {
        return Some(format!("{candidate} stays on trial after {restarts} crashes"));
    }
    // A place that went back alone was answered for.
    let known = rollout.places.as_ref().and_then(|places| places.known.as_ref());
    let failure = seen.failure.as_ref().filter(|failure| Some(*failure) != known);
    let failed = failure.is_some_and(|f| f.cause != ExitCause::NotReady);
    failed.then(|| format!("{candidate} stays on trial although it did not start"))
}

/// No request is counted twice.
fn counted_once(rollout: &Rollout, scene: &Scene<'_>) -> Option<String> {
    let made = scene.machine.judged_after(&rollout.candidate, rollout.after);
    let judged = rollout.counted.judged;
    (judged > made).then(|| format!("{judged} requests were judged of {made} made"))
}

/// Rules the record of an ended rollout obeys.
pub(super) fn record(record: &RolloutRecord, scene: &Scene<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let version = &record.to;
    wrong.extend(remembered(record, scene));
    if record.outcome != Outcome::Promoted {
        if record.cause.is_none() {
            wrong.push(format!("{version} ended as {:?} without a cause", record.outcome));
        }
        return wrong;
    }
    let truth = scene.truth(version);
    if matches!(truth, Truth::WontStart | Truth::NeverReady) {
        wrong.push(format!("{version} is {truth:?} and was promoted"));
    }
    let Some(assessment) = &record.assessment else { return wrong };
    let passed = assessment.outcome == Verdict::Pass && record.skipped.is_empty();
    // Compared with a bad stable, a bad candidate may well be no worse.
    let fair = record.from.as_ref().is_some_and(|from| scene.truth(from) == Truth::Good);
    let compared = |metric| assessment.metrics.iter().any(|m| m.metric == metric);
    let seen = match truth {
        Truth::Slow(_) => compared(Metric::Latency),
        _ => compared(Metric::Errors),
    };
    if passed && fair && seen && truth.is_harmful_under_traffic() {
        wrong.push(format!("{version} is {truth:?} and was promoted by evidence"));
    }
    if scene.decides {
        wrong.extend(unsound(record));
    }
    wrong
}

/// An unsound comparison never promotes, and no FAIL does where verdicts decide.
fn unsound(record: &RolloutRecord) -> Option<String> {
    let assessment = record.assessment.as_ref()?;
    let invalid = assessment.invalid.as_ref().filter(|i| i.guard != Guard::Counts)?;
    // Of a FAIL that a person overruled it is not asked whether it was sound.
    let fails = assessment.outcome == Verdict::Fail;
    let overruled = fails && record.overridden.contains(&verdict_code(assessment));
    let by_hand = !record.skipped.is_empty() || overruled;
    (!by_hand).then(|| format!("{} was promoted although {invalid}", record.to))
}

/// What a person overrules when going on against this FAIL.
fn verdict_code(assessment: &Assessment) -> String {
    assessment.blame.first().map_or("evidence".to_owned(), ToString::to_string)
}

/// What evidence or health decided against does not count as good afterwards.
fn remembered(record: &RolloutRecord, scene: &Scene<'_>) -> Option<String> {
    let tried = record.kind.is_tried() && record.outcome == Outcome::RolledBack;
    // No winner, and a schema that could not be made, say nothing against the version.
    let other = ["inconclusive", "experiment", "migration"];
    let by_evidence = |cause: &Cause| !other.contains(&cause.code.as_str());
    let by_evidence = record.cause.as_ref().is_some_and(by_evidence);
    let known = scene.service?.revisions.get(&record.to)?;
    let wrong = tried && by_evidence && known.standing == RevisionStanding::Good;
    wrong.then(|| format!("{} was rolled back and counts as good", record.to))
}
