//! One batch: one transaction.

use super::super::error::{Error, Result};
use super::super::session::Session;
use super::sql::array;
use crate::literal;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, SimpleQueryMessage};

/// Longest wait for a row that somebody else holds, ms: so long its own rows are held.
const ROW_MS: u64 = 50;

/// Time into a batch after which it is looked whether others wait for it.
const LOOK: Duration = Duration::from_millis(10);

/// What a batch does and what is noted with it.
pub(crate) struct Batch<'a> {
    pub migration: i64,
    pub sync: usize,
    pub leaf: &'a str,
    /// An update that gives one row for each row it changed.
    pub update: String,
    /// The cursor afterwards; as it is when `None`.
    pub cursor: Option<Vec<String>>,
    /// Rows gone through, for the progress.
    pub rows: i64,
    /// Rows of a batch and rows a second, for the status.
    pub size: u32,
    pub rate: f64,
}

/// What came of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    /// Rows that were filled in.
    pub changed: i64,
    /// Time it took, ms.
    pub ms: f64,
    /// The part of it that its rows took: all but the way there and the commit, ms.
    pub rows_ms: f64,
    /// Others that waited for its locks.
    pub waiters: u32,
}

/// Does a batch; with `watch`, looks how many wait for it.
pub(crate) async fn run(session: &Session<'_>, batch: &Batch<'_>, watch: bool) -> Result<Done> {
    let work = timed(session, batch);
    let (done, waiters) =
        if watch { tokio::join!(work, waiters(session)) } else { (work.await, Ok(0)) };
    Ok(Done { waiters: waiters?, ..done? })
}

async fn timed(session: &Session<'_>, batch: &Batch<'_>) -> Result<Done> {
    let began = Instant::now();
    let messages = session.transaction("filling in rows", ROW_MS, &statements(batch)).await?;
    let ms = began.elapsed().as_secs_f64() * 1_000.0;
    let row = last_row(&messages).unwrap_or_default();
    let number = |at: usize| row.get(at).and_then(|text| text.parse::<f64>().ok());
    let changed = number(0).unwrap_or(0.0) as i64;
    Ok(Done { changed, ms, rows_ms: number(1).unwrap_or(ms).min(ms), waiters: 0 })
}

fn statements(batch: &Batch<'_>) -> Vec<String> {
    let cursor = batch.cursor.as_deref().map_or("cursor".into(), array);
    vec![
        "SET LOCAL serin.backfill = 'on'".into(),
        "SET LOCAL enable_seqscan = off".into(),
        format!(
            "WITH changed AS ({}) UPDATE serin.progress SET cursor = {cursor}, \
             rows_done = rows_done + {}, batches = batches + 1, batch_rows = {}, rate = {:.1}, \
             rows_changed = rows_changed + (SELECT count(*) FROM changed) \
             WHERE migration = {} AND sync = {} AND leaf = {} \
             RETURNING (SELECT count(*) FROM changed), \
             extract(epoch FROM clock_timestamp() - transaction_timestamp()) * 1000",
            batch.update,
            batch.rows,
            batch.size,
            batch.rate,
            batch.migration,
            batch.sync,
            literal(batch.leaf),
        ),
    ]
}

/// Others that wait for a lock of the transaction under way.
async fn waiters(session: &Session<'_>) -> Result<u32> {
    tokio::time::sleep(LOOK).await;
    let name = session.database.application(super::super::connect::Purpose::Work);
    let sql = "SELECT count(*) FROM pg_stat_activity w, pg_stat_activity us \
         WHERE us.application_name = $1 AND us.datname = current_database() \
         AND w.wait_event_type = 'Lock' AND us.pid = ANY (pg_blocking_pids(w.pid))";
    let row = session.look.query_one(sql, &[&name]).await;
    Ok(row.map_err(Error::sql("looking who waits"))?.get::<_, i64>(0) as u32)
}

fn last_row(messages: &[SimpleQueryMessage]) -> Option<Vec<String>> {
    let row = messages.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })?;
    (0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()
}

/// The first row of what is asked, as text.
pub(crate) async fn row(client: &Client, sql: &str) -> Result<Option<Vec<String>>> {
    let messages = client.simple_query(sql).await;
    Ok(last_row(&messages.map_err(Error::sql("looking at rows"))?))
}
