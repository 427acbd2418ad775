//! The tables.

use crate::Error;
use rusqlite::Connection;

const VERSION: i64 = 7;

const TABLES: &str = "
CREATE TABLE meta (epoch INTEGER NOT NULL) STRICT;
INSERT INTO meta VALUES (0);
CREATE TABLE service (
  name TEXT PRIMARY KEY,
  state TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE event (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  service TEXT NOT NULL,
  at INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE INDEX event_service ON event (service, seq);
CREATE TABLE outbox (
  service TEXT PRIMARY KEY,
  generation TEXT NOT NULL,
  plan TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE journal (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  service TEXT NOT NULL,
  rollout INTEGER,
  at INTEGER NOT NULL,
  entry TEXT NOT NULL
) STRICT;
CREATE INDEX journal_service ON journal (service, seq);
CREATE TABLE rollout (
  service TEXT NOT NULL,
  id INTEGER NOT NULL,
  ended_at INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  version TEXT NOT NULL,
  cause TEXT,
  record TEXT NOT NULL,
  PRIMARY KEY (service, id)
) STRICT, WITHOUT ROWID;
";

/// What the judge of each rollout was given, from schema 2 on.
const TICKS: &str = "
CREATE TABLE tick (
  service TEXT NOT NULL,
  rollout INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (service, rollout, seq)
) STRICT, WITHOUT ROWID;
";

/// Documents packed, and a log that can be cut, from schema 3 on. Nothing is copied: a file of any
/// size is brought up to date at once, also on a disk that is nearly full.
const COMPACT: &str = "
ALTER TABLE service ADD COLUMN packed BLOB;
ALTER TABLE service ADD COLUMN seq INTEGER;
ALTER TABLE event ADD COLUMN packed BLOB;
ALTER TABLE rollout ADD COLUMN packed BLOB;
ALTER TABLE rollout ADD COLUMN ticks_gone_at INTEGER;
ALTER TABLE tick ADD COLUMN packed BLOB;
CREATE TABLE audit (
  seq INTEGER PRIMARY KEY,
  service TEXT NOT NULL,
  at INTEGER NOT NULL,
  body TEXT NOT NULL,
  packed BLOB
) STRICT;
CREATE INDEX audit_service ON audit (service, seq);
CREATE TABLE snapshot (
  seq INTEGER PRIMARY KEY,
  service TEXT NOT NULL,
  ends INTEGER,
  body TEXT NOT NULL,
  packed BLOB
) STRICT;
CREATE INDEX snapshot_service ON snapshot (service, seq);
CREATE TABLE cut (
  service TEXT PRIMARY KEY,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  body TEXT NOT NULL,
  packed BLOB
) STRICT;
CREATE TABLE tick_block (
  service TEXT NOT NULL,
  rollout INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  packed BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX tick_block_order ON tick_block (service, rollout, first);
";

/// Feature flags, from schema 4 on.
const FLAGS: &str = "
CREATE TABLE flag_set (
  name TEXT PRIMARY KEY,
  body TEXT NOT NULL,
  packed BLOB
) STRICT, WITHOUT ROWID;
CREATE TABLE flag (
  set_name TEXT NOT NULL,
  key TEXT NOT NULL,
  body TEXT NOT NULL,
  packed BLOB,
  PRIMARY KEY (set_name, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE flag_change (
  n INTEGER PRIMARY KEY,
  set_name TEXT NOT NULL,
  key TEXT NOT NULL,
  at INTEGER NOT NULL,
  body TEXT NOT NULL,
  packed BLOB
) STRICT;
CREATE INDEX flag_change_flag ON flag_change (set_name, key, n);
CREATE TABLE flag_due (
  id INTEGER PRIMARY KEY,
  body TEXT NOT NULL,
  packed BLOB
) STRICT;
CREATE TABLE flag_token (
  hash TEXT PRIMARY KEY,
  body TEXT NOT NULL,
  packed BLOB
) STRICT, WITHOUT ROWID;
CREATE TABLE flag_use (
  set_name TEXT NOT NULL,
  key TEXT NOT NULL,
  body TEXT NOT NULL,
  packed BLOB,
  PRIMARY KEY (set_name, key)
) STRICT, WITHOUT ROWID;
";

/// What else is known of flags, from schema 5 on: requests that wait for approval, retirements.
const NOTES: &str = "
CREATE TABLE flag_note (
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  body TEXT NOT NULL,
  packed BLOB,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
";

/// Notices that people are still to be told, from schema 6 on.
const NOTICES: &str = "
CREATE TABLE notice (
  key TEXT NOT NULL,
  target TEXT NOT NULL,
  service TEXT NOT NULL,
  at INTEGER NOT NULL,
  body TEXT NOT NULL,
  gave_up TEXT,
  PRIMARY KEY (key, target)
) STRICT, WITHOUT ROWID;
";

/// What was seen of instances after ways back, from schema 7 on.
const CHECKUPS: &str = "
CREATE TABLE checkup (
  service TEXT NOT NULL,
  rollout INTEGER NOT NULL,
  body TEXT NOT NULL,
  packed BLOB,
  PRIMARY KEY (service, rollout)
) STRICT, WITHOUT ROWID;
";

/// Creates the tables of an empty file, adds what an older one lacks; refuses a file of a newer Serin.
pub(crate) fn migrate(connection: &Connection) -> Result<(), Error> {
    let found: i64 = connection.query_row("PRAGMA user_version", (), |row| row.get(0))?;
    match found {
        0 => run(connection, &[TABLES, TICKS, COMPACT, FLAGS, NOTES, NOTICES, CHECKUPS]),
        1 => run(connection, &[TICKS, COMPACT, FLAGS, NOTES, NOTICES, CHECKUPS]),
        2 => run(connection, &[COMPACT, FLAGS, NOTES, NOTICES, CHECKUPS]),
        3 => run(connection, &[FLAGS, NOTES, NOTICES, CHECKUPS]),
        4 => run(connection, &[NOTES, NOTICES, CHECKUPS]),
        5 => run(connection, &[NOTICES, CHECKUPS]),
        6 => run(connection, &[CHECKUPS]),
        VERSION => Ok(()),
        found => Err(Error::Newer { found, known: VERSION }),
    }
}

/// All of it or nothing.
fn run(connection: &Connection, scripts: &[&str]) -> Result<(), Error> {
    let scripts = scripts.concat();
    let script = format!("BEGIN;{scripts}PRAGMA user_version = {VERSION};COMMIT;");
    connection.execute_batch(&script).inspect_err(|_| {
        let _ = connection.execute_batch("ROLLBACK");
    })?;
    Ok(())
}
