//! Deploys, and how a rollout begins.

use super::Turn;
use super::ask::Answer;
use crate::{
    Actor, Beside, CheckRun, Colour, Counted, DeployAsk, Fact, Given, Millis, Outcome, Phase,
    RecordedTick, Refusal, RefusalCode as Code, Revision, RevisionId, RevisionStanding, Rollout,
    RolloutKind, Schedule, Stage, Step, StepState, Weight,
};
use serin_stats::threshold::Signal;
use serin_stats::{Judge, Metric};

impl Turn {
    pub(super) fn deploy(&mut self, by: &Actor, reason: Option<&str>, ask: &DeployAsk) -> Answer {
        refuse_unjudgeable(ask)?;
        self.refuse_bad(ask)?;
        let changed = self.service.spec != ask.spec;
        self.service.spec = ask.spec.clone();
        self.service.removing = false;
        self.learn(ask);
        let running = self.service.rollout.as_ref().filter(|r| r.is_on_trial());
        if running.is_some_and(|r| r.candidate == ask.revision) {
            self.configured(by, changed);
            return Ok(());
        }
        if self.service.stable.as_ref() == Some(&ask.revision) {
            if running.is_some() {
                self.supersede(&ask.revision);
            } else {
                self.configured(by, changed);
            }
            return Ok(());
        }
        self.supersede_and_end(&ask.revision);
        if ask.allow_bad {
            self.service.evidence.remove(&ask.revision);
        }
        self.start(by, reason, &ask.revision, RolloutKind::Release);
        Ok(())
    }

    fn refuse_bad(&mut self, ask: &DeployAsk) -> Answer {
        let Some(known) = self.service.revisions.get_mut(&ask.revision) else { return Ok(()) };
        if known.standing != RevisionStanding::Bad {
            return Ok(());
        }
        if ask.allow_bad {
            known.standing = RevisionStanding::Untried;
            return Ok(());
        }
        let message = format!(
            "{} was rolled back before and nothing in it has changed since",
            ask.revision.version
        );
        Err(Refusal::new(
            Code::BadRevision,
            message,
            "deploy a mended revision, or insist with `--allow-bad`",
        ))
    }

    fn learn(&mut self, ask: &DeployAsk) {
        let (now, run) = (self.now, ask.spec.run.clone());
        let stable = self.service.stable.as_ref().and_then(|id| self.service.revisions.get(id));
        let colour = stable.map_or(Colour::Blue, |live| live.colour.other());
        let fresh = || Revision {
            run,
            standing: RevisionStanding::Untried,
            created_at: now,
            promoted_at: None,
            colour,
            data: ask.spec.data.clone(),
            good_at: None,
            usual: None,
            marked: None,
        };
        self.service.revisions.entry(ask.revision.clone()).or_insert_with(fresh);
    }

    fn configured(&mut self, by: &Actor, changed: bool) {
        if changed {
            self.tell(Fact::Configured { by: by.clone() });
        }
    }

    /// Turns the rollout back because stable itself was asked for.
    fn supersede(&mut self, by: &RevisionId) {
        let Some(rollout) = self.service.rollout.as_ref() else { return };
        let text = format!("{} was deployed instead", by.version);
        let cause = rollout.cause("superseded", text, None);
        self.revert(Outcome::Superseded, cause);
    }

    /// Closes a running rollout at once; its candidate leaves with the next plan.
    pub(super) fn supersede_and_end(&mut self, by: &RevisionId) {
        let Some(rollout) = self.service.rollout.as_ref() else { return };
        if rollout.is_on_trial() {
            self.supersede(by);
        }
        self.end();
    }

    pub(super) fn start(
        &mut self,
        by: &Actor,
        reason: Option<&str>,
        to: &RevisionId,
        kind: RolloutKind,
    ) {
        let kind = if self.service.stable.is_none() { RolloutKind::First } else { kind };
        let schedule = match kind {
            _ if kind.is_tried() => self.service.spec.schedule.clone(),
            _ => self.service.spec.schedule.all_at_once(kind),
        };
        let judged = kind.is_tried();
        let affinity = self.service.spec.traffic.affinity.clone().filter(|_| judged);
        let checks = schedule.analysis.as_ref().map_or(0, |a| a.checks.len());
        let rollout = Rollout {
            id: self.service.next_rollout,
            kind,
            candidate: to.clone(),
            baseline: self.service.stable.clone(),
            by: by.clone(),
            reason: reason.map(Into::into),
            started_at: self.now,
            after: self.service.generation,
            step: StepState::begun(0, self.now, 0),
            phase: Phase::Stepping,
            weight: Weight::NONE,
            size_for: Weight::NONE,
            paused: None,
            paused_at: None,
            took_over_at: None,
            alone_from: None,
            judge: self.judge(&schedule, to, kind),
            assessment: None,
            assessed_at: None,
            checks: vec![CheckRun::default(); checks],
            reported: std::collections::BTreeSet::new(),
            affinity,
            counted: Counted::default(),
            restarts_before: self.restarts(to),
            verdict_at: None,
            skipped: vec![],
            back: None,
            overridden: std::collections::BTreeSet::new(),
            notes: vec![],
            beside: Beside::default(),
            schedule,
        };
        self.service.next_rollout += 1;
        self.announce(&rollout);
        self.ticks.extend(start_of(&rollout));
        self.service.rollout = Some(rollout);
    }

    fn restarts(&self, of: &RevisionId) -> u32 {
        self.service.observed.revisions.get(of).map_or(0, |seen| seen.restarts)
    }

    fn announce(&mut self, rollout: &Rollout) {
        let fact = Fact::Started {
            kind: rollout.kind,
            from: rollout.baseline.clone(),
            to: rollout.candidate.clone(),
            by: rollout.by.clone(),
            reason: rollout.reason.clone(),
        };
        let rollout_id = Some(rollout.id);
        self.journal.push(crate::Entry { at: self.now, rollout: rollout_id, fact });
        let requests = rollout.judge.as_ref().map_or(0, |j| j.assess(rollout.rung()).canary_n);
        if requests > 0 {
            let revision = rollout.candidate.clone();
            let fact = Fact::Inherited { revision, requests };
            self.journal.push(crate::Entry { at: self.now, rollout: rollout_id, fact });
        }
    }

    /// A judge for `to`: the one that knows it already, or a new one.
    fn judge(&self, schedule: &Schedule, to: &RevisionId, kind: RolloutKind) -> Option<Judge> {
        let config = schedule.analysis.as_ref().filter(|_| kind.is_tried())?;
        let config = config.judge_config(self.service.spec.traffic.affinity.is_some()).ok()?;
        let kept = self.service.evidence.get(to);
        let kept = kept.filter(|kept| Some(&kept.baseline) == self.service.stable.as_ref());
        let inherited = kept.and_then(|kept| kept.judge.clone().with_risks(&config));
        Some(inherited.unwrap_or_else(|| Judge::new(config)))
    }
}

/// A judge that cannot be made must not be left out silently.
fn refuse_unjudgeable(ask: &DeployAsk) -> Answer {
    let schedule = &ask.spec.schedule;
    let why = schedule.analysis.as_ref().and_then(|a| unjudgeable(ask, a));
    let exposes = schedule.steps().any(|(_, step)| matches!(step, Step::Expose(_)));
    let errors = schedule.analysis.as_ref().and_then(|a| a.metric(&Metric::Errors));
    let blind = (exposes && errors.is_none())
        .then(|| "a step that chooses the share needs the metric errors".to_owned());
    let Some(why) = why.or(blind) else { return Ok(()) };
    let message = format!("the analysis cannot work: {why}");
    Err(Refusal::new(Code::InvalidAnalysis, message, "mend `analysis` in the file"))
}

fn unjudgeable(ask: &DeployAsk, analysis: &crate::Analysis) -> Option<String> {
    let sticky = ask.spec.traffic.affinity.is_some();
    let config = analysis.compares().then(|| analysis.judge_config(sticky));
    let config = config.and_then(Result::err).map(|why| why.to_string());
    let checks = || {
        analysis.checks.iter().find_map(|check| {
            let unsound = check.validate().err().map(|why| why.to_string());
            let unread = matches!(check.signal, Signal::Value { .. })
                .then(|| "no source gives its value; use a signal of the data plane".into());
            unsound.or(unread).map(|why| format!("check {}: {why}", check.name))
        })
    };
    config.or_else(checks)
}

/// The first record of a judge.
fn start_of(rollout: &Rollout) -> Option<RecordedTick> {
    let judge = rollout.judge.as_ref()?;
    let inherited = rollout.judge.clone().filter(|j| *j != Judge::new(j.config().clone()));
    let given = Given::Start {
        settings: Box::new(judge.config().settings().clone()),
        rungs: rollout.schedule.rungs(),
        inherited: inherited.map(Box::new),
    };
    Some(RecordedTick { rollout: rollout.id, at: rollout.started_at, rung: rollout.rung(), given })
}

impl Schedule {
    /// The schedule of a move without trial: everything as soon as it is ready.
    fn all_at_once(&self, kind: RolloutKind) -> Self {
        let name = kind.as_str();
        let steps = vec![Step::SetWeight(Weight::ALL)];
        let warm_up = Millis(0);
        let stages = vec![Stage { name: name.into(), steps }];
        Self { strategy: name.into(), stages, analysis: None, warm_up, ..self.clone() }
    }
}
