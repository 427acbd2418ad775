//! Nothing is left over, and every new rule holds: rows that break one are told before anybody is
//! bound by it.

use super::constraints::{definition, far_table, query, told, violations};
use super::{Context, indexes, needs_proof, proof, transaction};
use crate::shape::{Rule, RuleKind, Table};
use crate::{Action, Ident, Stage, Step};

/// From the backfill to the last question before the new views.
pub fn steps(context: &Context<'_>) -> Vec<Step> {
    let mut steps = filled(context);
    steps.extend(broken(context, Stage::Verify));
    steps.extend(context.kept().filter_map(|(table, _)| bind(context, table)));
    steps.extend(indexes::steps(context));
    steps.extend(references(context));
    let checks = &context.migration.settings.checks.post;
    steps.extend(checks.iter().map(|sql| super::expand::check(Stage::Verify, sql)));
    steps
}

fn filled(context: &Context<'_>) -> Vec<Step> {
    let mut steps = vec![];
    for (sync, of) in context.syncs.iter().enumerate() {
        let mut step = |stage, title: String, action| steps.push(Step { stage, title, action });
        let table = &of.table;
        if of.up.is_empty() {
            continue;
        }
        if !of.passive {
            step(
                Stage::Backfill,
                format!("fill in the rows of {table}"),
                Action::Backfill { sync },
            );
        }
        let title = format!("give back what an earlier way back put aside of {table}");
        step(Stage::Backfill, title, Action::Restore { sync });
        if !of.passive {
            step(Stage::Verify, format!("no row of {table} is left"), Action::AllDone { sync });
        }
    }
    steps
}

/// Rows that came past the trigger while both shapes were in use are filled in before the old values
/// go: of partitions that were attached, of clients that switch triggers off.
pub fn filled_again(context: &Context<'_>) -> Vec<Step> {
    let all = context.syncs.iter().enumerate();
    let active = all.filter(|(_, of)| !of.up.is_empty() && !of.passive);
    let step = |(sync, of): (usize, &crate::TableSync)| Step {
        stage: Stage::Validate,
        title: format!("no row of {} is left", of.table),
        action: Action::AllDone { sync },
    };
    active.map(step).collect()
}

/// Rows that break a new rule of a table that was there.
pub fn broken(context: &Context<'_>, stage: Stage) -> Vec<Step> {
    let mut steps = vec![];
    for (table, _) in context.kept() {
        for column in table.columns.iter().filter(|column| needs_proof(table, column)) {
            let rule = format!("NOT NULL of {}.{}", table.name, column.name);
            let condition = format!("t.{} IS NULL", column.physical());
            let query = query(context, table, &condition, &[]);
            steps.push(look(stage, rule, query));
        }
        for rule in &table.rules {
            if let Some(query) = violations(context, table, rule) {
                steps.push(look(stage, told(table, rule), query));
            }
        }
    }
    steps.extend(super::cross::lost(context, stage));
    steps
}

fn look(stage: Stage, rule: String, query: String) -> Step {
    let title = format!("look for rows that break {rule}");
    Step { stage, title, action: Action::Violations { rule, query } }
}

/// Rules of one table hold for every row written from here on.
fn bind(context: &Context<'_>, table: &Table<'_>) -> Option<Step> {
    let proofs = table.columns.iter().filter(|column| needs_proof(table, column));
    let proofs = proofs.map(|column| {
        format!(
            "ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID",
            proof(table, column),
            column.physical()
        )
    });
    let rules = table.rules.iter().filter(|rule| matches!(rule.kind, RuleKind::Check { .. }));
    let rules = rules.filter_map(|rule| {
        let definition = definition(context, table, rule)?;
        Some(format!("ADD CONSTRAINT {} {definition} NOT VALID", rule.held))
    });
    let added: Vec<String> = proofs.chain(rules).collect();
    let sql = vec![format!("ALTER TABLE {} {}", context.of(&table.physical), added.join(", "))];
    let title = format!("new rules of {} hold for what is written from here on", table.name);
    let tables = vec![table.physical.clone()];
    (!added.is_empty()).then(|| transaction(Stage::Verify, title, sql, tables))
}

/// References come last: what they refer to has its unique index by then.
fn references(context: &Context<'_>) -> Vec<Step> {
    let live = context.shape.tables.iter().filter(|table| table.live);
    let rules = live.flat_map(|table| table.rules.iter().map(move |rule| (table, rule)));
    let references = rules.filter(|(_, rule)| matches!(rule.kind, RuleKind::ForeignKey { .. }));
    let parts = references.flat_map(|(table, rule)| {
        holders(table).into_iter().map(move |holder| (table, holder, rule))
    });
    parts.filter_map(|(table, holder, rule)| reference(context, (table, &holder), rule)).collect()
}

/// Tables that a reference is made on: of a partitioned one its partitions, which can be looked
/// at later; the whole joins them at the swap.
pub fn holders(table: &Table<'_>) -> Vec<Ident> {
    match table.old.filter(|old| old.partitioned) {
        Some(old) => old.leaves.iter().map(|leaf| leaf.name.clone()).collect(),
        None => vec![table.physical.clone()],
    }
}

fn reference(
    context: &Context<'_>,
    (table, holder): (&Table<'_>, &Ident),
    rule: &Rule,
) -> Option<Step> {
    let definition = definition(context, table, rule)?;
    // A table that is new has no rows to be looked at.
    let later = if table.old.is_none() { "" } else { " NOT VALID" };
    let (on, name) = (context.of(holder), &rule.held);
    let sql = vec![format!("ALTER TABLE {on} ADD CONSTRAINT {name} {definition}{later}")];
    let far = far_table(context, rule).filter(|far| far != holder);
    let tables: Vec<Ident> = [holder.clone()].into_iter().chain(far).collect();
    let title = format!("{} holds for what is written from here on", told(table, rule));
    Some(transaction(Stage::Verify, title, sql, tables))
}
