//! What an instance is told about itself: the variables of its command and its environment.
//!
//! Values from the environment or from files are read here, at each start, and go nowhere but to
//! the process; an error names the source, never the value.

use crate::error::Error;
use serin_core::{Colour, EnvValue, RevisionId, Role, RunSpec, ServiceName};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Variables of the server that an app gets unless its specification sets them.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// What can be filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Vars {
    /// Whose instance.
    pub service: ServiceName,
    /// What it runs.
    pub revision: RevisionId,
    /// Its revision's role.
    pub role: Role,
    /// Which of the two sets of resources is its revision's: the name of a queue, say.
    pub colour: Colour,
    /// Its name.
    pub instance: String,
    /// Its port.
    pub port: u16,
    /// Where the flags are served.
    pub flags: Option<SocketAddr>,
}

impl Vars {
    fn value(&self, name: &str) -> Option<String> {
        match name {
            "PORT" => Some(self.port.to_string()),
            "REVISION" => Some(self.revision.version.name().into()),
            "ROLE" => Some(self.role.as_str().into()),
            "COLOUR" | "COLOR" => Some(self.colour.as_str().into()),
            "INSTANCE" => Some(self.instance.clone()),
            _ => None,
        }
    }

    /// `text` with its variables filled in.
    pub fn fill(&self, text: &str) -> String {
        fill(text, |name| self.value(name))
    }

    /// Program and arguments of this instance.
    pub fn command(&self, run: &RunSpec) -> Vec<String> {
        run.command.iter().map(|part| self.fill(part)).collect()
    }

    /// The whole environment of this instance. Later sources win: the server's few, our own, the
    /// files, the specification; the shape of its database is not to be chosen.
    pub fn environment(
        &self,
        run: &RunSpec,
        server: &dyn Fn(&str) -> Option<String>,
    ) -> Result<BTreeMap<String, String>, Error> {
        let mut env = inherited(server);
        env.extend(self.own());
        env.extend(self.flags.into_iter().flat_map(flags));
        for file in &run.env_files {
            env.extend(read_env_file(&within(run, file))?);
        }
        for (name, value) in &run.env {
            env.insert(name.clone(), self.resolve(run, name, value, server)?);
        }
        if let Some(database) = &run.database {
            let options = env.get(&database.inject.options).cloned();
            env.extend(self.schema_of(database, options.as_deref()));
            if let Some(name) = &database.inject.url {
                env.insert(name.clone(), self.resolve(run, name, &database.url, server)?);
            }
        }
        Ok(env)
    }

    fn own(&self) -> [(String, String); 7] {
        [
            ("PORT".into(), self.port.to_string()),
            ("REVISION".into(), self.revision.version.name().into()),
            ("SERIN_SERVICE".into(), self.service.to_string()),
            ("SERIN_REVISION".into(), self.revision.to_string()),
            ("SERIN_ROLE".into(), self.role.as_str().into()),
            ("SERIN_COLOUR".into(), self.colour.as_str().into()),
            ("SERIN_INSTANCE".into(), self.instance.clone()),
        ]
    }

    fn resolve(
        &self,
        run: &RunSpec,
        name: &str,
        value: &EnvValue,
        server: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String, Error> {
        match value {
            EnvValue::Literal(text) => Ok(self.fill(text)),
            EnvValue::FromEnv(from) => server(from)
                .ok_or_else(|| Error::NoVariable { name: name.into(), from: from.clone() }),
            EnvValue::FromFile(path) => read_value(name, &within(run, path)),
        }
    }
}

/// What the usual clients of feature flags look for.
fn flags(at: SocketAddr) -> [(String, String); 4] {
    // An address that stands for all is reached through this machine's own.
    let host = match at.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    let url = format!("http://{}", SocketAddr::new(host, at.port()));
    [
        ("FEATURE_FLAGS_URL".into(), url.clone()),
        ("OFREP_ENDPOINT".into(), url),
        ("FLAGD_HOST".into(), host.to_string()),
        ("FLAGD_PORT".into(), at.port().to_string()),
    ]
}

/// The variables an app inherits from the server.
pub fn inherited(server: &dyn Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    INHERITED.iter().filter_map(|name| Some(((*name).into(), server(name)?))).collect()
}

/// `text` with each `$(NAME)` that `value` knows replaced; `$$(NAME)` stands for `$(NAME)`, and
/// what is not known stays as it is.
pub fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = escape(rest).or_else(|| variable(rest, &value));
        let (used, put) = taken.unwrap_or((1, "$".into()));
        out.push_str(&put);
        rest = &rest[used..];
    }
    out + rest
}

/// `$$(` at the start of `text`: three bytes that stand for `$(`.
fn escape(text: &str) -> Option<(usize, String)> {
    text.starts_with("$$(").then(|| (3, "$(".into()))
}

/// `$(NAME)` at the start of `text`: its length and value.
fn variable(text: &str, value: impl Fn(&str) -> Option<String>) -> Option<(usize, String)> {
    let name = text.strip_prefix("$(")?.split_once(')')?.0;
    Some((name.len() + 3, value(name)?))
}

/// `path` as the instance sees it: relative to its working directory.
pub(crate) fn within(run: &RunSpec, path: &str) -> PathBuf {
    Path::new(&run.working_directory).join(path)
}

fn read_value(name: &str, path: &Path) -> Result<String, Error> {
    let mut text = read(&format!("the file of env `{name}`"), path)?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

fn read(what: &str, path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Unreadable {
        what: what.into(),
        path: path.into(),
        source,
    })
}

/// Lines `NAME=value`; empty lines and lines that begin with `#` are skipped, `export ` before a
/// name and one pair of quotes around a value are taken off.
fn read_env_file(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    let text = read("env file", path)?;
    let mut env = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bad = || Error::BadEnvLine { path: path.into(), line: number + 1 };
        let (name, value) = assignment(line).ok_or_else(bad)?;
        env.insert(name, value);
    }
    Ok(env)
}

fn assignment(line: &str) -> Option<(String, String)> {
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let name = name.trim();
    let ok = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    let valid = !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(ok);
    valid.then(|| (name.into(), unquoted(value.trim()).into()))
}

fn unquoted(value: &str) -> &str {
    let inside = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests;
