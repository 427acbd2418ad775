//! The shape a schema will have: the catalogue, changed by one operation after the other, without
//! a database. What each new value is worked out from and which rules are to hold is noted on the
//! way; what the database must be asked about is asked later.

mod column;
mod extra;
mod names;
mod rule;
mod settle;
mod table;

pub use column::{Column, Made};
pub use extra::{Cross, NewView};
pub use names::{Names, gone_column, gone_table, hashed, short};
pub use rule::{End, Far, NewIndex, Rule, RuleKind, Text, Unique};
pub use settle::settle;
pub use table::{Pending, Table, Visible};

use crate::{Catalog, EnumPlace, Flaw, Ident, RawSql, ReplicaIdentity};
use std::collections::BTreeSet;

/// A sequence that numbers the rows of a table that was there.
#[derive(Debug, Clone)]
pub struct NewSequence {
    /// Its name.
    pub name: Ident,
    /// Type of its numbers.
    pub data_type: &'static str,
    /// Place of the table.
    pub table: usize,
    /// The column that gets the numbers, as it is called while both shapes are in use.
    pub column: Ident,
}

/// A schema on its way from the old shape to the new one.
pub struct Shape<'c> {
    /// The old shape.
    pub catalog: &'c Catalog,
    /// The views that old clients use.
    pub old_view: Option<&'c Ident>,
    /// All tables, those that went too; a table keeps its place.
    pub tables: Vec<Table<'c>>,
    /// Indexes that go.
    pub dropped_indexes: BTreeSet<Ident>,
    /// What the write-ahead log is to hold, by place of the table.
    pub identities: Vec<(usize, ReplicaIdentity)>,
    /// SQL as it stands.
    pub sql: Vec<RawSql>,
    /// New enumerations with their values.
    pub enums: Vec<(Ident, Vec<String>)>,
    /// Sequences of new columns in tables that were there.
    pub sequences: Vec<NewSequence>,
    /// New values of enumerations, and where they come.
    pub enum_values: Vec<(Ident, String, Option<EnumPlace>)>,
    /// Views over several tables.
    pub views: Vec<NewView>,
    /// New privileges.
    pub grants: Vec<crate::Grant>,
    /// Columns that move to other tables.
    pub crosses: Vec<Cross>,
    /// Names that are taken.
    pub names: Names,
    /// What is wrong.
    pub flaws: Vec<Flaw>,
    /// What is worth knowing.
    pub warnings: Vec<Flaw>,
    /// The operation that is being looked at: `operations[0].add_column`.
    pub at: String,
}

impl<'c> Shape<'c> {
    /// The old shape, nothing changed yet.
    pub fn new(catalog: &'c Catalog, old_view: Option<&'c Ident>) -> Self {
        Self {
            catalog,
            old_view,
            tables: catalog
                .user_tables()
                .map(|table| Table::existing(table, order(catalog, old_view, table)))
                .collect(),
            dropped_indexes: BTreeSet::new(),
            identities: vec![],
            sql: vec![],
            enums: vec![],
            sequences: vec![],
            enum_values: vec![],
            views: vec![],
            grants: vec![],
            crosses: vec![],
            names: Names::of(catalog),
            flaws: vec![],
            warnings: vec![],
            at: String::new(),
        }
    }

    /// Where `key` of the operation stands.
    pub fn path(&self, key: &str) -> String {
        format!("{}.{key}", self.at)
    }

    /// Notes a flaw at `key` of the operation.
    pub fn flaw(&mut self, key: &str, message: impl Into<String>) {
        self.flaws.push(Flaw::new(self.path(key), message));
    }

    /// Notes a flaw with one thing to do.
    pub fn flaw_with(&mut self, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.flaws.push(Flaw::new(self.path(key), message).hint(hint));
    }

    /// The place of a table that is there.
    pub fn find(&self, name: &Ident) -> Option<usize> {
        self.tables.iter().position(|table| table.live && table.name == *name)
    }

    /// The place of a table that the operation changes; a flaw when it is not there or cannot be
    /// changed.
    pub fn table(&mut self, key: &str, name: &Ident) -> Option<usize> {
        let at = self.known_table(key, name)?;
        if let Some(flaw) = self.tables[at].unfit(self.catalog, &self.path(key)) {
            if !self.flaws.contains(&flaw) {
                self.flaws.push(flaw);
            }
            return None;
        }
        self.tables[at].touched = true;
        Some(at)
    }

    /// The place of a table that the operation names; a flaw when it is not there.
    pub fn known_table(&mut self, key: &str, name: &Ident) -> Option<usize> {
        let found = self.find(name);
        if found.is_none() {
            let message = format!(
                "there is no table {name} in schema {}{}",
                self.catalog.schema,
                because(self, name)
            );
            let known = self.tables.iter().filter(|table| table.live);
            let known: Vec<&str> = known.map(|table| table.name.as_str()).collect();
            let flaw = Flaw::new(self.path(key), message).nearest(name.as_str(), known);
            self.flaws.push(flaw);
        }
        found
    }

    /// The place of a column of a table; a flaw when it is not there.
    pub fn column(&mut self, key: &str, table: usize, name: &Ident) -> Option<usize> {
        let found = self.tables[table].find(name);
        if found.is_none() {
            let of = &self.tables[table];
            let message = format!("table {} has no column {name}", of.name);
            let known: Vec<&str> = of.live().map(|column| column.name.as_str()).collect();
            let flaw = Flaw::new(self.path(key), message).nearest(name.as_str(), known);
            self.flaws.push(flaw);
        }
        found
    }

    /// The places of several columns.
    pub fn columns(&mut self, key: &str, table: usize, names: &[Ident]) -> Option<Vec<usize>> {
        let found: Vec<Option<usize>> =
            names.iter().map(|name| self.column(key, table, name)).collect();
        found.into_iter().collect()
    }

    /// A flaw when a name is one of ours.
    pub fn usable(&mut self, key: &str, name: &Ident) -> bool {
        let ours = crate::catalog::is_ours(name);
        if ours {
            self.flaw(key, format!("names that begin with `_serin_` are Serin's own: {name}"));
        }
        !ours
    }

    /// A flaw when a table, index, view or sequence of that name is there and stays.
    pub fn free(&mut self, key: &str, name: &Ident) -> bool {
        if !self.usable(key, name) {
            return false;
        }
        if self.names.is_taken(name) {
            let message = format!("schema {} has {name} already", self.catalog.schema);
            self.flaw_with(key, message, "choose another name, or drop that one first");
            return false;
        }
        true
    }
}

/// The order in which clients see the columns of a table now.
fn order<'c>(
    catalog: &'c Catalog,
    old_view: Option<&Ident>,
    table: &crate::catalog::Table,
) -> &'c [Ident] {
    let views = catalog.server.views.iter();
    let of =
        |view: &&crate::catalog::View| Some(&view.schema) == old_view && view.name == table.name;
    views.filter(of).map(|view| view.columns.as_slice()).next().unwrap_or_default()
}

/// Why a name that was known once is not any more.
fn because(shape: &Shape<'_>, name: &Ident) -> String {
    let renamed = shape.tables.iter().find(|table| table.live && table.physical == *name);
    if let Some(table) = renamed {
        return format!(": an operation before this one renames it to {}", table.name);
    }
    let dropped = shape.tables.iter().any(|table| !table.live && table.name == *name);
    if dropped {
        return ": an operation before this one drops it".into();
    }
    match shape.catalog.server.relations.get(name.as_str()).map(String::as_str) {
        Some("v") => ": it is a view".into(),
        Some("m") => ": it is a materialised view".into(),
        Some("f") => ": it is a foreign table".into(),
        _ => String::new(),
    }
}
