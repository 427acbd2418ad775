//! Dual write: the request's own transaction in the store that holds the writes, with a row of
//! the outbox in it, and a worker that makes the same change in the other store.
//!
//! How order is kept. A write takes a lock on its key before it does anything, until it has
//! committed, so the rows of a key stand in the outbox in the order of their commits. A worker
//! takes only rows whose key has no earlier row. The other store remembers, for each key, the
//! position it has, in the same transaction as the change: a worker that was killed, or one that
//! wakes up late, cannot make a change twice or in the wrong order.

mod dual;
mod error;
mod handover;
mod ledger;
mod queue;
mod tables;
mod worker;
mod worker_loop;

pub use dual::{Dual, Pair, Receipt, Writing};
pub use error::{Error, Refusal};
pub use handover::HandoverLimits;
pub use queue::{Dead, backlog, dead_letters, discard, requeue};
pub use tables::setup;
pub use worker::{OnDead, Round, Worker, WorkerSettings};
pub use worker_loop::{Connect, Tally, Urls};

use serde::{Deserialize, Serialize};
use std::future::Future;
use tokio_postgres::Transaction;

/// What is written, as both stores understand it: it waits as JSON in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What happened, such as `order-placed`.
    pub kind: String,
    /// What is needed to do it. No numbers beyond 64 bits and no character NUL.
    pub body: serde_json::Value,
}

impl Change {
    /// A change.
    pub fn new(kind: impl Into<String>, body: serde_json::Value) -> Self {
        Self { kind: kind.into(), body }
    }
}

/// How a change is made in each of the two stores.
///
/// Both are called inside a transaction that the library commits. They must have no effect
/// outside of it: it is repeated after a failure.
pub trait Stores: Send + Sync + 'static {
    /// Makes the change in the old store.
    fn in_old(
        &self,
        store: &Transaction<'_>,
        change: &Change,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Makes the change in the new store.
    fn in_new(
        &self,
        store: &Transaction<'_>,
        change: &Change,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;
}
