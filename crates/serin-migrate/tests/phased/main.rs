//! Phased SQL: documents and annotated files in, sets or everything that is wrong with them out.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};
use serin_migrate::{Phase, annotated, phased};

fn flaws(document: &Value) -> String {
    let flaws = phased("set", document).unwrap_err();
    flaws.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const FILE: &str = r#"-- Full names, in one column.
-- serin:set rename-full-name
-- serin:migration version=2024_01_15_001 name=add_full_name phase=expand estimated_duration="5 minutes"
-- serin:pre_check
SELECT count(*) = 0 FROM information_schema.columns WHERE column_name = 'full_name';
-- serin:up
-- serin:allow renaming-column because nobody reads it
ALTER TABLE users ADD COLUMN full_name text;
-- serin:down
ALTER TABLE users DROP COLUMN IF EXISTS full_name;

-- serin:migration version=2024_01_15_002 name=fill phase=migrate affects_writes=false
-- serin:batch table=users key=a,b set="full_name = first || ' ' || last" where="full_name IS NULL"
"#;

#[test]
fn annotated_sql_and_yaml_are_the_same() {
    let file = annotated(FILE).unwrap();
    let set = phased("file", &file.document).unwrap();
    assert_eq!(set.set.as_str(), "rename-full-name");
    let first = &set.migrations[0];
    assert_eq!((first.version.as_str(), first.phase), ("2024_01_15_001", Phase::Expand));
    assert_eq!(first.estimated_duration_ms, Some(300_000));
    assert!(first.up_sql.as_deref().unwrap().contains("serin:allow renaming-column"));
    let batch = set.migrations[1].batch.as_ref().unwrap();
    assert_eq!((batch.key.len(), batch.set.as_str()), (2, "full_name = first || ' ' || last"));
    assert_eq!(file.lines["migrations[0].up_sql"], 7);
    let document = json!({
        "kind": "PhasedSql",
        "migrations": [{
            "version": "1", "name": "n", "phase": "contract", "up_sql": "DROP TABLE old",
            "requires_lock": true, "affects_writes": true, "down_sql": ""
        }],
        "serin": {"contract": {"after": "2h"}}
    });
    let set = phased("file", &document).unwrap();
    assert_eq!((set.set.as_str(), set.settings.contract.after_ms), ("file", 7_200_000));
    assert!(set.migrations[0].requires_lock && set.migrations[0].down_sql.is_none());
}

#[test]
fn everything_wrong_is_told_at_once() {
    let text = flaws(&json!({
        "kind": "PhasedSql",
        "migrations": [
            {"version": "1", "name": "a", "phase": "contract", "up_sql": "SELECT 1"},
            {"version": "1", "name": "b", "phase": "expand", "up_sql": "SELECT 1", "down_sql": "SELECT 1"},
            {"version": "2", "name": "c", "phase": "expnd", "up_sql": "x"},
        ]
    }));
    assert!(text.contains("migrations[2].phase: `expnd` is none of expand, migrate, contract"));
    let order = flaws(&json!({"migrations": [
        {"version": "1", "name": "a", "phase": "contract", "up_sql": "SELECT 1"},
        {"version": "1", "name": "b", "phase": "expand", "up_sql": "SELECT 1", "down_sql": "SELECT 1"}
    ]}));
    let part = |part: Value| flaws(&json!({ "migrations": [part] }));
    let cases = [
        (order.clone(), "migrations[1].version: `1` is the version of another part"),
        (order, "migrations[1].phase: `expand` stands after `contract`"),
        (
            part(json!({"version": "1", "name": "a", "phase": "expand", "up_sql": "SELECT 1"})),
            "migrations[0].down_sql: is missing; say what takes it back",
        ),
        (
            part(json!({"version": 1, "name": "a", "phase": "migrate"})),
            "migrations[0].up_sql: is missing; say `up_sql`, or `batch`",
        ),
        (
            part(json!({"version": 1, "name": "a", "phase": "migrate", "up_sql": "SELECT 1",
                        "batch": {"table": "t", "key": "id", "set": "a = 1"}})),
            "migrations[0].batch: does not go with `up_sql`",
        ),
        (
            part(json!({"version": 1, "name": "a", "phase": "contract", "up_sql": "x; COMMIT; y"})),
            "migrations[0].up_sql: `COMMIT` begins or ends a transaction",
        ),
        (
            part(json!({"version": 1, "name": "a", "phase": "contract",
                        "up_sql": "DROP INDEX CONCURRENTLY i; SELECT 1"})),
            "CONCURRENTLY does not run in a transaction with other statements",
        ),
        (
            part(
                json!({"version": 1, "name": "a", "phase": "contract", "up_sql": "VACUUM FULL t"}),
            ),
            "`VACUUM FULL t` cannot run in a transaction",
        ),
        (
            part(json!({"version": 1, "name": "a", "phase": "contract", "up_sql": "SELECT 1",
                        "estimated_duration": "soon", "requires_lok": true})),
            "migrations[0].requires_lok: is not known here",
        ),
        (
            part(json!({"version": 1, "name": "a", "phase": "contract", "up_sql": "-- none\n;",
                        "estimated_duration": "soon"})),
            "migrations[0].estimated_duration: `soon` is no time; say 500ms",
        ),
        (flaws(&json!({"set": "", "migrations": []})), "migrations: is empty"),
    ];
    for (text, part) in cases {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

#[test]
fn comments_that_explain_nothing_are_told_with_their_line() {
    let wrong = |text: &str| {
        let flaws = annotated(text).unwrap_err();
        flaws.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let cases = [
        ("SELECT 1;\nSELECT 2;\n", "line 1: no comment says what this SQL is"),
        ("", "no comment says what this SQL is; begin with"),
        ("-- serin:up\nSELECT 1;", "line 1: this belongs to no migration"),
        ("-- serin:migraton version=1", "line 1: `serin:migraton` is not known"),
        ("-- serin:migraton version=1", "did you mean `migration`?"),
        ("-- serin:migration version=1 name", "line 1: `name` is no `key=value`"),
        ("-- serin:migration name=\"a", "line 1: the quote of `name` is not closed"),
        (
            "-- serin:migration version=1\n-- serin:up\nx\n-- serin:up\ny",
            "line 4: `up_sql` is there already",
        ),
    ];
    for (text, part) in cases {
        let told = wrong(text);
        assert!(told.contains(part), "`{part}` is missing in:\n{told}");
    }
}
