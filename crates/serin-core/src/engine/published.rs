//! Numbers that are seen at the instances: those they publish themselves, which a worker without
//! traffic is judged by, and those that are measured there.

use super::Turn;
use crate::{RevisionId, Rollout, Service};
use serin_stats::threshold::{
    self, Check, CheckState, CheckVerdict, Grade, Population, Sample, Signal,
};

/// Whether `check` looks at a number that is seen at the instances; its name is the number's.
pub(super) fn is_published(check: &Check) -> bool {
    check.signal.is_observed()
}

/// Whether it says how well a version does its work. That it is not too large says nothing.
fn is_evidence(check: &Check) -> bool {
    is_published(check) && !matches!(check.signal, Signal::Cpu | Signal::Memory)
}

/// Whether a number that may decide was good when it was last seen, in the present step.
pub(super) fn is_good_here(rollout: &Rollout) -> bool {
    let entered = rollout.step.entered_at.0.unsigned_abs();
    let checks = rollout.schedule.analysis.iter().flat_map(|a| &a.checks);
    let mut own = checks.zip(&rollout.checks).filter(|(c, _)| is_evidence(c) && !c.report_only);
    own.any(|(_, run)| {
        let last = run.state.as_ref().and_then(CheckState::last);
        last.is_some_and(|m| m.at_ms >= entered && m.grade == Grade::Success)
    })
}

impl Turn {
    /// Holds what was seen of published numbers against the checks that are due.
    pub(super) fn read_published(&mut self) {
        let Some(rollout) = self.service.rollout.as_ref().filter(|r| r.is_on_trial()) else {
            return;
        };
        let Some(analysis) = rollout.schedule.analysis.as_ref() else { return };
        let wanted = |check: &Check| is_published(check) && rollout.has_begun(check);
        let samples: Vec<_> = analysis
            .checks
            .iter()
            .map(|check| wanted(check).then(|| sample(&self.service, rollout, check)).flatten())
            .collect();
        let now = self.now.0.unsigned_abs();
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let checks = rollout.schedule.analysis.iter().flat_map(|a| &a.checks);
        for ((check, run), sample) in checks.zip(&mut rollout.checks).zip(samples) {
            let Some(sample) = sample else { continue };
            let state = run.state.get_or_insert_with(|| CheckState::new(now));
            let verdict = threshold::measure(check, state, now, &sample);
            run.passed |= verdict == CheckVerdict::Pass;
            run.verdict = Some(verdict);
        }
    }
}

/// The number of both revisions; nothing before an instance of the candidate is ready.
fn sample(service: &Service, rollout: &Rollout, check: &Check) -> Option<Sample> {
    if service.ready(&rollout.candidate) == 0 {
        return None;
    }
    let stable = rollout.baseline.as_ref().and_then(|id| number(service, id, check));
    Some(match (number(service, &rollout.candidate, check), stable) {
        (Some(canary), Some(stable)) => Sample::Arms { canary, stable, samples: None },
        (Some(canary), None) if check.population == Population::Canary => Sample::value(canary),
        _ => Sample::Nothing,
    })
}

/// What was measured; of what is published the mean over a revision's instances, so that few can be
/// compared with many.
fn number(service: &Service, id: &RevisionId, check: &Check) -> Option<f64> {
    let seen = service.observed.revisions.get(id).filter(|seen| seen.ready > 0)?;
    if check.signal.is_measured() {
        return seen.measured.get(&check.name).copied();
    }
    seen.published.get(&check.name).map(|sum| sum / f64::from(seen.ready))
}
