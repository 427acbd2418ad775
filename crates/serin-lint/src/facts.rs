//! What a statement does, as far as a rule of ours asks.

use std::ops::Range;

/// Bytes of the SQL.
pub(crate) type Span = Range<usize>;

/// One thing a statement does. Tables are named without their schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    /// It changes rows that are there.
    Write { verb: Verb, table: String, bound: Bound, span: Span },
    /// A loop in an anonymous block.
    Loop { writes: bool, commits: bool },
    /// An anonymous block ends a transaction.
    CommitInBlock,
    /// It takes something away that clients may use.
    Destroys { what: &'static str, table: String, span: Span },
    /// It makes a table.
    CreatesTable { table: String },
    /// It makes an index that begins with a column.
    Index { table: String, column: String },
    /// It makes a foreign key that begins with a column.
    ForeignKey { table: String, column: String, span: Span },
    /// Row-level security is switched on.
    RowLevelSecurity { table: String },
    /// A policy is made.
    Policy { table: String },
    /// It uses a table in a way that a view does not allow.
    ViewUse { kind: ViewUse, table: String, span: Span },
}

/// How rows are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Update,
    Delete,
}

/// What keeps the number of rows small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Nothing: the whole table.
    None,
    /// A condition that may be true of any number of rows.
    Condition,
    /// A column has a certain value; few rows if it is a key.
    Value,
    /// A range or a limit.
    Batch,
}

/// A use of a table that fails or misleads when the table is a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ViewUse {
    CopyFrom,
    CopyTo,
    Merge,
    Truncate,
    OnConstraint,
    SystemColumn,
}
