//! Which flags the requests of a service carry, and for whom they are evaluated.

use http::HeaderName;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Most flags and attributes of one route.
pub const MAX_CARRIED: usize = 100;

/// Flags that are evaluated for each request, once. The app reads the variant in the header
/// `X-Serin-Flag-<key>`; what clients send under such a name is taken away.
///
/// Flags whose release is judged by this service's requests are evaluated too, listed or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    /// The set, which is the environment.
    pub set: String,
    /// Keys of the flags.
    #[serde(default)]
    pub keys: Vec<String>,
    /// Who a request is from: the targeting key. Users without the cookie are given one.
    pub user: Source,
    /// What else is known, by the name that rules use.
    #[serde(default)]
    pub attributes: BTreeMap<String, Source>,
    /// The header that carries a JSON Web Token, after `Bearer `.
    #[serde(default = "authorization")]
    pub token: String,
}

/// The header of tokens unless said.
fn authorization() -> String {
    "authorization".to_owned()
}

impl Flags {
    /// Of this set, without any key yet.
    pub fn new(set: &str, user: Source) -> Self {
        let (keys, attributes) = (Vec::new(), BTreeMap::new());
        Self { set: set.to_owned(), keys, user, attributes, token: authorization() }
    }
}

/// Where an attribute is read. Of a value, the first 4 KiB count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The value of this header.
    Header(String),
    /// The value of this cookie.
    Cookie(String),
    /// This claim of the token. **The signature is not checked**: whoever sends the request may
    /// claim anything, so a claim may choose a variant and must never grant a right.
    Claim(String),
}

/// Why flags cannot be carried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagsError {
    /// A key that makes no header.
    #[error("the flag `{0}` cannot be passed on: `X-Serin-Flag-{0}` is no name of a header")]
    Key(String),
    /// Two keys that make the same header.
    #[error(
        "two flags would share the header `X-Serin-Flag-{0}`; neither case nor `_` for `-` tells \
         headers apart"
    )]
    Twice(String),
    /// A name that is none.
    #[error("`{0}` cannot be the name of a header or cookie; use letters, digits and `-`")]
    Name(String),
    /// Too much of it.
    #[error("{0} flags or attributes; at most {MAX_CARRIED} are carried")]
    TooMany(usize),
}

/// The header that tells the variant of a flag.
pub fn flag_header(key: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(format!("x-serin-flag-{key}").as_bytes()).ok()
}

/// What keys have in common that an app cannot tell apart by their headers.
pub fn folded_key(key: &str) -> String {
    crate::headers::folded(key).map(char::from).collect()
}

impl Flags {
    /// Checks everything that the worker will make of it.
    ///
    /// # Errors
    /// [`FlagsError`].
    pub fn check(&self) -> Result<(), FlagsError> {
        let most = self.keys.len().max(self.attributes.len());
        if most > MAX_CARRIED {
            return Err(FlagsError::TooMany(most));
        }
        let mut seen = BTreeSet::new();
        for key in &self.keys {
            flag_header(key).ok_or_else(|| FlagsError::Key(key.clone()))?;
            if !seen.insert(folded_key(key)) {
                return Err(FlagsError::Twice(key.to_ascii_lowercase()));
            }
        }
        let token = Source::Header(self.token.clone());
        let mut sources = self.attributes.values().chain([&self.user, &token]);
        sources.try_for_each(Source::check)
    }
}

impl Source {
    fn check(&self) -> Result<(), FlagsError> {
        let (Self::Header(name) | Self::Cookie(name)) = self else { return Ok(()) };
        name.parse::<HeaderName>().map(drop).map_err(|_| FlagsError::Name(name.clone()))
    }
}
