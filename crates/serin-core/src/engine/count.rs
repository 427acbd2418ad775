//! Turns cumulative counts into ticks for the judge, so that each request counts exactly once.

use super::Turn;
use crate::{
    ArmCounts, CountKey, Counted, Counts, Fact, Millis, REPORTED_GENERATIONS, RevisionId, Rollout,
    Weight,
};
use serin_stats::{ArmTick, Outcome, Rung, Tick};
use std::collections::BTreeMap;

/// How long instances must have been ready after a restart before they are judged again.
const SETTLE: Millis = Millis::secs(5);

impl Turn {
    pub(super) fn count(&mut self, reports: &[Counts]) {
        let shaken = self.is_shaken();
        let on_trial = self.service.rollout.as_mut().filter(|r| r.is_on_trial());
        let Some(rollout) = on_trial else { return };
        let Some(key) = reports.iter().map(|c| c.key).max() else { return };
        if !rollout.counted.begin(key) {
            return;
        }
        let baseline = rollout.baseline.clone();
        let since = rollout.after;
        for counts in reports.iter().filter(|c| c.key == key && c.generation > since) {
            rollout.take(counts, baseline.as_ref(), !shaken);
        }
        // What the data plane no longer reports cannot be counted again; what it does, could.
        while rollout.counted.at.len() > REPORTED_GENERATIONS {
            rollout.counted.at.pop_first();
        }
        self.assess();
    }

    /// Whether the machine seems to have gone down and come up again: after a controller took
    /// over, until instances of both revisions have been ready for a while. What was counted
    /// meanwhile says nothing about the candidate.
    fn is_shaken(&self) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let just_ready = |id: &RevisionId| {
            self.service.ready(id) == 0 || self.service.ready_for(id, self.now) < SETTLE
        };
        let weighs = rollout.weight > Weight::NONE;
        let mut both = rollout.baseline.iter().chain([&rollout.candidate]);
        rollout.is_settling(self.now) && weighs && both.any(just_ready)
    }

    /// Looks at the evidence; tells when the verdict changed.
    pub(super) fn assess(&mut self) {
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let Some(judge) = rollout.judge.as_ref() else { return };
        let assessment = judge.assess(rollout.rung());
        let changed = rollout.assessment.as_ref().map(|a| a.outcome) != Some(assessment.outcome);
        rollout.assessment = Some(assessment.clone());
        // What is not decided is said by what the rollout waits for, harm by its end.
        if changed && matches!(assessment.outcome, Outcome::Pass | Outcome::Invalid) {
            self.tell(Fact::Verdict { assessment: Box::new(assessment) });
        }
    }
}

impl Counted {
    /// Whether report `key` is new. Runs of the data plane are told apart, not compared: its
    /// clock may have been set back between two of them.
    fn begin(&mut self, key: CountKey) -> bool {
        let same_run = key.epoch == self.key.epoch;
        if self.past_epochs.contains(&key.epoch) || (same_run && key.seq <= self.key.seq) {
            return false;
        }
        if !same_run {
            self.past_epochs.insert(self.key.epoch);
            self.at.clear();
        }
        self.key = key;
        true
    }
}

impl Rollout {
    /// Those of `reports` that hold something not used yet.
    pub fn news(&self, reports: Vec<Counts>) -> Vec<Counts> {
        let known = |c: &Counts| {
            c.key.epoch == self.counted.key.epoch
                && self.counted.at.get(&c.generation) == Some(&c.arms)
        };
        let counts = |c: &Counts| c.arms.values().any(|arm| arm.n > 0);
        reports
            .into_iter()
            .filter(|c| c.generation > self.after && counts(c) && !known(c))
            .collect()
    }

    /// The rung the present step asks for: rung j of m, m for promotion.
    pub(crate) fn rung(&self) -> Rung {
        let m = self.schedule.rungs().max(1);
        let j = self.schedule.rungs_through(self.step.index + 1).clamp(1, m);
        Rung { j, m }
    }

    fn take(&mut self, counts: &Counts, baseline: Option<&RevisionId>, is_evidence: bool) {
        let before = self.counted.at.insert(counts.generation, counts.arms.clone());
        let fresh = |id: &RevisionId| tick_of(counts.arms.get(id), old(before.as_ref(), id));
        let canary = fresh(&self.candidate);
        if !is_evidence {
            return;
        }
        self.counted.judged += canary.n;
        let seconds = counts.closed_through.saturating_sub(self.counted.closed_through);
        self.counted.closed_through = self.counted.closed_through.max(counts.closed_through);
        let alone = self.alone_from.is_some_and(|from| counts.generation >= from);
        let (Some(judge), Some(baseline)) = (self.judge.as_mut(), baseline) else { return };
        let stable = fresh(baseline);
        let seconds = seconds.clamp(1, 3600) as u32;
        if alone {
            judge.observe_alone(seconds, &canary);
        } else if canary.n + stable.n > 0 {
            judge.observe(&Tick { seconds, baseline: stable, canary, ..Tick::default() });
        }
    }
}

fn old<'a>(
    before: Option<&'a BTreeMap<RevisionId, ArmCounts>>,
    id: &RevisionId,
) -> Option<&'a ArmCounts> {
    before.and_then(|arms| arms.get(id))
}

/// What is new since `before`; a counter that went backwards counts as nothing new.
fn tick_of(counts: Option<&ArmCounts>, before: Option<&ArmCounts>) -> ArmTick {
    let (Some(now), none) = (counts, ArmCounts::default()) else { return ArmTick::default() };
    let before = before.unwrap_or(&none);
    let n = now.n.saturating_sub(before.n);
    let errors = now.errors.saturating_sub(before.errors).min(n);
    ArmTick {
        n,
        errors,
        unfinished: now.unfinished.saturating_sub(before.unfinished).min(errors),
        latency: now.latency.since(&before.latency).unwrap_or_default(),
        aborted: now.aborted.saturating_sub(before.aborted),
    }
}
