//! Ranges of allowed or forbidden values.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// The value itself is inside.
    Including(f64),
    /// The value itself is outside.
    Excluding(f64),
}

impl Bound {
    /// Where the end is.
    pub fn value(self) -> f64 {
        match self {
            Self::Including(value) | Self::Excluding(value) => value,
        }
    }
}

/// Values between two ends, either of which may be open. In the unit of the signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// The lower end.
    pub min: Option<Bound>,
    /// The upper end.
    pub max: Option<Bound>,
}

impl Range {
    /// `x <= max`.
    pub fn at_most(max: f64) -> Self {
        Self { min: None, max: Some(Bound::Including(max)) }
    }

    /// `x < max`.
    pub fn below(max: f64) -> Self {
        Self { min: None, max: Some(Bound::Excluding(max)) }
    }

    /// `x >= min`.
    pub fn at_least(min: f64) -> Self {
        Self { min: Some(Bound::Including(min)), max: None }
    }

    /// `x > min`.
    pub fn above(min: f64) -> Self {
        Self { min: Some(Bound::Excluding(min)), max: None }
    }

    /// `min <= x <= max`.
    pub fn between(min: f64, max: f64) -> Self {
        Self { min: Some(Bound::Including(min)), max: Some(Bound::Including(max)) }
    }

    /// Whether `x` is inside. Not for a `x` or an end that is not a number.
    pub fn contains(&self, x: f64) -> bool {
        let above = self.min.is_none_or(|min| match min {
            Bound::Including(min) => x >= min,
            Bound::Excluding(min) => x > min,
        });
        let below = self.max.is_none_or(|max| match max {
            Bound::Including(max) => x <= max,
            Bound::Excluding(max) => x < max,
        });
        above && below && !x.is_nan()
    }

    /// Whether some finite number is inside and all ends are finite.
    pub(super) fn is_sound(&self) -> bool {
        let ends = [self.min, self.max];
        let finite = ends.iter().flatten().all(|end| end.value().is_finite());
        let empty = match (self.min, self.max) {
            (Some(Bound::Including(min)), Some(Bound::Including(max))) => min > max,
            (Some(min), Some(max)) => min.value() >= max.value(),
            (None, None) => true,
            _ => false,
        };
        finite && !empty
    }

    /// The range in words, with each end written by `number`.
    pub(super) fn words(&self, number: impl Fn(f64) -> String) -> String {
        let min = self.min.map(|min| match min {
            Bound::Including(x) => format!("at least {}", number(x)),
            Bound::Excluding(x) => format!("above {}", number(x)),
        });
        let max = self.max.map(|max| match max {
            Bound::Including(x) => format!("at most {}", number(x)),
            Bound::Excluding(x) => format!("below {}", number(x)),
        });
        match (min, max) {
            (Some(min), Some(max)) => format!("{min} and {max}"),
            (one, other) => one.or(other).unwrap_or_else(|| "any value".into()),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words(|x| x.to_string()))
    }
}
