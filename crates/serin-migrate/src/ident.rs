//! Names of the database and literals, quoted.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes of a name that Postgres keeps; longer ones it would cut without a word.
const MAX_BYTES: usize = 63;

/// A name of the database: table, column, constraint. Shown quoted, so that any name is safe in
/// SQL, and upper case stays as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ident(String);

/// Why a name is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentError {
    /// Nothing in it.
    #[error("a name has at least one character")]
    Empty,
    /// Postgres would cut it.
    #[error("`{name}` has {bytes} bytes; Postgres keeps 63 of a name", bytes = .name.len())]
    Long {
        /// The name.
        name: String,
    },
    /// Postgres has no such character.
    #[error("a name cannot contain the character NUL")]
    Nul,
}

impl Ident {
    /// The name as it is, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Stands where a name could not be read; what holds it is never handed out.
    pub(crate) fn unread() -> Self {
        Self(String::new())
    }

    /// Makes a name.
    ///
    /// # Errors
    /// [`IdentError`] when Postgres could not keep it.
    pub fn new(name: impl Into<String>) -> Result<Self, IdentError> {
        let name = name.into();
        match name {
            _ if name.is_empty() => Err(IdentError::Empty),
            _ if name.contains('\0') => Err(IdentError::Nul),
            _ if name.len() > MAX_BYTES => Err(IdentError::Long { name }),
            _ => Ok(Self(name)),
        }
    }
}

impl TryFrom<String> for Ident {
    type Error = IdentError;
    fn try_from(name: String) -> Result<Self, IdentError> {
        Self::new(name)
    }
}

impl From<Ident> for String {
    fn from(ident: Ident) -> Self {
        ident.0
    }
}

/// Quoted, as it stands in SQL.
impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

/// A text as a literal in SQL, whatever `standard_conforming_strings` says.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        return format!("E'{}'", quoted.replace('\\', "\\\\"));
    }
    format!("'{quoted}'")
}

/// A block in dollar quotes that do not occur in it.
pub(crate) fn block(text: &str) -> String {
    let mut tag = "$serin$".to_owned();
    while text.contains(&tag) {
        tag.insert(6, '_');
    }
    format!("{tag}{text}{tag}")
}

/// Where names without a schema are looked up in a user's SQL: in the schema itself, then where
/// extensions are.
pub(crate) fn search_path(schema: &Ident) -> String {
    match schema.as_str() {
        "public" => schema.to_string(),
        _ => format!("{schema}, public"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        let shown = |name: &str| Ident::new(name).map(|ident| ident.to_string());
        assert_eq!(shown("users").unwrap(), "\"users\"");
        assert_eq!(shown("Üsers \"x\"; --").unwrap(), "\"Üsers \"\"x\"\"; --\"");
        assert_eq!(shown(""), Err(IdentError::Empty));
        assert_eq!(shown("a\0b"), Err(IdentError::Nul));
        assert!(shown(&"ü".repeat(31)).is_ok());
        assert!(matches!(shown(&"ü".repeat(32)), Err(IdentError::Long { .. })));
    }

    #[test]
    fn literals_are_quoted() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\'b"), r"E'a\\''b'");
    }
}
