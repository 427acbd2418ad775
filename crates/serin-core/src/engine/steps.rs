//! New steps for a rollout under way.

use super::Turn;
use crate::lifecycle::first_step_after;
use crate::{Actor, Fact, PauseReason, Phase, Scale, Schedule, Step, StepState, Weight};

/// How many instances the candidate has at step `index`, by the steps before it.
fn scale_at(schedule: &Schedule, index: usize) -> Scale {
    let before = schedule.steps().take(index);
    let scales = before.filter_map(|(_, step)| match step {
        Step::SetScale(scale) => Some(*scale),
        _ => None,
    });
    scales.last().unwrap_or_default()
}

/// The share that the steps before `index` lead to.
fn share_at(schedule: &Schedule, index: usize) -> Weight {
    let before = schedule.steps().take(index);
    let shares = before.filter_map(|(_, step)| match step {
        Step::SetWeight(weight) => Some(*weight),
        _ => None,
    });
    shares.last().unwrap_or(Weight::NONE)
}

impl Turn {
    /// The rollout takes over the steps and times of the present spec. Traffic stays as it is, and
    /// so does the evidence; what is judged, and how, stays as it began.
    pub(super) fn take_new_steps(&mut self, by: &Actor) {
        let Some(schedule) = self.new_schedule() else { return };
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let (old, at) = (rollout.schedule.step(rollout.step.index).cloned(), rollout.step.index);
        let same_steps = rollout.schedule.stages == schedule.stages;
        rollout.schedule = schedule.into();
        if same_steps || !matches!(rollout.phase, Phase::Stepping) {
            rollout.step.index = at.min(rollout.schedule.len());
            return;
        }
        let index = first_step_after(&rollout.schedule, rollout.weight);
        if index != at || rollout.schedule.step(index) != old.as_ref() {
            rollout.step = StepState::begun(index, now, rollout.counted.judged);
        }
        // Instances for a step that is no more are no measure for what is compared from here on.
        rollout.scale = scale_at(&rollout.schedule, index);
        // Where places are few the share that they carry is larger than the one that was asked for:
        // that step is passed, and its share asked for, also when there are more places now.
        rollout.size_for = match rollout.places {
            Some(_) => rollout.size_for.max(share_at(&rollout.schedule, index)),
            None => rollout.weight,
        };
        if rollout.paused == Some(PauseReason::Inconclusive) {
            rollout.paused = None;
        }
        let (step, steps, weight) = (index + 1, rollout.schedule.len(), rollout.weight);
        rollout.notes.push(format!(
            "steps replaced by {} at step {} with {weight}; went on at step {step} of {steps}",
            by.0,
            at + 1
        ));
        self.tell(Fact::Replanned { by: by.clone(), step, steps, weight });
        self.assess();
    }

    /// The schedule of the rollout with the steps and times of the present spec, if that is
    /// another one.
    fn new_schedule(&self) -> Option<Schedule> {
        let rollout = self.service.rollout.as_ref()?;
        let tried = rollout.kind.is_tried() && rollout.is_on_trial();
        let (old, new) = (&rollout.schedule, &self.service.spec.schedule);
        let schedule = Schedule {
            strategy: new.strategy.clone(),
            stages: new.stages.clone(),
            keep_warm: new.keep_warm,
            keep_old: new.keep_old,
            keep_failed: new.keep_failed,
            progress_deadline: new.progress_deadline,
            analysis_from: new.analysis_from,
            ..Schedule::clone(old)
        };
        (tried && schedule != **old).then_some(schedule)
    }
}
