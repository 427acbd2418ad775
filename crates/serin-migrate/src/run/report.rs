//! Status and history, read from the database.

use super::backfill;
use super::error::{Error, Result};
use super::status::{Deed, Past, Progress, Status, StepStatus};
use super::store::{self, Part};
use crate::Plan;
use tokio_postgres::{Client, Row};

const STATUS: &str = "\
    SELECT m.id, m.name, m.schema, m.old_view, m.new_view, m.state, m.waiting, m.paused, m.duty,
      m.error, m.plan::text,
      (extract(epoch FROM m.started_at) * 1000)::bigint,
      (extract(epoch FROM m.dual_at) * 1000)::bigint,
      (extract(epoch FROM m.ended_at) * 1000)::bigint,
      (SELECT count(*) FROM serin.irreversible i WHERE i.migration = m.id),
      (SELECT l.holder FROM serin.lease l JOIN serin.pulse p USING (schema, epoch)
        WHERE l.schema = m.schema AND p.seen_at > clock_timestamp() - interval '30 s'
        AND EXISTS (SELECT FROM pg_stat_activity a WHERE a.application_name = $2
          AND a.datname = current_database()))
    FROM serin.migration m WHERE m.id = $1";

const STEP: &str = "SELECT count(*) FILTER (WHERE state = 'done'), \
    coalesce(max(lock_waits) FILTER (WHERE state = 'begun'), 0) FROM serin.step \
    WHERE migration = $1 AND part = $2";

const PROGRESS: &str = "SELECT sync, sum(rows_done)::bigint, sum(rows_total)::bigint, \
    max(rate) FILTER (WHERE NOT finished), max(batch_rows) FILTER (WHERE NOT finished) \
    FROM serin.progress WHERE migration = $1 GROUP BY sync \
    HAVING NOT bool_and(finished) ORDER BY sync LIMIT 1";

/// How far a migration is.
pub(crate) async fn status(client: &Client, id: i64) -> Result<Status> {
    let failed = || Error::sql("reading the status");
    let name = lease_name(client).await?;
    let row = client.query_one(STATUS, &[&id, &name]).await.map_err(failed())?;
    let plan: Plan = serde_json::from_str(row.get(10))
        .map_err(|error| Error::Kept(format!("the plan of migration {id}: {error}")))?;
    let mut status = first(&row, &plan)?;
    let part = Part::of(status.state);
    let row = client.query_one(STEP, &[&id, &part.word()]).await.map_err(failed())?;
    status.step = step(&plan, part, row.get::<_, i64>(0) as usize, row.get(1));
    let row = client.query_opt(PROGRESS, &[&id]).await.map_err(failed())?;
    status.progress = row.map(|row| progress(&plan, &row));
    let done = store::done(client, id, Part::Contract).await?;
    if status.state.is_over() && part == Part::Contract {
        status.hidden = plan.contract.len() - done.len();
        status.step = None;
    }
    if status.holder.is_none() && status.error.is_none() && status.state.open().is_some() {
        status.waiting = Some("no runner works on it; `resume` goes on with it".into());
    }
    Ok(status)
}

/// The name of the connection that holds the lock of this connection's schema.
async fn lease_name(client: &Client) -> Result<String> {
    let row = client.query_one("SELECT current_setting('application_name')", &[]).await;
    let name: String = row.map_err(Error::sql("reading the status"))?.get(0);
    Ok(name.replacen("-look/", "-lease/", 1))
}

fn first(row: &Row, plan: &Plan) -> Result<Status> {
    Ok(Status {
        id: row.get(0),
        name: row.get(1),
        schema: row.get(2),
        old_view: row.get(3),
        new_view: row.get(4),
        state: store::state(row.get(5))?,
        step: None,
        progress: None,
        waiting: row.get(6),
        paused: row.get(7),
        duty: row.get(8),
        error: row.get(9),
        holder: row.get(15),
        started_ms: row.get(11),
        dual_ms: row.get(12),
        ended_ms: row.get(13),
        irreversible: row.get(14),
        hidden: 0,
        warnings: plan.warnings.iter().map(ToString::to_string).collect(),
    })
}

fn step(plan: &Plan, part: Part, done: usize, lock_waits: i32) -> Option<StepStatus> {
    let steps = part.steps(plan);
    let title = steps.get(done)?.title.clone();
    Some(StepStatus { title, number: done + 1, of: steps.len(), lock_waits })
}

fn progress(plan: &Plan, row: &Row) -> Progress {
    let at = row.get::<_, i32>(0) as usize;
    let table = backfill::table_of(plan, at).map_or_else(String::new, |name| name.as_str().into());
    let rate = row.get::<_, Option<f64>>(3).unwrap_or(0.0);
    let progress = Progress::new(table, row.get(1), row.get(2), rate);
    Progress { batch_rows: row.get::<_, Option<i32>>(4).unwrap_or(0), ..progress }
}

/// All migrations of a schema, newest first.
pub(crate) async fn history(client: &Client, schema: &str) -> Result<Vec<Past>> {
    let sql = "SELECT id, name, new_view, state, who, \
         (extract(epoch FROM started_at) * 1000)::bigint, \
         (extract(epoch FROM ended_at) * 1000)::bigint \
         FROM serin.migration WHERE schema = $1 ORDER BY id DESC";
    let rows = client.query(sql, &[&schema]).await.map_err(Error::sql("reading the history"))?;
    rows.iter().map(past).collect()
}

fn past(row: &Row) -> Result<Past> {
    Ok(Past {
        id: row.get(0),
        name: row.get(1),
        new_view: row.get(2),
        state: store::state(row.get(3))?,
        who: row.get(4),
        started_ms: row.get(5),
        ended_ms: row.get(6),
    })
}

/// What was done to a migration and by whom: its steps, and what people said.
pub(crate) async fn deeds(client: &Client, id: i64) -> Result<Vec<Deed>> {
    let sql = "SELECT (extract(epoch FROM at) * 1000)::bigint, who, what, detail FROM ( \
         SELECT at, who, what, detail FROM serin.deed WHERE migration = $1 UNION ALL \
         SELECT coalesce(finished_at, started_at), who, 'step', \
         CASE state WHEN 'done' THEN title ELSE title || ' (begun)' END \
         FROM serin.step WHERE migration = $1) AS d ORDER BY at";
    let rows = client.query(sql, &[&id]).await.map_err(Error::sql("reading what was done"))?;
    let deed = |row: &Row| Deed {
        at_ms: row.get(0),
        who: row.get(1),
        what: row.get(2),
        detail: row.get(3),
    };
    Ok(rows.iter().map(deed).collect())
}
