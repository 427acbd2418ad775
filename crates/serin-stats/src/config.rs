//! What a judge is asked to guarantee, checked once when it is made.

use crate::eprocess::Harm;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is compared between the arms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Share of requests that failed.
    Errors,
    /// The whole latency distribution.
    Latency,
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Errors => "errors",
            Self::Latency => "latency",
        })
    }
}

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
    /// What is judged. Each is critical; they share `alpha` equally.
    pub metrics: Vec<Metric>,
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
            metrics: vec![Metric::Errors, Metric::Latency],
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
        check_metrics(&s.metrics)?;
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

fn check_metrics(metrics: &[Metric]) -> Result<(), ConfigError> {
    if metrics.is_empty() {
        return Err(ConfigError::NoMetrics);
    }
    let repeated = metrics.iter().enumerate().find(|(at, m)| metrics[..*at].contains(m));
    repeated.map_or(Ok(()), |(_, m)| Err(ConfigError::RepeatedMetric(*m)))
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
    /// Nothing to judge.
    NoMetrics,
    /// A metric is listed twice.
    RepeatedMetric(Metric),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange { name, value, low, high } => {
                write!(f, "{name} is {value}; choose a value from {low} to {high}")
            }
            Self::NoMetrics => f.write_str("no metrics to judge; name errors, latency or both"),
            Self::RepeatedMetric(m) => write!(f, "metric {m} is listed twice; remove one"),
        }
    }
}

impl std::error::Error for ConfigError {}
