//! `CREATE TABLE`.

use super::Context;
use crate::shape::{Column, RuleKind, Table};
use crate::{Deferral, Generated, Ident, literal};
use std::fmt::Write;

/// Statements that make a new table, without its references to others.
pub fn table(context: &Context<'_>, table: &Table<'_>) -> Vec<String> {
    let mut parts: Vec<String> = table.live().map(column).collect();
    parts.extend(primary_key(table));
    parts.extend(table.live().filter_map(check));
    parts.extend(table.rules.iter().filter_map(rule));
    let name = context.of(&table.physical);
    let mut sql = vec![format!("CREATE TABLE {name} (\n  {}\n)", parts.join(",\n  "))];
    if let Some(comment) = &table.comment {
        sql.push(format!("COMMENT ON TABLE {name} IS {}", literal(comment)));
    }
    for column in table.live() {
        if let Some(comment) = &column.comment {
            let of = column.physical();
            sql.push(format!("COMMENT ON COLUMN {name}.{of} IS {}", literal(comment)));
        }
    }
    sql
}

fn column(column: &Column<'_>) -> String {
    let spec = column.spec.as_ref();
    let mut text = format!("{} {}", column.physical(), column.data_type);
    match spec.and_then(|spec| spec.generated.as_ref()) {
        Some(Generated::Expression(expression)) => {
            let _ = write!(text, " GENERATED ALWAYS AS ({expression}\n) STORED");
        }
        Some(Generated::Identity(identity)) => {
            let when = if identity.always { "ALWAYS" } else { "BY DEFAULT" };
            let options = identity.sequence_options.as_ref();
            let options = options.map(|options| format!(" ({options}\n)")).unwrap_or_default();
            let _ = write!(text, " GENERATED {when} AS IDENTITY{options}");
        }
        None => {}
    }
    if let Some(default) = &column.default {
        let _ = write!(text, " DEFAULT {default}");
    }
    if !column.nullable {
        text += " NOT NULL";
    }
    if spec.is_some_and(|spec| spec.unique) {
        text += " UNIQUE";
    }
    text
}

fn primary_key(table: &Table<'_>) -> Option<String> {
    let keys =
        table.live().filter(|column| column.spec.as_ref().is_some_and(|spec| spec.primary_key));
    let keys: Vec<&Ident> = keys.map(Column::physical).collect();
    (!keys.is_empty()).then(|| format!("PRIMARY KEY ({})", super::list(keys)))
}

fn check(column: &Column<'_>) -> Option<String> {
    let check = column.spec.as_ref()?.check.as_ref()?;
    let inherit = if check.no_inherit { " NO INHERIT" } else { "" };
    Some(format!("CONSTRAINT {} CHECK ({}\n){inherit}", check.name, check.constraint))
}

fn rule(rule: &crate::shape::Rule) -> Option<String> {
    let name = &rule.held;
    let body = match &rule.kind {
        RuleKind::Inline { sql, .. } => sql.clone(),
        RuleKind::Check { condition, no_inherit } => {
            let inherit = if *no_inherit { " NO INHERIT" } else { "" };
            format!("CHECK ({}){inherit}", condition.as_run())
        }
        // Built and added when everything else is there.
        RuleKind::Unique(_) | RuleKind::ForeignKey { .. } => return None,
    };
    Some(format!("CONSTRAINT {name} {body}{}", deferral(rule.deferral)))
}

/// When a constraint is checked, as SQL.
pub fn deferral(deferral: Deferral) -> &'static str {
    match deferral {
        Deferral::Never => "",
        Deferral::Possible => " DEFERRABLE",
        Deferral::Initially => " DEFERRABLE INITIALLY DEFERRED",
    }
}
