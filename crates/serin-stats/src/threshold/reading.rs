//! From what was seen to the one number a check compares.

use super::check::{Check, Population, Signal};
use crate::ArmTick;
use crate::bucket::{MAX_BUCKET, bucket_middle_ms, bucket_upper_us};
use crate::hist::Histogram;
use serde::{Deserialize, Serialize};

/// One arm's requests in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Requests.
    pub n: u64,
    /// Those that failed.
    pub errors: u64,
    /// Those that were not finished; inside `errors` too.
    pub unfinished: u64,
    /// Latency of the others.
    pub latency: Histogram,
}

impl Traffic {
    /// Adds one tick, with its latency where it is needed.
    pub(super) fn add(&mut self, tick: &ArmTick, timed: bool) {
        self.n = self.n.saturating_add(tick.n);
        self.errors = self.errors.saturating_add(tick.errors);
        if timed {
            self.unfinished = self.unfinished.saturating_add(tick.unfinished);
            self.latency.add(&tick.latency);
        }
    }

    /// Adds another window's.
    pub(super) fn merge(&mut self, other: &Self) {
        self.n = self.n.saturating_add(other.n);
        self.errors = self.errors.saturating_add(other.errors);
        self.unfinished = self.unfinished.saturating_add(other.unfinished);
        self.latency.add(&other.latency);
    }

    fn merged(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.merge(other);
        both
    }

    /// Requests that carry the signal.
    fn samples(&self, signal: &Signal) -> u64 {
        if signal.is_timed() {
            self.latency.total().saturating_add(self.unfinished)
        } else {
            self.n
        }
    }

    fn error_rate(&self) -> f64 {
        self.errors as f64 / self.n.max(1) as f64
    }

    /// Unfinished requests stand behind the last bucket, at its upper edge.
    fn quantile_ms(&self, q: f64) -> f64 {
        let total = self.latency.total().saturating_add(self.unfinished);
        let rank = libm::ceil(q.clamp(0.0, 1.0) * total as f64).max(1.0);
        let mut seen = 0_u64;
        let mut found = self.latency.iter().skip_while(|&(_, count)| {
            seen = seen.saturating_add(count);
            (seen as f64) < rank
        });
        found.next().map_or(longest_ms(), |(bucket, _)| bucket_middle_ms(bucket))
    }

    fn mean_ms(&self) -> f64 {
        let finished: f64 = self.latency.iter().map(|(b, n)| bucket_middle_ms(b) * n as f64).sum();
        let total = self.latency.total().saturating_add(self.unfinished);
        (finished + self.unfinished as f64 * longest_ms()) / total.max(1) as f64
    }

    fn signal(&self, signal: &Signal, seconds: f64) -> Option<f64> {
        match signal {
            Signal::ErrorRate => Some(self.error_rate()),
            Signal::SuccessRate => Some(1.0 - self.error_rate()),
            Signal::Latency { quantile } => Some(self.quantile_ms(*quantile)),
            Signal::MeanLatency => Some(self.mean_ms()),
            Signal::RequestsPerSecond => (seconds > 0.0).then(|| self.n as f64 / seconds),
            Signal::LogErrors
            | Signal::LogErrorsPerMinute
            | Signal::Cpu
            | Signal::Memory
            | Signal::Value { .. } => None,
        }
    }
}

/// What an unfinished request is taken for.
fn longest_ms() -> f64 {
    bucket_upper_us(MAX_BUCKET) as f64 / 1000.0
}

/// What was found when it was time to measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sample {
    /// The number the check asks about, of its population: a provider that is asked for a ratio
    /// gives the ratio.
    Value {
        /// The number.
        value: f64,
        /// How many observations it was made of, if that is known.
        samples: Option<u64>,
    },
    /// The number of either arm.
    Arms {
        /// The canary's.
        canary: f64,
        /// The baseline's.
        stable: f64,
        /// Observations in the smaller arm, if that is known.
        samples: Option<u64>,
    },
    /// Requests of the window.
    Window {
        /// Seconds it covers.
        seconds: f64,
        /// The canary's.
        canary: Traffic,
        /// The baseline's.
        stable: Traffic,
    },
    /// The source has no value.
    Nothing,
    /// The source could not be read, and why.
    Unreadable(String),
}

impl Sample {
    /// A provider's number.
    pub fn value(value: f64) -> Self {
        Self::Value { value, samples: None }
    }
}

/// A number that can be compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reading {
    pub value: f64,
    pub samples: Option<u64>,
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Trouble {
    NoData(String),
    Error(String),
}

/// The number that `check` compares.
pub(super) fn read(check: &Check, sample: &Sample) -> Result<Reading, Trouble> {
    let reading = match sample {
        Sample::Nothing => return Err(Trouble::NoData("the source has no value".into())),
        Sample::Unreadable(why) => return Err(Trouble::Error(why.clone())),
        Sample::Value { value, samples } => Reading { value: *value, samples: *samples },
        Sample::Arms { canary, stable, samples } => {
            Reading { value: arms(check, *canary, *stable)?, samples: *samples }
        }
        Sample::Window { seconds, canary, stable } => window(check, *seconds, canary, stable)?,
    };
    enough(check, reading.samples)?;
    if reading.value.is_finite() {
        Ok(reading)
    } else {
        Err(Trouble::Error(format!("the value is {}, not a number to compare", reading.value)))
    }
}

fn enough(check: &Check, samples: Option<u64>) -> Result<(), Trouble> {
    let least = check.min_samples.max(1);
    match samples {
        Some(n) if n < least => Err(Trouble::NoData(format!("{n} samples, {least} are needed"))),
        None if least > 1 => Err(Trouble::NoData(format!(
            "the source says no number of samples, {least} are needed; give it a count query"
        ))),
        _ => Ok(()),
    }
}

fn window(
    check: &Check,
    seconds: f64,
    canary: &Traffic,
    stable: &Traffic,
) -> Result<Reading, Trouble> {
    let (c, s) = (canary.samples(&check.signal), stable.samples(&check.signal));
    let of = |traffic: &Traffic| {
        let value = traffic.signal(&check.signal, seconds);
        value.ok_or_else(|| Trouble::Error("the data plane does not count this signal".into()))
    };
    let samples = match check.population {
        Population::Canary => c,
        Population::Stable => s,
        Population::Service => c.saturating_add(s),
        Population::Ratio | Population::Difference => c.min(s),
    };
    // Before anything is divided.
    enough(check, Some(samples))?;
    let value = match check.population {
        Population::Canary => of(canary)?,
        Population::Stable => of(stable)?,
        Population::Service => of(&canary.merged(stable))?,
        Population::Ratio | Population::Difference => arms(check, of(canary)?, of(stable)?)?,
    };
    Ok(Reading { value, samples: Some(samples) })
}

fn arms(check: &Check, canary: f64, stable: f64) -> Result<f64, Trouble> {
    match check.population {
        Population::Canary => Ok(canary),
        Population::Stable => Ok(stable),
        Population::Difference => Ok(canary - stable),
        Population::Ratio => ratio(canary, stable, check.floor),
        Population::Service => {
            Err(Trouble::Error("two numbers make no service; ask the source for one".into()))
        }
    }
}

/// Nothing against nothing is no change; anything against nothing needs a floor.
fn ratio(canary: f64, stable: f64, floor: f64) -> Result<f64, Trouble> {
    if !(canary >= 0.0 && stable >= 0.0) {
        return Err(Trouble::Error(format!(
            "{canary} against {stable} has no ratio: both must be numbers from 0"
        )));
    }
    let base = stable.max(floor);
    if base > 0.0 {
        Ok(canary / base)
    } else if canary == 0.0 {
        Ok(1.0)
    } else {
        Err(Trouble::Error(format!("stable is 0 and the canary {canary}: give the ratio a floor")))
    }
}
