//! Migrations whose contract is to run by itself and cannot, told when they are deployed.

use serin_core::{MigrationFile, ServiceSpec, Step};
use serin_migrate::{Flaw, annotated, migration, phased};
use serin_spec::{Located, Problem, Severity, document_tree};

/// A warning for each service whose newest migration, read before, waits for a person although it
/// says `automatic`.
pub fn contracts_that_wait(services: &[Located<ServiceSpec>]) -> Vec<Problem> {
    services.iter().filter_map(of_service).collect()
}

fn of_service(service: &Located<ServiceSpec>) -> Option<Problem> {
    let files = service.value.schedule.steps().find_map(|(_, step)| match step {
        Step::Migrate(step) => step.files.last().cloned(),
        _ => None,
    });
    let file = files?;
    let flaw = of_file(&file)?;
    let at = service.path_of("migrate").unwrap_or("spec.strategy").to_owned();
    let text = format!("migration {}: {}", file.name, flaw.message);
    let problem = service.problem(Severity::Warning, "migration", &at, text);
    Some(match flaw.hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    })
}

/// What cannot be read is told elsewhere.
fn of_file(file: &MigrationFile) -> Option<Flaw> {
    if file.sql {
        let document = annotated(&file.text).ok()?.document;
        return phased(&file.name, &document).ok()?.waits_for_backup();
    }
    let document = document_tree(&file.text).ok()?.pop()?.value;
    if document.get("kind").and_then(|kind| kind.as_str()) == Some("PhasedSql") {
        return phased(&file.name, &document).ok()?.waits_for_backup();
    }
    migration(&file.name, &document).ok()?.waits_for_backup()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_automatic_contract_that_drops_data_is_told() {
        let automatic = "serin: { contract: { automatic: true } }\n";
        let drop = "operations: [{ drop_column: { table: t, column: a, down: \"1\" } }]\n";
        let add = "operations: [{ add_column: { table: t, column: { name: a, type: text, nullable: true } } }]\n";
        let alter = "operations: [{ alter_column: { table: t, column: a, nullable: true, up: a, down: DOWN } }]\n";
        let phased = "kind: PhasedSql\nset: s\nmigrations:\n  - { version: \"1\", name: a, phase: \
                      contract, up_sql: UP, down_sql: SELECT 1, pre_check_sql: SELECT true }\n";
        let cases = [
            (format!("{drop}{automatic}"), true),
            (drop.to_owned(), false),
            (format!("{add}{automatic}"), false),
            (format!("{}{automatic}", alter.replace("DOWN", "a")), false),
            (format!("{}{automatic}", alter.replace("DOWN", "a / 100")), true),
            (format!("{}{automatic}", alter.replace("nullable: true", "type: bigint")), true),
            (format!("{}{automatic}", phased.replace("UP", "ALTER TABLE t DROP a")), true),
            (
                format!(
                    "{}{automatic}",
                    phased.replace("UP", "ALTER TABLE t ALTER a SET NOT NULL")
                ),
                false,
            ),
        ];
        for (text, wanted) in cases {
            let file = MigrationFile { name: "02".into(), text, sql: false };
            let is_read = document_tree(&file.text).is_ok();
            assert!(is_read, "{}", file.text);
            assert_eq!(of_file(&file).is_some(), wanted, "{}", file.text);
        }
    }
}
