//! A table as its database describes it.

use super::error::Error;
use super::session;
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// `"schema"."name"`.
    pub name: String,
    pub columns: Vec<Column>,
    /// The columns of the key that identifies a row, if there is one.
    pub key: Vec<String>,
    /// Rows, as the last ANALYZE found.
    pub estimate: u64,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    /// The type under all domains: `int4`, or `public.mood` where it is not the system's.
    pub base: String,
    /// The type as written, with its modifiers.
    pub full: String,
    pub is_enum: bool,
    pub not_null: bool,
    /// All that decides the order of its texts; empty for other types.
    pub collation: String,
    /// Whether texts that are equal are the same bytes.
    pub is_deterministic: bool,
}

const FIND: &str = "\
SELECT c.oid, format('%I.%I', n.nspname, c.relname),
       coalesce((SELECT sum(greatest(p.reltuples, 0)) FROM pg_catalog.pg_class p
                 WHERE p.relkind <> 'p' AND p.oid IN (
                    SELECT c.oid UNION SELECT relid FROM pg_catalog.pg_partition_tree(c.oid))), 0)::float8
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')";

const COLUMNS: &str = "\
WITH RECURSIVE types AS (
    SELECT a.attnum, a.atttypid AS typid FROM pg_attribute a WHERE a.attrelid = $1
    UNION ALL
    SELECT s.attnum, t.typbasetype FROM types s JOIN pg_type t ON t.oid = s.typid WHERE t.typtype = 'd'
)
SELECT a.attname::text,
       CASE WHEN n.nspname = 'pg_catalog' THEN '' ELSE n.nspname || '.' END || t.typname,
       format_type(a.atttypid, a.atttypmod), t.typtype = 'e', a.attnotnull,
       CASE WHEN a.attcollation = 0 THEN ''
            WHEN a.attcollation = 100 THEN (
                SELECT CASE WHEN coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') = 'c' AND d.datcollate IN ('C', 'POSIX') THEN 'C'
                    ELSE concat_ws(' ', to_jsonb(d) ->> 'datlocprovider', d.datcollate,
                        to_jsonb(d) ->> 'daticulocale', to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'datcollversion') END
                FROM pg_database d WHERE d.datname = current_database())
            ELSE (SELECT CASE WHEN c.collprovider = 'c' AND c.collcollate IN ('C', 'POSIX') THEN 'C'
                    ELSE concat_ws(' ', c.collprovider, c.collcollate, to_jsonb(c) ->> 'colliculocale',
                    to_jsonb(c) ->> 'colllocale', c.collversion) END
                FROM pg_collation c WHERE c.oid = a.attcollation) END,
       coalesce((SELECT c.collisdeterministic FROM pg_collation c WHERE c.oid = a.attcollation), true)
FROM pg_attribute a
JOIN types s ON s.attnum = a.attnum
JOIN pg_type t ON t.oid = s.typid AND t.typtype <> 'd'
JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum";

const KEY: &str = "\
SELECT array_agg(a.attname::text ORDER BY k.n)
FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indpred IS NULL AND i.indexprs IS NULL AND k.n <= i.indnkeyatts
GROUP BY i.indexrelid, i.indisprimary
HAVING bool_and(a.attnotnull)
ORDER BY i.indisprimary DESC, count(*), i.indexrelid LIMIT 1";

/// Finds a table by the session's own search path, then fixes the session's settings.
pub(super) async fn read(
    client: &Client,
    side: &'static str,
    table: &str,
    statement: Duration,
) -> Result<Table, Error> {
    let at = |doing| Error::at(side, doing);
    let none = || Error::NoTable { side, table: table.to_owned() };
    let found = client.query_opt(FIND, &[&table]).await;
    let found = found.map_err(|error| match error.code() {
        // What is no name is the name of no table.
        Some(code) if [SqlState::INVALID_NAME, SqlState::SYNTAX_ERROR].contains(code) => none(),
        _ => at("finding the table")(error),
    })?;
    let found = found.ok_or_else(none)?;
    session::fix(client, side, statement).await?;
    let oid: u32 = found.get(0);
    let columns = client.query(COLUMNS, &[&oid]).await.map_err(at("reading the columns"))?;
    let key = client.query_opt(KEY, &[&oid]).await.map_err(at("reading the keys"))?;
    Ok(Table {
        name: found.get(1),
        columns: columns.iter().map(column).collect(),
        key: key.map_or_else(Vec::new, |row| row.get(0)),
        estimate: found.get::<_, f64>(2) as u64,
    })
}

fn column(row: &Row) -> Column {
    Column {
        name: row.get(0),
        base: row.get(1),
        full: row.get(2),
        is_enum: row.get(3),
        not_null: row.get(4),
        collation: row.get(5),
        is_deterministic: row.get(6),
    }
}
