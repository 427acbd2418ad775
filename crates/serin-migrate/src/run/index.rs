//! Indexes that are built and dropped while others write: outside transactions, so that a crash
//! can leave them half built.

use super::error::{Error, Result};
use super::session::Session;
use super::store::{Kept, Part, finish};
use crate::{Action, Ident, literal};

/// Rows that are told.
const TOLD: usize = 10;

/// One such step.
pub(crate) async fn run(
    session: &Session<'_>,
    kept: &Kept,
    part: Part,
    seq: usize,
    action: &Action,
) -> Result<()> {
    match action {
        Action::IndexConcurrently { create, index, table, unique } => {
            build(session, create, index, table, unique).await?;
        }
        Action::DropIndexConcurrently { index, .. } => drop_index(session, index).await?,
        _ => {}
    }
    let done = finish(kept, part, seq, 0);
    session.transaction("noting an index", 1_000, &done).await.map(drop)
}

async fn build(
    session: &Session<'_>,
    create: &str,
    index: &Ident,
    table: &Ident,
    unique: &[Ident],
) -> Result<()> {
    match is_valid(session, index).await? {
        Some(true) => return Ok(()),
        Some(false) => drop_index(session, index).await?,
        None => {}
    }
    session.world.reached("index");
    // It waits without holding up anybody who reads or writes, so it may wait.
    let built = session.client.batch_execute(create).await;
    let Err(error) = built.map_err(Error::sql(format!("building index {index}"))) else {
        return Ok(());
    };
    if error.code() != Some("23505") {
        return Err(error);
    }
    drop_index(session, index).await?;
    let rows = duplicates(session, table, unique).await?;
    let what = format!("building unique index {index} on {table}");
    Err(Error::Rows {
        what,
        said: "values that must be unique are there more than once".into(),
        rows,
    })
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

/// Values that occur more than once, with how often.
async fn duplicates(
    session: &Session<'_>,
    table: &Ident,
    columns: &[Ident],
) -> Result<Vec<String>> {
    if columns.is_empty() {
        return Ok(vec!["not told: the index is over an expression".into()]);
    }
    let names: Vec<String> = columns.iter().map(ToString::to_string).collect();
    let shown: Vec<String> = columns
        .iter()
        .map(|name| {
            format!("{} || coalesce(left({name}::text, 100), 'NULL')", literal(&format!("{name}=")))
        })
        .collect();
    let all: Vec<String> = names.iter().map(|name| format!("{name} IS NOT NULL")).collect();
    let sql = format!(
        "SELECT {} || ' (' || count(*) || ' times)' FROM {}.{table} WHERE {} GROUP BY {} \
         HAVING count(*) > 1 LIMIT {TOLD}",
        shown.join(" || ', ' || "),
        session.database.schema(),
        all.join(" AND "),
        names.join(", "),
    );
    let rows = session.look.query(&sql, &[]).await.map_err(Error::sql("looking for duplicates"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
