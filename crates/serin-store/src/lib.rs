//! Durable state: the event log, each service's state, the outbox and what people read later, in
//! one SQLite file.
//!
//! # Invariants
//! - The only crate that knows SQLite.
//! - An event, the state it led to, the plan it owes and its journal are one transaction: all of
//!   it is on disk or none of it.
//! - A state may be behind its log by facts that decided nothing; read, they are absorbed.
//! - The log is cut only where a state lies that leads to the same one bit by bit; what people
//!   asked for, the journal and the records of rollouts stay for ever.
//! - A plan stays in the outbox until its generation is acknowledged, across restarts.
//! - An epoch is handed out once, ever; under an older one than the newest nothing is written.

mod ballast;
mod checkpoint;
mod checkups;
mod commit;
mod compact;
mod error;
mod flags;
mod notes;
mod notices;
mod pack;
mod read;
mod schema;
mod tail;
mod ticks;

pub use ballast::Ballast;
pub use checkpoint::Checkpointer;
pub use commit::Commit;
pub use error::Error;
pub use flags::{FlagChange, FlagWrite, StoredFlag, StoredFlags, StoredNote};
pub use notes::{KillNote, WayBackNote};
pub use notices::{NoticeEnd, OwedNotice};
pub use read::{JournalRow, LoggedEvent, Replay, RolledBack};
pub use ticks::TicksKept;

use notes::Notes;
use rusqlite::Connection;
use serin_core::ServiceName;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Longest wait for a lock that another process holds.
const BUSY: Duration = Duration::from_millis(100);

/// Bytes the write-ahead log keeps on disk between checkpoints.
const WAL_BYTES: i64 = 8 << 20;

/// Pages in the write-ahead log at which a commit copies them into the file itself, when no
/// [`Checkpointer`] does it.
const WAL_PAGES: i64 = 4_000;

/// Statements kept ready.
const STATEMENTS: usize = 64;

/// An open store. One per data directory; the keeper's lock sees to that.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    /// The controller epoch this one writes under.
    epoch: u64,
    /// How far the log is ahead of each state that this one wrote.
    tails: BTreeMap<ServiceName, tail::Tail>,
    /// What there is to make smaller.
    work: compact::Work,
    ways_back: Notes<WayBackNote>,
    kills: Notes<KillNote>,
}

impl Store {
    /// Opens the store at `path` and brings its schema up to date.
    ///
    /// # Errors
    /// When the file cannot be opened, is not a Serin store, or is from a newer Serin.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let ways_back = Notes::File(path.with_extension("back"));
        let kills = Notes::File(path.with_extension("kills"));
        // Without room it is tried again when there is some.
        let _ = (ways_back.hold(), kills.hold());
        Self::prepare(Connection::open(path)?, ways_back, kills)
    }

    /// A store that is gone when dropped.
    pub fn in_memory() -> Result<Self, Error> {
        Self::prepare(Connection::open_in_memory()?, Notes::Memory(vec![]), Notes::Memory(vec![]))
    }

    fn prepare(
        connection: Connection,
        ways_back: Notes<WayBackNote>,
        kills: Notes<KillNote>,
    ) -> Result<Self, Error> {
        // Only of effect in an empty file: free pages can be given back one by one.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // Answers with the bound, which is no error.
        let bound: fn(&rusqlite::Row) -> rusqlite::Result<()> = |_| Ok(());
        connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES, bound)?;
        connection.pragma_update_and_check(None, "wal_autocheckpoint", WAL_PAGES, bound)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // Another process with the file open, such as a backup, must not hold up a decision.
        connection.busy_timeout(BUSY)?;
        // A commit that was answered must survive a power cut, not only a crash.
        connection.pragma_update(None, "synchronous", "FULL")?;
        schema::migrate(&connection)?;
        let epoch = read_epoch(&connection)?;
        let (tails, work) = (BTreeMap::new(), compact::Work::default());
        Ok(Self { connection, epoch, tails, work, ways_back, kills })
    }

    /// Bounds the file to so many pages, or to its present size if it is larger; `None` lifts the
    /// bound. A write beyond it fails as on a full disk.
    pub fn limit_pages(&self, pages: Option<u32>) {
        let most = pages.map_or(i64::from(u32::MAX - 1), i64::from);
        // SQLite answers with the bound it took, which is no error.
        let _ = self.connection.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()));
    }

    /// Remembers ways back that were taken and could not be written, in space that is there
    /// already; replaces what was remembered before.
    ///
    /// # Errors
    /// When not even that can be written.
    pub fn note_ways_back(&mut self, notes: &[WayBackNote]) -> Result<(), std::io::Error> {
        self.ways_back.write(notes)
    }

    /// Ways back that a controller took and could not write.
    pub fn ways_back(&self) -> Vec<WayBackNote> {
        self.ways_back.read()
    }

    /// Remembers flags that were killed and could not be written, as [`Store::note_ways_back`].
    ///
    /// # Errors
    /// When not even that can be written.
    pub fn note_kills(&mut self, notes: &[KillNote]) -> Result<(), std::io::Error> {
        self.kills.write(notes)
    }

    /// Flags that a controller killed and could not write.
    pub fn kills(&self) -> Vec<KillNote> {
        self.kills.read()
    }

    /// Takes the next controller epoch; it was never used before.
    pub fn claim_epoch(&mut self) -> Result<u64, Error> {
        let tx = self.connection.transaction()?;
        tx.execute("UPDATE meta SET epoch = epoch + 1", ())?;
        let epoch = read_epoch(&tx)?;
        Self::catch_up(&tx)?;
        tx.commit()?;
        self.tails.clear();
        self.epoch = epoch;
        Ok(epoch)
    }
}

fn read_epoch(connection: &Connection) -> Result<u64, Error> {
    let epoch: i64 = connection.query_row("SELECT epoch FROM meta", (), |row| row.get(0))?;
    Ok(epoch as u64)
}
