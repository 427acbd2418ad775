//! What two tables have in common: the columns that are compared, and the key that is walked.

use super::Request;
use super::error::Error;
use super::table::{Column, Table};
use std::collections::BTreeSet;

/// What both sides agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub from_table: String,
    pub to_table: String,
    pub key: Vec<KeyPart>,
    /// Columns of the key that may be null in `from`.
    pub from_nullable: Vec<String>,
    /// The same in `to`.
    pub to_nullable: Vec<String>,
    /// Without the key's.
    pub columns: Vec<Compared>,
    /// What the user should know about it.
    pub notes: Vec<String>,
}

/// A column of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyPart {
    pub name: String,
    pub order: Order,
}

/// In which order both sides walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// In that of this type: an index serves it.
    Native(String),
    /// By the bytes of its text: an index does not.
    Text,
}

/// A column that is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Compared {
    pub name: String,
    pub form: Form,
}

/// How a value becomes text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    /// Without zeroes at its end.
    Numeric,
    /// Without a sign of zero.
    Float4,
    Float8,
    /// Without what JSON does not mean.
    Jsonb,
}

const WHOLE: [&str; 3] = ["int2", "int4", "int8"];
const TEXTS: [&str; 3] = ["text", "varchar", "bpchar"];

/// Types whose order is the same in every database.
const ORDERED: [&str; 16] = [
    "numeric",
    "float4",
    "float8",
    "bool",
    "uuid",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "bytea",
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "oid",
    "name",
];

impl Shape {
    /// What both sides agree on for a request.
    pub(super) fn agree(from: &Table, to: &Table, request: &Request) -> Result<Self, Error> {
        let names = columns(from, to, request)?;
        let key = key_names(from, to, request)?;
        let mut notes = Vec::new();
        let parts = key.iter().map(|name| key_part(from, to, name, &mut notes));
        let key_parts = parts.collect::<Result<Vec<_>, _>>()?;
        let rest: Vec<String> = names.into_iter().filter(|name| !key.contains(name)).collect();
        let columns = rest.iter().map(|name| compared(from, to, name, &mut notes));
        Ok(Self {
            from_table: from.name.clone(),
            to_table: to.name.clone(),
            key: key_parts,
            from_nullable: nullable(from, &key),
            to_nullable: nullable(to, &key),
            columns: columns.collect::<Result<_, _>>()?,
            notes,
        })
    }
}

/// The names that are compared, in the order of the first table.
fn columns(from: &Table, to: &Table, request: &Request) -> Result<Vec<String>, Error> {
    for name in request.columns.iter().chain(&request.key) {
        find(from, "from", name)?;
        find(to, "to", name)?;
    }
    for name in &request.except {
        find(from, "from", name).or_else(|_| find(to, "to", name))?;
    }
    let is_wanted = |name: &&String| {
        let is_named = request.columns.is_empty() || request.columns.contains(name);
        is_named && !request.except.contains(name)
    };
    let wanted = |table: &Table| -> Vec<String> {
        table.columns.iter().map(|c| &c.name).filter(is_wanted).cloned().collect()
    };
    let (left, right) = (wanted(from), wanted(to));
    let (a, b): (BTreeSet<_>, BTreeSet<_>) = (left.iter().collect(), right.iter().collect());
    let single: Vec<String> = a.symmetric_difference(&b).map(ToString::to_string).collect();
    if single.is_empty() { Ok(left) } else { Err(Error::Columns(single)) }
}

fn key_names(from: &Table, to: &Table, request: &Request) -> Result<Vec<String>, Error> {
    let wanted = [&request.key, &from.key, &to.key].into_iter().find(|key| !key.is_empty());
    let key = wanted.ok_or(Error::NoKey)?;
    for name in key {
        find(from, "from", name)?;
        find(to, "to", name)?;
    }
    Ok(key.clone())
}

/// Of a view, and of a key that was named: whether there are nulls must be looked up.
fn nullable(table: &Table, key: &[String]) -> Vec<String> {
    let may = |column: &&Column| !column.not_null && key.contains(&column.name);
    table.columns.iter().filter(may).map(|column| column.name.clone()).collect()
}

fn find<'a>(table: &'a Table, side: &'static str, name: &str) -> Result<&'a Column, Error> {
    let found = table.columns.iter().find(|column| column.name == name);
    found.ok_or_else(|| Error::NoColumn { side, column: name.to_owned() })
}

fn key_part(
    from: &Table,
    to: &Table,
    name: &str,
    notes: &mut Vec<String>,
) -> Result<KeyPart, Error> {
    let (left, right) = (find(from, "from", name)?, find(to, "to", name)?);
    let order = order(left, right);
    if order == Order::Text {
        notes.push(format!(
            "the key's column {name} is walked by its text, because its order differs between the two databases or is not known: no index serves that, so it is slow on a large table"
        ));
    }
    Ok(KeyPart { name: name.to_owned(), order })
}

fn order(left: &Column, right: &Column) -> Order {
    let both = |set: &[&str]| [left, right].iter().all(|c| set.contains(&c.base.as_str()));
    let is_same = left.base == right.base;
    let sorts_alike =
        left.collation == right.collation && left.is_deterministic && right.is_deterministic;
    if both(&WHOLE) {
        // Wide enough for both, and its comparisons use either's index.
        Order::Native("int8".into())
    } else if is_same && both(&ORDERED) || is_same && sorts_alike && both(&TEXTS) {
        Order::Native(left.base.clone())
    } else if sorts_alike && both(&TEXTS[..2]) {
        Order::Native("text".into())
    } else {
        Order::Text
    }
}

fn compared(
    from: &Table,
    to: &Table,
    name: &str,
    notes: &mut Vec<String>,
) -> Result<Compared, Error> {
    let (left, right) = (find(from, "from", name)?, find(to, "to", name)?);
    if left.full != right.full {
        notes.push(format!(
            "column {name} is {} on one side and {} on the other: compared by its text",
            left.full, right.full
        ));
    }
    Ok(Compared { name: name.to_owned(), form: form(&left.base, &right.base) })
}

/// The form for each side follows from both types.
fn form(left: &str, right: &str) -> Form {
    let either = |name: &str| left == name || right == name;
    let both = |set: &[&str]| set.contains(&left) && set.contains(&right);
    if either("numeric") && both(&["numeric", "int2", "int4", "int8"]) {
        Form::Numeric
    } else if both(&["float4"]) {
        Form::Float4
    } else if both(&["float4", "float8"]) {
        Form::Float8
    } else if either("jsonb") && both(&["json", "jsonb", "text"]) {
        Form::Jsonb
    } else {
        Form::Plain
    }
}

#[cfg(test)]
mod tests;
