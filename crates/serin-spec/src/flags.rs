//! `traffic.flags`: which flags requests carry to the app, and who they are evaluated for.

use crate::{affinity::is_token, field::Field, yaml::shown};
use serin_core::{CarriedFlags, FlagSource};
use std::collections::BTreeMap;

/// The header of tokens unless said.
const TOKEN: &str = "authorization";
/// Most keys and attributes.
const MOST: usize = 100;

/// The set is empty where the service's environment is meant.
pub(crate) fn read(field: &Field<'_>) -> Option<CarriedFlags> {
    let mut reader = field.map()?;
    let set = reader.or("set", String::new(), |f| key(&f, 100, b""));
    let keys = reader.or("pass", Vec::new(), |f| keys(&f));
    let user = reader.need("targetingKey", "{ cookie: serin }", |f| source(&f));
    let attributes = reader.or("attributes", BTreeMap::new(), |f| attributes(&f));
    let token = reader.or("token", TOKEN.to_owned(), |f| token(&f));
    reader.finish();
    Some(CarriedFlags { set, keys, user: user?, attributes, token })
}

/// `[new_checkout, search]`: each makes a header of its own.
fn keys(field: &Field<'_>) -> Option<Vec<String>> {
    let items = field.list()?;
    if items.len() > MOST {
        return field.outside(format!("a list of {}", items.len()), 0, MOST);
    }
    let mut found: Vec<String> = Vec::new();
    for item in &items {
        let Some(key) = key(item, 200, b"") else { continue };
        if found.iter().any(|other| other.eq_ignore_ascii_case(&key)) {
            let message = format!("the flag `{}` is named twice", shown(&key));
            let hint = "headers do not tell upper from lower case: name it once";
            item.report(item.problem("duplicate-name", message).hint(hint));
        }
        found.push(key);
    }
    Some(found)
}

/// A key that can be part of a header's name.
pub(crate) fn key(field: &Field<'_>, most: usize, also: &[u8]) -> Option<String> {
    let text = field.word()?;
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c) || also.contains(&c);
    if (1..=most).contains(&text.len()) && text.bytes().all(fits) {
        return Some(text.to_owned());
    }
    let message = format!("`{}` cannot be the key of a flag that is passed on", shown(text));
    let hint = format!("use 1 to {most} of A-Z, a-z, 0-9, `.`, `_` and `-`");
    field.report(field.problem("bad-name", message).hint(hint));
    None
}

/// `{ header: x-plan }`, `{ cookie: serin }` or `{ claim: sub }`.
fn source(field: &Field<'_>) -> Option<FlagSource> {
    let mut reader = field.map()?;
    let header = reader.maybe("header", |f| token(&f)).map(FlagSource::Header);
    let cookie = reader.maybe("cookie", |f| token(&f)).map(FlagSource::Cookie);
    let claim = reader.maybe("claim", |f| f.word().map(str::to_owned)).map(FlagSource::Claim);
    if ["header", "cookie", "claim"].iter().filter(|key| reader.has(key)).count() != 1 {
        let message = format!("{} has one of `header`, `cookie` and `claim`", field.what);
        let hint = "write `{ cookie: serin }`, or the header your gateway sets";
        reader.report(reader.key_problem("wrong-choice", message).hint(hint));
    }
    reader.finish();
    header.or(cookie).or(claim)
}

fn attributes(field: &Field<'_>) -> Option<BTreeMap<String, FlagSource>> {
    let entries: Vec<_> = field.map()?.all().collect();
    if entries.len() > MOST {
        return field.outside(format!("{} attributes", entries.len()), 0, MOST);
    }
    let one = |(entry, value): &(&crate::yaml::Entry, Field<'_>)| {
        Some((entry.key.clone(), source(value)?))
    };
    Some(entries.iter().filter_map(one).collect())
}

/// The name of a header or cookie.
fn token(field: &Field<'_>) -> Option<String> {
    let name = field.word()?;
    if is_token(name) {
        return Some(name.to_owned());
    }
    let message = format!("`{}` cannot be the name of a header or cookie", shown(name));
    let hint = "use 1 to 64 of A-Z, a-z, 0-9, `-` and `_`";
    field.report(field.problem("bad-name", message).hint(hint));
    None
}
