//! `CREATE TABLE`.

use super::Context;
use crate::shape::{Column, RuleKind, Table, short};
use crate::{Deferral, Generated, Ident, literal};
use std::fmt::Write;

/// Statements that make a new table, without its references to others. One that an earlier way
/// back put aside, and that would be the same, comes back with its rows.
pub fn table(context: &Context<'_>, table: &Table<'_>) -> Vec<String> {
    let (name, physical) = (aside(context, table), &table.physical);
    let statements = statements(context, table);
    if !can_be_kept(context) {
        return statements;
    }
    let created: Vec<String> =
        statements.iter().map(|sql| format!("EXECUTE {};", literal(sql))).collect();
    let block = format!(
        "BEGIN IF to_regclass({}) IS NULL THEN {} ELSE ALTER TABLE serin.{name} SET SCHEMA {}; \
         ALTER TABLE {} RENAME TO {physical}; END IF; END",
        literal(&format!("serin.{name}")),
        created.join(" "),
        context.schema(),
        context.of(&name),
    );
    vec![format!("DO {}", crate::ident::block(&block))]
}

/// Rows that new clients wrote into a new table are put aside with it on the way back.
pub fn put_aside(context: &Context<'_>, table: &Table<'_>) -> String {
    let (on, name) = (context.of(&table.physical), aside(context, table));
    if !can_be_kept(context) {
        return format!("DROP TABLE IF EXISTS {on}");
    }
    let block = format!(
        "BEGIN IF to_regclass({}) IS NOT NULL THEN IF EXISTS (SELECT FROM {on}) AND \
         to_regclass({}) IS NULL THEN ALTER TABLE {on} RENAME TO {name}; ALTER TABLE {} \
         SET SCHEMA serin; ELSE DROP TABLE {on}; END IF; END IF; END",
        literal(&on),
        literal(&format!("serin.{name}")),
        context.of(&name),
    );
    format!("DO {}", crate::ident::block(&block))
}

/// Not while its columns may be of a type that goes.
fn can_be_kept(context: &Context<'_>) -> bool {
    context.shape.enums.is_empty()
}

/// The name of a table that was put aside: another for each shape it could have.
fn aside(context: &Context<'_>, table: &Table<'_>) -> Ident {
    let (statements, builds) = (statements(context, table), super::indexes::builds(table));
    let mut parts = vec![context.schema().as_str(), context.migration.name.as_str()];
    parts.extend(statements.iter().map(String::as_str));
    parts.extend(builds.iter().flat_map(|build| [build.held.as_str(), build.tail.as_str()]));
    short("kept_", &parts)
}

fn statements(context: &Context<'_>, table: &Table<'_>) -> Vec<String> {
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
