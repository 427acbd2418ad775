//! The key of a flag.

use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

/// The longest key, in bytes.
const LONGEST: usize = 200;

/// A flag's key: 1 to 200 of `A-Z a-z 0-9 . _ : -`, so that it needs no escape in any URL. Unique
/// in its set. A copy costs nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FlagKey(Arc<str>);

/// A text that is no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyError(String);

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.0.chars().take(40).collect();
        write!(
            f,
            "{shown:?} is not a flag key: use 1 to {LONGEST} of A-Z, a-z, 0-9, `.`, `_`, `:` and `-`"
        )
    }
}

impl std::error::Error for KeyError {}

impl FlagKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FlagKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"._:-".contains(&c);
        let ok = (1..=LONGEST).contains(&text.len()) && text.bytes().all(fits);
        if ok { Ok(Self(text.into())) } else { Err(KeyError(text.to_owned())) }
    }
}

impl TryFrom<String> for FlagKey {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<FlagKey> for String {
    fn from(key: FlagKey) -> Self {
        key.0.as_ref().to_owned()
    }
}

impl Borrow<str> for FlagKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FlagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::FlagKey;

    #[test]
    fn a_key_is_safe_in_a_url() {
        let long = "k".repeat(200);
        for good in ["new_checkout", "a", "team:shop.new-checkout", &long] {
            assert!(good.parse::<FlagKey>().is_ok(), "{good}");
        }
        let longer = "k".repeat(201);
        for bad in ["", "a b", "a/b", "ä", "a?b", "a\0", "a%20", &longer] {
            assert!(bad.parse::<FlagKey>().is_err(), "{bad}");
        }
    }
}
