//! What is held against which limit, and how its failures are counted.

use super::range::Range;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whose value is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Population {
    /// The canary alone. The default: what a small canary does drowns in the whole.
    #[default]
    Canary,
    /// The baseline alone.
    Stable,
    /// Both together: what users see. It cannot tell a bad canary from a bad day, and a canary of
    /// 5 % that fails one request in ten raises it by half a point only.
    Service,
    /// Canary divided by baseline; see [`Check::floor`].
    Ratio,
    /// Canary minus baseline, in the unit of the signal.
    Difference,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// Share of requests that failed, 0 to 1.
    ErrorRate,
    /// Share of requests that did not fail, 0 to 1.
    SuccessRate,
    /// A quantile of latency in milliseconds (middle of its bucket, 1.1 % either way). Unfinished
    /// requests count as slower than everything.
    Latency {
        /// Within (0, 1).
        quantile: f64,
    },
    /// Mean latency in milliseconds.
    MeanLatency,
    /// Requests a second.
    RequestsPerSecond,
    /// Lines of the log that look like errors, among the last 1,000 of a revision.
    LogErrors,
    /// Such lines a minute, over the window.
    LogErrorsPerMinute,
    /// Processor use, 1 is a whole core; mean of the instances over the window.
    Cpu,
    /// Memory in bytes, of the largest instance.
    Memory,
    /// A number that a provider gives.
    Value {
        /// Its unit, as it is shown behind the number.
        unit: String,
    },
}

impl Signal {
    /// A provider's number.
    pub fn value(unit: &str) -> Self {
        Self::Value { unit: unit.into() }
    }

    /// Whether it is seen at the instances themselves, so that no request is needed for it.
    pub fn is_observed(&self) -> bool {
        matches!(self, Self::Value { .. }) || self.is_measured()
    }

    /// Whether Serin measures it at the instances.
    pub fn is_measured(&self) -> bool {
        matches!(self, Self::LogErrors | Self::LogErrorsPerMinute | Self::Cpu | Self::Memory)
    }

    /// Whether the latency histogram is needed.
    pub(super) fn is_timed(&self) -> bool {
        matches!(self, Self::Latency { .. } | Self::MeanLatency)
    }
}

/// How many failures end a check as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failures {
    /// So many in all, however many successes lie between (Flagger's `threshold`; for Argo's
    /// `failureLimit` see [`total_from_argo`]).
    Total(u32),
    /// So many in a row; a success begins anew.
    Consecutive(u32),
}

/// Argo's `failureLimit: n` fails when there are *more* than `n` failures in all. Its `-1` is
/// never: `None`, for which [`Check::report_only`] is the word here.
pub fn total_from_argo(failure_limit: i64) -> Option<Failures> {
    let total = failure_limit.checked_add(1).and_then(|n| u32::try_from(n).ok())?;
    (total > 0).then_some(Failures::Total(total))
}

/// The anytime ceiling test instead of point comparisons: rolls back when the evidence against
/// "each request fails with probability at most `p_max`" reaches `1/alpha`. However often it is
/// looked at, a version that keeps the limit is rolled back with probability at most `alpha`
/// (Ville's inequality), if requests fail independently given the past.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ceiling {
    /// Allowed error rate, 1e-6 to 0.5.
    pub p_max: f64,
    /// Probability of a false alarm, 1e-9 to 0.5.
    pub alpha: f64,
}

/// One check. Times in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_field_names)] // `error_limit` and its like are the field's own words
pub struct Check {
    /// How it is called in messages.
    pub name: String,
    /// Whose value.
    pub population: Population,
    /// Which value.
    pub signal: Signal,
    /// Values that are good.
    pub success: Option<Range>,
    /// Values that are bad. With both ranges, `failure` wins, and neither is inconclusive.
    pub failure: Option<Range>,
    /// The ceiling test; then neither range is used and nothing is counted.
    pub ceiling: Option<Ceiling>,
    /// Time from one measurement to the next.
    pub interval_ms: u64,
    /// How far back a measurement looks, to a twentieth. Data plane's signals only.
    pub window_ms: u64,
    /// After so many judged measurements the check is over. `None`: as long as the rollout.
    pub count: Option<u32>,
    /// Nothing is measured before.
    pub initial_delay_ms: u64,
    /// Requests (or the provider's sample count) below which a measurement says nothing; of the
    /// smaller arm where two are compared. At least one is always asked for.
    pub min_samples: u64,
    /// Failures that end it.
    pub failures: Failures,
    /// More inconclusive measurements than this pause the rollout.
    pub inconclusive_limit: u32,
    /// More errors in a row than this pause the rollout, until one reading succeeds.
    pub error_limit: u32,
    /// Index of the rollout's step with which it begins, from 0.
    pub starting_step: u32,
    /// For [`Population::Ratio`]: the smallest value the baseline is taken for, in the unit of the
    /// signal, so that one error against a perfect baseline is not infinitely worse. 0: none.
    pub floor: f64,
    /// Says what it finds and decides nothing.
    pub report_only: bool,
}

impl Check {
    /// The canary's `signal` every minute over the last minute, failed by the first failure. It
    /// needs `success`, `failure` or `ceiling` yet.
    pub fn of(name: &str, signal: Signal) -> Self {
        Self {
            name: name.into(),
            population: Population::Canary,
            signal,
            success: None,
            failure: None,
            ceiling: None,
            interval_ms: 60_000,
            window_ms: 60_000,
            count: None,
            initial_delay_ms: 0,
            min_samples: 1,
            failures: Failures::Total(1),
            inconclusive_limit: 0,
            error_limit: 4,
            starting_step: 0,
            floor: 0.0,
            report_only: false,
        }
    }

    /// Whether it is measured during the rollout's step of this index (from 0).
    pub fn applies_at(&self, step: u32) -> bool {
        step >= self.starting_step
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// The first setting that makes no sense.
    pub fn validate(&self) -> Result<(), CheckError> {
        let ranged = self.success.is_some() || self.failure.is_some();
        if ranged == self.ceiling.is_some() {
            return Err(CheckError::Limits);
        }
        let ranges = [("success", self.success), ("failure", self.failure)];
        for (name, range) in ranges {
            if range.is_some_and(|range| !range.is_sound()) {
                return Err(CheckError::EmptyRange(name));
            }
        }
        self.validate_ceiling()?;
        self.validate_numbers()
    }

    fn validate_ceiling(&self) -> Result<(), CheckError> {
        let Some(ceiling) = self.ceiling else { return Ok(()) };
        let compared = matches!(self.population, Population::Ratio | Population::Difference);
        if compared || self.signal != Signal::ErrorRate {
            return Err(CheckError::CeilingOf);
        }
        in_range("ceiling p_max", ceiling.p_max, 1e-6, 0.5)?;
        in_range("ceiling alpha", ceiling.alpha, 1e-9, 0.5)
    }

    fn validate_numbers(&self) -> Result<(), CheckError> {
        if let Signal::Latency { quantile } = self.signal {
            in_range("quantile", quantile, 0.001, 0.9999)?;
        }
        let day = 86_400_000.0;
        in_range("interval in ms", self.interval_ms as f64, 1000.0, day)?;
        in_range("window in ms", self.window_ms as f64, 1000.0, day)?;
        in_range("floor", self.floor, 0.0, 1e15)?;
        if self.count == Some(0) {
            return Err(CheckError::Zero("count"));
        }
        match self.failures {
            Failures::Total(0) | Failures::Consecutive(0) => Err(CheckError::Zero("failures")),
            _ => Ok(()),
        }
    }

    /// A value with the unit of what this check looks at.
    pub(super) fn number(&self, x: f64) -> String {
        match (&self.signal, self.population) {
            (_, Population::Ratio) => format!("{} times stable's", short(x)),
            (Signal::ErrorRate | Signal::SuccessRate, Population::Difference) => {
                format!("{} points", short(x * 100.0))
            }
            (Signal::ErrorRate | Signal::SuccessRate, _) => format!("{} %", short(x * 100.0)),
            (Signal::Latency { .. } | Signal::MeanLatency, _) => format!("{} ms", short(x)),
            (Signal::RequestsPerSecond, _) => format!("{} requests/s", short(x)),
            (Signal::LogErrors, _) => format!("{} error lines of the last 1,000", short(x)),
            (Signal::LogErrorsPerMinute, _) => format!("{} error lines/min", short(x)),
            (Signal::Cpu, _) => format!("{} % of a core", short(x * 100.0)),
            (Signal::Memory, _) => format!("{} MiB", short(x / f64::from(1 << 20))),
            (Signal::Value { unit }, _) => format!("{} {unit}", short(x)).trim_end().to_owned(),
        }
    }
}

/// Three significant digits, without zeros at the end; whole numbers from 100.
fn short(x: f64) -> String {
    let digits = match x.abs() {
        a if a >= 100.0 => 0,
        a if a >= 10.0 => 1,
        a if a >= 1.0 => 2,
        a if a >= 0.1 || a == 0.0 => 3,
        _ => 5,
    };
    let text = format!("{x:.digits$}");
    if digits == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

fn in_range(name: &'static str, value: f64, low: f64, high: f64) -> Result<(), CheckError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(CheckError::OutOfRange { name, value, low, high })
}

/// Why a check was refused.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckError {
    /// Neither ranges nor a ceiling, or both.
    Limits,
    /// A range without values, without ends, or with an end that is not a number.
    EmptyRange(&'static str),
    /// A ceiling for something that is not one population's error rate.
    CeilingOf,
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
    /// A number of measurements that is zero.
    Zero(&'static str),
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limits => {
                f.write_str("a check needs limits: give success and/or failure, or else a ceiling")
            }
            Self::EmptyRange(name) => {
                write!(f, "no value is inside the {name} range; give a min below its max")
            }
            Self::CeilingOf => f.write_str(
                "a ceiling is for the error rate of canary, stable or service; use a range here",
            ),
            Self::OutOfRange { name, value, low, high } => {
                write!(f, "{name} is {value}; choose a value from {low} to {high}")
            }
            Self::Zero(name) => write!(f, "{name} is 0; choose 1 or more"),
        }
    }
}

impl std::error::Error for CheckError {}
