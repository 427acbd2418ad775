//! Steps that wait for named checks, and from where on evidence is looked at.

use super::Turn;
use crate::{Analyse, CheckRun, PauseReason, Phase, Rollout, Step, Timestamp};
use serin_stats::threshold::{Check, CheckVerdict};

impl Rollout {
    /// Whether evidence and checks are looked at yet.
    pub(crate) fn is_watched(&self) -> bool {
        !matches!(self.phase, Phase::Stepping) || self.step.index >= self.schedule.analysis_from
    }

    /// Whether `check` has begun: those that a step waits for begin with it.
    pub(crate) fn has_begun(&self, check: &Check) -> bool {
        let names =
            |step: &Step| matches!(step, Step::Analyse(a) if a.checks.contains(&check.name));
        let first = self.schedule.steps().position(|(_, step)| names(step));
        self.is_watched()
            && check.applies_at(self.step.index as u32)
            && first.is_none_or(|first| self.step.index >= first)
    }

    /// Checks named by the step that was just entered begin anew; so do all in a new stage, where
    /// the analysis says so.
    pub(super) fn begin_checks(&mut self, new_stage: bool) {
        let Some(analysis) = self.schedule.analysis.as_ref() else { return };
        let step = self.schedule.step(self.step.index);
        let named = |check: &Check| matches!(step, Some(Step::Analyse(a)) if a.checks.contains(&check.name));
        let anew = new_stage && analysis.checks_by_stage;
        for (check, run) in analysis.checks.iter().zip(&mut self.checks) {
            if anew || named(check) {
                *run = CheckRun::default();
            }
        }
    }
}

/// Why `step` cannot be left: the first of its checks that is not good.
pub(crate) fn missing(rollout: &Rollout, step: &Analyse, now: Timestamp) -> Option<String> {
    let analysis = rollout.schedule.analysis.as_ref();
    let all = analysis.into_iter().flat_map(|a| &a.checks).zip(&rollout.checks);
    let mut named = all.filter(|(check, _)| step.checks.contains(&check.name));
    let says = |check: &Check, run: &CheckRun| match run.state.as_ref() {
        None => format!("{}: not measured yet", check.name),
        Some(state) => match state.verdict(check, now.0.unsigned_abs()).why() {
            Some(why) => why.to_owned(),
            None => format!("{}: not good yet", check.name),
        },
    };
    let good = |check: &Check, run: &CheckRun| {
        let now = now.0.unsigned_abs();
        let verdict = run.state.as_ref().map(|state| state.verdict(check, now));
        run.passed
            && !matches!(verdict, Some(CheckVerdict::Fail { .. } | CheckVerdict::Error { .. }))
    };
    named.find(|(check, run)| !good(check, run)).map(|(check, run)| says(check, run))
}

impl Turn {
    pub(super) fn analyse_step(&mut self, step: &Analyse) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let held = rollout.paused.as_ref().is_some_and(|why| *why != PauseReason::Inconclusive);
        if !held && missing(rollout, step, self.now).is_none() {
            self.leave_evidence_step();
            return true;
        }
        self.is_past(step.deadline) && self.inconclusive()
    }
}
