//! What libpq takes from the environment where an address leaves something out.

use crate::Flaw;
use crate::password::{self, Wanted};
use crate::settings::Settings;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What is filled in, by its key in an address.
const FILLED: [(&str, &str); 12] = [
    ("hostaddr", "PGHOSTADDR"),
    ("host", "PGHOST"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("dbname", "PGDATABASE"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
];

/// Read for other reasons.
const OTHERS: [&str; 2] = ["PGSERVICE", "PGPASSFILE"];

/// Where servers of this machine have their sockets: Debian's, and everybody else's.
pub(crate) const SOCKETS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// The variables of libpq and the home of a user, as a person at a terminal has them.
#[derive(Clone, Default)]
pub struct Environment {
    values: BTreeMap<&'static str, OsString>,
    home: Option<PathBuf>,
}

/// Without values: one may be a password.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Environment {
    /// That of this process.
    pub fn of_process() -> Self {
        Self::of(|name| std::env::var_os(name))
    }

    /// From any source of variables; an empty one is as good as none.
    pub fn of(value: impl Fn(&str) -> Option<OsString>) -> Self {
        let value = |name: &str| value(name).filter(|value| !value.is_empty());
        let names = FILLED.map(|(_, name)| name).into_iter().chain(OTHERS);
        let values = names.filter_map(|name| Some((name, value(name)?))).collect();
        Self { values, home: value("HOME").map(PathBuf::from) }
    }

    /// Whether it says by itself which database is meant: `PGDATABASE` does, and `PGSERVICE` wants
    /// to, which [`Address::parse_in`](crate::Address::parse_in) refuses.
    pub fn names_a_database(&self) -> bool {
        ["PGDATABASE", "PGSERVICE"].iter().any(|name| self.values.contains_key(name))
    }

    /// Whether `PGHOST` or `PGHOSTADDR` is set.
    pub fn names_a_host(&self) -> bool {
        ["PGHOST", "PGHOSTADDR"].iter().any(|name| self.values.contains_key(name))
    }

    pub(crate) fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// Adds what an address leaves out.
    pub(crate) fn fill(&self, settings: &mut Settings) -> Result<(), Flaw> {
        let names_host = has_host(settings);
        if self.values.contains_key("PGSERVICE")
            && !(names_host && settings.get("dbname").is_some())
        {
            return Err(Flaw::new(
                "PGSERVICE is set, and files of services are not read: unset it, and name the host \
                 and the database in the address, or with PGHOST and PGDATABASE",
            ));
        }
        for (key, name) in FILLED {
            // Unlike libpq: a number in the environment does not move a host that was named.
            let is_elsewhere = key == "hostaddr" && names_host;
            if settings.get(key).is_none() && !is_elsewhere && self.values.contains_key(name) {
                settings.fill_from(name, key, self.text(name)?);
            }
        }
        if !has_host(settings) {
            settings.fill("host", socket(settings.get("port"))?);
        }
        self.fill_password(settings)
    }

    fn text(&self, name: &'static str) -> Result<String, Flaw> {
        let value = self.values.get(name).cloned().unwrap_or_default();
        value.into_string().map_err(|_| Flaw::new(format!("`{name}` is no UTF-8")))
    }

    fn fill_password(&self, settings: &mut Settings) -> Result<(), Flaw> {
        if settings.get("password").is_some() {
            return Ok(());
        }
        let named = self.values.get("PGPASSFILE").map(PathBuf::from);
        let usual = || self.home.as_ref().map(|home| home.join(".pgpass"));
        let Some(path) = named.or_else(usual) else { return Ok(()) };
        let user = settings.get("user").map(str::to_owned).or_else(|| whoami::username().ok());
        let Some(user) = user else { return Ok(()) };
        if let Some(password) = password::in_file(&path, &wanted(settings, &user))? {
            settings.fill("password", password);
        }
        Ok(())
    }
}

fn has_host(settings: &Settings) -> bool {
    settings.get("host").or(settings.get("hostaddr")).is_some()
}

/// The folder of the socket that a server of this machine has.
fn socket(port: Option<&str>) -> Result<String, Flaw> {
    let file = format!(".s.PGSQL.{}", port.unwrap_or("5432"));
    let found = SOCKETS.iter().find(|folder| Path::new(folder).join(&file).exists());
    found.map(ToString::to_string).ok_or_else(|| {
        let folders = SOCKETS.join(" or ");
        Flaw::new(format!("no host is named, and {folders} has no `{file}`: set PGHOST"))
    })
}

/// Whose password is looked for: one for each host.
fn wanted<'a>(settings: &'a Settings, user: &'a str) -> Vec<Wanted<'a>> {
    let hosts = settings.get("host").or(settings.get("hostaddr")).unwrap_or_default();
    let ports: Vec<&str> = settings.get("port").unwrap_or_default().split(',').collect();
    let database = settings.get("dbname").unwrap_or(user);
    let one = |(at, host): (usize, &'a str)| {
        let port = ports.get(at).or(ports.first()).copied().filter(|port| !port.is_empty());
        let host = if SOCKETS.contains(&host) { "localhost" } else { host };
        Wanted { host, port: port.unwrap_or("5432"), database, user }
    };
    hosts.split(',').enumerate().map(one).collect()
}

#[cfg(test)]
#[path = "environment_tests.rs"]
mod tests;
