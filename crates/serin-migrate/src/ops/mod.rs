//! The operations: each changes the shape, or says why it cannot.

mod add_column;
mod alter_column;
mod columns;
mod copy;
mod create_constraint;
mod create_table;
mod drop_constraint;
mod extra;
mod indexes;
mod tables;

pub use add_column::is_serial;

use crate::shape::Shape;
use crate::{Migration, Operation};

/// Changes the shape by every operation of a migration.
pub fn apply_all(shape: &mut Shape<'_>, migration: &Migration) {
    for (at, operation) in migration.operations.iter().enumerate() {
        shape.at = format!("operations[{at}].{}", word(operation));
        apply(shape, operation);
    }
    alone(shape, migration);
}

fn apply(shape: &mut Shape<'_>, operation: &Operation) {
    match operation {
        Operation::CreateTable { name, columns, comment, constraints } => {
            create_table::create(shape, name, columns, comment.as_ref(), constraints);
        }
        Operation::AddColumn { table, column, up } => {
            add_column::add(shape, table, column, up.as_deref());
        }
        Operation::AlterColumn(alter) => alter_column::alter(shape, alter),
        Operation::DropColumn { table, column, down } => {
            columns::drop(shape, table, column, down.as_deref());
        }
        Operation::RenameTable { from, to } => tables::rename(shape, from, to),
        Operation::RenameColumn { table, from, to } => columns::rename(shape, table, from, to),
        Operation::RenameConstraint { table, from, to } => {
            drop_constraint::rename(shape, table, from, to);
        }
        Operation::DropTable { name } => tables::drop(shape, name),
        Operation::CreateIndex(index) => indexes::create(shape, index),
        Operation::DropIndex { name } => indexes::drop(shape, name),
        Operation::CreateConstraint(create) => create_constraint::create(shape, create),
        Operation::DropConstraint { table, name, up, down } => {
            drop_constraint::drop(shape, table, name, [up, down]);
        }
        Operation::SetReplicaIdentity { table, identity } => {
            tables::identity(shape, table, identity);
        }
        Operation::Sql(sql) => shape.sql.push(sql.clone()),
        Operation::Extra(extra) => extra::apply(shape, extra),
    }
}

/// The word of an operation as it stands in a file.
fn word(operation: &Operation) -> &'static str {
    match operation {
        Operation::CreateTable { .. } => "create_table",
        Operation::AddColumn { .. } => "add_column",
        Operation::AlterColumn(_) => "alter_column",
        Operation::DropColumn { .. } => "drop_column",
        Operation::RenameTable { .. } => "rename_table",
        Operation::RenameColumn { .. } => "rename_column",
        Operation::RenameConstraint { .. } => "rename_constraint",
        Operation::DropTable { .. } => "drop_table",
        Operation::CreateIndex(_) => "create_index",
        Operation::DropIndex { .. } => "drop_index",
        Operation::CreateConstraint(_) => "create_constraint",
        Operation::DropConstraint { down, .. } if down.iter().any(|(of, _)| of.is_some()) => {
            "drop_multicolumn_constraint"
        }
        Operation::DropConstraint { .. } => "drop_constraint",
        Operation::SetReplicaIdentity { .. } => "set_replica_identity",
        Operation::Sql(_) => "sql",
        Operation::Extra(extra) => extra.word(),
    }
}

/// Nobody knows what SQL does to the shape that other operations count on.
fn alone(shape: &mut Shape<'_>, migration: &Migration) {
    let at_start =
        |operation: &Operation| matches!(operation, Operation::Sql(sql) if !sql.on_complete);
    let Some(at) = migration.operations.iter().position(at_start) else { return };
    if migration.operations.len() > 1 {
        shape.at = format!("operations[{at}].sql");
        let message = "SQL that runs at the start is the only operation of its migration";
        shape.flaw_with("up", message, "give it a migration of its own, or say `onComplete: true`");
    }
}
