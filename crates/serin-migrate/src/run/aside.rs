//! What ways back put aside: listed, and dropped when its time is over.

use super::error::{Error, Result};
use super::runner::Runner;
use super::session;
use crate::Plan;
use serde::Serialize;
use tokio_postgres::{Client, Row};

/// Values of one table that the old shape could not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Aside {
    /// The number of the migration that went back.
    pub migration: i64,
    /// Its name.
    pub name: String,
    /// The table they are of.
    pub table: String,
    /// Where they are.
    pub kept_in: String,
    /// Rows that were put aside.
    pub rows: i64,
    /// A later start of the migration gave them back, where it could.
    pub restored: bool,
    /// The grace time is over: the next cleaning drops them.
    pub may_go: bool,
    #[serde(skip)]
    sync: i32,
}

const ALL: &str = "\
    SELECT s.migration, m.name, s.table_name, s.sync, s.rows_kept, s.restored_at IS NOT NULL, \
      m.plan::text, (extract(epoch FROM clock_timestamp() - m.ended_at) * 1000)::bigint \
    FROM serin.salvage s JOIN serin.migration m ON m.id = s.migration \
    WHERE m.schema = $1 ORDER BY s.migration, s.sync";

impl Runner {
    /// What ways back put aside and nobody dropped yet, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn aside(&self) -> Result<Vec<Aside>> {
        let client = self.connect().await?;
        match session::version(&client).await? {
            Some(_) => all(&client, self.database().schema().as_str()).await,
            None => Ok(Vec::new()),
        }
    }

    /// Drops what was put aside once the grace time of its migration is over; how many tables that
    /// was.
    ///
    /// # Errors
    /// Whatever stops it.
    pub async fn drop_aside(&self) -> Result<usize> {
        let session = self.session().await?;
        let all = all(&session.look, self.database().schema().as_str()).await?;
        let mut dropped = 0;
        for one in all.iter().filter(|one| one.may_go) {
            let sql = [
                format!("DROP TABLE IF EXISTS {}", one.kept_in),
                format!(
                    "DELETE FROM serin.salvage WHERE migration = {} AND sync = {}",
                    one.migration, one.sync
                ),
            ];
            session.transaction("dropping what was put aside", 1_000, &sql).await?;
            dropped += 1;
        }
        Ok(dropped)
    }
}

async fn all(client: &Client, schema: &str) -> Result<Vec<Aside>> {
    let rows = client.query(ALL, &[&schema]).await;
    let rows = rows.map_err(Error::sql("reading what was put aside"))?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Aside> {
    let (migration, sync): (i64, i32) = (row.get(0), row.get(3));
    let plan: Plan = serde_json::from_str(row.get(6))
        .map_err(|error| Error::Kept(format!("the plan of migration {migration}: {error}")))?;
    let grace = plan.migration.settings.contract.grace_ms as i64;
    Ok(Aside {
        migration,
        name: row.get(1),
        table: row.get(2),
        kept_in: format!("serin.salvage_{migration}_{sync}"),
        rows: row.get(4),
        restored: row.get(5),
        may_go: row.get::<_, Option<i64>>(7).is_some_and(|ago| ago >= grace),
        sync,
    })
}
