//! The transaction in which questions are asked.

use crate::Ident;
use crate::shape::Visible;
use std::collections::BTreeSet;
use tokio_postgres::Client;

/// Longest that a question may wait for a lock, and may take.
const LIMITS: &str = "SET LOCAL lock_timeout = '1s'; SET LOCAL statement_timeout = '10s'";

/// The column that an expression's value would go to. No user's column is called that.
const VALUE: &str = "_serin_value";

/// Stands for a type that the server does not know: what needs it is told by this name.
pub(super) const UNKNOWN: &str = "_serin_unknown";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The question was wrong: what the server says, for people.
    #[error("{0}")]
    Refused(String),
    /// The server cannot be asked.
    #[error(transparent)]
    Database(#[from] tokio_postgres::Error),
}

/// When an expression gives something else for the same inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// Never.
    Never,
    /// In another transaction: `now()`.
    WithTime,
    /// Each time: `random()`.
    EachTime,
}

/// What is known of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// Names of the columns it reads.
    pub reads: BTreeSet<String>,
    /// When it gives something else.
    pub changes: Changes,
    /// It reads other tables.
    pub reads_others: bool,
    /// It names something that is not the server's own.
    pub names_others: bool,
}

/// An open transaction in which only questions are asked.
pub struct Session<'a> {
    pub(super) client: &'a Client,
    path: String,
}

impl<'a> Session<'a> {
    /// Opens it. Names in expressions are looked up in `schema` first, as when they are run.
    pub async fn open(client: &'a Client, schema: &Ident) -> Result<Session<'a>, ProbeError> {
        client.batch_execute(&format!("BEGIN; {LIMITS}")).await?;
        let session = Self { client, path: crate::search_path(schema) };
        session.set_path(&session.path).await?;
        Ok(session)
    }

    /// Takes everything back.
    pub async fn close(self) -> Result<(), ProbeError> {
        self.client.batch_execute("ROLLBACK").await?;
        Ok(())
    }

    /// Where names are looked up.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) async fn set_path(&self, path: &str) -> Result<(), ProbeError> {
        let sql = "SELECT pg_catalog.set_config('search_path', $1, true)";
        self.client.execute(sql, &[&path]).await?;
        Ok(())
    }

    /// Names in answers come in full from here on.
    pub(super) async fn in_full(&self) -> Result<(), ProbeError> {
        self.set_path("pg_catalog").await
    }

    /// Begins a question.
    pub(super) async fn ask(&self) -> Result<(), ProbeError> {
        self.client.batch_execute("SAVEPOINT question").await?;
        Ok(())
    }

    /// Ends a question: nothing of it is left.
    pub(super) async fn asked<T>(&self, answer: Result<T, ProbeError>) -> Result<T, ProbeError> {
        self.client.batch_execute("ROLLBACK TO question; RELEASE question").await?;
        self.set_path(&self.path).await?;
        answer
    }

    /// Runs one statement, and only one.
    pub(super) async fn run(&self, sql: &str) -> Result<(), ProbeError> {
        self.client.execute(sql, &[]).await.map(|_| ()).map_err(refused)
    }

    /// Runs a statement whose effect lasts until the end of the transaction.
    pub async fn keep(&self, sql: &str) -> Result<(), ProbeError> {
        self.ask().await?;
        let done = self.run(sql).await;
        let end = if done.is_ok() { "RELEASE question" } else { "ROLLBACK TO question" };
        self.client.batch_execute(end).await?;
        done
    }

    /// A table with these columns and no rows.
    pub(super) async fn scratch(
        &self,
        name: &Ident,
        columns: &[Visible],
    ) -> Result<(), ProbeError> {
        let column = |of: &Visible| format!("{} {}", of.name, of.data_type);
        let known = columns.iter().filter(|of| of.data_type != UNKNOWN);
        let columns: Vec<String> = known.map(column).collect();
        self.run(&format!("CREATE TEMP TABLE pg_temp.{name} ({})", columns.join(", "))).await
    }

    /// What a type is called, `int4` being `integer`.
    pub async fn data_type(&self, written: &str) -> Result<String, ProbeError> {
        self.ask().await?;
        let answer = self.type_of(written).await;
        self.asked(answer).await
    }

    async fn type_of(&self, written: &str) -> Result<String, ProbeError> {
        self.run(&format!("CREATE TEMP TABLE _serin_scratch (c {written}\n)")).await?;
        self.in_full().await?;
        // A default, a rule, a collation or a second column would be lost without a word.
        let sql = "SELECT format_type(atttypid, atttypmod), atthasdef OR attnotnull \
                   OR attidentity <> '' OR EXISTS (SELECT FROM pg_constraint \
                     WHERE conrelid = 'pg_temp._serin_scratch'::regclass) \
                   OR attcollation <> (SELECT typcollation FROM pg_type WHERE oid = atttypid) \
                   FROM pg_attribute WHERE attrelid = 'pg_temp._serin_scratch'::regclass \
                   AND attnum > 0";
        match self.client.query(sql, &[]).await?.as_slice() {
            [row] if !row.get::<_, bool>(1) => Ok(row.get(0)),
            _ => Err(ProbeError::Refused(format!("`{written}` is no type, or more than one"))),
        }
    }

    /// What an expression over `visible` reads, where its value goes into a column of `target`.
    pub async fn expression(
        &self,
        (scope, expression): (&Ident, &str),
        visible: &[Visible],
        target: &str,
    ) -> Result<Probed, ProbeError> {
        self.ask().await?;
        let answer = self.probed((scope, expression), visible, target).await;
        self.asked(answer).await
    }

    async fn probed(
        &self,
        (scope, expression): (&Ident, &str),
        visible: &[Visible],
        target: &str,
    ) -> Result<Probed, ProbeError> {
        let name = Ident::new("_serin_scratch").unwrap_or_else(|_| Ident::unread());
        self.scratch(&name, visible).await?;
        self.run(&format!("CREATE TEMP TABLE _serin_target ({VALUE} {target}\n)")).await?;
        let from = format!("FROM pg_temp._serin_scratch AS {scope}");
        let select = format!("SELECT (\n{expression}\n) AS v {from}");
        // As rows are filled in: what counts over rows is no value of one.
        let update = "EXPLAIN UPDATE pg_temp._serin_target AS _serin_target";
        self.run(&format!("{update} SET {VALUE} = (\n{expression}\n) {from}")).await?;
        self.run(&format!("CREATE TEMP VIEW _serin_view AS {select}")).await?;
        let row = self.client.query_one(include_str!("reads.sql"), &[]).await?;
        if row.get::<_, i64>(5) != 1 {
            return Err(ProbeError::Refused("is not one value".into()));
        }
        Ok(Probed {
            reads: row.get::<_, Vec<String>>(0).into_iter().collect(),
            changes: match (row.get(1), row.get(2)) {
                (true, _) => Changes::EachTime,
                (false, true) => Changes::WithTime,
                (false, false) => Changes::Never,
            },
            reads_others: row.get(3),
            names_others: row.get(4),
        })
    }
}

/// What the server says to a wrong question, or that it cannot be asked.
pub(super) fn refused(error: tokio_postgres::Error) -> ProbeError {
    let Some(said) = error.as_db_error() else { return ProbeError::Database(error) };
    let hint = said.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
    // What is quoted behind the expression is our own statement.
    let message = said.message().split("\n) ").next().unwrap_or_default();
    let message = message.replace(&format!("column \"{VALUE}\""), "the column");
    ProbeError::Refused(format!("{message}{hint}"))
}
