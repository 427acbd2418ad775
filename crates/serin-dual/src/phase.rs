//! The five phases of a move from one store to another, and what each means for reads and writes.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One of the two stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The store that is left.
    Old,
    /// The store that is moved to.
    New,
}

impl Side {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Old => Self::New,
            Self::New => Self::Old,
        }
    }

    /// `old` or `new`, as it stands in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a move stands. The order is the order of the move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// As if there were no new store.
    WriteOld,
    /// What is written to the old store follows in the new one; nobody reads that yet.
    DualWriteReadOld,
    /// The same, and a sample of the reads is compared with the new store.
    DualWriteShadowRead,
    /// The new store is written and read; the old one follows and stands in when a read fails.
    ReadNewDualWrite,
    /// As if there were no old store.
    NewOnly,
}

/// What a read does in a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Whose answer the caller gets.
    pub from: Side,
    /// Whether a sample is compared with the other store.
    pub compares: bool,
    /// Whether the other store answers when this one fails.
    pub falls_back: bool,
}

/// A flag's variant that names no phase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no phase; write one of write_old, dual_write_read_old, dual_write_shadow_read, \
     read_new_dual_write, new_only"
)]
pub struct UnknownPhase(pub String);

impl Phase {
    /// All, in order.
    pub const ALL: [Self; 5] = [
        Self::WriteOld,
        Self::DualWriteReadOld,
        Self::DualWriteShadowRead,
        Self::ReadNewDualWrite,
        Self::NewOnly,
    ];

    /// The flag's variant that stands for it.
    pub fn variant(self) -> &'static str {
        match self {
            Self::WriteOld => "write_old",
            Self::DualWriteReadOld => "dual_write_read_old",
            Self::DualWriteShadowRead => "dual_write_shadow_read",
            Self::ReadNewDualWrite => "read_new_dual_write",
            Self::NewOnly => "new_only",
        }
    }

    /// The phase that a flag's variant stands for.
    ///
    /// # Errors
    /// [`UnknownPhase`] for any other text.
    pub fn from_variant(variant: &str) -> Result<Self, UnknownPhase> {
        let found = Self::ALL.into_iter().find(|phase| phase.variant() == variant);
        found.ok_or_else(|| UnknownPhase(variant.to_owned()))
    }

    /// The one after it.
    pub fn next(self) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| *phase > self)
    }

    /// The store that is written first, in the request's own transaction.
    pub fn holder(self) -> Side {
        if self < Self::ReadNewDualWrite { Side::Old } else { Side::New }
    }

    /// Whether what is written there follows in the other store.
    pub fn records(self) -> bool {
        !matches!(self, Self::WriteOld | Self::NewOnly)
    }

    /// What a read does.
    pub fn reading(self) -> Reading {
        let compares = matches!(self, Self::DualWriteShadowRead | Self::ReadNewDualWrite);
        let falls_back = self == Self::ReadNewDualWrite;
        Reading { from: self.holder(), compares, falls_back }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.variant())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_there_and_back() {
        for phase in Phase::ALL {
            assert_eq!(Phase::from_variant(phase.variant()), Ok(phase));
            let json = serde_json::to_value(phase).unwrap();
            assert_eq!(json, serde_json::Value::from(phase.variant()));
        }
        let error = Phase::from_variant("new-only").unwrap_err().to_string();
        assert!(error.contains("`new-only`") && error.contains("read_new_dual_write"), "{error}");
    }

    #[test]
    fn what_each_phase_does() {
        use Side::{New, Old};
        let rows = [
            (Phase::WriteOld, Old, false, Old, false, false),
            (Phase::DualWriteReadOld, Old, true, Old, false, false),
            (Phase::DualWriteShadowRead, Old, true, Old, true, false),
            (Phase::ReadNewDualWrite, New, true, New, true, true),
            (Phase::NewOnly, New, false, New, false, false),
        ];
        for (phase, holder, records, from, compares, falls_back) in rows {
            assert_eq!((phase.holder(), phase.records()), (holder, records), "{phase}");
            assert_eq!(phase.reading(), Reading { from, compares, falls_back }, "{phase}");
        }
        assert_eq!(Phase::WriteOld.next(), Some(Phase::DualWriteReadOld));
        assert_eq!(Phase::NewOnly.next(), None);
    }
}
