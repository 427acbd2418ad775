//! Turns cumulative counts into ticks for judge and checks, so that each request counts exactly
//! once.

use super::Turn;
use super::news::{News, add};
use super::published;
use crate::{
    CountKey, Counted, Counts, Exposure, Fact, Given, Millis, Planned, RecordedTick, RevisionId,
    RevisionObservation, Rollout, Service, Step, Timestamp, Weight,
};
use serin_stats::threshold::{self, Check, CheckState, CheckVerdict};
use serin_stats::{Guard, Metric, Outcome, Rung, Sample, Tick};

/// How long instances must have been ready after a restart before they are judged again.
const SETTLE: Millis = Millis::secs(5);

/// The metric whose counts the engine makes itself, from what the platform saw.
const RESTARTS: &str = "restarts";

/// Seconds of [`Counted::lately`].
const LATELY: i64 = 60;

/// A stretch of fewer units waits for more, but no longer than this. Of one or two requests there is
/// no telling whose fault an error is: judged second by second, 2 requests a second take twice as
/// many for the same evidence.
const STRETCH_UNITS: u64 = 20;
const STRETCH_SECONDS: i64 = 10;

/// Part of the newest second in the average of requests a second.
const NEWEST: f64 = 0.3;

/// Everything new since the last report.
struct Stretch {
    seconds: u32,
    news: Vec<News>,
    samples: Vec<(Metric, Sample)>,
    calibration: Option<Tick>,
}

impl Turn {
    pub(super) fn count(&mut self, reports: &[Counts]) {
        if self.service.rollout.as_ref().is_some_and(Rollout::is_going_back) {
            return self.count_back(reports);
        }
        let shaken = self.is_shaken();
        let on_trial = self.service.rollout.as_mut().filter(|r| r.is_on_trial());
        let Some(rollout) = on_trial else { return };
        let since = rollout.after;
        let keys = reports.iter().filter(|c| c.generation > since).map(|c| c.key);
        let Some(key) = keys.max() else { return };
        if rollout.is_too_little(reports) || !rollout.counted.begin(key) {
            return;
        }
        let is_first = rollout.counted.closed_through == 0;
        let mut stretch = rollout.stretch(reports.iter().filter(|c| c.key == key));
        stretch.samples.extend(self.restarts_sample(stretch.seconds, is_first));
        if !shaken {
            self.use_stretch(stretch, is_first);
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

    fn use_stretch(&mut self, stretch: Stretch, is_first: bool) {
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let counted = &mut rollout.counted;
        let canary = |news: &News| (news.tick.canary.n, news.tick.canary.errors);
        for (n, errors) in stretch.news.iter().map(canary) {
            counted.note_candidate(n, errors);
        }
        for news in &stretch.news {
            counted.stable.0 = counted.stable.0.saturating_add(news.stable.n);
            counted.stable.1 = counted.stable.1.saturating_add(news.stable.errors);
        }
        if !is_first {
            let units: u64 = stretch.news.iter().map(News::units).sum();
            counted.note_rate(units as f64 / f64::from(stretch.seconds));
        }
        rollout.check(&stretch, self.now);
        self.count_variants(stretch.seconds, &stretch.news);
        self.feed(stretch);
    }

    /// Gives the judge what is new, oldest generation first. The seconds belong to the newest.
    fn feed(&mut self, stretch: Stretch) {
        let Stretch { seconds, mut news, samples, calibration } = stretch;
        if self.service.rollout.as_ref().is_some_and(|r| !r.is_watched()) {
            news.iter_mut().for_each(News::without_candidate);
        }
        if let Some(tick) = calibration {
            self.give(Given::Tick(tick));
        }
        news.retain(News::says_something);
        if news.is_empty() && !samples.is_empty() {
            news.push(News::default());
        }
        let last = news.len().saturating_sub(1);
        let mut samples = Some(samples);
        for (at, News { mut tick, alone, .. }) in news.into_iter().enumerate() {
            tick.seconds = if at == last { seconds } else { 1 };
            if alone {
                self.give_before();
                tick = Tick { seconds: tick.seconds, canary: tick.canary, ..Tick::default() };
                self.give(Given::Alone(tick));
            } else {
                if at == last {
                    tick.samples = samples.take().unwrap_or_default();
                }
                self.give(Given::Tick(tick));
            }
        }
    }

    /// What stable was like before, when the candidate is on its own at once.
    fn give_before(&mut self) {
        let before = self.service.rollout.as_mut().and_then(Rollout::before_alone);
        if let Some(tick) = before {
            self.give(Given::Tick(tick));
        }
    }

    /// Gives the judge something and keeps a record of it.
    pub(super) fn give(&mut self, given: Given) {
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let (id, rung) = (rollout.id, rollout.rung());
        let Some(judge) = rollout.judge.as_mut() else { return };
        given.to(judge);
        rollout.counted.ticks += 1;
        match rollout.counted.ticks {
            0..=RecordedTick::MOST => {
                self.ticks.push(RecordedTick { rollout: id, at: self.now, rung, given });
            }
            n if n == RecordedTick::MOST + 1 => {
                self.tell(Fact::TicksFull { kept: RecordedTick::MOST });
            }
            _ => {}
        }
    }

    /// Restarts since the last report, if they are judged. The cursor moves in any case.
    fn restarts_sample(&mut self, seconds: u32, is_first: bool) -> Option<(Metric, Sample)> {
        let metric = Metric::Named(RESTARTS.into());
        let rollout = self.service.rollout.as_ref()?;
        rollout.schedule.analysis.as_ref()?.metric(&metric)?;
        let (baseline, canary) = compared(&self.service, rollout);
        let now = (baseline.restarts, canary.restarts);
        let counted = &mut self.service.rollout.as_mut()?.counted;
        let before = counted.restarts.replace(now).filter(|_| !is_first)?;
        let sample = |arm: &RevisionObservation, now: u32, before: u32| {
            (f64::from(arm.ready) * f64::from(seconds), u64::from(now.saturating_sub(before)))
        };
        let sample = Sample::Count {
            baseline: sample(&baseline, now.0, before.0),
            canary: sample(&canary, now.1, before.1),
        };
        sample.is_possible().then_some((metric, sample))
    }

    /// Looks at the evidence; tells when the verdict changed.
    pub(super) fn assess(&mut self) {
        let Some(rollout) = self.service.rollout.as_mut() else { return };
        let Some(judge) = rollout.judge.as_ref() else { return };
        let rung = rollout.rung();
        let assessment = judge.assess(rung);
        let changed = rollout.assessment.as_ref().map(|a| a.outcome) != Some(assessment.outcome);
        rollout.assessment = Some(assessment.clone());
        rollout.assessed_at = Some(rung);
        // What is not decided is said by what the rollout waits for, harm by its end, and a
        // guard by the pause it leads to.
        let contradicts = assessment.invalid.as_ref().is_some_and(|i| i.guard == Guard::Counts);
        let held = !rollout.only_reports() && !contradicts;
        let told = match assessment.outcome {
            Outcome::Pass => true,
            Outcome::Invalid => !held,
            _ => false,
        };
        if changed && told {
            self.tell(Fact::Verdict { assessment: Box::new(assessment) });
        }
    }
}

/// What was seen of what is compared: the fresh baseline or stable, and the candidate.
fn compared(service: &Service, r: &Rollout) -> (RevisionObservation, RevisionObservation) {
    let seen = |id: &RevisionId| service.observed.revisions.get(id).cloned().unwrap_or_default();
    let stable = || r.baseline.as_ref().map(seen).unwrap_or_default();
    let baseline =
        if r.wants_fresh() { service.observed.fresh.clone().unwrap_or_default() } else { stable() };
    (baseline, seen(&r.candidate))
}

impl Counted {
    /// Whether report `key` is new. Runs of the data plane are told apart, not compared: its
    /// clock may have been set back between two of them.
    pub(super) fn begin(&mut self, key: CountKey) -> bool {
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

    fn note_candidate(&mut self, n: u64, errors: u64) {
        self.judged = self.judged.saturating_add(n);
        self.errors = self.errors.saturating_add(errors);
        let through = self.closed_through;
        self.lately.retain(|(at, _, _)| (through - LATELY..=through).contains(at));
        match self.lately.last_mut() {
            Some(last) if last.0 == through => {
                last.1 = last.1.saturating_add(n);
                last.2 = last.2.saturating_add(errors);
            }
            _ => self.lately.push((through, n, errors)),
        }
    }

    fn note_rate(&mut self, now: f64) {
        let known = self.rate > 0.0;
        self.rate = if known { self.rate * (1.0 - NEWEST) + now * NEWEST } else { now };
    }

    /// Seconds since the last report; 1 when nothing is known of it.
    fn pass_time(&mut self, closed_through: i64) -> u32 {
        let before = if self.closed_through == 0 { closed_through } else { self.closed_through };
        self.closed_through = closed_through.max(before);
        closed_through.saturating_sub(before).clamp(1, 3600) as u32
    }
}

impl Rollout {
    /// The rung the present step asks for: rung j of m, m for promotion.
    pub(crate) fn rung(&self) -> Rung {
        let m = self.schedule.rungs().max(1);
        let j = self.schedule.rungs_through(self.step.index + 1).clamp(1, m);
        Rung { j, m }
    }

    /// Whether `reports` say so little that they had better come again with more. They are
    /// cumulative, so nothing is lost by it.
    fn is_too_little(&self, reports: &[Counts]) -> bool {
        let closed = reports.iter().map(|c| c.closed_through).max().unwrap_or_default();
        let known = self.counted.closed_through > 0 && self.counted.closed_through <= closed;
        let recent = known && closed - self.counted.closed_through < STRETCH_SECONDS;
        let later = reports.iter().filter(|c| c.generation > self.after);
        recent && later.map(|c| self.units_since(c)).sum::<u64>() < STRETCH_UNITS
    }

    fn stretch<'a>(&mut self, reports: impl Iterator<Item = &'a Counts>) -> Stretch {
        let (mut news, mut calibration, mut closed) = (Vec::new(), None, 0);
        for counts in reports {
            closed = closed.max(counts.closed_through);
            if counts.generation > self.after {
                news.push(self.take(counts));
            } else {
                calibration = self.calibration(counts).or(calibration);
                self.note_before(counts);
            }
        }
        self.counted.forget();
        let seconds = self.counted.pass_time(closed);
        Stretch { seconds, news, samples: vec![], calibration }
    }

    /// Remembers what `plan` deals to the candidate and to what it is compared with.
    pub(super) fn note_plan(&mut self, plan: &crate::Plan) {
        let canary = plan.weight(&self.candidate);
        let stable = self.baseline.as_ref().and_then(|id| plan.revisions.get(id));
        let Some(stable) = stable.filter(|_| self.kind.is_tried()) else { return };
        let fresh = stable.fresh.as_ref().map(|f| f.weight).filter(|w| *w > Weight::NONE);
        let baseline = fresh.unwrap_or(stable.weight);
        if canary > Weight::NONE && baseline > Weight::NONE {
            // Of a flag's users only those who take part are counted.
            let part = plan.flag.as_ref().map(|_| Exposure::of(canary).treated);
            let (canary, baseline) = part.map_or((canary, baseline), |part| (part, part.rest()));
            let (canary, baseline) = (f64::from(canary.parts()), f64::from(baseline.parts()));
            let share = canary / (canary + baseline);
            let planned = Planned { share, fresh: fresh.is_some() };
            self.counted.planned.insert(plan.generation, planned);
        }
    }

    /// Gives the checks that have begun everything new at once.
    fn check(&mut self, stretch: &Stretch, now: Timestamp) {
        let Some(analysis) = self.schedule.analysis.as_ref() else { return };
        let inline = matches!(self.schedule.step(self.step.index), Some(Step::Analyse(_)));
        if self.weight == Weight::NONE && self.beside.mirror.is_none() && !inline {
            return;
        }
        let mut tick = Tick { seconds: stretch.seconds, ..Tick::default() };
        for news in &stretch.news {
            add(&mut tick.baseline, &news.stable);
            add(&mut tick.canary, &news.tick.canary);
        }
        let now = now.0.unsigned_abs();
        let begun: Vec<_> = analysis.checks.iter().map(|check| self.has_begun(check)).collect();
        let applies = analysis.checks.iter().zip(&mut self.checks).zip(begun);
        let counted = |check: &Check| !published::is_published(check);
        for ((check, run), _) in applies.filter(|((check, _), begun)| *begun && counted(check)) {
            let state = run.state.get_or_insert_with(|| CheckState::new(now));
            let verdict = threshold::observe(check, state, now, &tick);
            run.passed |= verdict == CheckVerdict::Pass;
            run.verdict = Some(verdict);
        }
    }
}
