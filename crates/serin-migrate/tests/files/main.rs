//! Documents in, migrations or everything that is wrong with them out.

#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};
use serin_migrate::{Change, Ident, LossyDown, Migration, Operation, migration};

fn read(document: &Value) -> Migration {
    migration("01_test", document).unwrap()
}

fn flaws(document: &Value) -> Vec<String> {
    migration("01_test", document).unwrap_err().0.iter().map(ToString::to_string).collect()
}

fn ident(name: &str) -> Ident {
    Ident::new(name).unwrap()
}

#[test]
fn the_name_of_the_file_is_the_name_of_the_version() {
    let document = json!({"operations": [{"drop_table": {"name": "old"}}]});
    let read = read(&document);
    assert_eq!((read.name.as_str(), read.version_schema), ("01_test", ident("01_test")));
    assert_eq!(read.operations, vec![Operation::DropTable { name: ident("old") }]);
}

#[test]
fn a_column_can_lose_its_default() {
    let alter = |default: Value| {
        json!({"operations": [{"alter_column":
            {"table": "t", "column": "c", "up": "c", "down": "c", "default": default}}]})
    };
    let changed = |document: &Value| match &read(document).operations[0] {
        Operation::AlterColumn(alter) => alter.default.clone(),
        _ => None,
    };
    assert_eq!(changed(&alter(Value::Null)), Some(Change::Drop));
    assert_eq!(changed(&alter(json!("now()"))), Some(Change::Set("now()".into())));
}

#[test]
fn the_block_of_our_own_is_read() {
    let document = json!({
        "operations": [{"sql": {"up": "SELECT 1"}}],
        "serin": {
            "checks": {"pre": ["SELECT true"]},
            "backfill": {"max_lag": "5s", "duty": 0.25, "window": "22:00-06:00"},
            "on_down_error": "quarantine",
            "contract": {"after": "2h", "automatic": true}
        }
    });
    let settings = read(&document).settings;
    assert_eq!(settings.checks.pre, vec!["SELECT true"]);
    assert_eq!((settings.backfill.max_lag_ms, settings.backfill.batch_ms), (5_000, 20));
    assert_eq!(settings.on_down_error, LossyDown::Quarantine);
    assert_eq!((settings.contract.after_ms, settings.contract.by_hand), (7_200_000, false));
}

#[test]
fn everything_wrong_is_told_at_once() {
    let document = json!({
        "operations": [
            {"add_colum": {}},
            {"add_column": {"table": "", "column": {"name": 1, "type": "int", "nulable": true}}},
            {"drop_table": {"name": "a"}, "drop_index": {"name": "b"}},
            {"create_constraint": {"table": "t", "name": "x", "type": "uniqe", "columns": ["a"]}},
            {"sql": {"up": "SELECT 1", "down": "SELECT 2", "onComplete": true}},
            {"alter_column": {"table": "t", "column": "c", "up": "c", "down": "c"}}
        ],
        "serin": {"contract": {"after": "24"}, "backfill": {"duty": 2}},
        "version": 1
    });
    let text = flaws(&document).join("\n");
    for part in [
        "operations[0].add_colum: is no operation",
        "did you mean `add_column`?",
        "operations[1].add_column.table: is empty",
        "operations[1].add_column.column.name: is a number, not a text",
        "operations[1].add_column.column.nulable: is not known here",
        "did you mean `nullable`?",
        "operations[2]: an operation has exactly one key",
        "operations[3].create_constraint.type: `uniqe` is none of unique",
        "operations[4].sql.down: does not go with `onComplete`",
        "operations[5].alter_column.column: is not changed",
        "serin.contract.after: `24` is no time",
        "serin.backfill.duty: 2 is not a number from 0.01 to 1",
        "version: is not known here",
    ] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

#[test]
fn what_is_no_document_is_refused() {
    assert_eq!(flaws(&json!([])), ["is a list, not an object of keys"]);
    assert_eq!(flaws(&json!({})), ["operations: is missing"]);
    assert_eq!(flaws(&json!({"operations": []})), ["operations: is empty"]);
    let long = "x".repeat(64);
    let named = migration(&long, &json!({"operations": [{"drop_table": {"name": "a"}}]}));
    assert!(named.unwrap_err().to_string().contains("Postgres keeps 63 of a name"));
}
