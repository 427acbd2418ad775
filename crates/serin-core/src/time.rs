//! Time as the engine sees it: a number handed in from outside.

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, by the wall clock of whoever asks.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A span of time in milliseconds, never negative.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Timestamp {
    /// The moment `span` after this one.
    #[must_use]
    pub fn plus(self, span: Millis) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when the clock went backwards.
    pub fn since(self, earlier: Self) -> Millis {
        Millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Millis {
    /// A span of whole seconds.
    pub const fn secs(secs: u64) -> Self {
        Self(secs * 1000)
    }
}

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (ms, secs) = (self.0, self.0 / 1000);
        match secs {
            0 => write!(f, "{ms} ms"),
            1..60 if !ms.is_multiple_of(1000) => write!(f, "{:.1} s", ms as f64 / 1000.0),
            1..60 => write!(f, "{secs} s"),
            60..3600 if secs.is_multiple_of(60) => write!(f, "{} min", secs / 60),
            60..3600 => write!(f, "{} min {} s", secs / 60, secs % 60),
            _ if secs % 3600 < 60 => write!(f, "{} h", secs / 3600),
            _ => write!(f, "{} h {} min", secs / 3600, secs / 60 % 60),
        }
    }
}
