//! One table of the catalogue.

#![allow(clippy::struct_excessive_bools, reason = "the catalogue's own flags")]

use super::is_ours;
use crate::{Ident, Key};
use serde::{Deserialize, Serialize};

/// One table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: Ident,
    /// It is split into partitions.
    pub partitioned: bool,
    /// It is a partition of another table.
    pub is_partition: bool,
    /// Tables it inherits from, the partitioned one among them.
    pub parents: Vec<Ident>,
    /// Tables below it that hold rows, at any depth.
    pub leaves: Vec<Leaf>,
    /// Columns that say which partition a row belongs to.
    pub partition_columns: Vec<Ident>,
    /// The role that owns it.
    pub owner: Ident,
    /// The connected role may do what the owner may.
    pub owned: bool,
    /// Row level security is on.
    pub row_security: bool,
    /// `d`, `n`, `f` or `i`, as in `pg_class.relreplident`.
    pub replica_identity: String,
    /// A subscription of logical replication writes to it.
    pub subscribed: bool,
    /// Its comment.
    pub comment: Option<String>,
    /// Its privileges, those of its owner among them.
    pub acl: Vec<Grant>,
    /// Rows, as the planner estimates them.
    pub rows: i64,
    /// Columns that it has or ever had: those that went count against its limit, too.
    pub attributes: usize,
    /// Bytes of its main file, as the planner knows them.
    pub bytes: i64,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Its constraints.
    pub constraints: Vec<Constraint>,
    /// Its indexes.
    pub indexes: Vec<Index>,
    /// Its triggers that users made.
    pub triggers: Vec<Trigger>,
    /// Its policies of row level security.
    pub policies: Vec<Policy>,
    /// Views and materialised views that read it.
    pub dependents: Vec<Dependent>,
    /// Extended statistics with their columns; all of one as SQL stands in `using`.
    pub statistics: Vec<Policy>,
    /// Foreign keys of tables in other schemas that refer to it.
    pub referenced: Vec<Referenced>,
}

/// A foreign key of a table in another schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referenced {
    /// That table, as SQL.
    pub table: String,
    /// Its name.
    pub name: Ident,
    /// Columns here that it refers to.
    pub columns: Vec<Ident>,
}

/// A table that holds rows of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// Its schema.
    pub schema: Ident,
    /// Its name.
    pub name: Ident,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: Ident,
    /// Its type, as SQL.
    pub data_type: String,
    /// It cannot be empty.
    pub not_null: bool,
    /// Its default, as SQL.
    pub default: Option<String>,
    /// What it is worked out from, when it is a generated column.
    pub expression: Option<String>,
    /// `a` or `d` for an identity, as in `pg_attribute.attidentity`; empty for none.
    pub identity: String,
    /// Its collation, when it is not the type's own, as SQL.
    pub collation: Option<String>,
    /// Its comment.
    pub comment: Option<String>,
    /// Privileges on it alone.
    pub acl: Vec<Grant>,
    /// The sequence that belongs to it.
    pub sequence: Option<Sequence>,
    /// It comes from a table above.
    pub inherited: bool,
    /// Columns of the same table that its expression reads.
    pub reads: Vec<Ident>,
}

/// A sequence that belongs to a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// Its schema.
    pub schema: Ident,
    /// Its name.
    pub name: Ident,
    /// Its type: `integer`.
    pub data_type: String,
    /// First value.
    pub start: i64,
    /// Step.
    pub increment: i64,
    /// Largest value.
    pub max: i64,
    /// Least value.
    pub min: i64,
    /// Values handed out at once.
    pub cache: i64,
    /// It starts again at its end.
    pub cycle: bool,
    /// Its privileges.
    pub acl: Vec<Grant>,
}

/// A privilege of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The role; `None` for everybody.
    pub grantee: Option<Ident>,
    /// The privilege: `SELECT`.
    pub privilege: String,
    /// The role may hand it on.
    pub grantable: bool,
}

/// One constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constraint {
    /// Its name.
    pub name: Ident,
    /// `c`, `f`, `p`, `u` or `x`, as in `pg_constraint.contype`.
    pub kind: String,
    /// Columns it speaks of.
    pub columns: Vec<Ident>,
    /// All of it, as SQL.
    pub definition: String,
    /// The condition of a check, as SQL.
    pub condition: Option<String>,
    /// Rows that are there were looked at.
    pub validated: bool,
    /// It can be checked at the end of a transaction.
    pub deferrable: bool,
    /// It is, unless said.
    pub deferred: bool,
    /// Tables that inherit do not have it.
    pub no_inherit: bool,
    /// It comes from a table above.
    pub inherited: bool,
    /// Its index.
    pub index: Option<Ident>,
    /// What a foreign key refers to.
    pub references: Option<FarSide>,
    /// Its comment.
    pub comment: Option<String>,
}

/// What a foreign key refers to, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FarSide {
    /// Schema of the table.
    pub schema: Ident,
    /// The table.
    pub table: Ident,
    /// Its columns.
    pub columns: Vec<Ident>,
    /// `s`, `f` or `p`, as in `pg_constraint.confmatchtype`.
    pub match_type: String,
    /// `a`, `r`, `c`, `n` or `d`, as in `pg_constraint.confupdtype`.
    pub on_update: String,
    /// The same for the row that goes.
    pub on_delete: String,
    /// Columns that are set then; all when empty.
    pub on_delete_set: Vec<Ident>,
}

/// One index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its name.
    pub name: Ident,
    /// No two rows have the same values.
    pub unique: bool,
    /// It is finished and used.
    pub valid: bool,
    /// It is checked with each statement.
    pub immediate: bool,
    /// The constraint it belongs to.
    pub constraint: Option<Ident>,
    /// Its key columns in order; `None` for an expression.
    pub keys: Vec<Option<Ident>>,
    /// Every column it uses, in keys, expressions, condition, and beside them.
    pub uses: Vec<Ident>,
    /// It has a condition.
    pub partial: bool,
    /// All of it behind the table's name, as SQL: ` USING btree (id)`.
    pub tail: String,
    /// It is part of an index of a table above.
    pub inherited: bool,
    /// It says which rows change, in the write-ahead log.
    pub replica_identity: bool,
    /// Its comment.
    pub comment: Option<String>,
}

/// One trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its name.
    pub name: Ident,
    /// All of it, as SQL.
    pub definition: String,
    /// It sees each row before it is written.
    pub before_row: bool,
    /// `O`, `D`, `R` or `A`, as in `pg_trigger.tgenabled`.
    pub enabled: String,
    /// Columns it names.
    pub columns: Vec<Ident>,
}

/// One policy of row level security, or one object of extended statistics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: Ident,
    /// Which rows are seen, as SQL.
    pub using: Option<String>,
    /// Which rows may be written, as SQL.
    pub check: Option<String>,
    /// Columns it names.
    pub columns: Vec<Ident>,
}

/// A view that reads a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependent {
    /// Its schema.
    pub schema: Ident,
    /// Its name.
    pub name: Ident,
    /// `v` or `m`, as in `pg_class.relkind`.
    pub kind: String,
    /// Columns it reads.
    pub columns: Vec<Ident>,
}

impl Table {
    /// A column by its name; what was hidden is none.
    pub fn column(&self, name: &Ident) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == *name && !is_ours(name))
    }

    /// Columns that users know.
    pub fn user_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !is_ours(&column.name))
    }

    /// A constraint by its name.
    pub fn constraint(&self, name: &Ident) -> Option<&Constraint> {
        self.constraints.iter().find(|constraint| constraint.name == *name)
    }

    /// Its primary key.
    pub fn primary_key(&self) -> Option<&Constraint> {
        self.constraints.iter().find(|constraint| constraint.kind == "p")
    }

    /// How its rows are found again: by the primary key, else by another unique index whose
    /// columns are never empty.
    pub fn key(&self) -> Key {
        let primary = self.primary_key().and_then(|key| key.index.as_ref());
        let first = self.indexes.iter().find(|index| Some(&index.name) == primary);
        let found = first.into_iter().chain(&self.indexes).find_map(|index| self.key_of(index));
        found.map_or(Key::Place, |columns| Key::Columns { columns })
    }

    fn key_of(&self, index: &Index) -> Option<Vec<(Ident, String)>> {
        if !index.unique || !index.valid || !index.immediate || index.partial {
            return None;
        }
        let column = |key: &Option<Ident>| {
            let column = self.column(key.as_ref()?)?;
            column.not_null.then(|| (column.name.clone(), column.data_type.clone()))
        };
        index.keys.iter().map(column).collect()
    }

    /// Whether one of its unique indexes or its primary key has exactly these columns.
    pub fn is_unique(&self, columns: &[Ident]) -> bool {
        let same = |index: &Index| {
            let mut keys: Vec<&Ident> = index.keys.iter().flatten().collect();
            let mut wanted: Vec<&Ident> = columns.iter().collect();
            keys.sort();
            wanted.sort();
            keys.len() == index.keys.len() && keys == wanted
        };
        let usable = |index: &&Index| index.unique && index.immediate && !index.partial;
        self.indexes.iter().filter(usable).any(same)
    }
}
