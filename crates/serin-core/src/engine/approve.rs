//! Steps that wait for people to agree.

use super::Turn;
use super::ask::because;
use crate::{Actor, Approval, Fact, Outcome, Phase, Refusal, RefusalCode as Code, Rollout, Step};

impl Turn {
    /// Somebody agrees. Agreeing twice is agreeing once.
    pub(super) fn approve(&mut self, by: &Actor, reason: Option<&str>) -> Result<(), Refusal> {
        let rollout = self.on_trial()?;
        let step = rollout.step.index + 1;
        let Some(asked) = asked(rollout) else { return Err(nothing_to_approve()) };
        if !may(&asked, by) {
            return Err(not_allowed(&asked, by, "give it"));
        }
        if rollout.step.approved_by.contains(by) {
            return Ok(());
        }
        rollout.step.approved_by.push(by.clone());
        let (have, wanted) = (rollout.step.approved_by.len() as u32, asked.count.max(1));
        let reason = reason.map(Into::into);
        self.tell(Fact::Approved { step, by: by.clone(), have, wanted, reason });
        Ok(())
    }

    pub(super) fn approve_step(&mut self, asked: &Approval) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let given = rollout.step.approved_by.len() >= asked.count.max(1) as usize;
        if given && rollout.paused.is_none() {
            self.next_step(self.now);
            return true;
        }
        let Some(timeout) = asked.timeout.filter(|timeout| !given && self.is_past(*timeout)) else {
            return false;
        };
        let have = rollout.step.approved_by.len();
        let text = format!(
            "approval did not come: {have} of {} given within {timeout}",
            asked.count.max(1)
        );
        let cause = rollout.cause("approval", text, None);
        self.revert(Outcome::Aborted, cause);
        true
    }

    /// Approval cannot be skipped past by anybody: not even all steps at once do.
    pub(super) fn refuse_unapproved(
        &self,
        by: &Actor,
        reason: Option<&str>,
    ) -> Result<(), Refusal> {
        let Some(asked) = self.service.rollout.as_ref().and_then(asked) else { return Ok(()) };
        Err(not_allowed(&asked, by, &format!("skip it{}", because(reason))))
    }
}

/// What the present step asks of people.
fn asked(rollout: &Rollout) -> Option<Approval> {
    let stepping = matches!(rollout.phase, Phase::Stepping);
    match rollout.schedule.step(rollout.step.index).filter(|_| stepping) {
        Some(Step::Approve(asked)) => Some(asked.clone()),
        _ => None,
    }
}

fn may(asked: &Approval, by: &Actor) -> bool {
    asked.from.is_empty() || asked.from.contains(&by.0)
}

fn nothing_to_approve() -> Refusal {
    let message = "the step under way does not wait for an approval";
    Refusal::new(Code::NothingToSkip, message, "see `serin explain`")
}

fn not_allowed(asked: &Approval, by: &Actor, what: &str) -> Refusal {
    let who = if asked.from.is_empty() { "anybody".into() } else { asked.from.join(", ") };
    let message = format!("this step waits for approval by {who}; {} cannot {what}", by.0);
    Refusal::new(
        Code::NotAllowed,
        message,
        "`serin approve` gives it, `serin abort` stops the rollout",
    )
}
