//! A deploy while a rollout is under way: restart, queue or reject.

use super::{Turn, trade};
use crate::{
    Actor, DeployAsk, Fact, OnNewRevision, Outcome, Queued, Refusal, RefusalCode as Code,
    RevisionId, Skips,
};

impl Turn {
    /// Whether a deploy waits for the rollout under way.
    pub(super) fn must_wait(&self, ask: &DeployAsk) -> Result<bool, Refusal> {
        let Some(rollout) = &self.service.rollout else { return Ok(false) };
        let same = rollout.is_on_trial() && rollout.candidate == ask.revision;
        let ended = !rollout.is_on_trial() && self.service.stable.as_ref() == Some(&ask.revision);
        let how = match ask.skips {
            Skips::Waits => OnNewRevision::Restart,
            _ => ask.spec.on_new_revision,
        };
        match how {
            _ if same || ended || self.service.removing => Ok(false),
            // Instances that gave their places away have to be back before others may go.
            OnNewRevision::Restart => {
                let stable = self.service.stable.as_ref() == Some(&ask.revision);
                Ok(!stable && trade::must_give_back(&self.service))
            }
            OnNewRevision::Queue => Ok(true),
            OnNewRevision::Reject => Err(busy(&rollout.candidate)),
        }
    }

    /// The newest deploy waits; the one before is told.
    pub(super) fn enqueue(&mut self, by: &Actor, reason: Option<&str>, ask: &DeployAsk) {
        let Some(rollout) = &self.service.rollout else { return };
        let behind = rollout.candidate.clone();
        let same = self.service.queued.as_ref().is_some_and(|q| q.deploy.revision == ask.revision);
        if !same {
            let why = format!("{} by {} takes its place", ask.revision.version, by.0);
            self.unqueue(&why);
        }
        let (by, reason) = (by.clone(), reason.map(Into::into));
        let revision = ask.revision.clone();
        self.tell(Fact::Queued { revision, behind, by: by.clone() });
        let deploy = Box::new(ask.clone());
        let hurry = deploy.skips == Skips::Waits;
        let restart = hurry || deploy.spec.on_new_revision == OnNewRevision::Restart;
        self.service.queued = Some(Queued { by, reason, at: self.now, deploy, back: false });
        if restart {
            self.supersede(&ask.revision);
        }
    }

    /// A way back to a third revision waits until stable has its places again.
    pub(super) fn enqueue_back(&mut self, by: &Actor, reason: Option<&str>, to: &RevisionId) {
        let Some(rollout) = &self.service.rollout else { return };
        let behind = rollout.candidate.clone();
        self.tell(Fact::Queued { revision: to.clone(), behind, by: by.clone() });
        let spec = self.service.spec.clone();
        let deploy = Box::new(DeployAsk {
            spec,
            revision: to.clone(),
            allow_bad: false,
            departure: None,
            skips: Skips::Nothing,
        });
        let (by, reason, at) = (by.clone(), reason.map(Into::into), self.now);
        self.service.queued = Some(Queued { by, reason, at, deploy, back: true });
        self.supersede(to);
    }

    /// Whoever waits does not wait any more.
    pub(super) fn unqueue(&mut self, why: &str) {
        let Some(queued) = self.service.queued.take() else { return };
        let (revision, by) = (queued.deploy.revision, queued.by);
        self.tell(Fact::Unqueued { revision, by, why: why.into() });
    }

    /// Whether the turn ends a way back. What waited begins with the next one: on a full disk
    /// nothing new can begin, and the way back must not be refused for it.
    fn has_just_gone_back(&self, queued: &Queued) -> bool {
        let back = self.records.last().is_some_and(|r| r.outcome != Outcome::Promoted);
        back && !queued.back && queued.at < self.now
    }

    /// Starts the deploy that waited, now that no rollout is under way.
    pub(super) fn dequeue(&mut self) -> bool {
        let Some(queued) = self.service.queued.clone() else { return false };
        if self.has_just_gone_back(&queued) {
            return false;
        }
        if queued.back {
            let to = &queued.deploy.revision;
            // What it needs may have gone while it waited.
            if let Err(refusal) = self.way_back(Some(to)) {
                self.unqueue(&refusal.message);
                return true;
            }
            self.service.queued = None;
            self.go_back(&queued.by, queued.reason.as_deref(), to);
            return true;
        }
        match self.refuse_deploy(&queued.deploy) {
            Ok(()) => {
                self.service.queued = None;
                self.deploy_now(&queued.by, queued.reason.as_deref(), &queued.deploy);
            }
            Err(refusal) => self.unqueue(&refusal.message),
        }
        true
    }
}

fn busy(candidate: &RevisionId) -> Refusal {
    let message =
        format!("a rollout of {} is under way (onNewRevision: reject)", candidate.version);
    let hint = "wait for its end with `serin wait`, or stop it with `serin abort`";
    Refusal::new(Code::Busy, message, hint)
}
