//! Constraints and indexes that are new, or made anew on columns that moved.

use crate::{Deferral, Ident};

/// A constraint to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Where the document asks for it.
    pub path: String,
    /// Its name in the new shape.
    pub name: Ident,
    /// Its name while both shapes are in use.
    pub held: Ident,
    /// The constraint of the old shape that it takes the place of.
    pub replaces: Option<Ident>,
    /// What it demands.
    pub kind: RuleKind,
    /// When it is checked.
    pub deferral: Deferral,
    /// Its comment.
    pub comment: Option<String>,
}

/// What a constraint demands. Columns are places in the table's list.
#[derive(Debug, Clone, PartialEq)]
pub enum RuleKind {
    /// A condition.
    Check {
        /// The condition.
        condition: Text,
        /// Tables that inherit do not get it.
        no_inherit: bool,
    },
    /// No value twice.
    Unique(Unique),
    /// Made together with its table, as SQL.
    Inline {
        /// The SQL.
        sql: String,
        /// The columns that tell rows apart by it, and whether it is the primary key.
        columns: Option<(bool, Vec<usize>)>,
    },
    /// A reference.
    ForeignKey {
        /// The columns.
        columns: Vec<usize>,
        /// What they refer to.
        far: Far,
    },
}

/// A unique constraint or primary key.
#[derive(Debug, Clone, PartialEq)]
pub struct Unique {
    /// The columns.
    pub columns: Vec<usize>,
    /// It is the primary key.
    pub primary: bool,
    /// Its index, behind the table's name.
    pub tail: Text,
    /// Where its index lies.
    pub tablespace: Option<Ident>,
}

/// What a reference refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// A table of the schema.
    Here {
        /// Its place.
        table: usize,
        /// Places of its columns.
        columns: Vec<usize>,
    },
    /// A table of another schema, as SQL with its columns.
    Elsewhere(String),
}

/// The far side of a reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Far {
    /// What it refers to.
    pub end: End,
    /// What follows in SQL: ` MATCH FULL ON DELETE CASCADE`.
    pub actions: String,
    /// Columns of this side that are set when the row there goes; all when empty.
    pub set_on_delete: Vec<usize>,
    /// What happens when the row there goes, as SQL: `SET NULL`.
    pub on_delete: Option<String>,
}

/// SQL that names columns by the names they had where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The SQL.
    pub sql: String,
    /// Names in it, and the places of their columns.
    pub scope: Vec<(Ident, usize)>,
    /// The table's name in it.
    pub table: Ident,
    /// The same with the names that hold the values while both shapes are in use: the server's
    /// answer.
    pub physical: Option<String>,
}

impl Text {
    /// SQL that was not yet looked at.
    pub fn new(sql: impl Into<String>, table: &Ident, scope: Vec<(Ident, usize)>) -> Self {
        Self { sql: sql.into(), scope, table: table.clone(), physical: None }
    }

    /// As it is to be run.
    pub fn as_run(&self) -> &str {
        self.physical.as_deref().unwrap_or(&self.sql)
    }
}

/// An index to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIndex {
    /// Where the document asks for it.
    pub path: String,
    /// Its name in the new shape.
    pub name: Ident,
    /// Its name while both shapes are in use.
    pub held: Ident,
    /// The index of the old shape that it takes the place of.
    pub replaces: Option<Ident>,
    /// No two rows have the same values.
    pub unique: bool,
    /// Its columns, for telling rows that stand in its way.
    pub columns: Vec<usize>,
    /// All of it behind the table's name.
    pub tail: Text,
    /// Its comment.
    pub comment: Option<String>,
}
