//! A service that uses the table of a migration, and what is known of it.

use crate::{Result, lab::Lab};
use serin_migrate::{Health, World};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_postgres::NoTls;

/// Requests that are looked at for its 99th percentile.
const LATELY: usize = 1_000;

/// Time between two of them.
const EVERY: Duration = Duration::from_millis(5);

/// Requests of a service that uses the table: what Serin's data plane would know of it.
pub struct Service {
    lately: Mutex<VecDeque<f64>>,
    usual_ms: Mutex<f64>,
    ended: Mutex<bool>,
}

impl Service {
    /// Begins, on any of `rows`.
    pub fn start(lab: &Lab, database: &str, rows: u64) -> Result<Arc<Self>> {
        let this = Arc::new(Self {
            lately: Mutex::default(),
            usual_ms: Mutex::default(),
            ended: Mutex::default(),
        });
        let url = lab.cluster.url(database);
        let (client, connection) = lab.runtime.block_on(tokio_postgres::connect(&url, NoTls))?;
        lab.runtime.spawn(connection);
        let service = Arc::clone(&this);
        lab.runtime.spawn(async move {
            let mut chance = fastrand::Rng::with_seed(1);
            let mut due = tokio::time::interval(EVERY);
            while !*held(&service.ended) {
                due.tick().await;
                let id = chance.u64(1..=rows);
                let sql = format!("UPDATE t SET amount = amount + 1 WHERE id = {id}");
                let began = Instant::now();
                if client.batch_execute(&sql).await.is_err() {
                    return;
                }
                let mut lately = held(&service.lately);
                lately.push_back(began.elapsed().as_secs_f64() * 1_000.0);
                let over = lately.len().saturating_sub(LATELY);
                lately.drain(..over);
            }
        });
        Ok(this)
    }

    fn p99(&self) -> f64 {
        let mut sorted: Vec<f64> = held(&self.lately).iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        crate::lab::quantile(&sorted, 0.99)
    }

    /// What it is now is what is usual.
    pub fn remember(&self) {
        *held(&self.usual_ms) = self.p99();
    }

    /// Ends it.
    pub fn end(&self) {
        *held(&self.ended) = true;
    }
}

impl World for Service {
    fn health(&self) -> Option<Health> {
        let usual_p99_ms = *held(&self.usual_ms);
        Some(Health { p99_ms: self.p99(), usual_p99_ms, error_rate: 0.0, usual_error_rate: 0.0 })
    }
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
