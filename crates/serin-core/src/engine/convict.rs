//! What speaks against a candidate: health, evidence, a spent budget, a failed check; and what
//! keeps anything from being said at all.

use super::fresh;
use crate::{
    Cause, CheckRun, ExitCause, Millis, Phase, Plan, Rollout, RolloutKind, Service, StartFailure,
    Step, Timestamp, VariantRun, Weight, outlook,
};
use serin_stats::threshold::{self, Check, CheckVerdict};
use serin_stats::{Assessment, Guard, Metric, Outcome as Verdict};

/// Restarts of candidate instances during its rollout that count as a crash loop.
const RESTARTS_MAX: u32 = 3;

/// How long a rollback waits for all instances before the ready ones have to do.
pub(super) const ROLLBACK_PATIENCE: Millis = Millis::secs(10);

/// Everything but health that speaks against the candidate.
pub(super) fn verdicts(rollout: &Rollout, now: Timestamp) -> Vec<Cause> {
    let judged = evidence(rollout).into_iter().chain(budget(rollout));
    judged.chain(check(rollout, now)).collect()
}

/// Evidence against the candidate.
fn evidence(rollout: &Rollout) -> Option<Cause> {
    if !rollout.is_watched() {
        return None;
    }
    let assessment = rollout.assessment.as_ref().filter(|a| a.outcome == Verdict::Fail)?;
    let code = assessment.blame.first().map_or("evidence".to_owned(), ToString::to_string);
    let text = outlook::verdict_sentence(assessment) + &lately(rollout, assessment);
    Some(rollout.cause(&code, text, None))
}

/// What a trouble that began late looks like, which the sums over the whole rollout hide.
fn lately(rollout: &Rollout, assessment: &Assessment) -> String {
    let errors = assessment.metrics.iter().find(|m| m.metric == Metric::Errors);
    let blamed = assessment.blame.contains(&Metric::Errors);
    let hidden = errors.is_some_and(|m| blamed && m.canary_rate < m.limit);
    let last = &rollout.counted.lately;
    let (n, failed) = last.iter().fold((0, 0), |sum, s| (sum.0 + s.1, sum.1 + s.2));
    if hidden && n > 0 {
        let n = outlook::thousands(n);
        format!("; in the last minute {failed} of {n} candidate requests failed")
    } else {
        String::new()
    }
}

/// More failed requests than the whole rollout may cost.
fn budget(rollout: &Rollout) -> Option<Cause> {
    let most = rollout.schedule.analysis.as_ref()?.max_errors?;
    let failed = rollout.counted.errors;
    let version = &rollout.candidate.version;
    let text =
        format!("{failed} requests failed on {version}; the budget is {most} (maxCanaryErrors)");
    (failed >= most).then(|| rollout.cause("budget", text, None))
}

fn check(rollout: &Rollout, now: Timestamp) -> Option<Cause> {
    match checks(rollout, now)? {
        CheckVerdict::Fail { why } => Some(rollout.cause("check", why, None)),
        _ => None,
    }
}

/// Checks that apply now, with what they say.
fn running(rollout: &Rollout, now: Timestamp) -> Vec<(&Check, &CheckRun, CheckVerdict)> {
    let checks = rollout.schedule.analysis.iter().flat_map(|a| &a.checks);
    let applying = checks.zip(&rollout.checks).filter(|(check, _)| rollout.has_begun(check));
    let unmeasured =
        |check: &Check| CheckVerdict::NoData { why: format!("{}: not measured yet", check.name) };
    let now = now.0.unsigned_abs();
    let says = |check: &Check, run: &CheckRun| {
        run.state.as_ref().map_or_else(|| unmeasured(check), |state| state.verdict(check, now))
    };
    applying.map(|(check, run)| (check, run, says(check, run))).collect()
}

/// The gravest of what the checks say.
pub(super) fn checks(rollout: &Rollout, now: Timestamp) -> Option<CheckVerdict> {
    let running = running(rollout, now);
    threshold::overall(running.iter().map(|(check, _, verdict)| (*check, verdict))).cloned()
}

/// Why a step that waits for evidence cannot be left because of a check: it was never good, or it
/// is at odds now.
pub(crate) fn check_missing(rollout: &Rollout, now: Timestamp) -> Option<String> {
    let running = running(rollout, now);
    let missing = running.into_iter().filter(|(check, run, _)| !check.report_only && !run.passed);
    let why = |check: &Check, verdict: &CheckVerdict| {
        verdict.why().map_or_else(|| format!("{}: not good yet", check.name), ToOwned::to_owned)
    };
    missing.map(|(check, _, verdict)| why(check, &verdict)).next()
}

/// Why nothing goes on for now: a check cannot be read.
pub(crate) fn check_unreadable(rollout: &Rollout, now: Timestamp) -> Option<String> {
    match checks(rollout, now)? {
        CheckVerdict::Error { why } => Some(why),
        _ => None,
    }
}

/// Why a person has to look: what was compared is not sound. Counts that contradict themselves
/// were not used, which is told and holds nothing.
pub(super) fn unsound(rollout: &Rollout) -> Option<String> {
    let invalid = rollout.assessment.as_ref().filter(|a| a.outcome == Verdict::Invalid)?;
    let invalid = invalid.invalid.as_ref().filter(|i| i.guard != Guard::Counts)?;
    Some(format!("the comparison is not sound: {invalid}"))
}

/// Health against the candidate. Nothing is held against it in the time after a controller took
/// over, when the machine may have been started anew, nor on the way back to a good revision,
/// which only ends when nothing of it gets ready.
pub(super) fn health(service: &Service, rollout: &Rollout, now: Timestamp) -> Option<Cause> {
    let seen = service.observed.revisions.get(&rollout.candidate);
    let known = rollout.places.as_ref().and_then(|places| places.known.as_ref());
    let failure = seen.and_then(|r| r.failure.clone()).filter(|failure| Some(failure) != known);
    let story = failure.as_ref().or_else(|| seen.and_then(|r| r.lost.as_ref()));
    if rollout.kind != RolloutKind::Rollback && !rollout.is_settling(now) {
        // What a person went on against does not hide what comes after it.
        let open = |cause: &Cause| !rollout.overridden.contains(&cause.code);
        let lost = not_started(rollout, failure.as_ref())
            .filter(open)
            .or_else(|| crashed(service, rollout, story).filter(open))
            .or_else(|| all_lost(service, rollout, story));
        if lost.is_some() {
            return lost;
        }
    }
    late(service, rollout, now).map(|text| rollout.cause("not-ready", text, failure))
}

fn not_started(rollout: &Rollout, failure: Option<&StartFailure>) -> Option<Cause> {
    let failure = failure.filter(|f| f.cause != ExitCause::NotReady)?;
    let text = format!("{} did not start: {}", rollout.candidate.version, failure.cause);
    Some(rollout.cause("start", text, Some(failure.clone())))
}

fn crashed(service: &Service, r: &Rollout, failure: Option<&StartFailure>) -> Option<Cause> {
    let seen = service.observed.revisions.get(&r.candidate)?;
    let restarts = seen.restarts.saturating_sub(r.restarts_before);
    let text = format!("{} crashed {restarts} times (limit {RESTARTS_MAX})", r.candidate.version);
    (restarts >= RESTARTS_MAX).then(|| r.cause("crash", text, failure.cloned()))
}

/// The candidate has traffic and no ready instance, while stable has.
fn all_lost(service: &Service, r: &Rollout, failure: Option<&StartFailure>) -> Option<Cause> {
    let stable_ready = service.stable.as_ref().is_some_and(|id| service.ready(id) > 0);
    let led = matches!(r.phase, Phase::Stepping) && !r.beside.routes.is_empty();
    let used = r.weight > Weight::NONE || led;
    let lost = used && service.ready(&r.candidate) == 0 && stable_ready;
    let text = format!("{} has traffic and no ready instance", r.candidate.version);
    lost.then(|| r.cause("not-ready", text, failure.cloned()))
}

/// The share the present step is on its way to, if it has one.
pub(crate) fn goal(rollout: &Rollout) -> Option<Weight> {
    match rollout.schedule.step(rollout.step.index)? {
        Step::SetWeight(weight) => Some(*weight),
        Step::Expose(_) => rollout.step.aim.map(|aim| aim.weight),
        _ => None,
    }
}

/// When instances must be ready. Crash loops cannot move it; a pause does.
pub(super) fn ready_by(rollout: &Rollout) -> Timestamp {
    let step = &rollout.step;
    let rising = rollout.places.as_ref().map(|places| places.rising_at);
    let times = [rollout.took_over_at, step.aim.map(|aim| aim.since), rising];
    let from = times.into_iter().flatten().fold(step.entered_at, Timestamp::max);
    from.plus(rollout.schedule.progress_deadline).plus(rollout.schedule.warm_up)
}

/// Whether instances had all the time they may take for the present goal.
fn is_over(rollout: &Rollout, goal: Weight, now: Timestamp) -> bool {
    rollout.weight != goal && rollout.paused.is_none() && now >= ready_by(rollout)
}

/// Set when instances did not become ready in time.
fn late(service: &Service, rollout: &Rollout, now: Timestamp) -> Option<String> {
    if let Some(text) = never_up(service, rollout, now) {
        return Some(text);
    }
    let wanted = awaited(service, rollout, now)?;
    let ready = service.ready(&rollout.candidate);
    let (version, span) = (&rollout.candidate.version, rollout.schedule.progress_deadline);
    let short = || format!("{ready} of {wanted} instances of {version} were ready after {span}");
    let unsteady = || format!("instances of {version} did not stay ready for {span}");
    Some(if ready < wanted { short() } else { unsteady() })
}

/// The instances that had all their time and are not all there.
fn awaited(service: &Service, r: &Rollout, now: Timestamp) -> Option<u32> {
    let over = || r.paused.is_none() && now >= ready_by(r);
    let warm = service.ready_for(&r.candidate, now) >= r.schedule.warm_up;
    let short = |wanted: u32| service.ready(&r.candidate) < wanted || !warm;
    if let Some(places) = &r.places {
        let waits = !places.arrived && places.candidate > 0 && short(places.candidate);
        return (waits && over()).then_some(places.candidate);
    }
    if matches!(r.schedule.step(r.step.index), Some(Step::SetScale(_))) {
        let wanted = service.wanted_size(r);
        let waits = matches!(r.phase, Phase::Stepping) && wanted > 0 && short(wanted);
        return (waits && over()).then_some(wanted);
    }
    let goal = goal(r).filter(|goal| is_over(r, *goal, now))?;
    let wanted = service.needed_size(r, goal);
    (!is_candidate_ready(service, r, goal, now)).then_some(wanted)
}

/// Whether the candidate has an instance that may be used.
pub(crate) fn is_up(service: &Service, r: &Rollout, now: Timestamp) -> bool {
    service.ready(&r.candidate) > 0 && service.ready_for(&r.candidate, now) >= r.schedule.warm_up
}

/// Whether the present step needs an instance of the candidate, whatever its share.
pub(crate) fn needs_instance(rollout: &Rollout) -> bool {
    match rollout.schedule.step(rollout.step.index) {
        Some(Step::Run(hooks)) => {
            let begun = rollout.step.tests.iter().any(|run| run.since.is_some());
            !hooks.is_empty() && !begun
        }
        Some(Step::SetHeaderRoute(route)) => !route.matches.is_empty(),
        Some(Step::SetMirror(route)) => route.share > Weight::NONE,
        _ => false,
    }
}

/// Set when the step waits for an instance that had all its time.
fn never_up(service: &Service, rollout: &Rollout, now: Timestamp) -> Option<String> {
    let over = rollout.paused.is_none() && now >= ready_by(rollout);
    let waits = needs_instance(rollout) && service.ready(&rollout.candidate) == 0;
    let stepping = matches!(rollout.phase, Phase::Stepping);
    let (version, span) = (&rollout.candidate.version, rollout.schedule.progress_deadline);
    (stepping && over && waits).then(|| format!("no instance of {version} was ready after {span}"))
}

/// What speaks against a variant of an experiment.
pub(super) fn variant(
    service: &Service,
    rollout: &Rollout,
    v: &VariantRun,
    now: Timestamp,
) -> Option<Cause> {
    let version = &v.id.version;
    let seen = service.observed.revisions.get(&v.id);
    let (ready, restarts) = seen.map_or((0, 0), |s| (s.ready, s.restarts));
    let failure = seen.and_then(|s| s.failure.clone());
    let failed = failure.as_ref().filter(|f| f.cause != ExitCause::NotReady);
    let crashes = restarts.saturating_sub(v.restarts_before);
    let late = v.weight != v.goal && rollout.paused.is_none() && now >= ready_by(rollout);
    let of = |code: &str, text: String| Some(rollout.cause(code, text, failure.clone()));
    if rollout.is_settling(now) {
        return None;
    }
    match v.assessment.as_ref().filter(|a| a.outcome == Verdict::Fail) {
        Some(assessment) if !rollout.only_reports() => {
            let code = assessment.blame.first().map_or("evidence".into(), ToString::to_string);
            of(&code, outlook::verdict_sentence(assessment))
        }
        _ if failed.is_some() => {
            let why = failed.map(|f| f.cause.to_string()).unwrap_or_default();
            of("start", format!("{version} did not start: {why}"))
        }
        _ if crashes >= RESTARTS_MAX => {
            of("crash", format!("{version} crashed {crashes} times (limit {RESTARTS_MAX})"))
        }
        _ if late && ready < v.replicas => {
            let span = rollout.schedule.progress_deadline;
            let wanted = v.replicas;
            let text =
                format!("{ready} of {wanted} instances of {version} were ready after {span}");
            of("not-ready", text)
        }
        _ if v.weight > Weight::NONE && ready == 0 => {
            of("not-ready", format!("{version} has traffic and no ready instance"))
        }
        _ => None,
    }
}

/// Why there is nothing as young as the candidate to compare it with, when that took too long.
pub(super) fn fresh_late(service: &Service, rollout: &Rollout, now: Timestamp) -> Option<String> {
    let goal = goal(rollout).filter(|goal| is_over(rollout, *goal, now))?;
    if !fresh::is_missing(service, rollout, goal, now) {
        return None;
    }
    let wanted = fresh::wanted(service, rollout).map_or(0, |f| f.replicas);
    let seen = service.observed.fresh.as_ref();
    let ready = seen.map_or(0, |f| f.ready);
    let why = seen.and_then(|f| f.failure.as_ref());
    let why = why.map_or(String::new(), |f| format!(" ({}: {})", f.instance, f.cause));
    let version = rollout.baseline.as_ref().map_or("stable", |id| id.version.as_str());
    let span = rollout.schedule.progress_deadline;
    Some(format!(
        "{ready} of {wanted} fresh instances of {version} to compare with were ready after \
         {span}{why}"
    ))
}

/// Whether all instances may take their goal: the candidate's and those it is compared with.
pub(super) fn is_ready_for(service: &Service, r: &Rollout, goal: Weight, now: Timestamp) -> bool {
    is_candidate_ready(service, r, goal, now)
        && is_asked_for(service, r)
        && !fresh::is_missing(service, r, goal, now)
}

/// Whether the platform knows that the candidate's instances are wanted. What was seen before it
/// knew may be stopping by now: a revision that was let go a moment ago still looks ready.
fn is_asked_for(service: &Service, rollout: &Rollout) -> bool {
    let planned = |plan: &Plan| plan.revisions.contains_key(&rollout.candidate);
    service.is_applied() && service.plan.as_deref().is_some_and(planned)
}

/// Whether the candidate's instances may take `weight`. On the way back to a good revision the
/// part of them that is ready has to do after a while.
fn is_candidate_ready(
    service: &Service,
    rollout: &Rollout,
    weight: Weight,
    now: Timestamp,
) -> bool {
    let wanted = service.needed_size(rollout, weight);
    let ready = service.ready(&rollout.candidate);
    let warm = rollout.kind == RolloutKind::First
        || service.ready_for(&rollout.candidate, now) >= rollout.schedule.warm_up;
    let urgent = rollout.kind == RolloutKind::Rollback
        && ready > 0
        && now >= rollout.step.entered_at.plus(ROLLBACK_PATIENCE);
    (ready >= wanted && warm) || urgent
}
