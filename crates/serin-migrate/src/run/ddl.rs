//! Statements that need strong locks, without holding up anybody for long.
//!
//! Whoever waits in the queue for a lock holds up all that come after. So it waits a moment only,
//! and before it queues at all, it waits for old transactions from outside.

use super::error::{Error, Result};
use super::session::Session;
use super::store::Kept;
use crate::Ident;
use std::time::{Duration, Instant};

/// A transaction that is older than this is waited for, not queued behind, ms.
const OLD_MS: i64 = 100;

/// Time between two looks at who holds locks.
const LOOK: Duration = Duration::from_millis(25);

/// The first pause between two tries, ms; each is twice as long, up to the longest.
const PAUSE_MS: u64 = 50;
const LONGEST_PAUSE_MS: u64 = 2_000;

/// Time the automatic vacuum of a table is left alone before it is asked to make way.
const VACUUM: Duration = Duration::from_secs(2);

/// A transaction that holds a lock on a table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Blocker {
    text: String,
    /// The automatic vacuum, which makes way when it is asked to.
    vacuum: Option<i32>,
}

/// What is to be done under locks.
pub(crate) struct Work<'a> {
    /// For people.
    pub what: &'a str,
    /// Tables whose locks it takes.
    pub tables: &'a [Ident],
    /// Statements, given how often it had to try.
    pub sql: &'a (dyn Fn(u32) -> Vec<String> + Sync),
}

/// Does it as one transaction; gives how often the locks were not to be had.
///
/// # Errors
/// [`Error::Locked`] when the budget is used up.
pub(crate) async fn run(session: &Session<'_>, kept: &Kept, work: Work<'_>) -> Result<u32> {
    let began = Instant::now();
    let mut waits = 0;
    loop {
        waits += wait_for_old(session, kept, &work, began).await?;
        let sql = (work.sql)(waits);
        match session.transaction(work.what, session.patience.lock_ms, &sql).await {
            Err(error) if error.is_conflict() => waits += 1,
            done => return done.map(|_| waits),
        }
        within_budget(session, &work, began).await?;
        session.waits(kept.id, Some("locks of its tables; it tries again shortly")).await?;
        tokio::time::sleep(pause(waits)).await;
    }
}

fn pause(tries: u32) -> Duration {
    let whole = (PAUSE_MS << tries.min(10)).min(LONGEST_PAUSE_MS);
    Duration::from_millis(fastrand::u64(whole / 2..=whole))
}

async fn within_budget(session: &Session<'_>, work: &Work<'_>, began: Instant) -> Result<()> {
    let budget = Duration::from_millis(session.patience.budget_ms);
    if began.elapsed() < budget {
        return Ok(());
    }
    let blockers = blockers(session, work.tables, 0).await?;
    let names: Vec<&str> = blockers.iter().map(|blocker| blocker.text.as_str()).collect();
    let blockers = if names.is_empty() {
        "others come and go on its tables".to_owned()
    } else {
        names.join("; ")
    };
    let (what, seconds) = (work.what.to_owned(), budget.as_secs());
    Err(Error::Locked { what, seconds, blockers })
}

/// Waits until no old transaction holds a lock on the tables; 1 when there was one.
async fn wait_for_old(
    session: &Session<'_>,
    kept: &Kept,
    work: &Work<'_>,
    began: Instant,
) -> Result<u32> {
    let since = Instant::now();
    let mut waited = 0;
    loop {
        let blockers = blockers(session, work.tables, OLD_MS).await?;
        let Some(first) = blockers.first() else { return Ok(waited) };
        waited = 1;
        within_budget(session, work, began).await?;
        session.waits(kept.id, Some(&format!("{}, before {}", first.text, work.what))).await?;
        if since.elapsed() > VACUUM {
            ask_to_make_way(session, &blockers).await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The automatic vacuum starts again later; who may not cancel it waits for it.
async fn ask_to_make_way(session: &Session<'_>, blockers: &[Blocker]) {
    for pid in blockers.iter().filter_map(|blocker| blocker.vacuum) {
        let _ = session.look.query("SELECT pg_cancel_backend($1)", &[&pid]).await;
    }
}

const BLOCKERS: &str = "\
    WITH RECURSIVE named AS (
      SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = ANY ($2)
      UNION SELECT i.inhrelid FROM pg_inherits i JOIN named ON i.inhparent = named.oid
    ), held AS (
      SELECT DISTINCT l.pid, l.virtualtransaction FROM pg_locks l JOIN named ON l.relation = named.oid
      WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
    SELECT held.pid, coalesce(nullif(a.application_name, ''), a.backend_type, ''),
      coalesce(a.usename::text, ''), coalesce(a.state, ''), coalesce(p.gid, ''),
      (extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared)) * 1000)::bigint,
      a.backend_type = 'autovacuum worker' AND a.query NOT LIKE '%wraparound%',
      a.backend_type = 'autovacuum worker' AND a.query LIKE '%wraparound%'
    FROM held LEFT JOIN pg_stat_activity a ON a.pid = held.pid
    LEFT JOIN pg_locks x ON held.pid IS NULL AND x.pid IS NULL
      AND x.locktype = 'transactionid' AND x.virtualtransaction = held.virtualtransaction
    LEFT JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
    WHERE coalesce(a.application_name, '') <> $4
      AND coalesce(a.xact_start, p.prepared) < clock_timestamp() - $3 * interval '1 ms'
    ORDER BY 6 DESC LIMIT 5";

/// Transactions of some age that hold locks on the tables, oldest first.
async fn blockers(
    session: &Session<'_>,
    tables: &[Ident],
    older_than_ms: i64,
) -> Result<Vec<Blocker>> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let schema = session.database.schema().as_str();
    let names: Vec<&str> = tables.iter().map(Ident::as_str).collect();
    let ours = session.database.application(super::connect::Purpose::Work);
    let old = older_than_ms as f64;
    let rows = session.look.query(BLOCKERS, &[&schema, &names, &old, &ours]).await;
    let rows = rows.map_err(Error::sql("looking at who holds locks"))?;
    Ok(rows.iter().map(blocker).collect())
}

fn blocker(row: &tokio_postgres::Row) -> Blocker {
    let (pid, name, user): (Option<i32>, String, String) = (row.get(0), row.get(1), row.get(2));
    let (state, prepared, age): (String, String, i64) = (row.get(3), row.get(4), row.get(5));
    let seconds = age as f64 / 1_000.0;
    let is_due = row.get::<_, Option<bool>>(7) == Some(true);
    let text = match pid {
        Some(pid) if is_due => format!(
            "the vacuum against wraparound (process {pid}) has run for {seconds:.1} s and has to end by \
             itself"
        ),
        Some(pid) => format!(
            "process {pid} ({name}, role {user}, {state}) has had its transaction open for {seconds:.1} s"
        ),
        None => format!("prepared transaction `{prepared}` has been open for {seconds:.1} s"),
    };
    let is_vacuum = row.get::<_, Option<bool>>(6) == Some(true);
    Blocker { text, vacuum: pid.filter(|_| is_vacuum) }
}
