//! What a verdict against the candidate does: back at once, held, or a person is asked first.

use super::Turn;
use super::ask::Answer;
use crate::{
    Actor, Cause, Fact, OnFailure, Outcome, PauseReason, Refusal, RefusalCode as Code, Rollout,
    Service, Weight,
};

impl Turn {
    /// Follows a verdict. False when it changes nothing.
    pub(super) fn condemn(&mut self, cause: Cause) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        if rollout.overridden.contains(&cause.code) {
            self.report(cause);
            return false;
        }
        match self.reaction(rollout) {
            OnFailure::Rollback => {
                self.revert(Outcome::RolledBack, cause);
                true
            }
            _ if convicted(rollout).is_some() => false,
            OnFailure::Hold => {
                self.await_answer(PauseReason::Failed(Box::new(cause.clone())), cause);
                true
            }
            OnFailure::Confirm { timeout } => {
                let until = self.now.plus(timeout);
                let why = PauseReason::Confirm { cause: Box::new(cause.clone()), until };
                self.await_answer(why, cause);
                true
            }
        }
    }

    /// Nobody is asked where nobody would notice, nor while the candidate answers nobody: then
    /// stable can only be better. `hold` is for changes of which that is not true.
    fn reaction(&self, rollout: &Rollout) -> OnFailure {
        let asked = self.service.spec.rollback.on_failure;
        let unnoticed = rollout.weight == Weight::NONE || rollout.baseline.is_none();
        let mute = matches!(asked, OnFailure::Confirm { .. }) && is_mute(&self.service, rollout);
        if unnoticed || mute || !rollout.kind.is_tried() { OnFailure::Rollback } else { asked }
    }

    fn await_answer(&mut self, why: PauseReason, cause: Cause) {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let confirm = match &why {
            PauseReason::Confirm { until, .. } => Some(until.since(now)),
            _ => None,
        };
        rollout.verdict_at.get_or_insert(now);
        rollout.paused = Some(why);
        rollout.paused_at = Some(now);
        self.tell(Fact::Convicted { cause: Box::new(cause), confirm });
    }

    /// Goes back when nobody answered in time.
    pub(super) fn answer_for_them(&mut self) -> bool {
        let rollout = self.service.rollout.as_ref();
        let Some(PauseReason::Confirm { cause, until }) = rollout.and_then(|r| r.paused.clone())
        else {
            return false;
        };
        let mute = rollout.is_some_and(|r| is_mute(&self.service, r));
        let over = self.now >= until || mute;
        if over {
            self.revert(Outcome::RolledBack, *cause);
        }
        over
    }

    /// A person agrees with the verdict.
    pub(super) fn confirm_verdict(&mut self, by: &Actor) -> bool {
        let rollout = self.service.rollout.as_mut();
        let Some((rollout, cause)) = rollout.and_then(|r| convicted(r).cloned().map(|c| (r, c)))
        else {
            return false;
        };
        rollout.notes.push(format!("verdict confirmed by {}", by.0));
        self.revert(Outcome::RolledBack, cause);
        true
    }

    /// A person decides against the verdict; false when there is none. It stays reported, and
    /// nothing else is excused by it.
    pub(super) fn overrule(&mut self, by: &Actor, reason: Option<&str>) -> Result<bool, Refusal> {
        let Some(rollout) = self.service.rollout.as_mut() else { return Ok(false) };
        let Some(cause) = convicted(rollout).cloned() else { return Ok(false) };
        let held = matches!(rollout.paused, Some(PauseReason::Failed(_)));
        if held && reason.is_none() {
            return Err(needs_reason(&cause));
        }
        let because = reason.map(|why| format!(" ({why})")).unwrap_or_default();
        rollout.notes.push(format!("verdict overruled by {}{because}: {}", by.0, cause.text));
        rollout.overridden.insert(cause.code.clone());
        rollout.reported.insert(cause.code.clone());
        let held = rollout.paused_at.take().map(|at| self.now.since(at)).unwrap_or_default();
        rollout.step.entered_at = rollout.step.entered_at.plus(held);
        rollout.paused = None;
        let (by, reason) = (by.clone(), reason.map(Into::into));
        self.tell(Fact::Overridden { by, reason, cause: Box::new(cause) });
        Ok(true)
    }

    /// A pause would hide the question that is open.
    pub(super) fn refuse_if_convicted(&self) -> Answer {
        let open = self.service.rollout.as_ref().and_then(convicted);
        let Some(cause) = open else { return Ok(()) };
        let message = format!("the rollout is held by a verdict: {}", cause.text);
        let hint = "go back with `serin abort`, or keep it with `serin promote --reason`";
        Err(Refusal::new(Code::Already, message, hint))
    }
}

/// The verdict that a person has to answer.
pub(super) fn convicted(rollout: &Rollout) -> Option<&Cause> {
    match &rollout.paused {
        Some(PauseReason::Failed(cause) | PauseReason::Confirm { cause, .. }) => Some(cause),
        _ => None,
    }
}

/// Whether users of the candidate get no answer at all, while stable would give one.
fn is_mute(service: &Service, rollout: &Rollout) -> bool {
    let stable = rollout.baseline.as_ref().is_some_and(|id| service.ready(id) > 0);
    rollout.weight > Weight::NONE && service.ready(&rollout.candidate) == 0 && stable
}

fn needs_reason(cause: &Cause) -> Refusal {
    let message = format!("it was decided against the candidate: {}", cause.text);
    let hint = "say why it goes on all the same with `--reason`, or go back with `serin abort`";
    Refusal::new(Code::NotAllowed, message, hint)
}
