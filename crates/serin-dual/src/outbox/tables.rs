//! The library's own tables, alike in both databases.

use super::error::Error;
use super::ledger;
use crate::phase::Side;
use tokio_postgres::Client;

/// Taken while the tables are made: two processes that start together would otherwise meet.
const MAKE: &str = "\
BEGIN;
SELECT pg_advisory_xact_lock(7310640321);
CREATE SCHEMA IF NOT EXISTS serin;
CREATE TABLE IF NOT EXISTS serin.dual_stream (
    stream text PRIMARY KEY,
    holder text NOT NULL CHECK (holder IN ('old', 'new', 'nobody')),
    recording boolean NOT NULL DEFAULT false,
    epoch bigint NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS serin.dual_outbox (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream text NOT NULL,
    key text NOT NULL,
    change jsonb NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT '-infinity',
    dead_at timestamptz,
    reason text
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX IF NOT EXISTS dual_outbox_key ON serin.dual_outbox (stream, key, position);
CREATE TABLE IF NOT EXISTS serin.dual_applied (
    stream text NOT NULL,
    key text NOT NULL,
    position bigint NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (stream, key)
);
COMMIT;";

/// Makes the tables of the outbox in one of the two databases, in its schema `serin`, and begins
/// the stream with the old store as the holder of the writes. Does nothing where they are.
///
/// # Errors
/// [`Error::Database`], such as without the right to create a schema.
pub async fn setup(client: &Client, side: Side, stream: &str) -> Result<(), Error> {
    let made = client.batch_execute(MAKE).await;
    if made.is_err() {
        // The transaction it failed in is still open; what that says matters less than why.
        let _ = client.batch_execute("ROLLBACK").await;
    }
    made.map_err(Error::at(side, "making the tables of the outbox"))?;
    ledger::begin(client, side, stream).await
}
