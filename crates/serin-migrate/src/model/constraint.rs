//! Constraints of a table.

use crate::Ident;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A constraint of a new table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    /// Its name.
    pub name: Ident,
    /// What it demands.
    pub kind: ConstraintKind,
    /// When it is checked.
    pub deferral: Deferral,
}

/// What a constraint demands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ConstraintKind {
    /// No row has the same values as another.
    Unique {
        /// The columns.
        columns: Vec<Ident>,
        /// Two empty values are the same.
        nulls_not_distinct: bool,
        /// Parameters of its index.
        index: IndexParameters,
    },
    /// The columns tell rows apart.
    PrimaryKey {
        /// The columns.
        columns: Vec<Ident>,
        /// Parameters of its index.
        index: IndexParameters,
    },
    /// Each row meets a condition.
    Check {
        /// The condition, as SQL.
        condition: String,
        /// Columns it speaks of, where the author names them.
        columns: Vec<Ident>,
        /// Tables that inherit do not get it.
        no_inherit: bool,
    },
    /// The columns refer to a row of another table.
    ForeignKey {
        /// The columns.
        columns: Vec<Ident>,
        /// What they refer to.
        references: TableForeignKey,
    },
    /// No two rows meet all the comparisons.
    Exclude(ExcludeRule),
}

/// What an exclusion constraint compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludeRule {
    /// Method of its index, as SQL.
    pub method: Option<String>,
    /// Elements and operators, as SQL.
    pub elements: String,
    /// Rows it concerns, as SQL.
    pub predicate: Option<String>,
    /// Parameters of its index.
    pub index: IndexParameters,
}

/// Parameters of the index of a constraint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexParameters {
    /// Where it lies.
    pub tablespace: Option<Ident>,
    /// Storage parameters, as SQL.
    pub storage: Option<String>,
    /// Further columns in it.
    pub include: Vec<Ident>,
}

/// The far side of a reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableForeignKey {
    /// The table.
    pub table: Ident,
    /// Its columns.
    pub columns: Vec<Ident>,
    /// `FULL`, `PARTIAL` or `SIMPLE`.
    pub match_type: Option<String>,
    /// What happens here when the row there changes its key.
    pub on_update: Option<String>,
    /// What happens here when the row there goes.
    pub on_delete: Option<String>,
    /// Columns that `SET NULL` and `SET DEFAULT` set; all unless said.
    pub on_delete_set: Vec<Ident>,
}

/// When a constraint is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Deferral {
    /// With each statement, always.
    #[default]
    Never,
    /// With each statement, unless a transaction puts it off.
    Possible,
    /// At the end of each transaction.
    Initially,
}

/// A new constraint of a table that is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateConstraint {
    /// The table.
    pub table: Ident,
    /// The constraint.
    pub constraint: Constraint,
    /// New values of its columns from the old row, as SQL.
    pub up: BTreeMap<Ident, String>,
    /// Old values of its columns from the new row, as SQL.
    pub down: BTreeMap<Ident, String>,
}
