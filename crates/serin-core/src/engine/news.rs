//! What a report of cumulative counts says that no report before it said.

use crate::{
    ArmCounts, Counted, CountedAt, Counts, Generation, REPORTED_GENERATIONS, RevisionId, Rollout,
    Step, WayBack, Weight,
};
use serin_stats::winner::ArmCount;
use serin_stats::{ArmTick, Dealt, Tick};
use std::collections::BTreeMap;

/// Requests of stable that say well enough what it is like.
const ENOUGH: u64 = 2000;

/// What is new of one generation.
#[derive(Debug, Default)]
pub(super) struct News {
    /// For the judge: what is compared with what; its seconds are not set.
    pub(super) tick: Tick,
    /// All of stable's units, the fresh baseline's among them.
    pub(super) stable: ArmTick,
    /// The candidate has all traffic in this generation.
    pub(super) alone: bool,
    /// Which generation.
    pub(super) generation: Generation,
    /// Revisions beside the two.
    pub(super) others: BTreeMap<RevisionId, Delta>,
    /// Units of every revision, and those that reached the goal.
    pub(super) goals: BTreeMap<RevisionId, ArmCount>,
}

impl News {
    pub(super) fn units(&self) -> u64 {
        self.stable.n.saturating_add(self.tick.canary.n)
    }

    /// Leaves what is known of stable: the candidate is not judged yet.
    pub(super) fn without_candidate(&mut self) {
        self.tick.canary = ArmTick::default();
        self.tick.canary_split.clear();
        self.tick.dealt = None;
        self.alone = false;
    }

    /// Whether there is anything a judge or a guard could use.
    pub(super) fn says_something(&self) -> bool {
        let some = |arm: &ArmTick| arm.n > 0 || arm.aborted > 0;
        some(&self.tick.baseline)
            || some(&self.tick.canary)
            || self.tick.dealt.is_some()
            || self.tick.split.iter().any(|part| part.0 > 0)
    }
}

/// What is new of one arm; a counter that went backwards counts as nothing new.
#[derive(Debug, Default)]
pub(super) struct Delta {
    pub(super) tick: ArmTick,
    goals: u64,
    assigned: u64,
    users: u64,
    split: Vec<(u64, u64)>,
    instances: BTreeMap<String, (u64, u64)>,
}

impl Delta {
    /// Counts in other units than the rollout is judged in are left out. `sticky`: in users.
    fn of(now: Option<&ArmCounts>, before: Option<&ArmCounts>, sticky: bool) -> Self {
        let (Some(now), none) = (now.filter(|c| c.sessions == sticky), ArmCounts::default()) else {
            return Self::default();
        };
        let before = before.filter(|c| c.sessions == sticky).unwrap_or(&none);
        let n = now.n.saturating_sub(before.n);
        let errors = now.errors.saturating_sub(before.errors).min(n);
        let old_part = |at: usize| before.split.get(at).copied().unwrap_or_default();
        let old_instance = |name: &String| before.instances.get(name).copied().unwrap_or_default();
        let split = now.split.iter().enumerate().map(|(at, part)| more(*part, old_part(at)));
        let instances = now.instances.iter();
        Self {
            tick: ArmTick {
                n,
                errors,
                unfinished: now.unfinished.saturating_sub(before.unfinished).min(errors),
                latency: now.latency.since(&before.latency).unwrap_or_default(),
                aborted: now.aborted.saturating_sub(before.aborted),
            },
            goals: now.goals.saturating_sub(before.goals).min(n),
            assigned: now.assigned.saturating_sub(before.assigned),
            users: now.users.saturating_sub(before.users),
            split: split.collect(),
            instances: instances
                .map(|(name, counts)| (name.clone(), more(*counts, old_instance(name))))
                .filter(|(_, new)| new.0 > 0)
                .collect(),
        }
    }
}

fn more(now: (u64, u64), before: (u64, u64)) -> (u64, u64) {
    let n = now.0.saturating_sub(before.0);
    (n, now.1.saturating_sub(before.1).min(n))
}

impl Rollout {
    /// Those of `reports` that hold something not used yet.
    pub fn news(&self, reports: Vec<Counts>) -> Vec<Counts> {
        let known = |c: &Counts| {
            let at = self.counted.at.get(&c.generation);
            c.key.epoch == self.counted.key.epoch
                && at.is_some_and(|at| at.arms == c.arms && at.fresh == c.fresh)
        };
        // Whether somebody still reaches what was left is said by every report.
        let listening = self.is_going_back() && self.back.as_ref().is_some_and(WayBack::is_open);
        let some = |arm: &ArmCounts| arm.n > 0 || arm.aborted > 0 || arm.users > 0;
        let counts = |c: &Counts| c.arms.values().chain(&c.fresh).any(some);
        let wanted =
            |c: &Counts| c.generation > self.after || self.calibrates(c) || self.wants_before(c);
        let new = |c: &Counts| listening || (counts(c) && !known(c));
        let news: Vec<_> = reports.into_iter().filter(|c| wanted(c) && new(c)).collect();
        // The time before alone is no reason to look: it may come late, from a run of the data
        // plane that has ended.
        if news.iter().any(|c| c.generation > self.after) { news } else { vec![] }
    }

    /// Whether `counts` are those of the plan before the rollout, and are still to be looked at.
    fn calibrates(&self, counts: &Counts) -> bool {
        let wanted = self.affinity.is_some() && !self.counted.calibrated;
        wanted && counts.generation == self.after
    }

    /// Whether `counts` are those of the plan before, and the candidate gets everything at once, so
    /// that there may be little to compare it with.
    fn wants_before(&self, counts: &Counts) -> bool {
        let shares = self.schedule.steps().find_map(|(_, step)| match step {
            Step::SetWeight(weight) => Some(*weight),
            Step::Expose(expose) => Some(expose.up_to),
            _ => None,
        });
        let open = self.judge.is_some() && self.counted.before.is_none();
        open && shares == Some(Weight::ALL) && counts.generation == self.after
    }

    /// Remembers what stable was like before.
    pub(super) fn note_before(&mut self, counts: &Counts) {
        let arm = self.baseline.as_ref().and_then(|id| counts.arms.get(id));
        let arm = arm.filter(|arm| arm.sessions == self.affinity.is_some() && arm.n > 0);
        if let Some(arm) = arm.filter(|_| self.wants_before(counts)) {
            self.counted.before = Some(Box::new(arm.clone()));
        }
    }

    /// The time before the rollout as a tick, when the candidate has everything now and too little
    /// was counted of stable since the rollout began; once.
    pub(super) fn before_alone(&mut self) -> Option<Tick> {
        let known = self.counted.at.values().filter_map(|at| at.arms.get(self.baseline.as_ref()?));
        let known: u64 = known.map(|arm| arm.n).sum();
        // What is left in its place says that it was used.
        let before = self.counted.before.as_mut().map(std::mem::take)?;
        let delta = Delta::of(Some(&before), None, self.affinity.is_some());
        (known < ENOUGH && before.n > 0).then(|| Tick {
            seconds: 1,
            baseline: delta.tick,
            ..Tick::default()
        })
    }

    /// How stable's users differed before the rollout; once.
    pub(super) fn calibration(&mut self, counts: &Counts) -> Option<Tick> {
        let arm = self.baseline.as_ref().and_then(|id| counts.arms.get(id));
        let arm = arm.filter(|arm| self.calibrates(counts) && arm.sessions)?;
        let known = arm.split.iter().any(|part| part.0 > 0);
        self.counted.calibrated |= known;
        known.then(|| Tick { seconds: 1, split: arm.split.clone(), ..Tick::default() })
    }

    /// Units in `counts` that were not used yet.
    pub(super) fn units_since(&self, counts: &Counts) -> u64 {
        let used = self.counted.at.get(&counts.generation);
        let same_run = counts.key.epoch == self.counted.key.epoch;
        let units = |arm: &ArmCounts| arm.n.saturating_add(arm.aborted);
        let all = |arms: &BTreeMap<_, ArmCounts>, fresh: &Option<ArmCounts>| {
            arms.values().chain(fresh).map(units).fold(0, u64::saturating_add)
        };
        let before = used.filter(|_| same_run).map_or(0, |at| all(&at.arms, &at.fresh));
        all(&counts.arms, &counts.fresh).saturating_sub(before)
    }

    /// What is new in `counts`, which are used up by this.
    pub(super) fn take(&mut self, counts: &Counts) -> News {
        let seen = CountedAt::of(counts);
        let before = self.counted.at.insert(counts.generation, seen).unwrap_or_default();
        let sticky = self.affinity.is_some();
        let arm = |id| Delta::of(counts.arms.get(id), before.arms.get(id), sticky);
        let canary = arm(&self.candidate);
        let stable = self.baseline.as_ref().map(arm).unwrap_or_default();
        let fresh = Delta::of(counts.fresh.as_ref(), before.fresh.as_ref(), sticky);
        let (others, goals) = self.others(counts, &before, [&stable, &canary], sticky);
        let planned = self.counted.planned.get(&counts.generation);
        let mut all = stable.tick.clone();
        add(&mut all, &fresh.tick);
        let split = stable.split;
        let none = || Delta { split: vec![], ..Delta::default() };
        let compared = match planned {
            Some(planned) if planned.fresh => fresh,
            None if self.wants_fresh() => none(),
            _ => Delta { split: vec![], ..stable },
        };
        // A user's requests all go one way: a few busy ones would look like a wrong ratio. Of a flag
        // those count too whom the app evaluated it for, and of whose requests nobody knows.
        let units = |arm: &Delta| if sticky { arm.tick.n.max(arm.users) } else { arm.assigned };
        let dealt = planned.map(|planned| Dealt {
            baseline: units(&compared),
            canary: units(&canary),
            share: planned.share,
        });
        News {
            tick: Tick {
                seconds: 0,
                baseline: compared.tick,
                canary: canary.tick,
                dealt: dealt.filter(|d| d.baseline > 0 || d.canary > 0),
                split,
                canary_split: canary.split,
                replicas: compared.instances,
                samples: vec![],
                crossed: counts.crossed.saturating_sub(before.crossed),
            },
            stable: all,
            alone: self.alone_from.is_some_and(|from| counts.generation >= from),
            generation: counts.generation,
            others,
            goals,
        }
    }
}

impl Rollout {
    /// What is new of revisions beside the two, and how many units of each reached the goal.
    #[allow(clippy::type_complexity)] // two maps, used at one place
    fn others(
        &self,
        counts: &Counts,
        before: &CountedAt,
        [stable, canary]: [&Delta; 2],
        sticky: bool,
    ) -> (BTreeMap<RevisionId, Delta>, BTreeMap<RevisionId, ArmCount>) {
        let Some(trial) = self.beside.experiment.as_ref() else { return Default::default() };
        let delta = |id| Delta::of(counts.arms.get(id), before.arms.get(id), sticky);
        let others = trial.running().map(|v| (v.id.clone(), delta(&v.id)));
        let others: BTreeMap<_, _> = others.collect();
        let two = self.baseline.iter().map(|id| (id, stable)).chain([(&self.candidate, canary)]);
        let goals = two.chain(&others).map(|(id, delta)| {
            (id.clone(), ArmCount { n: delta.tick.n, conversions: delta.goals })
        });
        let goals = goals.collect();
        (others, goals)
    }
}

impl CountedAt {
    /// What a report says.
    pub(super) fn of(counts: &Counts) -> Self {
        let (arms, fresh) = (counts.arms.clone(), counts.fresh.clone());
        Self { arms, fresh, crossed: counts.crossed }
    }
}

impl Counted {
    /// Forgets what the data plane no longer reports: that cannot be counted again; what it
    /// does report, could.
    pub(super) fn forget(&mut self) {
        while self.at.len() > REPORTED_GENERATIONS {
            self.at.pop_first();
        }
        // A plan is known before its first report.
        while self.planned.len() > 2 * REPORTED_GENERATIONS {
            self.planned.pop_first();
        }
    }
}

/// Adds the units of `more`.
pub(super) fn add(arm: &mut ArmTick, more: &ArmTick) {
    arm.n = arm.n.saturating_add(more.n);
    arm.errors = arm.errors.saturating_add(more.errors);
    arm.unfinished = arm.unfinished.saturating_add(more.unfinished);
    arm.aborted = arm.aborted.saturating_add(more.aborted);
    arm.latency.add(&more.latency);
}
