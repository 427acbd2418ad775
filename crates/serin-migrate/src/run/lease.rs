//! One runner a schema: a lock of its session, and a number that rises with each new holder.
//!
//! The lock keeps others out while this runner lives. The number is asked for in the transaction
//! of every step, so that a runner that was thought dead and wakes up does nothing more.

use super::connect::{Database, Purpose};
use super::error::{Error, Result};
use super::options::Patience;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::Client;

/// Longest wait for a server process that was told to end, ms.
const END_MS: i64 = 5_000;

/// Longest wait for a session of this process to close, after it was given up.
const CLOSING: Duration = Duration::from_secs(2);

/// Signs of life within the lifetime of a lease.
const BEATS: u32 = 6;

/// Shortest lifetime.
const SHORTEST: Duration = Duration::from_millis(300);

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// The right to work on a schema, given back when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    /// Rises with each holder.
    pub epoch: i64,
    /// The server process whose session has the lock.
    pub pid: i32,
    lost: watch::Receiver<bool>,
    pulse: JoinHandle<()>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        // With the task goes the connection, and with that the lock.
        self.pulse.abort();
    }
}

impl Lease {
    /// Takes it, or says who has it. One whose holder has been silent for so long, ms, is taken
    /// from it; the server processes it left behind are ended first.
    pub async fn take(
        database: &Database,
        client: Client,
        patience: Patience,
        silent_ms: u64,
    ) -> Result<Self> {
        let pid = own_pid(&client).await?;
        if !locked(database, &client).await? {
            oust(database, &client, silent_ms).await?;
        }
        end_orphans(database, &client).await?;
        let epoch = next_epoch(database, &client).await?;
        let (ends, lost) = watch::channel(false);
        let life = Duration::from_millis(patience.lease_ms).max(SHORTEST);
        let beat = beat(client, database.schema().as_str().to_owned(), epoch, life, ends);
        Ok(Self { epoch, pid, lost, pulse: tokio::spawn(beat) })
    }

    /// Its connection has ended or is silent, or somebody else has it.
    pub fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Comes back when it is lost. A network that swallows everything lets a statement wait for
    /// ever; only here it is noticed.
    pub async fn lost(&self) {
        let _ = self.lost.clone().wait_for(|lost| *lost).await;
    }
}

async fn locked(database: &Database, client: &Client) -> Result<bool> {
    let (ours, key) = database.key();
    let sql = "SELECT pg_try_advisory_lock($1, $2)";
    let row = client.query_one(sql, &[&ours, &key]).await.map_err(Error::sql("taking the lock"))?;
    Ok(row.get(0))
}

async fn own_pid(client: &Client) -> Result<i32> {
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await;
    Ok(row.map_err(Error::sql("taking the lock"))?.get(0))
}

/// Waits for a session that is about to close, of this process or of one that has ended on this
/// machine; ends that of a holder that has not shown a sign of life for too long.
async fn oust(database: &Database, client: &Client, silent_ms: u64) -> Result<()> {
    let until = Instant::now() + CLOSING;
    loop {
        let held = ousted(database, client, silent_ms).await;
        let is_closing = matches!(&held, Err(Error::Held { holder: by, .. })
            if by.starts_with(&holder()) || has_ended(by));
        if !is_closing || Instant::now() > until {
            return held;
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn ousted(database: &Database, client: &Client, after_ms: u64) -> Result<()> {
    let (ours, key) = database.key();
    // One that has just come has not shown a sign of life yet: what is there is of the last one.
    let sql = "SELECT l.pid, coalesce(extract(epoch FROM clock_timestamp() - \
         greatest(p.seen_at, a.backend_start)) * 1000, 0)::bigint, \
         coalesce(s.holder, a.application_name, '') \
         FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid \
         LEFT JOIN serin.lease s ON s.schema = $3 LEFT JOIN serin.pulse p ON p.schema = $3 \
         WHERE l.locktype = 'advisory' AND l.classid = $1::integer::oid \
         AND l.objid = ($2::integer::bigint & 4294967295)::oid AND l.objsubid = 2 AND l.granted \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let schema = database.schema().as_str();
    let row = client.query_opt(sql, &[&ours, &key, &schema]).await;
    if let Some(row) = row.map_err(Error::sql("looking at who has the lock"))? {
        let (pid, silent_ms, holder): (i32, i64, String) = (row.get(0), row.get(1), row.get(2));
        let is_silent = match silent_ms {
            // The clock of the database was set back: whoever lives gives a sign again.
            ..-1_000 => !moves(database, client, after_ms).await?,
            _ => silent_ms >= after_ms as i64,
        };
        if !is_silent {
            let holder = format!("{holder}, seen {} s ago", silent_ms.max(0) / 1_000);
            return Err(Error::Held { schema: schema.into(), holder });
        }
        end(client, pid).await?;
    }
    if locked(database, client).await? {
        return Ok(());
    }
    Err(Error::Held { schema: schema.into(), holder: "one that just came".into() })
}

/// Whether a sign of life comes within a time.
async fn moves(database: &Database, client: &Client, within_ms: u64) -> Result<bool> {
    let schema = database.schema().as_str();
    let seen = async || {
        let sql = "SELECT seen_at::text FROM serin.pulse WHERE schema = $1";
        let row =
            client.query_opt(sql, &[&schema]).await.map_err(Error::sql("looking for life"))?;
        Ok::<_, Error>(row.map(|row| row.get::<_, String>(0)))
    };
    let before = seen().await?;
    tokio::time::sleep(Duration::from_millis(within_ms)).await;
    Ok(seen().await? != before)
}

/// Ends the session of a lease that is ours, before it is taken again.
pub(crate) async fn give_up(database: &Database, client: &Client, pid: i32) -> Result<()> {
    let sql = "SELECT pg_terminate_backend(pid, $2) FROM pg_stat_activity WHERE pid = $1 \
         AND application_name = $3";
    let name = database.application(Purpose::Lease);
    let ended = client.query(sql, &[&pid, &END_MS, &name]).await;
    ended.map(drop).map_err(Error::sql("ending a session of its own"))
}

async fn end(client: &Client, pid: i32) -> Result<()> {
    let sql = "SELECT pg_terminate_backend($1, $2)";
    let ended = client.query(sql, &[&pid, &END_MS]).await;
    ended.map(drop).map_err(Error::sql("ending the session of a runner that is silent"))
}

/// A runner that was killed can leave a server process in the middle of a long statement.
async fn end_orphans(database: &Database, client: &Client) -> Result<()> {
    let sql = "SELECT pid FROM pg_stat_activity WHERE application_name = $1 \
         AND datname = current_database() AND usename = current_user";
    let name = database.application(Purpose::Work);
    let rows = client.query(sql, &[&name]).await;
    for row in rows.map_err(Error::sql("looking for what a runner left behind"))? {
        end(client, row.get(0)).await?;
    }
    Ok(())
}

async fn next_epoch(database: &Database, client: &Client) -> Result<i64> {
    let sql = "WITH taken AS (INSERT INTO serin.lease AS l (schema, epoch, holder) \
         VALUES ($1, 1, $2) ON CONFLICT (schema) DO UPDATE SET epoch = l.epoch + 1, \
         holder = excluded.holder RETURNING epoch), \
         beat AS (INSERT INTO serin.pulse (schema, epoch, seen_at) \
         SELECT $1, epoch, clock_timestamp() FROM taken ON CONFLICT (schema) DO UPDATE \
         SET epoch = excluded.epoch, seen_at = excluded.seen_at) SELECT epoch FROM taken";
    let schema = database.schema().as_str();
    let row = client.query_one(sql, &[&schema, &holder()]).await;
    Ok(row.map_err(Error::sql("taking the lease"))?.get(0))
}

/// This process, for people.
pub(crate) fn holder() -> String {
    process(&std::process::id().to_string())
}

fn process(id: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("process {id} on {}", host.trim())
}

/// Whether a holder was a process of this machine that is no more: its session closes any moment.
fn has_ended(holder: &str) -> bool {
    let id = holder.strip_prefix("process ").and_then(|rest| rest.split(' ').next());
    let id = id.filter(|id| id.parse::<u32>().is_ok() && holder.starts_with(&process(id)));
    let all = std::path::Path::new("/proc");
    id.is_some_and(|id| all.join("self").exists() && !all.join(id).exists())
}

/// Signs of life, by the clock of the database, some in each lifetime of a lease. Without an answer
/// for a whole one somebody else may have it.
async fn beat(
    client: Client,
    schema: String,
    epoch: i64,
    life: Duration,
    ends: watch::Sender<bool>,
) {
    let sql = "UPDATE serin.pulse SET seen_at = clock_timestamp() WHERE schema = $1 AND epoch = $2";
    loop {
        tokio::time::sleep(life / BEATS).await;
        if !matches!(timeout(life, client.execute(sql, &[&schema, &epoch])).await, Ok(Ok(1))) {
            let _ = ends.send(true);
            return;
        }
    }
}
