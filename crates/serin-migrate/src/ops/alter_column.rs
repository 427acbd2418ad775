//! `alter_column`: all its changes together.

use super::copy::{Change, is_needed, make};
use super::create_constraint::{check, references, unique};
use crate::AlterColumn;
use crate::shape::Shape;

/// Changes a column.
pub fn alter(shape: &mut Shape<'_>, alter: &AlterColumn) {
    let Some(table) = shape.table("table", &alter.table) else { return };
    let Some(at) = shape.column("column", table, &alter.column) else { return };
    let emptied = alter.nullable == Some(true) && !shape.tables[table].columns[at].nullable;
    let change = Change {
        data_type: alter.data_type.as_deref(),
        up: alter.up.as_deref(),
        down: alter.down.as_deref(),
        emptied,
    };
    if is_needed(&shape.tables[table], at, change) {
        make(shape, (table, at), change, ["type", "up", "down"]);
    } else if let Some(data_type) = &alter.data_type {
        retype(shape, (table, at), data_type);
    }
    settings(shape, (table, at), alter);
    rules(shape, (table, at), alter);
}

/// A column of a table that is made in the same migration simply gets another type.
fn retype(shape: &mut Shape<'_>, (table, at): (usize, usize), data_type: &str) {
    let path = shape.path("type");
    let table = &mut shape.tables[table];
    if table.old.is_some() {
        return;
    }
    let column = &mut table.columns[at];
    data_type.clone_into(&mut column.data_type);
    if let Some(made) = column.made.last_mut() {
        data_type.clone_into(&mut made.data_type);
        made.path = path;
    }
}

fn settings(shape: &mut Shape<'_>, (table, at): (usize, usize), alter: &AlterColumn) {
    let (default_at, touched) = (shape.path("default"), alter.default.is_some());
    let generated = shape.tables[table].columns[at].is_generated();
    let identity = shape.tables[table].columns[at].is_identity();
    if touched && (generated || identity) {
        shape.flaw("default", "a generated or identity column has no default");
        return;
    }
    let column = &mut shape.tables[table].columns[at];
    if let Some(nullable) = alter.nullable {
        column.nullable = nullable;
    }
    if let Some(change) = &alter.default {
        column.set_default(change);
        column.default_at = default_at;
    }
    if let Some(change) = &alter.comment {
        column.set_comment(change);
    }
}

fn rules(shape: &mut Shape<'_>, (table, at): (usize, usize), alter: &AlterColumn) {
    if let Some(of) = &alter.check {
        check(shape, table, ("check.constraint", &of.name), &of.constraint, of.no_inherit);
    }
    if let Some(of) = &alter.references {
        references(shape, (table, at), ("references", of));
    }
    if let Some(name) = &alter.unique {
        unique(shape, table, ("unique.name", name), &[at]);
    }
}
