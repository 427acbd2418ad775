//! Connections: to a server that this works with, or the reason why not.

use super::error::{Error, Result, chain};
use crate::{Flaw, Ident, literal};
use serin_connect::{Address, Failure, Shared, keeps_session};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_postgres::Client;

/// Oldest server: the first with range scans over places and replaceable triggers.
const OLDEST: i32 = 14;

/// Longest wait until a connection can be used: a network may take it and swallow what is said.
const ANSWER: Duration = Duration::from_secs(15);

/// Of that, what is left once there is a connection.
const SETTING_UP: Duration = Duration::from_secs(5);

/// A connection whose other end is silent for so long is dead.
const DEAD: Duration = Duration::from_secs(30);

/// Longest wait for a connection, unless the address says another.
const CONNECT: Duration = Duration::from_secs(10);

/// Bytes of an application name that Postgres keeps, with room for what tells schemas apart.
const NAMED: usize = 40;

/// Where the database is, and which schema of it.
#[derive(Clone)]
pub struct Database {
    address: Address,
    schema: Ident,
    /// Its connections were seen to keep their sessions.
    is_direct: Arc<AtomicBool>,
}

/// Without the password.
impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.address.config().get_dbname().unwrap_or_default();
        f.debug_struct("Database")
            .field("name", &name)
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Holds the lock.
    Lease,
    /// Does the steps.
    Work,
    /// Looks.
    Look,
}

/// SQLSTATE 28 is about who asks, 3D about the database that is asked for.
fn refused(error: &tokio_postgres::Error) -> Error {
    let Some(said) = error.as_db_error() else { return Error::Connect { said: chain(error) } };
    let is_login = ["28", "3D"].iter().any(|class| said.code().code().starts_with(class));
    let said = said.message().to_owned();
    if is_login { Error::Login { said } } else { Error::Connect { said } }
}

impl Database {
    /// From an address such as `postgres://user@host:5432/name?sslmode=verify-full`.
    ///
    /// # Errors
    /// [`Error::Address`].
    pub fn new(url: &str, schema: Ident) -> Result<Self> {
        let address = Address::parse(url);
        let address = address.map_err(|flaw| Error::Address { said: flaw.to_string() })?;
        Ok(Self::at(&address, schema))
    }

    /// At an address that was read before.
    pub fn at(address: &Address, schema: Ident) -> Self {
        let address = address.with(|config| {
            let patience = config.get_connect_timeout().copied().unwrap_or(CONNECT);
            config.connect_timeout(patience).tcp_user_timeout(DEAD);
            config.keepalives_idle(DEAD / 2).keepalives_interval(DEAD / 6).keepalives_retries(3);
        });
        Self { address, schema, is_direct: Arc::default() }
    }

    /// The schema whose tables change.
    pub fn schema(&self) -> &Ident {
        &self.schema
    }

    /// Two numbers that stand for the schema in advisory locks.
    pub(crate) fn key(&self) -> (i32, i32) {
        use sha2::{Digest, Sha256};
        let hash = Sha256::digest(self.schema.as_str().as_bytes());
        let number = |at: usize| i32::from_be_bytes([0, 1, 2, 3].map(|byte| hash[at + byte]));
        // The first is ours: `seri` in ASCII.
        (0x7365_7269, number(0))
    }

    /// The name under which a connection is seen.
    pub(crate) fn application(&self, purpose: Purpose) -> String {
        let schema: String = self.schema.as_str().chars().filter(char::is_ascii).collect();
        let schema: String = schema.chars().take(NAMED).collect();
        let word = match purpose {
            Purpose::Lease => "lease",
            Purpose::Work => "work",
            Purpose::Look => "look",
        };
        format!("serin-migrate-{word}/{schema}/{:x}", self.key().1)
    }

    /// A connection, set up so that nobody's settings of the role or database come in between.
    pub(crate) async fn connect(&self, purpose: Purpose) -> Result<Client> {
        let own = self.address.config().get_connect_timeout().copied().unwrap_or(CONNECT);
        let longest = ANSWER.max(own + SETTING_UP);
        let connected = tokio::time::timeout(longest, self.connected(purpose)).await;
        let said = || format!("no answer within {} s", longest.as_secs());
        connected.unwrap_or_else(|_| Err(Error::Connect { said: said() }))
    }

    async fn connected(&self, purpose: Purpose) -> Result<Client> {
        let client = self.reach(purpose).await?;
        // Before the settings: a pooler would hand those on to others.
        if !self.is_direct.load(Ordering::Relaxed) {
            let kept = keeps_session(&client, &self.reach(purpose).await?).await;
            kept.map_err(|why| match why {
                Shared::Database(error) => Error::sql("looking at the connection")(error),
                pooled => Error::Unfit(pooled.to_string()),
            })?;
            self.is_direct.store(true, Ordering::Relaxed);
        }
        self.settle(&client).await?;
        Ok(client)
    }

    async fn reach(&self, purpose: Purpose) -> Result<Client> {
        let named = |config: &mut tokio_postgres::Config| {
            config.application_name(self.application(purpose));
        };
        self.address.with(named).connect().await.map_err(|failure| match failure {
            Failure::Tls(said) => Error::Tls(said),
            Failure::Database(error) => refused(&error),
        })
    }

    async fn settle(&self, client: &Client) -> Result<()> {
        // A runner that stops dead in a transaction must not hold its locks for long; a statement
        // whose runner is gone must not go on for hours.
        let settings = format!(
            "SET statement_timeout = 0; SET lock_timeout = 0; \
             SET idle_in_transaction_session_timeout = '10s'; \
             SET client_connection_check_interval = '2s'; \
             SET default_transaction_isolation = 'read committed'; \
             SET row_security = off; SET client_min_messages = warning; \
             SET idle_session_timeout = 0; SET synchronize_seqscans = off; SET jit = off; \
             SELECT set_config(name, '0', false) FROM pg_settings WHERE name = \
             'transaction_timeout'; SET search_path = {}",
            self.search_path(),
        );
        client.batch_execute(&settings).await.map_err(Error::sql("setting up a connection"))
    }

    /// Where names without a schema are looked up: in the schema itself, then where extensions are.
    pub fn search_path(&self) -> String {
        match self.schema.as_str() {
            "public" => self.schema.to_string(),
            _ => format!("{}, public", self.schema),
        }
    }

    /// Whether the server and the role are fit for a migration.
    pub(crate) async fn check(&self, client: &Client) -> Result<()> {
        let sql = format!(
            "SELECT current_setting('server_version_num')::integer / 10000, pg_is_in_recovery(), \
             current_setting('transaction_read_only')::boolean, \
             has_database_privilege(current_database(), 'CREATE'), current_user::text, \
             to_regnamespace({}) IS NOT NULL",
            literal(&self.schema.to_string()),
        );
        let row = client.query_one(&sql, &[]).await.map_err(Error::sql("looking at the server"))?;
        let (version, user): (i32, String) = (row.get(0), row.get(4));
        if version < OLDEST {
            return unfit(format!("this is Postgres {version}; migrations need {OLDEST} or later"));
        }
        if row.get(1) || row.get(2) {
            return unfit(READS.into());
        }
        if !row.get::<_, bool>(3) {
            return unfit(format!(
                "role {user} may not create schemas in this database; a migration needs `GRANT CREATE ON DATABASE` for its views"
            ));
        }
        if row.get(5) {
            return Ok(());
        }
        unfit(format!("there is no schema {} in this database", self.schema))
    }

    /// What a plan tries, it takes back; a server that only reads cannot even do that.
    pub(crate) async fn check_writes(&self, client: &Client) -> Result<()> {
        let sql = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean";
        let row = client.query_one(sql, &[]).await.map_err(Error::sql("looking at the server"))?;
        if row.get(0) { unfit(READS.into()) } else { Ok(()) }
    }

    /// The tables must be the role's own.
    pub(crate) async fn check_owner(&self, client: &Client, tables: &[Ident]) -> Result<()> {
        let names: Vec<&str> = tables.iter().map(Ident::as_str).collect();
        let sql = "SELECT c.relname::text, pg_get_userbyid(c.relowner)::text, current_user::text \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = ANY ($2) \
             AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 1 LIMIT 1";
        let rows = client.query(sql, &[&self.schema.as_str(), &names]).await;
        let rows = rows.map_err(Error::sql("looking at the owners of the tables"))?;
        let Some(row) = rows.first() else { return Ok(()) };
        let (table, owner, user): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        unfit(format!(
            "table {table} belongs to role {owner}, and {user} is not of it; run as the owner, or `GRANT {owner} TO {user}`"
        ))
    }
}

const READS: &str =
    "this server only reads (a replica, or set so); give the address of the one that writes";

/// What the role cannot see, and so cannot wait for.
pub(crate) async fn blind(client: &Client) -> Result<Option<Flaw>> {
    let sql = "SELECT pg_has_role('pg_read_all_stats', 'USAGE'), current_user::text";
    let row = client.query_one(sql, &[]).await.map_err(Error::sql("looking at the role"))?;
    let (sees, user): (bool, String) = (row.get(0), row.get(1));
    Ok((!sees).then(|| {
        let message = format!(
            "role {user} sees neither the lag of replicas nor the transactions of other roles: it \
             does not wait for them"
        );
        Flaw::new("", message).hint(format!("GRANT pg_monitor TO {user}"))
    }))
}

fn unfit<T>(reason: String) -> Result<T> {
    Err(Error::Unfit(reason))
}
