//! Rules over migrations: each piece of SQL in its phase, and what operations say themselves.

use crate::own::{finding, no_index};
use crate::{Finding, Setting, Severity, Sizes, Trace, lint};
use serin_migrate::{
    Constraint, ConstraintKind, Flaw, Ident, Migration, Operation, Phase, PhasedMigration,
    PhasedSet, Plan,
};

/// Rules of squawk about locks that a trace can clear: the statement did no work.
const CLEARED: [&str; 8] = [
    "adding-field-with-default",
    "adding-not-nullable-field",
    "changing-column-type",
    "constraint-missing-not-valid",
    "adding-foreign-key-constraint",
    "disallowed-unique-constraint",
    "require-concurrent-index-creation",
    "adding-required-field",
];

/// What rules find in a migration of operations.
pub fn lint_migration(migration: &Migration, sizes: Option<&Sizes>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, operation) in migration.operations.iter().enumerate() {
        let path = format!("operations[{at}]");
        if let Operation::Sql(raw) = operation {
            let phase = if raw.on_complete { Phase::Contract } else { Phase::Expand };
            let check = migration.settings.checks.contract.first().cloned();
            let found = lint(&raw.up, &setting(phase, true, check, sizes)).into_iter();
            findings.extend(found.map(|finding| finding.path(format!("{path}.sql.up"))));
        }
        let keys = foreign_keys(operation).into_iter();
        let bare = keys.filter(|(table, column)| !has_index(migration, sizes, table, column));
        findings.extend(bare.map(|(table, column)| no_index(&table, &column).path(&path)));
    }
    findings.extend(migration.waits_for_backup().map(waits));
    findings
}

/// A contract that was to run by itself and cannot. A plan says it itself.
fn waits(flaw: Flaw) -> Finding {
    let found = finding("contract-waits", flaw.message).path(flaw.path);
    found.hint(flaw.hint.unwrap_or_default())
}

/// What rules find in a set of phased SQL.
pub fn lint_phased(set: &PhasedSet, sizes: Option<&Sizes>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, part) in set.migrations.iter().enumerate() {
        let found = |key: &str, found: Vec<Finding>| {
            found.into_iter().map(move |f| f.path(format!("migrations[{at}].{key}"))).collect()
        };
        let up = part.up_sql.iter().flat_map(|sql| lint(sql, &of_part(part, sql, sizes)));
        let down = part.down_sql.iter().flat_map(|sql| lint(sql, &of_way_back(sql, sizes)));
        let both: [Vec<Finding>; 2] =
            [found("up_sql", up.collect()), found("down_sql", down.filter(matters).collect())];
        findings.extend(both.into_iter().flatten());
    }
    findings.extend(set.waits_for_backup().map(waits));
    findings
}

fn of_part(part: &PhasedMigration, sql: &str, sizes: Option<&Sizes>) -> Setting {
    let check = part.pre_check_sql.clone();
    Setting { views: false, ..setting(part.phase, !is_concurrent(sql), check, sizes) }
}

fn of_way_back(sql: &str, sizes: Option<&Sizes>) -> Setting {
    Setting { views: false, ..setting(Phase::Contract, !is_concurrent(sql), None, sizes) }
}

fn is_concurrent(sql: &str) -> bool {
    serin_migrate::words(sql).iter().any(|word| word == "concurrently")
}

/// The way back takes away what the way forth made; only what cannot be run matters there.
fn matters(finding: &Finding) -> bool {
    matches!(
        finding.rule.as_str(),
        "syntax" | "unbatched-write" | "loop-without-commit" | "commit-in-block"
    )
}

/// What only a plan shows: which columns the server found an expression to read.
pub fn lint_plan(plan: &Plan, sizes: &Sizes) -> Vec<Finding> {
    let mut findings = Vec::new();
    for sync in &plan.syncs {
        for derive in sync.up.iter().chain(&sync.down) {
            let of = |name: &str| (sync.table.as_str().to_owned(), name.to_owned());
            let generated =
                derive.inputs.iter().find(|i| sizes.generated.contains(&of(i.physical.as_str())));
            if let Some(input) = generated {
                let message = format!(
                    "`{}` reads `{}`, which is generated: in a trigger it has no value yet",
                    derive.expression,
                    input.logical.as_str()
                );
                let hint = "write out the expression that generates it";
                findings.push(finding("reads-generated-column", message).hint(hint));
            }
            // What is moved is kept in step from the other table, too.
            if derive.reads_others && !derive.is_moved() {
                let message = format!(
                    "`{}` reads another table; when that one changes, the value here stays",
                    derive.expression
                );
                findings.push(finding("reads-other-table", message).hint("use x_move_column"));
            }
        }
    }
    findings
}

/// Weighs findings down that a trace disproves: the statement neither read nor wrote rows.
pub fn clear(findings: &mut [Finding], trace: &Trace) {
    for finding in findings.iter_mut().filter(|f| CLEARED.contains(&f.rule.as_str())) {
        let sql = finding.sql.as_deref();
        let traced = trace.statements.iter().find(|traced| Some(traced.sql.as_str()) == sql);
        let idle = traced.is_some_and(|traced| {
            traced.rewrites.is_empty() && traced.scans.is_empty() && traced.indexes.is_empty()
        });
        if idle {
            finding.severity = Severity::Info;
            finding.message.push_str(" The trace shows that here it reads and writes no row.");
        }
    }
}

fn setting(
    phase: Phase,
    in_transaction: bool,
    pre_check: Option<String>,
    sizes: Option<&Sizes>,
) -> Setting {
    let usual = Setting::default();
    Setting {
        phase: Some(phase),
        in_transaction,
        pre_check,
        major: sizes.map_or(usual.major, |sizes| sizes.major),
        rows: sizes.map(Sizes::rows).unwrap_or_default(),
        indexes: sizes.map(|sizes| sizes.indexes.clone()).unwrap_or_default(),
        ..usual
    }
}

/// Tables and the columns by which an operation makes them refer to others.
fn foreign_keys(operation: &Operation) -> Vec<(String, String)> {
    match operation {
        Operation::CreateTable { name, columns, constraints, .. } => {
            let of = |column: &str| (name.as_str().to_owned(), column.to_owned());
            let single =
                columns.iter().filter(|c| c.references.is_some() && !c.primary_key && !c.unique);
            let several = constraints.iter().filter_map(referring);
            single.map(|column| of(column.name.as_str())).chain(several.map(of)).collect()
        }
        Operation::AddColumn { table, column, .. } if column.references.is_some() => {
            vec![(table.as_str().to_owned(), column.name.as_str().to_owned())]
        }
        Operation::AlterColumn(alter) if alter.references.is_some() => {
            vec![(alter.table.as_str().to_owned(), alter.column.as_str().to_owned())]
        }
        _ => Vec::new(),
    }
}

fn referring(constraint: &Constraint) -> Option<&str> {
    match &constraint.kind {
        ConstraintKind::ForeignKey { columns, .. } => columns.first().map(Ident::as_str),
        _ => None,
    }
}

/// Whether an index begins with the column, in the database or by this migration.
fn has_index(migration: &Migration, sizes: Option<&Sizes>, on: &str, first: &str) -> bool {
    let known = sizes.is_some_and(|s| s.indexes.contains(&(on.to_owned(), first.to_owned())));
    known
        || migration.operations.iter().any(|operation| match operation {
            Operation::CreateIndex(index) => {
                let column = index.columns.first().map(|column| column.column.as_str());
                index.table.as_str() == on && column == Some(first)
            }
            _ => false,
        })
}
