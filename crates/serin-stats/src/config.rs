//! What a judge is asked to guarantee, checked once when it is made.

use crate::bucket::buckets_of_change;
use crate::eprocess::Harm;
use crate::evidence::{Means, means};
use crate::means::{BoundedMean, MeanError, MeanEvidence};
pub use crate::metric::{Kind, Metric, MetricSettings, Role, Worse};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The settings of a judge before they are checked. `Default` gives the documented defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JudgeSettings {
    /// Bound on the probability of rolling back a version that is no worse, for the whole rollout.
    pub alpha: f64,
    /// Bound on the probability of passing a harmful version.
    pub beta: f64,
    /// Harm is at least this many times the baseline's error rate ...
    pub harm_ratio: f64,
    /// ... and at least this error rate.
    pub harm_floor: f64,
    /// Canary error rate up to which nothing is rolled back, however good the baseline is.
    pub tolerate: Option<f64>,
    /// Slowdown that is not held against the canary (0.11: 11 %, five buckets).
    pub latency_tolerance: f64,
    /// Slowdown that is harm (0.25: 25 %, ten buckets).
    pub latency_harm: f64,
    /// Whether regressions that begin late are looked for (see [`crate::onset`]): slower for those
    /// there from the start by some 0.7 nats, much faster for late ones. Only for traffic whose
    /// requests fail independently; with sticky users it amplifies false alarms.
    pub late_onset: bool,
    /// Whether units are dealt to the arms at random. Where they are not (by header, by ring), the
    /// canary is compared with the ratio of before: see [`crate::shifted`].
    pub random_routing: bool,
    /// Share of alpha for the critical metrics together, split evenly; the normal ones have the
    /// rest. Without normal metrics the critical ones have all of it.
    pub critical_share: f64,
    /// What is judged.
    pub metrics: Vec<MetricSettings>,
}

impl Default for JudgeSettings {
    fn default() -> Self {
        Self {
            alpha: 0.01,
            beta: 0.05,
            harm_ratio: 2.0,
            harm_floor: 0.005,
            tolerate: None,
            latency_tolerance: 0.11,
            latency_harm: 0.25,
            late_onset: false,
            random_routing: true,
            critical_share: 0.7,
            metrics: vec![Metric::Errors.into(), Metric::Latency.into()],
        }
    }
}

/// Checked settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "JudgeSettings", into = "JudgeSettings")]
pub struct JudgeConfig(JudgeSettings);

impl JudgeConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// The first setting that is out of its range, or a metric list that is empty or repeats.
    pub fn new(settings: JudgeSettings) -> Result<Self, ConfigError> {
        let s = &settings;
        in_range("alpha", s.alpha, 1e-9, 0.5)?;
        in_range("beta", s.beta, 1e-9, 0.5)?;
        in_range("harm_ratio", s.harm_ratio, 1.05, 100.0)?;
        in_range("harm_floor", s.harm_floor, 1e-6, 0.5)?;
        if let Some(tolerate) = s.tolerate {
            in_range("tolerate", tolerate, 1e-6, 0.5)?;
        }
        in_range("latency_tolerance", s.latency_tolerance, 0.0, 10.0)?;
        in_range("latency_harm", s.latency_harm, 0.02, 10.0)?;
        in_range("critical_share", s.critical_share, 0.5, 0.99)?;
        check_latency(s)?;
        check_metrics(s)?;
        Ok(Self(settings))
    }

    /// The settings.
    pub fn settings(&self) -> &JudgeSettings {
        &self.0
    }

    /// What counts as harm for the error rate.
    pub fn error_harm(&self) -> Harm {
        Harm { ratio: self.0.harm_ratio, floor: self.0.harm_floor }
    }

    /// Each metric's share of alpha, in order; they sum to 1. A watched-only metric has none.
    pub fn weights(&self) -> Vec<f64> {
        let metrics = &self.0.metrics;
        let count = |role| metrics.iter().filter(|m| m.role == role).count() as f64;
        let (critical, normal) = (count(Role::Critical), count(Role::Normal));
        let critical_share = if normal > 0.0 { self.0.critical_share } else { 1.0 };
        let weight = |role| match role {
            Role::Critical => critical_share / critical,
            Role::Normal => (1.0 - critical_share) / normal,
            Role::WatchOnly => 0.0,
        };
        metrics.iter().map(|m| weight(m.role)).collect()
    }

    /// Evidence (nats) at which the rollout fails: `ln 1/alpha`.
    pub fn fail_needed(&self) -> f64 {
        -libm::log(self.0.alpha)
    }

    /// Evidence (nats) at which the last rung is passed: `ln 1/beta`.
    pub fn pass_needed(&self) -> f64 {
        -libm::log(self.0.beta)
    }
}

impl TryFrom<JudgeSettings> for JudgeConfig {
    type Error = ConfigError;

    fn try_from(settings: JudgeSettings) -> Result<Self, ConfigError> {
        Self::new(settings)
    }
}

impl From<JudgeConfig> for JudgeSettings {
    fn from(config: JudgeConfig) -> Self {
        config.0
    }
}

fn in_range(name: &'static str, value: f64, low: f64, high: f64) -> Result<(), ConfigError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::OutOfRange { name, value, low, high })
}

/// A tolerance below one bucket cannot be seen, and what is tolerated cannot be harm.
fn check_latency(s: &JudgeSettings) -> Result<(), ConfigError> {
    let (tolerance, harm) =
        (buckets_of_change(s.latency_tolerance), buckets_of_change(s.latency_harm));
    if s.latency_tolerance > 0.0 && tolerance == 0 {
        return Err(ConfigError::BelowOneBucket(s.latency_tolerance));
    }
    if tolerance >= harm {
        let (tolerated, harm) = (s.latency_tolerance, s.latency_harm);
        return Err(ConfigError::ToleratesHarm { tolerated, harm });
    }
    Ok(())
}

fn check_metrics(s: &JudgeSettings) -> Result<(), ConfigError> {
    let metrics = &s.metrics;
    let repeats = |at: usize| metrics[..at].iter().any(|m| m.metric == metrics[at].metric);
    if let Some(at) = (0..metrics.len()).find(|at| repeats(*at)) {
        return Err(ConfigError::RepeatedMetric(metrics[at].metric.clone()));
    }
    if !metrics.iter().any(|m| m.role == Role::Critical) {
        return Err(ConfigError::NoMetrics);
    }
    metrics.iter().try_for_each(|m| check_kind(s, m))?;
    let latency = |m: &&MetricSettings| matches!(m.metric, Metric::Latency | Metric::MeanLatency);
    match metrics.iter().find(latency).filter(|_| !s.random_routing) {
        Some(m) => Err(ConfigError::NeedsRandomRouting(m.metric.clone())),
        None => Ok(()),
    }
}

fn check_kind(s: &JudgeSettings, m: &MetricSettings) -> Result<(), ConfigError> {
    let named = matches!(m.metric, Metric::Named(_));
    if named == (m.kind == Kind::BuiltIn) {
        return Err(ConfigError::WrongKind(m.metric.clone()));
    }
    let unfit = |error: MeanError| ConfigError::Unfit(m.metric.clone(), error.to_string());
    match means(s, m) {
        Some(Means::Bounded(settings)) => {
            return BoundedMean::new(settings).map(drop).map_err(unfit);
        }
        Some(Means::Any(settings)) => return MeanEvidence::new(settings).map(drop).map_err(unfit),
        None => {}
    }
    match m.kind {
        Kind::Share { harm_ratio, harm_floor } => {
            in_range("harm_ratio", harm_ratio, 1.05, 100.0)?;
            in_range("harm_floor", harm_floor, 1e-6, 0.5)
        }
        Kind::Count { harm_ratio, harm_floor, .. } => {
            in_range("harm_ratio", harm_ratio, 1.05, 100.0)?;
            in_range("harm_floor", harm_floor, 0.0, 1e12)
        }
        Kind::BuiltIn | Kind::BoundedMean { .. } | Kind::Mean { .. } => Ok(()),
    }
}

/// Why settings were refused.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigError {
    /// A number is outside its allowed range.
    OutOfRange {
        /// The setting.
        name: &'static str,
        /// What it was.
        value: f64,
        /// Smallest allowed value.
        low: f64,
        /// Largest allowed value.
        high: f64,
    },
    /// Nothing that could pass.
    NoMetrics,
    /// A metric is listed twice.
    RepeatedMetric(Metric),
    /// A slowdown finer than a bucket of the histogram.
    BelowOneBucket(f64),
    /// What is tolerated is harm.
    ToleratesHarm {
        /// Tolerated slowdown.
        tolerated: f64,
        /// Harmful slowdown.
        harm: f64,
    },
    /// A metric of the user's own without a kind, or a built-in one with.
    WrongKind(Metric),
    /// Settings of a mean that no numbers fit.
    Unfit(Metric, String),
    /// A metric that cannot be compared with the ratio of before.
    NeedsRandomRouting(Metric),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange { name, value, low, high } => {
                write!(f, "{name} is {value}; choose a value from {low} to {high}")
            }
            Self::NoMetrics => {
                f.write_str("no critical metric to judge; name errors, latency or both")
            }
            Self::RepeatedMetric(m) => write!(f, "metric {m} is listed twice; remove one"),
            Self::BelowOneBucket(tolerance) => write!(
                f,
                "latency_tolerance is {tolerance}, finer than a bucket of 2.2 %; choose 0 or at \
                 least 0.022"
            ),
            Self::ToleratesHarm { tolerated, harm } => write!(
                f,
                "latency_tolerance {tolerated} is not below latency_harm {harm}; lower it"
            ),
            Self::WrongKind(m) => write!(
                f,
                "metric {m} has the wrong kind: errors, latency and mean-latency have none, any \
                 other needs one"
            ),
            Self::Unfit(m, why) => write!(f, "metric {m}: {why}"),
            Self::NeedsRandomRouting(m) => {
                write!(f, "metric {m} needs random routing; leave it out or judge errors alone")
            }
        }
    }
}

impl std::error::Error for ConfigError {}
