//! Steps of a migration: what is done to the database, in which order, and what takes it back.

use super::{Key, TableSync};
use crate::{Flaw, Ident, Migration, Operation};
use serde::{Deserialize, Serialize};

/// A migration against one database as it is: all that will be run. Kept in the database when the
/// migration starts, so that whoever goes on with it does what was planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The migration it was made from.
    pub migration: Migration,
    /// The schema whose tables change.
    pub schema: Ident,
    /// The schema of views that old clients use; `None` when they use the tables themselves.
    pub old_view: Option<Ident>,
    /// The schema of views that new clients use.
    pub new_view: Ident,
    /// Tables it touches, as they are named before it starts: what foreign changes are looked for
    /// in, and whose sizes are told.
    pub tables: Vec<Ident>,
    /// What is held in step while both shapes are in use, at most one a table.
    pub syncs: Vec<TableSync>,
    /// From nothing to both shapes in use: expand, backfill, verify, publish.
    pub forward: Vec<Step>,
    /// From both shapes to the new one alone: validate, swap, and after the grace time the drop of
    /// what was hidden.
    pub contract: Vec<Step>,
    /// From anywhere before the swap back to the old shape. Each step can be run whether or not
    /// what it undoes was ever done, but for the `down` of an operation `sql`, which is as its
    /// author wrote it and is run once.
    pub back: Vec<Step>,
    /// What is worth knowing and refuses nothing.
    pub warnings: Vec<Flaw>,
}

/// One step: done or not done, never half, except where its action says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Where it belongs.
    pub stage: Stage,
    /// What it does, for people: `add column _serin_new_total to orders`.
    pub title: String,
    /// How.
    pub action: Action,
}

/// The stages in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// New columns, tables, triggers, indexes beside what is there.
    Expand,
    /// Rows that are there get their new values.
    Backfill,
    /// Nothing is left over and every new rule holds.
    Verify,
    /// The new views are there, with their privileges.
    Publish,
    /// Slow proofs that lock little.
    Validate,
    /// One short transaction: the old shape is gone.
    Swap,
    /// What was hidden is dropped.
    Grace,
    /// The new views are gone.
    Unpublish,
    /// What the old shape cannot hold is put aside.
    Salvage,
    /// What was added is dropped.
    Revert,
}

/// How a step is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Action {
    /// Statements that are one transaction together with the note that they are done.
    Transaction {
        /// The statements, in order.
        sql: Vec<String>,
        /// Physical tables whose locks they take: who holds them for long is waited for.
        tables: Vec<Ident>,
    },
    /// `CREATE INDEX CONCURRENTLY`: outside a transaction; an invalid index that is found is
    /// dropped and built again.
    IndexConcurrently {
        /// The statement, with the name of the index in it.
        create: String,
        /// The index.
        index: Ident,
        /// The physical table.
        table: Ident,
        /// A query that tells the rows in the way of a unique index as one column of text:
        /// `users: id=3, id=9: email=same`. `None` for one that is not unique, or is over an
        /// expression.
        #[serde(default)]
        same: Option<String>,
    },
    /// `DROP INDEX CONCURRENTLY IF EXISTS`.
    DropIndexConcurrently {
        /// The index.
        index: Ident,
        /// The table it belongs to.
        table: Ident,
    },
    /// The rows of a table that are there are filled in, batch by batch.
    Backfill {
        /// Which of [`Plan::syncs`].
        sync: usize,
    },
    /// Rows of a table are updated batch by batch in the order of their key, without a trigger of
    /// ours: what phased SQL asks for with `batch`.
    Fill(Fill),
    /// No row of the table is left to be filled in.
    AllDone {
        /// Which of [`Plan::syncs`].
        sync: usize,
    },
    /// Rows that would break a rule of the new shape are looked for, and told by their keys.
    Violations {
        /// The rule, as it is told: `NOT NULL of orders.total`.
        rule: String,
        /// A query that gives the key and the offending values of such rows as one column of
        /// text, `"id"=7, "total"=NULL`. The runner puts `LIMIT` behind it.
        query: String,
    },
    /// A question of the migration's own: `checks`.
    Check {
        /// SQL whose one row begins with true, or it is a no.
        sql: String,
    },
    /// New values that the old shape cannot hold are copied aside before they are dropped.
    Salvage {
        /// Which of [`Plan::syncs`].
        sync: usize,
    },
    /// Values that an earlier way back put aside are given back to rows whose inputs are the same.
    Restore {
        /// Which of [`Plan::syncs`].
        sync: usize,
    },
}

/// An update of many rows, batch by batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// The table.
    pub table: Ident,
    /// How its rows are walked through.
    pub key: Key,
    /// What stands behind `SET`, as SQL.
    pub set: String,
    /// Rows it is for, as SQL; all unless said.
    pub filter: Option<String>,
}

/// What a step is called that runs the `up` of an operation `sql`.
pub(crate) const OWN_UP: &str = "run SQL of the migration";

/// What a step is called that runs the `down` of an operation `sql`.
pub(crate) const OWN_DOWN: &str = "run SQL of the migration that takes it back";

impl Plan {
    /// The steps of the way back that can be run twice: not the `down` of an operation `sql`. That
    /// and the note that it is done are one transaction, so that it never is.
    pub fn back_again(&self) -> Vec<Step> {
        self.back.iter().filter(|step| step.title != OWN_DOWN).cloned().collect()
    }

    /// Where SQL of the author stands that is run at the start and says no way back.
    pub fn without_way_back(&self) -> Vec<String> {
        let all = self.migration.operations.iter().enumerate();
        let one_way = all.filter(|(_, operation)| match operation {
            Operation::Sql(sql) => !sql.on_complete && sql.down.is_none(),
            _ => false,
        });
        one_way.map(|(at, _)| format!("operations[{at}].sql")).collect()
    }
}

impl Action {
    /// Statements as one transaction.
    pub fn transaction(sql: Vec<String>, tables: Vec<Ident>) -> Self {
        Self::Transaction { sql, tables }
    }
}
