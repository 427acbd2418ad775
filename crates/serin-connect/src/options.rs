//! What an address says about TLS, and the rest of it.

use crate::Flaw;
use std::path::PathBuf;

/// How much safety is asked for, from none to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// No TLS.
    Disable,
    /// TLS where the server refuses to do without.
    Allow,
    /// TLS where the server has it.
    Prefer,
    /// TLS with whoever answers.
    Require,
    /// TLS with whom a trusted authority signed.
    VerifyCa,
    /// And who has the name that was asked for.
    VerifyFull,
}

const MODES: [(&str, Mode); 6] = [
    ("disable", Mode::Disable),
    ("allow", Mode::Allow),
    ("prefer", Mode::Prefer),
    ("require", Mode::Require),
    ("verify-ca", Mode::VerifyCa),
    ("verify-full", Mode::VerifyFull),
];

impl Mode {
    /// As it is written.
    pub(crate) fn word(self) -> &'static str {
        MODES.iter().find(|(_, mode)| *mode == self).map_or("prefer", |(word, _)| word)
    }
}

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Root {
    /// Whom this machine trusts.
    System,
    /// The authorities in a file.
    File(PathBuf),
}

/// An address, taken apart.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The address without what stands below.
    pub(crate) rest: String,
    pub(crate) mode: Option<Mode>,
    pub(crate) root: Option<Root>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

impl Options {
    /// Takes an address apart.
    pub(crate) fn read(address: &str) -> Result<Self, Flaw> {
        let mut options = Self::default();
        options.rest = match SCHEMES.iter().find_map(|scheme| address.strip_prefix(scheme)) {
            Some(after) => {
                let scheme = &address[..address.len() - after.len()];
                scheme.to_owned() + &options.take_from_url(after)?
            }
            None => options.take_from_pairs(address)?,
        };
        Ok(options)
    }

    fn take_from_url(&mut self, url: &str) -> Result<String, Flaw> {
        // A password may hold a question mark.
        let host = url.find('@').map_or(0, |at| at + 1);
        let Some(query) = url[host..].find('?').map(|at| host + at) else {
            return Ok(url.to_owned());
        };
        let mut others = Vec::new();
        for pair in url[query + 1..].split('&') {
            let taken = match pair.split_once('=') {
                Some((key, value)) => self.take(&decoded(key)?, &decoded(value)?)?,
                None => false,
            };
            if !taken {
                others.push(pair);
            }
        }
        let mark = if others.is_empty() { "" } else { "?" };
        Ok(format!("{}{mark}{}", &url[..query], others.join("&")))
    }

    fn take_from_pairs(&mut self, text: &str) -> Result<String, Flaw> {
        let mut others = Vec::new();
        let mut left = text.trim_start();
        while !left.is_empty() {
            let (key, value, after) = pair(left).ok_or_else(no_pair)?;
            if !self.take(key, &value)? {
                others.push(left[..left.len() - after.len()].trim_end());
            }
            left = after.trim_start();
        }
        Ok(others.join(" "))
    }

    /// Keeps the value if it is one of ours.
    fn take(&mut self, key: &str, value: &str) -> Result<bool, Flaw> {
        let path = || (!value.is_empty()).then(|| PathBuf::from(value));
        match key {
            "sslmode" => self.mode = mode(value)?,
            "sslrootcert" if value == "system" => self.root = Some(Root::System),
            "sslrootcert" => self.root = path().map(Root::File),
            "sslcert" => self.certificate = path(),
            "sslkey" => self.key = path(),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn mode(value: &str) -> Result<Option<Mode>, Flaw> {
    if value.is_empty() {
        return Ok(None);
    }
    let found = MODES.iter().find(|(word, _)| *word == value);
    found.map(|(_, mode)| Some(*mode)).ok_or_else(|| {
        let words: Vec<&str> = MODES.iter().map(|(word, _)| *word).collect();
        Flaw::new(format!("`sslmode` is none of {}", words.join(", ")))
    })
}

fn no_pair() -> Flaw {
    Flaw::new("it is neither an address nor pairs of key=value; a value with spaces needs quotes")
}

fn decoded(text: &str) -> Result<String, Flaw> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| Flaw::new("what stands after a `%` in it is no UTF-8"))
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
#[path = "options_tests.rs"]
mod tests;
