//! What goes wrong, and whether trying again helps.

use crate::phase::Side;
use tokio_postgres::error::SqlState;

/// Why a write, a worker or a handover did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database said no, or is gone.
    #[error("the {side} store, while {doing}: {}", said(.source))]
    Database {
        /// Which one.
        side: Side,
        /// While doing what.
        doing: &'static str,
        /// What it said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// An address that cannot be read. Not shown: it carries a password.
    #[error(
        "the address of the {side} store cannot be read: {said}; it looks like postgres://user:password@host:port/database"
    )]
    Address {
        /// Which one.
        side: Side,
        /// What is wrong with it.
        said: String,
    },
    /// The connection cannot be made as safe as was asked.
    #[error("the {side} store is not connected to: {said}")]
    Tls {
        /// Which one.
        side: Side,
        /// Why not, and what to do.
        said: String,
    },
    /// It is not known whether the write was committed.
    #[error(
        "the {side} store was lost during the commit, so the write may be in it or not; read it again: {}",
        said(.source)
    )]
    Unsure {
        /// Which one.
        side: Side,
        /// What it said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// There is no connection to the store that holds the writes.
    #[error(
        "there is no connection to the {0} store, which holds the writes; connect and try again"
    )]
    NotConnected(Side),
    /// A round of the worker took too long.
    #[error("the {0} store took too long to apply what waits; it is tried again")]
    TooSlow(Side),
    /// The stream's tables are not there.
    #[error("the stream `{0}` is not set up in this database; call `setup` first")]
    NotSetUp(String),
    /// The other store has taken over; at once again, there.
    #[error("the {0} store holds the writes now; write again")]
    Moved(Side),
    /// Neither holds the writes for a moment.
    #[error("the writes are being handed over; write again in a moment")]
    HandingOver,
    /// Somebody else hands over.
    #[error("another process hands this stream over; wait for it")]
    Busy,
    /// The store that gives does not come to its end.
    #[error(
        "{waiting} writes and {dead} dead ones were left when the time for the handover ended; the {holder} store holds the writes as before; look at the worker, then try again"
    )]
    Undrained {
        /// What was left.
        waiting: u64,
        /// Dead letters.
        dead: u64,
        /// Who holds the writes.
        holder: Side,
    },
    /// The other store is ahead of the outbox: one of them is a restored copy.
    #[error(
        "the {side} store has applied position {applied}, but the outbox only counts to {issued}: it looks like a restored backup; copy the data again under another stream name"
    )]
    Rewound {
        /// The store that is ahead.
        side: Side,
        /// The highest position it has.
        applied: i64,
        /// The highest position that was given out.
        issued: i64,
    },
    /// The change was refused by its own code.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A change that is no JSON.
    #[error("a change cannot be read as JSON: {0}")]
    Change(#[from] serde_json::Error),
}

/// Why a change could not be made in a store.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The database said no, or is gone.
    #[error("{}", said(.0))]
    Database(#[from] tokio_postgres::Error),
    /// It makes no sense there; the reason is kept with the dead letter.
    #[error("{0}")]
    Reason(String),
}

impl Error {
    pub(super) fn at(
        side: Side,
        doing: &'static str,
    ) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Database { side, doing, source }
    }

    /// Whether the same may work in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Database { source, .. } => is_passing(source),
            Self::Refused(refusal) => refusal.is_passing(),
            Self::Moved(_)
            | Self::HandingOver
            | Self::NotConnected(_)
            | Self::Busy
            | Self::TooSlow(_) => true,
            _ => false,
        }
    }
}

impl Refusal {
    /// Whether the same may work in a moment: the store is gone, full, or two writers met.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Database(error) if is_passing(error))
    }

    /// For the dead letter: stays beside the change itself, in the same database.
    pub(super) fn reason(&self) -> String {
        let text = self.to_string();
        text.chars().take(REASON_CHARS).collect()
    }
}

/// Characters kept of a reason.
const REASON_CHARS: usize = 500;

/// Classes of SQLSTATE that pass: connection (08), transaction rollback (40), resources (53),
/// operator intervention (57), system (58).
const PASSING_CLASSES: [&str; 5] = ["08", "40", "53", "57", "58"];

fn is_passing(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => {
            *code == SqlState::LOCK_NOT_AVAILABLE
                || *code == SqlState::READ_ONLY_SQL_TRANSACTION
                || PASSING_CLASSES.iter().any(|class| code.code().starts_with(class))
        }
        None => error.is_closed() || is_io(error),
    }
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

/// The database's own words, which the driver keeps one level down, with their code.
fn said(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(db), _) => format!("{} (SQLSTATE {})", db.message(), db.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_short() {
        assert_eq!(Refusal::Reason("ä".repeat(900)).reason().chars().count(), REASON_CHARS);
        assert!(!Refusal::Reason("no".into()).is_passing());
    }

    #[test]
    fn what_passes() {
        assert!(Error::Moved(Side::New).is_passing() && Error::HandingOver.is_passing());
        assert!(!Error::NotSetUp("orders".into()).is_passing());
    }
}
