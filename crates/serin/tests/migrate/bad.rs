//! Files and databases that are not as they should be.

use crate::{Lab, TOTAL, USERS, alone, contains, document};
use serde_json::Value;

fn written(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn files_without_a_database() {
    let cases = [
        ("a.yaml", TOTAL, 0, "1 file, nothing blocks"),
        ("a.yaml", "operations:\n  - add_colum: {}\n", 2, "did you mean `add_column`?"),
        ("a.yaml", "operations:\n  - drop_table: {name: no}\n", 2, "a.yaml:2:18"),
        ("a.yaml", "operations: [\n", 2, "is never closed"),
        ("a.yaml", "migrations: []\n", 2, "add `kind: PhasedSql`"),
        ("a.yaml", "operations: []\n---\noperations: []\n", 2, "holds 2 documents"),
        (
            "a.json",
            "{\"operations\": [{\"sql\": {\"up\": \"UPDATE t SET a = 1\"}}]}",
            6,
            "unbatched-write",
        ),
        ("a.sql", "DROP TABLE t;\n", 2, "no comment says what this SQL is"),
        (
            "a.sql",
            "-- serin:migration version=1 name=a phase=contract\n-- serin:up\nDROP TABLE t;\n",
            6,
            "a.sql:3",
        ),
    ];
    for (name, text, code, part) in cases {
        let (_folder, path) = written(name, text);
        let said = alone(&["lint", &path]);
        assert_eq!(said.code, Some(code), "{text}: {said:?}");
        contains(&(said.out + &said.err), &[part]);
    }
}

#[test]
fn warnings_block_when_asked_to_and_apps_are_looked_at() {
    let (_folder, path) = written("a.yaml", TOTAL);
    let (_other, app) = written("app.sql", "SELECT 1;\nCOPY users FROM STDIN;\n");
    let said = alone(&["lint", &path, "--app-sql", &app]);
    assert_eq!(said.code, Some(0), "{said:?}");
    contains(&said.out, &["view-incompatible", "app.sql:2:1", "1 warning"]);
    let said = alone(&["lint", &path, "--app-sql", &app, "--strict", "--json"]);
    assert_eq!(said.code, Some(6), "{said:?}");
    let found = document(&said);
    assert_eq!(
        (&found["schema"], &found["blocking"]),
        (&"serin.migrate.lint/v1".into(), &Value::from(1))
    );
    assert_eq!(found["files"][1]["findings"][0]["rule"], "view-incompatible");
}

#[test]
fn databases_that_are_not_there() {
    for (words, code, part) in [
        (&["status"][..], 2, "set SERIN_DATABASE_URL"),
        (&["status", "--database", "nonsense"], 2, "looks like postgres://user@host:5432/name"),
        (&["status", "--database", "postgres://u:hunter2@127.0.0.1:1/x"], 7, "does not answer"),
        (&["status", "--database", "postgres://u:hunter2@[::1/x"], 2, "cannot be used"),
        (&["rate", "0"], 2, "from 1% to 100%"),
        (&["lint", "/nonexistent/m"], 2, "cannot read"),
        (&["export", "migrations"], 2, "--pgroll"),
    ] {
        let said = alone(words);
        assert_eq!(said.code, Some(code), "{words:?}: {said:?}");
        contains(&said.err, &[part]);
        assert!(!said.err.contains("hunter2"), "{}", said.err);
    }
}

#[test]
fn migrations_that_do_not_fit_the_database() {
    let Some(lab) = Lab::new(USERS) else { return };
    lab.write("01.yaml", &TOTAL.replace("table: users", "table: user"));
    let said = lab.on(&["start"], &lab.path());
    assert_eq!(said.code, Some(2), "{said:?}");
    contains(&said.err, &["01.yaml:3", "did you mean", "nothing was changed"]);
    lab.write("01.yaml", &TOTAL.replace("up: total", "up: totl"));
    let said = lab.on(&["plan"], &lab.path());
    assert_eq!(said.code, Some(2), "{said:?}");
    contains(&said.err, &["totl"]);
    for verb in ["pause", "resume", "contract", "rollback"] {
        let said = lab.migrate(&[verb]);
        assert_eq!(said.code, Some(6), "{verb}: {said:?}");
        contains(&said.err, &["no migration is open"]);
    }
    contains(&lab.migrate(&["status"]).out, &["no migration was ever started here"]);
}

#[test]
fn the_history_and_the_files_must_agree() {
    let Some(lab) = Lab::new(USERS) else { return };
    lab.write("02_total.yaml", TOTAL);
    assert_eq!(lab.on(&["start", "--no-trace"], &lab.path()).code, Some(0));
    assert_eq!(lab.migrate(&["contract", "--backup", "none"]).code, Some(0));
    lab.write("01_before.yaml", TOTAL);
    let said = lab.on(&["start"], &lab.path());
    assert_eq!(said.code, Some(6), "{said:?}");
    contains(&said.err, &["`01_before` stands before `02_total`", "rename `01_before`"]);
}

#[test]
fn only_what_pgroll_knows_is_exported() {
    let (folder, path) = written("a.yaml", TOTAL);
    let said = alone(&["export", "--pgroll", &path]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.out, TOTAL.split("serin:").next().unwrap());
    let out = folder.path().join("out");
    let to = out.to_str().unwrap();
    assert_eq!(alone(&["export", "--pgroll", &path, "--to", to]).code, Some(0));
    assert!(!std::fs::read_to_string(out.join("a.yaml")).unwrap().contains("serin"));
    let (_other, phased) = written(
        "b.yaml",
        "kind: PhasedSql\nmigrations:\n  - {version: 1, name: a, phase: contract, up_sql: SELECT 1}\n",
    );
    assert_eq!(alone(&["export", "--pgroll", &phased]).code, Some(2));
}

#[test]
fn what_fails_when_it_is_tried_is_told_at_its_line() {
    let Some(lab) = Lab::new(USERS) else { return };
    let phased = "\
-- serin:migration version=1 name=a phase=expand
-- serin:up
ALTER TABLE users ADD COLUMN more text;
-- serin:down
ALTER TABLE users DROP COLUMN IF EXISTS more;
-- serin:migration version=2 name=b phase=expand
-- serin:up
SET LOCAL work_mem = '4MB';
ALTER TABLE users ADD COLUMN other nonsense;
-- serin:down
ALTER TABLE users DROP COLUMN IF EXISTS other;
";
    let block = "\
operations:
  - sql:
      up: |
        -- What follows writes the table anew.
        ALTER TABLE users ALTER COLUMN total TYPE bigint;
      down: ALTER TABLE users ALTER COLUMN total TYPE integer
";
    for (name, text, rule, at) in [
        ("a.sql", phased, "fails-on-copy", "a.sql:9"),
        ("b.yaml", block, "rewrite-under-lock", "b.yaml:2:5"),
        ("b.yaml", block, "changing-column-type", "b.yaml:5"),
    ] {
        lab.write(name, text);
        let told = document(&lab.on(&["lint", "--json"], &lab.path().join(name)));
        let findings = told["files"][0]["findings"].as_array().unwrap();
        let found = findings.iter().find(|one| one["rule"] == rule).unwrap();
        assert!(found["at"].as_str().unwrap().ends_with(at), "{at}: {found}");
    }
}
