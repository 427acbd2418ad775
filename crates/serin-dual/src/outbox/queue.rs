//! The rows of the outbox.

use super::Change;
use super::error::{Error, Refusal};
use super::worker::OnDead;
use crate::gate::Backlog;
use crate::phase::Side;
use serde::Serialize;
use std::time::Duration;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, GenericClient, Row, Transaction};

/// A write that was given up. Its key waits behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dead {
    /// Its place in the outbox.
    pub position: i64,
    /// Its key.
    pub key: String,
    /// Tries.
    pub attempts: u32,
    /// What the other store said at the last one.
    pub reason: String,
    /// Later writes of the same key that wait.
    pub behind: u64,
}

/// Where a worker looks for rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Among {
    /// Ten batches from the beginning.
    Oldest,
    /// Everywhere: the oldest may all wait behind a dead letter, or be held by another worker.
    All,
}

/// A row that a worker holds.
#[derive(Debug)]
pub(super) struct Claimed {
    pub position: i64,
    pub key: String,
    pub change: String,
    pub attempts: i32,
}

const PUT: &str = "\
INSERT INTO serin.dual_outbox (stream, key, change) VALUES ($1, $2, $3::text::jsonb) RETURNING position";

/// First the keys whose first row nobody else holds, among so many of the oldest rows; then some of
/// what follows it. Neither looks at all that waits: that may be a lot.
const CLAIM: &str = "\
WITH heads AS (
    SELECT o.position, o.key FROM serin.dual_outbox o
    WHERE o.stream = $1 AND o.dead_at IS NULL AND o.next_at <= clock_timestamp()
      AND o.position <= coalesce((
        SELECT w.position FROM serin.dual_outbox w WHERE w.stream = $1 AND w.dead_at IS NULL
        ORDER BY w.position OFFSET $4 LIMIT 1), 9223372036854775807)
      AND NOT EXISTS (
        SELECT FROM serin.dual_outbox e
        WHERE e.stream = o.stream AND e.key = o.key AND e.position < o.position
          AND (e.dead_at IS NULL OR $3))
    ORDER BY o.position LIMIT $2 FOR UPDATE OF o SKIP LOCKED
)
SELECT f.position, f.key, f.change::text, f.attempts FROM heads h CROSS JOIN LATERAL (
    SELECT * FROM serin.dual_outbox o
    WHERE o.stream = $1 AND o.key = h.key AND o.position >= h.position AND o.dead_at IS NULL
    ORDER BY o.position LIMIT 50) AS f
ORDER BY f.position LIMIT $2";

const DONE: &str = "DELETE FROM serin.dual_outbox WHERE position = ANY($1)";

const FAILED: &str = "\
UPDATE serin.dual_outbox SET attempts = attempts + 1, reason = $2,
    next_at = clock_timestamp() + $3::bigint * interval '1 millisecond',
    dead_at = CASE WHEN $4 THEN clock_timestamp() END
WHERE position = $1";

const BACKLOG: &str = "\
SELECT count(*) FILTER (WHERE dead_at IS NULL), count(*) FILTER (WHERE dead_at IS NOT NULL),
       coalesce(extract(epoch FROM clock_timestamp() - min(written_at) FILTER (WHERE dead_at IS NULL)), 0)::float8
FROM serin.dual_outbox WHERE stream = $1";

const DEAD: &str = "\
SELECT d.position, d.key, d.attempts, coalesce(d.reason, ''),
       (SELECT count(*) FROM serin.dual_outbox o
        WHERE o.stream = d.stream AND o.key = d.key AND o.position > d.position)
FROM serin.dual_outbox d WHERE d.stream = $1 AND d.dead_at IS NOT NULL
ORDER BY d.position LIMIT $2";

const REQUEUE: &str = "\
UPDATE serin.dual_outbox SET dead_at = NULL, attempts = 0, next_at = '-infinity'
WHERE stream = $1 AND position = $2 AND dead_at IS NOT NULL";

const DISCARD: &str =
    "DELETE FROM serin.dual_outbox WHERE stream = $1 AND position = $2 AND dead_at IS NOT NULL";

/// Adds a row to the writer's own transaction.
pub(super) async fn put(
    store: &Transaction<'_>,
    side: Side,
    stream: &str,
    key: &str,
    change: &Change,
) -> Result<i64, Error> {
    let text = serde_json::to_string(change)?;
    let row = [&stream as _, &key as _, &text as _].map(|value| (value, Type::TEXT));
    let row = store.query_typed_one(PUT, &row).await;
    row.map(|row| row.get(0)).map_err(Error::at(side, "writing to the outbox"))
}

/// Takes at most `limit` rows, in order within each key, until the transaction ends.
pub(super) async fn claim(
    outbox: &Transaction<'_>,
    side: Side,
    stream: &str,
    limit: u32,
    on_dead: OnDead,
    among: Among,
) -> Result<Vec<Claimed>, Error> {
    let waits = on_dead == OnDead::Wait;
    let among = match among {
        Among::Oldest => i64::from(limit) * 10,
        Among::All => i64::MAX,
    };
    let rows = outbox.query(CLAIM, &[&stream, &i64::from(limit), &waits, &among]).await;
    let rows = rows.map_err(Error::at(side, "reading the outbox"))?;
    Ok(rows.iter().map(claimed).collect())
}

fn claimed(row: &Row) -> Claimed {
    Claimed { position: row.get(0), key: row.get(1), change: row.get(2), attempts: row.get(3) }
}

/// Takes rows out that the other store has.
pub(super) async fn done(
    outbox: &Transaction<'_>,
    side: Side,
    positions: &[i64],
) -> Result<(), Error> {
    let done = outbox.execute(DONE, &[&positions]).await;
    done.map(drop).map_err(Error::at(side, "clearing the outbox"))
}

/// Notes that a row failed, and when it is tried again, if ever.
pub(super) async fn failed(
    outbox: &Transaction<'_>,
    side: Side,
    position: i64,
    refusal: &Refusal,
    again: Option<Duration>,
) -> Result<(), Error> {
    let pause = again.map_or(0, |pause| pause.as_millis() as i64);
    let noted =
        outbox.execute(FAILED, &[&position, &refusal.reason(), &pause, &again.is_none()]).await;
    noted.map(drop).map_err(Error::at(side, "noting a failure in the outbox"))
}

/// What waits in the outbox of the store `side`.
///
/// # Errors
/// [`Error::Database`] when it does not answer.
pub async fn backlog(
    client: &impl GenericClient,
    side: Side,
    stream: &str,
) -> Result<Backlog, Error> {
    let row = client.query_one(BACKLOG, &[&stream]).await;
    let row = row.map_err(Error::at(side, "measuring the outbox"))?;
    // A clock that was set back makes no negative ages.
    let oldest = Duration::try_from_secs_f64(row.get::<_, f64>(2)).unwrap_or_default();
    Ok(Backlog { waiting: count(&row, 0), dead: count(&row, 1), oldest })
}

/// The writes that were given up, oldest first, at most `limit`.
///
/// # Errors
/// [`Error::Database`] when it does not answer.
pub async fn dead_letters(
    client: &Client,
    side: Side,
    stream: &str,
    limit: u32,
) -> Result<Vec<Dead>, Error> {
    let rows = client.query(DEAD, &[&stream, &i64::from(limit)]).await;
    let rows = rows.map_err(Error::at(side, "reading dead letters"))?;
    Ok(rows.iter().map(dead).collect())
}

fn dead(row: &Row) -> Dead {
    Dead {
        position: row.get(0),
        key: row.get(1),
        attempts: row.get::<_, i32>(2).unsigned_abs(),
        reason: row.get(3),
        behind: count(row, 4),
    }
}

fn count(row: &Row, column: usize) -> u64 {
    row.get::<_, i64>(column).unsigned_abs()
}

/// Has a dead letter tried again; `false` when there is none at this position.
///
/// # Errors
/// [`Error::Database`] when it does not answer.
pub async fn requeue(
    client: &Client,
    side: Side,
    stream: &str,
    position: i64,
) -> Result<bool, Error> {
    let done = client.execute(REQUEUE, &[&stream, &position]).await;
    done.map(|rows| rows == 1).map_err(Error::at(side, "requeueing a dead letter"))
}

/// Drops a dead letter for good: the other store will not have this change. `false` when there is
/// none at this position.
///
/// # Errors
/// [`Error::Database`] when it does not answer.
pub async fn discard(
    client: &Client,
    side: Side,
    stream: &str,
    position: i64,
) -> Result<bool, Error> {
    let done = client.execute(DISCARD, &[&stream, &position]).await;
    done.map(|rows| rows == 1).map_err(Error::at(side, "discarding a dead letter"))
}
