//! Columns, and changes of them.

use super::{Deferral, TableForeignKey};
use crate::Ident;
use serde::{Deserialize, Serialize};

/// A new column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: Ident,
    /// Its type, as SQL.
    pub data_type: String,
    /// Part of the primary key.
    pub primary_key: bool,
    /// Whether it may be empty; not unless said.
    pub nullable: bool,
    /// Whether no value may come twice.
    pub unique: bool,
    /// Its default, as SQL.
    pub default: Option<String>,
    /// A comment.
    pub comment: Option<String>,
    /// A condition on its values.
    pub check: Option<Check>,
    /// The column it refers to.
    pub references: Option<ForeignKey>,
    /// Where its values come from.
    pub generated: Option<Generated>,
}

/// A named condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Name of the constraint.
    pub name: Ident,
    /// The condition, as SQL.
    pub constraint: String,
    /// Tables that inherit do not get it.
    pub no_inherit: bool,
}

/// A reference of one column to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Name of the constraint.
    pub name: Ident,
    /// The column's side of it.
    pub target: TableForeignKey,
    /// When it is checked.
    pub deferral: Deferral,
}

/// Where the values of a column come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Generated {
    /// From other columns of the row.
    Expression(String),
    /// From a sequence.
    Identity(Identity),
}

/// A column numbered by a sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `GENERATED ALWAYS` instead of `BY DEFAULT`.
    pub always: bool,
    /// Options of the sequence, as SQL.
    pub sequence_options: Option<String>,
}

/// Changes of one column, made together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlterColumn {
    /// The table.
    pub table: Ident,
    /// The column.
    pub column: Ident,
    /// The new value from the old row, as SQL; the old value itself where that will do.
    pub up: Option<String>,
    /// The old value from the new row, as SQL.
    pub down: Option<String>,
    /// A new type, as SQL.
    pub data_type: Option<String>,
    /// Whether it may be empty from now on.
    pub nullable: Option<bool>,
    /// A new default, as SQL, or none any more.
    pub default: Option<Change<String>>,
    /// A new comment, or none any more.
    pub comment: Option<Change<String>>,
    /// Name of a new constraint that no value comes twice.
    pub unique: Option<Ident>,
    /// A new condition.
    pub check: Option<Check>,
    /// A new reference.
    pub references: Option<ForeignKey>,
}

/// A new value, or none any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change<T> {
    /// This from now on.
    Set(T),
    /// None any more.
    Drop,
}
