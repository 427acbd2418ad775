//! A column beside the old one: made where its values are no longer the same in both shapes.

use crate::Ident;
use crate::shape::{Made, Pending, Shape, Table, Visible, hashed};

/// Names tried for a copy before only a hash is left.
const TRIES: u32 = 50;

/// What becomes of a column.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change<'a> {
    /// A new type.
    pub data_type: Option<&'a str>,
    /// The new value from the old row.
    pub up: Option<&'a str>,
    /// The old value from the new row.
    pub down: Option<&'a str>,
    /// It may be empty from now on.
    pub emptied: bool,
}

/// Whether an expression is nothing but the column itself.
pub fn is_itself(expression: Option<&str>, column: &Ident) -> bool {
    expression.is_none_or(|text| {
        let text = text.trim();
        text == column.to_string() || text == column.as_str() && !text.contains('"')
    })
}

/// Whether the values of the two shapes differ, so that each needs a column of its own.
pub fn is_needed(table: &Table<'_>, at: usize, change: Change<'_>) -> bool {
    let column = &table.columns[at];
    let other_type = change.data_type.is_some_and(|to| !same_type(to, &column.data_type));
    let apart = !is_itself(change.up, &column.name) || !is_itself(change.down, &column.name);
    table.old.is_some() && (other_type || apart || change.emptied && column.old.is_some())
}

fn same_type(one: &str, other: &str) -> bool {
    one.trim().eq_ignore_ascii_case(other.trim())
}

/// Makes the column beside the old one. `key` says how the up and down keys are called for this
/// column.
pub fn make(shape: &mut Shape<'_>, place: (usize, usize), change: Change<'_>, keys: [&str; 3]) {
    let (table, at) = place;
    if shape.tables[table].columns[at].is_generated() {
        let message = "a generated column cannot become another one";
        shape.flaw_with(keys[0], message, "drop it and add it anew");
        return;
    }
    let [type_path, up_path, down_path] = keys.map(|key| shape.path(key));
    let operation = shape.at.clone();
    let table = &mut shape.tables[table];
    let before = table.visible();
    let old = (table.columns[at].physical().clone(), table.columns[at].data_type.clone());
    let made = made(table, at, change.data_type, type_path);
    let new = (made.physical.clone(), made.data_type.clone());
    let column = &mut table.columns[at];
    column.data_type.clone_from(&made.data_type);
    column.made.push(made);
    column.at = operation;
    let itself = column.name.to_string();
    let text = |given: Option<&str>| given.map_or_else(|| itself.clone(), str::to_owned);
    let after = table.visible();
    let (up, down) = (text(change.up), text(change.down));
    table.derives.push(pending(&table.name, [up_path, up], new, before, true));
    table.derives.push(pending(&table.name, [down_path, down], old, after, false));
}

/// A value to be worked out: where it is said and how, the column and its type, what is seen.
pub fn pending(
    scope: &Ident,
    [path, expression]: [String; 2],
    (target, data_type): (Ident, String),
    visible: Vec<Visible>,
    up: bool,
) -> Pending {
    let scope = scope.clone();
    let (if_volatile, answer) = (false, None);
    Pending { path, up, target, data_type, expression, scope, visible, if_volatile, answer }
}

fn made(table: &Table<'_>, at: usize, data_type: Option<&str>, path: String) -> Made {
    let column = &table.columns[at];
    let collation = column.made.last().map_or_else(
        || column.old.and_then(|old| old.collation.clone()),
        |made| made.collation.clone(),
    );
    let keeps = data_type.is_none_or(is_text);
    Made {
        physical: fresh(table, &column.name),
        data_type: data_type.unwrap_or(&column.data_type).to_owned(),
        collation: collation.filter(|_| keeps),
        path,
        instant: false,
    }
}

/// Types of text can have the collation that another type of text had.
fn is_text(data_type: &str) -> bool {
    let lower = data_type.trim().to_ascii_lowercase();
    ["text", "varchar", "character", "char", "citext", "name"]
        .iter()
        .any(|word| lower.starts_with(word))
}

/// A name for a new column that the table does not have yet.
pub fn fresh(table: &Table<'_>, column: &Ident) -> Ident {
    let made = || table.columns.iter().flat_map(|column| &column.made);
    let taken = |name: &Ident| {
        made().any(|made| made.physical == *name)
            || table.old.is_some_and(|old| old.columns.iter().any(|of| of.name == *name))
    };
    let parts = |number: u32| {
        let count = if number < 2 { String::new() } else { number.to_string() };
        let number = number.to_string();
        let parts = [table.physical.as_str(), column.as_str(), &number];
        hashed(&format!("_serin_new{count}_"), column.as_str(), &parts)
    };
    let free = (1..TRIES).map(parts).find(|name| !taken(name));
    free.unwrap_or_else(|| parts(TRIES))
}
