//! What the judge of a rollout was given, as JSON lines: one that begins, one for each thing in
//! order, one with the verdict on record. Judged again they give that verdict, bit by bit.

use serde::Serialize;
use serin_core::{Given, RecordedTick, Timestamp};
use serin_stats::{
    ArmTick, Assessment, Histogram, Judge, JudgeSettings, Metric, Outcome, Rung, Sample, Tick,
};
use std::collections::BTreeMap;

/// Writes the lines of one rollout.
#[derive(Debug)]
pub struct Export {
    run: String,
    start: Timestamp,
    /// Time of the last tick, so that no two have the same.
    last: Option<f64>,
    ticks: u64,
}

/// The first line.
#[derive(Serialize)]
struct Header<'a> {
    run: &'a str,
    settings: &'a JudgeSettings,
    rungs: u32,
    /// Where the judge begins, when evidence of an earlier try counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    judge: Option<&'a Judge>,
}

/// A line in between.
#[derive(Serialize)]
struct TickLine<'a> {
    run: &'a str,
    t: f64,
    seconds: u32,
    stable: Arm,
    canary: Arm,
    /// The canary's planned share of both.
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dealt: Option<Both<u64>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    split: &'a [(u64, u64)],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    canary_split: &'a [(u64, u64)],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    replicas: &'a BTreeMap<String, (u64, u64)>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    samples: BTreeMap<String, SampleLine>,
    #[serde(skip_serializing_if = "is_false")]
    alone: bool,
    rung: (u32, u32),
}

/// Both arms' part of something.
#[derive(Serialize)]
struct Both<T> {
    stable: T,
    canary: T,
}

#[derive(Serialize)]
struct Arm {
    n: u64,
    k: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    hist: Option<BTreeMap<u16, u64>>,
    #[serde(skip_serializing_if = "is_zero")]
    unfinished: u64,
    #[serde(skip_serializing_if = "is_zero")]
    aborted: u64,
}

/// Numbers of a metric of its own.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum SampleLine {
    Share(Both<(u64, u64)>),
    Count(Both<(f64, u64)>),
    Mean(Both<serin_stats::Moments>),
    MeanError(Both<(f64, f64)>),
}

/// A person looked at a tripped guard.
#[derive(Serialize)]
struct ClearedLine<'a> {
    run: &'a str,
    t: f64,
    cleared: bool,
    rung: (u32, u32),
}

/// The last line.
#[derive(Serialize)]
struct Trailer<'a> {
    run: &'a str,
    recorded: Recorded<'a>,
}

/// The verdict on record.
#[derive(Serialize)]
struct Recorded<'a> {
    /// Since when what the judge was given is kept no longer, ms of Unix time. First, so that the
    /// beginning of the line tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    gone_since: Option<Timestamp>,
    verdict: Option<Outcome>,
    rung: Option<(u32, u32)>,
    /// `ln` of the e-value the rollout was judged by, and what rolls it back.
    evidence: Option<f64>,
    needed: Option<f64>,
    blame: &'a [Metric],
    /// Whether everything the judge was given is here.
    complete: bool,
    assessment: Option<&'a Assessment>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(yes: &bool) -> bool {
    !yes
}

impl Export {
    /// The lines of rollout `id` of `service`.
    pub fn new(service: &str, id: u64) -> Self {
        Self { run: format!("{service}/{id}"), start: Timestamp(0), last: None, ticks: 0 }
    }

    /// The line of one thing the judge was given, without the end of the line.
    ///
    /// # Errors
    /// Never with what a judge can be given.
    pub fn line(&mut self, tick: &RecordedTick) -> serde_json::Result<String> {
        self.ticks += 1;
        let rung = (tick.rung.j, tick.rung.m);
        match &tick.given {
            Given::Start { settings, rungs, inherited } => {
                self.start = tick.at;
                let judge = inherited.as_deref();
                serde_json::to_string(&Header { run: &self.run, settings, rungs: *rungs, judge })
            }
            Given::Tick(given) => self.tick(tick.at, given, rung, false),
            Given::Alone(given) => self.tick(tick.at, given, rung, true),
            Given::Cleared => {
                let t = self.time(tick.at);
                serde_json::to_string(&ClearedLine { run: &self.run, t, cleared: true, rung })
            }
        }
    }

    /// The last line; `gone_since` when the ticks were given up.
    ///
    /// # Errors
    /// Never with what a judge says.
    pub fn end(
        &self,
        said: Option<&Assessment>,
        rung: Option<Rung>,
        gone_since: Option<Timestamp>,
    ) -> serde_json::Result<String> {
        let recorded = Recorded {
            gone_since,
            verdict: said.map(|a| a.outcome),
            rung: rung.map(|rung| (rung.j, rung.m)),
            evidence: said.map(|a| a.fail_evidence),
            needed: said.map(|a| a.fail_needed),
            blame: said.map_or(&[], |a| &a.blame),
            complete: (1..RecordedTick::MOST).contains(&self.ticks),
            assessment: said,
        };
        serde_json::to_string(&Trailer { run: &self.run, recorded })
    }

    fn tick(
        &mut self,
        at: Timestamp,
        tick: &Tick,
        rung: (u32, u32),
        alone: bool,
    ) -> serde_json::Result<String> {
        let t = self.time(at);
        let dealt = tick.dealt;
        let samples = tick.samples.iter();
        serde_json::to_string(&TickLine {
            run: &self.run,
            t,
            seconds: tick.seconds,
            stable: Arm::of(&tick.baseline),
            canary: Arm::of(&tick.canary),
            weight: dealt.map(|d| d.share),
            dealt: dealt.map(|d| Both { stable: d.baseline, canary: d.canary }),
            split: &tick.split,
            canary_split: &tick.canary_split,
            replicas: &tick.replicas,
            samples: samples.map(|(m, sample)| (m.to_string(), SampleLine::of(*sample))).collect(),
            alone,
            rung,
        })
    }

    /// Seconds since the start; a little more when several things came at once.
    fn time(&mut self, at: Timestamp) -> f64 {
        let t = at.since(self.start).0 as f64 / 1000.0;
        let t = self.last.map_or(t, |last| t.max(last + 0.001));
        *self.last.insert(t)
    }
}

impl Arm {
    fn of(tick: &ArmTick) -> Self {
        let hist = |h: &Histogram| h.iter().collect::<BTreeMap<_, _>>();
        Self {
            n: tick.n,
            k: tick.errors,
            hist: (!tick.latency.is_empty()).then(|| hist(&tick.latency)),
            unfinished: tick.unfinished,
            aborted: tick.aborted,
        }
    }
}

impl SampleLine {
    fn of(sample: Sample) -> Self {
        match sample {
            Sample::Share { baseline, canary } => Self::Share(Both { stable: baseline, canary }),
            Sample::Count { baseline, canary } => Self::Count(Both { stable: baseline, canary }),
            Sample::Mean { baseline, canary } => Self::Mean(Both { stable: baseline, canary }),
            Sample::MeanError { baseline, canary } => {
                Self::MeanError(Both { stable: baseline, canary })
            }
        }
    }
}
