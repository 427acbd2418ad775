//! Indexes.

use crate::Ident;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A new index, built while others write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateIndex {
    /// Its name.
    pub name: Ident,
    /// The table.
    pub table: Ident,
    /// Its columns, in order.
    pub columns: Vec<IndexColumn>,
    /// How it is built; a B-tree unless said.
    pub method: IndexMethod,
    /// Rows in it, as SQL; all unless said.
    pub predicate: Option<String>,
    /// Storage parameters, as SQL.
    pub storage_parameters: Option<String>,
    /// No two rows have the same values.
    pub unique: bool,
}

/// One column of an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexColumn {
    /// The column.
    pub column: Ident,
    /// Collation, a name that may have a schema.
    pub collate: Option<String>,
    /// Largest first.
    pub descending: bool,
    /// Empty values first or last; as Postgres does unless said.
    pub nulls_first: Option<bool>,
    /// Operator class, with its parameters.
    pub opclass: Option<(String, BTreeMap<String, String>)>,
}

/// How an index is built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexMethod {
    /// Ordered.
    #[default]
    Btree,
    /// By hash.
    Hash,
    /// Generalised search tree.
    Gist,
    /// Space-partitioned.
    Spgist,
    /// Inverted.
    Gin,
    /// Block ranges.
    Brin,
}

impl IndexMethod {
    /// All of them with their words.
    pub const WORDS: [(&'static str, Self); 6] = [
        ("btree", Self::Btree),
        ("hash", Self::Hash),
        ("gist", Self::Gist),
        ("spgist", Self::Spgist),
        ("gin", Self::Gin),
        ("brin", Self::Brin),
    ];

    /// The word of it.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, method)| *method == self).map_or("btree", |(word, _)| word)
    }
}
