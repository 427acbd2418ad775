//! A throw-away copy of a database's schema, without rows, in a database of its own on the same
//! server.

use crate::session::{connect, said};
use serin_connect::{Address, Failure};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_postgres::Client;

/// What the names of copies begin with; the second they were made follows.
const PREFIX: &str = "serin_scratch_";

/// Copies that are older were left behind, s.
const LEFT_BEHIND: u64 = 3_600;

/// Longest wait of the dump for a lock, ms. Not as a setting of its session: the dump undoes those,
/// and a pooler refuses `PGOPTIONS`.
const DUMP_WAITS: &str = "--lock-wait-timeout=5000";

/// Bytes a dump may have.
const MAX_DUMP: usize = 64 << 20;

/// A copy; [`Copy::close`] takes it away.
#[derive(Debug)]
pub struct Copy {
    address: Address,
    name: String,
    owner: Client,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Nothing dumps the schema.
    #[error("`pg_dump` was not found, and only it can copy a schema")]
    NoDump,
    /// It refused.
    #[error("`pg_dump` failed: {0}")]
    Dump(String),
    /// Somebody has a table locked, so it waited in vain.
    #[error("somebody has {0} locked, and `pg_dump` did not get to see it within 5 s")]
    Locked(String),
    /// No database could be made.
    #[error("no database for the copy could be made: {0}")]
    Create(String),
    /// The copy could not be filled.
    #[error("the schema could not be restored into a copy: {0}")]
    Restore(String),
    /// The server cannot be reached.
    #[error("the server cannot be reached: {0}")]
    Connect(String),
}

impl CopyError {
    /// One thing to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoDump => "install the client programs of Postgres, or set SERIN_PG_BIN",
            Self::Dump(_) => "use a pg_dump at least as new as the server, or say --trace-live",
            Self::Locked(_) => "wait until that is over",
            Self::Create(_) => "grant the user CREATEDB, or say --trace-live",
            Self::Restore(_) => "say --trace-live, or lint against a copy of your own",
            Self::Connect(_) => "check the address",
        }
    }
}

impl Copy {
    /// Copies the schema of the database at `address`.
    ///
    /// # Errors
    /// [`CopyError`]; nothing is left behind then.
    pub async fn make(address: &Address) -> Result<Self, CopyError> {
        let address = address.clone();
        let program = pg_dump().ok_or(CopyError::NoDump)?;
        let dump = dump(&program, &address).await?;
        let config = address.config();
        let database = config.get_dbname().or(config.get_user()).unwrap_or("postgres");
        let owner = connect(&address, database).await.map_err(unreachable)?;
        sweep(&owner).await;
        let name = format!("{PREFIX}{}_{}", now(), std::process::id());
        let create = format!("CREATE DATABASE \"{name}\" TEMPLATE template0");
        owner.batch_execute(&create).await.map_err(|error| CopyError::Create(said(&error)))?;
        let copy = Self { address, name, owner };
        match copy.restore(&dump).await {
            Ok(()) => Ok(copy),
            Err(error) => {
                copy.close().await;
                Err(error)
            }
        }
    }

    /// A session of the copy.
    ///
    /// # Errors
    /// [`CopyError::Connect`].
    pub async fn session(&self) -> Result<Client, CopyError> {
        connect(&self.address, &self.name).await.map_err(unreachable)
    }

    /// Takes it away.
    pub async fn close(self) {
        let drop = format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.name);
        // One that stays is swept up by the next.
        let _ = self.owner.batch_execute(&drop).await;
    }

    async fn restore(&self, dump: &str) -> Result<(), CopyError> {
        let session = self.session().await?;
        let restored = session.batch_execute(dump).await;
        restored.map_err(|error| CopyError::Restore(said(&error)))
    }
}

#[allow(clippy::needless_pass_by_value)] // so that it can be given to `map_err`
fn unreachable(failure: Failure) -> CopyError {
    CopyError::Connect(failure.to_string())
}

/// Takes away copies that were left behind.
async fn sweep(owner: &Client) {
    let query = "SELECT d.datname::text FROM pg_database d WHERE d.datname LIKE $1 AND NOT EXISTS \
                 (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid)";
    let pattern = format!("{}%", PREFIX.replace('_', "\\_"));
    let rows = owner.query(query, &[&pattern]).await.unwrap_or_default();
    for name in rows.iter().map(|row| row.get::<_, String>(0)).filter(|name| is_old(name)) {
        let drop = format!("DROP DATABASE IF EXISTS \"{}\"", name.replace('"', "\"\""));
        let _ = owner.batch_execute(&drop).await;
    }
}

fn is_old(name: &str) -> bool {
    let made = name.strip_prefix(PREFIX).and_then(|rest| rest.split('_').next());
    made.and_then(|made| made.parse::<u64>().ok()).is_some_and(|made| made + LEFT_BEHIND < now())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The schema as SQL.
async fn dump(program: &Path, address: &Address) -> Result<String, CopyError> {
    let mut command = Command::new(program);
    command.args(["--schema-only", "--no-owner", "--no-publications", "--no-subscriptions"]);
    command.args(["--no-tablespaces", "--no-security-labels", "--no-password", DUMP_WAITS]);
    address.set_for(&mut command);
    let patience = address.config().get_connect_timeout().map_or(10, Duration::as_secs);
    command.env_remove("PGOPTIONS").env("PGCONNECT_TIMEOUT", patience.to_string());
    command.stdin(Stdio::null());
    let output: std::io::Result<Output> =
        match tokio::task::spawn_blocking(move || command.output()).await {
            Ok(output) => output,
            Err(error) => Err(std::io::Error::other(error)),
        };
    let output = output.map_err(|error| CopyError::Dump(error.to_string()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> =
            text.lines().filter(|line| !line.trim().is_empty()).take(3).collect();
        let held = locked(&text).map(|table| CopyError::Locked(table.to_owned()));
        return Err(held.unwrap_or_else(|| CopyError::Dump(lines.join("; "))));
    }
    if output.stdout.len() > MAX_DUMP {
        return Err(CopyError::Dump(format!("the schema has more than {MAX_DUMP} bytes")));
    }
    let text = String::from_utf8(output.stdout);
    let text = text.map_err(|_| CopyError::Dump("the schema is not UTF-8".into()))?;
    Ok(for_the_server(&text))
}

/// What pg_dump waited for in vain, by its own words: `canceling statement due to lock timeout` and
/// `Query was: LOCK TABLE public.users, public.orders IN ACCESS SHARE MODE`.
fn locked(said: &str) -> Option<&str> {
    let tables = said.split_once("LOCK TABLE ")?.1.split_once(" IN ACCESS SHARE MODE")?.0;
    said.contains("timeout").then_some(if tables.contains(", ") { "a table" } else { tables })
}

/// Without the lines that only `psql` understands.
fn for_the_server(dump: &str) -> String {
    let lines = dump
        .lines()
        .filter(|line| !line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict "));
    lines.filter(|line| *line != "CREATE SCHEMA public;").collect::<Vec<_>>().join("\n")
}

/// The newest one here: it must be at least as new as the server.
fn pg_dump() -> Option<PathBuf> {
    let paths = |name: &str| -> Vec<PathBuf> {
        std::env::var_os(name).map(|all| std::env::split_paths(&all).collect()).unwrap_or_default()
    };
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .map(|(major, path)| (major, path.join("bin")))
        .collect();
    debian.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    let debian = debian.into_iter().map(|(_, path)| path);
    let all = paths("SERIN_PG_BIN").into_iter().chain(debian).chain(paths("PATH"));
    all.map(|bin| bin.join("pg_dump")).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::locked;

    #[test]
    fn whom_pg_dump_waited_for_is_found_in_what_it_said() {
        let late =
            "pg_dump: error: query failed: ERROR:  canceling statement due to lock timeout\n";
        let said = |tables: &str| {
            format!("{late}pg_dump: detail: Query was: LOCK TABLE {tables} IN ACCESS SHARE MODE\n")
        };
        assert_eq!(locked(&said("public.users")), Some("public.users"));
        assert_eq!(locked(&said("public.users, public.orders")), Some("a table"));
        assert_eq!(locked(&said("public.users").replace("timeout", "denied")), None);
        assert_eq!(locked(late), None);
    }
}
