//! The evidence of one metric, whatever its kind.

use crate::config::{JudgeConfig, JudgeSettings};
use crate::counts::{CountEvidence, RateHarm};
use crate::eprocess::{Counts, Harm, Outlook, ceiling};
use crate::errors::ErrorEvidence;
use crate::latency::LatencyEvidence;
use crate::means::{BoundedMean, BoundedSettings, Estimate, MeanEvidence, MeanSettings};
use crate::metric::{Kind, Metric, MetricSettings, Worse};
use crate::onset::Onset;
use crate::shifted::Shifted;
use crate::tick::{Moments, Sample, Tick};
use serde::{Deserialize, Serialize};

/// State of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// Errors under random routing.
    Errors(Box<ErrorEvidence>),
    /// Errors relative to the ratio of before.
    Shifted(Box<Shifted>, Counts),
    /// The latency distribution.
    Latency(Box<LatencyEvidence>),
    /// Events among trials.
    Share(Harm, Box<ErrorEvidence>),
    /// Events over an exposure.
    Count(RateHarm, Box<CountEvidence>),
    /// A bounded mean.
    Bounded(Box<BoundedMean>),
    /// Any mean, mean latency among them.
    Mean(Box<MeanEvidence>),
    /// Settings that no numbers fit: never any data.
    Void,
}

/// Settings of a metric of means, as the tests want them.
pub(crate) enum Means {
    Bounded(BoundedSettings),
    Any(MeanSettings),
}

/// What a metric of means tests; `None` for all others.
pub(crate) fn means(settings: &JudgeSettings, metric: &MetricSettings) -> Option<Means> {
    match (&metric.metric, metric.kind) {
        (Metric::MeanLatency, _) => Some(Means::Any(MeanSettings {
            worse: Worse::Rise,
            tolerated: settings.latency_tolerance,
            harm: settings.latency_harm,
        })),
        (_, Kind::Mean { worse, harm }) => {
            Some(Means::Any(MeanSettings { worse, tolerated: 0.0, harm }))
        }
        (_, Kind::BoundedMean { low, high, worse, harm }) => {
            Some(Means::Bounded(BoundedSettings { low, high, worse, tolerated: 0.0, harm }))
        }
        _ => None,
    }
}

impl Evidence {
    /// Without evidence, every onset alternative at `ln_first`.
    pub fn new(config: &JudgeConfig, metric: &MetricSettings, ln_first: f64) -> Self {
        let errors = || Box::new(ErrorEvidence::starting_at(ln_first));
        match means(config.settings(), metric) {
            Some(Means::Bounded(settings)) => {
                return BoundedMean::new(settings)
                    .map_or(Self::Void, |e| Self::Bounded(Box::new(e)));
            }
            Some(Means::Any(settings)) => {
                return MeanEvidence::new(settings).map_or(Self::Void, |e| Self::Mean(Box::new(e)));
            }
            None => {}
        }
        match (&metric.metric, metric.kind) {
            (Metric::Latency, _) => Self::Latency(Box::new(LatencyEvidence::starting_at(ln_first))),
            (_, Kind::Share { harm_ratio, harm_floor }) => {
                Self::Share(Harm { ratio: harm_ratio, floor: harm_floor }, errors())
            }
            (_, Kind::Count { worse, harm_ratio, harm_floor }) => Self::Count(
                RateHarm { worse, ratio: harm_ratio, floor: harm_floor },
                Box::default(),
            ),
            _ if config.settings().random_routing => Self::Errors(errors()),
            _ => Self::Shifted(Box::default(), Counts::default()),
        }
    }

    /// Adds a start of the onset mixture.
    pub fn start(&mut self, ln_weight: f64) {
        match self {
            Self::Errors(e) | Self::Share(_, e) => e.start(ln_weight),
            Self::Latency(e) => e.start(ln_weight),
            _ => {}
        }
    }

    /// Adds one tick, its evidence divided by `factor` (see [`crate::dispersion`]). Means see by
    /// themselves how much ticks vary.
    pub fn observe(&mut self, config: &JudgeConfig, metric: &Metric, tick: &Tick, factor: f64) {
        match self {
            Self::Errors(e) => {
                let (harm, errors) = (config.error_harm(), tick.errors());
                e.observe_given_up(&harm, &errors, &tick.errors_and_given_up(), factor);
                e.observe(&harm, &errors, factor);
            }
            Self::Shifted(e, counts) => {
                counts.add(&tick.errors());
                e.observe(&config.error_harm(), config.settings().alpha, &tick.errors(), factor);
            }
            Self::Latency(e) => e.observe(config, tick, factor),
            Self::Mean(e) if *metric == Metric::MeanLatency => {
                // Sums made of counts are possible.
                let _ = e.observe(&moments(tick, false), &moments(tick, true));
            }
            _ => {
                if let Some(sample) = tick.sample(metric) {
                    self.sample(sample, factor);
                }
            }
        }
    }

    fn sample(&mut self, sample: &Sample, factor: f64) {
        match (self, *sample) {
            (Self::Share(harm, e), Sample::Share { baseline, canary }) => e.observe(
                harm,
                &Counts {
                    canary_n: canary.0,
                    canary_events: canary.1,
                    baseline_n: baseline.0,
                    baseline_events: baseline.1,
                },
                factor,
            ),
            (Self::Count(harm, e), Sample::Count { baseline, canary }) => {
                e.observe(harm, baseline, canary, factor);
            }
            // What the tests refuse is not used: then there is no data, which never passes.
            (Self::Bounded(e), Sample::Mean { baseline, canary }) => {
                let _ = e.observe(&baseline, &canary);
            }
            (Self::Mean(e), Sample::Mean { baseline, canary }) => {
                let _ = e.observe(&baseline, &canary);
            }
            (Self::Mean(e), Sample::MeanError { baseline, canary }) => {
                let estimate = |(mean, error)| Estimate { mean, error };
                let _ = e.observe_estimates(estimate(baseline), estimate(canary));
            }
            // Numbers of another kind than the metric's say nothing about it.
            _ => {}
        }
    }

    /// `ln E` of FAIL, of evidence that repeats itself so often (see [`crate::dispersion`]).
    pub fn fail(&self, config: &JudgeConfig, onset: Option<&Onset>, repeats: f64) -> f64 {
        match self {
            Self::Errors(e) => {
                tolerated(config, e.fail(onset, repeats), |p_max| e.pass().above(p_max, repeats))
            }
            Self::Shifted(e, counts) => {
                let (n, events) = (counts.canary_n, counts.canary_events);
                tolerated(config, e.fail(repeats), |p_max| ceiling(n, events, p_max))
            }
            Self::Share(_, e) => e.fail(onset, repeats),
            Self::Latency(e) => e.fail(onset, repeats),
            Self::Count(_, e) => e.fail(repeats),
            Self::Bounded(e) => e.fail(),
            Self::Mean(e) => e.fail(),
            Self::Void => 0.0,
        }
    }

    /// `ln E` of PASS, likewise.
    pub fn pass(&self, config: &JudgeConfig, repeats: f64) -> f64 {
        match self {
            Self::Errors(e) => e.ln_pass(&config.error_harm(), repeats),
            Self::Shifted(e, counts) => {
                let floor = crate::eprocess::below_floor(
                    counts.canary_n as f64 / repeats,
                    counts.canary_events as f64 / repeats,
                    config.settings().harm_floor,
                );
                crate::grid::log_mean_exp(&[e.pass(repeats), floor])
            }
            Self::Share(harm, e) => e.pass().ln_e(harm, repeats),
            Self::Latency(e) => e.pass(repeats),
            Self::Count(harm, e) => e.pass(harm, repeats),
            Self::Bounded(e) => e.pass(),
            Self::Mean(e) => e.pass(),
            Self::Void => 0.0,
        }
    }

    /// Units and events of both arms, where the metric has such.
    pub fn counts(&self) -> Counts {
        match self {
            Self::Errors(e) | Self::Share(_, e) => *e.counts(),
            Self::Shifted(_, counts) => *counts,
            Self::Latency(e) => *e.counts(),
            Self::Count(_, e) => {
                let (baseline, canary) = e.totals();
                Counts { baseline_events: baseline.1, canary_events: canary.1, ..Counts::default() }
            }
            Self::Bounded(e) => of_units(e.units()),
            Self::Mean(e) => of_units(e.units()),
            Self::Void => Counts::default(),
        }
    }

    /// Rates (or means) of the baseline and the canary.
    pub fn rates(&self) -> (Option<f64>, Option<f64>) {
        match self {
            Self::Count(_, e) => {
                let rate = |(exposure, events): (f64, u64)| {
                    (exposure > 0.0).then(|| events as f64 / exposure)
                };
                let (baseline, canary) = e.totals();
                (rate(baseline), rate(canary))
            }
            Self::Bounded(e) => e.means(),
            Self::Mean(e) => e.means(),
            _ => {
                let counts = self.counts();
                (counts.baseline_rate(), counts.canary_rate())
            }
        }
    }

    /// Whether the canary was judged by it at all.
    pub fn has_data(&self) -> bool {
        match self {
            Self::Latency(e) => e.has_data(),
            Self::Count(_, e) => {
                let (baseline, canary) = e.totals();
                baseline.0 > 0.0 && canary.0 > 0.0
            }
            Self::Shifted(e, counts) => e.is_known() && counts.canary_n > 0,
            Self::Bounded(e) => e.ticks() > 0,
            Self::Mean(e) => e.has_data(),
            Self::Errors(_) | Self::Share(..) => self.counts().canary_n > 0,
            Self::Void => false,
        }
    }

    /// What counts as harm now, in the units of the rates.
    pub fn limit(&self, config: &JudgeConfig) -> Option<f64> {
        let by = |harm: &Harm, p: f64| (p * harm.ratio).max(harm.floor).min(1.0);
        match self {
            Self::Errors(_) | Self::Shifted(..) => {
                self.counts().baseline_rate().map(|p| by(&config.error_harm(), p))
            }
            Self::Share(harm, e) => e.counts().baseline_rate().map(|p| by(harm, p)),
            Self::Latency(e) => e.limit_ms(config),
            Self::Count(harm, _) => self.rates().0.map(|rate| match harm.worse {
                Worse::Rise => (rate * harm.ratio).max(harm.floor),
                Worse::Drop => rate / harm.ratio,
            }),
            Self::Bounded(e) => e.limit(),
            Self::Mean(e) => e.limit(),
            Self::Void => None,
        }
    }

    /// Confidence sequence of the ratio of the rates.
    pub fn interval(&self, alpha: f64) -> Option<(f64, f64)> {
        match self {
            Self::Errors(e) | Self::Share(_, e) => e.interval(alpha),
            _ => None,
        }
    }

    /// Canary units still needed for PASS at the present rates.
    pub fn requests_missing(&self, config: &JudgeConfig, needed: f64) -> Option<u64> {
        match self {
            Self::Errors(e) => e.requests_missing(&config.error_harm(), needed),
            Self::Share(harm, e) => e.requests_missing(harm, needed),
            Self::Latency(e) => e.requests_missing(needed, &Outlook::of(e.counts())?),
            _ => None,
        }
    }
}

/// With a tolerated rate FAIL is the smaller of the comparison and the ceiling test: below each,
/// hence valid under either null.
fn tolerated(config: &JudgeConfig, worse: f64, above: impl Fn(f64) -> f64) -> f64 {
    config.settings().tolerate.map_or(worse, |p_max| worse.min(above(p_max)))
}

fn of_units((baseline_n, canary_n): (u64, u64)) -> Counts {
    Counts { canary_n, baseline_n, ..Counts::default() }
}

/// Sums of an arm's latency in milliseconds. Requests without a known latency are errors and are
/// judged as such.
fn moments(tick: &Tick, canary: bool) -> Moments {
    let arm = if canary { &tick.canary } else { &tick.baseline };
    let mut sums = Moments::default();
    for (bucket, count) in arm.latency.iter() {
        let (ms, n) = (crate::bucket::bucket_middle_ms(bucket), count as f64);
        sums.n = sums.n.saturating_add(count);
        sums.sum += n * ms;
        sums.sum_squares += n * ms * ms;
    }
    sums
}
