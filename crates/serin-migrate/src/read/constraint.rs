//! Constraints.

use super::fields::{Fields, Found};
use crate::{
    Constraint, ConstraintKind, CreateConstraint, Deferral, ExcludeRule, Ident, IndexParameters,
    TableForeignKey,
};
use serde_json::Value;

#[derive(Clone, Copy)]
enum Kind {
    Unique,
    PrimaryKey,
    Check,
    ForeignKey,
    Exclude,
}

const KINDS: [(&str, Kind); 5] = [
    ("unique", Kind::Unique),
    ("primary_key", Kind::PrimaryKey),
    ("check", Kind::Check),
    ("foreign_key", Kind::ForeignKey),
    ("exclude", Kind::Exclude),
];

const ACTIONS: [(&str, &str); 5] = [
    ("NO ACTION", "NO ACTION"),
    ("RESTRICT", "RESTRICT"),
    ("CASCADE", "CASCADE"),
    ("SET NULL", "SET NULL"),
    ("SET DEFAULT", "SET DEFAULT"),
];

const MATCHES: [(&str, &str); 3] = [("FULL", "FULL"), ("PARTIAL", "PARTIAL"), ("SIMPLE", "SIMPLE")];

/// A constraint of a new table.
pub fn read(value: &Value, path: &str, found: &Found) -> Option<Constraint> {
    let fields = Fields::of(value, path, found)?;
    let constraint = inner(&fields)?;
    fields.finish();
    Some(constraint)
}

/// A constraint of a table that is there.
pub fn create(fields: Fields<'_>) -> Option<CreateConstraint> {
    let table = fields.required_ident("table");
    let (up, down) = (fields.by_ident("up"), fields.by_ident("down"));
    // Which keys there are depends on the kind.
    let constraint = inner(&fields)?;
    fields.finish();
    Some(CreateConstraint { table: table?, constraint, up: up?, down: down? })
}

fn inner(fields: &Fields<'_>) -> Option<Constraint> {
    let name = fields.required_ident("name");
    let word = fields.missing("type", fields.word("type", &KINDS));
    let kind = word.and_then(|kind| body(fields, kind));
    let deferral = deferral(fields);
    Some(Constraint { name: name?, kind: kind?, deferral })
}

fn body(fields: &Fields<'_>, kind: Kind) -> Option<ConstraintKind> {
    let index = || index_parameters(fields);
    Some(match kind {
        Kind::Unique => ConstraintKind::Unique {
            columns: columns(fields)?,
            nulls_not_distinct: fields.flag("nulls_not_distinct").unwrap_or(false),
            index: index()?,
        },
        Kind::PrimaryKey => {
            ConstraintKind::PrimaryKey { columns: columns(fields)?, index: index()? }
        }
        Kind::Check => ConstraintKind::Check {
            condition: fields.required_text("check")?,
            columns: fields.idents("columns")?,
            no_inherit: fields.flag("no_inherit").unwrap_or(false),
        },
        Kind::ForeignKey => ConstraintKind::ForeignKey {
            columns: columns(fields)?,
            references: fields
                .missing("references", fields.object("references"))
                .and_then(target)?,
        },
        Kind::Exclude => exclude(fields, index()?)?,
    })
}

fn columns(fields: &Fields<'_>) -> Option<Vec<Ident>> {
    fields.required_list("columns")?;
    fields.idents("columns")
}

fn exclude(fields: &Fields<'_>, index: IndexParameters) -> Option<ConstraintKind> {
    let inner = fields.missing("exclude", fields.object("exclude"))?;
    let (method, predicate) = (inner.text("index_method"), inner.text("predicate"));
    let elements = inner.required_text("elements");
    inner.finish();
    Some(ConstraintKind::Exclude(ExcludeRule { method, elements: elements?, predicate, index }))
}

fn index_parameters(fields: &Fields<'_>) -> Option<IndexParameters> {
    let Some(inner) = fields.object("index_parameters") else {
        return Some(IndexParameters::default());
    };
    let parameters = IndexParameters {
        tablespace: inner.ident("tablespace"),
        storage: inner.text("storage_parameters"),
        include: inner.idents("include_columns")?,
    };
    inner.finish();
    Some(parameters)
}

/// The far side of a reference of several columns.
fn target(fields: Fields<'_>) -> Option<TableForeignKey> {
    let (table, columns) = (fields.required_ident("table"), fields.idents("columns"));
    let target = TableForeignKey { columns: columns?, ..actions(&fields, table?)? };
    fields.finish();
    Some(target)
}

/// The far side of a reference of one column.
pub fn one_column_target(fields: &Fields<'_>) -> Option<TableForeignKey> {
    let (table, column) = (fields.required_ident("table"), fields.ident("column"));
    let columns = column.into_iter().collect();
    Some(TableForeignKey { columns, ..actions(fields, table?)? })
}

fn actions(fields: &Fields<'_>, table: Ident) -> Option<TableForeignKey> {
    let owned = |key, words: &[(&str, &'static str)]| fields.word(key, words).map(str::to_owned);
    Some(TableForeignKey {
        table,
        columns: vec![],
        match_type: owned("match_type", &MATCHES),
        on_update: owned("on_update", &ACTIONS),
        on_delete: owned("on_delete", &ACTIONS),
        on_delete_set: fields.idents("on_delete_set_columns")?,
    })
}

/// When a constraint is checked.
pub fn deferral(fields: &Fields<'_>) -> Deferral {
    let possible = fields.flag("deferrable").unwrap_or(false);
    match fields.flag("initially_deferred").unwrap_or(false) {
        true if !possible => {
            fields.flaw("initially_deferred", "asks for `deferrable: true` as well");
            Deferral::Never
        }
        true => Deferral::Initially,
        false if possible => Deferral::Possible,
        false => Deferral::Never,
    }
}
