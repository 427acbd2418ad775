//! A set of phased SQL as its author wrote it.

use crate::{Ident, Settings};
use serde::{Deserialize, Serialize};

/// What belongs to one change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhasedSet {
    /// Its name, unique in a history.
    pub set: Ident,
    /// Its parts in the order in which they are run; the phases come in their order.
    pub migrations: Vec<PhasedMigration>,
    /// How fast rows are filled, and when the old shape goes.
    pub settings: Settings,
}

/// When a part is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Before the first instance of the new version: what is new, beside what is there.
    Expand,
    /// After that: rows that are there get their new values.
    Migrate,
    /// When the old version is gone: what only it needed.
    Contract,
}

impl Phase {
    /// Its word in a file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Migrate => "migrate",
            Self::Contract => "contract",
        }
    }
}

/// One part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhasedMigration {
    /// Its version, unique in the set.
    pub version: String,
    /// What it is called.
    pub name: String,
    /// When it is run.
    pub phase: Phase,
    /// What is run; `None` when `batch` says it.
    pub up_sql: Option<String>,
    /// What takes it back; may be run whether or not `up_sql` was.
    pub down_sql: Option<String>,
    /// Must be true before.
    pub pre_check_sql: Option<String>,
    /// Must be true after; in the same transaction as `up_sql` where that has one.
    pub post_check_sql: Option<String>,
    /// It may hold ACCESS EXCLUSIVE while rows are read or written.
    pub requires_lock: bool,
    /// Its author's guess of its time, ms: three times as long is its limit.
    pub estimated_duration_ms: Option<u64>,
    /// It may block writes of others.
    pub affects_writes: bool,
    /// Rows that Serin updates in batches.
    pub batch: Option<Batch>,
}

impl PhasedMigration {
    /// How it is told: `2024_01_15_001 add_full_name`.
    pub fn title(&self) -> String {
        format!("{} {}", self.version, self.name)
    }
}

/// An update of many rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The table.
    pub table: Ident,
    /// Columns that are unique together and never NULL.
    pub key: Vec<Ident>,
    /// What stands behind `SET`.
    pub set: String,
    /// Rows it is for; all unless said.
    pub filter: Option<String>,
}
