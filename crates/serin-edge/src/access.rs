//! Who may ask, and for which set.

use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A token as it is kept: never itself, only its hash.
///
/// Tokens look like `*:production.secret`: the set they are for stands between colon and dot, `*`
/// or `[]` there means every set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Token {
    /// What people call it.
    #[serde(default)]
    pub name: String,
    /// SHA-256 of the whole token, in hexadecimal.
    pub sha256: String,
    /// The only set it is for; none: every set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// What it may ask.
    #[serde(default)]
    pub kind: TokenKind,
}

/// What a token may ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// Everything, whole rules included.
    #[default]
    Backend,
    /// Values for one user only: a token that is in a web page or an app is no secret.
    Frontend,
}

impl Token {
    /// The token of this secret.
    pub fn of(name: &str, secret: &str, kind: TokenKind) -> Self {
        let set = set_in(secret).map(str::to_owned);
        Self { name: name.to_owned(), sha256: hex(&Sha256::digest(secret)), set, kind }
    }
}

/// The set that a token names.
fn set_in(secret: &str) -> Option<&str> {
    let (_, rest) = secret.split_once(':')?;
    let (set, _) = rest.split_once('.')?;
    Some(set).filter(|set| !matches!(*set, "" | "*" | "[]"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What the client of a request may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The only set it may see; none: every set.
    pub only: Option<String>,
    /// The set it means when it does not say.
    pub meant: Option<String>,
    /// What it may ask.
    pub kind: TokenKind,
    /// Hash of the token that was shown, where one is needed.
    token: Option<String>,
}

/// Why a client is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It shows no token, or one that nobody knows.
    Unknown,
    /// Its token is for something else.
    Forbidden,
}

/// The tokens that are known.
#[derive(Debug, Default)]
pub struct Access {
    tokens: BTreeMap<String, Grant>,
}

impl Access {
    /// Only these tokens; without any, everybody may ask everything.
    pub fn new(tokens: &[Token]) -> Self {
        let grant = |token: &Token| {
            let hash = token.sha256.to_ascii_lowercase();
            let grant = Grant {
                only: token.set.clone(),
                meant: token.set.clone(),
                kind: token.kind,
                token: Some(hash.clone()),
            };
            (hash, grant)
        };
        Self { tokens: tokens.iter().map(grant).collect() }
    }

    /// What the client of a request may do.
    ///
    /// # Errors
    /// [`Denied::Unknown`].
    pub fn grant(&self, headers: &HeaderMap) -> Result<Grant, Denied> {
        let secret = secret(headers);
        if self.tokens.is_empty() {
            let meant = secret.and_then(set_in).map(str::to_owned);
            return Ok(Grant { only: None, meant, kind: TokenKind::Backend, token: None });
        }
        let digest = hex(&Sha256::digest(secret.ok_or(Denied::Unknown)?));
        self.tokens.get(&digest).cloned().ok_or(Denied::Unknown)
    }
}

impl Access {
    /// Whether a client that was let in would still be: a stream does not outlive its token.
    pub fn still_holds(&self, grant: &Grant) -> bool {
        match &grant.token {
            Some(token) => self.tokens.get(token) == Some(grant),
            None => self.tokens.is_empty(),
        }
    }
}

impl Grant {
    /// The set to answer from: the one selected, the token's, else `fallback`.
    ///
    /// # Errors
    /// [`Denied::Forbidden`] if the token is for another one.
    pub fn set<'a>(
        &'a self,
        selected: Option<&'a str>,
        fallback: &'a str,
    ) -> Result<&'a str, Denied> {
        let wanted = selected.or(self.meant.as_deref()).unwrap_or(fallback);
        match &self.only {
            Some(only) if only != wanted => Err(Denied::Forbidden),
            _ => Ok(wanted),
        }
    }

    /// Whether it may see whole rules.
    ///
    /// # Errors
    /// [`Denied::Forbidden`].
    pub fn backend(&self) -> Result<(), Denied> {
        if self.kind == TokenKind::Backend { Ok(()) } else { Err(Denied::Forbidden) }
    }
}

/// The token a request shows: `Authorization` with or without `Bearer`, or `X-API-Key`.
fn secret(headers: &HeaderMap) -> Option<&str> {
    let shown = headers.get(header::AUTHORIZATION).or_else(|| headers.get("x-api-key"))?;
    let text = shown.to_str().ok()?.trim();
    let bare = text.split_at_checked(7).filter(|(word, _)| word.eq_ignore_ascii_case("bearer "));
    Some(bare.map_or(text, |(_, secret)| secret.trim()))
}

/// The set a selector names; none when it names none. `flagSetId=x`, `source=x` or just `x`.
///
/// # Errors
/// The key that no set can be selected by.
pub fn selected(text: &str) -> Result<Option<&str>, String> {
    let name = match text.split_once('=') {
        None => text,
        Some(("flagSetId" | "source", name)) => name,
        Some((key, _)) => return Err(key.to_owned()),
    };
    Ok(Some(name.trim()).filter(|name| !name.is_empty()))
}

/// The selector in the headers of a request.
///
/// # Errors
/// What is wrong with it, for people.
pub fn selector(headers: &HeaderMap) -> Result<Option<&str>, String> {
    let Some(value) = headers.get("flagd-selector") else { return Ok(None) };
    let text = value.to_str().map_err(|_| "the selector is not text".to_owned())?;
    selected(text).map_err(|key| unknown_key(&key))
}

/// What is said about a selector with a key that means nothing.
pub fn unknown_key(key: &str) -> String {
    format!("the selector key `{key}` is unknown; use flagSetId=NAME or source=NAME")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn a_token_is_kept_as_its_hash() {
        let token = Token::of("ci", "*:production.abc", TokenKind::Backend);
        assert_eq!(token.set.as_deref(), Some("production"));
        assert!(!serde_json::to_string(&token).unwrap().contains("abc"));
        assert_eq!(token.sha256.len(), 64);
        for every in ["secret", "*:*.abc", "*:[].abc"] {
            assert_eq!(Token::of("x", every, TokenKind::Backend).set, None, "{every}");
        }
    }

    #[test]
    fn only_known_tokens_may_ask() {
        let access = Access::new(&[Token::of("web", "*:shop.abc", TokenKind::Frontend)]);
        let known = Grant {
            only: Some("shop".into()),
            meant: Some("shop".into()),
            kind: TokenKind::Frontend,
            token: Some(Token::of("web", "*:shop.abc", TokenKind::Frontend).sha256),
        };
        for (name, value, wanted) in [
            ("authorization", "Bearer *:shop.abc", Ok(&known)),
            ("authorization", "bearer  *:shop.abc ", Ok(&known)),
            ("authorization", "*:shop.abc", Ok(&known)),
            ("x-api-key", "*:shop.abc", Ok(&known)),
            ("authorization", "*:shop.abd", Err(Denied::Unknown)),
            ("authorization", "", Err(Denied::Unknown)),
            ("accept", "*/*", Err(Denied::Unknown)),
        ] {
            let found = access.grant(&headers(name, value));
            assert_eq!(found.as_ref().map_err(|denied| *denied), wanted, "{name}: {value}");
        }
        assert_eq!(known.set(None, "production"), Ok("shop"));
        assert_eq!(known.set(Some("shop"), "production"), Ok("shop"));
        assert_eq!(known.set(Some("production"), "production"), Err(Denied::Forbidden));
        assert_eq!(known.backend(), Err(Denied::Forbidden));
    }

    #[test]
    fn without_tokens_a_token_only_says_what_is_meant() {
        let access = Access::new(&[]);
        let grant = access.grant(&headers("authorization", "default:staging.x")).unwrap();
        assert_eq!(grant.set(None, "production"), Ok("staging"));
        assert_eq!(grant.set(Some("other"), "production"), Ok("other"));
        let nobody = access.grant(&HeaderMap::new()).unwrap();
        assert_eq!(nobody.set(None, "production"), Ok("production"));
    }

    #[test]
    fn selectors_name_a_set() {
        for (text, wanted) in [
            ("flagSetId=a", Ok(Some("a"))),
            ("source=a", Ok(Some("a"))),
            ("a", Ok(Some("a"))),
            ("flagSetId=", Ok(None)),
            ("", Ok(None)),
            ("flagSet=a", Err("flagSet".to_owned())),
            ("flagSetId=a=b", Ok(Some("a=b"))),
        ] {
            assert_eq!(selected(text), wanted, "{text}");
        }
    }
}
