//! What the runner is told about the world outside the database.

use serde::{Deserialize, Serialize};

/// What the runner asks about everything that is not in the database. Asked often: answers come
/// from what is known already.
pub trait World: Send + Sync {
    /// Instances of the old version that live, by name.
    fn old_instances(&self) -> Vec<String> {
        Vec::new()
    }

    /// Instances of the new version that live, by name.
    fn new_instances(&self) -> Vec<String> {
        Vec::new()
    }

    /// Beginnings of the application names under which old clients connect: `shop/v1/`.
    fn old_applications(&self) -> Vec<String> {
        Vec::new()
    }

    /// Beginnings of the application names under which new clients connect.
    fn new_applications(&self) -> Vec<String> {
        Vec::new()
    }

    /// How far the new version is.
    fn promotion(&self) -> Promotion {
        Promotion::Unmanaged
    }

    /// Why nothing may be dropped now: a freeze, a burned error budget. One sentence each.
    fn objections(&self) -> Vec<String> {
        Vec::new()
    }

    /// How the service fares; `None` when nobody measures it.
    fn health(&self) -> Option<Health> {
        None
    }

    /// Called at each point where a crash would be most harmful, with its name:
    /// `forward/3/before`, `forward/3/commit`, `forward/3/after`, `batch`. Tests end the process
    /// there.
    fn reached(&self, _point: &str) {}
}

/// How far the new version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Promotion {
    /// No rollout is part of this: a person decides.
    Unmanaged,
    /// Old and new version still share the traffic.
    Pending,
    /// All traffic has gone to the new version for so many ms.
    Since(u64),
}

/// How the service that uses the database fares now.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Its 99th percentile of time to answer, ms.
    pub p99_ms: f64,
    /// The same before the migration began, ms; 0 when unknown.
    pub usual_p99_ms: f64,
    /// Share of requests that fail, 0 to 1.
    pub error_rate: f64,
    /// The same before the migration began.
    pub usual_error_rate: f64,
}

/// Nobody but the database: the runner alone, started by a person.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl World for Alone {
    /// In builds for development, ends the process at the point that `SERIN_MIGRATE_HALT` names.
    fn reached(&self, point: &str) {
        if cfg!(debug_assertions) && std::env::var("SERIN_MIGRATE_HALT").is_ok_and(|at| at == point)
        {
            std::process::abort();
        }
    }
}
