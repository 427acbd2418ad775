//! Operations: objects with exactly one key, which says what is done.

use super::fields::{Fields, Found};
use super::{column, constraint, extra, index};
use crate::{Flaw, Ident, Operation, RawSql, ReplicaIdentity};
use serde_json::Value;
use std::collections::BTreeMap;

/// All operations of a list.
pub fn all(list: &[Value], found: &Found) -> Option<Vec<Operation>> {
    let one = |(at, value): (usize, &Value)| one(value, &format!("operations[{at}]"), found);
    let read: Vec<Option<Operation>> = list.iter().enumerate().map(one).collect();
    read.into_iter().collect()
}

fn one(value: &Value, path: &str, found: &Found) -> Option<Operation> {
    let outer = Fields::of(value, path, found)?;
    let mut keys = outer.keys();
    let (Some(word), None) = (keys.next(), keys.next()) else {
        let message = "an operation has exactly one key, which says what it does";
        found.add(Flaw::new(path, message));
        return None;
    };
    let at = outer.path(word);
    let Some(known) = Operation::WORDS.iter().find(|known| *known == word) else {
        let message = format!("is no operation; there are {}", Operation::WORDS.join(", "));
        found.add(Flaw::new(at, message).nearest(word, Operation::WORDS));
        return None;
    };
    body(known, Fields::of(outer.raw(known)?, &at, found)?)
}

fn body(word: &str, fields: Fields<'_>) -> Option<Operation> {
    match word {
        "create_table" => create_table(fields),
        "add_column" => add_column(fields),
        "alter_column" => Some(Operation::AlterColumn(column::alter(fields).into())),
        "drop_column" => drop_column(fields),
        "rename_table" => rename_table(fields),
        "rename_column" => {
            renamed(fields, |table, from, to| Operation::RenameColumn { table, from, to })
        }
        "rename_constraint" => {
            renamed(fields, |table, from, to| Operation::RenameConstraint { table, from, to })
        }
        "drop_table" => only_name(fields).map(|name| Operation::DropTable { name }),
        "create_index" => Some(Operation::CreateIndex(index::read(fields))),
        "drop_index" => only_name(fields).map(|name| Operation::DropIndex { name }),
        "create_constraint" => {
            constraint::create(fields).map(|create| Operation::CreateConstraint(create.into()))
        }
        "drop_constraint" => drop_constraint(fields),
        "drop_multicolumn_constraint" => drop_multicolumn(fields),
        "set_replica_identity" => replica_identity(fields),
        "sql" => raw_sql(fields).map(Operation::Sql),
        _ => extra::read(word, fields).map(|extra| Operation::Extra(extra.into())),
    }
}

fn create_table(fields: Fields<'_>) -> Option<Operation> {
    let name = fields.required_ident("name");
    fields.required_list("columns");
    let found = fields.found();
    let columns = fields.each("columns", |value, path| column::read(value, &path, found));
    let constraints =
        fields.each("constraints", |value, path| constraint::read(value, &path, found));
    let comment = fields.text("comment");
    fields.finish();
    let (columns, constraints) = (columns?, constraints?);
    Some(Operation::CreateTable { name: name?, columns, comment, constraints })
}

fn add_column(fields: Fields<'_>) -> Option<Operation> {
    let (table, up) = (fields.required_ident("table"), fields.sql("up"));
    let written = fields.missing("column", fields.raw("column"));
    let column =
        written.and_then(|value| column::read(value, &fields.path("column"), fields.found()));
    fields.finish();
    Some(Operation::AddColumn { table: table?, column: column?.into(), up })
}

fn drop_column(fields: Fields<'_>) -> Option<Operation> {
    let (table, column) = (fields.required_ident("table"), fields.required_ident("column"));
    let down = fields.sql("down");
    fields.finish();
    Some(Operation::DropColumn { table: table?, column: column?, down })
}

fn rename_table(fields: Fields<'_>) -> Option<Operation> {
    let (from, to) = (fields.required_ident("from"), fields.required_ident("to"));
    fields.finish();
    Some(Operation::RenameTable { from: from?, to: to? })
}

fn renamed(fields: Fields<'_>, make: fn(Ident, Ident, Ident) -> Operation) -> Option<Operation> {
    let table = fields.required_ident("table");
    let (from, to) = (fields.required_ident("from"), fields.required_ident("to"));
    fields.finish();
    Some(make(table?, from?, to?))
}

fn only_name(fields: Fields<'_>) -> Option<Ident> {
    let name = fields.required_ident("name");
    fields.finish();
    name
}

fn drop_constraint(fields: Fields<'_>) -> Option<Operation> {
    let (table, name) = (fields.required_ident("table"), fields.required_ident("name"));
    let of_its_column =
        |text: Option<String>| -> Vec<_> { text.map(|sql| (None, sql)).into_iter().collect() };
    let (up, down) = (of_its_column(fields.text("up")), fields.required_text("down"));
    fields.finish();
    let down = of_its_column(Some(down?));
    Some(Operation::DropConstraint { table: table?, name: name?, up, down })
}

fn drop_multicolumn(fields: Fields<'_>) -> Option<Operation> {
    let (table, name) = (fields.required_ident("table"), fields.required_ident("name"));
    let (up, down) = (fields.by_ident("up"), fields.by_ident("down"));
    fields.missing("down", fields.raw("down"));
    fields.finish();
    let some = |map: BTreeMap<Ident, String>| -> Vec<_> {
        map.into_iter().map(|(column, sql)| (Some(column), sql)).collect()
    };
    Some(Operation::DropConstraint { table: table?, name: name?, up: some(up?), down: some(down?) })
}

#[derive(Clone, Copy)]
enum IdentityWord {
    Nothing,
    Full,
    Default,
    Index,
}

fn replica_identity(fields: Fields<'_>) -> Option<Operation> {
    use IdentityWord::{Default, Full, Index, Nothing};
    let words = [("nothing", Nothing), ("full", Full), ("default", Default), ("index", Index)];
    let table = fields.required_ident("table");
    let inner = fields.missing("identity", fields.object("identity"))?;
    let word = inner.missing("type", inner.word("type", &words))?;
    let identity = match word {
        Nothing => Some(ReplicaIdentity::Nothing),
        Full => Some(ReplicaIdentity::Full),
        Default => Some(ReplicaIdentity::Default),
        Index => inner.required_ident("index").map(ReplicaIdentity::Index),
    };
    // Only one of the words needs it; elsewhere it says nothing.
    let _ = inner.raw("index");
    inner.finish();
    fields.finish();
    Some(Operation::SetReplicaIdentity { table: table?, identity: identity? })
}

fn raw_sql(fields: Fields<'_>) -> Option<RawSql> {
    let (up, down) = (fields.required_text("up"), fields.text("down"));
    let on_complete = fields.flag("onComplete").unwrap_or(false);
    if on_complete && down.is_some() {
        fields.flaw("down", "does not go with `onComplete`: what is run last is not taken back");
    }
    fields.finish();
    Some(RawSql { up: up?, down, on_complete })
}
