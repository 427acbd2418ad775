//! How an experiment ends, and what its counts say until then.

use crate::engine::Turn;
use crate::engine::news::News;
use crate::{
    Contest, Experiment, Fact, Given, NoWinner, Outcome, PauseReason, RecordedTick, Revision,
    RevisionId, RevisionStanding, Rollout, VariantRun, WinnerRule,
};
use serin_stats::Tick;
use serin_stats::winner::{ArmCount, WinnerSettings, WinnerVerdict};

impl Turn {
    /// Ends the experiment when it has told what it can tell, or its time is over.
    pub(super) fn settle(&mut self, step: &Experiment) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        if rollout.paused.as_ref().is_some_and(|why| *why != PauseReason::Inconclusive) {
            return false;
        }
        let Some(trial) = rollout.beside.experiment.as_ref() else { return false };
        let had_time = trial.since.is_some_and(|at| self.now >= at.plus(step.at_least));
        let over = self.now >= rollout.step.entered_at.plus(step.deadline);
        let won = trial.contest.as_ref().and_then(winner);
        match (&step.winner, won) {
            (None, _) if had_time || over => self.go_on("variants were compared".into()),
            (Some(_), Some(arm)) if had_time => self.crown(&arm),
            (Some(rule), _) if over => return self.no_winner(rule),
            // Nobody is left to race against.
            (Some(rule), _) if had_time && trial.contest.is_none() => return self.no_winner(rule),
            _ => return false,
        }
        true
    }

    /// The best arm is known.
    fn crown(&mut self, arm: &RevisionId) {
        let Some(rollout) = self.service.rollout.as_ref() else { return };
        let text = standing(rollout).unwrap_or_default();
        let text = format!("{} won the experiment: {text}", arm.version);
        if rollout.baseline.as_ref() == Some(arm) {
            let cause = rollout.cause("experiment", text, None);
            return self.revert(Outcome::RolledBack, cause);
        }
        if rollout.candidate != *arm {
            self.take_variant(arm);
        }
        self.go_on(text);
    }

    /// The variant that won takes the candidate's place, with all that is known of it.
    fn take_variant(&mut self, arm: &RevisionId) {
        let now = self.now;
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let trial = rollout.beside.experiment.as_mut();
        let variants = trial.map(|trial| std::mem::take(&mut trial.variants)).unwrap_or_default();
        let Some(won) = variants.into_iter().find(|v| v.id == *arm) else { return };
        let was = std::mem::replace(&mut rollout.candidate, won.id.clone());
        rollout.beside.left.insert(was.clone());
        rollout.beside.left.remove(&won.id);
        rollout.weight = won.weight;
        rollout.size_for = won.goal;
        rollout.restarts_before = won.restarts_before;
        (rollout.counted.judged, rollout.counted.errors) = won.counted;
        rollout.counted.lately.clear();
        rollout.judge.clone_from(&won.judge);
        rollout.assessment.clone_from(&won.assessment);
        let known = self.service.revisions.get(&was);
        let (data, clients) =
            known.map(|r| (r.data.clone(), r.clients.clone())).unwrap_or_default();
        self.ticks.extend(handed_over(rollout, &won, now));
        let revision = Revision {
            run: won.run,
            standing: RevisionStanding::Untried,
            created_at: now,
            promoted_at: None,
            promoted_in: 0,
            colour: won.colour,
            data,
            clients,
            good_at: None,
            usual: None,
            marked: None,
        };
        self.service.revisions.insert(won.id, revision);
    }

    /// The deadline came first.
    fn no_winner(&mut self, rule: &WinnerRule) -> bool {
        let Some(rollout) = self.service.rollout.as_ref() else { return false };
        let found = standing(rollout).map_or(String::new(), |s| format!(": {s}"));
        let text = format!("the experiment has no winner{found}");
        match rule.otherwise {
            NoWinner::Stable => {
                let cause = rollout.cause("experiment", text, None);
                self.revert(Outcome::RolledBack, cause);
            }
            NoWinner::Pause if rollout.paused.is_some() => return false,
            NoWinner::Pause => self.hold(PauseReason::Inconclusive, text),
            NoWinner::Candidate => self.go_on(text),
        }
        true
    }

    /// The variants leave; the rollout goes on with its candidate.
    fn go_on(&mut self, text: String) {
        if let Some(rollout) = self.service.rollout.as_mut() {
            rollout.beside.experiment = None;
            rollout.paused = None;
        }
        self.tell(Fact::ExperimentEnded { text });
        self.next_step(self.now);
    }

    /// Gives judges of variants and the race what is new.
    pub(in crate::engine) fn count_variants(&mut self, seconds: u32, news: &[News]) {
        let rule = self.winner_rule();
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let rung = rollout.rung();
        let Some(trial) = rollout.beside.experiment.as_mut() else { return };
        for news in news {
            for v in trial.variants.iter_mut().filter(|v| v.dropped.is_none()) {
                v.observe(seconds, news);
            }
            if let Some(contest) = trial.contest.as_mut() {
                contest.observe(news);
            }
        }
        for v in trial.variants.iter_mut().filter(|v| v.dropped.is_none()) {
            v.assessment = v.judge.as_ref().map(|judge| judge.assess(rung));
        }
        if let (Some(contest), Some(rule)) = (trial.contest.as_mut(), rule) {
            contest.verdict = contest.race.decide(&settings(&rule, contest)).ok();
        }
    }

    fn winner_rule(&self) -> Option<WinnerRule> {
        let rollout = self.service.rollout.as_ref()?;
        match rollout.schedule.step(rollout.step.index)? {
            crate::Step::Experiment(step) => step.winner.clone(),
            _ => None,
        }
    }
}

/// The bound on a false winner stays what it was at the beginning, also with fewer arms.
fn settings(rule: &WinnerRule, contest: &Contest) -> WinnerSettings {
    let alpha = rule.alpha * contest.arms.len() as f64 / contest.begun_with.max(1) as f64;
    WinnerSettings { alpha, min_n: rule.min_units, ..WinnerSettings::default() }
}

impl VariantRun {
    fn observe(&mut self, seconds: u32, news: &News) {
        let Some(canary) = news.others.get(&self.id).map(|arm| arm.tick.clone()) else { return };
        self.counted.0 = self.counted.0.saturating_add(canary.n);
        self.counted.1 = self.counted.1.saturating_add(canary.errors);
        if let Some(judge) = self.judge.as_mut() {
            let baseline = news.stable.clone();
            judge.observe(&Tick { seconds, baseline, canary, ..Tick::default() });
        }
    }
}

impl Contest {
    fn observe(&mut self, news: &News) {
        if news.generation < self.from {
            return;
        }
        let count = |id: &RevisionId| news.goals.get(id).copied().unwrap_or_default();
        let tick: Vec<_> = self.arms.iter().map(count).collect();
        if tick.iter().any(|arm: &ArmCount| arm.n > 0) {
            // Counts that contradict themselves are not used.
            let _ = self.race.observe(&tick);
        }
    }
}

/// The arm that has won, if one has.
fn winner(contest: &Contest) -> Option<RevisionId> {
    match contest.verdict.as_ref()? {
        WinnerVerdict::Winner { arm, .. } => contest.arms.get(*arm).cloned(),
        _ => None,
    }
}

/// A record that the judge is another one from now on.
fn handed_over(rollout: &Rollout, won: &VariantRun, now: crate::Timestamp) -> Option<RecordedTick> {
    let judge = won.judge.clone()?;
    let given = Given::Start {
        settings: Box::new(judge.config().settings().clone()),
        rungs: rollout.schedule.rungs(),
        inherited: Some(Box::new(judge)),
    };
    Some(RecordedTick { rollout: rollout.id, at: now, rung: rollout.rung(), given })
}

/// Where the arms stand: `v2-blue 12.1 %, v2 10.2 %, v1 10.0 % of 4,000 users`.
pub(crate) fn standing(rollout: &Rollout) -> Option<String> {
    let contest = rollout.beside.experiment.as_ref()?.contest.as_ref()?;
    let counts = contest.race.arms();
    let mut arms: Vec<_> = contest.arms.iter().zip(counts).filter(|(_, c)| c.n > 0).collect();
    let rate = |c: &ArmCount| c.conversions as f64 / c.n as f64;
    arms.sort_by(|a, b| rate(b.1).total_cmp(&rate(a.1)));
    let units: u64 = counts.iter().map(|c| c.n).sum();
    let one =
        |(id, c): &(&RevisionId, &ArmCount)| format!("{} {:.2} %", id.version, rate(c) * 100.0);
    let list: Vec<_> = arms.iter().map(one).collect();
    let what = crate::outlook::units(rollout.affinity.is_some());
    let units = crate::outlook::thousands(units);
    (!list.is_empty()).then(|| format!("goal reached by {} of {units} {what}", list.join(", ")))
}
