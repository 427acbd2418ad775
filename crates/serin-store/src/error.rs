//! What can go wrong with the store.

use rusqlite::ErrorCode;

/// Why the store could not do it. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no room on the disk.
    #[error("the disk is full: nothing can be stored; free some space in the data directory")]
    Full,
    /// Another controller has taken over.
    #[error(
        "controller {newest} has taken over from this one ({own}): nothing more is stored here; \
         end this process"
    )]
    Superseded {
        /// The newest epoch.
        newest: u64,
        /// The epoch of whoever asked.
        own: u64,
    },
    /// The file was written by a newer Serin.
    #[error("the store has schema {found}, this Serin knows up to {known}; start the newer Serin")]
    Newer {
        /// Schema of the file.
        found: i64,
        /// Newest schema known here.
        known: i64,
    },
    /// A stored document does not read back.
    #[error("the store holds a document this Serin cannot read")]
    Document(#[from] serde_json::Error),
    /// A packed document does not unpack.
    #[error("the store holds a packed document that is damaged; restore the file from a backup")]
    Damaged,
    /// Anything else SQLite reports.
    #[error("the store failed")]
    Sqlite(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let full = |code| matches!(code, ErrorCode::DiskFull | ErrorCode::SystemIoFailure);
        match error.sqlite_error_code() {
            Some(code) if full(code) => Self::Full,
            _ => Self::Sqlite(error),
        }
    }
}
