//! Decides, from state alone, what a rollout does next.

use super::Turn;
use crate::{
    Bake, Cause, ExitCause, Fact, Inherited, Millis, OnInconclusive, Outcome, PauseReason, Phase,
    RevisionStanding, Rollout, RolloutKind, Service, StartFailure, Step, Timestamp, Weight,
    outlook,
};
use serin_stats::Outcome as Verdict;

/// How long a rollback waits for all instances before the ready ones have to do.
const ROLLBACK_PATIENCE: Millis = Millis::secs(10);

/// Restarts of candidate instances during its rollout that count as a crash loop.
const RESTARTS_MAX: u32 = 3;

impl Turn {
    /// Makes one decision; false when there is none to make.
    pub(super) fn advance(&mut self) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        match &rollout.phase {
            Phase::Stepping => self.convict() || self.step(),
            Phase::Warm { since } => {
                let since = *since;
                self.convict() || self.end_warm(since)
            }
            Phase::Retiring | Phase::Reverting { .. } => self.end_when_gone(),
        }
    }

    /// Decides against the candidate by health or evidence. First of all, always.
    fn convict(&mut self) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let cause = health(&self.service, rollout, self.now).or_else(|| evidence(rollout));
        let Some(cause) = cause else { return false };
        self.revert(Outcome::RolledBack, cause);
        true
    }

    pub(super) fn revert(&mut self, outcome: Outcome, cause: Cause) {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let cause = Box::new(cause);
        rollout.verdict_at = Some(now);
        rollout.weight = Weight::NONE;
        rollout.paused = None;
        rollout.phase = Phase::Reverting { outcome, cause: cause.clone() };
        let bad = outcome == Outcome::RolledBack
            && rollout.kind != RolloutKind::Rollback
            && cause.code != "inconclusive";
        let candidate = rollout.candidate.clone();
        if let Some(known) = self.service.revisions.get_mut(&candidate).filter(|_| bad) {
            known.standing = RevisionStanding::Bad;
        }
        self.tell(Fact::Reverting { outcome, cause });
    }

    fn step(&mut self) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        match rollout.schedule.step(rollout.step.index).cloned() {
            Some(Step::SetWeight(weight)) => self.set_weight(weight),
            Some(Step::Pause(span)) => self.pause_step(span),
            Some(Step::Bake(bake)) => self.bake(&bake),
            Some(Step::Expose(expose)) => self.expose(&expose),
            None => self.end_steps(),
        }
    }

    /// Sizes the candidate first, moves the weight when its instances are ready and warm, and is
    /// done when the data plane has confirmed it.
    fn set_weight(&mut self, weight: Weight) -> bool {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let ready = self.is_ready_for(rollout, weight);
        let done = rollout.weight == weight && self.is_confirmed(rollout, weight);
        let held = rollout.paused.is_some();
        let Some(rollout) = self.service.rollout.as_mut() else { return false };
        if rollout.size_for < weight {
            rollout.size_for = weight;
            return true;
        }
        if held {
            return false;
        }
        if rollout.weight != weight && ready {
            rollout.weight = weight;
            let revision = rollout.candidate.clone();
            self.tell(Fact::Weight { revision, weight });
            return true;
        }
        if done {
            rollout.size_for = weight;
            self.next_step(now);
        }
        done
    }

    fn is_ready_for(&self, rollout: &Rollout, weight: Weight) -> bool {
        is_ready_for(&self.service, rollout, weight, self.now)
    }

    fn is_confirmed(&self, rollout: &Rollout, weight: Weight) -> bool {
        let planned = self.service.plan.as_ref().map(|plan| plan.weight(&rollout.candidate));
        planned == Some(weight) && self.service.is_applied()
    }

    fn pause_step(&mut self, span: Option<Millis>) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let over = span.is_some_and(|span| self.now >= rollout.step.entered_at.plus(span));
        let go = over && rollout.paused.is_none();
        if go {
            self.next_step(self.now);
        }
        go
    }

    fn bake(&mut self, bake: &Bake) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let by_person = matches!(rollout.paused, Some(PauseReason::Person(_)));
        if !by_person && is_baked(rollout, bake, self.now) {
            self.resume();
            self.next_step(self.now);
            return true;
        }
        let over = self.now >= rollout.step.entered_at.plus(bake.deadline);
        over && rollout.paused.is_none() && self.inconclusive()
    }

    fn expose(&mut self, _expose: &crate::Expose) -> bool {
        false
    }

    /// The evidence came after all.
    fn resume(&mut self) {
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        if rollout.paused.take().is_some() {
            self.tell(Fact::Resumed { by: None, reason: None });
        }
    }

    /// Holds the rollout.
    pub(super) fn hold(&mut self, why: PauseReason, text: String) {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        rollout.paused_at =
            Some(rollout.paused_at.filter(|_| rollout.paused.is_some()).unwrap_or(now));
        rollout.paused = Some(why);
        self.tell(Fact::Paused { text });
    }

    fn inconclusive(&mut self) -> bool {
        let Some(rollout) = self.service.rollout.as_mut() else { return false };
        let analysis = rollout.schedule.analysis.as_ref();
        match analysis.map_or(OnInconclusive::Pause, |a| a.on_inconclusive) {
            OnInconclusive::Pause => {
                let text = inconclusive_text(rollout);
                self.hold(PauseReason::Inconclusive, text);
            }
            OnInconclusive::Rollback => {
                let cause = rollout.cause("inconclusive", inconclusive_text(rollout), None);
                self.revert(Outcome::RolledBack, cause);
            }
            OnInconclusive::Promote => {
                self.skip_step("no evidence by the deadline (onInconclusive: promote)".into());
            }
        }
        true
    }

    /// Goes on without what the step asks for, and leaves a trace of it.
    pub(super) fn skip_step(&mut self, what: String) {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let step = rollout.step.index + 1;
        rollout.skipped.push(format!("step {step}: {what}"));
        self.tell(Fact::StepSkipped { step, what });
        self.enter_next(now);
    }

    fn next_step(&mut self, now: Timestamp) {
        let Some(rollout) = self.service.rollout.as_ref() else { return };
        let (step, steps) = (rollout.step.index + 1, rollout.schedule.len());
        self.tell(Fact::StepDone { step, steps });
        self.enter_next(now);
    }

    fn enter_next(&mut self, now: Timestamp) {
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        rollout.step.index += 1;
        rollout.step.entered_at = now;
        rollout.step.judged_before = rollout.counted.judged;
        self.assess();
    }

    fn end_steps(&mut self) -> bool {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return false };
        rollout.phase = Phase::Warm { since: now };
        if let Some(kept) = rollout.baseline.clone() {
            let (revision, span) = (rollout.candidate.clone(), rollout.schedule.keep_warm);
            self.tell(Fact::Warming { revision, kept, span });
        }
        true
    }

    /// The candidate becomes stable once it has held all traffic for the warm time.
    fn end_warm(&mut self, since: Timestamp) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let first = rollout.kind == RolloutKind::First;
        let warm_until = since.plus(rollout.schedule.keep_warm);
        if rollout.paused.is_some() || (!first && self.now < warm_until) {
            return false;
        }
        self.promote();
        true
    }

    fn promote(&mut self) {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        rollout.phase = Phase::Retiring;
        let revision = rollout.candidate.clone();
        let left = rollout.baseline.clone().filter(|_| rollout.kind == RolloutKind::Rollback);
        if let Some(left) = left.and_then(|id| self.service.revisions.get_mut(&id)) {
            left.standing = RevisionStanding::Left;
        }
        self.service.stable = Some(revision.clone());
        self.service.evidence.remove(&revision);
        if let Some(known) = self.service.revisions.get_mut(&revision) {
            known.standing = RevisionStanding::Good;
            known.promoted_at = Some(now);
        }
        self.tell(Fact::Promoted { revision });
    }

    fn end_when_gone(&mut self) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let leaving = match rollout.phase {
            Phase::Retiring => rollout.baseline.as_ref(),
            _ => Some(&rollout.candidate),
        };
        let gone = leaving.is_none_or(|id| !self.service.observed.revisions.contains_key(id));
        let planned_out = match (&self.service.plan, leaving) {
            (Some(plan), Some(id)) => !plan.revisions.contains_key(id),
            _ => true,
        };
        let over = gone && planned_out && self.service.is_applied();
        if over {
            self.end();
        }
        over
    }

    /// Closes the rollout and leaves its record.
    pub(super) fn end(&mut self) {
        let Some(rollout) = self.service.rollout.as_ref() else { return };
        let (id, revision) = (rollout.id, rollout.candidate.clone());
        let Some(rollout) = self.service.rollout.take() else { return };
        self.keep_evidence(&rollout);
        let record = rollout.into_record(self.now);
        let (outcome, kind) = (record.outcome, record.kind);
        self.service.last = Some(record.clone());
        self.records.push(record);
        let fact = Fact::Ended { kind, outcome, revision };
        self.journal.push(crate::Entry { at: self.now, rollout: Some(id), fact });
    }

    fn keep_evidence(&mut self, rollout: &Rollout) {
        let promoted = self.service.stable.as_ref() == Some(&rollout.candidate);
        if let (Some(judge), Some(baseline), false) = (&rollout.judge, &rollout.baseline, promoted)
        {
            let kept = Inherited { baseline: baseline.clone(), judge: judge.clone() };
            self.service.evidence.insert(rollout.candidate.clone(), kept);
        }
    }
}

/// Whether the candidate's instances may take `weight`. On the way back to a good revision the
/// part of them that is ready has to do after a while.
fn is_ready_for(service: &Service, rollout: &Rollout, weight: Weight, now: Timestamp) -> bool {
    let wanted = service.candidate_size(weight, rollout.is_analysed());
    let ready = service.ready(&rollout.candidate);
    let warm = rollout.kind == RolloutKind::First
        || service.ready_for(&rollout.candidate, now) >= rollout.schedule.warm_up;
    let urgent = rollout.kind == RolloutKind::Rollback
        && ready > 0
        && now >= rollout.step.entered_at.plus(ROLLBACK_PATIENCE);
    (ready >= wanted && warm) || urgent
}

fn is_baked(rollout: &Rollout, bake: &Bake, now: Timestamp) -> bool {
    let judged = rollout.counted.judged - rollout.step.judged_before;
    let passed = rollout.assessment.as_ref().is_some_and(|a| a.outcome == Verdict::Pass);
    now >= rollout.step.entered_at.plus(bake.at_least)
        && judged >= bake.requests
        && (!bake.until_evidence || (passed && judged > 0))
}

fn inconclusive_text(rollout: &Rollout) -> String {
    let judged = rollout.assessment.as_ref().filter(|a| a.canary_n > 0);
    let Some(assessment) = judged else {
        return "no request on the candidate could be judged by the deadline".into();
    };
    let found = outlook::verdict_sentence(assessment);
    format!("not enough evidence by the deadline; {found}")
}

/// Evidence against the candidate.
fn evidence(rollout: &Rollout) -> Option<Cause> {
    let assessment = rollout.assessment.as_ref().filter(|a| a.outcome == Verdict::Fail)?;
    let code = assessment.blame.first().map_or("evidence".to_owned(), ToString::to_string);
    Some(rollout.cause(&code, outlook::verdict_sentence(assessment), None))
}

/// Health against the candidate. Nothing is held against it in the time after a controller took
/// over, when the machine may have been started anew, nor on the way back to a good revision,
/// which only ends when nothing of it gets ready.
fn health(service: &Service, rollout: &Rollout, now: Timestamp) -> Option<Cause> {
    let seen = service.observed.revisions.get(&rollout.candidate);
    let failure = seen.and_then(|r| r.failure.clone());
    let story = failure.as_ref().or_else(|| seen.and_then(|r| r.lost.as_ref()));
    if rollout.kind != RolloutKind::Rollback && !rollout.is_settling(now) {
        let lost = not_started(rollout, failure.as_ref())
            .or_else(|| crashed(service, rollout, story))
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
    let lost = r.weight > Weight::NONE && service.ready(&r.candidate) == 0 && stable_ready;
    let text = format!("{} has traffic and no ready instance", r.candidate.version);
    lost.then(|| r.cause("not-ready", text, failure.cloned()))
}

/// When instances must be ready. Crash loops cannot move it; a pause does.
fn ready_by(rollout: &Rollout) -> Timestamp {
    let from =
        rollout.took_over_at.map_or(rollout.step.entered_at, |at| at.max(rollout.step.entered_at));
    let schedule = &rollout.schedule;
    from.plus(schedule.progress_deadline).plus(schedule.warm_up)
}

/// Set when instances did not become ready in time.
fn late(service: &Service, rollout: &Rollout, now: Timestamp) -> Option<String> {
    let Some(Step::SetWeight(weight)) = rollout.schedule.step(rollout.step.index) else {
        return None;
    };
    let waiting = rollout.weight != *weight && !is_ready_for(service, rollout, *weight, now);
    let over = rollout.paused.is_none() && now >= ready_by(rollout);
    let wanted = service.candidate_size(*weight, rollout.is_analysed());
    let ready = service.ready(&rollout.candidate);
    let (version, span) = (&rollout.candidate.version, rollout.schedule.progress_deadline);
    let short = || format!("{ready} of {wanted} instances of {version} were ready after {span}");
    let unsteady = || format!("instances of {version} did not stay ready for {span}");
    (waiting && over).then(|| if ready < wanted { short() } else { unsteady() })
}

/// When the engine must look again although nothing happened.
pub(super) fn next_wake(service: &Service, now: Timestamp) -> Option<Timestamp> {
    let rollout = service.rollout.as_ref()?;
    let entered = rollout.step.entered_at;
    let times = match (&rollout.phase, rollout.schedule.step(rollout.step.index)) {
        (Phase::Warm { since }, _) => vec![since.plus(rollout.schedule.keep_warm)],
        (Phase::Stepping, Some(Step::Pause(Some(span)))) => vec![entered.plus(*span)],
        (Phase::Stepping, Some(Step::Bake(bake))) => {
            vec![entered.plus(bake.at_least), entered.plus(bake.deadline)]
        }
        (Phase::Stepping, Some(Step::SetWeight(_))) => {
            let youngest = service.observed.revisions.get(&rollout.candidate);
            let ready_at = youngest.and_then(|r| r.youngest_ready_at);
            let warm = ready_at.map(|at| at.plus(rollout.schedule.warm_up));
            let patience = entered.plus(ROLLBACK_PATIENCE);
            warm.into_iter().chain([ready_by(rollout), patience]).collect()
        }
        _ => vec![],
    };
    let settled = rollout.took_over_at.map(|at| at.plus(rollout.schedule.progress_deadline));
    times.into_iter().chain(settled).filter(|at| *at > now).min()
}
