//! Which of two tables is newer.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Position of a table: the controller's epoch, then a number within it. An older one never
/// replaces a newer one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Revision {
    /// Epoch of the controller.
    pub epoch: u64,
    /// Number within the epoch.
    pub n: u64,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.n)
    }
}

impl FromStr for Revision {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (epoch, n) = text.split_once('.').unwrap_or((text, ""));
        Ok(Self { epoch: epoch.parse()?, n: n.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_read_as_it_is_written() {
        let revision = Revision { epoch: 3, n: 10 };
        assert_eq!(revision.to_string().parse(), Ok(revision));
        assert!(Revision { epoch: 3, n: 9 } < revision && revision < Revision { epoch: 4, n: 0 });
        for bad in ["", "3", "3.", ".1", "3.x", "-3.1", "3.1.2"] {
            assert!(bad.parse::<Revision>().is_err(), "{bad}");
        }
    }
}
