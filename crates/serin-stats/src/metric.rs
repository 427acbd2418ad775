//! What is judged, how much it counts, and in which units.

use crate::eprocess::Harm;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is compared between the arms. In text: `errors`, `latency`, `mean-latency`, or the name of
/// a metric of the user's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Metric {
    /// Share of requests that failed.
    Errors,
    /// The whole latency distribution.
    Latency,
    /// Mean latency: quicker for small shifts of everything, with an asymptotic guarantee only.
    MeanLatency,
    /// A metric whose counts or means come with the ticks, by its name.
    Named(String),
}

impl From<String> for Metric {
    fn from(name: String) -> Self {
        match name.as_str() {
            "errors" => Self::Errors,
            "latency" => Self::Latency,
            "mean-latency" => Self::MeanLatency,
            _ => Self::Named(name),
        }
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> Self {
        metric.to_string()
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Errors => "errors",
            Self::Latency => "latency",
            Self::MeanLatency => "mean-latency",
            Self::Named(name) => name,
        })
    }
}

/// How much a metric has to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Can roll back, and promotion needs its PASS.
    #[default]
    Critical,
    /// Can roll back, with a smaller share of alpha; promotion does not wait for it.
    Normal,
    /// Only shown.
    WatchOnly,
}

/// Which way is worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Worse {
    /// More is worse: errors, restarts, time.
    #[default]
    Rise,
    /// Less is worse: sign-ups, revenue.
    Drop,
}

/// What kind of numbers a metric has. Harm of a [`Kind::Share`] is a ratio and a floor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Comes with the arms of a tick: errors, latency, mean latency.
    #[default]
    BuiltIn,
    /// Events among trials, more is worse.
    Share {
        /// Harm is at least this multiple of the baseline's rate (1.05 to 100) ...
        harm_ratio: f64,
        /// ... and at least this rate (1e-6 to 0.5).
        harm_floor: f64,
    },
    /// Events over an exposure (requests, instance-seconds): restarts, log errors, sign-ups.
    Count {
        /// Which way is worse.
        worse: Worse,
        /// Harm is this multiple of the baseline's rate, or this part of it (1.05 to 100).
        harm_ratio: f64,
        /// A rate (events per unit of exposure) below which a rise is no harm; 0: none.
        harm_floor: f64,
    },
    /// The mean of a number within known bounds: an exact test of differences by tick.
    BoundedMean {
        /// Smallest possible value.
        low: f64,
        /// Largest possible value.
        high: f64,
        /// Which way is worse.
        worse: Worse,
        /// Difference that is harm, in the metric's units, above 0.
        harm: f64,
    },
    /// The mean of any number, from sums or from a mean with its standard error: asymptotic.
    Mean {
        /// Which way is worse.
        worse: Worse,
        /// Relative change of the baseline's mean that is harm (0.001 to 10).
        harm: f64,
    },
}

impl Kind {
    /// What counts as harm when this is a share.
    pub fn share_harm(&self) -> Option<Harm> {
        match *self {
            Self::Share { harm_ratio, harm_floor } => {
                Some(Harm { ratio: harm_ratio, floor: harm_floor })
            }
            _ => None,
        }
    }
}

/// One metric to judge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricSettings {
    /// Which.
    pub metric: Metric,
    /// How much it has to say.
    #[serde(default)]
    pub role: Role,
    /// Its numbers; [`Kind::BuiltIn`] exactly for errors, latency and mean latency.
    #[serde(default)]
    pub kind: Kind,
}

impl From<Metric> for MetricSettings {
    fn from(metric: Metric) -> Self {
        Self { metric, role: Role::Critical, kind: Kind::BuiltIn }
    }
}
