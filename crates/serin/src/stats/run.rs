//! One run of the stream: its judge, and the verdict so far. Holds state, never the ticks.

use super::counts::{self, Counts, Wrong};
use super::judging::{Checked, Header, Judging, Seen, Unit, asked};
use super::line::{Line, Number, Recorded};
use super::settings::JudgeArgs;
use serin_stats::{Assessment, Judge, JudgeConfig, JudgeSettings, Outcome, Rung};
use std::cmp::Ordering;

/// A verdict, and all that was known when it was reached.
#[derive(Debug, Clone)]
pub struct Decision {
    pub outcome: Outcome,
    /// What was asked for then.
    pub rung: Rung,
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
    header: Option<Header>,
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
    /// The rung of the last tick that named one.
    rung: Option<Rung>,
    pub recorded: Option<Box<Recorded>>,
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
            rung: None,
            recorded: None,
        }
    }

    /// Takes the settings of a header, and the judge it begins with if there is one.
    pub fn begin(
        &mut self,
        args: &JudgeArgs,
        settings: Box<JudgeSettings>,
        judge: Option<Box<Judge>>,
    ) -> Result<(), Wrong> {
        if self.judging.is_some() || self.header.is_some() {
            return Err("settings come once, before the first tick of their run".to_owned());
        }
        JudgeConfig::new(args.over((*settings).clone())).map_err(|error| error.to_string())?;
        self.header = Some(Header { settings, judge });
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
        let rung = asked(line)?.or(self.rung);
        if line.cleared {
            self.rung = rung;
            return self.clear(args, line, (t, time, at));
        }
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
            self.judging = Some(Box::new(Judging::new(args, self.header.as_ref(), &fresh)?));
        }
        let Some(judging) = self.judging.as_ref() else { return Ok(false) };
        let checked = judging.check(line, fresh, (t, seconds))?;
        self.before = raw;
        self.arrived(t, time, at);
        self.rung = rung;
        Ok(self.observe(args, &checked))
    }

    /// A person looked at a tripped guard.
    fn clear(
        &mut self,
        args: &JudgeArgs,
        line: &Line<'_>,
        (t, time, at): (Number, f64, u64),
    ) -> Result<bool, Wrong> {
        if line.stable.is_some() || line.canary.is_some() {
            return Err("what is cleared has no counts: write it on a line of its own".to_owned());
        }
        let judging = self.judging.as_mut().ok_or("there is no tick before this to be cleared")?;
        judging.judge.clear_guards();
        (self.last, self.latest) = (Some((time, at)), Some(t));
        self.look(args, t);
        Ok(true)
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
        self.look(args, checked.t);
        true
    }

    /// What is asked for now.
    fn asked(&self, args: &JudgeArgs) -> Rung {
        args.rung.or(self.rung).unwrap_or(Rung::LAST)
    }

    /// Looks at the evidence after something new.
    fn look(&mut self, args: &JudgeArgs, t: Number) {
        let Some(judging) = self.judging.as_ref() else { return };
        let assessment = judging.judge.assess(self.asked(args));
        self.decide(args, t, assessment);
    }

    /// FAIL is final; INVALID stays while it lasts; PASS stays unless one of them comes, but where
    /// a rollout's own rungs are told, only while it lasts, as there.
    fn decide(&mut self, args: &JudgeArgs, t: Number, assessment: Assessment) {
        let mut outcome = assessment.outcome;
        if outcome == Outcome::Pass && !self.is_long_enough(args, t) {
            outcome = Outcome::Continue;
        }
        let rung = self.asked(args);
        // A PASS answers what was asked: the next rung asks for more.
        self.decision =
            self.decision.take().filter(|d| d.outcome != Outcome::Pass || d.rung == rung);
        let held = self.decision.as_ref().map(|decision| decision.outcome);
        let news = match (held, outcome) {
            (Some(held), now) if held == now => return,
            (_, Outcome::Fail | Outcome::Invalid) => true,
            (held, Outcome::Pass) => held.is_none_or(|held| held == Outcome::Invalid),
            (Some(Outcome::Pass), _) => self.rung.is_some() && args.rung.is_none(),
            (held, _) => held == Some(Outcome::Invalid),
        };
        if !news {
            return;
        }
        let decided = matches!(outcome, Outcome::Fail | Outcome::Pass | Outcome::Invalid);
        self.decision = decided.then(|| {
            Box::new(Decision {
                outcome,
                rung,
                t,
                tick: self.ticks,
                assessment,
                requests: self.requests,
                sessions: self.sessions,
            })
        });
    }

    fn is_long_enough(&self, args: &JudgeArgs, t: Number) -> bool {
        let judged = self.judging.as_ref().map_or(Unit::Request, |judging| judging.unit);
        let seen = if judged == Unit::Session { self.sessions } else { self.requests };
        seen.canary >= args.min_requests && t.float() >= args.min_time.as_secs_f64()
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
        let assessment = judging.judge.assess(self.asked(args));
        // A PASS that came too early to count is none yet.
        let early = assessment.outcome == Outcome::Pass && self.decision.is_none();
        Some(Decision {
            outcome: if early { Outcome::Continue } else { assessment.outcome },
            rung: self.asked(args),
            t: self.latest?,
            tick: self.ticks,
            assessment,
            requests: self.requests,
            sessions: self.sessions,
        })
    }

    /// Whether the last state is the one on record, to the bit. `None`: nothing is on record.
    pub fn agrees(&self, args: &JudgeArgs) -> Option<bool> {
        let recorded = self.recorded.as_ref().filter(|recorded| recorded.complete)?;
        let now = self.judging.as_ref()?.judge.assess(self.asked(args));
        let evidence = recorded.evidence.is_none_or(|e| e.to_bits() == now.fail_evidence.to_bits());
        Some(recorded.verdict? == now.outcome && evidence)
    }

    /// Whether the last line of the run was wrong.
    pub fn is_unknown(&self) -> bool {
        self.unknown
    }
}
