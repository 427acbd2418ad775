//! One version after the other: views of the version before, columns in their order, views over
//! several tables.

use crate::plan_kit::Lab;
use serde_json::{Value, json};

/// Takes the database from `before` to the version `name`, to its end.
fn step(lab: &Lab, name: &str, operations: &Value, before: &str, dual: impl Fn()) {
    let plan = lab.next(name, operations, before).unwrap_or_else(|flaws| panic!("{:#?}", flaws.0));
    let print = lab.fingerprint();
    lab.run(&plan, &plan.forward);
    lab.run(&plan, &plan.back);
    assert_eq!(lab.fingerprint(), print, "{name}");
    lab.run(&plan, &plan.forward);
    dual();
    lab.run(&plan, &plan.contract);
    assert_eq!(lab.left_over(), "", "{name}");
    assert_eq!(
        lab.sql(&format!("SELECT count(*) FROM pg_namespace WHERE nspname = '{before}'")),
        "0"
    );
}

#[test]
fn three_versions_follow_each_other() {
    let Some(lab) = Lab::new(
        "CREATE ROLE plan_reader; CREATE TABLE t (id int PRIMARY KEY, a int, b text); \
         INSERT INTO t VALUES (1, 2, 'x'); GRANT SELECT ON t TO plan_reader;",
    ) else {
        return;
    };
    let first = json!([
        {"alter_column": {"table": "t", "column": "a", "type": "bigint", "up": "a * 10", "down": "a / 10"}},
        {"x_create_view": {"name": "twice", "definition": "SELECT id, a * 2 AS a FROM t;",
            "comment": "double"}},
        {"x_grant": {"on": ["twice"], "privileges": ["select"], "to": ["plan_reader"]}}
    ]);
    lab.life(
        &first,
        |lab| {
            assert_eq!(lab.new_client("SELECT a FROM twice"), "40");
            lab.new_client("SET ROLE plan_reader; SELECT * FROM twice");
        },
        |lab| assert_eq!(lab.new_client("SELECT * FROM t"), "1|20|x"),
    );
    let at =
        |version: &str, sql: &str| lab.sql(&format!("SET search_path = {version}, public; {sql}"));

    let second = json!([
        {"alter_column": {"table": "t", "column": "a", "type": "text", "up": "a::text || '!'",
            "down": "rtrim(a, '!')::bigint"}},
        {"rename_table": {"from": "t", "to": "things"}},
        {"x_create_view": {"name": "twice", "definition": "SELECT id, a || a AS a FROM things"}},
        {"x_create_view": {"name": "four", "definition": "SELECT a || a AS a FROM twice"}}
    ]);
    step(&lab, "03_text", &second, "public_02_test", || {
        assert_eq!(at("public_02_test", "SELECT * FROM twice"), "1|40");
        assert_eq!(at("public_03_text", "SELECT * FROM twice"), "1|20!20!");
        // Columns stay where clients saw them.
        assert_eq!(at("public_03_text", "SELECT * FROM things"), "1|20!|x");
        at("public_02_test", "INSERT INTO t VALUES (2, 30, 'y')");
        at("public_03_text", "INSERT INTO things VALUES (3, '50!', 'z')");
        assert_eq!(at("public_02_test", "SELECT sum(a) FROM t"), "100");
        at("public_03_text", "SET ROLE plan_reader; SELECT * FROM twice");
    });
    assert_eq!(
        at("public_03_text", "SELECT a FROM four ORDER BY 1"),
        "20!20!20!20!\n30!30!30!30!\n50!50!50!50!"
    );

    let rename = json!([{"rename_column": {"table": "things", "from": "a", "to": "c"}}]);
    let told = lab.next_flaws("04_gone", &rename, "public_03_text");
    assert!(told.contains("view \"twice\" of the version before cannot be kept"), "{told}");
    let third = json!([
        {"rename_column": {"table": "things", "from": "a", "to": "c"}},
        {"x_drop_view": {"name": "four"}},
        {"x_create_view": {"name": "twice", "definition": "SELECT id, c AS a FROM things"}}
    ]);
    step(&lab, "04_gone", &third, "public_03_text", || {
        assert_eq!(at("public_04_gone", "SELECT a FROM twice WHERE id = 1"), "20!");
        assert_eq!(at("public_03_text", "SELECT a FROM four WHERE a LIKE '2%'"), "20!20!20!20!");
    });
    let views = json!([
        {"x_create_view": {"name": "bad", "definition": "SELECT nothing FROM things"}},
        {"x_create_view": {"name": "worse", "definition": "SELECT 1; DROP TABLE things"}}
    ]);
    let told = lab.next_flaws("05_x", &views, "public_04_gone");
    for part in [
        "operations[0].x_create_view.definition: column \"nothing\" does not exist",
        "operations[1].x_create_view.definition: cannot insert multiple commands",
    ] {
        assert!(told.contains(part), "{told}");
    }
}
