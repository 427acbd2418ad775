//! How large the real tables are, and which indexes they have.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

/// Rows that a table is taken to have when nobody knows: too many to be written at once.
const UNKNOWN: u64 = 1_000_000;

/// One table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableSize {
    /// Bytes of its rows.
    pub bytes: u64,
    /// Bytes of its indexes.
    pub index_bytes: u64,
    /// Rows, about.
    pub rows: u64,
}

/// All tables of a database.
#[derive(Debug, Clone, Default)]
pub struct Sizes {
    /// By name with schema, `public.users`.
    pub tables: BTreeMap<String, TableSize>,
    /// Tables and the first column of each of their indexes, without the schema.
    pub indexes: BTreeSet<(String, String)>,
    /// Generated columns, as table and column, without the schema.
    pub generated: BTreeSet<(String, String)>,
    /// Major version of the server.
    pub major: u32,
}

/// Sizes as they are: behind a table that somebody has locked, these wait.
const EXACT: &str = "pg_table_size(c.oid)::bigint, pg_indexes_size(c.oid)::bigint";

/// Sizes as of the last vacuum, which wait for nobody.
const KNOWN: &str = "c.relpages * current_setting('block_size')::bigint, coalesce((SELECT \
     sum(x.relpages) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid \
     WHERE i.indrelid = c.oid) * current_setting('block_size')::bigint, 0)::bigint";

/// Longest wait for a lock of somebody else's.
const PATIENCE: &str = "SET lock_timeout = '1s'";

const INDEXES: &str = "SELECT c.relname::text, a.attname::text FROM pg_index i \
     JOIN pg_class c ON c.oid = i.indrelid \
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
     WHERE i.indisvalid AND i.indpred IS NULL";

const GENERATED: &str = "SELECT c.relname::text, a.attname::text FROM pg_attribute a \
     JOIN pg_class c ON c.oid = a.attrelid WHERE a.attgenerated <> '' AND NOT a.attisdropped";

fn tables(sizes: &str) -> String {
    format!(
        "SELECT n.nspname || '.' || c.relname, {sizes}, c.reltuples::bigint, c.oid::regclass::text \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN \
         ('r', 'p', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
    )
}

/// The planner's guess of the rows of a table; many, when it cannot be asked.
async fn guess(client: &Client, table: &str) -> u64 {
    let answer = client.simple_query(&format!("EXPLAIN SELECT FROM {table}")).await;
    let rows = answer.iter().flatten().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => estimate(row.get(0)?),
        _ => None,
    });
    rows.unwrap_or(UNKNOWN)
}

/// `560` of `Seq Scan on t  (cost=0.00..15.60 rows=560 width=0)`.
fn estimate(line: &str) -> Option<u64> {
    let rest = line.split("rows=").nth(1)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

impl Sizes {
    /// Asks the server; changes nothing.
    ///
    /// # Errors
    /// What the server said.
    pub async fn read(client: &Client) -> Result<Self, Error> {
        let version = client.query_one("SHOW server_version_num", &[]).await?;
        let version: String = version.get(0);
        client.batch_execute(PATIENCE).await?;
        let mut sizes =
            Self { major: version.parse::<u32>().unwrap_or(0) / 10_000, ..Self::default() };
        let rows = match client.query(&tables(EXACT), &[]).await {
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                client.query(&tables(KNOWN), &[]).await?
            }
            rows => rows?,
        };
        for row in rows {
            let number = |at| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
            let (bytes, index_bytes) = (number(1), number(2));
            // Nobody has counted the rows of a new table yet.
            let unknown = row.get::<_, i64>(3) < 0 && bytes > 0;
            let rows = if unknown { guess(client, row.get(4)).await } else { number(3) };
            let size = TableSize { bytes, index_bytes, rows };
            sizes.tables.insert(row.get(0), size);
        }
        let pair = |row: &tokio_postgres::Row| (row.get(0), row.get(1));
        sizes.indexes = client.query(INDEXES, &[]).await?.iter().map(pair).collect();
        sizes.generated = client.query(GENERATED, &[]).await?.iter().map(pair).collect();
        client.batch_execute("SET lock_timeout = 0").await?;
        Ok(sizes)
    }

    /// Rows of tables by their names without the schema; the largest of several.
    pub fn rows(&self) -> BTreeMap<String, u64> {
        let mut rows = BTreeMap::new();
        for (name, size) in &self.tables {
            let bare = name.split_once('.').map_or(name.as_str(), |(_, bare)| bare);
            let entry = rows.entry(bare.to_owned()).or_insert(0);
            *entry = size.rows.max(*entry);
        }
        rows
    }

    /// A table, by its name with the schema.
    pub fn of(&self, table: &str) -> TableSize {
        self.tables.get(table).copied().unwrap_or_default()
    }
}
