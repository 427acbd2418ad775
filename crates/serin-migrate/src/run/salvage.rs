//! What the old shape cannot hold: put aside on the way back, given back when the migration
//! starts again.

use super::backfill::{is_about_data, of};
use super::error::{Error, Result};
use super::session::Session;
use super::store::Kept;
use crate::trigger::{differs, value};
use crate::{Ident, Input, Key, TableSync, literal};
use tokio_postgres::SimpleQueryMessage;

/// Rows given back in one transaction.
const BATCH: u32 = 1_000;

/// The columns of a table that matter here, in an order that both ways share.
struct Columns<'a> {
    key: Vec<&'a Ident>,
    inputs: Vec<&'a Input>,
    targets: Vec<&'a Ident>,
}

impl<'a> Columns<'a> {
    fn of(sync: &'a TableSync) -> Self {
        let key = match &sync.key {
            Key::Columns { columns } => columns.iter().map(|(name, _)| name).collect(),
            Key::Place => Vec::new(),
        };
        let targets = sync.up.iter().map(|derive| &derive.target).collect();
        Self { key, inputs: sync.inputs_aside(), targets }
    }

    /// All as they are in the table, under names of their places.
    fn selected(&self, alias: &Ident) -> String {
        let inputs: Vec<&Ident> = self.inputs.iter().map(|input| &input.physical).collect();
        let numbered = |letter: &str, names: &[&Ident]| -> Vec<String> {
            let one = |(at, name): (usize, &&Ident)| format!("{alias}.{name} AS {letter}{at}");
            names.iter().enumerate().map(one).collect()
        };
        let mut all = numbered("k", &self.key);
        if all.is_empty() {
            all.push(format!("pg_catalog.to_jsonb({alias}) AS whole"));
        }
        all.extend(numbered("i", &inputs));
        all.extend(numbered("n", &self.targets));
        all.join(", ")
    }
}

fn table(migration: i64, sync: usize) -> String {
    format!("serin.salvage_{migration}_{sync}")
}

/// Copies the rows whose new values would not come back from the old ones.
pub(crate) async fn keep(session: &Session<'_>, kept: &Kept, at: usize) -> Result<()> {
    let sync = of(kept, at)?;
    if !is_there(session, sync).await? {
        return Ok(());
    }
    let what = format!("putting values of {} aside", sync.table);
    let all = |which: &str| statements(kept, at, sync, which);
    match session.transaction(&what, 1_000, &all(&lost(sync))).await {
        // The old value of some row gives no new one any more: then all rows are kept.
        Err(error) if is_about_data(&error) => {
            session.transaction(&what, 1_000, &all("true")).await.map(drop)
        }
        done => done.map(drop),
    }
}

/// Whether the new columns ever came.
async fn is_there(session: &Session<'_>, sync: &TableSync) -> Result<bool> {
    let mut names: Vec<&str> = sync.up.iter().map(|derive| derive.target.as_str()).collect();
    names.extend((!sync.passive).then_some(sync.done.as_str()));
    names.sort_unstable();
    names.dedup();
    let sql = "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 \
         AND a.attname = ANY ($3) AND NOT a.attisdropped";
    let (schema, table) = (session.database.schema().as_str(), sync.table.as_str());
    let row = session.look.query_one(sql, &[&schema, &table, &names]).await;
    let found: i64 = row.map_err(Error::sql("looking for the new columns"))?.get(0);
    Ok(!sync.up.is_empty() && found == names.len() as i64)
}

fn alias(sync: &TableSync) -> &Ident {
    sync.up.first().map_or(&sync.table, |derive| &derive.scope)
}

/// Only rows that have their new values have any to be kept.
fn filled(sync: &TableSync, alias: &Ident) -> String {
    if sync.passive { "true".to_owned() } else { format!("{alias}.{}", sync.done) }
}

/// A row whose new values are not those that its old ones give.
fn lost(sync: &TableSync) -> String {
    let alias = alias(sync);
    let one = |(at, derive): (usize, &crate::Derive)| {
        if derive.volatile {
            return "true".to_owned();
        }
        let again = format!("{}::{}", value(&sync.up, at, alias), derive.data_type);
        differs(&format!("{alias}.{}", derive.target), &again, &derive.data_type)
    };
    let any: Vec<String> = sync.up.iter().enumerate().map(one).collect();
    any.join(" OR ")
}

fn statements(kept: &Kept, at: usize, sync: &TableSync, which: &str) -> Vec<String> {
    let (to, alias, columns) = (table(kept.id, at), alias(sync), Columns::of(sync));
    vec![
        format!("DROP TABLE IF EXISTS {to}"),
        format!(
            "CREATE TABLE {to} AS SELECT {}, NULL::boolean AS restored FROM {}.{} AS {alias} \
             WHERE {} AND ({which})",
            columns.selected(alias),
            kept.plan.schema,
            sync.table,
            filled(sync, alias),
        ),
        format!(
            "INSERT INTO serin.salvage AS s (migration, sync, table_name, columns, rows_kept) \
             SELECT {}, {at}, {}, {}, count(*) FROM {to} ON CONFLICT (migration, sync) \
             DO UPDATE SET rows_kept = excluded.rows_kept",
            kept.id,
            literal(sync.table.as_str()),
            literal(&sync.aside_of()),
        ),
    ]
}

/// Gives back what an earlier way back of the same migration put aside, to rows whose inputs are
/// what they were. What a migration of other types or expressions put aside stays there.
pub(crate) async fn restore(session: &Session<'_>, kept: &Kept, at: usize) -> Result<()> {
    let sync = of(kept, at)?;
    let columns = Columns::of(sync);
    let Some((migration, number)) = earlier(session, kept, sync).await? else {
        return Ok(());
    };
    let from = table(migration, number);
    let give =
        vec!["SET LOCAL serin.backfill = 'on'".to_owned(), give_back(kept, sync, &columns, &from)];
    while changed(&session.transaction("giving values back", 1_000, &give).await?) > 0 {
        session.world.reached("restore");
    }
    let noted = format!(
        "UPDATE serin.salvage SET restored_at = clock_timestamp() WHERE migration = {migration} \
         AND sync = {number}"
    );
    session.transaction("giving values back", 1_000, &[noted]).await.map(drop)
}

/// The last one that put values of this table aside and has not given them back.
async fn earlier(
    session: &Session<'_>,
    kept: &Kept,
    sync: &TableSync,
) -> Result<Option<(i64, usize)>> {
    if matches!(sync.key, Key::Place) {
        return Ok(None);
    }
    let sql = "SELECT s.migration, s.sync FROM serin.salvage s \
         JOIN serin.migration m ON m.id = s.migration WHERE m.schema = $1 AND m.name = $2 \
         AND m.id < $3 AND m.state = 'reverted' AND s.table_name = $4 AND s.columns = $5 \
         AND s.restored_at IS NULL ORDER BY 1 DESC LIMIT 1";
    let (schema, name) = (kept.plan.schema.as_str(), kept.plan.migration.name.as_str());
    let (table, text) = (sync.table.as_str(), sync.aside_of());
    let row = session.look.query_opt(sql, &[&schema, &name, &kept.id, &table, &text]).await;
    let row = row.map_err(Error::sql("looking for values put aside"))?;
    Ok(row.map(|row| (row.get(0), row.get::<_, i32>(1) as usize)))
}

fn give_back(kept: &Kept, sync: &TableSync, columns: &Columns<'_>, from: &str) -> String {
    let alias = alias(sync);
    let numbered = |letter: &str, at: usize| format!("s.{letter}{at}");
    let set: Vec<String> = (columns.targets.iter().enumerate())
        // What was of a type that went with the migration was kept as text.
        .map(|(at, name)| format!("{name} = {}::{}", numbered("n", at), sync.up[at].data_type))
        .collect();
    let key = (columns.key.iter().enumerate())
        .map(|(at, name)| format!("{alias}.{name} = {}", numbered("k", at)));
    let same = columns.inputs.iter().enumerate().map(|(at, input)| {
        let (now, then) = (format!("{alias}.{}", input.physical), numbered("i", at));
        format!("NOT ({})", differs(&now, &then, &input.data_type))
    });
    format!(
        "WITH s AS MATERIALIZED (SELECT ctid AS place, * FROM {from} WHERE restored IS NULL \
         LIMIT {BATCH}), given AS (UPDATE {}.{} AS {alias} SET {} FROM s WHERE {} \
         RETURNING s.place) UPDATE {from} AS x SET restored = x.ctid IN (SELECT place FROM given) \
         FROM s WHERE x.ctid = s.place",
        kept.plan.schema,
        sync.table,
        set.join(", "),
        key.chain(same).collect::<Vec<_>>().join(" AND "),
    )
}

/// Rows that the last statement changed.
fn changed(messages: &[SimpleQueryMessage]) -> u64 {
    match messages.last() {
        Some(SimpleQueryMessage::CommandComplete(rows)) => *rows,
        _ => 0,
    }
}
