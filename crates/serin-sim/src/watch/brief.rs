//! What has to be remembered of the state before an event.

use serin_core::{
    Doubt, FreshBaseline, Generation, Millis, PauseReason, Phase, RevisionId, Rollout, RolloutKind,
    Service, Timestamp, Weight,
};

/// A service before an event.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Brief {
    pub(super) generation: Generation,
    pub(super) stable: Option<RevisionId>,
    /// Of the last plan: shares and instances.
    pub(super) planned: Vec<(RevisionId, Weight, u32)>,
    /// The fresh baseline of the last plan.
    pub(super) fresh: Option<(RevisionId, FreshBaseline)>,
    pub(super) trial: Option<Trial>,
    /// When the next train leaves that somebody waits for.
    pub(super) departs: Option<Timestamp>,
    /// The two shapes of its database do not say the same.
    pub(super) apart: bool,
}

/// Its rollout.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trial {
    pub(super) id: u64,
    pub(super) kind: RolloutKind,
    pub(super) candidate: RevisionId,
    pub(super) step: usize,
    pub(super) entered_at: Timestamp,
    pub(super) judged_before: u64,
    pub(super) stage: Stage,
    pub(super) weight: Weight,
    pub(super) paused: Option<Held>,
    pub(super) watch: Millis,
    pub(super) decides: bool,
}

/// Its phase, without the reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Stepping,
    Warm(Timestamp),
    Retiring,
    Reverting,
}

/// What holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    ByPerson,
    /// It goes on by itself when evidence comes.
    Inconclusive,
    Otherwise,
}

/// Whether the two shapes of its database do not say the same, for all that is known.
pub(super) fn is_apart(service: &Service) -> bool {
    let open = service.schemas.open.as_ref();
    open.is_some_and(|open| matches!(open.doubt, Some(Doubt::Apart { .. })))
}

impl Brief {
    pub(super) fn update(&mut self, service: &Service) {
        self.apart = is_apart(service);
        if self.generation != service.generation {
            self.generation = service.generation;
            let revisions = service.plan.iter().flat_map(|plan| &plan.revisions);
            let mut fresh = revisions.clone().map(|(id, r)| (id, r.fresh.as_ref()));
            self.fresh = fresh.find_map(|(id, fresh)| Some((id.clone(), fresh?.clone())));
            self.planned = revisions.map(|(id, r)| (id.clone(), r.weight, r.replicas)).collect();
        }
        if self.stable != service.stable {
            self.stable.clone_from(&service.stable);
        }
        self.departs = service.boarded.first().map(|waits| waits.departs);
        match (&mut self.trial, &service.rollout) {
            (Some(trial), Some(rollout)) if trial.id == rollout.id => trial.update(rollout),
            (trial, rollout) => *trial = rollout.as_ref().map(Trial::of),
        }
    }

    /// The share a revision had.
    pub(super) fn weight(&self, revision: &RevisionId) -> Weight {
        let found = self.planned.iter().find(|(id, _, _)| id == revision);
        found.map_or(Weight::NONE, |(_, weight, _)| *weight)
    }
}

impl Trial {
    fn of(rollout: &Rollout) -> Self {
        let mut trial = Self {
            id: rollout.id,
            kind: rollout.kind,
            candidate: rollout.candidate.clone(),
            step: 0,
            entered_at: rollout.step.entered_at,
            judged_before: 0,
            stage: Stage::Stepping,
            weight: Weight::NONE,
            paused: None,
            watch: Millis(0),
            decides: !rollout.schedule.analysis.as_ref().is_some_and(|a| a.report_only),
        };
        trial.update(rollout);
        trial
    }

    fn update(&mut self, rollout: &Rollout) {
        self.step = rollout.step.index;
        self.entered_at = rollout.step.entered_at;
        self.judged_before = rollout.step.judged_before;
        self.stage = Stage::of(&rollout.phase);
        self.weight = rollout.weight;
        self.paused = rollout.paused.as_ref().map(|why| match why {
            PauseReason::Person(_) => Held::ByPerson,
            PauseReason::Inconclusive => Held::Inconclusive,
            _ => Held::Otherwise,
        });
        self.watch = rollout.schedule.watch();
    }
}

impl Stage {
    pub(super) fn of(phase: &Phase) -> Self {
        match phase {
            Phase::Stepping => Self::Stepping,
            Phase::Warm { since } => Self::Warm(*since),
            Phase::Retiring => Self::Retiring,
            Phase::Reverting { .. } => Self::Reverting,
        }
    }
}
