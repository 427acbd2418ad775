//! Locks on tables.

use serde::Serialize;
use std::fmt;

/// The modes of a lock on a table, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LockMode {
    /// A reader's.
    AccessShare,
    /// A reader's that locks rows.
    RowShare,
    /// A writer's.
    RowExclusive,
    /// Against other changes of the table; readers and writers go on.
    ShareUpdateExclusive,
    /// Against writers.
    Share,
    /// Against writers, and against itself.
    ShareRowExclusive,
    /// Against all but plain readers.
    Exclusive,
    /// Against everybody.
    AccessExclusive,
}

/// A lock that a statement took.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Lock {
    /// The table, with its schema.
    pub table: String,
    /// How.
    pub mode: LockMode,
}

impl LockMode {
    /// All of them, with their names in `pg_locks` and in the documentation of Postgres.
    const NAMES: [(Self, &'static str, &'static str); 8] = [
        (Self::AccessShare, "AccessShareLock", "ACCESS SHARE"),
        (Self::RowShare, "RowShareLock", "ROW SHARE"),
        (Self::RowExclusive, "RowExclusiveLock", "ROW EXCLUSIVE"),
        (Self::ShareUpdateExclusive, "ShareUpdateExclusiveLock", "SHARE UPDATE EXCLUSIVE"),
        (Self::Share, "ShareLock", "SHARE"),
        (Self::ShareRowExclusive, "ShareRowExclusiveLock", "SHARE ROW EXCLUSIVE"),
        (Self::Exclusive, "ExclusiveLock", "EXCLUSIVE"),
        (Self::AccessExclusive, "AccessExclusiveLock", "ACCESS EXCLUSIVE"),
    ];

    /// The mode of this name in `pg_locks`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, server, _)| *server == name).map(|(mode, _, _)| *mode)
    }

    /// Whether writers wait for it.
    pub fn blocks_writes(self) -> bool {
        self >= Self::Share
    }

    /// Whether readers wait for it.
    pub fn blocks_reads(self) -> bool {
        self == Self::AccessExclusive
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(mode, _, _)| mode == self);
        f.pad(name.map_or("", |(_, _, words)| words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_named_as_the_server_does() {
        assert_eq!(LockMode::named("ShareLock"), Some(LockMode::Share));
        assert_eq!(LockMode::named("SIReadLock"), None);
        assert_eq!(LockMode::ShareRowExclusive.to_string(), "SHARE ROW EXCLUSIVE");
        assert!(LockMode::Share.blocks_writes() && !LockMode::Share.blocks_reads());
        assert!(!LockMode::ShareUpdateExclusive.blocks_writes());
    }
}
