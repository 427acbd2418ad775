//! The step that chooses its shares itself: as much traffic as the harm that is still possible
//! allows, until the evidence is there.

use super::Turn;
use super::advance::Reach;
use crate::{Aim, Expose, Millis, PauseReason, Rollout, Weight};
use serin_stats::expose::{Situation, next_share};

/// Least time between two shares, so that each is judged before the next.
const HOLD: Millis = Millis::secs(5);

/// Seconds from a bad answer to the end of traffic on the candidate: its cohort closes, it is
/// counted, judged, and the data plane takes the next plan.
const REACTION_SECONDS: f64 = 3.0;

/// First share, in parts of the whole: 1 %.
const FIRST: u32 = 1000;

impl Turn {
    pub(super) fn expose(&mut self, step: &Expose) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        if rollout.weight == Weight::NONE && rollout.step.aim.is_none() {
            let first = first_share(rollout.counted.rate, step.up_to);
            return self.aim_at(first);
        }
        if let Some(aim) = rollout.step.aim {
            match self.reach(aim.weight) {
                Reach::Moved => return true,
                Reach::There => return self.arrive(),
                Reach::Waiting => {}
            }
        } else if self.is_exposed() {
            self.leave_evidence_step();
            return true;
        } else if let Some(next) = self.next_aim(step) {
            return self.aim_at(next);
        }
        self.is_past(step.deadline) && self.inconclusive()
    }

    fn is_exposed(&self) -> bool {
        let held =
            |r: &Rollout| r.paused.as_ref().is_some_and(|why| *why != PauseReason::Inconclusive);
        let now = self.now;
        let rollout = self.service.rollout.as_ref().filter(|r| !held(r));
        rollout.is_some_and(|r| super::advance::is_proven(r, now))
    }

    fn aim_at(&mut self, weight: Weight) -> bool {
        let since = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return false };
        rollout.step.aim = Some(Aim { weight, since });
        true
    }

    fn arrive(&mut self) -> bool {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return false };
        rollout.step.aim = None;
        rollout.step.moved_at = Some(now);
        rollout.step.judged_at_move = rollout.counted.judged;
        true
    }

    /// The next share, when there is one and the present one had its time and its requests:
    /// what nobody asked for says nothing, and must not add up to more traffic.
    fn next_aim(&self, step: &Expose) -> Option<Weight> {
        let rollout = self.service.rollout.as_ref().filter(|r| r.paused.is_none())?;
        let moved_at = rollout.step.moved_at.unwrap_or(rollout.step.entered_at);
        let untried = rollout.counted.judged <= rollout.step.judged_at_move;
        if untried || self.now < moved_at.plus(HOLD) {
            return None;
        }
        let now = Situation {
            share: part(rollout.weight),
            rps: rollout.counted.rate,
            reaction_seconds: REACTION_SECONDS,
        };
        let wanted = next_share(rollout.judge.as_ref()?, &now, step.budget, part(step.up_to));
        let next = weight_of(wanted).min(step.up_to);
        let is_worth_it = u64::from(next.parts()) * 4 >= u64::from(rollout.weight.parts()) * 5;
        is_worth_it.then_some(next)
    }
}

/// When the engine wants to look at the share again.
pub(super) fn next_look(rollout: &Rollout) -> crate::Timestamp {
    rollout.step.moved_at.unwrap_or(rollout.step.entered_at).plus(HOLD)
}

fn part(weight: Weight) -> f64 {
    f64::from(weight.parts()) / f64::from(Weight::ALL.parts())
}

fn weight_of(part: f64) -> Weight {
    let parts = (part * f64::from(Weight::ALL.parts())).clamp(0.0, f64::from(Weight::ALL.parts()));
    Weight::try_from(parts as u64).unwrap_or(Weight::NONE)
}

/// 1 %, or what gives one judged request a second where the traffic is known.
fn first_share(rate: f64, up_to: Weight) -> Weight {
    let least = Weight::try_from(u64::from(FIRST)).unwrap_or(Weight::NONE);
    let second = if rate > 0.0 { weight_of((1.0 / rate).min(1.0)) } else { Weight::NONE };
    least.max(second).min(up_to)
}
