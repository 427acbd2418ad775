//! Evidence from the whole latency distribution: exceedances of stable's own past quantiles.

use crate::bucket::{bucket_middle_ms, buckets_of_change};
use crate::config::JudgeConfig;
use crate::dispersion::tempered;
use crate::eprocess::{Counts, Harm, Outlook, PassEvidence, add_margin, requests_until};
use crate::grid::{K, LEVELS, LogEvidence, ODDS, QUANTILES, log_mean_exp};
use crate::onset::{Onset, start, with_rest};
use crate::tick::{ArmTick, Tick};
use crate::window::Window;
use serde::{Deserialize, Serialize};

/// Harm in the tail: twice as many requests beyond the tail limit as stable has, and at least 1 %.
pub const TAIL_HARM: Harm = Harm { ratio: 2.0, floor: 0.01 };
/// Place of the 99th percentile among the quantiles.
const P99: usize = 4;
/// A quantile is used when at least this many requests of the reference lie above it.
const MIN_EXCEEDANCES: f64 = 5.0;

/// FAIL and PASS evidence of the latency, and the recent past of both arms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencyEvidence {
    /// Log evidence by quantile and odds ratio that the canary is slower than tolerated.
    fail: [LogEvidence; LEVELS],
    /// That the canary is not slower by the harm margin.
    shift: [LogEvidence; LEVELS],
    /// That the canary's tail is not heavier.
    tail: PassEvidence,
    /// Canary requests judged by at least one quantile.
    judged: u64,
    baseline: Window,
    canary: Window,
}

impl LatencyEvidence {
    /// Begins with every alternative of FAIL at `ln_first`.
    pub fn starting_at(ln_first: f64) -> Self {
        Self { fail: [[ln_first; K]; LEVELS], ..Self::default() }
    }

    /// Adds a later start of the FAIL evidence.
    pub fn start(&mut self, ln_weight: f64) {
        for evidence in &mut self.fail {
            start(evidence, ln_weight);
        }
    }

    /// Judges one tick against the past, its evidence divided by `factor`, then learns from it.
    pub fn observe(&mut self, config: &JudgeConfig, tick: &Tick, factor: f64) {
        let reference = self.baseline.quantiles(&QUANTILES, MIN_EXCEEDANCES);
        let arms = Arms::of(tick);
        if arms.canary_n > 0 {
            self.compare(config, &reference, &arms, factor);
        }
        self.baseline.learn(tick.seconds, &tick.baseline.latency, tick.baseline.unfinished);
        self.canary.learn(tick.seconds, &tick.canary.latency, tick.canary.unfinished);
    }

    fn compare(
        &mut self,
        config: &JudgeConfig,
        reference: &[Option<u16>; LEVELS],
        arms: &Arms<'_>,
        factor: f64,
    ) {
        let tolerance = buckets_of_change(config.settings().latency_tolerance);
        let harm = buckets_of_change(config.settings().latency_harm);
        for (q, bucket) in reference.iter().enumerate() {
            let Some(bucket) = *bucket else { continue };
            let slower = arms.slower(bucket + 1, tolerance);
            tempered(&mut self.fail[q], factor, |l| add_margin(&ODDS[q], &slower, l));
            // The lower edge, so that a stable arm whose requests share one bucket can pass too.
            let not_harmed = arms.slower(bucket, harm).exchanged();
            tempered(&mut self.shift[q], factor, |l| add_margin(&ODDS[q], &not_harmed, l));
        }
        if reference.iter().any(Option::is_some) && arms.baseline_n > 0 {
            self.judged = self.judged.saturating_add(arms.canary_n);
        }
        if let Some(p99) = reference[P99] {
            self.tail.observe(&TAIL_HARM, &arms.slower_both(p99 + 1 + harm), factor);
        }
    }

    /// `ln E` of FAIL: the mean over the quantiles.
    pub fn fail(&self, onset: Option<&Onset>, repeats: f64) -> f64 {
        with_rest(mix(&self.fail, repeats), onset)
    }

    /// `ln E` of PASS: the smaller of "not slower by the margin" and "no heavier tail", since
    /// both are asked for.
    pub fn pass(&self, repeats: f64) -> f64 {
        mix(&self.shift, repeats).min(self.tail.ln_e(&TAIL_HARM, repeats))
    }

    /// Cumulative counts of requests beyond the tail limit.
    pub fn counts(&self) -> &Counts {
        self.tail.counts()
    }

    /// Whether the canary was ever judged, in the body and in the tail.
    pub fn has_data(&self) -> bool {
        self.judged > 0 && self.counts().canary_n > 0
    }

    /// The tail limit in milliseconds for the next tick.
    pub fn limit_ms(&self, config: &JudgeConfig) -> Option<f64> {
        let harm = buckets_of_change(config.settings().latency_harm);
        let p99 = self.baseline.quantiles(&QUANTILES, MIN_EXCEEDANCES)[P99];
        p99.map(|bucket| bucket_middle_ms(bucket.saturating_add(harm)))
    }

    /// First bucket beyond the tail limit for the next tick.
    pub fn tail_from(&self, config: &JudgeConfig) -> Option<u16> {
        let harm = buckets_of_change(config.settings().latency_harm);
        let p99 = self.baseline.quantiles(&QUANTILES, MIN_EXCEEDANCES)[P99];
        p99.map(|bucket| bucket.saturating_add(1 + harm))
    }

    /// Recent quantiles of the baseline and the canary.
    pub fn windows(&self) -> (&Window, &Window) {
        (&self.baseline, &self.canary)
    }

    /// Canary requests still needed: the larger of both parts, at the present drift.
    pub fn requests_missing(&self, needed: f64, outlook: &Outlook) -> Option<u64> {
        let tail = self.tail.requests_missing(&TAIL_HARM, needed, outlook)?;
        let judged = (self.judged > 0).then_some(self.judged as f64)?;
        let shift = requests_until(needed, |n| {
            let grown = 1.0 + n / judged;
            mix(&self.shift.map(|row| row.map(|l| l * grown)), 1.0)
        })?;
        Some(tail.max(shift))
    }
}

fn mix(evidence: &[LogEvidence; LEVELS], repeats: f64) -> f64 {
    let quantiles: [f64; LEVELS] =
        std::array::from_fn(|q| ODDS[q].mix_repeated(&evidence[q], repeats));
    log_mean_exp(&quantiles)
}

/// Both arms of a tick, with the number of requests whose latency counts.
struct Arms<'a> {
    baseline: &'a ArmTick,
    canary: &'a ArmTick,
    baseline_n: u64,
    canary_n: u64,
}

impl<'a> Arms<'a> {
    fn of(tick: &'a Tick) -> Self {
        let (baseline, canary) = (&tick.baseline, &tick.canary);
        Self { baseline, canary, baseline_n: baseline.timed(), canary_n: canary.timed() }
    }

    /// Requests at or beyond `bucket`, with the canary granted `grace` buckets.
    fn slower(&self, bucket: u16, grace: u16) -> Counts {
        Counts {
            canary_n: self.canary_n,
            canary_events: self.canary.slow(bucket + grace),
            baseline_n: self.baseline_n,
            baseline_events: self.baseline.slow(bucket),
        }
    }

    /// Requests at or beyond `bucket` in both arms.
    fn slower_both(&self, bucket: u16) -> Counts {
        Counts { baseline_events: self.baseline.slow(bucket), ..self.slower(bucket, 0) }
    }
}
