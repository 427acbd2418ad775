//! `add_column`.

use super::copy::{fresh, pending};
use super::create_constraint::{check, references, unique};
use crate::shape::{Column, Made, Shape};
use crate::{Generated, Ident};

/// Adds a column.
pub fn add(shape: &mut Shape<'_>, table: &Ident, spec: &crate::Column, up: Option<&str>) {
    let Some(at) = shape.table("table", table) else { return };
    if !shape.usable("column.name", &spec.name) || is_there(shape, at, &spec.name) {
        return;
    }
    if shape.tables[at].old.is_some() && !fits(shape, spec, up) {
        return;
    }
    let column = push(shape, at, spec, up);
    rules(shape, (at, column), spec);
}

fn is_there(shape: &mut Shape<'_>, table: usize, name: &Ident) -> bool {
    let there = shape.tables[table].find(name).is_some();
    if there {
        let message = format!("table {} has a column {name} already", shape.tables[table].name);
        shape.flaw("column.name", message);
    }
    there
}

/// What cannot be added to a table that has rows.
fn fits(shape: &mut Shape<'_>, spec: &crate::Column, up: Option<&str>) -> bool {
    let before = shape.flaws.len();
    if spec.primary_key {
        let message = "a new column cannot be the primary key of a table that has rows";
        let hint = "add it without `pk`, and make it the key with create_constraint";
        shape.flaw_with("column.pk", message, hint);
    }
    match &spec.generated {
        Some(Generated::Identity(_)) => {
            let message = "an identity is numbered by rewriting the whole table";
            let hint = "make a sequence with `sql`, and say `default: nextval('...')`";
            shape.flaw_with("column.generated", message, hint);
        }
        Some(Generated::Expression(_)) => {
            let message = "a generated column is worked out by rewriting the whole table";
            shape.flaw_with("column.generated", message, "say the expression as `up`");
        }
        None => {}
    }
    if is_serial(&spec.data_type) {
        let message = format!("type {} is numbered by rewriting the whole table", spec.data_type);
        let hint = "make a sequence with `sql`, and say `default: nextval('...')`";
        shape.flaw_with("column.type", message, hint);
    }
    if !spec.nullable && spec.default.is_none() && up.is_none() {
        let message = format!(
            "{} cannot be empty, and nothing says its value for rows that are there",
            spec.name
        );
        shape.flaw_with("up", message, "say `up`, a `default`, or `nullable: true`");
    }
    shape.flaws.len() == before
}

/// Types that stand for a column with a sequence.
pub fn is_serial(data_type: &str) -> bool {
    let lower = data_type.trim().to_ascii_lowercase();
    ["serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"]
        .contains(&lower.as_str())
}

fn push(shape: &mut Shape<'_>, table: usize, spec: &crate::Column, up: Option<&str>) -> usize {
    let (type_path, default_at) = (shape.path("column.type"), shape.path("column.default"));
    let up_path = if up.is_some() { shape.path("up") } else { default_at.clone() };
    let operation = shape.at.clone();
    let table = &mut shape.tables[table];
    let before = table.visible();
    let (there, name) = (table.old.is_some(), spec.name.clone());
    let physical = if there { fresh(table, &name) } else { name };
    let made = Made {
        physical: physical.clone(),
        data_type: spec.data_type.clone(),
        collation: None,
        path: type_path,
        instant: up.is_none(),
    };
    table.columns.push(Column {
        made: vec![made],
        at: operation,
        default_at,
        ..Column::added(spec)
    });
    let expression = up.or(spec.default.as_deref());
    if let Some(expression) = expression.filter(|_| there) {
        let target = (physical, spec.data_type.clone());
        let said = [up_path, expression.to_owned()];
        let pending = pending(&table.name, said, target, before, true);
        table.derives.push(crate::shape::Pending { if_volatile: up.is_none(), ..pending });
    }
    table.columns.len() - 1
}

fn rules(shape: &mut Shape<'_>, place: (usize, usize), spec: &crate::Column) {
    if let Some(of) = &spec.check {
        check(shape, place.0, ("column.check.constraint", &of.name), &of.constraint, of.no_inherit);
    }
    if let Some(of) = &spec.references {
        references(shape, place, ("column.references", of));
    }
    if spec.unique {
        let table = &shape.tables[place.0];
        let readable = format!("{}_{}_key", table.name.as_str(), spec.name.as_str());
        let parts = [table.name.as_str(), spec.name.as_str()];
        let name = crate::shape::hashed("", &readable, &parts);
        unique(shape, place.0, ("column.unique", &name), &[place.1]);
    }
}
