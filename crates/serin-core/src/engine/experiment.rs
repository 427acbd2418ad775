//! Variants beside stable and the candidate: each guarded by a judge of its own, the best of all
//! found by a race.

mod end;

pub(crate) use end::standing;

use super::Turn;
use super::convict;
use crate::{
    Contest, EnvValue, Experiment, Fact, Goal, Phase, Plan, Revision, RevisionId, RevisionPlan,
    Role, Rollout, RunSpec, Service, Shared, Step, Timestamp, Trial, Variant, VariantOf,
    VariantRun, Weight,
};
use serin_stats::winner::Race;
use std::collections::BTreeMap;

/// The variants' part of the world: none unless an experiment is under way.
pub(super) fn wanted(rollout: &Rollout) -> Vec<(RevisionId, RevisionPlan)> {
    let stepping = matches!(rollout.phase, Phase::Stepping);
    let trial = rollout.beside.experiment.as_ref().filter(|_| stepping);
    let entry = |v: &VariantRun| {
        let plan = RevisionPlan {
            role: Role::Variant,
            replicas: v.replicas,
            weight: v.weight,
            run: v.run.clone(),
            fresh: None,
            colour: v.colour,
        };
        (v.id.clone(), plan)
    };
    trial.into_iter().flat_map(Trial::running).map(entry).collect()
}

/// What counts as success now: only an experiment asks.
pub(super) fn goal(rollout: &Rollout) -> Option<Goal> {
    let trial = rollout.beside.experiment.as_ref();
    let trial = trial.filter(|_| matches!(rollout.phase, Phase::Stepping))?;
    match rollout.schedule.step(trial.step)? {
        Step::Experiment(step) => step.winner.as_ref().map(|rule| rule.goal.clone()),
        _ => None,
    }
}

/// Whether every instance of a variant is ready and warm.
fn is_ready(service: &Service, rollout: &Rollout, v: &VariantRun, now: Timestamp) -> bool {
    service.ready(&v.id) >= v.replicas && service.ready_for(&v.id, now) >= rollout.schedule.warm_up
}

/// When the step has to be looked at although nothing happened.
pub(super) fn wakes(service: &Service, rollout: &Rollout, step: &Experiment) -> Vec<Timestamp> {
    let trial = rollout.beside.experiment.as_ref();
    let least = trial.and_then(|t| t.since).map(|at| at.plus(step.at_least));
    let warm = trial.into_iter().flat_map(Trial::running).filter_map(|v| {
        let seen = service.observed.revisions.get(&v.id)?;
        Some(seen.youngest_ready_at?.plus(rollout.schedule.warm_up))
    });
    let fixed = [rollout.step.entered_at.plus(step.deadline), convict::ready_by(rollout)];
    warm.chain(least).chain(fixed).collect()
}

impl Turn {
    pub(super) fn experiment_step(&mut self, step: &Experiment) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let at = rollout.step.index;
        match rollout.beside.experiment.as_ref() {
            Some(trial) if trial.step == at => {}
            _ => return self.set_up(step),
        }
        self.drop_a_bad_one() || self.give_shares() || self.begin_contest(step) || self.settle(step)
    }

    fn set_up(&mut self, step: &Experiment) -> bool {
        let variants: Vec<_> = step.variants.iter().filter_map(|v| self.variant(v)).collect();
        let names = variants.iter().map(|v| v.id.version.to_string()).collect();
        let Some(rollout) = self.service.rollout.as_mut() else { return false };
        let at = rollout.step.index;
        rollout.beside.left.extend(variants.iter().map(|v| v.id.clone()));
        rollout.beside.experiment = Some(Trial { step: at, variants, since: None, contest: None });
        self.tell(Fact::ExperimentBegun { variants: names });
        true
    }

    /// A variant as it begins: with its instances, without traffic.
    fn variant(&self, asked: &Variant) -> Option<VariantRun> {
        let rollout = self.service.rollout.as_ref()?;
        let base = match asked.of {
            VariantOf::Candidate => &rollout.candidate,
            VariantOf::Stable => rollout.baseline.as_ref()?,
        };
        let known = self.service.revisions.get(base)?;
        let id = variant_id(base, &asked.name)?;
        let by_share = self.service.candidate_size(asked.weight, rollout.is_analysed());
        Some(VariantRun {
            of: asked.of,
            run: with_env(known, &asked.env),
            colour: known.colour,
            replicas: asked.instances.unwrap_or(by_share).max(1),
            goal: asked.weight,
            weight: Weight::NONE,
            judge: self.judge(&rollout.schedule, &id, rollout.kind),
            assessment: None,
            counted: (0, 0),
            restarts_before: self.restarts(&id),
            dropped: None,
            id,
        })
    }

    /// Takes out one variant that is harmful or sick, if there is one.
    fn drop_a_bad_one(&mut self) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let trial = rollout.beside.experiment.as_ref();
        let found = trial.into_iter().flat_map(Trial::running).find_map(|v| {
            let cause = convict::variant(&self.service, rollout, v, self.now)?;
            Some((v.id.clone(), cause))
        });
        let Some((revision, cause)) = found else { return false };
        let Some(trial) = self.trial_mut() else { return false };
        let dropped = Some(Box::new(cause.clone()));
        if let Some(v) = trial.variants.iter_mut().find(|v| v.id == revision) {
            (v.dropped, v.weight) = (dropped, Weight::NONE);
        }
        trial.leave(&revision);
        self.tell(Fact::VariantDropped { revision, cause: Box::new(cause) });
        true
    }

    /// All variants get their shares at the same time, when all of them can take them.
    fn give_shares(&mut self) -> bool {
        let Some(rollout) = self.service.rollout.as_ref().filter(|r| r.paused.is_none()) else {
            return false;
        };
        let Some(trial) = rollout.beside.experiment.as_ref() else { return false };
        let waits = trial.running().any(|v| v.weight != v.goal);
        let ready = trial.running().all(|v| is_ready(&self.service, rollout, v, self.now));
        if !waits || !ready {
            return false;
        }
        let Some(trial) = self.trial_mut() else { return false };
        let mut given = Vec::new();
        for v in trial.variants.iter_mut().filter(|v| v.dropped.is_none()) {
            v.weight = v.goal;
            given.push((v.id.clone(), v.weight));
        }
        for (revision, weight) in given {
            self.tell(Fact::Weight { revision, weight });
        }
        true
    }

    /// The race begins when the data plane deals to all arms.
    fn begin_contest(&mut self, step: &Experiment) -> bool {
        let (now, applied) = (self.now, self.service.is_applied());
        let Some(plan) = self.service.plan.clone() else { return false };
        let Some(trial) = self.trial_mut() else { return false };
        let dealt = trial.running().all(|v| plan.weight(&v.id) == v.goal);
        if trial.since.is_some() || !dealt || !applied {
            return false;
        }
        trial.since = Some(now);
        trial.contest = step.winner.as_ref().and_then(|_| contest(&plan));
        true
    }

    fn trial_mut(&mut self) -> Option<&mut Trial> {
        self.service.rollout.as_mut()?.beside.experiment.as_mut()
    }
}

/// A race among everything that gets traffic by `plan`.
fn contest(plan: &Plan) -> Option<Contest> {
    let takes_part = plan.revisions.iter().filter(|(_, r)| r.weight > Weight::NONE);
    let mut arms: Vec<_> = takes_part.map(|(id, r)| (r.role, id.clone())).collect();
    arms.sort();
    let arms: Vec<_> = arms.into_iter().map(|(_, id)| id).collect();
    let race = Race::new(arms.len()).ok()?;
    Some(Contest { begun_with: arms.len(), arms, race, from: plan.generation, verdict: None })
}

fn variant_id(base: &RevisionId, name: &str) -> Option<RevisionId> {
    let version = format!("{}-{name}", base.version.name()).parse().ok()?;
    Some(RevisionId { version, digest: base.digest.clone() })
}

fn with_env(base: &Revision, env: &BTreeMap<String, EnvValue>) -> Shared<RunSpec> {
    let mut run = base.run.clone();
    run.env.extend(env.iter().map(|(name, value)| (name.clone(), value.clone())));
    run
}

impl Trial {
    /// Takes an arm out of the race.
    pub(super) fn leave(&mut self, id: &RevisionId) {
        let Some(contest) = self.contest.as_mut() else { return };
        if let Some(at) = contest.arms.iter().position(|arm| arm == id) {
            contest.arms.remove(at);
            contest.race.remove(at);
            contest.verdict = None;
        }
        if contest.arms.len() < 2 {
            self.contest = None;
        }
    }
}
