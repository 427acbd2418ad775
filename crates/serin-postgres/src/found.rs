//! Where Postgres is installed.

use crate::Error;
use std::path::{Path, PathBuf};

/// Directories of programs, separated by colons, to be taken instead of all others.
const GIVEN: &str = "SERIN_PG_BIN";

/// One installed Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Its major version, such as 15.
    pub major: u32,
    /// Where its programs are.
    pub bin: PathBuf,
}

impl Installation {
    /// One of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// Every Postgres here, oldest first, each major version once.
pub fn installations() -> Vec<Installation> {
    let mut found: Vec<Installation> = directories().iter().filter_map(|bin| at(bin)).collect();
    found.sort_by_key(|installation| installation.major);
    found.dedup_by_key(|installation| installation.major);
    found
}

/// The newest one; older ones that `SERIN_PG_BIN` names come before it.
///
/// # Errors
/// [`Error::NotInstalled`].
pub fn newest() -> Result<Installation, Error> {
    let given = listed(GIVEN);
    let mut given: Vec<Installation> = given.iter().filter_map(|bin| at(bin)).collect();
    given.sort_by_key(|installation| installation.major);
    given.pop().or_else(|| installations().pop()).ok_or(Error::NotInstalled)
}

fn listed(name: &str) -> Vec<PathBuf> {
    std::env::var_os(name).map(|all| std::env::split_paths(&all).collect()).unwrap_or_default()
}

fn directories() -> Vec<PathBuf> {
    let (given, path) = (listed(GIVEN), listed("PATH"));
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = debian.map(|entry| entry.path().join("bin"));
    given.into_iter().chain(debian).chain(path).collect()
}

fn at(bin: &Path) -> Option<Installation> {
    if !bin.join("initdb").is_file() {
        return None;
    }
    let said = std::process::Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let major = major_of(&String::from_utf8_lossy(&said.stdout))?;
    Some(Installation { major, bin: bin.to_owned() })
}

/// The number in `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major_of(version: &str) -> Option<u32> {
    let number =
        version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major_of;

    #[test]
    fn versions_are_read() {
        let cases = [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some(15)),
            ("postgres (PostgreSQL) 18.4", Some(18)),
            ("postgres (PostgreSQL) 19beta1", Some(19)),
            ("nothing", None),
        ];
        for (version, major) in cases {
            assert_eq!(major_of(version), major, "{version}");
        }
    }
}
