//! Rows that were there before: filled in batch by batch.
//!
//! A batch is one transaction that also moves the cursor, so that a crash repeats at most the
//! batch that was under way. Who writes a row in the meantime fills it in through the trigger;
//! a batch passes over rows that are filled in.

mod batch;
mod disk;
mod look;
mod pass;
mod sql;
mod sweep;

pub(crate) use pass::is_about_data;

use super::error::{Error, Result};
use super::session::Session;
use super::store::Kept;
use crate::{Action, Fill, Ident, Key, LossyDown, Plan, TableSync, literal};
use sql::Text;

/// Rows up to which they are counted; of more, the server's estimate is taken.
const COUNTED: f64 = 50_000_000.0;

/// Numbers of updates of phased SQL begin here; those of tables held in step lie before.
const FILLS: usize = 100_000;

/// A table that holds rows of its own: the table itself, a partition or a child.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    /// Quoted, with its schema.
    pub name: String,
    /// Rows it has, by the server's estimate; negative when it has none.
    estimate: f64,
    /// Its pages.
    pages: i64,
}

/// Fills in what is left of a table and all its partitions.
pub(crate) async fn run(session: &Session<'_>, kept: &Kept, sync: usize) -> Result<()> {
    all(session, kept, sync, of(kept, sync)?, None).await
}

/// Updates rows as phased SQL says, the `number`th of a plan.
pub(crate) async fn fill(
    session: &Session<'_>,
    kept: &Kept,
    number: usize,
    fill: &Fill,
) -> Result<()> {
    let nothing = || fill.table.clone();
    let like = TableSync {
        table: fill.table.clone(),
        leaves: vec![fill.table.clone()],
        key: fill.key.clone(),
        up: Vec::new(),
        down: Vec::new(),
        done: nothing(),
        trigger: nothing(),
        every_update: false,
        always: false,
        lossy: LossyDown::Reject,
        passive: false,
    };
    all(session, kept, FILLS + number, &like, Some(fill)).await
}

/// What a progress with such a number is about.
pub(crate) fn table_of(plan: &Plan, number: usize) -> Option<&Ident> {
    let fills = plan.forward.iter().filter_map(|step| match &step.action {
        Action::Fill(fill) => Some(&fill.table),
        _ => None,
    });
    let sync = || plan.syncs.get(number).map(|sync| &sync.table);
    number.checked_sub(FILLS).map_or_else(sync, |at| fills.into_iter().nth(at))
}

async fn all(
    session: &Session<'_>,
    kept: &Kept,
    number: usize,
    this: &TableSync,
    instead: Option<&Fill>,
) -> Result<()> {
    let leaves = leaves(session, this).await?;
    for leaf in &leaves {
        let text = Text { sync: this, leaf: &leaf.name, instead };
        begin(session, kept, number, text, leaf).await?;
    }
    for leaf in &leaves {
        pass::run(session, kept, number, Text { sync: this, leaf: &leaf.name, instead }).await?;
    }
    Ok(())
}

/// Fills in what the pass did not see (rows whose key moved, partitions that came), and looks that
/// no row is left. Notes how many rows there are.
///
/// # Errors
/// [`Error::Rows`] with those that cannot be filled in.
pub(crate) async fn complete(session: &Session<'_>, kept: &Kept, sync: usize) -> Result<()> {
    let this = of(kept, sync)?;
    for _ in 0..sweep::ROUNDS {
        let (all, left) = count(session, kept, this).await?;
        if left == 0 {
            return note_count(session, kept, this, all).await;
        }
        for leaf in leaves(session, this).await? {
            sweep::run(session, kept, sync, &leaf).await?;
        }
    }
    let what = format!("filling in {}", this.table);
    Err(Error::Rows { what, said: "rows come that are not filled in".into(), rows: Vec::new() })
}

pub(crate) fn of(kept: &Kept, sync: usize) -> Result<&TableSync> {
    let found = kept.plan.syncs.get(sync);
    found.ok_or_else(|| Error::Kept(format!("its plan has no table number {sync}")))
}

/// The table, its partitions and children, as they are now: some may have come.
pub(crate) async fn leaves(session: &Session<'_>, sync: &TableSync) -> Result<Vec<Leaf>> {
    let sql = "WITH RECURSIVE all_of AS ( \
           SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
           WHERE n.nspname = $1 AND c.relname = $2 \
           UNION SELECT i.inhrelid FROM pg_inherits i JOIN all_of ON i.inhparent = all_of.oid) \
         SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.reltuples::float8, \
           pg_catalog.pg_relation_size(c.oid) / current_setting('block_size')::bigint \
         FROM all_of JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'r' ORDER BY 1";
    let (schema, table) = (session.database.schema().as_str(), sync.table.as_str());
    let rows = session.look.query(sql, &[&schema, &table]).await;
    let rows = rows.map_err(Error::sql("looking for partitions"))?;
    let leaf = |row: &tokio_postgres::Row| Leaf {
        name: row.get(0),
        estimate: row.get(1),
        pages: row.get(2),
    };
    Ok(rows.iter().map(leaf).collect())
}

/// Notes where the pass over a table ends: at the last row there is now. Later rows come through
/// the trigger.
async fn begin(
    session: &Session<'_>,
    kept: &Kept,
    sync: usize,
    text: Text<'_>,
    leaf: &Leaf,
) -> Result<()> {
    let known =
        "SELECT count(*) FROM serin.progress WHERE migration = $1 AND sync = $2 AND leaf = $3";
    let number = sync as i32;
    let row = session.look.query_one(known, &[&kept.id, &number, &leaf.name]).await;
    if row.map_err(Error::sql("reading the progress"))?.get::<_, i64>(0) > 0 {
        return Ok(());
    }
    let high = match &text.sync.key {
        Key::Place => Some(vec![leaf.pages.to_string()]),
        Key::Columns { .. } => batch::row(&session.client, &text.high()).await?,
    };
    let total = total(session, leaf).await?;
    let high = high.map_or("NULL".into(), |high| sql::array(&high));
    let insert = format!(
        "INSERT INTO serin.progress (migration, sync, leaf, high, rows_total) \
         VALUES ({}, {sync}, {}, {high}, {total}) ON CONFLICT DO NOTHING",
        kept.id,
        literal(&leaf.name),
    );
    session.transaction("beginning the backfill", 1_000, &[insert]).await.map(drop)
}

async fn total(session: &Session<'_>, leaf: &Leaf) -> Result<i64> {
    if leaf.estimate > COUNTED {
        return Ok(leaf.estimate as i64);
    }
    let sql = format!("SELECT count(*) FROM ONLY {}", leaf.name);
    let row = session.look.query_one(&sql, &[]).await;
    Ok(row.map_err(Error::sql(format!("counting the rows of {}", leaf.name)))?.get(0))
}

/// All rows, and those not filled in.
async fn count(session: &Session<'_>, kept: &Kept, sync: &TableSync) -> Result<(i64, i64)> {
    let sql = format!(
        "SELECT count(*), count(*) FILTER (WHERE {} IS NOT TRUE) FROM {}.{}",
        sync.done, kept.plan.schema, sync.table,
    );
    let row = session.client.query_one(&sql, &[]).await;
    let row = row.map_err(Error::sql(format!("counting the rows of {}", sync.table)))?;
    Ok((row.get(0), row.get(1)))
}

/// How many rows there were when both shapes came into use: what later counts are held against.
async fn note_count(session: &Session<'_>, kept: &Kept, sync: &TableSync, all: i64) -> Result<()> {
    let update = format!(
        "UPDATE serin.migration SET counts = pg_catalog.jsonb_build_object({}, {all}) || counts WHERE id = {}",
        literal(sync.table.as_str()),
        kept.id,
    );
    session.transaction("noting how many rows there are", 1_000, &[update]).await.map(drop)
}
