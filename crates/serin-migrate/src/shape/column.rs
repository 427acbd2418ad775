//! One column of a shape.

use crate::catalog;
use crate::{Change, Ident};

/// A column, which keeps its place in the table's list through renames and copies.
#[derive(Debug, Clone)]
pub struct Column<'c> {
    /// Its name now.
    pub name: Ident,
    /// It is part of the new shape.
    pub live: bool,
    /// The column of the old shape that it comes from.
    pub old: Option<&'c catalog::Column>,
    /// What the migration says of it, when it is new.
    pub spec: Option<crate::Column>,
    /// Its type, as SQL.
    pub data_type: String,
    /// It may be empty.
    pub nullable: bool,
    /// Its default, as SQL.
    pub default: Option<String>,
    /// Its comment.
    pub comment: Option<String>,
    /// Columns made for it, in order; the last one holds its values while both shapes are in use.
    pub made: Vec<Made>,
    /// The operation that last moved or dropped it, and where its default is said.
    pub at: String,
    /// Where the document says its default.
    pub default_at: String,
}

/// A column that is made beside the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its name until the old shape is gone.
    pub physical: Ident,
    /// Its type, as SQL.
    pub data_type: String,
    /// Its collation, as SQL.
    pub collation: Option<String>,
    /// Where the document says the type.
    pub path: String,
    /// It is made with its default in place: no row is left to be filled in.
    pub instant: bool,
}

impl<'c> Column<'c> {
    /// One of the old shape.
    pub fn existing(old: &'c catalog::Column) -> Self {
        Self {
            name: old.name.clone(),
            live: true,
            old: Some(old),
            spec: None,
            data_type: old.data_type.clone(),
            nullable: !old.not_null,
            default: old.default.clone(),
            comment: old.comment.clone(),
            made: vec![],
            at: String::new(),
            default_at: String::new(),
        }
    }

    /// A new one.
    pub fn added(spec: &crate::Column) -> Self {
        Self {
            name: spec.name.clone(),
            live: true,
            old: None,
            data_type: spec.data_type.clone(),
            nullable: spec.nullable && !spec.primary_key,
            default: spec.default.clone(),
            comment: spec.comment.clone(),
            spec: Some(spec.clone()),
            made: vec![],
            at: String::new(),
            default_at: String::new(),
        }
    }

    /// The column that holds its values while both shapes are in use.
    pub fn physical(&self) -> &Ident {
        match (self.made.last(), self.old) {
            (Some(made), _) => &made.physical,
            (None, Some(old)) => &old.name,
            (None, None) => &self.name,
        }
    }

    /// Its values are not where they were in the old shape.
    pub fn is_moved(&self) -> bool {
        !self.made.is_empty()
    }

    /// The old column that is no longer used once the old shape is gone.
    pub fn left_behind(&self) -> Option<&'c catalog::Column> {
        self.old.filter(|_| self.is_moved() || !self.live)
    }

    /// It is a generated column.
    pub fn is_generated(&self) -> bool {
        let spec = self.spec.as_ref().and_then(|spec| spec.generated.as_ref());
        self.old.is_some_and(|old| old.expression.is_some())
            || matches!(spec, Some(crate::Generated::Expression(_)))
    }

    /// It numbers its rows itself.
    pub fn is_identity(&self) -> bool {
        let spec = self.spec.as_ref().and_then(|spec| spec.generated.as_ref());
        self.old.is_some_and(|old| !old.identity.is_empty())
            || matches!(spec, Some(crate::Generated::Identity(_)))
    }

    /// Gives it a new default, or none.
    pub fn set_default(&mut self, change: &Change<String>) {
        self.default = set(change);
        if let Some(spec) = &mut self.spec {
            spec.default.clone_from(&self.default);
        }
    }

    /// Gives it a new comment, or none.
    pub fn set_comment(&mut self, change: &Change<String>) {
        self.comment = set(change);
    }
}

fn set(change: &Change<String>) -> Option<String> {
    match change {
        Change::Set(value) => Some(value.clone()),
        Change::Drop => None,
    }
}
