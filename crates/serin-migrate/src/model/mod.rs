//! A migration as its author wrote it: pgroll's fifteen operations, some of our own, and the block
//! `serin`. Everything is checked for its form here, and against a database later.

mod column;
mod constraint;
mod extra;
mod index;
mod operation;
mod settings;

pub use column::{AlterColumn, Change, Check, Column, ForeignKey, Generated, Identity};
pub use constraint::{
    Constraint, ConstraintKind, CreateConstraint, Deferral, ExcludeRule, IndexParameters,
    TableForeignKey,
};
pub use extra::{EnumPlace, Extra, Grant, MoveColumn};
pub use index::{CreateIndex, IndexColumn, IndexMethod};
pub use operation::{Operation, RawSql, ReplicaIdentity};
pub use settings::{BackfillSettings, Checks, ContractSettings, LossyDown, Settings};

use crate::Ident;
use serde::{Deserialize, Serialize};

/// One migration: from one shape of the schema to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Migration {
    /// Its name, unique in a history: the name of its file without the ending.
    pub name: String,
    /// Name of the schema with the views of the new shape; the migration's name unless said.
    pub version_schema: Ident,
    /// What it changes, in order.
    pub operations: Vec<Operation>,
    /// What pgroll does not know.
    pub settings: Settings,
}
