//! Decides, from state alone, what a rollout does next.

use super::condemn::convicted;
use super::convict;
use super::hold::ENGINE;
use super::keep::{is_kept, promoted_standing};
use super::{Turn, analyse, hooks, prove, published};
use crate::lifecycle::usual;
use crate::{
    Actor, Bake, Cause, Fact, Inherited, Millis, OnInconclusive, Outcome, PauseReason, Phase,
    RevisionId, RevisionStanding, Rollout, RolloutKind, Step, StepState, Timestamp, Weight,
    outlook,
};
use serin_stats::Outcome as Verdict;
use serin_stats::threshold::CheckVerdict;

/// How far a share is on its way.
pub(super) enum Reach {
    /// It was brought nearer now.
    Moved,
    /// It waits for instances, for the data plane or for a person.
    Waiting,
    /// The data plane has confirmed it.
    There,
}

impl Turn {
    /// Makes one decision; false when there is none to make.
    pub(super) fn advance(&mut self) -> bool {
        self.prove();
        let Some(rollout) = self.service.rollout.as_ref() else {
            return self.depart() || self.dequeue();
        };
        match &rollout.phase {
            Phase::Stepping => {
                self.convict() || self.depart() || self.doubt() || self.fit() || self.step()
            }
            Phase::Warm { since } => {
                let since = *since;
                self.convict()
                    || self.depart()
                    || self.doubt()
                    || self.fit()
                    || self.end_warm(since)
            }
            Phase::Retiring | Phase::Reverting { .. } => self.fit() || self.end_when_gone(),
        }
    }

    /// Decides against the candidate by health or evidence. First of all, always.
    fn convict(&mut self) -> bool {
        if self.answer_for_them() {
            return true;
        }
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        if let Some(cause) = convict::health(&self.service, rollout, self.now)
            && (self.give_place_back(&cause) || self.condemn(cause))
        {
            return true;
        }
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        if let Some(cause) = hooks::failure(rollout)
            && self.condemn(cause)
        {
            return true;
        }
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let verdicts = convict::verdicts(rollout, self.now);
        if rollout.only_reports() {
            for cause in verdicts {
                self.report(cause);
            }
            return false;
        }
        verdicts.into_iter().any(|cause| self.condemn(cause))
    }

    /// Tells a verdict that decides nothing, once.
    pub(super) fn report(&mut self, cause: Cause) {
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        if rollout.reported.insert(cause.code) {
            self.tell(Fact::Reported { text: cause.text });
        }
    }

    /// Holds the rollout when what was measured cannot be trusted, so that it is never promoted on
    /// it.
    fn doubt(&mut self) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let by_person = matches!(rollout.paused, Some(PauseReason::Person(_)));
        if by_person
            || convicted(rollout).is_some()
            || matches!(rollout.paused, Some(PauseReason::Guard(_)))
        {
            return false;
        }
        let unsound = convict::unsound(rollout).filter(|_| !rollout.only_reports());
        let fresh = || convict::fresh_late(&self.service, rollout, self.now);
        if let Some(why) = unsound.or_else(fresh) {
            self.hold(PauseReason::Guard(why.clone()), why);
            return true;
        }
        match convict::checks(rollout, self.now) {
            Some(CheckVerdict::Inconclusive { why }) if rollout.paused.is_none() => {
                self.hold(PauseReason::Check(why.clone()), why);
                true
            }
            _ => false,
        }
    }

    pub(super) fn revert(&mut self, outcome: Outcome, cause: Cause) {
        let (now, back) = (self.now, self.back_at_revert());
        self.keep_failed(outcome);
        self.take_flags_back();
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let cause = Box::new(cause);
        rollout.back = back;
        rollout.verdict_at.get_or_insert(now);
        // Where stable gave places away it goes back as fast as they come back.
        if rollout.places.is_none() {
            rollout.weight = Weight::NONE;
        }
        rollout.paused = None;
        rollout.phase = Phase::Reverting { outcome, cause: cause.clone() };
        let (kind, candidate) = (rollout.kind, rollout.candidate.clone());
        self.tell(Fact::Reverting { outcome, cause: cause.clone() });
        self.take_schema_back();
        match kind {
            RolloutKind::Rollback => self.rollback_failed(outcome, cause),
            RolloutKind::FastTrack => {}
            _ if outcome == Outcome::RolledBack && cause.is_verdict() => {
                self.condemned(&candidate);
            }
            _ => {}
        }
    }

    /// What evidence or health decided against is bad, and is not brought back by itself.
    fn condemned(&mut self, candidate: &RevisionId) {
        if let Some(known) = self.service.revisions.get_mut(candidate) {
            known.standing = RevisionStanding::Bad;
        }
        let stable = self.service.stable.clone();
        if stable.is_some() {
            self.hold_deploys(candidate, stable, Actor(ENGINE.into()));
        } else {
            let text = format!(
                "cannot roll back: no previous version of {}; nothing serves",
                self.service.name
            );
            self.tell(Fact::NoWayBack { text });
        }
    }

    /// A way back that came to nothing leaves what ran before where it was.
    fn rollback_failed(&mut self, outcome: Outcome, cause: Box<Cause>) {
        self.service.hold = None;
        let Some(rollout) = self.service.rollout.as_ref() else { return };
        let (to, stays) = (rollout.candidate.clone(), self.service.stable.clone());
        if outcome == Outcome::RolledBack {
            self.tell(Fact::RollbackFailed { to, stays, cause });
        }
    }

    fn step(&mut self) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        if convict::check_unreadable(rollout, self.now).is_some() {
            return false;
        }
        match rollout.schedule.step(rollout.step.index).cloned() {
            Some(Step::SetWeight(weight)) => self.set_weight(weight),
            Some(Step::Pause(span)) => self.pause_step(span),
            Some(Step::Bake(bake)) => self.bake(&bake),
            Some(Step::Expose(expose)) => self.expose(&expose),
            Some(Step::Run(hooks)) => self.run_step(&hooks),
            Some(Step::Approve(approval)) => self.approve_step(&approval),
            Some(Step::Analyse(step)) => self.analyse_step(&step),
            Some(Step::SetHeaderRoute(route)) => self.header_route(&route),
            Some(Step::SetMirror(route)) => self.mirror_route(&route),
            Some(Step::Experiment(step)) => self.experiment_step(&step),
            Some(Step::SetScale(scale)) => self.set_scale(scale),
            Some(Step::Flag(_)) => self.flag_step(),
            Some(Step::Migrate(step)) => self.migrate_step(&step),
            None => self.end_steps(),
        }
    }

    fn set_weight(&mut self, weight: Weight) -> bool {
        match self.reach(weight) {
            Reach::Moved => true,
            Reach::Waiting => false,
            Reach::There => {
                if let Some(rollout) = self.service.rollout.as_mut() {
                    rollout.size_for = weight;
                }
                self.next_step(self.now);
                true
            }
        }
    }

    /// Sizes the candidate first, moves the weight when its instances are ready and warm, and is
    /// there when the data plane has confirmed it.
    pub(super) fn reach(&mut self, weight: Weight) -> Reach {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_ref() else { return Reach::Waiting };
        if rollout.places.is_some() {
            return self.reach_places(weight);
        }
        let ready = convict::is_ready_for(&self.service, rollout, weight, now);
        let done = rollout.weight == weight && self.is_confirmed(rollout, weight);
        let (held, seen) = (rollout.paused.is_some(), self.service.is_seen());
        let Some(rollout) = self.service.rollout.as_mut() else { return Reach::Waiting };
        if rollout.size_for < weight {
            rollout.size_for = weight;
            return Reach::Moved;
        }
        if held {
            return Reach::Waiting;
        }
        if rollout.weight != weight && ready && seen {
            rollout.weight = weight;
            let revision = rollout.candidate.clone();
            self.tell(Fact::Weight { revision, weight });
            return Reach::Moved;
        }
        if done { Reach::There } else { Reach::Waiting }
    }

    pub(super) fn is_confirmed(&self, rollout: &Rollout, weight: Weight) -> bool {
        let planned = self.service.plan.as_deref().map(|plan| plan.weight(&rollout.candidate));
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
        let held = rollout.paused.as_ref().is_some_and(|why| *why != PauseReason::Inconclusive);
        if !held && is_baked(rollout, bake, self.now) {
            self.leave_evidence_step();
            return true;
        }
        self.is_past(bake.deadline) && self.inconclusive()
    }

    /// Whether the present step has had `deadline` and is not held.
    pub(super) fn is_past(&self, deadline: Millis) -> bool {
        let rollout = self.service.rollout.as_ref().filter(|r| r.paused.is_none());
        rollout.is_some_and(|r| self.now >= r.step.entered_at.plus(deadline))
    }

    /// The evidence is there, perhaps after all.
    pub(super) fn leave_evidence_step(&mut self) {
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        if rollout.paused.take().is_some() {
            self.tell(Fact::Resumed { by: None, reason: None });
        }
        self.next_step(self.now);
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

    pub(super) fn inconclusive(&mut self) -> bool {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return false };
        let analysis = rollout.schedule.analysis.as_ref();
        match analysis.map_or(OnInconclusive::Pause, crate::Analysis::when_inconclusive) {
            OnInconclusive::Pause => {
                let text = inconclusive_text(rollout, now);
                self.hold(PauseReason::Inconclusive, text);
            }
            OnInconclusive::Rollback => {
                let cause = rollout.cause("inconclusive", inconclusive_text(rollout, now), None);
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

    pub(super) fn next_step(&mut self, now: Timestamp) {
        let Some(rollout) = self.service.rollout.as_ref() else { return };
        let (step, steps) = (rollout.step.index + 1, rollout.schedule.len());
        self.tell(Fact::StepDone { step, steps });
        self.enter_next(now);
    }

    fn enter_next(&mut self, now: Timestamp) {
        self.remember_untold();
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let stage = rollout.stage_index();
        rollout.step = StepState::begun(rollout.step.index + 1, now, rollout.counted.judged);
        // A step that was skipped leaves nothing behind.
        rollout.beside.experiment = None;
        rollout.begin_checks(rollout.stage_index() != stage);
        self.assess();
    }

    fn end_steps(&mut self) -> bool {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return false };
        rollout.phase = Phase::Warm { since: now };
        let (revision, span) = (rollout.candidate.clone(), rollout.schedule.watch());
        match rollout.baseline.clone() {
            Some(_) if rollout.places.is_some() && span == Millis(0) => {}
            Some(_) if rollout.places.is_some() => self.tell(Fact::Watching { revision, span }),
            Some(kept) => self.tell(Fact::Warming { revision, kept, span }),
            None => {}
        }
        true
    }

    /// The candidate becomes stable once it has held all traffic for the warm time.
    fn end_warm(&mut self, since: Timestamp) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let first = rollout.kind == RolloutKind::First;
        let warm_until = since.plus(rollout.schedule.watch());
        let unread = convict::check_unreadable(rollout, self.now).is_some();
        if rollout.paused.is_some() || unread || (!first && self.now < warm_until) {
            return false;
        }
        // A controller that takes over may know less than the data plane: an order of which the
        // log tells nothing. Stable is let go only from what is seen.
        let serves =
            self.is_confirmed(rollout, Weight::ALL) && self.service.ready(&rollout.candidate) > 0;
        if !first && !serves {
            return false;
        }
        self.promote(Millis(0));
        self.keep_old();
        true
    }

    /// A candidate that has all traffic becomes stable because something newer takes its turn.
    pub(super) fn promote_early(&mut self, by: &RevisionId, since: Timestamp) {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let watch = rollout.schedule.watch();
        let left = Millis(watch.0.saturating_sub(now.since(since).0));
        let what = format!("{left} of the watch of {watch}: {} was deployed", by.version);
        rollout.skipped.push(what.clone());
        let step = rollout.schedule.len();
        self.tell(Fact::StepSkipped { step, what });
        self.promote(left);
    }

    /// The candidate becomes stable; `watch_left` of its watch was not waited for.
    fn promote(&mut self, watch_left: Millis) {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        rollout.phase = Phase::Retiring;
        let revision = rollout.candidate.clone();
        let left = rollout.baseline.clone().filter(|_| rollout.kind.is_way_back());
        if let Some(left) = left.and_then(|id| self.service.revisions.get_mut(&id)) {
            left.standing = RevisionStanding::Left;
            left.good_at = None;
        }
        self.service.stable = Some(revision.clone());
        self.service.evidence.remove(&revision);
        if let Some(known) = self.service.revisions.get_mut(&revision) {
            let standing = promoted_standing(rollout, known.standing, watch_left, now);
            (known.standing, known.good_at) = standing;
            (known.promoted_at, known.promoted_in) = (Some(now), rollout.id);
        }
        self.tell(Fact::Promoted { revision });
        self.schema_promoted();
    }

    fn end_when_gone(&mut self) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let leaving = match rollout.phase {
            Phase::Retiring => rollout.baseline.as_ref(),
            _ => Some(&rollout.candidate),
        };
        let seen = |id| self.service.observed.revisions.contains_key(id);
        let gone = !leaving.into_iter().chain(&rollout.beside.left).any(seen);
        let kept = leaving.is_some_and(|id| is_kept(&self.service, id));
        let planned_out = match (&self.service.plan, leaving) {
            (Some(plan), Some(id)) if kept => plan.weight(id) == Weight::NONE,
            (Some(plan), Some(id)) => !plan.revisions.contains_key(id),
            _ => true,
        };
        let alone = self.service.observed.fresh.is_none();
        let left = (gone || kept) && alone && planned_out && self.service.is_applied();
        let back = rollout.has_places_back(&self.service);
        let over = left && back && prove::is_proven(&self.service, rollout);
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
        self.keep_usual(&rollout);
        let record = rollout.into_record(self.service.stable.clone(), self.now);
        let (outcome, kind) = (record.outcome, record.kind);
        self.service.last = Some(record.clone());
        self.records.push(record);
        let fact = Fact::Ended { kind, outcome, revision };
        self.journal.push(crate::Entry { at: self.now, rollout: Some(id), fact });
    }

    /// What stable's error rate was, for whoever goes back to it.
    fn keep_usual(&mut self, rollout: &Rollout) {
        let (Some(rate), Some(id)) = (usual(rollout), rollout.baseline.as_ref()) else { return };
        if let Some(known) = self.service.revisions.get_mut(id) {
            known.usual = Some(rate);
        }
    }

    fn keep_evidence(&mut self, rollout: &Rollout) {
        let promoted = self.service.stable.as_ref() == Some(&rollout.candidate);
        if let (Some(judge), Some(baseline), false) = (&rollout.judge, &rollout.baseline, promoted)
        {
            let kept = Inherited { baseline: baseline.clone(), judge: judge.clone() };
            self.service.evidence.insert(rollout.candidate.clone(), kept.into());
        }
    }
}

fn is_baked(rollout: &Rollout, bake: &Bake, now: Timestamp) -> bool {
    now >= rollout.step.entered_at.plus(bake.at_least)
        && rollout.judged_here() >= bake.requests
        && (!bake.until_evidence || is_proven(rollout, now))
}

/// Whether the evidence the step asks for is there: judge and checks agree, and something was
/// judged since it began.
pub(super) fn is_proven(rollout: &Rollout, now: Timestamp) -> bool {
    let analysis = rollout.schedule.analysis.as_ref();
    // Without a comparison the checks alone prove it, and without checks nothing does.
    let compares = analysis.is_some_and(|a| a.compares() || a.checks.iter().all(|c| c.report_only));
    let passed = rollout.assessment.as_ref().is_some_and(|a| a.outcome == Verdict::Pass);
    let judged = rollout.judged_here() > 0 || !compares && published::is_good_here(rollout);
    judged && (passed || !compares) && convict::check_missing(rollout, now).is_none()
}

fn inconclusive_text(rollout: &Rollout, now: Timestamp) -> String {
    let judged = rollout.assessment.as_ref().filter(|a| a.canary_n > 0);
    if let Some(Step::Analyse(step)) = rollout.schedule.step(rollout.step.index) {
        let why = analyse::missing(rollout, step, now).unwrap_or_default();
        return format!("not good by the deadline; {why}");
    }
    let checks = convict::check_missing(rollout, now);
    let checks = checks.filter(|_| rollout.counted.judged > 0);
    let checks = checks.map_or(String::new(), |why| format!("; {why}"));
    let Some(assessment) = judged else {
        return format!("no request on the candidate could be judged by the deadline{checks}");
    };
    let found = outlook::verdict_sentence(assessment);
    format!("not enough evidence by the deadline; {found}{checks}")
}
