//! What the operations under `x_` ask for.

use crate::Ident;
use crate::catalog::Grant;

/// A view of the new shape that shows more than one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewView {
    /// Where the document asks for it; empty for one of the version before.
    pub path: String,
    /// Its name.
    pub name: Ident,
    /// What it shows.
    pub definition: String,
    /// Its comment.
    pub comment: Option<String>,
    /// Privileges it had before.
    pub acl: Vec<Grant>,
}

/// A column that moves to another table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cross {
    /// Place of the table that has it.
    pub source: usize,
    /// Place of the table that gets it.
    pub target: usize,
    /// The column where it is.
    pub was: Ident,
    /// The column where it will be.
    pub new: Ident,
    /// Its type, as SQL.
    pub data_type: String,
    /// Columns of both tables by which rows belong together.
    pub keys: Vec<(Ident, Ident)>,
}
