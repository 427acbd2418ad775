//! What a migration does, one operation each.

use super::{AlterColumn, Column, Constraint, CreateConstraint, CreateIndex, Extra};
use crate::Ident;
use serde::{Deserialize, Serialize};

/// One operation: pgroll's fifteen, and those of ours under `x_`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A new table.
    CreateTable {
        /// Its name.
        name: Ident,
        /// Its columns.
        columns: Vec<Column>,
        /// A comment.
        comment: Option<String>,
        /// Constraints of several columns.
        constraints: Vec<Constraint>,
    },
    /// A new column.
    AddColumn {
        /// The table.
        table: Ident,
        /// The column.
        column: Box<Column>,
        /// Its value for rows that are there, as SQL; its default unless said.
        up: Option<String>,
    },
    /// A column that becomes another.
    AlterColumn(Box<AlterColumn>),
    /// A column that goes.
    DropColumn {
        /// The table.
        table: Ident,
        /// The column.
        column: Ident,
        /// Its value for rows that the new version writes, as SQL; its default unless said.
        down: Option<String>,
    },
    /// A new name for a table.
    RenameTable {
        /// The old one.
        from: Ident,
        /// The new one.
        to: Ident,
    },
    /// A new name for a column.
    RenameColumn {
        /// The table.
        table: Ident,
        /// The old one.
        from: Ident,
        /// The new one.
        to: Ident,
    },
    /// A new name for a constraint.
    RenameConstraint {
        /// The table.
        table: Ident,
        /// The old one.
        from: Ident,
        /// The new one.
        to: Ident,
    },
    /// A table that goes.
    DropTable {
        /// Its name.
        name: Ident,
    },
    /// A new index.
    CreateIndex(CreateIndex),
    /// An index that goes.
    DropIndex {
        /// Its name.
        name: Ident,
    },
    /// A new constraint.
    CreateConstraint(Box<CreateConstraint>),
    /// A constraint of one or more columns that goes.
    DropConstraint {
        /// The table.
        table: Ident,
        /// Its name.
        name: Ident,
        /// New values of its columns from the old row, as SQL; with no column named, of its only
        /// column.
        up: Vec<(Option<Ident>, String)>,
        /// Old values of its columns from the new row, as SQL.
        down: Vec<(Option<Ident>, String)>,
    },
    /// What the write-ahead log holds of rows that change.
    SetReplicaIdentity {
        /// The table.
        table: Ident,
        /// What it holds.
        identity: ReplicaIdentity,
    },
    /// SQL as it stands.
    Sql(RawSql),
    /// One of our own, under `x_`.
    Extra(Box<Extra>),
}

/// SQL as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawSql {
    /// What is run.
    pub up: String,
    /// What takes it back.
    pub down: Option<String>,
    /// It is run at the contract, not at the start.
    pub on_complete: bool,
}

/// What the write-ahead log holds of rows that change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReplicaIdentity {
    /// Nothing.
    Nothing,
    /// The whole row.
    Full,
    /// The primary key.
    Default,
    /// The columns of this index.
    Index(Ident),
}

impl Operation {
    /// The words of all operations, as they stand in a file.
    pub const WORDS: [&'static str; 21] = [
        "create_table",
        "add_column",
        "alter_column",
        "drop_column",
        "rename_table",
        "rename_column",
        "rename_constraint",
        "drop_table",
        "create_index",
        "drop_index",
        "create_constraint",
        "drop_constraint",
        "drop_multicolumn_constraint",
        "set_replica_identity",
        "sql",
        "x_create_view",
        "x_drop_view",
        "x_create_enum",
        "x_add_enum_value",
        "x_grant",
        "x_move_column",
    ];
}
