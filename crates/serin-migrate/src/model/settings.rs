//! The block `serin` of a migration: what pgroll does not know. Taken out, the rest is a file that
//! pgroll reads.

use serde::{Deserialize, Serialize};

/// All of the block.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Questions to the database that must be answered with true.
    pub checks: Checks,
    /// How rows that are there are filled in.
    pub backfill: BackfillSettings,
    /// What becomes of a value that the old shape cannot hold.
    pub on_down_error: LossyDown,
    /// When the old shape goes.
    pub contract: ContractSettings,
}

/// SQL that answers with one row whose first column is true; empty and NULL are no.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// Before anything is changed.
    pub pre: Vec<String>,
    /// After the backfill.
    pub post: Vec<String>,
    /// Before the old shape goes.
    pub contract: Vec<String>,
}

/// How rows that are there are filled in. What a plan that was kept does not say is as usual.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BackfillSettings {
    /// Lag of a replica at which it waits, ms.
    pub max_lag_ms: u64,
    /// It waits while the service's 99th percentile is more than so many times what it was
    /// before.
    pub max_p99_factor: f64,
    /// Time one batch takes, ms.
    pub batch_ms: u64,
    /// Share of the time it works, 0 to 1; the rest it leaves to others.
    pub duty: f64,
    /// Hours of the day in which it runs, `22:00-06:00` in UTC; always unless said.
    pub window: Option<String>,
    /// It waits while a replication slot keeps back more log than this, bytes.
    pub max_kept_wal: u64,
    /// It waits while less of the disk is free, bytes; by its size unless said.
    pub min_free_disk: Option<u64>,
}

impl Default for BackfillSettings {
    fn default() -> Self {
        Self {
            max_lag_ms: 2_000,
            max_p99_factor: 1.3,
            batch_ms: 20,
            duty: 0.5,
            window: None,
            max_kept_wal: 8 << 30,
            min_free_disk: None,
        }
    }
}

/// What becomes of a value that the old shape cannot hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LossyDown {
    /// The new version's write fails.
    #[default]
    Reject,
    /// The write is taken; the old column keeps what it had, and the value is noted.
    Quarantine,
}

/// When the old shape goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractSettings {
    /// Time after promotion in which the way back stays open, ms.
    pub after_ms: u64,
    /// A person says when; otherwise it goes by itself once nothing speaks against it.
    pub by_hand: bool,
    /// Time the old views are closed, and can be opened again, before anything is dropped, ms.
    pub brown_out_ms: u64,
    /// Time a dropped column or table is only hidden, ms.
    pub grace_ms: u64,
}

impl Default for ContractSettings {
    fn default() -> Self {
        let day = 86_400_000;
        Self { after_ms: day, by_hand: true, brown_out_ms: 0, grace_ms: 7 * day }
    }
}
