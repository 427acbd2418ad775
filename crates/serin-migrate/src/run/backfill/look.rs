//! What the throttle is told, and the waits it asks for.

use super::super::error::{Error, Result};
use super::super::session::Session;
use super::super::store::Kept;
use super::super::throttle::{Signals, Throttle, Verdict, is_within};
use std::time::Duration;

/// A replica tells its lag when it gets something: one that has all but a megabyte has none, whatever
/// it told last.
const SQL: &str = "\
    SELECT m.paused, m.duty,
      coalesce((SELECT max(extract(epoch FROM replay_lag)) * 1000 FROM pg_stat_replication
        WHERE pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) > 1048576), 0)::bigint,
      coalesce((SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))
        FROM pg_stat_replication), 0)::bigint,
      coalesce((SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn))
        FROM pg_replication_slots), 0)::bigint,
      (SELECT sum(numbackends) FROM pg_stat_database)::float8
        / current_setting('max_connections')::float8,
      extract(hour FROM now() AT TIME ZONE 'UTC')::integer * 60
        + extract(minute FROM now() AT TIME ZONE 'UTC')::integer
    FROM serin.migration m WHERE m.id = $1";

/// Waits until a batch may be done; gives its size. What was seen during the last batch need not
/// be looked at again.
pub(crate) async fn may_go(
    session: &Session<'_>,
    kept: &Kept,
    throttle: &mut Throttle,
    mut seen: Option<Signals>,
) -> Result<u32> {
    let mut has_waited = false;
    loop {
        let now = match seen.take() {
            Some(seen) => seen,
            None => signals(session, kept).await?,
        };
        match throttle.look(&now) {
            Verdict::Go(size) => {
                if throttle.has_news() || has_waited {
                    session.waits(kept.id, throttle.gives_way().as_deref()).await?;
                }
                return Ok(size);
            }
            Verdict::Hold(ms, why) => {
                has_waited = true;
                session.waits(kept.id, Some(&why)).await?;
                // Whoever took over must not find this one going on.
                session.transaction("waiting", 1_000, &[]).await?;
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
        }
    }
}

/// What there is to see.
pub(crate) async fn signals(session: &Session<'_>, kept: &Kept) -> Result<Signals> {
    let row = session.look.query_one(SQL, &[&kept.id]).await;
    let row = row.map_err(Error::sql("looking how the server fares"))?;
    let number = |at: usize| row.get::<_, i64>(at).max(0) as u64;
    let hours = kept.plan.migration.settings.backfill.window.as_deref();
    Ok(Signals {
        paused: row.get(0),
        duty: row.get(1),
        lag_ms: number(2),
        lag_bytes: number(3),
        kept_bytes: number(4),
        connections: row.get(5),
        health: session.world.health(),
        disk: super::disk::fullest(session, kept).await?,
        is_outside_hours: !is_within(hours, row.get::<_, i32>(6) as u32),
    })
}
