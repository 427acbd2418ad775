//! The verb rollback: where it leads, and what it does to what is under way.

use super::ask::Answer;
use super::{Turn, trade};
use crate::{
    Actor, Fact, PauseReason, Phase, Refusal, RefusalCode as Code, RevisionId, RevisionStanding,
    RolloutKind, Version,
};

impl Turn {
    /// A new rollout to an older revision, or the end of the one under way.
    pub(super) fn rollback(
        &mut self,
        by: &Actor,
        reason: Option<&str>,
        to: Option<&RevisionId>,
    ) -> Answer {
        if let Some(rollout) = self.service.rollout.as_ref() {
            let to_stable = to.is_none() || to == self.service.stable.as_ref();
            let to_candidate = to.is_none_or(|to| *to == rollout.candidate);
            match rollout.phase {
                // Asked for twice is wanted once.
                Phase::Reverting { .. } if to_stable => return Ok(()),
                _ if !rollout.is_on_trial() => {}
                _ if rollout.kind == RolloutKind::Rollback && to_candidate => return Ok(()),
                _ if rollout.baseline.is_none() => {
                    self.hold_first(by, reason);
                    return Ok(());
                }
                _ if to_stable => {
                    self.unqueue(&asked(by));
                    return self.abort(by, reason);
                }
                _ => {}
            }
        }
        let target = self.way_back(to)?;
        self.unqueue(&asked(by));
        if trade::must_give_back(&self.service) || trade::gave_places(&self.service) {
            self.enqueue_back(by, reason, &target);
            return Ok(());
        }
        self.leave_for(&target);
        self.go_back(by, reason, &target);
        Ok(())
    }

    /// Begins a way back.
    pub(super) fn go_back(&mut self, by: &Actor, reason: Option<&str>, target: &RevisionId) {
        let target = target.clone();
        self.halt_contract_for(by, &target);
        self.start(by, reason, &target, RolloutKind::Rollback);
        if let Some(left) = self.service.stable.clone() {
            self.hold_deploys(&left, Some(target), by.clone());
            if self.service.hold.is_some() {
                self.tell(Fact::Held { left });
            }
        }
    }

    /// There is nothing before a first revision: it stays as it is, and somebody is called.
    fn hold_first(&mut self, by: &Actor, reason: Option<&str>) {
        let name = &self.service.name;
        let text = format!(
            "cannot roll back: no previous version of {name}; it is held as it is, `serin abort` \
             stops it"
        );
        let because = reason.map(|why| format!(": {why}")).unwrap_or_default();
        self.hold(PauseReason::Person(by.clone()), format!("by {}{because}", by.0));
        self.tell(Fact::NoWayBack { text });
    }

    /// The revision a rollback leads to: one that was good. Anything else has to be deployed, so
    /// that it is tried.
    pub(super) fn way_back(&self, to: Option<&RevisionId>) -> Result<RevisionId, Refusal> {
        let name = self.service.name.as_str();
        let usual =
            || self.service.rollback_target().or_else(|| self.service.last_good_without_contract());
        let Some(target) = to.or_else(usual) else {
            let stays = self.service.stable.as_ref();
            let stays = stays.map_or(String::new(), |id| format!("; {} stays", id.version));
            let message =
                format!("cannot roll back: no previous version of {name} was good{stays}");
            return Err(no_revision(message));
        };
        let version = &target.version;
        if self.service.stable.as_ref() == Some(target) {
            let message = format!("{version} is what runs now");
            return Err(Refusal::new(Code::Already, message, "see `serin history`"));
        }
        if let Some(why) = self.service.misfit(target)
            && !self.service.fits_without_contract(target)
        {
            return Err(self.no_schema(why));
        }
        match self.service.revisions.get(target).map(|r| r.standing) {
            Some(RevisionStanding::Good | RevisionStanding::Promoted | RevisionStanding::Left) => {
                Ok(target.clone())
            }
            Some(RevisionStanding::Bad) => Err(untrusted(version, "was rolled back before")),
            Some(RevisionStanding::Untried) => Err(untrusted(version, "was never promoted")),
            None => Err(no_revision(format!("{name} has no revision {version}"))),
        }
    }
}

fn asked(by: &Actor) -> String {
    format!("{} asked for a rollback", by.0)
}

fn no_revision(message: String) -> Refusal {
    Refusal::new(Code::NoRevision, message, "see `serin history`")
}

fn untrusted(version: &Version, why: &str) -> Refusal {
    let hint = "bring it out step by step with `serin deploy`";
    Refusal::new(Code::BadRevision, format!("{version} {why}, so it gets no traffic untried"), hint)
}
