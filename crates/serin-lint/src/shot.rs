//! What the server knows about tables at one moment of a transaction.

use crate::{Lock, LockMode};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::{Client, Error};

/// Tables, their files and how often they were read, and the locks that are held.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shot {
    relations: BTreeMap<u32, Relation>,
    locks: BTreeSet<Lock>,
}

#[derive(Debug, Clone)]
struct Relation {
    name: String,
    /// The table of an index; itself otherwise.
    table: u32,
    is_index: bool,
    file: u32,
    scans: i64,
}

/// What happened between two shots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Tables that were written anew.
    pub(crate) rewritten: Vec<String>,
    /// Tables that were read from end to end.
    pub(crate) read: Vec<String>,
    /// Tables that got an index that had to be built.
    pub(crate) indexed: Vec<String>,
    /// Locks that are new.
    pub(crate) taken: Vec<Lock>,
}

const RELATIONS: &str = "SELECT c.oid, n.nspname || '.' || c.relname, \
     coalesce(i.indrelid, c.oid), i.indrelid IS NOT NULL, c.relfilenode, \
     pg_stat_get_xact_numscans(c.oid) \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     LEFT JOIN pg_index i ON i.indexrelid = c.oid \
     WHERE c.relkind IN ('r', 'p', 'm', 'i', 'I') \
     AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'serin')";

const LOCKS: &str = "SELECT l.relation, l.mode FROM pg_locks l \
     WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted \
     AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())";

impl Shot {
    /// Looks, inside the transaction that is traced.
    pub(crate) async fn take(client: &Client) -> Result<Self, Error> {
        let mut shot = Self::default();
        for row in client.query(RELATIONS, &[]).await? {
            let relation = Relation {
                name: row.get(1),
                table: row.get(2),
                is_index: row.get(3),
                file: row.get(4),
                scans: row.get(5),
            };
            shot.relations.insert(row.get(0), relation);
        }
        for row in client.query(LOCKS, &[]).await? {
            let (oid, mode): (u32, String) = (row.get(0), row.get(1));
            let table = shot.relations.get(&oid).filter(|relation| !relation.is_index);
            let lock = table.zip(LockMode::named(&mode));
            shot.locks.extend(lock.map(|(table, mode)| Lock { table: table.name.clone(), mode }));
        }
        Ok(shot)
    }

    /// Names of its tables.
    pub(crate) fn tables(&self) -> BTreeSet<String> {
        let tables = self.relations.values().filter(|relation| !relation.is_index);
        tables.map(|relation| relation.name.clone()).collect()
    }

    /// What happened from here to `after`, to tables that were there in `old`.
    pub(crate) fn change(&self, after: &Self, old: &BTreeSet<String>) -> Change {
        let mut change = Change::default();
        // A partitioned index has no file.
        let files: BTreeSet<u32> =
            self.relations.values().map(|relation| relation.file).chain([0]).collect();
        for (oid, now) in &after.relations {
            match self.relations.get(oid) {
                // An index that takes over the file of another was not built.
                None if now.is_index && !files.contains(&now.file) => {
                    change.indexed.extend(after.name_of(now.table));
                }
                None => {}
                Some(before) if now.is_index => {
                    let built = before.file != now.file;
                    change.indexed.extend(after.name_of(now.table).filter(|_| built));
                }
                Some(before) => {
                    let name = || Some(now.name.clone());
                    change.rewritten.extend(name().filter(|_| before.file != now.file));
                    change.read.extend(name().filter(|_| before.scans < now.scans));
                }
            }
        }
        change.taken = after.locks.difference(&self.locks).cloned().collect();
        change.taken.retain(|lock| old.contains(&lock.table));
        for list in [&mut change.rewritten, &mut change.read, &mut change.indexed] {
            list.retain(|table| old.contains(table));
            list.sort();
            list.dedup();
        }
        change
    }

    fn name_of(&self, oid: u32) -> Option<String> {
        self.relations.get(&oid).map(|relation| relation.name.clone())
    }
}
