//! What judges one run, and which lines it takes.

use super::counts::{self, Arm, Counts, Wrong};
use super::line::{Line, Number};
use super::settings::JudgeArgs;
use serin_stats::{
    ArmTick, Dealt, Histogram, Judge, JudgeConfig, JudgeSettings, Metric, Rung, Tick,
};
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

impl Seen {
    /// Adds those of a tick.
    pub fn add(&mut self, more: Self) {
        self.stable = self.stable.saturating_add(more.stable);
        self.canary = self.canary.saturating_add(more.canary);
    }
}

/// What came before the first tick.
#[derive(Debug)]
pub struct Header {
    pub settings: Box<JudgeSettings>,
    /// A judge with the evidence of an earlier try.
    pub judge: Option<Box<Judge>>,
}

/// What exists from the first tick on.
#[derive(Debug)]
pub struct Judging {
    pub judge: Judge,
    pub unit: Unit,
    errors: bool,
    latency: bool,
    /// The metrics are those the first tick had: nothing else may come later.
    by_data: bool,
    named: BTreeSet<String>,
}

/// A tick that was checked.
pub struct Checked {
    pub t: Number,
    seconds: u32,
    pub before: bool,
    alone: bool,
    tick: Tick,
    pub requests: Seen,
    pub sessions: Seen,
}

impl Judging {
    /// As header, options and the first counts say.
    pub fn new(args: &JudgeArgs, header: Option<&Header>, first: &Counts) -> Result<Self, Wrong> {
        let arms = || first.stable.iter().chain(&first.canary);
        let has = |what: fn(&Arm) -> bool| arms().any(what);
        let mut base = header.map_or_else(JudgeSettings::default, |h| (*h.settings).clone());
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
            judge: judge_of(settings, header.and_then(|h| h.judge.as_deref()))?,
        })
    }

    /// Checks the counts against each other.
    pub fn check(
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
            canary_split: counts.canary_split,
            replicas: counts.replicas,
            samples: counts.samples.into_iter().map(|(name, sample)| (of(name), sample)).collect(),
            crossed: 0,
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
        let timed = arm.hist.as_ref().map_or(0, Histogram::total);
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
        if timed > n - arm.unfinished {
            return Err(format!(
                "{name}.hist has {timed} {}, more than the {} there were in time",
                self.units_word(),
                n - arm.unfinished
            ));
        }
        let latency = arm.hist.as_ref().map_or_else(Histogram::new, |h| thinned(h, n - errors));
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

    /// Adds a tick.
    pub fn observe(&mut self, checked: &Checked) {
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

/// At most `most` of what a histogram holds. One of all requests holds the failed ones too, and does
/// not say which they are: they are taken out evenly over the whole distribution.
fn thinned(all: &Histogram, most: u64) -> Histogram {
    let total = all.total();
    if total <= most {
        return all.clone();
    }
    let kept = |seen: u64| (u128::from(seen) * u128::from(most) / u128::from(total)) as u64;
    let mut seen = 0_u64;
    let share = |(bucket, count): (u16, u64)| {
        let before = kept(seen);
        seen = seen.saturating_add(count);
        (bucket, kept(seen) - before)
    };
    all.iter().map(share).collect()
}

/// A judge at its beginning.
fn judge_of(settings: JudgeSettings, inherited: Option<&Judge>) -> Result<Judge, Wrong> {
    let config = JudgeConfig::new(settings).map_err(|error| error.to_string())?;
    let Some(judge) = inherited else { return Ok(Judge::new(config)) };
    judge.clone().with_risks(&config).ok_or_else(|| {
        "this run goes on with the evidence of an earlier try, which is about its own settings: \
         leave out the options"
            .to_owned()
    })
}

/// The rung a line names.
pub fn asked(line: &Line<'_>) -> Result<Option<Rung>, Wrong> {
    match line.rung {
        None => Ok(None),
        Some((j, m)) if (1..=m).contains(&j) => Ok(Some(Rung { j, m })),
        Some((j, m)) => Err(format!("rung is [{j}, {m}]; it is [j, m] with j from 1 to m")),
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
