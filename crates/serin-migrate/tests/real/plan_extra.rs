//! The operations under `x_`, and SQL as it stands.

use crate::plan_kit::Lab;
use serde_json::json;

#[test]
fn enumerations_come_and_grow() {
    let Some(lab) = Lab::new(
        "CREATE TYPE mood AS ENUM ('low', 'high'); CREATE TABLE t (id int PRIMARY KEY, m mood); \
         INSERT INTO t VALUES (1, 'low');",
    ) else {
        return;
    };
    let operations = json!([
        {"x_create_enum": {"name": "Size", "values": ["small", "it's"]}},
        {"x_create_enum": {"name": "step", "values": ["a", "d"]}},
        {"x_add_enum_value": {"name": "step", "value": "b", "before": "d"}},
        {"x_add_enum_value": {"name": "step", "value": "c", "after": "b"}},
        {"x_add_enum_value": {"name": "step", "value": "e"}},
        {"add_column": {"table": "t", "up": "CASE WHEN m = 'low' THEN 'small' ELSE 'it''s' END::\"Size\"",
            "column": {"name": "s", "type": "\"Size\"", "default": "'small'"}}}
    ]);
    lab.life(
        &operations,
        |lab| {
            lab.old("INSERT INTO t VALUES (2, 'high')");
            lab.new_client("INSERT INTO t (id) VALUES (3)");
            assert_eq!(lab.new_client("SELECT s FROM t ORDER BY id"), "small\nit's\nsmall");
        },
        |lab| {
            lab.old("INSERT INTO t (id) VALUES (4)");
            assert_eq!(lab.old("SELECT s FROM t WHERE id = 4"), "small");
        },
    );
    let grow = json!([{"x_add_enum_value": {"name": "mood", "value": "mid", "before": "high"}}]);
    let plan = lab.next("03_grow", &grow, "public_02_test").unwrap();
    lab.run(&plan, &plan.forward);
    assert_eq!(lab.sql("SELECT enum_range(NULL::mood)"), "{low,mid,high}");
    assert!(plan.warnings[0].message.contains("`mid` stays in enumeration \"mood\""));
    lab.run(&plan, &plan.back);
    lab.run(&plan, &plan.forward);
    let told = lab.flaws(&json!([
        {"x_add_enum_value": {"name": "moood", "value": "x"}},
        {"x_add_enum_value": {"name": "mood", "value": "low"}},
        {"x_add_enum_value": {"name": "mood", "value": "x", "after": "lo"}},
        {"x_create_enum": {"name": "mood", "values": ["a"]}},
        {"x_create_enum": {"name": "m", "values": ["a", "a"]}}
    ]));
    assert!(told.contains("`a` comes twice"), "{told}");
    let told = lab.flaws(&json!([
        {"x_add_enum_value": {"name": "moood", "value": "x"}},
        {"x_add_enum_value": {"name": "mood", "value": "low"}},
        {"x_add_enum_value": {"name": "mood", "value": "x", "after": "lo"}},
        {"x_create_enum": {"name": "mood", "values": ["a"]}}
    ]));
    for part in [
        "no enumeration \"moood\"; did you mean `mood`?",
        "enumeration \"mood\" has `low` already",
        "has no `lo`; did you mean `low`?",
        "has a type \"mood\" already",
    ] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn privileges_are_given_and_taken_back() {
    let Some(lab) = Lab::new(
        "CREATE ROLE plan_writer; CREATE TABLE t (id serial PRIMARY KEY, a int); \
         GRANT SELECT ON t TO plan_writer;",
    ) else {
        return;
    };
    let operations = json!([{"x_grant": {"on": ["t"], "privileges": ["select", "INSERT"],
        "to": ["plan_writer"]}}]);
    lab.life(
        &operations,
        |lab| {
            lab.new_client("SET ROLE plan_writer; INSERT INTO t (a) VALUES (1)");
            assert_eq!(lab.new_client("SET ROLE plan_writer; SELECT a FROM t"), "1");
        },
        |lab| {
            lab.old("SET ROLE plan_writer; INSERT INTO t (a) VALUES (2)");
        },
    );
    let told = lab.flaws(&json!([{"x_grant": {"on": ["u"], "privileges": ["select"],
        "to": ["plan_riter"]}}]));
    assert!(
        told.contains("there is no role \"plan_riter\"; did you mean `plan_writer`?"),
        "{told}"
    );
    assert!(told.contains("there is no table \"u\""), "{told}");
}

#[test]
fn a_column_moves_to_another_table() {
    let Some(lab) = Lab::new(
        "CREATE TABLE users (id int PRIMARY KEY, email text, name text); \
         CREATE TABLE profiles (id int PRIMARY KEY, user_id int UNIQUE REFERENCES users, bio text); \
         INSERT INTO users VALUES (1, 'a@x', 'ann'), (2, 'b@x', 'bob'), (3, NULL, 'eve'); \
         INSERT INTO profiles VALUES (10, 1, 'x'), (20, 2, 'y');",
    ) else {
        return;
    };
    let operations = json!([{"x_move_column": {"table": "users", "column": "email",
        "to_table": "profiles", "to_column": "mail", "on": {"id": "user_id"}}}]);
    lab.life(
        &operations,
        |lab| {
            let mails = "SELECT user_id, mail FROM profiles ORDER BY 1";
            assert_eq!(lab.new_client(mails), "1|a@x\n2|b@x");
            lab.old("UPDATE users SET email = 'A@x' WHERE id = 1");
            lab.new_client("UPDATE profiles SET mail = 'B@x' WHERE user_id = 2");
            lab.new_client("INSERT INTO profiles VALUES (30, 3, 'z', 'e@x')");
            lab.new_client("INSERT INTO users VALUES (4, 'new')");
            lab.old(
                "INSERT INTO users VALUES (5, 'o@x', 'old'); INSERT INTO profiles VALUES (50, 5)",
            );
            assert_eq!(lab.new_client(mails), "1|A@x\n2|B@x\n3|e@x\n5|o@x");
            let all = lab.old("SELECT id, email FROM users ORDER BY 1");
            assert_eq!(all, "1|A@x\n2|B@x\n3|e@x\n4|\n5|o@x");
            lab.old("UPDATE profiles SET bio = 'q'");
            assert_eq!(lab.new_client(mails), "1|A@x\n2|B@x\n3|e@x\n5|o@x");
        },
        |lab| {
            assert_eq!(lab.old("SELECT mail FROM profiles ORDER BY 1"), "A@x\nB@x\ne@x\no@x");
            assert!(lab.old_error("SELECT email FROM users").contains("does not exist"));
        },
    );
    lab.sql("ALTER TABLE users ADD phone text; INSERT INTO users (id, phone) VALUES (9, '1')");
    let moved = |on: &serde_json::Value| {
        json!([{"x_move_column": {"table": "users", "column": "phone", "to_table": "profiles",
            "on": on}}])
    };
    let plan = lab.next("03_phone", &moved(&json!({"id": "user_id"})), "public_02_test").unwrap();
    let told = lab.try_run(&plan, &plan.forward).unwrap_err();
    assert_eq!(told, "a row of \"profiles\" for each value of \"phone\": \"id\"=9, \"phone\"=1");
    lab.run(&plan, &plan.back);
    let told = lab.next_flaws("03_phone", &moved(&json!({"id": "bio"})), "public_02_test");
    assert!(told.contains("its columns of table \"profiles\" are not unique"), "{told}");
}

#[test]
fn sql_as_it_stands_is_seen_in_the_views_and_cannot_end_its_transaction() {
    let Some(lab) = Lab::new("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);")
    else {
        return;
    };
    let operations = json!([{"sql": {
        "up": "ALTER TABLE t ADD a int DEFAULT 7; CREATE TABLE u AS SELECT 'it''s \\ $serin$' AS b;",
        "down": "DROP TABLE IF EXISTS u; ALTER TABLE t DROP COLUMN IF EXISTS a"}}]);
    lab.life(
        &operations,
        |lab| assert_eq!(lab.new_client("SELECT a, b FROM t, u"), "7|it's \\ $serin$"),
        |lab| assert_eq!(lab.old("SELECT a FROM t"), "7"),
    );
    for (up, wanted) in [
        ("COMMIT; DROP TABLE t", "operations[0].sql.up: EXECUTE of transaction commands"),
        ("ALTER TABLE t ADD b int; SELEC 1", "operations[0].sql.up: syntax error"),
        ("CREATE INDEX CONCURRENTLY i ON t (id)", "cannot run inside a transaction block"),
    ] {
        let sql = json!([{"sql": {"up": up}}]);
        let told = lab.next_flaws("03_bad", &sql, "public_02_test");
        assert!(told.contains(wanted), "{told}");
        assert_eq!(lab.old("SELECT count(*) FROM t"), "1");
    }
    let last = json!([
        {"add_column": {"table": "t", "column": {"name": "c", "type": "int", "default": "1"}}},
        {"sql": {"up": "UPDATE t SET c = 2", "onComplete": true}}
    ]);
    let plan = lab.next("03_last", &last, "public_02_test").unwrap();
    lab.run(&plan, &plan.forward);
    lab.run(&plan, &plan.contract);
    assert_eq!(lab.old("SELECT c FROM t"), "2");
}
