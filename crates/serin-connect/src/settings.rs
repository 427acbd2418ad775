//! An address as the settings it stands for.

use crate::options::SCHEMES;
use crate::{Flaw, url};
use std::collections::BTreeMap;

/// What an address says, by the names of libpq. What has no value is not said.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    all: BTreeMap<String, String>,
    /// What was added, and the variable it comes from.
    filled: Vec<&'static str>,
}

impl Settings {
    /// Takes an address apart.
    pub(crate) fn read(address: &str) -> Result<Self, Flaw> {
        let mut all = match SCHEMES.iter().find_map(|scheme| address.strip_prefix(scheme)) {
            Some(after) => url::settings(after)?,
            None => pairs(address)?,
        };
        all.retain(|_, value| !value.is_empty());
        Ok(Self { all, filled: Vec::new() })
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.all.get(key).map(String::as_str)
    }

    pub(crate) fn take(&mut self, key: &str) -> Option<String> {
        self.all.remove(key)
    }

    /// Adds what was not said.
    pub(crate) fn fill(&mut self, key: &str, value: String) {
        self.all.entry(key.to_owned()).or_insert(value);
    }

    /// Adds what was not said, from a variable.
    pub(crate) fn fill_from(&mut self, variable: &'static str, key: &str, value: String) {
        self.filled.push(variable);
        self.fill(key, value);
    }

    /// The variables that added something.
    pub(crate) fn filled(&self) -> &[&'static str] {
        &self.filled
    }

    /// As pairs for the driver, which knows which keys there are.
    pub(crate) fn into_pairs(self) -> Result<String, Flaw> {
        let mut pairs = Vec::new();
        for (key, value) in &self.all {
            if !key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
                return Err(Flaw::new("one of its options has a name that no option has"));
            }
            pairs.push(format!("{key}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'")));
        }
        Ok(pairs.join(" "))
    }
}

fn pairs(text: &str) -> Result<BTreeMap<String, String>, Flaw> {
    let mut found = BTreeMap::new();
    let mut left = text.trim_start();
    while !left.is_empty() {
        let (key, value, after) = pair(left).ok_or_else(no_pair)?;
        found.insert(key.to_owned(), value);
        left = after.trim_start();
    }
    Ok(found)
}

fn no_pair() -> Flaw {
    Flaw::new("it is neither an address nor pairs of key=value; a value with spaces needs quotes")
}

/// The first pair of `key = 'value'`, and what follows it.
fn pair(text: &str) -> Option<(&str, String, &str)> {
    let (key, after) = text.split_once('=')?;
    let key = key.trim_end();
    if key.is_empty() || key.contains(char::is_whitespace) {
        return None;
    }
    let (value, after) = value(after.trim_start())?;
    Some((key, value, after))
}

/// A value, in quotes or up to a space, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next()?.1),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            c if !quoted && c.is_whitespace() => return Some((value, &text[at..])),
            c => value.push(c),
        }
    }
    (!quoted).then_some((value, ""))
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
