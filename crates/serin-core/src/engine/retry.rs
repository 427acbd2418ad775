//! Another try of the last candidate.

use super::Turn;
use super::ask::Answer;
use crate::{
    Actor, DeployAsk, Outcome, Phase, Refusal, RefusalCode as Code, RevisionId, RolloutKind,
};

impl Turn {
    /// The last candidate from its first step. What was decided against by evidence needs
    /// `allow_bad`; what stayed open or was stopped does not.
    pub(super) fn retry(&mut self, by: &Actor, reason: Option<&str>, allow_bad: bool) -> Answer {
        let (revision, kind) = self.last_try()?;
        if kind == RolloutKind::Rollback {
            return self.rollback(by, reason, Some(&revision));
        }
        if self.service.spec.flag.is_some() {
            // What everybody has by then is known to whoever keeps the flag, not here.
            let message = "a flag's release begins with what everybody has, so it is not retried";
            let hint = "begin another: `serin flag rollout`";
            return Err(Refusal::new(Code::NotAllowed, message, hint));
        }
        if !self.service.revisions.contains_key(&revision) {
            let message = format!("{} is not known any more", revision.version);
            return Err(Refusal::new(Code::NoRevision, message, "deploy it with `serin deploy`"));
        }
        let spec = self.service.spec.clone();
        let ask =
            DeployAsk { spec, revision, allow_bad, departure: None, skips: crate::Skips::Nothing };
        self.refuse_deploy(&ask)?;
        self.take_up(by, reason, &ask)
    }

    /// The last candidate that did not become stable.
    fn last_try(&self) -> Result<(RevisionId, RolloutKind), Refusal> {
        let already = |version: &RevisionId, what: &str, hint: &str| {
            Refusal::new(Code::Already, format!("{} {what}", version.version), hint)
        };
        match (&self.service.rollout, &self.service.last) {
            (Some(r), _) if matches!(r.phase, Phase::Reverting { .. }) => {
                Ok((r.candidate.clone(), r.kind))
            }
            (Some(r), _) => Err(already(&r.candidate, "is on its way", "see `serin status`")),
            (None, Some(last)) if last.outcome == Outcome::Promoted => {
                Err(already(&last.to, "was promoted", "deploy another with `serin deploy`"))
            }
            (None, Some(last)) => Ok((last.to.clone(), last.kind)),
            (None, None) => {
                let message = format!("{} had no rollout yet", self.service.name);
                Err(Refusal::new(Code::NoRollout, message, "start one with `serin deploy`"))
            }
        }
    }
}
