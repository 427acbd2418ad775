//! Columns.

use super::constraint::{deferral, one_column_target};
use super::fields::{Fields, Found};
use crate::{AlterColumn, Change, Check, Column, ForeignKey, Generated, Ident, Identity};
use serde_json::Value;

/// A column of a new table, or a new column.
pub fn read(value: &Value, path: &str, found: &Found) -> Option<Column> {
    let fields = Fields::of(value, path, found)?;
    let (name, data_type) = (fields.required_ident("name"), fields.required_text("type"));
    let column = Column {
        primary_key: fields.flag("pk").unwrap_or(false),
        nullable: fields.flag("nullable").unwrap_or(false),
        unique: fields.flag("unique").unwrap_or(false),
        default: fields.sql("default"),
        comment: fields.text("comment"),
        check: fields.object("check").and_then(check),
        references: fields.object("references").and_then(foreign_key),
        generated: fields.object("generated").and_then(generated),
        name: name.unwrap_or_else(Ident::unread),
        data_type: data_type.unwrap_or_default(),
    };
    fields.finish();
    Some(column)
}

/// Changes of a column.
pub fn alter(fields: Fields<'_>) -> AlterColumn {
    let (table, column) = (fields.required_ident("table"), fields.required_ident("column"));
    let alter = AlterColumn {
        up: fields.sql("up"),
        down: fields.sql("down"),
        data_type: fields.text("type"),
        nullable: fields.flag("nullable"),
        default: change(&fields, "default"),
        comment: change(&fields, "comment"),
        unique: fields.object("unique").and_then(unique_name),
        check: fields.object("check").and_then(check),
        references: fields.object("references").and_then(foreign_key),
        table: table.unwrap_or_else(Ident::unread),
        column: column.unwrap_or_else(Ident::unread),
    };
    if changes_nothing(&alter) {
        let words = "type, nullable, default, comment, unique, check or references";
        fields.flaw("column", format!("is not changed: say one of {words}"));
    }
    fields.finish();
    alter
}

fn changes_nothing(alter: &AlterColumn) -> bool {
    alter.data_type.is_none()
        && alter.nullable.is_none()
        && alter.default.is_none()
        && alter.comment.is_none()
        && alter.unique.is_none()
        && alter.check.is_none()
        && alter.references.is_none()
}

/// Written as `null`, there is none any more.
fn change(fields: &Fields<'_>, key: &'static str) -> Option<Change<String>> {
    match fields.raw(key)? {
        Value::Null => Some(Change::Drop),
        _ => fields.sql(key).map(Change::Set),
    }
}

fn unique_name(fields: Fields<'_>) -> Option<Ident> {
    let name = fields.required_ident("name");
    fields.finish();
    name
}

fn check(fields: Fields<'_>) -> Option<Check> {
    let (name, constraint) = (fields.required_ident("name"), fields.required_text("constraint"));
    let no_inherit = fields.flag("no_inherit").unwrap_or(false);
    fields.finish();
    Some(Check { name: name?, constraint: constraint?, no_inherit })
}

fn foreign_key(fields: Fields<'_>) -> Option<ForeignKey> {
    let name = fields.required_ident("name");
    let (target, deferral) = (one_column_target(&fields), deferral(&fields));
    fields.finish();
    Some(ForeignKey { name: name?, target: target?, deferral })
}

fn generated(fields: Fields<'_>) -> Option<Generated> {
    let expression = fields.text("expression");
    let identity = fields.object("identity").map(identity);
    let read = match (expression, identity) {
        (Some(expression), None) => Some(Generated::Expression(expression)),
        (None, Some(identity)) => Some(Generated::Identity(identity)),
        (Some(_), Some(_)) => {
            fields.flaw("identity", "a column has an expression or an identity, not both");
            None
        }
        (None, None) => {
            fields.flaw("expression", "is missing; or say `identity`");
            None
        }
    };
    fields.finish();
    read
}

fn identity(fields: Fields<'_>) -> Identity {
    let words = [("ALWAYS", true), ("BY DEFAULT", false)];
    let always = fields.word("user_specified_values", &words).unwrap_or(true);
    let sequence_options = fields.text("sequence_options");
    fields.finish();
    Identity { always, sequence_options }
}
