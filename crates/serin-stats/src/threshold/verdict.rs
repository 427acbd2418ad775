//! What a check says, and what several say together.

use super::check::Check;
use serde::{Deserialize, Serialize};

/// What a check says now. All but `Pass` say why, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckVerdict {
    /// The last measurement was good; with a `count`, all of them were taken. Go on.
    Pass,
    /// Too many failures. Final: roll back.
    Fail {
        /// Why.
        why: String,
    },
    /// Too many failures of a check that only reports. Final, and decides nothing.
    Report {
        /// Why.
        why: String,
    },
    /// Too many measurements that are neither good nor bad: a person decides.
    Inconclusive {
        /// Why.
        why: String,
    },
    /// The source could not be read too often: pause until it can.
    Error {
        /// Why.
        why: String,
    },
    /// Hold: warm-up, measurements left, or a bad one that is not the last straw.
    Continue {
        /// Why.
        why: String,
    },
    /// Nothing that can be judged. Never a pass.
    NoData {
        /// Why.
        why: String,
    },
}

impl CheckVerdict {
    /// Why, if it is not a pass.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Pass => None,
            Self::Fail { why }
            | Self::Report { why }
            | Self::Inconclusive { why }
            | Self::Error { why }
            | Self::Continue { why }
            | Self::NoData { why } => Some(why),
        }
    }

    /// What counts most when verdicts are combined.
    fn gravity(&self) -> u8 {
        match self {
            Self::Pass | Self::Report { .. } => 0,
            Self::Continue { .. } => 1,
            Self::NoData { .. } => 2,
            Self::Inconclusive { .. } => 3,
            Self::Error { .. } => 4,
            Self::Fail { .. } => 5,
        }
    }
}

/// What all checks say together: the gravest of Fail, Error, Inconclusive, NoData, Continue, Pass;
/// of equal ones the first. Checks that only report are not asked. `None` when that leaves none:
/// then checks neither allow nor forbid anything.
pub fn overall<'a>(
    verdicts: impl IntoIterator<Item = (&'a Check, &'a CheckVerdict)>,
) -> Option<&'a CheckVerdict> {
    let deciding = verdicts.into_iter().filter(|(check, _)| !check.report_only);
    deciding
        .map(|(_, verdict)| verdict)
        .reduce(|gravest, next| if next.gravity() > gravest.gravity() { next } else { gravest })
}
