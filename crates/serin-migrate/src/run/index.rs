//! Indexes that are built and dropped while others write: outside transactions, so that a crash
//! can leave them half built.

use super::error::{Error, Result};
use super::session::Session;
use super::store::{Kept, Part, finish};
use crate::{Action, Ident};
use std::time::Duration;

/// Time between two looks at how far an index is.
const WATCH: Duration = Duration::from_millis(250);

/// One such step.
pub(crate) async fn run(
    session: &Session<'_>,
    kept: &Kept,
    part: Part,
    seq: usize,
    action: &Action,
) -> Result<()> {
    match action {
        Action::IndexConcurrently { create, index, table, same } => {
            build(session, kept, create, (index, table), same.as_deref()).await?;
        }
        Action::DropIndexConcurrently { index, .. } => drop_index(session, index).await?,
        _ => {}
    }
    let done = finish(kept, part, seq, 0);
    session.transaction("noting an index", 1_000, &done).await.map(drop)
}

async fn build(
    session: &Session<'_>,
    kept: &Kept,
    create: &str,
    (index, table): (&Ident, &Ident),
    same: Option<&str>,
) -> Result<()> {
    match is_valid(session, index).await? {
        Some(true) => return Ok(()),
        Some(false) => drop_index(session, index).await?,
        None => {}
    }
    session.world.reached("index");
    // It waits without holding up anybody who reads or writes, so it may wait.
    let built = tokio::select! {
        built = session.client.batch_execute(create) => built,
        failed = watch(session, kept) => return failed,
    };
    session.waits(kept.id, None).await?;
    let Err(error) = built.map_err(Error::sql(format!("building index {index}"))) else {
        return Ok(());
    };
    if error.code() != Some("23505") {
        return Err(error);
    }
    drop_index(session, index).await?;
    let rows = duplicates(session, same).await?;
    let what = format!("building unique index {index} on {table}");
    Err(Error::Rows {
        what,
        said: "values that must be unique are there more than once".into(),
        rows,
    })
}

/// Tells how far the index is, until it is dropped; ends only when the database does not answer.
async fn watch(session: &Session<'_>, kept: &Kept) -> Result<()> {
    let sql = "SELECT p.phase, p.blocks_done, p.blocks_total, p.current_locker_pid::integer, \
         coalesce(l.application_name, '') FROM pg_stat_progress_create_index p \
         JOIN pg_stat_activity a ON a.pid = p.pid \
         LEFT JOIN pg_stat_activity l ON l.pid = p.current_locker_pid \
         WHERE a.application_name = $1 AND a.datname = current_database()";
    let name = session.database.application(super::connect::Purpose::Work);
    loop {
        tokio::time::sleep(WATCH).await;
        let row = session.look.query_opt(sql, &[&name]).await;
        if let Some(row) = row.map_err(Error::sql("looking how far the index is"))? {
            session.waits(kept.id, Some(&told(&row))).await?;
        }
    }
}

fn told(row: &tokio_postgres::Row) -> String {
    let (phase, done, total): (String, i64, i64) = (row.get(0), row.get(1), row.get(2));
    match row.get::<_, i32>(3) {
        0 => format!("the index: {phase}, page {done} of {total}"),
        pid => {
            let name: String = row.get(4);
            format!("the index: {phase}; process {pid} ({name}) has a transaction open")
        }
    }
}

async fn is_valid(session: &Session<'_>, index: &Ident) -> Result<Option<bool>> {
    let sql = "SELECT x.indisvalid AND x.indisready FROM pg_index x \
         JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2";
    let schema = session.database.schema().as_str();
    let row = session.client.query_opt(sql, &[&schema, &index.as_str()]).await;
    Ok(row.map_err(Error::sql("looking at an index"))?.map(|row| row.get(0)))
}

async fn drop_index(session: &Session<'_>, index: &Ident) -> Result<()> {
    let schema = session.database.schema();
    let sql = format!("DROP INDEX CONCURRENTLY IF EXISTS {schema}.{index}");
    let dropped = session.client.batch_execute(&sql).await;
    dropped.map_err(Error::sql(format!("dropping index {index}")))
}

/// Rows in the way of a unique index.
async fn duplicates(session: &Session<'_>, same: Option<&str>) -> Result<Vec<String>> {
    let Some(sql) = same else {
        return Ok(vec!["not told: the index is over an expression".into()]);
    };
    let rows = session.look.query(sql, &[]).await.map_err(Error::sql("looking for duplicates"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
