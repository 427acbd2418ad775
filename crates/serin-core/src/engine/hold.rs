//! What is not deployed again by itself: held after a way back, or marked bad.

use super::Turn;
use super::ask::Answer;
use crate::{
    Actor, DeployAsk, Fact, Hold, Marked, Outcome, Refusal, RefusalCode as Code, RevisionId,
    RevisionStanding,
};

/// Who holds a service when the evidence or health went back.
pub(super) const ENGINE: &str = "serin";

impl Turn {
    /// After a way back, what was left and what is older is refused: a pipeline that runs again
    /// must not bring it back. Insisting on the very revision that was left is a person's word.
    pub(super) fn refuse_held(&mut self, ask: &DeployAsk) -> Answer {
        let Some(hold) = self.service.hold.as_ref() else { return Ok(()) };
        let insisted = ask.allow_bad && hold.left == ask.revision;
        if insisted || !self.service.is_held(&ask.revision) {
            return Ok(());
        }
        let (name, version, left) = (&self.service.name, &ask.revision.version, &hold.left.version);
        let left_it = hold.left == ask.revision;
        let older = || format!("{version} is older");
        let what = if left_it { "that is what was left".to_owned() } else { older() };
        let message = format!("{name} is held since the way back from {left}: {what}");
        let hint = "deploy something newer, or let it be deployed again with `serin release`";
        Err(Refusal::new(Code::Held, message, hint))
    }

    /// Holds deploys of `left` and of everything older, if the service wants it.
    pub(super) fn hold_deploys(&mut self, left: &RevisionId, to: Option<RevisionId>, by: Actor) {
        let known = self.service.revisions.get(left).map(|r| r.created_at);
        let Some(known_since) = known.filter(|_| self.service.spec.rollback.hold_after) else {
            return;
        };
        let left = left.clone();
        self.service.hold = Some(Hold { left, known_since, to, since: self.now, by });
    }

    /// Something newer ends the hold.
    pub(super) fn end_hold_for(&mut self, revision: &RevisionId) {
        let newer = |hold: &Hold| {
            let to = hold.to.as_ref() == Some(revision);
            let stable = self.service.stable.as_ref() == Some(revision);
            !to && !stable
        };
        let Some(hold) = self.service.hold.take_if(|hold| newer(hold)) else { return };
        // A verdict refuses what it was about anyway; only a hold that was told is told to be over.
        if hold.by.0 != ENGINE {
            self.tell(Fact::Released { left: hold.left, by: None });
        }
    }

    pub(super) fn release_by_hand(&mut self, by: &Actor) -> Answer {
        let Some(hold) = self.service.hold.take() else {
            let message = format!("{} is not held", self.service.name);
            return Err(Refusal::new(Code::Already, message, "deploy with `serin deploy`"));
        };
        self.tell(Fact::Released { left: hold.left, by: Some(by.clone()) });
        Ok(())
    }

    /// A person says what a revision is worth.
    pub(super) fn mark(
        &mut self,
        by: &Actor,
        reason: Option<&str>,
        revision: &RevisionId,
        bad: bool,
    ) -> Answer {
        let Some(known) = self.service.revisions.get_mut(revision) else {
            let message = format!("{} has no revision {}", self.service.name, revision.version);
            return Err(Refusal::new(Code::NoRevision, message, "see `serin history`"));
        };
        if (known.standing == RevisionStanding::Bad) == bad {
            let what = if bad { "is marked bad already" } else { "is not marked bad" };
            let message = format!("{} {what}", revision.version);
            return Err(Refusal::new(Code::Already, message, "see `serin history`"));
        }
        let reason = reason.map(ToOwned::to_owned);
        if bad {
            let was = known.standing;
            let mark = Marked { by: by.clone(), at: self.now, reason: reason.clone(), was };
            known.marked = Some(mark);
            known.standing = RevisionStanding::Bad;
            known.good_at = None;
        } else {
            let untold = || match known.promoted_at {
                Some(_) => RevisionStanding::Left,
                None => RevisionStanding::Untried,
            };
            known.standing = known.marked.take().map_or_else(untold, |mark| mark.was);
            self.service.evidence.remove(revision);
        }
        let (revision, by) = (revision.clone(), by.clone());
        self.tell(Fact::Marked { revision: revision.clone(), bad, by: by.clone(), reason });
        if bad {
            self.leave_marked(&revision, &by);
        }
        Ok(())
    }

    /// Nothing stays for a revision that a person calls bad: neither its trial nor its kept
    /// instances. Stable stays; going back from it is a decision of its own.
    fn leave_marked(&mut self, revision: &RevisionId, by: &Actor) {
        let tried = self.service.rollout.as_ref();
        let tried = tried.filter(|r| r.is_on_trial() && r.candidate == *revision);
        if let Some(rollout) = tried {
            let text = format!("{} was marked bad by {}", revision.version, by.0);
            let cause = rollout.cause("person", text, None);
            self.revert(Outcome::Aborted, cause);
        } else if self.service.kept.as_ref().is_some_and(|kept| kept.revision == *revision) {
            self.let_go();
        }
    }
}
