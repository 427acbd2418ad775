//! Operations of our own, under `x_`: what pgroll has no word for.

use crate::Ident;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One operation of our own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extra {
    /// A view of the new shape; old clients keep theirs, or have none. Later versions have it too,
    /// until one of them says otherwise.
    CreateView {
        /// Its name.
        name: Ident,
        /// What it shows, over the new shape: a `SELECT`.
        definition: String,
        /// A comment.
        comment: Option<String>,
    },
    /// A view that the new shape does not have.
    DropView {
        /// Its name.
        name: Ident,
    },
    /// A new enumeration.
    CreateEnum {
        /// Its name.
        name: Ident,
        /// Its values, in order.
        values: Vec<String>,
    },
    /// One more value of an enumeration. It stays when the migration is taken back: Postgres
    /// cannot take a value away.
    AddEnumValue {
        /// The enumeration.
        name: Ident,
        /// The value.
        value: String,
        /// Where it comes in the order; last unless said.
        place: Option<EnumPlace>,
    },
    /// Privileges for roles.
    Grant(Grant),
    /// A column that moves to another table.
    MoveColumn(MoveColumn),
}

/// Where a value comes in the order of an enumeration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnumPlace {
    /// Before this one.
    Before(String),
    /// Behind this one.
    After(String),
}

/// Privileges for roles, in the new shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Tables and views of the new shape.
    pub on: Vec<Ident>,
    /// `SELECT`, `INSERT`, `UPDATE` or `DELETE`.
    pub privileges: Vec<String>,
    /// The roles.
    pub to: Vec<Ident>,
}

/// A column that moves to another table, row by row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveColumn {
    /// The table that has it.
    pub table: Ident,
    /// The column.
    pub column: Ident,
    /// The table that gets it.
    pub to_table: Ident,
    /// Its name there.
    pub to_column: Ident,
    /// Which rows belong together: columns here, and there. Each side is unique.
    pub on: BTreeMap<Ident, Ident>,
}

impl Extra {
    /// Its word, as it stands in a file.
    pub fn word(&self) -> &'static str {
        match self {
            Self::CreateView { .. } => "x_create_view",
            Self::DropView { .. } => "x_drop_view",
            Self::CreateEnum { .. } => "x_create_enum",
            Self::AddEnumValue { .. } => "x_add_enum_value",
            Self::Grant(_) => "x_grant",
            Self::MoveColumn(_) => "x_move_column",
        }
    }
}
