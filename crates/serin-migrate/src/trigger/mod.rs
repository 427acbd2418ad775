//! The SQL of what holds two shapes of a table in step: one flag column and one trigger.
//!
//! The trigger works from what changed, never from what is there: a write that leaves the inputs
//! of a value alone leaves the value alone, so that neither version overwrites what the other
//! wrote. It fires after every trigger a user would name.

mod body;
mod expression;
#[cfg(test)]
mod tests;

pub(crate) use body::is_new;
pub(crate) use expression::{differs, row, value};

use crate::{Ident, Plan, TableSync, literal};
use body::function;
use std::collections::BTreeSet;

/// Which client is which: found by the schemas it looks its tables up in.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    /// The schema of the tables.
    pub schema: &'a Ident,
    /// Where old clients look first: their views, or the tables themselves.
    pub old: &'a Ident,
    /// The views of new clients.
    pub new: &'a Ident,
}

impl<'a> Sides<'a> {
    /// Those of a plan.
    pub fn of(plan: &'a Plan) -> Self {
        let old = plan.old_view.as_ref().unwrap_or(&plan.schema);
        Self { schema: &plan.schema, old, new: &plan.new_view }
    }
}

/// Statements that add the flag column and the trigger: one transaction, which may be run again.
/// From its commit on every row that is written has both shapes; rows from before have not.
pub fn create(sync: &TableSync, sides: Sides<'_>) -> Vec<String> {
    let (schema, table, done) = (sides.schema, &sync.table, &sync.done);
    let mut sql = vec![
        format!("ALTER TABLE {schema}.{table} ADD COLUMN IF NOT EXISTS {done} boolean"),
        format!("CREATE SEQUENCE IF NOT EXISTS serin.{}", sync.trigger),
        format!("GRANT USAGE ON SEQUENCE serin.{} TO PUBLIC", sync.trigger),
        function(sync, sides),
        trigger_on(sync, schema, table),
    ];
    sql.extend(always(sync, schema, table));
    for leaf in sync.leaves.iter().filter(|leaf| *leaf != table) {
        sql.push(trigger_on_child(sync, schema, leaf));
    }
    sql
}

/// Statements that take away what [`create`] made, whether or not it is there.
pub fn drop(sync: &TableSync, schema: &Ident) -> Vec<String> {
    let TableSync { table, trigger, done, .. } = sync;
    vec![
        format!("DROP FUNCTION IF EXISTS {schema}.{trigger}() CASCADE"),
        format!("DROP SEQUENCE IF EXISTS serin.{trigger}"),
        format!("ALTER TABLE IF EXISTS {schema}.{table} DROP COLUMN IF EXISTS {done}"),
    ]
}

fn trigger_on(sync: &TableSync, schema: &Ident, table: &Ident) -> String {
    let name = &sync.trigger;
    format!(
        "CREATE OR REPLACE TRIGGER {name} BEFORE INSERT OR UPDATE{} ON {schema}.{table} \
         FOR EACH ROW WHEN (pg_catalog.current_setting('serin.backfill', true) IS DISTINCT FROM 'on') \
         EXECUTE FUNCTION {schema}.{name}()",
        columns(sync),
    )
}

/// The columns whose mention in an update matters: an update that names none of them costs
/// next to nothing.
fn columns(sync: &TableSync) -> String {
    if sync.every_update {
        return String::new();
    }
    let derives = || sync.up.iter().chain(&sync.down);
    let inputs = derives().flat_map(|derive| &derive.inputs).map(|input| &input.physical);
    let all: BTreeSet<String> =
        derives().map(|derive| &derive.target).chain(inputs).map(ToString::to_string).collect();
    format!(" OF {}", all.into_iter().collect::<Vec<_>>().join(", "))
}

fn always(sync: &TableSync, schema: &Ident, table: &Ident) -> Option<String> {
    sync.always
        .then(|| format!("ALTER TABLE {schema}.{table} ENABLE ALWAYS TRIGGER {}", sync.trigger))
}

/// Partitions have the trigger of their parent, children by inheritance have not.
fn trigger_on_child(sync: &TableSync, schema: &Ident, child: &Ident) -> String {
    let found = format!(
        "SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = {}::regclass AND tgname = {}",
        literal(&format!("{schema}.{child}")),
        literal(sync.trigger.as_str()),
    );
    let mut then = format!("EXECUTE {};", literal(&trigger_on(sync, schema, child)));
    if let Some(always) = always(sync, schema, child) {
        then = format!("{then} EXECUTE {};", literal(&always));
    }
    let block = format!("BEGIN IF NOT EXISTS ({found}) THEN {then} END IF; END");
    format!("DO {}", quoted_block(&block))
}

/// A block in dollar quotes that do not occur in it.
fn quoted_block(block: &str) -> String {
    let mut tag = "$serin$".to_owned();
    while block.contains(&tag) {
        tag.insert(6, '_');
    }
    format!("{tag}{block}{tag}")
}
