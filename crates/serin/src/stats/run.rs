//! One run of the stream: its judge, and the verdict so far. Holds state, never the ticks.

use super::counts::{self, Arm, Counts, Wrong};
use super::line::{Line, Number};
use super::settings::JudgeArgs;
use serin_stats::{
    ArmTick, Assessment, Dealt, Judge, JudgeConfig, JudgeSettings, Metric, Outcome, Tick,
};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// What is counted as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Request,
    Session,
}

/// Numbers of both arms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Seen {
    pub stable: u64,
    pub canary: u64,
}

/// A verdict, and all that was known when it was reached.
#[derive(Debug, Clone)]
pub struct Decision {
    pub outcome: Outcome,
    pub t: Number,
    pub tick: u64,
    pub assessment: Assessment,
    pub requests: Seen,
    pub sessions: Seen,
}

/// One run.
#[derive(Debug)]
pub struct Run {
    pub name: String,
    /// Settings of a header.
    header: Option<Box<JudgeSettings>>,
    judging: Option<Box<Judging>>,
    /// Its last tick: t, and the line it was on.
    last: Option<(f64, u64)>,
    /// Cumulative counts of the line before.
    before: Option<Box<Counts>>,
    /// Ticks so far.
    pub ticks: u64,
    /// Ticks not used because a counter was restarted.
    pub restarted: u64,
    /// Lines that were wrong.
    pub skipped: u64,
    /// The last line was wrong: what it would have said is not known.
    unknown: bool,
    requests: Seen,
    sessions: Seen,
    /// FAIL, or the first PASS, or since when it is invalid.
    decision: Option<Box<Decision>>,
    latest: Option<Number>,
    pub recorded: Option<String>,
}

/// What exists from the first tick on.
#[derive(Debug)]
struct Judging {
    judge: Judge,
    unit: Unit,
    errors: bool,
    latency: bool,
    /// The metrics are those the first tick had: nothing else may come later.
    by_data: bool,
    named: BTreeSet<String>,
}

/// A tick that was checked.
struct Checked {
    t: Number,
    seconds: u32,
    before: bool,
    alone: bool,
    tick: Tick,
    requests: Seen,
    sessions: Seen,
}

impl Run {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            header: None,
            judging: None,
            last: None,
            before: None,
            ticks: 0,
            restarted: 0,
            skipped: 0,
            unknown: false,
            requests: Seen::default(),
            sessions: Seen::default(),
            decision: None,
            latest: None,
            recorded: None,
        }
    }

    /// Takes the settings of a header.
    pub fn begin(&mut self, args: &JudgeArgs, settings: Box<JudgeSettings>) -> Result<(), Wrong> {
        if self.judging.is_some() {
            return Err("settings come before the first tick of their run".to_owned());
        }
        JudgeConfig::new(args.over((*settings).clone())).map_err(|error| error.to_string())?;
        self.header = Some(settings);
        Ok(())
    }

    /// A line of this run was wrong and is skipped.
    pub fn skip(&mut self) {
        self.skipped += 1;
        self.unknown = true;
    }

    /// Takes a tick. Whether it was judged: not when it only began or restarted a counter, or when
    /// the verdict is final.
    pub fn tick(&mut self, args: &JudgeArgs, line: &mut Line<'_>, at: u64) -> Result<bool, Wrong> {
        let (t, time) = self.time(line)?;
        let seconds = line.seconds.map(counts::seconds).transpose()?;
        let seconds = seconds.unwrap_or_else(|| self.elapsed(time));
        let counts = Counts::of(line)?;
        // Kept only when the line is good, so that a bad one does not become the new beginning.
        let raw = args.cumulative.then(|| Box::new(counts.clone()));
        let Some(fresh) = self.fresh(args, counts) else {
            self.restarted += u64::from(self.before.is_some());
            self.before = raw;
            self.arrived(t, time, at);
            return Ok(false);
        };
        if self.judging.is_none() {
            self.judging = Some(Box::new(Judging::new(args, self.header.as_deref(), &fresh)?));
        }
        let Some(judging) = self.judging.as_ref() else { return Ok(false) };
        let checked = judging.check(line, fresh, (t, seconds))?;
        self.before = raw;
        self.arrived(t, time, at);
        Ok(self.observe(args, &checked))
    }

    /// The time of a line, which must be later than that of the line before.
    fn time(&self, line: &Line<'_>) -> Result<(Number, f64), Wrong> {
        let t = line.t.ok_or("t is missing: seconds since the start, at the end of the tick")?;
        let time = counts::time(t, line.before)?;
        let Some((last, there)) = self.last else { return Ok((t, time)) };
        match time.total_cmp(&last) {
            Ordering::Greater => Ok((t, time)),
            Ordering::Equal => Err(format!(
                "t is {t} as on line {there}: a tick counts once; add up what belongs together"
            )),
            Ordering::Less => Err(format!(
                "t is {t} after {last} on line {there}: time does not go back within a run (was a \
                 clock set?)"
            )),
        }
    }

    /// Whole seconds since the last tick, such that all of them add up to the time.
    fn elapsed(&self, time: f64) -> u32 {
        let last = self.last.map_or(time.min(0.0), |(last, _)| last);
        (time.floor() - last.floor()).clamp(0.0, f64::from(u32::MAX)) as u32
    }

    /// What is new in a line. `None`: the first of cumulative counts, or after a restart.
    fn fresh(&self, args: &JudgeArgs, counts: Counts) -> Option<Counts> {
        if !args.cumulative {
            return Some(counts);
        }
        counts.since(self.before.as_ref()?)
    }

    fn arrived(&mut self, t: Number, time: f64, at: u64) {
        self.last = Some((time, at));
        self.latest = Some(t);
        self.ticks += 1;
        self.unknown = false;
    }

    /// Whether nothing more can change the verdict.
    fn is_over(&self, args: &JudgeArgs) -> bool {
        self.decision.as_ref().is_some_and(|decision| match decision.outcome {
            Outcome::Fail => true,
            Outcome::Pass => args.first,
            _ => false,
        })
    }

    fn observe(&mut self, args: &JudgeArgs, checked: &Checked) -> bool {
        if self.is_over(args) {
            return false;
        }
        let Some(judging) = self.judging.as_mut() else { return false };
        judging.observe(checked);
        if !checked.before {
            self.requests.add(checked.requests);
            self.sessions.add(checked.sessions);
        }
        let assessment = judging.judge.assess(args.rung);
        self.decide(args, checked, assessment);
        true
    }

    /// FAIL is final; PASS stays unless FAIL or INVALID comes; INVALID stays while it lasts.
    fn decide(&mut self, args: &JudgeArgs, checked: &Checked, assessment: Assessment) {
        let mut outcome = assessment.outcome;
        if outcome == Outcome::Pass && !self.is_long_enough(args, checked) {
            outcome = Outcome::Continue;
        }
        let held = self.decision.as_ref().map(|decision| decision.outcome);
        let news = match (held, outcome) {
            (Some(held), now) if held == now => return,
            (_, Outcome::Fail | Outcome::Invalid) => true,
            (held, Outcome::Pass) => held.is_none_or(|held| held == Outcome::Invalid),
            (held, _) => held == Some(Outcome::Invalid),
        };
        if !news {
            return;
        }
        let decided = matches!(outcome, Outcome::Fail | Outcome::Pass | Outcome::Invalid);
        self.decision = decided.then(|| {
            Box::new(Decision {
                outcome,
                t: checked.t,
                tick: self.ticks,
                assessment,
                requests: self.requests,
                sessions: self.sessions,
            })
        });
    }

    fn is_long_enough(&self, args: &JudgeArgs, checked: &Checked) -> bool {
        let judged = self.judging.as_ref().map_or(Unit::Request, |judging| judging.unit);
        let seen = if judged == Unit::Session { self.sessions } else { self.requests };
        seen.canary >= args.min_requests && checked.t.float() >= args.min_time.as_secs_f64()
    }

    /// What is counted as one.
    pub fn unit(&self) -> Unit {
        self.judging.as_ref().map_or(Unit::Request, |judging| judging.unit)
    }

    /// The verdict when there is nothing more to come. `None`: there was no tick.
    pub fn verdict(&self, args: &JudgeArgs) -> Option<Decision> {
        let held = self.decision.as_deref();
        let final_fail = held.is_some_and(|decision| decision.outcome == Outcome::Fail);
        if let Some(held) = held.filter(|_| final_fail || !self.unknown) {
            return Some(held.clone());
        }
        let now = self.now(args)?;
        let outcome = if self.unknown { Outcome::Invalid } else { now.outcome };
        Some(Decision { outcome, ..now })
    }

    /// The state after the last tick.
    pub fn now(&self, args: &JudgeArgs) -> Option<Decision> {
        let judging = self.judging.as_ref()?;
        let assessment = judging.judge.assess(args.rung);
        // A PASS that came too early to count is none yet.
        let early = assessment.outcome == Outcome::Pass && self.decision.is_none();
        Some(Decision {
            outcome: if early { Outcome::Continue } else { assessment.outcome },
            t: self.latest?,
            tick: self.ticks,
            assessment,
            requests: self.requests,
            sessions: self.sessions,
        })
    }

    /// Whether the last line of the run was wrong.
    pub fn is_unknown(&self) -> bool {
        self.unknown
    }
}

impl Seen {
    fn add(&mut self, more: Self) {
        self.stable = self.stable.saturating_add(more.stable);
        self.canary = self.canary.saturating_add(more.canary);
    }
}

impl Judging {
    fn new(
        args: &JudgeArgs,
        header: Option<&JudgeSettings>,
        first: &Counts,
    ) -> Result<Self, Wrong> {
        let arms = || first.stable.iter().chain(&first.canary);
        let has = |what: fn(&Arm) -> bool| arms().any(what);
        let mut base = header.cloned().unwrap_or_default();
        let by_data = header.is_none() && !args.names_metrics();
        if by_data {
            let errors = has(|arm| arm.k.is_some()).then_some(Metric::Errors);
            let latency = has(|arm| arm.hist.is_some()).then_some(Metric::Latency);
            base.metrics = errors.into_iter().chain(latency).map(Into::into).collect();
        }
        let unit = if has(|arm| arm.sessions.is_some()) { Unit::Session } else { Unit::Request };
        let mut settings = args.over(base);
        settings.late_onset &= unit == Unit::Request;
        if settings.metrics.is_empty() {
            return Err("there is neither k nor hist to judge by; name the metrics".to_owned());
        }
        let judged = |metric| settings.metrics.iter().any(|m| m.metric == metric);
        let named = settings.metrics.iter().filter_map(|m| match &m.metric {
            Metric::Named(name) => Some(name.clone()),
            _ => None,
        });
        Ok(Self {
            errors: judged(Metric::Errors),
            latency: judged(Metric::Latency) || judged(Metric::MeanLatency),
            named: named.collect(),
            by_data,
            unit,
            judge: Judge::new(JudgeConfig::new(settings).map_err(|error| error.to_string())?),
        })
    }

    fn check(
        &self,
        line: &Line<'_>,
        counts: Counts,
        (t, seconds): (Number, u32),
    ) -> Result<Checked, Wrong> {
        are_arms_there(line, &counts)?;
        let mut seen = [Seen::default(); 2];
        let mut arm = |name, arm: Option<Arm>, canary: bool| {
            let arm = arm.unwrap_or_default();
            let put =
                |seen: &mut Seen, n| *if canary { &mut seen.canary } else { &mut seen.stable } = n;
            let (tick, requests) = self.arm(name, &arm)?;
            put(&mut seen[0], requests);
            put(&mut seen[1], arm.sessions.unwrap_or(0));
            Ok::<_, Wrong>(tick)
        };
        let baseline = arm("stable", counts.stable, false)?;
        let canary = arm("canary", counts.canary, true)?;
        if let Some(name) = counts.samples.keys().find(|name| !self.named.contains(*name)) {
            return Err(format!("nobody judges the metric {name}: say --named {name}=KIND"));
        }
        let of = |name: String| Metric::Named(name);
        let tick = Tick {
            seconds,
            dealt: dealt(line, counts.dealt, &baseline, &canary)?,
            baseline,
            canary,
            split: counts.split,
            replicas: counts.replicas,
            samples: counts.samples.into_iter().map(|(name, sample)| (of(name), sample)).collect(),
        };
        if !tick.is_possible() {
            return Err(
                "the counts contradict each other: some part is larger than its whole".into()
            );
        }
        let (before, alone) = (line.before, line.alone);
        Ok(Checked { t, seconds, before, alone, tick, requests: seen[0], sessions: seen[1] })
    }

    /// One arm as the judge takes it, and its requests.
    fn arm(&self, name: &str, arm: &Arm) -> Result<(ArmTick, u64), Wrong> {
        let timed = arm.hist.as_ref().map_or(0, serin_stats::Histogram::total);
        let k = arm.k.unwrap_or(arm.unfinished);
        let n = self.units(name, arm, timed.saturating_add(k))?;
        if k > n {
            return Err(format!("{name}.k is {k}, more than its {n} {}", self.units_word()));
        }
        if arm.unfinished > k {
            return Err(format!(
                "{name}.unfinished is {}, but only {k} failed (k)",
                arm.unfinished
            ));
        }
        self.fits(name, arm, n)?;
        // Errors nobody judges do not take their requests out of the histogram.
        let errors = if self.errors { k } else { arm.unfinished };
        if timed > n - errors {
            return Err(format!(
                "{name}.hist has {timed} {}, but only {} did not fail: count those alone",
                self.units_word(),
                n - errors
            ));
        }
        let latency = arm.hist.clone().unwrap_or_default();
        let (unfinished, aborted) = (arm.unfinished, arm.aborted);
        let requests = arm.n.unwrap_or(if self.unit == Unit::Session { 0 } else { n });
        Ok((ArmTick { n, errors, latency, unfinished, aborted }, requests))
    }

    fn units(&self, name: &str, arm: &Arm, otherwise: u64) -> Result<u64, Wrong> {
        match (self.unit, arm.sessions, arm.n) {
            (Unit::Request, Some(_), _) => {
                Err(format!("{name} has sessions where this run began with requests"))
            }
            (Unit::Session, Some(s), Some(n)) if s > n => {
                Err(format!("{name} has {s} sessions in {n} requests"))
            }
            (Unit::Session, Some(s), _) => Ok(s),
            (Unit::Session, None, _) if otherwise > 0 || arm.n.unwrap_or(0) > 0 => {
                Err(format!("{name}.sessions is missing where this run began with sessions"))
            }
            (Unit::Session, None, _) => Ok(0),
            (Unit::Request, None, n) => Ok(n.unwrap_or(otherwise)),
        }
    }

    /// Nothing that is judged may be missing, and nothing may come that nobody judges by oversight.
    fn fits(&self, name: &str, arm: &Arm, n: u64) -> Result<(), Wrong> {
        if self.errors && arm.k.is_none() && n > 0 {
            return Err(format!("{name}.k is missing: no count of errors is not zero errors"));
        }
        if self.by_data && !self.errors && arm.k.is_some() {
            return Err(late(name, "k", "errors"));
        }
        if self.by_data && !self.latency && arm.hist.is_some() {
            return Err(late(name, "hist", "latency"));
        }
        Ok(())
    }

    fn units_word(&self) -> &'static str {
        if self.unit == Unit::Session { "sessions" } else { "requests" }
    }

    fn observe(&mut self, checked: &Checked) {
        let Checked { seconds, before, alone, tick, .. } = checked;
        if *alone {
            self.judge.observe_alone(*seconds, &tick.canary);
        } else if !*before {
            self.judge.observe(tick);
        } else if self.judge.config().settings().random_routing {
            // Who was to be canary does not matter then: stable's latency is what there is to learn.
            self.judge.observe(&Tick { canary: ArmTick::default(), dealt: None, ..tick.clone() });
        } else {
            self.judge.observe_before(tick);
        }
    }
}

/// A missing arm is not an arm without requests.
fn are_arms_there(line: &Line<'_>, counts: &Counts) -> Result<(), Wrong> {
    if line.before && line.alone {
        return Err("a tick is not both before the rollout and after the comparison".into());
    }
    let only_samples = !counts.samples.is_empty() && !line.alone;
    let zero = "write {\"n\":0,\"k\":0} where it had no requests";
    if counts.canary.is_none() && !only_samples {
        return Err(format!("canary is missing; {zero}"));
    }
    if counts.stable.is_none() && !only_samples && !line.alone {
        return Err(format!("stable is missing; {zero}"));
    }
    Ok(())
}

fn late(name: &str, key: &str, metric: &str) -> Wrong {
    format!(
        "{name}.{key} comes after a first tick without it: say --metrics with or without {metric}"
    )
}

/// What was dealt and planned.
fn dealt(
    line: &Line<'_>,
    counts: Option<(u64, u64)>,
    stable: &ArmTick,
    canary: &ArmTick,
) -> Result<Option<Dealt>, Wrong> {
    let Some(weight) = line.weight else {
        let alone = "dealt needs weight: the share that was planned";
        return if counts.is_some() { Err(alone.to_owned()) } else { Ok(None) };
    };
    let share = counts::weight(weight)?;
    let all = |arm: &ArmTick| arm.n.saturating_add(arm.aborted);
    let (baseline, canary) = counts.unwrap_or((all(stable), all(canary)));
    Ok(Some(Dealt { baseline, canary, share }))
}
