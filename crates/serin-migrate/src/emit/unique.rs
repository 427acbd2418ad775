//! Unique indexes become constraints.

use super::{Context, create::deferral, indexes};
use crate::shape::{Rule, Table, Unique, hashed};

/// Statements that make constraints of the indexes that were built for one. Columns have their
/// last names.
pub fn attach(
    context: &Context<'_>,
    table: &Table<'_>,
    rule: &Rule,
    unique: &Unique,
) -> Vec<String> {
    let kind = if unique.primary { "PRIMARY KEY" } else { "UNIQUE" };
    let (on, name, when) = (context.of(&table.physical), &rule.name, deferral(rule.deferral));
    if !table.is_partitioned() {
        let held = &rule.held;
        return vec![format!(
            "ALTER TABLE {on} ADD CONSTRAINT {name} {kind} USING INDEX {held}{when}"
        )];
    }
    // The parts first: the whole finds them and builds nothing.
    let parts = indexes::leaves(context, table, &rule.held).into_iter().map(|(index, leaf)| {
        let readable = format!("{}_{}", leaf.as_str(), name.as_str());
        let part = hashed("", &readable, &["_serin_part", leaf.as_str(), name.as_str()]);
        let on = context.of(&leaf);
        format!("ALTER TABLE {on} ADD CONSTRAINT {part} {kind} USING INDEX {index}{when}")
    });
    let columns: Vec<String> =
        unique.columns.iter().map(|at| table.columns[*at].name.to_string()).collect();
    let whole =
        format!("ALTER TABLE {on} ADD CONSTRAINT {name} {kind} ({}){when}", columns.join(", "));
    parts.chain([whole]).collect()
}
