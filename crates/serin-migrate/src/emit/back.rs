//! The way back to the old shape, from anywhere before the swap: everything is taken away whether
//! or not it is there.

use super::{
    Context, create, cross, extra, indexes, needs_proof, numbers, proof, publish, settings,
    transaction,
};
use crate::shape::{RuleKind, Table};
use crate::{Action, Ident, Stage, Step, catalog};

/// Views first, then what only the new shape holds is put aside, then everything else.
pub fn steps(context: &Context<'_>) -> Vec<Step> {
    let mut sql = publish::unpublish(context);
    sql.extend(numbers::revokes(context));
    sql.extend(extra::revokes(context));
    sql.extend(settings::identities_back(context));
    let title = format!("drop the views of {}", context.new_view);
    let mut steps = vec![transaction(Stage::Unpublish, title, sql, vec![])];
    for (sync, of) in context.syncs.iter().enumerate().filter(|(_, sync)| !sync.up.is_empty()) {
        let title = format!("put aside what only the new shape of {} holds", of.table);
        steps.push(Step { stage: Stage::Salvage, title, action: Action::Salvage { sync } });
    }
    let crosses = cross::drop(context);
    if !crosses.is_empty() {
        let title = "no column moves any more";
        steps.push(transaction(Stage::Revert, title, crosses, super::swap::locked(context)));
    }
    steps.extend(references(context));
    let kept = context.kept();
    steps.extend(kept.flat_map(|(table, old)| revert(context, table, old)));
    for table in context.made() {
        let sql = vec![create::put_aside(context, table)];
        let title = format!("put table {} aside, or drop it when it is empty", table.physical);
        steps.push(transaction(Stage::Revert, title, sql, vec![]));
    }
    steps.extend(extra::drop_enums(context));
    let down = context.shape.sql.iter().filter(|sql| !sql.on_complete);
    for sql in down.filter_map(|sql| sql.down.clone()) {
        steps.push(transaction(
            Stage::Revert,
            crate::plan::OWN_DOWN,
            vec![super::raw(&sql)],
            vec![],
        ));
    }
    steps
}

/// References need unique indexes of other tables, so they go first.
fn references(context: &Context<'_>) -> Vec<Step> {
    let live = context.shape.tables.iter().filter(|table| table.live);
    let rules = live.flat_map(|table| table.rules.iter().map(move |rule| (table, rule)));
    let references = rules.filter(|(_, rule)| matches!(rule.kind, RuleKind::ForeignKey { .. }));
    let parts = references.flat_map(|(table, rule)| {
        super::verify::holders(table).into_iter().map(move |holder| (holder, rule))
    });
    parts
        .map(|(holder, rule)| {
            let (on, held) = (context.of(&holder), &rule.held);
            let sql = vec![format!("ALTER TABLE IF EXISTS {on} DROP CONSTRAINT IF EXISTS {held}")];
            let far = super::constraints::far_table(context, rule);
            let tables = [holder].into_iter().chain(far).collect();
            transaction(Stage::Revert, format!("drop constraint {held} of {on}"), sql, tables)
        })
        .collect()
}

fn revert(context: &Context<'_>, table: &Table<'_>, old: &catalog::Table) -> Vec<Step> {
    let mut steps = vec![];
    for build in indexes::builds(table) {
        steps.extend(index(context, table, build.held, build.constraint));
    }
    let mut parts: Vec<String> = table
        .columns
        .iter()
        .filter(|column| needs_proof(table, column))
        .map(|column| format!("DROP CONSTRAINT IF EXISTS {}", proof(table, column)))
        .collect();
    let checks = table.rules.iter().filter(|rule| matches!(rule.kind, RuleKind::Check { .. }));
    parts.extend(checks.map(|rule| format!("DROP CONSTRAINT IF EXISTS {}", rule.held)));
    let new = super::expand::new_columns(table);
    parts.extend(new.map(|(_, made)| format!("DROP COLUMN IF EXISTS {}", made.physical)));
    let sync = context.sync(table).map(|at| &context.syncs[at]);
    let mut sql: Vec<String> =
        sync.into_iter().flat_map(|sync| crate::trigger::drop(sync, context.schema())).collect();
    if !parts.is_empty() {
        let on = context.of(&old.name);
        sql.push(format!("ALTER TABLE IF EXISTS {on} {}", parts.join(", ")));
    }
    if !sql.is_empty() {
        let title = format!("take away what was added to {}", old.name);
        steps.push(transaction(Stage::Revert, title, sql, vec![old.name.clone()]));
    }
    steps
}

fn index(context: &Context<'_>, table: &Table<'_>, held: &Ident, constraint: bool) -> Vec<Step> {
    let drop = |index: &Ident, table: &Ident| {
        let action = Action::DropIndexConcurrently { index: index.clone(), table: table.clone() };
        Step { stage: Stage::Revert, title: format!("drop index {index} of {table}"), action }
    };
    if !table.is_partitioned() {
        return vec![drop(held, &table.physical)];
    }
    let mut steps = vec![];
    if !constraint {
        let sql = vec![format!("DROP INDEX IF EXISTS {}", context.of(held))];
        let title = format!("drop index {held} of {}", table.physical);
        steps.push(transaction(Stage::Revert, title, sql, vec![table.physical.clone()]));
    }
    let leaves = indexes::leaves(context, table, held);
    steps.extend(leaves.iter().map(|(index, leaf)| drop(index, leaf)));
    steps
}
