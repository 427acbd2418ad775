//! `create_table`.

use super::create_constraint::{far, push, references};
use crate::shape::{Column, Made, RuleKind, Shape, Table, Text, hashed};
use crate::{Constraint, ConstraintKind, ExcludeRule, Ident, IndexParameters};
use std::fmt::Write;

/// Notes a new table.
pub fn create(
    shape: &mut Shape<'_>,
    name: &Ident,
    columns: &[crate::Column],
    comment: Option<&String>,
    constraints: &[Constraint],
) {
    if !shape.free("name", name) || !is_sound(shape, columns) {
        return;
    }
    shape.names.take(name);
    let taken = shape.catalog.is_taken(name);
    let physical =
        if taken { hashed("_serin_new_", name.as_str(), &[name.as_str()]) } else { name.clone() };
    let made = |(at, spec): (usize, &crate::Column)| column(shape, at, spec);
    let columns: Vec<Column<'_>> = columns.iter().enumerate().map(made).collect();
    let table =
        Table { columns, comment: comment.cloned(), touched: true, ..Table::new(name, &physical) };
    shape.tables.push(table);
    let table = shape.tables.len() - 1;
    for (at, constraint) in constraints.iter().enumerate() {
        rule(shape, table, at, constraint);
    }
    for at in 0..shape.tables[table].columns.len() {
        let spec = shape.tables[table].columns[at].spec.clone();
        if let Some(of) = spec.and_then(|spec| spec.references) {
            references(shape, (table, at), (&format!("columns[{at}].references"), &of));
        }
    }
}

fn is_sound(shape: &mut Shape<'_>, columns: &[crate::Column]) -> bool {
    let before = shape.flaws.len();
    for (at, column) in columns.iter().enumerate() {
        let key = format!("columns[{at}].name");
        shape.usable(&key, &column.name);
        if columns.iter().take(at).any(|of| of.name == column.name) {
            shape.flaw(&key, format!("column {} comes twice", column.name));
        }
    }
    shape.flaws.len() == before
}

fn column<'c>(shape: &Shape<'_>, at: usize, spec: &crate::Column) -> Column<'c> {
    let made = Made {
        physical: spec.name.clone(),
        data_type: spec.data_type.clone(),
        collation: None,
        path: shape.path(&format!("columns[{at}].type")),
        instant: true,
    };
    let default_at = shape.path(&format!("columns[{at}].default"));
    Column { made: vec![made], at: shape.at.clone(), default_at, ..Column::added(spec) }
}

/// References are made when everything else is there; all other constraints with the table.
fn rule(shape: &mut Shape<'_>, table: usize, at: usize, constraint: &Constraint) {
    let key = format!("constraints[{at}]");
    let columns = match &constraint.kind {
        ConstraintKind::Unique { columns, .. }
        | ConstraintKind::PrimaryKey { columns, .. }
        | ConstraintKind::Check { columns, .. }
        | ConstraintKind::ForeignKey { columns, .. } => columns.as_slice(),
        ConstraintKind::Exclude(_) => &[],
    };
    let Some(places) = shape.columns(&format!("{key}.columns"), table, columns) else { return };
    if let ConstraintKind::ForeignKey { references, .. } = &constraint.kind {
        let key = format!("{key}.references");
        let Some(far) = far(shape, &key, (table, &places), references) else { return };
        let kind = RuleKind::ForeignKey { columns: places, far };
        return push(shape, table, &key, &constraint.name, (kind, constraint.deferral));
    }
    let kind = match &constraint.kind {
        ConstraintKind::Check { condition, no_inherit, .. } => {
            let of = &shape.tables[table];
            let condition = Text::new(condition, &of.name, of.scope());
            RuleKind::Check { condition, no_inherit: *no_inherit }
        }
        other => RuleKind::Inline { sql: inline(other), columns: key_columns(other, &places) },
    };
    push(shape, table, &format!("{key}.name"), &constraint.name, (kind, constraint.deferral));
}

/// Columns that tell rows apart by it.
fn key_columns(kind: &ConstraintKind, places: &[usize]) -> Option<(bool, Vec<usize>)> {
    match kind {
        ConstraintKind::PrimaryKey { .. } => Some((true, places.to_vec())),
        ConstraintKind::Unique { .. } => Some((false, places.to_vec())),
        _ => None,
    }
}

fn inline(kind: &ConstraintKind) -> String {
    match kind {
        ConstraintKind::PrimaryKey { columns, index } => {
            format!("PRIMARY KEY ({}){}", list(columns), parameters(index))
        }
        ConstraintKind::Unique { columns, nulls_not_distinct, index } => {
            let nulls = if *nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
            format!("UNIQUE{nulls} ({}){}", list(columns), parameters(index))
        }
        ConstraintKind::Exclude(rule) => exclude(rule),
        // Both have a rule of their own.
        ConstraintKind::Check { .. } | ConstraintKind::ForeignKey { .. } => String::new(),
    }
}

fn exclude(rule: &ExcludeRule) -> String {
    let method = rule.method.as_ref().map(|method| format!(" USING {method}")).unwrap_or_default();
    let condition =
        rule.predicate.as_ref().map(|rows| format!(" WHERE ({rows}\n)")).unwrap_or_default();
    format!("EXCLUDE{method} ({}\n){}{condition}", rule.elements, parameters(&rule.index))
}

fn parameters(index: &IndexParameters) -> String {
    let mut text = String::new();
    if !index.include.is_empty() {
        let _ = write!(text, " INCLUDE ({})", list(&index.include));
    }
    if let Some(storage) = &index.storage {
        let _ = write!(text, " WITH ({storage}\n)");
    }
    if let Some(tablespace) = &index.tablespace {
        let _ = write!(text, " USING INDEX TABLESPACE {tablespace}");
    }
    text
}

fn list(names: &[Ident]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
