//! A server as in life, a table in it, and a migration of that table.

use crate::Result;
use serde_json::{Value, json};
use serin_migrate::{Alone, Database, Ident, Migration, Plan, Runner, Say, catalog, plan};
use serin_postgres::{Cluster, Durability, Settings, newest};
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

/// Settings of the server: commits are synced, checkpoints come seldom.
const PARAMETERS: [(&str, &str); 3] =
    [("shared_buffers", "256MB"), ("max_wal_size", "4GB"), ("autovacuum", "on")];

pub struct Lab {
    pub cluster: Cluster,
    pub runtime: Runtime,
}

impl Lab {
    pub fn start() -> Result<Self> {
        let parameters = PARAMETERS.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let settings = Settings {
            durability: Durability::Full,
            parameters: parameters.into_iter().collect(),
            ..Settings::default()
        };
        let cluster = Cluster::start(&newest()?, &settings)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { cluster, runtime })
    }

    /// A database with a table of so many rows of about 140 bytes.
    pub fn table(&self, rows: u64) -> Result<String> {
        let database = self.cluster.database()?;
        let sql = format!(
            "CREATE TABLE t (id integer PRIMARY KEY, amount integer NOT NULL, note text NOT NULL); \
             INSERT INTO t SELECT n, n, repeat('x', 80) FROM generate_series(1, {rows}) n; \
             VACUUM ANALYZE t; CHECKPOINT"
        );
        for statement in sql.split("; ") {
            self.cluster.sql(&database, statement)?;
        }
        Ok(database)
    }

    pub fn client(&self, database: &str) -> Result<Client> {
        let url = self.cluster.url(database);
        let (client, connection) = self.runtime.block_on(tokio_postgres::connect(&url, NoTls))?;
        self.runtime.spawn(connection);
        Ok(client)
    }

    pub fn runner(&self, database: &str) -> Result<Runner> {
        let database = Database::new(&self.cluster.url(database), public()?)?;
        Ok(Runner::new(database, Arc::new(Alone), "measure"))
    }

    /// The plan of `t.amount` from integer to bigint.
    pub fn plan(&self, database: &str, serin: &Value) -> Result<Plan> {
        let operation = json!({"alter_column": {"table": "t", "column": "amount",
            "type": "bigint", "up": "amount", "down": "amount"}});
        let document = json!({"operations": [operation], "serin": serin});
        let migration: Migration = serin_migrate::migration("wide", &document)?;
        let client = self.client(database)?;
        self.runtime.block_on(async {
            let catalog = catalog::read(&client, &public()?).await?;
            Ok(plan::make(&client, &catalog, &migration, None).await?)
        })
    }
}

pub fn public() -> Result<Ident> {
    Ok(Ident::new("public")?)
}

/// What somebody says who knows.
pub fn sure() -> Say {
    Say {
        backup: Some("none: figures only".into()),
        override_reason: Some("figures".into()),
        ..Say::default()
    }
}

/// The value at a share of sorted values; 0 without any.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}
