//! The judge: ticks in, an assessment out.

mod assess;

use crate::alone::Alone;
use crate::config::{JudgeConfig, JudgeSettings, Metric, Role};
use crate::eprocess::Counts;
use crate::evidence::Evidence;
use crate::grid::log_sum_exp;
use crate::guards::{Guard, Guards, Invalid};
use crate::onset::Onset;
use crate::tick::{ArmTick, Tick};
use serde::{Deserialize, Serialize};

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
    /// One for each metric of the configuration, in its order.
    metrics: Vec<Evidence>,
    guards: Guards,
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

/// Share of `alpha` for the time after the comparison. It costs the comparison 0.05 nats.
const ALONE_SHARE: f64 = 0.05;

impl Judge {
    /// A judge without evidence.
    pub fn new(config: JudgeConfig) -> Self {
        let onset = config.settings().late_onset.then(Onset::default);
        let ln_first = if onset.is_some() { Onset::LN_FIRST } else { 0.0 };
        let metrics = config.settings().metrics.iter();
        Self {
            metrics: metrics.map(|m| Evidence::new(&config, m, ln_first)).collect(),
            guards: Guards::default(),
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

    /// The same evidence for another try, held to the risks of `config`. `None` when that asks about
    /// other harm or other metrics: the evidence is about another question. A failure stays; the
    /// guards begin anew, as requests are dealt anew.
    #[must_use]
    pub fn with_risks(mut self, config: &JudgeConfig) -> Option<Self> {
        let (old, new) = (self.config.settings(), config.settings());
        let same_question = JudgeSettings { alpha: new.alpha, beta: new.beta, ..old.clone() };
        if same_question != *new {
            return None;
        }
        self.config = config.clone();
        self.guards.clear();
        self.last_rejected = false;
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

    /// A person looked at the tripped guard: it begins anew.
    pub fn clear_guards(&mut self) {
        self.guards.clear();
        for evidence in &mut self.metrics {
            if let Evidence::Errors(errors) = evidence {
                errors.forget_given_up();
            }
        }
        self.last_rejected = false;
    }

    /// Adds one closed tick. Ticks before the canary has traffic are welcome: they teach the
    /// latency reference and the guards.
    pub fn observe(&mut self, tick: &Tick) {
        if self.refuse(!tick.is_possible()) {
            return;
        }
        self.seconds = self.seconds.saturating_add(u64::from(tick.seconds));
        self.baseline_n = self.baseline_n.saturating_add(tick.baseline.n);
        self.canary_n = self.canary_n.saturating_add(tick.canary.n);
        let factor = self.guards.factor(!tick.split.is_empty(), self.onset.is_some());
        self.guards.observe(tick, self.config.fail_needed());
        self.advance_onset(tick);
        let named = self.config.settings().metrics.iter().map(|m| &m.metric);
        for (evidence, metric) in self.metrics.iter_mut().zip(named) {
            evidence.observe(&self.config, metric, tick, factor);
        }
        self.latch();
    }

    fn refuse(&mut self, impossible: bool) -> bool {
        self.last_rejected = impossible;
        self.rejected = self.rejected.saturating_add(u64::from(impossible));
        impossible
    }

    /// Adds a tick of the time before the rollout, when both groups of users ran stable: what the
    /// candidate is compared with where routing is not random.
    pub fn observe_before(&mut self, tick: &Tick) {
        if self.refuse(!tick.is_possible()) {
            return;
        }
        let harm = self.config.error_harm();
        for evidence in &mut self.metrics {
            if let Evidence::Shifted(shifted, _) = evidence {
                shifted.observe_before(&harm, &tick.errors());
            }
        }
    }

    /// Adds one closed tick of a canary that has all requests. See [`crate::alone`]: it has a fixed
    /// share of the one `alpha`.
    pub fn observe_alone(&mut self, seconds: u32, canary: &ArmTick) {
        if self.refuse(!canary.is_possible()) {
            return;
        }
        let begun = self.alone.take().unwrap_or_else(|| self.begin_alone());
        self.alone.insert(begun).observe(seconds, canary);
        self.canary_n = self.canary_n.saturating_add(canary.n);
        self.latch();
    }

    /// Fixes what is harm from what the comparison has seen of the baseline.
    fn begin_alone(&self) -> Alone {
        let harm = self.config.error_harm();
        let usual = |counts: &Counts| counts.baseline_rate().unwrap_or(0.0);
        let error_max = |rate: f64| (rate * harm.ratio).max(harm.floor).min(0.5);
        let errors = self.of(&Metric::Errors).map(|e| error_max(usual(&e.counts())));
        let tail = match self.of(&Metric::Latency) {
            Some(Evidence::Latency(latency)) => latency.tail_from(&self.config),
            _ => None,
        };
        Alone::new(errors, tail)
    }

    /// Evidence of a metric that can roll back.
    pub(crate) fn of(&self, metric: &Metric) -> Option<&Evidence> {
        let wanted = self.config.settings().metrics.iter().zip(&self.metrics);
        wanted
            .filter(|(m, _)| m.role != Role::WatchOnly)
            .find_map(|(m, evidence)| (m.metric == *metric).then_some(evidence))
    }

    /// Log evidence against the canary from the time it was alone.
    fn alone_evidence(&self) -> f64 {
        self.alone.as_ref().map_or(0.0, Alone::ln_e)
    }

    /// Makes the starts that are due, before the tick is added.
    fn advance_onset(&mut self, tick: &Tick) {
        let onset = self.onset.as_mut().filter(|_| tick.canary.n > 0);
        let Some(ln_weight) = onset.and_then(|onset| onset.advance(tick.seconds)) else { return };
        for evidence in &mut self.metrics {
            evidence.start(ln_weight);
        }
    }

    /// Remembers the first crossing for ever.
    fn latch(&mut self) {
        if self.failure.is_some() {
            return;
        }
        let fails = self.fails();
        let evidence = self.total_evidence(&fails);
        if evidence >= self.config.fail_needed() {
            self.failure = Some(Failure {
                seconds: self.seconds,
                canary_n: self.canary_n,
                evidence,
                blame: self.blame(&fails),
            });
        }
    }

    /// `ln` of the one e-value the rollout is judged by: a mean with fixed weights of e-values is
    /// one whatever their dependence (Vovk and Wang 2021), so `alpha` holds for all of it.
    fn total_evidence(&self, fails: &[f64]) -> f64 {
        let weighted = self.config.weights().into_iter().zip(fails).filter(|(v, _)| *v > 0.0);
        let terms: Vec<f64> = weighted.map(|(v, l)| l + libm::log(v)).collect();
        let compared = log_sum_exp(&terms);
        log_sum_exp(&[
            compared + libm::log1p(-ALONE_SHARE),
            self.alone_evidence() + libm::log(ALONE_SHARE),
        ])
    }

    /// `ln E` of each metric's comparison, in the order of the configuration.
    fn fails(&self) -> Vec<f64> {
        let (onset, repeats) = (self.onset.as_ref(), self.repeats());
        self.metrics.iter().map(|e| e.fail(&self.config, onset, repeats)).collect()
    }

    /// How often evidence repeats itself; with onsets that is part of each increment.
    fn repeats(&self) -> f64 {
        if self.onset.is_some() { 1.0 } else { self.guards.repeats() }
    }

    /// The metrics that are worse: those of the time alone, when that is what decided.
    fn blame(&self, fails: &[f64]) -> Vec<Metric> {
        let all = self.config.settings().metrics.iter().zip(fails);
        let able = all.filter(|(m, _)| m.role != Role::WatchOnly);
        let mut metrics: Vec<_> = able.map(|(m, l)| (m.metric.clone(), *l)).collect();
        let compared = metrics.iter().map(|m| m.1).fold(f64::MIN, f64::max);
        if self.alone_evidence() > compared {
            metrics = self.alone.as_ref().map(Alone::evidence).unwrap_or_default();
        }
        e_bh(metrics, self.config.fail_needed())
    }

    /// What keeps the comparison from being sound.
    fn invalid(&self) -> Option<Invalid> {
        let of = |guard| Invalid { guard, evidence: 0.0, canary: 0.0, baseline: 0.0 };
        let unshifted = |e: &Evidence| matches!(e, Evidence::Shifted(s, _) if !s.is_known());
        if self.last_rejected {
            return Some(of(Guard::Counts));
        }
        let unknown = self.canary_n > 0 && self.metrics.iter().any(unshifted);
        unknown.then(|| of(Guard::Routing)).or_else(|| self.guards.tripped().cloned())
    }
}

/// e-BH (Wang and Ramdas 2022): the largest k for which the k-th largest e-value is at least
/// `M / (k alpha)`. When only the mean crossed, the metric with the most evidence.
fn e_bh(mut metrics: Vec<(Metric, f64)>, needed: f64) -> Vec<Metric> {
    metrics.sort_by(|a, b| b.1.total_cmp(&a.1));
    let ln_m = libm::log(metrics.len() as f64);
    let reaches = |k: usize| metrics[k - 1].1 >= needed + ln_m - libm::log(k as f64);
    let k = (1..=metrics.len()).rev().find(|k| reaches(*k)).unwrap_or(1);
    metrics.into_iter().take(k).map(|m| m.0).collect()
}
