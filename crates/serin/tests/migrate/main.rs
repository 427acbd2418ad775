//! `serin migrate` as its users see it: files, words, exit codes, on a real Postgres.
#![allow(clippy::unwrap_used)] // clippy allows it in the test functions only

mod bad;
mod environment;
mod grace;
mod life;
mod pooler;
mod returns;
mod service;
mod steered;
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod watched;
mod written;

use serde_json::Value;
use serin_postgres::{Cluster, shared};
use std::path::{Path, PathBuf};
use support::{Said, said, serin};
use tempfile::TempDir;

/// A directory of migrations and a database to apply them to.
struct Lab {
    cluster: &'static Cluster,
    database: String,
    folder: TempDir,
}

const USERS: &str =
    "CREATE TABLE users (id bigint PRIMARY KEY, first text, last text, total integer);
    INSERT INTO users SELECT n, 'a' || n, 'b' || n, n FROM generate_series(1, 500) n; ANALYZE users;";

const TOTAL: &str = "\
operations:
  - alter_column:
      table: users
      column: total
      type: bigint
      up: total
      down: total
serin:
  backfill: { duty: 1.0 }
";

impl Lab {
    /// `None` without Postgres.
    fn new(setup: &str) -> Option<Self> {
        let cluster = shared()?;
        let database = cluster.database().unwrap();
        cluster.sql(&database, setup).unwrap();
        Some(Self { cluster, database, folder: tempfile::tempdir().unwrap() })
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    fn sql(&self, sql: &str) -> String {
        self.cluster.sql(&self.database, sql).unwrap_or_else(|error| panic!("{error}\n{sql}"))
    }

    /// `serin migrate WORDS` on the database.
    fn migrate(&self, words: &[&str]) -> Said {
        let mut command = serin(&[&["migrate"], words].concat());
        command.env("SERIN_DATABASE_URL", self.cluster.url(&self.database));
        said(command)
    }

    /// The same with a path of the lab.
    fn on(&self, words: &[&str], path: &Path) -> Said {
        self.migrate(&[words, &[path.to_str().unwrap()]].concat())
    }
}

/// `serin migrate WORDS` without a database.
fn alone(words: &[&str]) -> Said {
    let mut command = serin(&[&["migrate"], words].concat());
    command.env_remove("SERIN_DATABASE_URL").env_remove("DATABASE_URL");
    said(command)
}

/// The last document that was printed.
fn document(said: &Said) -> Value {
    serde_json::from_str(said.out.lines().last().unwrap()).unwrap()
}

#[track_caller]
fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}
