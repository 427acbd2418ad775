//! What people and programs ask for.

use super::Turn;
use super::convict;
use crate::{
    Actor, Ask, Baseline, Fact, Given, MigrateStep, Millis, Outcome, PauseReason, Phase, Refusal,
    RefusalCode as Code, Rollout, Step, Weight,
};
use serin_stats::threshold::{CheckState, CheckVerdict};
use serin_stats::{JudgeConfig, JudgeSettings};

pub(super) type Answer = Result<(), Refusal>;

impl Turn {
    pub(super) fn ask(&mut self, by: &Actor, reason: Option<&str>, ask: &Ask) -> Answer {
        if self.service.removing && !matches!(ask, Ask::Deploy(_) | Ask::Remove) {
            let message = format!("{} is being removed", self.service.name);
            return Err(Refusal::new(Code::Removing, message, "deploy it again to keep it"));
        }
        match ask {
            Ask::Deploy(ask) => self.deploy(by, reason, ask),
            Ask::Promote { full } => self.promote_by_hand(by, reason, *full),
            Ask::Pause => self.pause(by, reason),
            Ask::Resume => self.resume_by_hand(by, reason),
            Ask::Abort => self.abort(by, reason),
            Ask::Rollback { to } => self.rollback(by, reason, to.as_ref()),
            Ask::Approve => self.approve(by, reason),
            Ask::Retry { allow_bad } => self.retry(by, reason, *allow_bad),
            Ask::Release => self.release_by_hand(by),
            Ask::Mark { revision, bad } => self.mark(by, reason, revision, *bad),
            Ask::Clean => self.clean(),
            Ask::Contract { override_reason, backup } => {
                self.contract(by, override_reason.as_deref(), backup.as_deref())
            }
            Ask::Remove => {
                self.remove(by);
                Ok(())
            }
        }
    }

    fn remove(&mut self, by: &Actor) {
        self.service.removing = true;
        self.service.kept = None;
        self.unqueue("the service is being removed");
        self.unboard("the service is being removed", |_| false);
        self.tell(Fact::Removing { by: by.clone() });
        if let Ok(rollout) = self.on_trial() {
            let cause = rollout.cause("person", format!("service removed by {}", by.0), None);
            self.revert(Outcome::Aborted, cause);
        }
    }

    fn promote_by_hand(&mut self, by: &Actor, reason: Option<&str>, full: bool) -> Answer {
        let rollout = self.on_trial()?;
        let step = rollout.schedule.step(rollout.step.index).cloned();
        let unsound = convict::unsound(rollout).map_or(String::new(), |why| format!("; {why}"));
        let what = format!("promoted by {}{}{unsound}", by.0, because(reason));
        let overruled = self.overrule(by, reason)?;
        match step {
            Some(Step::Approve(_)) => return self.refuse_unapproved(by, reason),
            // Whoever decides against a verdict has skipped nothing yet.
            Some(Step::SetWeight(Weight::ALL)) if overruled => {}
            _ if overruled && !full => {}
            Some(Step::SetWeight(_) | Step::Expose(_)) if self.lacks_fresh() => {
                self.go_without_fresh(&what);
            }
            Some(Step::Migrate(step)) => return Err(needs_its_schema(&step)),
            Some(Step::SetWeight(Weight::ALL)) => return Err(nothing_to_skip(Weight::ALL, "")),
            Some(Step::SetWeight(weight)) if !full => {
                return Err(nothing_to_skip(weight, "; `--full` skips all steps"));
            }
            Some(_) if full => self.skip_all(&what),
            Some(_) => self.skip_step(what),
            None => self.skip_warm(&what),
        }
        self.look_anew();
        if let Some(rollout) = self.service.rollout.as_mut() {
            rollout.paused = None;
        }
        Ok(())
    }

    /// A person has seen what was doubtful and goes on: guards and checks begin anew. What is
    /// still wrong shows again.
    fn look_anew(&mut self) {
        let now = self.now.0.unsigned_abs();
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        if let Some(analysis) = rollout.schedule.analysis.as_ref() {
            for (check, run) in analysis.checks.iter().zip(&mut rollout.checks) {
                let Some(state) = run.state.as_mut() else { continue };
                state.forgive();
                if matches!(state.verdict(check, now), CheckVerdict::Inconclusive { .. }) {
                    *state = CheckState::new(now);
                }
            }
        }
        if convict::unsound(rollout).is_some() {
            self.give(Given::Cleared);
            self.assess();
        }
    }

    /// Whether it is held because there is no fresh baseline to compare with.
    fn lacks_fresh(&self) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let held = matches!(rollout.paused, Some(PauseReason::Guard(_)));
        let goal = convict::goal(rollout);
        held && goal.is_some_and(|w| super::fresh::is_missing(&self.service, rollout, w, self.now))
    }

    /// Compares with stable as it runs from now on.
    fn go_without_fresh(&mut self, what: &str) {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        if let Some(analysis) = rollout.schedule.analysis.as_mut() {
            analysis.baseline = Baseline::Stable;
        }
        rollout.step.entered_at = now;
        let step = rollout.step.index + 1;
        let what = format!("no fresh baseline, {what}");
        rollout.skipped.push(format!("step {step}: {what}"));
        self.tell(Fact::StepSkipped { step, what });
    }

    /// Goes to the step that gives the candidate everything, where readiness is still waited
    /// for; from beyond it, to the end.
    fn skip_all(&mut self, what: &str) {
        let goal = |r: &Rollout| {
            // People who were asked to agree are not passed over.
            let is_goal = |s: &Step| {
                matches!(s, Step::SetWeight(Weight::ALL) | Step::Approve(_) | Step::Migrate(_))
            };
            let mut goals = r.schedule.steps().enumerate().skip(r.step.index + 1);
            let goal = goals.find(|(_, (_, step))| is_goal(step)).map(|(at, _)| at);
            goal.unwrap_or(r.schedule.len())
        };
        let Some(goal) = self.service.rollout.as_ref().map(goal) else { return };
        while self.service.rollout.as_ref().is_some_and(|r| r.step.index < goal) {
            self.skip_step(what.to_owned());
        }
    }

    fn skip_warm(&mut self, what: &str) {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        if let Phase::Warm { since } = rollout.phase {
            let left = rollout.schedule.watch().0.saturating_sub(now.since(since).0);
            rollout.skipped.push(format!("{} of the watch: {what}", Millis(left)));
        }
        rollout.schedule.keep_warm = Millis(0);
        if let Some(analysis) = rollout.schedule.analysis.as_mut() {
            analysis.after_promotion = Millis(0);
        }
        let step = rollout.schedule.len();
        self.tell(Fact::StepSkipped { step, what: format!("the watch after it, {what}") });
    }

    fn pause(&mut self, by: &Actor, reason: Option<&str>) -> Answer {
        self.refuse_if_convicted()?;
        let rollout = self.on_trial()?;
        if matches!(rollout.paused, Some(PauseReason::Person(_))) {
            let hint = "go on with `serin resume`";
            return Err(Refusal::new(Code::Already, "the rollout is paused already", hint));
        }
        self.hold(PauseReason::Person(by.clone()), format!("by {}{}", by.0, because(reason)));
        Ok(())
    }

    /// Goes on. The step's clock stood still meanwhile; a bake whose time was over gets it anew,
    /// or it would be held again at once.
    fn resume_by_hand(&mut self, by: &Actor, reason: Option<&str>) -> Answer {
        let now = self.now;
        let rollout = self.on_trial()?;
        if matches!(rollout.paused, Some(PauseReason::Failed(_))) {
            return self.refuse_if_convicted();
        }
        if self.overrule(by, reason)? {
            return Ok(());
        }
        let rollout = self.on_trial()?;
        let step = rollout.schedule.step(rollout.step.index).cloned();
        if rollout.paused.take().is_none() {
            let hint = match step {
                Some(Step::Pause(_)) => "`serin promote` ends a pause step",
                _ => "see `serin explain`",
            };
            return Err(Refusal::new(Code::Already, "the rollout is not paused", hint));
        }
        let held = rollout.paused_at.take().map_or(Millis(0), |at| now.since(at));
        rollout.step.entered_at = rollout.step.entered_at.plus(held);
        let is_over = match step {
            Some(Step::Bake(bake)) => now >= rollout.step.entered_at.plus(bake.deadline),
            Some(Step::Expose(step)) => now >= rollout.step.entered_at.plus(step.deadline),
            Some(Step::Analyse(step)) => now >= rollout.step.entered_at.plus(step.deadline),
            Some(Step::Experiment(step)) => now >= rollout.step.entered_at.plus(step.deadline),
            Some(Step::SetWeight(_)) => now >= convict::ready_by(rollout),
            _ => false,
        };
        if is_over {
            rollout.step.entered_at = now;
        }
        if let Some(aim) = rollout.step.aim.as_mut() {
            aim.since = now;
        }
        // Told first: what is seen anew may be told too.
        self.tell(Fact::Resumed { by: Some(by.clone()), reason: reason.map(Into::into) });
        self.look_anew();
        Ok(())
    }

    pub(super) fn abort(&mut self, by: &Actor, reason: Option<&str>) -> Answer {
        if self.service.rollout.as_ref().is_some_and(|r| matches!(r.phase, Phase::Reverting { .. }))
        {
            return Ok(());
        }
        if self.confirm_verdict(by) {
            return Ok(());
        }
        if self.service.rollout.is_none() && !self.service.boarded.is_empty() {
            self.unboard(&format!("taken off by {}{}", by.0, because(reason)), |_| false);
            return Ok(());
        }
        let rollout = self.on_trial()?;
        let text = format!("aborted by {}{}", by.0, because(reason));
        let cause = rollout.cause("person", text, None);
        self.revert(Outcome::Aborted, cause);
        Ok(())
    }

    pub(super) fn on_trial(&mut self) -> Result<&mut Rollout, Refusal> {
        let name = self.service.name.clone();
        match self.service.rollout.as_mut() {
            Some(rollout) if rollout.is_on_trial() => Ok(rollout),
            Some(rollout) => {
                let message = format!("the rollout of {} is decided", rollout.candidate.version);
                Err(Refusal::new(Code::TooLate, message, "wait for its end with `serin wait`"))
            }
            None => {
                let message = format!("{name} has no rollout under way");
                Err(Refusal::new(Code::NoRollout, message, "start one with `serin deploy`"))
            }
        }
    }
}

fn nothing_to_skip(weight: Weight, more: &str) -> Refusal {
    let message = format!("the step under way gives the candidate {weight}, which is not skipped");
    Refusal::new(Code::NothingToSkip, message, &format!("see `serin explain`{more}"))
}

fn needs_its_schema(step: &MigrateStep) -> Refusal {
    let message = format!(
        "the schema of migration {} is not ready, and no instance can do without",
        step.name()
    );
    let hint = "see how far it is with `serin status`; `serin abort` takes it back";
    Refusal::new(Code::NothingToSkip, message, hint)
}

pub(super) fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

impl crate::Analysis {
    /// The judge's settings. `sticky`: users stay with their arm and are the units.
    pub fn judge_config(&self, sticky: bool) -> Result<JudgeConfig, serin_stats::ConfigError> {
        let config = JudgeSettings {
            alpha: self.alpha,
            beta: self.beta,
            harm_ratio: self.harm_ratio,
            harm_floor: self.harm_floor,
            tolerate: self.tolerate,
            latency_tolerance: self.latency_tolerance,
            latency_harm: self.latency_harm,
            late_onset: self.late_onset.unwrap_or(!sticky),
            metrics: self.metrics.clone(),
            ..JudgeSettings::default()
        };
        JudgeConfig::new(config)
    }
}
