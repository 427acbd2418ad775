//! Why two tables were not compared.

/// Why two tables were not compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address that cannot be read. Not shown: it carries a password.
    #[error(
        "the address of `{side}` cannot be read: {said}; it looks like postgres://user:password@host:port/database"
    )]
    Address {
        /// `from` or `to`.
        side: &'static str,
        /// What is wrong with it.
        said: String,
    },
    /// The connection cannot be made as safe as was asked.
    #[error("`{side}` is not connected to: {said}")]
    Tls {
        /// `from` or `to`.
        side: &'static str,
        /// Why not, and what to do.
        said: String,
    },
    /// A database that cannot be reached, or lets nobody in.
    #[error("`{side}` cannot be reached: {reason}")]
    Unreachable {
        /// `from` or `to`.
        side: &'static str,
        /// What was said.
        reason: String,
    },
    /// The connection is shared with others.
    #[error("`{side}` is not compared: {said}")]
    Pooled {
        /// `from` or `to`.
        side: &'static str,
        /// Why not, and what to do.
        said: String,
    },
    /// The database said no.
    #[error("`{side}`, while {doing}: {reason}")]
    Database {
        /// `from` or `to`.
        side: &'static str,
        /// While doing what.
        doing: &'static str,
        /// What it said.
        reason: String,
    },
    /// No such table.
    #[error("`{side}` has no table `{table}`; write it as in SQL, with its schema: public.orders")]
    NoTable {
        /// `from` or `to`.
        side: &'static str,
        /// As it was written.
        table: String,
    },
    /// The sides have different columns.
    #[error("only one side has the columns {}; leave them out with --except", .0.join(", "))]
    Columns(Vec<String>),
    /// A column that was asked for.
    #[error("`{side}` has no column `{column}`")]
    NoColumn {
        /// `from` or `to`.
        side: &'static str,
        /// The name.
        column: String,
    },
    /// Nothing to walk along.
    #[error(
        "the table has no primary key and no unique key without nulls; name columns with --key that are unique together"
    )]
    NoKey,
    /// Rows that the walk would not come by.
    #[error(
        "the key's column `{column}` is null in some rows of `{side}`; choose a key without nulls"
    )]
    NullKey {
        /// `from` or `to`.
        side: &'static str,
        /// The name.
        column: String,
    },
    /// Rows that cannot be told apart.
    #[error("`{side}` has several rows with the key ({}); name columns with --key that are unique together", .key.join(", "))]
    NotUnique {
        /// `from` or `to`.
        side: &'static str,
        /// The key.
        key: Vec<String>,
    },
}

impl Error {
    pub(super) fn at(
        side: &'static str,
        doing: &'static str,
    ) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |error| Self::Database { side, doing, reason: said(&error) }
    }
}

/// The database's own words, which the driver keeps one level down.
pub(super) fn said(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(db), _) => format!("{} (SQLSTATE {})", db.message(), db.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}
