//! The judge: ticks in, an assessment out.

use crate::assessment::{Assessment, LatencySummary, MetricAssessment, Outcome, Rung};
use crate::config::{JudgeConfig, JudgeSettings, Metric};
use crate::eprocess::{Counts, Outlook, ceiling};
use crate::errors::ErrorEvidence;
use crate::grid::log_mean_exp;
use crate::hist::Histogram;
use crate::latency::LatencyEvidence;
use crate::onset::Onset;
use serde::{Deserialize, Serialize};

/// One arm's requests of one tick, by arrival, closed (see [`Tick`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmTick {
    /// Requests assigned to the arm.
    pub n: u64,
    /// Those that failed, the unfinished ones among them.
    pub errors: u64,
    /// Latency of those that finished without an error.
    pub latency: Histogram,
    /// Those that had not finished when the tick was closed; already inside `errors` and `n`.
    pub unfinished: u64,
}

impl ArmTick {
    /// Requests whose latency is known or known to be too long.
    pub(crate) fn timed(&self) -> u64 {
        self.latency.total().saturating_add(self.unfinished)
    }

    /// Those in `bucket` or slower; an unfinished one is slower than everything.
    pub(crate) fn slow(&self, bucket: u16) -> u64 {
        self.latency.count_from(bucket).saturating_add(self.unfinished)
    }

    fn is_possible(&self) -> bool {
        let finished = self.n.checked_sub(self.errors);
        self.unfinished <= self.errors && finished.is_some_and(|n| self.latency.total() <= n)
    }
}

/// The randomly assigned requests that arrived in one stretch of time, within one generation of
/// the routing table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// Length of the stretch in seconds.
    pub seconds: u32,
    /// The stable revision.
    pub baseline: ArmTick,
    /// The candidate.
    pub canary: ArmTick,
}

impl Tick {
    fn errors(&self) -> Counts {
        Counts {
            canary_n: self.canary.n,
            canary_events: self.canary.errors,
            baseline_n: self.baseline.n,
            baseline_events: self.baseline.errors,
        }
    }
}

/// The moment at which a rollout failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Seconds of ticks observed until then.
    pub seconds: u64,
    /// Canary requests seen until then.
    pub canary_n: u64,
    /// The evidence then, in nats.
    pub evidence: f64,
    /// The metrics to blame.
    pub blame: Vec<Metric>,
}

/// Collects evidence over a whole rollout. Store it with the rollout; a revision that is tried
/// again goes on with the judge of its last try.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judge {
    config: JudgeConfig,
    errors: Option<ErrorEvidence>,
    latency: Option<LatencyEvidence>,
    onset: Option<Onset>,
    seconds: u64,
    baseline_n: u64,
    canary_n: u64,
    /// Ticks that contradicted themselves and were not used.
    rejected: u64,
    last_rejected: bool,
    alone: Option<Alone>,
    failure: Option<Failure>,
}

/// Share of `alpha` for the time after the comparison. It costs the comparison 0.1 nats.
const ALONE_SHARE: f64 = 0.1;

/// What is known once the canary has all requests and there is nothing to compare it with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Alone {
    /// The error rate that is harm, fixed when the comparison ended.
    p_max: f64,
    n: u64,
    errors: u64,
}

impl Judge {
    /// A judge without evidence.
    pub fn new(config: JudgeConfig) -> Self {
        let has = |metric| config.settings().metrics.contains(&metric);
        let onset = config.settings().late_onset.then(Onset::default);
        let ln_first = if onset.is_some() { Onset::LN_FIRST } else { 0.0 };
        Self {
            errors: has(Metric::Errors).then(|| ErrorEvidence::starting_at(ln_first)),
            latency: has(Metric::Latency).then(|| LatencyEvidence::starting_at(ln_first)),
            onset,
            config,
            seconds: 0,
            baseline_n: 0,
            canary_n: 0,
            rejected: 0,
            last_rejected: false,
            alone: None,
            failure: None,
        }
    }

    /// What this judge guarantees.
    pub fn config(&self) -> &JudgeConfig {
        &self.config
    }

    /// The same evidence held to other risks. `None` when `config` asks about other harm or other
    /// metrics: that evidence is about another question. A failure stays.
    #[must_use]
    pub fn with_risks(mut self, config: &JudgeConfig) -> Option<Self> {
        let (old, new) = (self.config.settings(), config.settings());
        let same_question = JudgeSettings { alpha: new.alpha, beta: new.beta, ..old.clone() };
        if same_question != *new {
            return None;
        }
        self.config = config.clone();
        self.latch();
        Some(self)
    }

    /// The failure, once there was one.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Ticks not used because their counts contradicted themselves.
    pub fn rejected_ticks(&self) -> u64 {
        self.rejected
    }

    /// Adds one closed tick. Ticks before the canary has traffic are welcome: they teach the
    /// latency reference.
    pub fn observe(&mut self, tick: &Tick) {
        self.last_rejected = !(tick.baseline.is_possible() && tick.canary.is_possible());
        if self.last_rejected {
            self.rejected = self.rejected.saturating_add(1);
            return;
        }
        self.seconds = self.seconds.saturating_add(u64::from(tick.seconds));
        self.baseline_n = self.baseline_n.saturating_add(tick.baseline.n);
        self.canary_n = self.canary_n.saturating_add(tick.canary.n);
        self.advance_onset(tick);
        if let Some(errors) = &mut self.errors {
            errors.observe(&self.config, &tick.errors());
        }
        if let Some(latency) = &mut self.latency {
            latency.observe(&self.config, tick);
        }
        self.latch();
    }

    /// Adds one closed tick of a canary that has all requests. Its error rate is held against
    /// what was harm when the comparison ended: `harm_ratio` times the baseline's rate so far, at
    /// least the floor (the ceiling test of 2.1). It has a fixed share of the one `alpha`. Its null
    /// is about the canary alone: trouble that would have hit both versions counts against it too.
    pub fn observe_alone(&mut self, canary: &ArmTick) {
        self.last_rejected = !canary.is_possible();
        let Some(errors) = self.errors.as_ref().filter(|_| !self.last_rejected) else {
            self.rejected = self.rejected.saturating_add(u64::from(self.last_rejected));
            return;
        };
        let harm = self.config.error_harm();
        let usual = errors.counts().baseline_rate().unwrap_or(0.0);
        let p_max = (usual * harm.ratio).max(harm.floor).min(0.5);
        let alone = self.alone.get_or_insert(Alone { p_max, n: 0, errors: 0 });
        alone.n = alone.n.saturating_add(canary.n);
        alone.errors = alone.errors.saturating_add(canary.errors);
        self.canary_n = self.canary_n.saturating_add(canary.n);
        self.latch();
    }

    /// Log evidence against the canary from the time it was alone.
    fn alone_evidence(&self) -> f64 {
        self.alone.as_ref().map_or(0.0, |a| ceiling(a.n, a.errors, a.p_max))
    }

    /// Makes the starts that are due, before the tick is added.
    fn advance_onset(&mut self, tick: &Tick) {
        let onset = self.onset.as_mut().filter(|_| tick.canary.n > 0);
        let Some(ln_weight) = onset.and_then(|onset| onset.advance(tick.seconds)) else { return };
        if let Some(errors) = &mut self.errors {
            errors.start(ln_weight);
        }
        if let Some(latency) = &mut self.latency {
            latency.start(ln_weight);
        }
    }

    /// Remembers the first crossing for ever.
    fn latch(&mut self) {
        if self.failure.is_some() {
            return;
        }
        let mut metrics = self.fail_evidence();
        let evidence = self.total_evidence(&metrics);
        if evidence >= self.config.fail_needed() {
            let alone = self.alone_evidence();
            if alone > mean(&metrics) {
                metrics = vec![(Metric::Errors, alone)];
            }
            self.failure = Some(Failure {
                seconds: self.seconds,
                canary_n: self.canary_n,
                evidence,
                blame: blame(&metrics, self.config.fail_needed()),
            });
        }
    }

    /// `ln` of the one e-value the rollout is judged by: a mean with fixed weights of e-values is
    /// one whatever their dependence (Vovk and Wang 2021), so `alpha` holds for all of it.
    fn total_evidence(&self, metrics: &[(Metric, f64)]) -> f64 {
        let compared = mean(metrics);
        if self.errors.is_none() {
            return compared;
        }
        let alone = self.alone_evidence();
        let top = compared.max(alone);
        let sum =
            (1.0 - ALONE_SHARE) * libm::exp(compared - top) + ALONE_SHARE * libm::exp(alone - top);
        top + libm::log(sum)
    }

    /// `ln E` of each metric, in the order of the configuration.
    fn fail_evidence(&self) -> Vec<(Metric, f64)> {
        let metrics = self.config.settings().metrics.iter();
        metrics.map(|metric| (*metric, self.fail_of(*metric))).collect()
    }

    fn fail_of(&self, metric: Metric) -> f64 {
        let onset = self.onset.as_ref();
        match metric {
            Metric::Errors => self.errors.as_ref().map_or(0.0, |e| e.fail(&self.config, onset)),
            Metric::Latency => self.latency.as_ref().map_or(0.0, |l| l.fail(onset)),
        }
    }

    /// What the evidence says now, with PASS asked for at `rung`.
    pub fn assess(&self, rung: Rung) -> Assessment {
        let blame = self.failure.as_ref().map_or_else(Vec::new, |f| f.blame.clone());
        let metrics: Vec<_> = [self.assess_errors(rung), self.assess_latency(rung)]
            .into_iter()
            .flatten()
            .map(|m| self.decide(m, &blame))
            .collect();
        let metrics = in_order(metrics, &self.config.settings().metrics);
        Assessment {
            outcome: self.overall(&metrics),
            fail_evidence: self.total_evidence(&self.fail_evidence()),
            fail_needed: self.config.fail_needed(),
            metrics,
            blame,
            canary_n: self.canary_n,
            baseline_n: self.baseline_n,
        }
    }

    fn overall(&self, metrics: &[MetricAssessment]) -> Outcome {
        let any = |outcome| metrics.iter().any(|m| m.outcome == outcome);
        if self.failure.is_some() {
            Outcome::Fail
        } else if self.last_rejected {
            Outcome::Invalid
        } else if self.canary_n == 0 || any(Outcome::NoData) {
            Outcome::NoData
        } else if metrics.iter().all(|m| m.outcome == Outcome::Pass) {
            Outcome::Pass
        } else {
            Outcome::Continue
        }
    }

    /// Sets the outcome of a metric from its evidence. `NoData` stays unless it is to blame.
    fn decide(&self, mut m: MetricAssessment, blame: &[Metric]) -> MetricAssessment {
        if blame.contains(&m.metric) {
            m.outcome = Outcome::Fail;
        } else if self.last_rejected {
            m.outcome = Outcome::Invalid;
        } else if m.outcome == Outcome::Continue && m.pass_evidence >= m.pass_needed {
            m.outcome = Outcome::Pass;
        }
        m
    }

    fn assess_errors(&self, rung: Rung) -> Option<MetricAssessment> {
        let errors = self.errors.as_ref()?;
        let harm = self.config.error_harm();
        let counts = errors.counts();
        let mut m = self.metric(Metric::Errors, rung, counts);
        m.limit = counts.baseline_rate().map(|p| (p * harm.ratio).max(harm.floor).min(1.0));
        m.interval = errors.interval(self.config.settings().alpha);
        m.fail_evidence = self.fail_of(Metric::Errors).max(self.alone_evidence());
        if let Some(alone) = &self.alone {
            m.canary_n = m.canary_n.saturating_add(alone.n);
            m.canary_events = m.canary_events.saturating_add(alone.errors);
            m.canary_rate = Some(m.canary_events as f64 / m.canary_n.max(1) as f64);
        }
        m.pass_evidence = errors.pass().ln_e(&harm);
        m.requests_missing =
            outlook(counts).and_then(|o| errors.pass().requests_missing(&harm, m.pass_needed, &o));
        if counts.canary_n > 0 {
            m.outcome = Outcome::Continue;
        }
        Some(m)
    }

    fn assess_latency(&self, rung: Rung) -> Option<MetricAssessment> {
        let latency = self.latency.as_ref()?;
        let counts = latency.counts();
        let mut m = self.metric(Metric::Latency, rung, counts);
        m.limit = latency.limit_ms(&self.config);
        m.fail_evidence = self.fail_of(Metric::Latency);
        m.pass_evidence = latency.pass();
        m.requests_missing =
            outlook(counts).and_then(|o| latency.requests_missing(m.pass_needed, &o));
        m.latency = Some(summary(latency));
        if latency.has_data() {
            m.outcome = Outcome::Continue;
        }
        Some(m)
    }

    /// The fields that all metrics fill in the same way; `NoData` for now.
    fn metric(&self, metric: Metric, rung: Rung, counts: &Counts) -> MetricAssessment {
        MetricAssessment {
            metric,
            outcome: Outcome::NoData,
            baseline_n: counts.baseline_n,
            baseline_events: counts.baseline_events,
            baseline_rate: counts.baseline_rate(),
            canary_n: counts.canary_n,
            canary_events: counts.canary_events,
            canary_rate: counts.canary_rate(),
            limit: None,
            interval: None,
            fail_evidence: 0.0,
            fail_needed: self.config.fail_needed(),
            pass_evidence: 0.0,
            pass_needed: self.config.pass_needed() * rung.part(),
            requests_missing: None,
            latency: None,
        }
    }
}

/// `ln` of the mean e-value: valid whatever the dependence between the metrics.
fn mean(metrics: &[(Metric, f64)]) -> f64 {
    let logs: Vec<f64> = metrics.iter().map(|m| m.1).collect();
    log_mean_exp(&logs)
}

/// e-BH (Wang and Ramdas 2022): the largest k for which the k-th largest e-value is at least
/// `M / (k alpha)`. When only the mean crossed, the metric with the most evidence.
fn blame(metrics: &[(Metric, f64)], needed: f64) -> Vec<Metric> {
    let mut sorted = metrics.to_vec();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
    let ln_m = libm::log(sorted.len() as f64);
    let reaches = |k: usize| sorted[k - 1].1 >= needed + ln_m - libm::log(k as f64);
    let k = (1..=sorted.len()).rev().find(|k| reaches(*k)).unwrap_or(1);
    sorted.into_iter().take(k).map(|m| m.0).collect()
}

fn in_order(metrics: Vec<MetricAssessment>, order: &[Metric]) -> Vec<MetricAssessment> {
    let mut metrics = metrics;
    metrics.sort_by_key(|m| order.iter().position(|o| *o == m.metric));
    metrics
}

/// The present rates, taken to go on. `None` while the canary has no requests.
fn outlook(counts: &Counts) -> Option<Outlook> {
    let all = counts.canary_n as f64 + counts.baseline_n as f64;
    Some(Outlook {
        canary_rate: counts.canary_rate()?,
        baseline_rate: counts.baseline_rate().unwrap_or(0.0),
        share: counts.canary_n as f64 / all,
    })
}

fn summary(latency: &LatencyEvidence) -> LatencySummary {
    let (baseline, canary) = latency.windows();
    let ([b50, b99], [c50, c99]) = (baseline.summary_ms(), canary.summary_ms());
    LatencySummary {
        baseline_p50_ms: b50,
        baseline_p99_ms: b99,
        canary_p50_ms: c50,
        canary_p99_ms: c99,
    }
}
