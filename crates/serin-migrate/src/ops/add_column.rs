//! `add_column`.

use super::copy::{fresh, pending};
use super::create_constraint::{check, references, unique};
use crate::shape::{Column, Made, NewSequence, Shape, hashed, short};
use crate::{Generated, Ident, literal};

/// Adds a column.
pub fn add(shape: &mut Shape<'_>, table: &Ident, spec: &crate::Column, up: Option<&str>) {
    let Some(at) = shape.table("table", table) else { return };
    if !shape.usable("column.name", &spec.name) || is_there(shape, at, &spec.name) {
        return;
    }
    if shape.tables[at].old.is_some() && !fits(shape, spec, up) {
        return;
    }
    let numbered = numbered(shape, at, spec);
    let (spec, sequence) = match &numbered {
        Some((spec, sequence)) => (spec, Some(sequence)),
        None => (spec, None),
    };
    let column = push(shape, at, spec, up);
    if let Some((name, data_type)) = sequence {
        let (name, data_type) = (name.clone(), *data_type);
        let of = shape.tables[at].columns[column].physical().clone();
        shape.names.take(&name);
        shape.sequences.push(NewSequence { name, data_type, table: at, column: of });
    }
    rules(shape, (at, column), spec);
}

/// A column of a `serial` type in a table that was there: a plain number with a default, which fills
/// in the rows there are one after the other and not by a rewrite of the table.
fn numbered(
    shape: &Shape<'_>,
    table: usize,
    spec: &crate::Column,
) -> Option<(crate::Column, (Ident, &'static str))> {
    let lower = spec.data_type.trim().to_ascii_lowercase();
    let (_, data_type) = SERIAL.iter().find(|(word, _)| *word == lower)?;
    let table = shape.tables.get(table).filter(|table| table.old.is_some())?;
    let readable = format!("{}_{}_seq", table.name.as_str(), spec.name.as_str());
    let parts = [table.name.as_str(), spec.name.as_str()];
    let name = hashed("", &readable, &parts);
    let name = if shape.names.is_taken(&name) { short("seq_", &parts) } else { name };
    let from = literal(&format!("{}.{name}", shape.catalog.schema));
    let spec = crate::Column {
        data_type: (*data_type).to_owned(),
        default: Some(format!("nextval({from}::regclass)")),
        nullable: false,
        ..spec.clone()
    };
    Some((spec, (name, data_type)))
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
            let hint = "say type `serial` or `bigserial` without `generated`";
            shape.flaw_with("column.generated", message, hint);
        }
        Some(Generated::Expression(_)) => {
            let message = "a generated column is worked out by rewriting the whole table";
            shape.flaw_with("column.generated", message, "say the expression as `up`");
        }
        None => {}
    }
    let serial = is_serial(&spec.data_type);
    if serial && (up.is_some() || spec.default.is_some()) {
        let message = format!("type {} has its own numbers", spec.data_type);
        shape.flaw_with(
            "column.type",
            message,
            "say `integer` or `bigint`, or no value of your own",
        );
    }
    if !serial && !spec.nullable && spec.default.is_none() && up.is_none() {
        let message = format!(
            "{} cannot be empty, and nothing says its value for rows that are there",
            spec.name
        );
        shape.flaw_with("up", message, "say `up`, a `default`, or `nullable: true`");
    }
    shape.flaws.len() == before
}

/// Types that stand for a column with a sequence, and the type of its numbers.
const SERIAL: [(&str, &str); 6] = [
    ("serial", "integer"),
    ("serial4", "integer"),
    ("bigserial", "bigint"),
    ("serial8", "bigint"),
    ("smallserial", "smallint"),
    ("serial2", "smallint"),
];

/// Whether a type stands for a column with a sequence.
pub fn is_serial(data_type: &str) -> bool {
    let lower = data_type.trim().to_ascii_lowercase();
    SERIAL.iter().any(|(word, _)| *word == lower)
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
        let name = hashed("", &readable, &parts);
        unique(shape, place.0, ("column.unique", &name), &[place.1]);
    }
}
