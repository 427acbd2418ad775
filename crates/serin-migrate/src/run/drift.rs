//! Whether the two shapes still say the same: looked at in a sample of rows.
//!
//! The last one to write a row was an old client, then its new values come from the old ones; or
//! a new one, then the old values come from the new ones. A row of which neither is true was
//! written past both, or the trigger is gone.

use super::error::{Error, Result};
use crate::trigger::{differs, value};
use crate::{Derive, Ident, Key, Plan, TableSync, literal};
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

/// Rows that are told.
const TOLD: i64 = 10;

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
}

/// Looks at about so many rows of each table.
pub(crate) async fn sample(client: &Client, plan: &Plan, rows: u32) -> Result<Drift> {
    let mut drift = Drift::default();
    for sync in &plan.syncs {
        let Some(rule) = together(sync) else { continue };
        let share = share(client, plan, sync, rows).await?;
        let sql = query(plan, sync, &rule, share);
        let row = client.query_one(&sql, &[]).await;
        let row = row.map_err(Error::sql(format!("comparing the shapes of {}", sync.table)))?;
        drift.looked_at += row.get::<_, i64>(0);
        drift.apart += row.get::<_, i64>(1);
        drift.rows.extend(row.get::<_, Option<Vec<String>>>(2).unwrap_or_default());
    }
    drift.rows.truncate(TOLD as usize);
    Ok(drift)
}

/// The share of a table, in percent, that has about so many rows.
async fn share(client: &Client, plan: &Plan, sync: &TableSync, rows: u32) -> Result<f64> {
    let sql = "SELECT coalesce(sum(c.reltuples) FILTER (WHERE c.reltuples > 0), 0)::float8 \
         FROM pg_partition_tree(to_regclass($1)) t JOIN pg_class c ON c.oid = t.relid";
    let name = format!("{}.{}", plan.schema, sync.table);
    let row = client.query_one(sql, &[&name]).await.map_err(Error::sql("the size of a table"))?;
    let all: f64 = row.get(0);
    Ok((f64::from(rows) / all.max(1.0) * 100.0).clamp(0.000_1, 100.0))
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

fn query(plan: &Plan, sync: &TableSync, together: &str, share: f64) -> String {
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
    format!(
        "SELECT count(*), count(*) FILTER (WHERE NOT good), \
         (pg_catalog.array_agg(name) FILTER (WHERE NOT good))[1:{TOLD}] FROM (\
         SELECT {} || ': ' || {key} AS name, {together} AS good FROM {}.{} AS {alias} \
         TABLESAMPLE SYSTEM ({share}) WHERE {alias}.{}) AS looked",
        literal(sync.table.as_str()),
        plan.schema,
        sync.table,
        sync.done,
    )
}
