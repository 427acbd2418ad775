//! The database: from the options or the environment, and what its errors mean for a caller.

use super::args::Target;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::who::actor;
use serin_connect::{Address, Environment};
use serin_migrate::{Alone, Database, Error, Ident, Runner, World};
use std::sync::Arc;

/// Where the address is looked for, in this order.
const NAMES: [&str; 2] = ["SERIN_DATABASE_URL", "DATABASE_URL"];

/// A database that was named.
pub struct Named {
    /// Its address.
    pub address: Address,
    /// What works on it.
    pub runner: Runner,
}

impl Target {
    /// The address, when there is one. What it leaves out, or all of it where `PGDATABASE` says
    /// which database is meant, comes from libpq's environment.
    pub fn address(&self) -> Result<Option<Address>, Failure> {
        let given = |name: &&str| std::env::var(name).ok().filter(|url| !url.trim().is_empty());
        let named = self.database.clone().or_else(|| NAMES.iter().find_map(given));
        let environment = Environment::of_process();
        let named = named.or_else(|| environment.names_a_database().then(String::new));
        let read = named.map(|text| Address::parse_in(&text, &environment)).transpose();
        read.map_err(|flaw| failed(Error::Address { said: flaw.to_string() }))
    }

    /// The schema.
    pub fn schema(&self) -> Result<Ident, Failure> {
        Ident::new(self.schema.as_str()).map_err(|why| {
            Failure::usage("bad-schema", format!("`--schema`: {why}"))
                .hint("name the schema whose tables change, such as `--schema public`")
        })
    }

    /// The database that was named.
    pub fn named(&self) -> Result<Named, Failure> {
        self.used_by(&[])
    }

    /// The same, where these applications use what is to go.
    pub fn used_by(&self, applications: &[String]) -> Result<Named, Failure> {
        let world: Arc<dyn World> = match applications {
            [] => Arc::new(Alone),
            names => Arc::new(Applications(names.to_vec())),
        };
        let address = self.address()?.ok_or_else(unnamed)?;
        let database = Database::at(&address, self.schema()?);
        Ok(Named { address, runner: Runner::new(database, world, actor()) })
    }
}

/// Beginnings of the names under which clients of the version that goes are connected: of the old
/// one at a contract, of the new one on a way back.
struct Applications(Vec<String>);

impl World for Applications {
    fn old_applications(&self) -> Vec<String> {
        self.0.clone()
    }

    fn new_applications(&self) -> Vec<String> {
        self.0.clone()
    }
}

fn unnamed() -> Failure {
    if Environment::of_process().names_a_host() {
        return Failure::usage("no-database", "PGHOST is set, but no database is named")
            .hint("set PGDATABASE as well, or SERIN_DATABASE_URL=postgres://user@host:5432/name");
    }
    Failure::usage("no-database", "no database is named")
        .hint("set SERIN_DATABASE_URL=postgres://user@host:5432/name, or say --database")
}

/// What an error of the runner means for the caller.
#[allow(clippy::needless_pass_by_value)] // so that it can be given to `map_err`
pub fn failed(error: Error) -> Failure {
    let (exit, code, hint) = meaning(&error);
    let failure = Failure::new(exit, code, error.to_string());
    Failure { hint: hint.map(str::to_owned), ..failure }
}

fn meaning(error: &Error) -> (Exit, &'static str, Option<&'static str>) {
    match error {
        Error::Flaws(_) => (Exit::Usage, "invalid-migration", None),
        Error::Address { .. } => (Exit::Usage, "bad-address", None),
        Error::Connect { .. } => (Exit::Unreachable, "unreachable", None),
        Error::Login { .. } => (Exit::Unreachable, "not-authorised", None),
        Error::Tls(_) => (Exit::Unreachable, "tls", None),
        Error::Lost(_) => (Exit::Unreachable, "connection-lost", Some(RESUME)),
        Error::Unfit(_) => (Exit::Refused, "unfit-server", None),
        Error::Held { .. } => {
            (Exit::Refused, "held", Some("see what it does with `serin migrate status`"))
        }
        Error::Fenced { .. } => (Exit::Aborted, "superseded", None),
        Error::Open { .. } => (Exit::Refused, "open", Some("see it with `serin migrate status`")),
        Error::Applied(_) => (Exit::Reached, "applied", None),
        Error::None("open") => {
            (Exit::Refused, "none-open", Some("`serin migrate start` begins one"))
        }
        Error::None(_) => (Exit::Refused, "none-open", None),
        Error::NotNow { .. } => (Exit::Refused, "not-now", None),
        Error::Refused { what: "the adoption", .. } => (Exit::Refused, "refused", None),
        Error::Refused { .. } => (Exit::Refused, "refused", Some(REFUSED)),
        Error::Locked { .. } => (Exit::Refused, "locked", Some(RESUME)),
        Error::Foreign(_) => (Exit::Refused, "foreign-change", Some(FOREIGN)),
        Error::Rows { .. } => (Exit::Refused, "bad-rows", Some(RESUME)),
        Error::Check { .. } => (Exit::Refused, "check-failed", Some(RESUME)),
        // SQLSTATE 42501: the role may not.
        Error::Sql { code, .. } if code == "42501" => {
            (Exit::Unreachable, "not-authorised", Some(ROLE))
        }
        Error::Sql { .. } => (Exit::Internal, "statement-failed", Some(RESUME)),
        Error::Kept(_) => (Exit::Internal, "bad-state", None),
    }
}

const RESUME: &str = "go on with `serin migrate resume`, or back with `serin migrate rollback`";
const ROLE: &str = "connect as the role that owns the tables, or as one of it";
const REFUSED: &str = "do what it asks; if you know better, say `--override REASON`, which is kept";
const FOREIGN: &str =
    "back with `serin migrate rollback`, or accept it with `serin migrate resume --accept-foreign`";
