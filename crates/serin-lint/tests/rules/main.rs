//! SQL in, rules that find something out.

use serde_json::json;
use serin_lint::{Finding, Setting, Severity, lint, lint_migration, lint_phased};
use serin_migrate::{Phase, migration, phased};

/// Rules that must be found, with their weights.
type Rules = &'static [(&'static str, Severity)];

fn found(sql: &str, setting: &Setting) -> Vec<(String, Severity)> {
    lint(sql, setting).into_iter().map(|finding| (finding.rule, finding.severity)).collect()
}

fn in_phase(phase: Phase) -> Setting {
    Setting { phase: Some(phase), views: false, ..Setting::default() }
}

/// The rules that must be found, each with its weight, and nothing else that weighs.
fn check(phase: Phase, sql: &str, wanted: Rules) {
    let found = found(sql, &in_phase(phase));
    let heavy: Vec<(&str, Severity)> = found
        .iter()
        .map(|(rule, s)| (rule.as_str(), *s))
        .filter(|(_, s)| *s > Severity::Info)
        .collect();
    assert_eq!(heavy, wanted, "{sql}");
}

#[test]
fn what_is_safe_is_not_told() {
    for sql in [
        "ALTER TABLE t ADD COLUMN c text",
        "ALTER TABLE t ADD COLUMN c int NOT NULL DEFAULT 5",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID",
        "CREATE TABLE t (id bigint PRIMARY KEY); CREATE INDEX i ON t (id); DELETE FROM t;",
        "UPDATE t SET a = 1 WHERE id BETWEEN 1 AND 100",
        "COMMENT ON TABLE t IS 'x'",
    ] {
        check(Phase::Expand, sql, &[]);
    }
}

#[test]
fn rules_of_squawk_have_weights() {
    use Severity::{Block, Warn};
    let cases: [(&str, Rules); 7] = [
        ("CREATE INDEX i ON t (a)", &[("require-concurrent-index-creation", Block)]),
        ("ALTER TABLE t ALTER a TYPE bigint", &[("changing-column-type", Block)]),
        ("ALTER TABLE t ADD CHECK (a > 0)", &[("constraint-missing-not-valid", Block)]),
        ("ALTER TABLE t ALTER a SET NOT NULL", &[("adding-not-nullable-field", Block)]),
        ("ALTER TABLE t ADD c int NOT NULL", &[("adding-required-field", Block)]),
        ("ALTER TABLE t ALTER a DROP NOT NULL", &[("ban-drop-not-null", Warn)]),
        (
            "BEGIN; ALTER TABLE t ADD c int; COMMIT",
            &[("transaction-nesting", Block), ("transaction-nesting", Block)],
        ),
    ];
    for (sql, wanted) in cases {
        check(Phase::Expand, sql, wanted);
    }
}

#[test]
fn our_own_rules() {
    use Severity::{Block, Warn};
    let seeds = "DO $$ DECLARE n int; BEGIN LOOP UPDATE users SET a = b WHERE id IN \
                 (SELECT id FROM users WHERE a IS NULL LIMIT 1000); GET DIAGNOSTICS n = ROW_COUNT; \
                 EXIT WHEN n = 0; PERFORM pg_sleep(0.1); END LOOP; END $$";
    let cases: [(Phase, &str, Rules); 14] = [
        (Phase::Migrate, "UPDATE users SET a = b", &[("unbatched-write", Block)]),
        (Phase::Migrate, "UPDATE users SET a = b WHERE a IS NULL", &[("unbatched-write", Block)]),
        (Phase::Migrate, "DELETE FROM users", &[("unbatched-write", Block)]),
        (
            Phase::Migrate,
            "WITH x AS (UPDATE users SET a = b RETURNING 1) SELECT * FROM x",
            &[("unbatched-write", Block)],
        ),
        (Phase::Migrate, seeds, &[("loop-without-commit", Block)]),
        (
            Phase::Migrate,
            "DO $$ BEGIN UPDATE users SET a = b; END $$",
            &[("unbatched-write", Block)],
        ),
        (
            Phase::Migrate,
            "DO $$ BEGIN LOOP UPDATE t SET a = 1; COMMIT; END LOOP; END $$",
            &[("commit-in-block", Block)],
        ),
        (Phase::Expand, "DROP TABLE users", &[("destructive-in-expand", Block)]),
        (Phase::Expand, "ALTER TABLE users RENAME a TO b", &[("destructive-in-expand", Block)]),
        (Phase::Expand, "TRUNCATE users", &[("destructive-in-expand", Block)]),
        (Phase::Contract, "ALTER TABLE users DROP COLUMN a", &[("contract-without-check", Block)]),
        (
            Phase::Expand,
            "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
            &[("row-level-security", Block)],
        ),
        (
            Phase::Expand,
            "CREATE TABLE o (u int REFERENCES users (id))",
            &[("missing-index-on-foreign-key", Warn)],
        ),
        (Phase::Expand, "SELEC 1", &[("syntax", Block)]),
    ];
    for (phase, sql, wanted) in cases {
        check(phase, sql, wanted);
    }
    check(
        Phase::Expand,
        "CREATE TABLE o (u int REFERENCES users (id)); CREATE INDEX i ON o (u)",
        &[],
    );
    let policy = "CREATE POLICY p ON t USING (true); ALTER TABLE t ENABLE ROW LEVEL SECURITY";
    check(Phase::Expand, policy, &[]);
}

#[test]
fn small_tables_may_be_written_at_once() {
    let rows = |rows| Setting {
        rows: [("users".to_owned(), rows)].into_iter().collect(),
        ..in_phase(Phase::Migrate)
    };
    let sql = "UPDATE users SET a = b";
    assert_eq!(found(sql, &rows(500)), [("unbatched-write".into(), Severity::Info)]);
    assert_eq!(found(sql, &rows(5_000_000)), [("unbatched-write".into(), Severity::Block)]);
}

#[test]
fn a_check_that_cannot_fail_is_none() {
    let setting =
        |check: &str| Setting { pre_check: Some(check.into()), ..in_phase(Phase::Contract) };
    let sql = "ALTER TABLE users DROP COLUMN a";
    let heavy = |check: &str| {
        let found = found(sql, &setting(check));
        found.into_iter().filter(|(_, s)| *s > Severity::Info).collect::<Vec<_>>()
    };
    assert_eq!(heavy("SELECT true;"), [("trivial-check".into(), Severity::Warn)]);
    assert_eq!(heavy("SELECT count(*) = 0 FROM users WHERE b IS NULL"), []);
}

#[test]
fn what_is_allowed_has_a_reason_and_does_not_block() {
    let with =
        |comment: &str| lint(&format!("{comment}\nDROP TABLE users;\n"), &in_phase(Phase::Expand));
    let blocking = |found: &[Finding]| found.iter().filter(|finding| finding.blocks()).count();
    let allowed = with("-- serin:allow destructive-in-expand nobody has used it since 2019");
    assert_eq!(blocking(&allowed), 0, "{allowed:?}");
    assert_eq!(allowed[0].allowed.as_deref(), Some("nobody has used it since 2019"));
    let rules = |found: &[Finding]| found.iter().map(|f| f.rule.clone()).collect::<Vec<_>>();
    assert_eq!(
        rules(&with("-- serin:allow destructive-in-expand")),
        ["allow-without-reason", "destructive-in-expand"]
    );
    assert_eq!(
        rules(&with("-- serin:allow destructiv because")),
        ["unknown-rule", "destructive-in-expand"]
    );
    assert_eq!(
        rules(&with("-- serin:allow unbatched-write because")),
        ["unused-allow", "destructive-in-expand"]
    );
    assert_eq!(
        rules(&with("-- squawk-ignore ban-drop-table")),
        ["foreign-ignore", "destructive-in-expand"]
    );
    let other = "-- serin:allow destructive-in-expand it is old\nSELECT 1;\nDROP TABLE users;";
    assert_eq!(blocking(&lint(other, &in_phase(Phase::Expand))), 1);
}

#[test]
fn what_an_app_sends_must_work_on_views() {
    let app = |major| Setting { phase: None, major, ..Setting::default() };
    let cases = [
        ("COPY orders (id) FROM STDIN", 1),
        ("COPY orders TO STDOUT", 1),
        ("COPY (SELECT * FROM orders) TO STDOUT", 0),
        ("TRUNCATE orders", 1),
        ("INSERT INTO orders (id) VALUES (1) ON CONFLICT ON CONSTRAINT c DO NOTHING", 1),
        ("INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO NOTHING", 0),
        ("SELECT xmin FROM orders WHERE id = 1", 1),
        ("UPDATE orders SET a = 1", 0),
        ("MERGE INTO orders o USING x ON o.id = x.id WHEN MATCHED THEN DELETE", 1),
    ];
    for (sql, count) in cases {
        let found = lint(sql, &app(15));
        assert_eq!(found.len(), count, "{sql}: {found:?}");
        assert!(found.iter().all(|finding| finding.rule == "view-incompatible"), "{found:?}");
    }
    assert_eq!(lint(cases[8].0, &app(17)), []);
}

#[test]
fn places_are_lines_and_columns() {
    let found = lint("SELECT 1;\n\n  UPDATE users SET a = 'ü';", &in_phase(Phase::Migrate));
    let place = found[0].place.as_ref().expect("a place");
    assert_eq!((place.line, place.column), (3, 3));
    assert_eq!(found[0].sql.as_deref(), Some("UPDATE users SET a = 'ü'"));
}

#[test]
fn operations_and_sets_are_looked_at_in_their_phases() {
    let document = json!({"operations": [
        {"sql": {"up": "UPDATE a SET b = 1"}},
        {"sql": {"up": "DROP TABLE old", "onComplete": true}},
        {"create_table": {"name": "o", "columns": [
            {"name": "u", "type": "int", "references": {"name": "f", "table": "users", "column": "id"}}]}}
    ]});
    let found = lint_migration(&migration("01", &document).expect("a migration"), None);
    let told: Vec<(&str, &str)> = found
        .iter()
        .filter(|finding| finding.severity > Severity::Info)
        .map(|finding| (finding.path.as_str(), finding.rule.as_str()))
        .collect();
    let wanted = [
        ("operations[0].sql.up", "unbatched-write"),
        ("operations[1].sql.up", "contract-without-check"),
        ("operations[2]", "missing-index-on-foreign-key"),
    ];
    assert_eq!(told, wanted);
    let set = json!({"migrations": [
        {"version": "1", "name": "a", "phase": "expand", "up_sql": "CREATE INDEX CONCURRENTLY i ON t (a)",
         "down_sql": "DROP INDEX CONCURRENTLY IF EXISTS i"},
        {"version": "2", "name": "b", "phase": "migrate", "up_sql": "UPDATE t SET a = b"}
    ]});
    let found = lint_phased(&phased("set", &set).expect("a set"), None);
    let told: Vec<&str> = found.iter().map(|finding| finding.path.as_str()).collect();
    assert_eq!(told, ["migrations[1].up_sql"], "{found:?}");
}

#[test]
fn any_text_is_looked_at() {
    // A small generator with a fixed seed: pieces of SQL in any order.
    let pieces = [
        "DO $$",
        "$$",
        "LOOP",
        "UPDATE t SET a=1",
        ";",
        "(",
        ")",
        "'",
        "\"",
        "ü",
        "--",
        "/*",
        "DROP",
        "CREATE INDEX",
        "BEGIN",
        "\\",
        "x",
        " ",
        "1e",
        "$1",
        "::",
    ];
    let mut state = 7_u64;
    for _ in 0..2_000 {
        let mut sql = String::new();
        for _ in 0..12 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            sql.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            sql.push(' ');
        }
        let _ = lint(&sql, &Setting::default());
    }
}

#[test]
fn an_automatic_contract_that_drops_data_waits() {
    let settings = |automatic: bool| json!({"contract": {"automatic": automatic}});
    let drop = json!([{"drop_column": {"table": "t", "column": "a", "down": "1"}}]);
    for automatic in [true, false] {
        let written = json!({"operations": drop, "serin": settings(automatic)});
        let found = lint_migration(&migration("02", &written).unwrap(), None);
        let weights: Vec<_> = found.iter().map(|f| (f.rule.as_str(), f.severity)).collect();
        let wanted: &[_] = if automatic { &[("contract-waits", Severity::Info)] } else { &[] };
        assert_eq!(weights, wanted);
    }
}

#[test]
fn a_rule_is_told_once_a_statement() {
    let sql = "ALTER TABLE t DROP COLUMN a, DROP COLUMN b; ALTER TABLE t DROP COLUMN c";
    let found = found(sql, &in_phase(Phase::Contract));
    assert_eq!(found.iter().filter(|(rule, _)| rule == "ban-drop-column").count(), 2, "{found:?}");
}
