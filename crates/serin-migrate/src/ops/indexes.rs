//! `create_index` and `drop_index`.

use crate::shape::{NewIndex, Shape, Text, short};
use crate::{CreateIndex, Flaw, Ident, IndexColumn, literal};
use std::fmt::Write;

/// Notes an index to be built.
pub fn create(shape: &mut Shape<'_>, index: &CreateIndex) {
    let Some(table) = shape.table("table", &index.table) else { return };
    let names: Vec<Ident> = index.columns.iter().map(|column| column.column.clone()).collect();
    let columns = shape.columns("columns", table, &names);
    if !shape.free("name", &index.name) {
        return;
    }
    let Some(columns) = columns else { return };
    let held = held(shape, &index.name);
    shape.names.take(&index.name);
    let path = shape.at.clone();
    let table = &mut shape.tables[table];
    table.indexes.push(NewIndex {
        path,
        name: index.name.clone(),
        held,
        replaces: None,
        unique: index.unique,
        columns,
        tail: Text::new(tail(index), &table.name, table.scope()),
        comment: None,
    });
}

/// The name of an index while both shapes are in use: its own, unless the old shape has it.
pub fn held(shape: &Shape<'_>, name: &Ident) -> Ident {
    if shape.catalog.is_taken(name) { short("_serin_ix_", &[name.as_str()]) } else { name.clone() }
}

fn tail(index: &CreateIndex) -> String {
    let columns: Vec<String> = index.columns.iter().map(column).collect();
    let mut text = format!(" USING {} ({})", index.method.as_str(), columns.join(", "));
    if let Some(storage) = &index.storage_parameters {
        let _ = write!(text, " WITH ({storage}\n)");
    }
    if let Some(predicate) = &index.predicate {
        let _ = write!(text, " WHERE ({predicate}\n)");
    }
    text
}

fn column(column: &IndexColumn) -> String {
    let mut text = column.column.to_string();
    if let Some(collation) = &column.collate {
        let _ = write!(text, " COLLATE {}", quoted_path(collation));
    }
    if let Some((class, parameters)) = &column.opclass {
        let _ = write!(text, " {}", quoted_path(class));
        let pairs: Vec<String> =
            parameters.iter().map(|(key, value)| format!("{key} = {}", literal(value))).collect();
        if !pairs.is_empty() {
            let _ = write!(text, " ({})", pairs.join(", "));
        }
    }
    if column.descending {
        text.push_str(" DESC");
    }
    match column.nulls_first {
        Some(true) => text.push_str(" NULLS FIRST"),
        Some(false) => text.push_str(" NULLS LAST"),
        None => {}
    }
    text
}

/// A name that may have a schema in front. One that is quoted already stays as it is.
fn quoted_path(name: &str) -> String {
    if name.contains('"') {
        return name.to_owned();
    }
    let parts = name.split('.').map(|part| format!("\"{part}\""));
    parts.collect::<Vec<_>>().join(".")
}

/// Notes an index that goes.
pub fn drop(shape: &mut Shape<'_>, name: &Ident) {
    let catalog = shape.catalog;
    let all = || {
        let tables = catalog.user_tables();
        tables.flat_map(|table| table.indexes.iter().map(move |index| (table, index)))
    };
    let Some((table, index)) = all().find(|(_, index)| index.name == *name) else {
        let known: Vec<&str> = all().map(|(_, index)| index.name.as_str()).collect();
        let message = format!("there is no index {name} in schema {}", shape.catalog.schema);
        let flaw = Flaw::new(shape.path("name"), message).nearest(name.as_str(), known);
        shape.flaws.push(flaw);
        return;
    };
    if let Some(constraint) = &index.constraint {
        let message = format!("index {name} belongs to constraint {constraint} of {}", table.name);
        shape.flaw_with("name", message, "drop the constraint with drop_constraint");
        return;
    }
    if index.inherited {
        let message = format!("index {name} is part of an index of a partitioned table");
        shape.flaw_with("name", message, "drop the index of the partitioned table");
        return;
    }
    let at = shape.tables.iter().position(|of| of.old.is_some_and(|old| old.name == table.name));
    if let Some(at) = at {
        let path = shape.path("name");
        if let Some(flaw) = shape.tables[at].unfit(shape.catalog, &path) {
            shape.flaws.push(flaw);
            return;
        }
        shape.tables[at].touched = true;
    }
    shape.names.free(name);
    shape.dropped_indexes.insert(name.clone());
}
