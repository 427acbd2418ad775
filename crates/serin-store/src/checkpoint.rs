//! Copying from the write-ahead log into the file, beside the decisions and not between them: that
//! takes many writes and two waits for the disk.

use crate::{Error, Store};
use rusqlite::Connection;
use std::path::Path;

/// Copies what was committed into the file. It waits for nobody and nobody waits for it.
#[derive(Debug)]
pub struct Checkpointer {
    connection: Connection,
}

impl Store {
    /// One for this store's file; `None` when the store has none. To be run on a thread of its own,
    /// every second or so. Without it the store does the same itself, from time to time and in the
    /// middle of a commit.
    ///
    /// # Errors
    /// When the file cannot be opened once more.
    pub fn checkpointer(&self) -> Result<Option<Checkpointer>, Error> {
        let path = self.connection.path().filter(|path| !path.is_empty());
        let open = |path| Ok(Checkpointer { connection: Connection::open(Path::new(path))? });
        path.map(open).transpose()
    }
}

impl Checkpointer {
    /// Copies what there is. What cannot be copied now stays in the log for the next time.
    ///
    /// # Errors
    /// When the disk is full or fails; nothing is lost by that.
    pub fn run(&self) -> Result<(), Error> {
        let sql = "PRAGMA wal_checkpoint(PASSIVE)";
        Ok(self.connection.query_row(sql, (), |_| Ok(()))?)
    }
}
