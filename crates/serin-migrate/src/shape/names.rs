//! Names that Serin gives to what it makes, and names that are taken.

use crate::{Catalog, Ident};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Bytes of a hash in a name, two letters each.
const HASH_BYTES: usize = 6;

/// Names of tables, indexes, views and sequences of a schema, as operations give and free them.
#[derive(Debug, Clone)]
pub struct Names(BTreeSet<String>);

impl Names {
    /// All that are taken in the catalogue.
    pub fn of(catalog: &Catalog) -> Self {
        Self(catalog.server.relations.keys().cloned().collect())
    }

    /// Whether a name is taken.
    pub fn is_taken(&self, name: &Ident) -> bool {
        self.0.contains(name.as_str())
    }

    /// Takes a name.
    pub fn take(&mut self, name: &Ident) {
        self.0.insert(name.as_str().to_owned());
    }

    /// Frees a name.
    pub fn free(&mut self, name: &Ident) {
        self.0.remove(name.as_str());
    }
}

/// A name of ours that says what it is for, or only a hash of it where that is too long.
pub fn hashed(prefix: &str, readable: &str, parts: &[&str]) -> Ident {
    let long = Ident::new(format!("{prefix}{readable}"));
    long.unwrap_or_else(|_| short(prefix, parts))
}

/// A name of ours that is the same for the same parts.
pub fn short(prefix: &str, parts: &[&str]) -> Ident {
    Ident::new(format!("{prefix}{}", hash(parts))).unwrap_or_else(|_| Ident::unread())
}

fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut text = String::new();
    for byte in hasher.finalize().iter().take(HASH_BYTES) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The name of a column that is hidden: no two migrations give the same one.
pub fn gone_column(migration: &str, table: &Ident, column: &Ident) -> Ident {
    gone(migration, &[table.as_str(), column.as_str()], column)
}

/// The name of a table that is hidden, or of one of its indexes.
pub fn gone_table(migration: &str, name: &Ident) -> Ident {
    gone(migration, &[name.as_str()], name)
}

fn gone(migration: &str, parts: &[&str], name: &Ident) -> Ident {
    let mut all = vec![migration];
    all.extend(parts);
    let mark = hash(&all);
    hashed("_serin_gone_", &format!("{name}_{mark}", name = name.as_str()), &all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_hashed_and_parts_are_kept_apart() {
        let ident = |name: &str| Ident::new(name).unwrap();
        assert_eq!(hashed("_serin_new_", "total", &["t", "total"]).as_str(), "_serin_new_total");
        let long = "x".repeat(63);
        let name = hashed("_serin_new_", &long, &["t", &long]);
        assert_eq!(name.as_str().len(), "_serin_new_".len() + 2 * HASH_BYTES);
        assert_ne!(short("a", &["ab", "c"]), short("a", &["a", "bc"]));
        assert_ne!(
            gone_column("01", &ident("t"), &ident("c")),
            gone_column("02", &ident("t"), &ident("c"))
        );
    }
}
