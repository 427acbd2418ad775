//! What is said: a line a run, a line a tick, and the totals.

use super::judging::{Seen, Unit};
use super::line::Number;
use super::run::{Decision, Run};
use super::settings::JudgeArgs;
use crate::render::words::count;
use serde::Serialize;
use serin_stats::{Assessment, LatencySummary, Metric, MetricAssessment, Outcome, Role, Rung};
use std::fmt::Write as _;

/// A verdict.
#[derive(Debug, Serialize)]
pub struct VerdictLine<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'static str>,
    run: &'a str,
    /// FAIL, PASS, CONTINUE, NODATA or INVALID.
    pub verdict: &'static str,
    t: Option<Number>,
    tick: Option<u64>,
    unit: &'static str,
    /// What was asked for, when it was not the last rung of a ladder of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    rung: Option<(u32, u32)>,
    evidence: Option<Evidence>,
    rates: Rates,
    interval: Option<(f64, f64)>,
    requests: Seen,
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<Seen>,
    blame: Vec<&'a Metric>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invalid: Option<String>,
    ticks: u64,
    #[serde(skip_serializing_if = "is_zero")]
    restarted: u64,
    #[serde(skip_serializing_if = "is_zero")]
    skipped: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<&'static str>,
    /// Whether the last state is the recorded one, to the bit.
    #[serde(skip_serializing_if = "Option::is_none")]
    agrees: Option<bool>,
    metrics: Vec<MetricLine<'a>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Evidence in nats, and as the e-values people bet with.
#[derive(Debug, Clone, Copy, Serialize)]
struct Evidence {
    fail: f64,
    fail_needed: f64,
    pass: f64,
    pass_needed: f64,
    fail_e: f64,
    fail_e_needed: f64,
    pass_e: f64,
    pass_e_needed: f64,
}

#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Rates {
    stable: Option<f64>,
    canary: Option<f64>,
}

/// One metric of a verdict.
#[derive(Debug, Serialize)]
struct MetricLine<'a> {
    metric: &'a Metric,
    role: Role,
    verdict: &'static str,
    n: Seen,
    k: Seen,
    rates: Rates,
    limit: Option<f64>,
    interval: Option<(f64, f64)>,
    evidence: Evidence,
    requests_missing: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<LatencySummary>,
}

/// The state after a tick.
#[derive(Debug, Serialize)]
pub struct TraceLine<'a> {
    run: &'a str,
    tick: u64,
    t: Number,
    state: &'static str,
    evidence: Evidence,
    rates: Rates,
    interval: Option<(f64, f64)>,
    requests: Seen,
}

impl<'a> VerdictLine<'a> {
    /// The line of a run. Without a decision there was no tick to judge.
    pub fn of(
        run: &'a Run,
        decision: Option<&'a Decision>,
        args: &JudgeArgs,
        schema: bool,
    ) -> Self {
        let assessment = decision.map(|decision| &decision.assessment);
        let leading = assessment.and_then(leading);
        let outcome = decision.map_or(Outcome::NoData, |decision| decision.outcome);
        let guard = assessment.and_then(|a| a.invalid.as_ref()).map(ToString::to_string);
        let unknown = "the last line was wrong: what it had to say is not known".to_owned();
        let why = if run.is_unknown() { Some(unknown) } else { guard };
        Self {
            schema: schema.then_some("serin.verdict/v1"),
            run: &run.name,
            verdict: word(outcome),
            t: decision.map(|decision| decision.t),
            tick: decision.map(|decision| decision.tick),
            unit: if run.unit() == Unit::Session { "session" } else { "request" },
            rung: decision.map(|d| d.rung).filter(|r| *r != Rung::LAST).map(|r| (r.j, r.m)),
            evidence: assessment.map(Evidence::of),
            rates: leading.map(Rates::of).unwrap_or_default(),
            interval: leading.and_then(|m| m.interval),
            requests: decision.map(|decision| decision.requests).unwrap_or_default(),
            sessions: decision.filter(|_| run.unit() == Unit::Session).map(|d| d.sessions),
            blame: assessment.map(|a| a.blame.iter().collect()).unwrap_or_default(),
            invalid: why.filter(|_| outcome == Outcome::Invalid),
            ticks: run.ticks,
            restarted: run.restarted,
            skipped: run.skipped,
            recorded: run.recorded.as_ref().and_then(|r| r.verdict).map(word),
            agrees: run.agrees(args),
            metrics: assessment
                .map(|a| a.metrics.iter().map(MetricLine::of).collect())
                .unwrap_or_default(),
        }
    }
}

impl<'a> TraceLine<'a> {
    /// The line of a state.
    pub fn of(run: &'a str, state: &Decision) -> Self {
        let leading = leading(&state.assessment);
        Self {
            run,
            tick: state.tick,
            t: state.t,
            state: word(state.outcome),
            evidence: Evidence::of(&state.assessment),
            rates: leading.map(Rates::of).unwrap_or_default(),
            interval: leading.and_then(|m| m.interval),
            requests: state.requests,
        }
    }
}

/// The metric whose rates stand for the version: errors, or the first.
fn leading(assessment: &Assessment) -> Option<&MetricAssessment> {
    let errors = assessment.metrics.iter().find(|m| m.metric == Metric::Errors);
    errors.or(assessment.metrics.first())
}

impl Evidence {
    /// Of the version: PASS needs every critical metric, so the weakest one speaks.
    fn of(assessment: &Assessment) -> Self {
        let critical = || assessment.metrics.iter().filter(|m| m.role == Role::Critical);
        let pass = critical().map(|m| m.pass_evidence).reduce(f64::min).unwrap_or(0.0);
        let needed = critical().map(|m| m.pass_needed).reduce(f64::max).unwrap_or(0.0);
        Self::nats((assessment.fail_evidence, assessment.fail_needed), (pass, needed))
    }

    fn nats((fail, fail_needed): (f64, f64), (pass, pass_needed): (f64, f64)) -> Self {
        // Nothing but the rounding of a sum.
        let clean = |nats: f64| if nats.abs() < 1e-12 { 0.0 } else { nats };
        Self {
            fail: clean(fail),
            fail_needed,
            pass: clean(pass),
            pass_needed,
            fail_e: e(fail),
            fail_e_needed: e(fail_needed),
            pass_e: e(pass),
            pass_e_needed: e(pass_needed),
        }
    }
}

/// The e-value of so many nats, in nine digits. One too large for a float is the largest.
fn e(nats: f64) -> f64 {
    let e = nats.exp().min(f64::MAX);
    format!("{e:.8e}").parse().unwrap_or(e)
}

impl Rates {
    fn of(metric: &MetricAssessment) -> Self {
        Self { stable: metric.baseline_rate, canary: metric.canary_rate }
    }
}

impl<'a> MetricLine<'a> {
    fn of(m: &'a MetricAssessment) -> Self {
        Self {
            metric: &m.metric,
            role: m.role,
            verdict: word(m.outcome),
            n: Seen { stable: m.baseline_n, canary: m.canary_n },
            k: Seen { stable: m.baseline_events, canary: m.canary_events },
            rates: Rates::of(m),
            limit: m.limit,
            interval: m.interval,
            evidence: Evidence::nats(
                (m.fail_evidence, m.fail_needed),
                (m.pass_evidence, m.pass_needed),
            ),
            requests_missing: m.requests_missing,
            latency_ms: m.latency,
        }
    }
}

/// The word of a verdict.
fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Fail => "FAIL",
        Outcome::Pass => "PASS",
        Outcome::Continue => "CONTINUE",
        Outcome::NoData => "NODATA",
        Outcome::Invalid => "INVALID",
    }
}

/// How many runs ended how.
#[derive(Debug, Default)]
pub struct Totals {
    runs: u64,
    verdicts: [u64; 5],
    restarted: u64,
}

const WORDS: [&str; 5] = ["FAIL", "PASS", "CONTINUE", "NODATA", "INVALID"];

impl Totals {
    /// Counts a run.
    pub fn add(&mut self, run: &Run, verdict: &str) {
        self.runs += 1;
        self.restarted += run.restarted;
        if let Some(at) = WORDS.iter().position(|word| *word == verdict) {
            self.verdicts[at] += 1;
        }
    }

    /// The line for people.
    pub fn text(&self, lines: u64, bad: u64) -> String {
        let counts: Vec<_> =
            WORDS.iter().zip(self.verdicts).map(|(word, n)| format!("{n} {word}")).collect();
        let (runs, lines) = (count(self.runs, "run"), count(lines, "line"));
        let mut text = format!("{runs}, {lines}: {}", counts.join(", "));
        if self.restarted > 0 {
            let _ =
                write!(text, "; {} dropped at a restarted counter", count(self.restarted, "tick"));
        }
        if bad > 0 {
            let _ = write!(text, "; {} skipped", count(bad, "bad line"));
        }
        text
    }
}
