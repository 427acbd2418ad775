//! A runner at work: its connections, its lease, and transactions that only its holder can do.

use super::connect::{Database, Purpose};
use super::error::{Error, Result};
use super::lease::{self, Lease};
use super::options::Patience;
use super::world::World;
use crate::literal;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;
use tokio_postgres::{Client, SimpleQueryMessage};

/// The tables that the state is kept in.
const SCHEMA: &str = include_str!("schema.sql");

/// Version of those tables.
const VERSION: i32 = 1;

/// Code with which the server says that another runner took over.
const FENCED: &str = "SR001";

/// Time between two tries to reach a server that does not answer.
const RETRY: Duration = Duration::from_millis(100);

/// What is said of a connection that is lost without an end.
const SILENT: &str = "the session with the lock has ended, or gets no answer";

/// A runner at work.
pub(crate) struct Session<'a> {
    pub database: &'a Database,
    pub patience: Patience,
    pub world: &'a dyn World,
    /// Who asked for it.
    pub who: &'a str,
    /// Does the steps.
    pub client: Client,
    /// Looks at what the steps do to others.
    pub look: Client,
    /// Directories that the database writes to, where it is on this machine; once they were asked
    /// for.
    pub places: OnceCell<Vec<PathBuf>>,
    lease: Lease,
}

/// Makes the tables that the state is kept in, where they are not there.
pub(crate) async fn ensure(client: &Client) -> Result<()> {
    let failed = || Error::sql("making the tables of schema serin");
    match version(client).await? {
        Some(VERSION) => return Ok(()),
        Some(newer) if newer > VERSION => {
            return Err(Error::Kept(format!("it is of version {newer}, this knows {VERSION}")));
        }
        _ => {}
    }
    // Two that begin at the same moment make them one after the other.
    let sql = format!("SELECT pg_advisory_xact_lock(1936028265, 0);\n{SCHEMA}");
    client.batch_execute(&sql).await.map_err(failed())
}

/// The version of those tables, where they are.
pub(crate) async fn version(client: &Client) -> Result<Option<i32>> {
    let failed = || Error::sql("looking for schema serin");
    let sql = "SELECT to_regclass('serin.about') IS NOT NULL";
    let found = client.query_one(sql, &[]).await.map_err(failed())?;
    if !found.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = client.query_opt("SELECT version FROM serin.about", &[]).await;
    Ok(row.map_err(failed())?.map(|row| row.get(0)))
}

/// Those tables are there.
///
/// # Errors
/// [`Error::None`].
pub(crate) async fn known(client: &Client) -> Result<()> {
    match version(client).await? {
        Some(_) => Ok(()),
        None => Err(Error::None("open")),
    }
}

impl<'a> Session<'a> {
    /// Connects, looks whether everything is fit, and takes the lease; from another runner when
    /// that has been silent for so long, ms.
    pub async fn open(
        database: &'a Database,
        patience: Patience,
        world: &'a dyn World,
        who: &'a str,
        silent_ms: u64,
    ) -> Result<Self> {
        let look = database.connect(Purpose::Look).await?;
        database.check(&look).await?;
        ensure(&look).await?;
        let lease = database.connect(Purpose::Lease).await?;
        let lease = Lease::take(database, lease, patience, silent_ms).await?;
        let client = database.connect(Purpose::Work).await?;
        let places = OnceCell::new();
        Ok(Self { database, patience, world, who, client, look, places, lease })
    }

    /// New connections after one was lost; waits for a server that does not answer.
    pub async fn renew(&mut self) -> Result<()> {
        let until = Instant::now() + Duration::from_millis(self.patience.server_ms);
        let longest = Duration::from_millis(self.patience.lease_ms).max(RETRY);
        loop {
            let reopened = tokio::time::timeout(longest, self.reopened()).await;
            let reopened = reopened.unwrap_or_else(|_| Err(Error::Lost(SILENT.into())));
            match reopened {
                Err(Error::Connect { .. } | Error::Lost(_)) if Instant::now() < until => {
                    tokio::time::sleep(RETRY).await;
                }
                other => return other,
            }
        }
    }

    /// Comes back, with the reason, when the connection that holds the lease is lost.
    pub async fn lost(&self) -> Error {
        self.lease.lost().await;
        Error::Lost(SILENT.into())
    }

    async fn reopened(&mut self) -> Result<()> {
        self.look = self.database.connect(Purpose::Look).await?;
        self.is_still_ours().await?;
        if self.lease.is_lost() || !self.holds_lock().await? {
            lease::give_up(self.database, &self.look, self.lease.pid).await?;
            let lease = self.database.connect(Purpose::Lease).await?;
            let silent_ms = self.patience.lease_ms;
            self.lease = Lease::take(self.database, lease, self.patience, silent_ms).await?;
        }
        self.client = self.database.connect(Purpose::Work).await?;
        Ok(())
    }

    /// Nobody else had the lease in the meantime.
    async fn is_still_ours(&self) -> Result<()> {
        let schema = self.database.schema().as_str();
        let sql = "SELECT epoch FROM serin.lease WHERE schema = $1";
        let row = self.look.query_opt(sql, &[&schema]).await.map_err(Error::sql("the lease"))?;
        match row.map(|row| row.get::<_, i64>(0)) {
            Some(epoch) if epoch == self.lease.epoch => Ok(()),
            _ => Err(self.fenced()),
        }
    }

    /// Whether the session with the lock is alive: the server knows, before this end does.
    async fn holds_lock(&self) -> Result<bool> {
        let name = self.database.application(Purpose::Lease);
        let sql = "SELECT count(*) > 0 FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
             WHERE l.locktype = 'advisory' AND l.granted AND a.application_name = $1 \
             AND a.datname = current_database()";
        let row = self.look.query_one(sql, &[&name]).await.map_err(Error::sql("the lock"))?;
        Ok(row.get(0))
    }

    fn fenced(&self) -> Error {
        Error::Fenced { schema: self.database.schema().as_str().into() }
    }

    /// The number of this holder.
    pub fn epoch(&self) -> i64 {
        self.lease.epoch
    }

    /// Runs statements as one transaction of the holder, in one message: nothing that happens to
    /// this process can leave it half way with its locks held.
    pub async fn transaction(
        &self,
        what: &str,
        lock_ms: u64,
        statements: &[String],
    ) -> Result<Vec<SimpleQueryMessage>> {
        if self.lease.is_lost() {
            return Err(Error::Lost("the session with the lock is gone".into()));
        }
        let schema = literal(self.database.schema().as_str());
        let sql = format!(
            "SET LOCAL lock_timeout = {lock_ms};\nSELECT serin.fence({schema}, {});\n{}",
            self.lease.epoch,
            statements.join(";\n"),
        );
        let done = self.client.simple_query(&sql).await.map_err(Error::sql(what));
        done.map_err(|error| match error.code() {
            Some(FENCED) => self.fenced(),
            _ => error,
        })
    }
}
