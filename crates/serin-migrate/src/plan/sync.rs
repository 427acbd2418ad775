//! What holds the two shapes of a table in step while both are in use.

use crate::{Ident, LossyDown};
use serde::{Deserialize, Serialize};

/// One table's trigger and backfill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSync {
    /// The physical table.
    pub table: Ident,
    /// Tables that hold its rows when it is partitioned or has children, itself first.
    pub leaves: Vec<Ident>,
    /// How a row is found again.
    pub key: Key,
    /// New values from old ones: written when an old client writes, and by the backfill. In this
    /// order; a later one may read what an earlier one wrote.
    pub up: Vec<Derive>,
    /// Old values from new ones: written when a new client writes.
    pub down: Vec<Derive>,
    /// The flag column that says a row's new values are there: boolean, NULL until then.
    pub done: Ident,
    /// The trigger's and the function's name; sorts behind every name a user would choose.
    pub trigger: Ident,
    /// The trigger looks at every update, not only at those that name its columns: somebody
    /// else's trigger may write one of its inputs.
    pub every_update: bool,
    /// It fires for rows that logical replication brings, too.
    pub always: bool,
    /// What becomes of a value that the old shape cannot hold.
    pub lossy: LossyDown,
    /// Nothing is held in step, there is no trigger and no flag: the columns of `up` have their
    /// defaults from the start, and what new clients write there is only put aside on the way
    /// back, and given back.
    #[serde(default)]
    pub passive: bool,
}

impl TableSync {
    /// What values put aside on a way back are of. Only where all of it is the same are they given
    /// back: another type could not hold them, and beside another expression they would mean
    /// something else.
    pub(crate) fn aside_of(&self) -> String {
        let key = match &self.key {
            Key::Columns { columns } => columns.iter().map(|(name, _)| name.to_string()).collect(),
            Key::Place => vec![],
        };
        let inputs = self.inputs_aside().into_iter().map(|input| input.physical.to_string());
        let target = |derive: &Derive| {
            let of = format!("{} {}", derive.target, derive.data_type);
            if self.passive { of } else { format!("{of} = {}", derive.expression) }
        };
        let all: Vec<String> =
            key.into_iter().chain(inputs).chain(self.up.iter().map(target)).collect();
        all.join(", ")
    }

    /// What the new values are worked out from, but for new values themselves; in an order that
    /// does not change.
    pub(crate) fn inputs_aside(&self) -> Vec<&Input> {
        let is_new = |name: &Ident| self.up.iter().any(|derive| derive.target == *name);
        let mut inputs: Vec<&Input> = self.up.iter().flat_map(|derive| &derive.inputs).collect();
        inputs.retain(|input| !is_new(&input.physical));
        inputs.sort_by_key(|input| &input.physical);
        inputs.dedup_by_key(|input| &input.physical);
        inputs
    }
}

/// How a row is found again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Key {
    /// By unique columns that are never NULL, with their types.
    Columns {
        /// Name and type, in the order of the index.
        columns: Vec<(Ident, String)>,
    },
    /// By its place in the file: the table has no such columns.
    Place,
}

/// One value worked out from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Derive {
    /// The physical column that gets the value.
    pub target: Ident,
    /// Its type, as SQL.
    pub data_type: String,
    /// SQL over the logical names of `inputs`.
    pub expression: String,
    /// The logical table that the expression sees, by which names may be qualified.
    pub scope: Ident,
    /// Columns the expression reads, found by the server.
    pub inputs: Vec<Input>,
    /// It gives something else each time (`now()`, `nextval`): worked out once, never again.
    pub volatile: bool,
    /// It reads other tables; a change there does not come here.
    pub reads_others: bool,
    /// The search path that it needs, whoever writes: it names tables, functions or types that
    /// are not the server's own. `None` where it names none.
    #[serde(default)]
    pub path: Option<String>,
}

impl Derive {
    /// The value is that of a column that is moved here from another table: a change there comes
    /// here, too.
    pub fn is_moved(&self) -> bool {
        self.expression.starts_with(MOVED)
    }
}

/// How the expression of a column that is moved begins.
pub(crate) const MOVED: &str = "SELECT _serin_from.";

/// A column that an expression reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Its name in the expression.
    pub logical: Ident,
    /// The column that holds it.
    pub physical: Ident,
    /// Its type, as SQL.
    pub data_type: String,
}
