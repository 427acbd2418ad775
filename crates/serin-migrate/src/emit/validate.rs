//! Slow proofs that lock little, before the old shape goes.

use super::constraints::told;
use super::{Context, expand, needs_proof, proof, publish, transaction, verify};
use crate::shape::{RuleKind, Table};
use crate::{Ident, Stage, Step};

/// The migration's own questions, rows that break a rule, and the proofs that there are none.
pub fn steps(context: &Context<'_>) -> Vec<Step> {
    let checks = &context.migration.settings.checks.contract;
    let asked = checks.iter().map(|sql| expand::check(Stage::Validate, sql));
    let mut steps: Vec<Step> = asked.chain(publish::only_ours(context)).collect();
    steps.extend(verify::filled_again(context));
    steps.extend(verify::broken(context, Stage::Validate));
    steps.extend(context.kept().flat_map(|(table, _)| proofs(context, table)));
    steps
}

fn proofs(context: &Context<'_>, table: &Table<'_>) -> Vec<Step> {
    let step = |on: &Ident, name: &Ident, what: String| {
        let sql = vec![format!("ALTER TABLE {} VALIDATE CONSTRAINT {name}", context.of(on))];
        let tables = vec![on.clone()];
        transaction(Stage::Validate, format!("prove {what}"), sql, tables)
    };
    let columns = table.columns.iter().filter(|column| needs_proof(table, column));
    let columns = columns.map(|column| {
        step(
            &table.physical,
            &proof(table, column),
            format!("NOT NULL of {}.{}", table.name, column.name),
        )
    });
    let rules = table.rules.iter().flat_map(|rule| {
        let on = match rule.kind {
            RuleKind::Check { .. } => vec![table.physical.clone()],
            RuleKind::ForeignKey { .. } => verify::holders(table),
            RuleKind::Unique(_) | RuleKind::Inline { .. } => vec![],
        };
        on.into_iter().map(move |on| (on, rule))
    });
    columns.chain(rules.map(|(on, rule)| step(&on, &rule.held, told(table, rule)))).collect()
}
