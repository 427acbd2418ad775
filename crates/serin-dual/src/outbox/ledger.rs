//! Who holds the writes: one row a stream in each database, under locks of the database.

use super::error::Error;
use crate::phase::Side;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, GenericClient, Row, Transaction};

/// What a database says about a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// `None`: the writes are being handed over.
    pub holder: Option<Side>,
    /// What is written here goes to the other store too.
    pub recording: bool,
}

/// Shared by everyone who writes to a stream, until the end of the transaction; then the key's own.
/// A statement by itself: what is read after it is what was true once the locks were held.
const LOCK: &str = "\
SELECT pg_advisory_xact_lock_shared(hashtextextended('serin.dual.stream:' || $1, 0)),
       pg_advisory_xact_lock(hashtextextended('serin.dual.key:' || $1 || ':' || $2, 0))";

const READ: &str = "SELECT holder, recording FROM serin.dual_stream WHERE stream = $1";

/// Takes the locks of a write, then reads who holds the writes.
pub(super) async fn enter(
    store: &Transaction<'_>,
    side: Side,
    stream: &str,
    key: &str,
) -> Result<Standing, Error> {
    // With their types, statements need one round trip instead of two.
    let both = [(&stream as _, Type::TEXT), (&key as _, Type::TEXT)];
    let locked = store.query_typed_one(LOCK, &both).await;
    locked.map_err(Error::at(side, "locking a key"))?;
    read(store.query_typed_opt(READ, &both[..1]).await, side, stream)
}

/// What the database says.
pub(super) async fn standing(
    client: &impl GenericClient,
    side: Side,
    stream: &str,
) -> Result<Standing, Error> {
    read(client.query_opt(READ, &[&stream]).await, side, stream)
}

fn read(
    row: Result<Option<Row>, tokio_postgres::Error>,
    side: Side,
    stream: &str,
) -> Result<Standing, Error> {
    let row = row.map_err(Error::at(side, "reading who holds the writes"))?;
    let row = row.ok_or_else(|| Error::NotSetUp(stream.to_owned()))?;
    let holder = match row.get::<_, &str>(0) {
        "old" => Some(Side::Old),
        "new" => Some(Side::New),
        _ => None,
    };
    Ok(Standing { holder, recording: row.get(1) })
}

/// The first row of a stream: the old store holds the writes, and nothing follows.
pub(super) async fn begin(client: &Client, side: Side, stream: &str) -> Result<(), Error> {
    let sql =
        "INSERT INTO serin.dual_stream (stream, holder) VALUES ($1, 'old') ON CONFLICT DO NOTHING";
    let done = client.execute(sql, &[&stream]).await;
    done.map(drop).map_err(Error::at(side, "beginning the stream"))
}

/// Waits until no write is under way, and writes down who holds them from then on. Writers that
/// come meanwhile wait for at most `patience_ms`; then it gives up with `55P03`.
pub(super) async fn change(
    client: &mut Client,
    side: Side,
    stream: &str,
    standing: Standing,
    patience_ms: u64,
) -> Result<(), Error> {
    let at = || Error::at(side, "changing who holds the writes");
    let store = client.transaction().await.map_err(at())?;
    let limit = format!("SET LOCAL lock_timeout = {patience_ms}");
    store.batch_execute(&limit).await.map_err(at())?;
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended('serin.dual.stream:' || $1, 0))";
    store.query_one(lock, &[&stream]).await.map_err(at())?;
    let sql = "UPDATE serin.dual_stream SET holder = $2, recording = $3, epoch = epoch + 1 WHERE stream = $1";
    let holder = standing.holder.map_or("nobody", Side::name);
    let changed = store.execute(sql, &[&stream, &holder, &standing.recording]).await;
    if changed.map_err(at())? == 0 {
        return Err(Error::NotSetUp(stream.to_owned()));
    }
    store.commit().await.map_err(|source| Error::Unsure { side, source })
}

/// Only one process hands a stream over; the lock goes with its connection.
pub(super) async fn try_reserve(client: &Client, side: Side, stream: &str) -> Result<bool, Error> {
    let sql = "SELECT pg_try_advisory_lock(hashtextextended('serin.dual.handover:' || $1, 0))";
    let row = client.query_one(sql, &[&stream]).await;
    row.map(|row| row.get(0)).map_err(Error::at(side, "reserving the handover"))
}

/// Others may hand over again.
pub(super) async fn release(client: &Client, stream: &str) {
    let sql = "SELECT pg_advisory_unlock(hashtextextended('serin.dual.handover:' || $1, 0))";
    // A lost connection has released it.
    let _ = client.query_one(sql, &[&stream]).await;
}
