//! `drop_column` and `rename_column`.

use super::copy::pending;
use crate::Ident;
use crate::shape::Shape;

/// Drops a column.
pub fn drop(shape: &mut Shape<'_>, table: &Ident, name: &Ident, down: Option<&str>) {
    let Some(table) = shape.table("table", table) else { return };
    let Some(at) = shape.column("column", table, name) else { return };
    if !has_value(shape, (table, at), down) {
        return;
    }
    let (path, operation) = (shape.path("down"), shape.at.clone());
    let table = &mut shape.tables[table];
    let column = &mut table.columns[at];
    column.live = false;
    column.at = operation;
    let target = (column.physical().clone(), column.data_type.clone());
    if let Some(down) = down.filter(|_| table.old.is_some()) {
        let seen = table.visible();
        let derive = pending(&table.name, [path, down.to_owned()], target, seen, false);
        table.derives.push(derive);
    }
}

/// New clients do not know the column, and rows they write must be good for old ones.
fn has_value(shape: &mut Shape<'_>, (table, at): (usize, usize), down: Option<&str>) -> bool {
    let column = &shape.tables[table].columns[at];
    let filled = column.nullable
        || column.default.is_some()
        || column.is_identity()
        || column.is_generated()
        || shape.tables[table].old.is_none();
    if filled || down.is_some() {
        return true;
    }
    let message = format!(
        "{} cannot be empty and has no default, and nothing says its value for rows that the new \
         version writes",
        column.name
    );
    shape.flaw_with("down", message, "say `down`");
    false
}

/// Gives a column a new name.
pub fn rename(shape: &mut Shape<'_>, table: &Ident, from: &Ident, to: &Ident) {
    let Some(table) = shape.table("table", table) else { return };
    let Some(at) = shape.column("from", table, from) else { return };
    if !shape.usable("to", to) {
        return;
    }
    if shape.tables[table].find(to).is_some() {
        let message = format!("table {} has a column {to} already", shape.tables[table].name);
        shape.flaw_with("to", message, "rename or drop that one first");
        return;
    }
    shape.tables[table].columns[at].name = to.clone();
}
