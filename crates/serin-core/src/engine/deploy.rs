//! Deploys, and how a rollout begins.

use super::ask::{Answer, because};
use super::{Turn, halt, trade};
use crate::flag::old_variant;
use crate::lifecycle::{clash, is_config};
use crate::{
    Actor, Beside, CheckRun, Colour, Counted, DeployAsk, Downtime, Fact, Given, Millis, Outcome,
    Phase, RecordedTick, Refusal, RefusalCode as Code, Revision, RevisionId, RevisionStanding,
    RollbackClass, Rollout, RolloutKind, Scale, Schedule, ServiceSpec, Shared, Skips, Stage, Step,
    StepState, Weight, outlook, way_back_before,
};
use serin_stats::threshold::Signal;
use serin_stats::{Judge, Metric};

impl Turn {
    /// A deploy: refused, made to wait for its train, or taken up.
    pub(super) fn deploy(&mut self, by: &Actor, reason: Option<&str>, ask: &DeployAsk) -> Answer {
        self.refuse_deploy(ask)?;
        self.refuse_skips(ask)?;
        if let Some(train) = self.train_of(ask) {
            return self.board(by, reason, ask, &train);
        }
        self.pass_trains(by, reason, ask);
        self.take_up(by, reason, ask)
    }

    /// A deploy whose time has come: behind the rollout under way, or in its place.
    pub(super) fn take_up(&mut self, by: &Actor, reason: Option<&str>, ask: &DeployAsk) -> Answer {
        if self.must_wait(ask)? {
            self.enqueue(by, reason, ask);
            return Ok(());
        }
        self.begin_where_people_are(ask);
        self.deploy_now(by, reason, ask);
        Ok(())
    }

    /// A flag whose release is over is people's: they may have given everybody another variant
    /// since. What everybody has is what the next release begins with and goes back to.
    fn begin_where_people_are(&mut self, ask: &DeployAsk) {
        let Some(flag) = &ask.spec.flag else { return };
        let tried = self.service.rollout.as_ref().is_some_and(Rollout::is_on_trial);
        if tried || self.service.stable.as_ref() == Some(&flag.off) {
            return;
        }
        let known = self.service.revisions.entry(flag.off.clone()).or_insert_with(old_variant);
        (known.standing, known.marked) = (RevisionStanding::Good, None);
        self.service.stable = Some(flag.off.clone());
        // It was gathered against another one, or before it was taken away.
        self.service.evidence.remove(&ask.revision);
    }

    /// Everything that speaks against a deploy whatever is under way.
    pub(super) fn refuse_deploy(&mut self, ask: &DeployAsk) -> Answer {
        refuse_unjudgeable(ask)?;
        self.refuse_bad(ask)?;
        self.refuse_held(ask)?;
        self.refuse_schema(ask)?;
        self.refuse_clash(ask)
    }

    pub(super) fn deploy_now(&mut self, by: &Actor, reason: Option<&str>, ask: &DeployAsk) {
        let before = std::mem::replace(&mut self.service.spec, ask.spec.clone());
        self.service.removing = false;
        self.learn(ask);
        let running = self.service.rollout.as_ref().filter(|r| r.is_on_trial());
        let is_candidate = running.is_some_and(|r| r.candidate == ask.revision);
        let is_stable = self.service.stable.as_ref() == Some(&ask.revision);
        match running.is_some() {
            true if is_candidate => self.deployed_again(by, &before, &ask.revision),
            false if is_stable => self.deployed_again(by, &before, &ask.revision),
            true if is_stable => self.supersede(&ask.revision),
            _ => self.release(by, reason, ask, &before),
        }
    }

    /// A revision that is neither stable nor under way.
    fn release(&mut self, by: &Actor, reason: Option<&str>, ask: &DeployAsk, before: &ServiceSpec) {
        self.tell_scaled(by, before);
        self.end_hold_for(&ask.revision);
        let kind = self.kind_of(&ask.revision);
        self.supersede_and_end(&ask.revision);
        if ask.allow_bad {
            self.service.evidence.remove(&ask.revision);
        }
        self.warn_of_formats(ask);
        self.start_without(by, reason, &ask.revision, kind, ask.skips);
    }

    /// What moving to `revision` is: a release, another configuration of what runs, or a step back
    /// to what is kept ready.
    fn kind_of(&self, revision: &RevisionId) -> RolloutKind {
        let service = &self.service;
        let stable = service.stable.as_ref();
        let run = |id: &RevisionId| service.revisions.get(id).map(|r| &r.run);
        let reconfigured =
            stable.filter(|id| id.version.name() == revision.version.name()).and_then(run);
        let reconfigured = reconfigured
            .zip(run(revision))
            .is_some_and(|(a, b)| is_config(&a.template(), &b.template()));
        let fast = service.is_fast(revision) && service.misfit(revision).is_none();
        match (fast, reconfigured) {
            (true, _) => RolloutKind::FastTrack,
            (false, true) => RolloutKind::Config,
            (false, false) => RolloutKind::Release,
        }
    }

    /// The same revision again: only what does not belong to the revision may be new.
    fn deployed_again(&mut self, by: &Actor, before: &ServiceSpec, revision: &RevisionId) {
        if *before == self.service.spec {
            let running = self.service.rollout.as_ref().is_none_or(|r| !r.is_on_trial());
            self.tell(Fact::Unchanged { revision: revision.clone(), running });
            return;
        }
        let scaled = ServiceSpec { replicas: self.service.spec.replicas, ..before.clone() };
        self.tell_scaled(by, before);
        if scaled != self.service.spec {
            self.tell(Fact::Configured { by: by.clone() });
            self.take_new_steps(by);
        }
    }

    fn tell_scaled(&mut self, by: &Actor, before: &ServiceSpec) {
        let (from, to) = (before.replicas, self.service.spec.replicas);
        if from != to && self.service.stable.is_some() {
            self.tell(Fact::Scaled { from, to, by: by.clone() });
        }
    }

    /// The steps of a rollout under way are skipped one by one, not left out.
    fn refuse_skips(&self, ask: &DeployAsk) -> Answer {
        let same = |r: &&Rollout| r.is_on_trial() && r.candidate == ask.revision;
        let under_way = self.service.rollout.as_ref().is_some_and(|r| same(&r));
        if ask.skips == Skips::Nothing || !under_way {
            return Ok(());
        }
        let (version, name) = (&ask.revision.version, &self.service.name);
        let message = format!("a rollout of {version} is under way already");
        let hint = format!("skip what it waits for with `serin promote {name}`, all with `--full`");
        Err(Refusal::new(Code::Already, message, &hint))
    }

    fn refuse_bad(&mut self, ask: &DeployAsk) -> Answer {
        let Some(known) = self.service.revisions.get_mut(&ask.revision) else { return Ok(()) };
        if known.standing != RevisionStanding::Bad {
            return Ok(());
        }
        if ask.allow_bad {
            known.standing = RevisionStanding::Untried;
            known.marked = None;
            return Ok(());
        }
        let version = &ask.revision.version;
        let message = match &known.marked {
            Some(mark) => format!("{version} was marked bad by {}", mark.by.0),
            None => {
                format!("{version} was rolled back before and nothing in it has changed since")
            }
        };
        Err(Refusal::new(
            Code::BadRevision,
            message,
            "deploy a mended revision, or insist with `--allow-bad`",
        ))
    }

    /// Both revisions write while they run beside each other, so each must read the other.
    fn refuse_clash(&self, ask: &DeployAsk) -> Answer {
        let Some(why) = clash(&self.service, &ask.spec, &ask.revision) else { return Ok(()) };
        let hint = "bring out a version that reads both formats first, or use `recreate`, which \
                    never runs both";
        Err(Refusal::new(Code::Incompatible, why, hint))
    }

    /// Where the two do not run beside each other, the way back is what is lost.
    fn warn_of_formats(&mut self, ask: &DeployAsk) {
        let (class, text) = way_back_before(&self.service, &ask.spec, &ask.revision);
        if class == RollbackClass::Data {
            self.tell(Fact::Formats { text });
        }
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
            promoted_in: 0,
            colour,
            data: None,
            clients: None,
            good_at: None,
            usual: None,
            marked: None,
        };
        let known = self.service.revisions.entry(ask.revision.clone()).or_insert_with(fresh);
        known.data = ask.spec.data.clone().or(known.data.take());
        known.clients = ask.spec.clients.clone().or(known.clients.take());
    }

    /// Turns the rollout back because another revision was asked for.
    pub(super) fn supersede(&mut self, by: &RevisionId) {
        let trying = |r: &&Rollout| r.is_on_trial();
        let Some(rollout) = self.service.rollout.as_ref().filter(trying) else { return };
        let text = format!("{} was deployed instead", by.version);
        let cause = rollout.cause("superseded", text, None);
        self.revert(Outcome::Superseded, cause);
    }

    /// Closes a running rollout at once; what loses leaves with the next plan. A candidate that
    /// has all traffic already keeps it: users never go back two versions because of a newer one.
    fn supersede_and_end(&mut self, by: &RevisionId) {
        let Some(rollout) = self.service.rollout.as_ref() else { return };
        match rollout.phase {
            Phase::Warm { since } if rollout.paused.is_none() => self.promote_early(by, since),
            _ if rollout.is_on_trial() => self.supersede(by),
            _ => {}
        }
        self.end();
    }

    /// Leaves the rollout under way for a way back to `to`. Only a way back that has all traffic
    /// is not turned round: it led away from something worse.
    pub(super) fn leave_for(&mut self, to: &RevisionId) {
        let Some(rollout) = self.service.rollout.as_ref() else { return };
        if rollout.kind == RolloutKind::Rollback {
            return self.supersede_and_end(to);
        }
        if rollout.is_on_trial() {
            self.supersede(to);
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
        self.start_without(by, reason, to, kind, Skips::Nothing);
    }

    fn start_without(
        &mut self,
        by: &Actor,
        reason: Option<&str>,
        to: &RevisionId,
        kind: RolloutKind,
        skips: Skips,
    ) {
        let kind = if self.service.stable.is_none() { RolloutKind::First } else { kind };
        self.let_go_for(to);
        self.take_view(to, kind);
        let (schedule, left_out) = self.schedule_of(to, kind, skips);
        let judged = kind.is_tried();
        let affinity = self.service.spec.traffic.affinity.clone().filter(|_| judged);
        let checks = schedule.analysis.as_ref().map_or(0, |a| a.checks.len());
        let mut rollout = Rollout {
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
            skipped: self.not_gone_through(to, kind),
            back: self.back_at_start(to, kind),
            overridden: std::collections::BTreeSet::new(),
            notes: vec![],
            beside: Beside::default(),
            places: trade::at_start(&self.service, to, self.now),
            scale: Scale::default(),
            downtime: Downtime::default(),
            schedule,
        };
        if kind.is_way_back() {
            self.take_flags_back_to(to);
        }
        self.service.next_rollout += 1;
        self.announce(&rollout);
        self.tell_fast_track(&rollout);
        self.tell_left_out(&mut rollout, &left_out);
        self.ticks.extend(start_of(&rollout));
        self.service.rollout = Some(rollout);
    }

    /// The steps of a move to `to`, and those that are left out.
    fn schedule_of(
        &self,
        to: &RevisionId,
        kind: RolloutKind,
        skips: Skips,
    ) -> (Shared<Schedule>, Vec<(usize, Step)>) {
        let whole = &self.service.spec.schedule;
        if !kind.is_tried() {
            let waits = halt::wait_step(&self.service, to);
            return (whole.all_at_once(kind, waits).into(), vec![]);
        }
        if skips == Skips::Nothing {
            return (whole.clone(), vec![]);
        }
        let (rest, out) = whole.without(skips);
        (rest.into(), out)
    }

    /// Leaves a trace of each step that a person left out, with who and why.
    fn tell_left_out(&mut self, rollout: &mut Rollout, out: &[(usize, Step)]) {
        for (step, what) in out {
            let why = because(rollout.reason.as_deref());
            let what = format!("{}, left out by {}{why}", outlook::describe(what), rollout.by.0);
            rollout.skipped.push(format!("step {step}: {what}"));
            let fact = Fact::StepSkipped { step: *step, what };
            self.journal.push(crate::Entry { at: self.now, rollout: Some(rollout.id), fact });
        }
    }

    /// Steps that a revision does not go through, for the record.
    fn not_gone_through(&self, to: &RevisionId, kind: RolloutKind) -> Vec<String> {
        let steps = self.service.spec.schedule.len();
        let why = || format!("steps 1 to {steps}: {} was good and is kept ready", to.version);
        (kind == RolloutKind::FastTrack && steps > 0).then(why).into_iter().collect()
    }

    fn tell_fast_track(&mut self, rollout: &Rollout) {
        if rollout.kind == RolloutKind::FastTrack {
            let steps = self.service.spec.schedule.len();
            let fact = Fact::FastTracked { revision: rollout.candidate.clone(), steps };
            self.journal.push(crate::Entry { at: self.now, rollout: Some(rollout.id), fact });
        }
    }

    pub(super) fn restarts(&self, of: &RevisionId) -> u32 {
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
    pub(super) fn judge(
        &self,
        schedule: &Schedule,
        to: &RevisionId,
        kind: RolloutKind,
    ) -> Option<Judge> {
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
            let published = ask.spec.run.metrics.is_some();
            let unread = (matches!(check.signal, Signal::Value { .. }) && !published)
                .then(|| "no source gives its value; name one with `run.metrics`".into());
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
    fn all_at_once(&self, kind: RolloutKind, waits: Option<Step>) -> Self {
        let name = kind.as_str();
        // A first revision needs its schema as every other; a way back has it.
        let brings = |step: &&Step| kind == RolloutKind::First && matches!(step, Step::Migrate(_));
        let schema = self.steps().map(|(_, step)| step).filter(brings).cloned();
        let steps = schema.chain(waits).chain([Step::SetWeight(Weight::ALL)]).collect();
        let warm_up = Millis(0);
        let stages = vec![Stage { name: name.into(), steps }];
        Self { strategy: name.into(), stages, analysis: None, warm_up, ..self.clone() }
    }
}
