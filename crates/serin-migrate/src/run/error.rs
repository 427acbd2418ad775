//! Why a migration does not go on.

use super::State;

/// Why a migration does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address of the database is none.
    #[error(
        "the address of the database cannot be used: {said}; one looks like postgres://user@host:5432/name"
    )]
    Address {
        /// What is wrong with it, without the password.
        said: String,
    },
    /// The migration is wrong for this database.
    #[error(transparent)]
    Flaws(#[from] crate::Flaws),
    /// No connection.
    #[error(
        "the database does not answer: {said}; see that it runs and that this host may connect"
    )]
    Connect {
        /// What was said.
        said: String,
    },
    /// Nobody is let in: a wrong password or role, no such database.
    #[error(
        "the database refuses the login: {said}; see the role, the password and the database's name"
    )]
    Login {
        /// What the server said.
        said: String,
    },
    /// The connection cannot be made as safe as was asked.
    #[error("the database is not connected to: {0}")]
    Tls(String),
    /// The server is none that this works with.
    #[error("{0}")]
    Unfit(String),
    /// Somebody else holds the schema.
    #[error(
        "another runner works on schema `{schema}` of this database: {holder}; wait for it, or end it"
    )]
    Held {
        /// The schema.
        schema: String,
        /// Who, and since when.
        holder: String,
    },
    /// Somebody else took over while this one was away.
    #[error(
        "another runner took over schema `{schema}`: this one does nothing more; ask for the status"
    )]
    Fenced {
        /// The schema.
        schema: String,
    },
    /// One migration at a time.
    #[error("migration `{name}` is open in schema `{schema}` ({}); one at a time: finish it with a contract, or revert it", .state.word())]
    Open {
        /// The one that is open.
        name: String,
        /// The schema.
        schema: String,
        /// How far it is.
        state: State,
    },
    /// It was applied before.
    #[error("migration `{0}` was applied already; nothing is to be done")]
    Applied(String),
    /// There is none.
    #[error("no migration is {0}")]
    None(&'static str),
    /// Not in this state.
    #[error("migration `{name}` cannot go there: {why}")]
    NotNow {
        /// Its name.
        name: String,
        /// Why not, and what to do.
        why: String,
    },
    /// Something speaks against it.
    #[error("{what} is refused: {}", .reasons.join("; "))]
    Refused {
        /// What was asked.
        what: &'static str,
        /// What speaks against it, and what to do.
        reasons: Vec<String>,
    },
    /// The locks were not to be had.
    #[error(
        "{what} waited {seconds} s for its locks in vain: {blockers}; end what may be ended, or try again later"
    )]
    Locked {
        /// The step.
        what: String,
        /// Time waited.
        seconds: u64,
        /// Who holds them.
        blockers: String,
    },
    /// Somebody changed the tables by hand.
    #[error(
        "the tables were changed by somebody else since the last step ({0}); look at what it was, then take the migration back, or go on and accept it"
    )]
    Foreign(String),
    /// Postgres refused a statement.
    #[error("{what} failed: {said}")]
    Sql {
        /// What was done.
        what: String,
        /// What Postgres said.
        said: String,
        /// Its code of five characters.
        code: String,
    },
    /// Rows that cannot be taken over.
    #[error("{what}: {said}; the rows: {}; correct them, then go on", .rows.join(" | "))]
    Rows {
        /// What was done.
        what: String,
        /// What is wrong with them.
        said: String,
        /// Keys of the first of them.
        rows: Vec<String>,
    },
    /// A question that was answered with no.
    #[error("the check `{sql}` answered {answer}, not true")]
    Check {
        /// The question.
        sql: String,
        /// The answer.
        answer: String,
    },
    /// The connection ended.
    #[error(
        "the connection to the database ended: {0}; go on with the migration when it answers again"
    )]
    Lost(String),
    /// What is kept in the database cannot be read.
    #[error(
        "what is kept in schema `serin` cannot be read: {0}; use the version of serin that wrote it"
    )]
    Kept(String),
}

/// The code with which the server says that its disk is full.
const FULL: &str = "53100";

/// Short for this crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// From what the client says, told with what was done.
    pub(crate) fn sql(what: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        let what = what.into();
        move |error| match error.as_db_error() {
            None => Self::Lost(chain(&error)),
            Some(db) if is_shutdown(db.code().code()) => Self::Lost(db.message().to_owned()),
            Some(db) => {
                let detail = db.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
                let room = if db.code().code() == FULL { "; make room, then go on" } else { "" };
                let said = format!("{}{detail}{room}", db.message());
                Self::Sql { what, said, code: db.code().code().to_owned() }
            }
        }
    }

    /// The code of Postgres, when it spoke.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Sql { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The migration's own SQL failed, or its check said no: trying again does not help by itself.
    /// Not so when there was no room, no server, no connection, or a lock was not to be had.
    pub fn is_own_fault(&self) -> bool {
        const PASSING: [&str; 6] = ["08", "40", "53", "55", "57", "58"];
        match self {
            Self::Sql { code, .. } => !PASSING.iter().any(|class| code.starts_with(class)),
            Self::Check { .. } | Self::Rows { .. } => true,
            _ => false,
        }
    }

    /// The locks were not to be had at once, or two waited for each other: worth another try.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self.code(), Some("55P03" | "40P01" | "40001"))
    }
}

/// The server ends this connection: by hand, or because it ends itself.
fn is_shutdown(code: &str) -> bool {
    matches!(code, "57P01" | "57P02" | "57P03" | "25P03" | "57P05")
}

/// An error and what it came from, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
