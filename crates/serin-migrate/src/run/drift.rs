//! Whether the two shapes still say the same: looked at in a sample of rows.
//!
//! The last one to write a row was an old client, then its new values come from the old ones; or
//! a new one, then the old values come from the new ones. A row of which neither is true was
//! written past both, or the trigger is gone.

use super::error::{Error, Result};
use crate::trigger::{differs, value};
use crate::{Derive, Ident, Key, LossyDown, Plan, TableSync, literal};
use serde::{Deserialize, Serialize};
use std::fmt;
use tokio_postgres::Client;

/// Rows that are told.
const TOLD: i64 = 10;

/// Of these in a sentence.
const NAMED: usize = 5;

/// Pages at the end of a table that are looked at whole: what was written last is there first.
const NEWEST: i64 = 64;

/// What a look at a sample found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// Rows looked at.
    pub looked_at: i64,
    /// Rows whose shapes do not say the same.
    pub apart: i64,
    /// The first of them: table and key.
    pub rows: Vec<String>,
    /// Tables whose trigger is gone or switched off: what is written there now is not kept in step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loose: Vec<String>,
}

impl Drift {
    /// Whether nothing was found.
    pub fn is_none(&self) -> bool {
        self.apart == 0 && self.loose.is_empty()
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.loose.is_empty() {
            let tables = self.loose.join(", ");
            return write!(
                f,
                "the trigger that keeps both shapes in step is gone or off in {tables}"
            );
        }
        let Self { looked_at, apart, .. } = self;
        write!(f, "{apart} of {looked_at} rows looked at do not say the same in both shapes")?;
        let told: Vec<&str> = self.rows.iter().take(NAMED).map(String::as_str).collect();
        if told.is_empty() { Ok(()) } else { write!(f, " ({})", told.join(", ")) }
    }
}

/// Looks at about so many rows of each table.
pub(crate) async fn sample(client: &Client, plan: &Plan, rows: u32) -> Result<Drift> {
    let mut drift = Drift { loose: loose(client, plan).await?, ..Drift::default() };
    // A value that the old shape cannot hold is noted, and its column keeps what it had.
    let lossy = |sync: &TableSync| sync.lossy == LossyDown::Quarantine;
    for sync in plan.syncs.iter().filter(|sync| !lossy(sync)) {
        let Some(rule) = together(sync) else { continue };
        let (share, newest) = share(client, plan, sync, rows).await?;
        let sql = query(plan, sync, &rule, share, newest);
        let row = client.query_one(&sql, &[]).await;
        let row = row.map_err(Error::sql(format!("comparing the shapes of {}", sync.table)))?;
        drift.looked_at += row.get::<_, i64>(0);
        drift.apart += row.get::<_, i64>(1);
        drift.rows.extend(row.get::<_, Option<Vec<String>>>(2).unwrap_or_default());
    }
    drift.rows.truncate(TOLD as usize);
    Ok(drift)
}

/// Tables whose trigger does not fire.
async fn loose(client: &Client, plan: &Plan) -> Result<Vec<String>> {
    let mut loose = Vec::new();
    for sync in plan.syncs.iter().filter(|sync| !sync.passive) {
        let sql = "SELECT count(*) > 0 FROM pg_trigger WHERE tgrelid = to_regclass($1) \
             AND tgname = $2 AND tgenabled IN ('O', 'A')";
        let name = format!("{}.{}", plan.schema, sync.table);
        let row = client.query_one(sql, &[&name, &sync.trigger.as_str()]).await;
        if !row.map_err(Error::sql("looking for a trigger"))?.get::<_, bool>(0) {
            loose.push(sync.table.as_str().to_owned());
        }
    }
    Ok(loose)
}

/// The share of a table, in percent, that has about so many rows, and the first of its last pages;
/// a table of partitions has no pages of its own.
async fn share(
    client: &Client,
    plan: &Plan,
    sync: &TableSync,
    rows: u32,
) -> Result<(f64, Option<i64>)> {
    let sql = "SELECT coalesce(sum(c.reltuples) FILTER (WHERE c.reltuples > 0), 0)::float8, \
         (SELECT pg_relation_size(oid) / current_setting('block_size')::bigint FROM pg_class \
         WHERE oid = to_regclass($1) AND relkind = 'r') \
         FROM pg_class c WHERE c.oid = to_regclass($1) OR c.oid IN \
         (SELECT relid FROM pg_partition_tree(to_regclass($1)) WHERE isleaf)";
    let name = format!("{}.{}", plan.schema, sync.table);
    let row = client.query_one(sql, &[&name]).await.map_err(Error::sql("the size of a table"))?;
    let (all, pages): (f64, Option<i64>) = (row.get(0), row.get(1));
    let share = (f64::from(rows) / all.max(1.0) * 100.0).clamp(0.000_1, 100.0);
    Ok((share, pages.map(|pages| (pages - NEWEST).max(0)).filter(|_| share < 100.0)))
}

fn alias(sync: &TableSync) -> &Ident {
    sync.up.first().or(sync.down.first()).map_or(&sync.table, |derive| &derive.scope)
}

/// That a row's shapes say the same; `None` when nothing can be compared.
fn together(sync: &TableSync) -> Option<String> {
    let pairs = sync.up.iter().enumerate().filter_map(|(at, up)| {
        let down = sync.down.iter().position(|down| is_pair(up, down))?;
        let comparable = |derive: &Derive| !derive.volatile && !derive.reads_others;
        (comparable(up) && comparable(&sync.down[down])).then_some((at, down))
    });
    let one = |(up, down): (usize, usize)| {
        format!("({} OR {})", holds(&sync.up, up, sync), holds(&sync.down, down, sync))
    };
    let all: Vec<String> = pairs.map(one).collect();
    (!all.is_empty()).then(|| all.join(" AND "))
}

/// One gives the other's input.
fn is_pair(up: &Derive, down: &Derive) -> bool {
    let reads = |derive: &Derive, column: &Ident| {
        derive.inputs.iter().any(|input| input.physical == *column)
    };
    reads(down, &up.target) && reads(up, &down.target)
}

fn holds(derives: &[Derive], at: usize, sync: &TableSync) -> String {
    let (derive, alias) = (&derives[at], alias(sync));
    let target = format!("{alias}.{}", derive.target);
    let value = format!("{}::{}", value(&derives[at..=at], 0, alias), derive.data_type);
    format!("NOT ({})", differs(&target, &value, &derive.data_type))
}

fn query(plan: &Plan, sync: &TableSync, together: &str, share: f64, newest: Option<i64>) -> String {
    let alias = alias(sync);
    let key = match &sync.key {
        Key::Place => format!("{alias}.ctid::text"),
        Key::Columns { columns } => {
            let one = |(name, _): &(Ident, String)| {
                format!("{} || {alias}.{name}::text", literal(&format!("{}=", name.as_str())))
            };
            columns.iter().map(one).collect::<Vec<_>>().join(" || ', ' || ")
        }
    };
    let table = format!("{}.{} AS {alias}", plan.schema, sync.table);
    let rows = |from: &str, and: &str| {
        let name = literal(sync.table.as_str());
        format!(
            "SELECT {name} || ': ' || {key} AS name, {together} AS good FROM {from} \
             WHERE {alias}.{}{and}",
            sync.done
        )
    };
    let mut looked = rows(&format!("{table} TABLESAMPLE SYSTEM ({share})"), "");
    if let Some(page) = newest {
        let last = rows(&table, &format!(" AND {alias}.ctid >= '({page},0)'::tid"));
        looked = format!("{looked} UNION {last}");
    }
    format!(
        "SELECT count(*), count(*) FILTER (WHERE NOT good), \
         (pg_catalog.array_agg(name ORDER BY name) FILTER (WHERE NOT good))[1:{TOLD}] \
         FROM ({looked}) AS looked"
    )
}
