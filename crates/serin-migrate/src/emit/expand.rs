//! New columns, tables and triggers beside what is there.

use super::{Context, create, cross, extra, sequences, transaction};
use crate::shape::{Column, Made, Table};
use crate::{Action, Ident, Stage, Step, catalog};
use std::fmt::Write;

/// Questions that come first, then new tables, then what is new in old ones.
pub fn steps(context: &Context<'_>) -> Vec<Step> {
    let checks = &context.migration.settings.checks.pre;
    let mut steps: Vec<Step> = checks.iter().map(|sql| check(Stage::Expand, sql)).collect();
    let started = context.shape.sql.iter().filter(|sql| !sql.on_complete);
    for sql in started {
        let title = crate::plan::OWN_UP;
        steps.push(transaction(Stage::Expand, title, vec![super::raw(&sql.up)], vec![]));
    }
    steps.extend(extra::enums(context));
    for table in context.made() {
        let sql = create::table(context, table);
        steps.push(transaction(
            Stage::Expand,
            format!("create table {}", table.physical),
            sql,
            vec![],
        ));
    }
    steps.extend(context.kept().filter_map(|(table, old)| expand(context, table, old)));
    steps
}

/// A question of the migration's own.
pub fn check(stage: Stage, sql: &str) -> Step {
    let title = format!("ask: {}", sql.trim());
    Step { stage, title, action: Action::Check { sql: sql.to_owned() } }
}

fn expand(context: &Context<'_>, table: &Table<'_>, old: &catalog::Table) -> Option<Step> {
    let on = context.of(&table.physical);
    let new: Vec<(&Column<'_>, &Made)> = new_columns(table).collect();
    let mut sql = sequences::made(context, table);
    if !new.is_empty() {
        let added: Vec<String> = new.iter().map(|(column, made)| add(column, made)).collect();
        sql.push(format!("ALTER TABLE {on} {}", added.join(", ")));
        sql.extend(new.iter().flat_map(|(column, made)| grants(&on, column, &made.physical)));
    }
    sql.extend(sequences::settled(context, table));
    let sync = context.sync(table);
    if let Some(at) = sync {
        sql.extend(crate::trigger::create(&context.syncs[at], context.sides()));
    }
    sql.extend(cross::create(context, &table.physical));
    if sql.is_empty() {
        return None;
    }
    let names = super::list(new.iter().map(|(_, made)| &made.physical));
    let title = match (names.is_empty(), sync) {
        (false, None) => format!("add {names} to {}", old.name),
        (false, Some(_)) => format!("add {names} to {}, and hold both shapes in step", old.name),
        (true, _) => format!("hold both shapes of {} in step", old.name),
    };
    let mut tables = vec![table.physical.clone()];
    tables.extend(cross::sources(context, &table.physical));
    Some(transaction(Stage::Expand, title, sql, tables))
}

/// Columns made beside the old ones, with what they are for.
pub fn new_columns<'t>(table: &'t Table<'t>) -> impl Iterator<Item = (&'t Column<'t>, &'t Made)> {
    let there = table.old.is_some();
    let columns = table.columns.iter().filter(move |_| there);
    columns.flat_map(|column| column.made.iter().map(move |made| (column, made)))
}

fn add(column: &Column<'_>, made: &Made) -> String {
    let mut text = format!("ADD COLUMN {} {}", made.physical, made.data_type);
    if let Some(collation) = &made.collation {
        let _ = write!(text, " COLLATE {collation}");
    }
    let default = column.default.as_ref().filter(|_| made.instant && column.old.is_none());
    if let Some(default) = default {
        let _ = write!(text, " DEFAULT {default}");
        if !column.nullable {
            text += " NOT NULL";
        }
    }
    text
}

/// Privileges on a column alone go with its values.
fn grants(on: &str, column: &Column<'_>, physical: &Ident) -> Vec<String> {
    let acl = column.old.into_iter().flat_map(|old| &old.acl);
    acl.map(|grant| {
        let (privilege, to) = (&grant.privilege, super::publish::to(grant));
        format!("GRANT {privilege} ({physical}) ON {on} {to}")
    })
    .collect()
}
