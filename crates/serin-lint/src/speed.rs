//! How fast the server reads, rewrites, indexes and fills, measured on a table made for it.

use crate::TableSize;
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, Error};

/// MB a second (1 MB is 1,000,000 bytes) of table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Speed {
    /// Reading from end to end.
    pub scan: f64,
    /// Writing anew.
    pub rewrite: f64,
    /// Building an index.
    pub index: f64,
    /// Updating each row.
    pub fill: f64,
}

/// Rows of the table that is measured, about 28 MB.
const ROWS: u32 = 200_000;

impl Speed {
    /// Measures in a database where a table may be made: about two seconds.
    ///
    /// The table lies in memory, so a real one that does not is slower.
    ///
    /// # Errors
    /// What the server said.
    pub async fn measure(client: &Client) -> Result<Self, Error> {
        let make = format!(
            "SET max_parallel_workers_per_gather = 0; SET max_parallel_maintenance_workers = 0; \
             CREATE TABLE pg_temp.speed AS \
             SELECT g AS id, repeat('x', 100) AS filler FROM generate_series(1, {ROWS}) g"
        );
        client.batch_execute(&make).await?;
        let size = client.query_one("SELECT pg_table_size('pg_temp.speed')::bigint", &[]).await?;
        let megabytes = size.get::<_, i64>(0) as f64 / 1e6;
        let scan = timed(client, "SELECT count(*) FROM pg_temp.speed WHERE filler = 'y'").await?;
        let index = timed(client, "CREATE INDEX ON pg_temp.speed (id)").await?;
        let rewrite = timed(client, "ALTER TABLE pg_temp.speed ALTER id TYPE bigint").await?;
        // The rewrite has built the index again; its time is not the table's.
        let rewrite = rewrite.saturating_sub(index).max(index / 2);
        let fill = timed(client, "UPDATE pg_temp.speed SET filler = filler || 'y'").await?;
        client.batch_execute("DROP TABLE pg_temp.speed").await?;
        let rate = |time: Duration| megabytes / time.as_secs_f64().max(1e-6);
        Ok(Self { scan: rate(scan), rewrite: rate(rewrite), index: rate(index), fill: rate(fill) })
    }

    /// Time to read a table.
    pub fn scanning(&self, size: TableSize) -> Duration {
        time(size.bytes, self.scan)
    }

    /// Time to write a table and its indexes anew.
    pub fn rewriting(&self, size: TableSize) -> Duration {
        time(size.bytes, self.rewrite) + time(size.index_bytes, self.index)
    }

    /// Time to build one index.
    pub fn indexing(&self, size: TableSize) -> Duration {
        time(size.bytes, self.index)
    }

    /// Time to update every row, working `duty` (0 to 1) of the time.
    pub fn filling(&self, size: TableSize, duty: f64) -> Duration {
        time(size.bytes, self.fill * duty.clamp(0.01, 1.0))
    }
}

async fn timed(client: &Client, sql: &str) -> Result<Duration, Error> {
    let start = Instant::now();
    client.batch_execute(sql).await?;
    Ok(start.elapsed())
}

fn time(bytes: u64, rate: f64) -> Duration {
    // A rate below a byte a second is no rate.
    Duration::try_from_secs_f64(bytes as f64 / (rate.max(1e-6) * 1e6)).unwrap_or(Duration::MAX)
}
