//! The settings that stand in `postgres://user:password@host:5432/name?key=value`.

use crate::Flaw;
use std::collections::BTreeMap;

/// Reads what follows the scheme, by libpq's rules: a user is named by an `@` before the first `/`.
pub(crate) fn settings(url: &str) -> Result<BTreeMap<String, String>, Flaw> {
    let mut found = BTreeMap::new();
    let (credentials, after) = match url.find(['@', '/']) {
        Some(at) if url[at..].starts_with('@') => (&url[..at], &url[at + 1..]),
        _ => ("", url),
    };
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let (hosts, after) = after.split_at(after.find(['/', '?']).unwrap_or(after.len()));
    let (path, query) = after.split_once('?').unwrap_or((after, ""));
    let (hosts, ports) = read_hosts(hosts, after)?;
    let parts = [
        ("user", decoded(user)?),
        ("password", decoded(password)?),
        ("host", hosts),
        ("port", ports),
        ("dbname", decoded(path.strip_prefix('/').unwrap_or(path))?),
    ];
    found.extend(parts.map(|(key, value)| (key.to_owned(), value)));
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(no_value)?;
        found.insert(decoded(key)?, decoded(value)?);
    }
    Ok(found)
}

/// The hosts and their ports, each with commas between; nothing where none is named.
fn read_hosts(text: &str, after: &str) -> Result<(String, String), Flaw> {
    let mut all = (Vec::new(), Vec::new());
    for one in text.split(',') {
        let (host, port) = read_host(one)?;
        let (host, port) = (decoded(host)?, decoded(port)?);
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        if host.contains('@') || !is_number && after.contains('@') {
            return Err(unescaped());
        }
        all.0.push(host);
        all.1.push(port);
    }
    let is_named = |all: &Vec<String>| all.iter().any(|one| !one.is_empty());
    let joined = |all: Vec<String>| if is_named(&all) { all.join(",") } else { String::new() };
    Ok((joined(all.0), joined(all.1)))
}

/// One host, without the brackets of IPv6, and its port.
fn read_host(text: &str) -> Result<(&str, &str), Flaw> {
    let Some(inner) = text.strip_prefix('[') else {
        return Ok(text.split_once(':').unwrap_or((text, "")));
    };
    let (host, after) = inner.split_once(']').ok_or_else(no_bracket)?;
    match after.strip_prefix(':') {
        Some(port) => Ok((host, port)),
        None if after.is_empty() => Ok((host, "")),
        None => Err(no_bracket()),
    }
}

fn decoded(text: &str) -> Result<String, Flaw> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| Flaw::new("what stands after a `%` in it is no UTF-8"))
}

fn no_value() -> Flaw {
    Flaw::new("behind its `?` stand pairs of key=value, with `&` between; one has no `=`")
}

fn no_bracket() -> Flaw {
    Flaw::new("a host in brackets is an address of IPv6, as in `[::1]` or `[::1]:5432`")
}

fn unescaped() -> Flaw {
    Flaw::new("in a user's name or a password `@` is written %40, `/` %2F, and `:` %3A")
}
