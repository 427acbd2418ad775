//! What a column or table is set to, once the old shape is gone.

use super::{Context, needs_proof, proof};
use crate::shape::{Column, Table};
use crate::{Ident, ReplicaIdentity, literal};

/// Defaults, NOT NULL and comments of a table's columns, which have their new names by now.
pub fn columns(context: &Context<'_>, table: &Table<'_>) -> Vec<String> {
    let on = context.of(&table.physical);
    let mut parts = vec![];
    for column in table.live() {
        parts.extend(default(column));
        parts.extend(null(table, column));
    }
    let mut sql = vec![];
    if !parts.is_empty() {
        sql.push(format!("ALTER TABLE {on} {}", parts.join(", ")));
    }
    let proofs: Vec<String> = table
        .columns
        .iter()
        .filter(|column| needs_proof(table, column))
        .map(|column| format!("DROP CONSTRAINT {}", proof(table, column)))
        .collect();
    if !proofs.is_empty() {
        sql.push(format!("ALTER TABLE {on} {}", proofs.join(", ")));
    }
    sql.extend(table.live().filter_map(|column| comment(&on, column)));
    sql
}

fn default(column: &Column<'_>) -> Option<String> {
    let now = column.made.last().and_then(|made| {
        // Made with its default, and still has it.
        (made.instant && column.old.is_none()).then(|| column.default.clone())
    });
    let now = now.unwrap_or_else(|| {
        column.old.filter(|_| !column.is_moved()).and_then(|old| old.default.clone())
    });
    if now == column.default {
        return None;
    }
    let name = &column.name;
    Some(match &column.default {
        Some(default) => format!("ALTER COLUMN {name} SET DEFAULT {default}"),
        None => format!("ALTER COLUMN {name} DROP DEFAULT"),
    })
}

fn null(table: &Table<'_>, column: &Column<'_>) -> Option<String> {
    let name = &column.name;
    if needs_proof(table, column) {
        return Some(format!("ALTER COLUMN {name} SET NOT NULL"));
    }
    let empties =
        column.nullable && !column.is_moved() && column.old.is_some_and(|old| old.not_null);
    empties.then(|| format!("ALTER COLUMN {name} DROP NOT NULL"))
}

fn comment(on: &str, column: &Column<'_>) -> Option<String> {
    let was = column.old.filter(|_| !column.is_moved()).and_then(|old| old.comment.as_ref());
    if was == column.comment.as_ref() {
        return None;
    }
    let text = column.comment.as_ref().map_or_else(|| "NULL".into(), |text| literal(text));
    Some(format!("COMMENT ON COLUMN {on}.{} IS {text}", column.name))
}

/// Replica identities that can be set while both shapes are in use.
pub fn identities_at_start(context: &Context<'_>) -> Vec<String> {
    identities(context, true)
}

/// Those that need columns or indexes of the new shape, and those whose index was made anew.
pub fn identities_at_swap(context: &Context<'_>) -> Vec<String> {
    let anew = context.kept().filter_map(|(table, old)| {
        let index = old.indexes.iter().find(|index| index.replica_identity)?;
        let rules = table.rules.iter().map(|rule| (&rule.replaces, &rule.name));
        let indexes = table.indexes.iter().map(|index| (&index.replaces, &index.name));
        let was = index.constraint.as_ref().unwrap_or(&index.name);
        let (_, name) = rules.chain(indexes).find(|(from, _)| from.as_ref() == Some(was))?;
        let on = context.of(&table.physical);
        Some(format!("ALTER TABLE {on} REPLICA IDENTITY USING INDEX {name}"))
    });
    anew.chain(identities(context, false)).collect()
}

fn identities(context: &Context<'_>, at_start: bool) -> Vec<String> {
    let all = context.shape.identities.iter();
    let fit = all.filter(|(table, to)| is_early(&context.shape.tables[*table], to) == at_start);
    fit.map(|(table, to)| {
        let on = context.of(&context.shape.tables[*table].physical);
        format!("ALTER TABLE {on} REPLICA IDENTITY {}", word(to))
    })
    .collect()
}

fn is_early(table: &Table<'_>, to: &ReplicaIdentity) -> bool {
    let moved = table.columns.iter().any(Column::is_moved);
    match to {
        ReplicaIdentity::Index(index) => {
            let there = |index: &Ident| {
                table.old.is_some_and(|old| old.indexes.iter().any(|of| of.name == *index))
            };
            there(index) && !moved
        }
        _ => true,
    }
}

fn word(identity: &ReplicaIdentity) -> String {
    match identity {
        ReplicaIdentity::Nothing => "NOTHING".into(),
        ReplicaIdentity::Full => "FULL".into(),
        ReplicaIdentity::Default => "DEFAULT".into(),
        ReplicaIdentity::Index(index) => format!("USING INDEX {index}"),
    }
}

/// Sets replica identities back to what they were.
pub fn identities_back(context: &Context<'_>) -> Vec<String> {
    let all = context.shape.identities.iter();
    let early = all.filter(|(table, to)| is_early(&context.shape.tables[*table], to));
    let old = early.filter_map(|(table, _)| context.shape.tables[*table].old);
    old.map(|old| format!("ALTER TABLE {} REPLICA IDENTITY {}", context.of(&old.name), was(old)))
        .collect()
}

/// The replica identity of the old shape, as SQL.
pub fn was(old: &crate::catalog::Table) -> String {
    let index = old.indexes.iter().find(|index| index.replica_identity);
    match (old.replica_identity.as_str(), index) {
        ("n", _) => "NOTHING".into(),
        ("f", _) => "FULL".into(),
        ("i", Some(index)) => format!("USING INDEX {}", index.name),
        _ => "DEFAULT".into(),
    }
}
