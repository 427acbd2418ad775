//! The database as it is: what its catalogue says of one schema, as plain data.

mod read;
mod table;

pub use read::{CatalogError, read};
pub use table::{
    Column, Constraint, Dependent, FarSide, Grant, Index, Leaf, Policy, Referenced, Sequence,
    Table, Trigger,
};

use crate::Ident;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Prefix of everything of ours that lives beside what users made.
pub(crate) const OURS: &str = "_serin_";

/// One schema of a database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// The schema.
    pub schema: Ident,
    /// The server and who is asking it.
    pub server: Server,
    /// Its tables, by name.
    pub tables: Vec<Table>,
}

/// The server, and what the connected role may do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// Version as a number: 15.18 is 150018.
    pub version: u32,
    /// The connected role.
    pub user: Ident,
    /// The database.
    pub database: Ident,
    /// The schema is there.
    pub schema_exists: bool,
    /// The role may make schemas in the database.
    pub creates_schemas: bool,
    /// The role may make tables in the schema.
    pub creates_tables: bool,
    /// All schemas of the database.
    pub schemas: Vec<Ident>,
    /// Privileges on the schema.
    pub schema_acl: Vec<Grant>,
    /// Privileges that a new table of this role has from the start.
    pub default_acl: Vec<Grant>,
    /// Everything in the schema that has a name among tables, indexes, views and sequences, with
    /// its kind as in `pg_class.relkind`.
    pub relations: BTreeMap<String, String>,
    /// Enumerations of the schema with their values in order.
    pub enums: BTreeMap<String, Vec<String>>,
    /// Other types of the schema.
    pub types: Vec<String>,
    /// Roles of the cluster.
    pub roles: Vec<Ident>,
    /// Views of schemas whose names begin as those of versions do.
    pub views: Vec<View>,
}

/// A view of another schema, one of a version perhaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Its schema.
    pub schema: Ident,
    /// Its name.
    pub name: Ident,
    /// Its columns, in order.
    pub columns: Vec<Ident>,
    /// Its comment.
    pub comment: Option<String>,
    /// Its privileges.
    pub acl: Vec<Grant>,
}

impl Catalog {
    /// A table by its name; what was hidden is none.
    pub fn table(&self, name: &Ident) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == *name && !is_ours(name))
    }

    /// Tables that users know.
    pub fn user_tables(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter().filter(|table| !is_ours(&table.name))
    }

    /// Whether a table, index, view or sequence of this name is there.
    pub fn is_taken(&self, name: &Ident) -> bool {
        self.server.relations.contains_key(name.as_str())
    }

    /// The server's major version, such as 15.
    pub fn major(&self) -> u32 {
        self.server.version / 10_000
    }
}

/// Whether a name is one of ours.
pub(crate) fn is_ours(name: &Ident) -> bool {
    name.as_str().starts_with(OURS)
}
