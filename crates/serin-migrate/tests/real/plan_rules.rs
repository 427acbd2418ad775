//! Constraints that come, go and get other names.

use crate::plan_kit::Lab;
use serde_json::json;

const USERS: &str = "CREATE TABLE teams (id int PRIMARY KEY); INSERT INTO teams VALUES (1); \
     CREATE TABLE users (id int PRIMARY KEY, name text, email text, age int, team int, \
       CONSTRAINT grown CHECK (age > 17)); \
     INSERT INTO users VALUES (1, 'ann', 'a@x', 20, 1), (2, NULL, 'b@x', 30, NULL);";

#[test]
fn what_could_be_empty_no_longer_can() {
    let Some(lab) = Lab::new(USERS) else { return };
    let operations = json!([{"alter_column": {"table": "users", "column": "name",
        "nullable": false, "up": "SELECT CASE WHEN name IS NULL THEN 'none' ELSE name END",
        "down": "name"}}]);
    lab.life(
        &operations,
        |lab| {
            lab.old("INSERT INTO users (id) VALUES (3)");
            assert_eq!(lab.new_client("SELECT name FROM users ORDER BY id"), "ann\nnone\nnone");
            let told = lab.new_error("INSERT INTO users (id) VALUES (4)");
            assert!(told.contains("violates check constraint"), "{told}");
            lab.new_client("INSERT INTO users (id, name) VALUES (4, 'new')");
            assert_eq!(lab.old("SELECT name FROM users ORDER BY id"), "ann\n\n\nnew");
        },
        |lab| {
            let told = lab.old_error("INSERT INTO users (id) VALUES (5)");
            assert!(told.contains("null value in column \"name\""), "{told}");
        },
    );
}

#[test]
fn rows_that_break_a_rule_are_told_by_their_keys() {
    let Some(lab) = Lab::new(USERS) else { return };
    let cases = [
        (json!({"nullable": false}), "NOT NULL of \"users\".\"name\": \"id\"=2"),
        (
            json!({"check": {"name": "short", "constraint": "length(name) < 2"}}),
            "check \"short\" of \"users\": \"id\"=1, \"name\"=ann",
        ),
    ];
    let before = lab.fingerprint();
    for (change, wanted) in cases {
        let mut alter = json!({"table": "users", "column": "name"});
        alter.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let plan = lab.plan(&json!([{"alter_column": alter}]));
        assert_eq!(lab.try_run(&plan, &plan.forward).unwrap_err(), wanted);
        lab.run(&plan, &plan.back);
        assert_eq!(lab.fingerprint(), before);
    }
    lab.sql("INSERT INTO users (id, team) VALUES (7, 70)");
    let plan = lab.plan(&json!([{"alter_column": {"table": "users", "column": "team",
        "references": {"name": "of_team", "table": "teams", "column": "id"}}}]));
    let told = lab.try_run(&plan, &plan.forward).unwrap_err();
    assert_eq!(told, "foreign key \"of_team\" of \"users\": \"id\"=7, \"team\"=70");
    lab.sql("UPDATE users SET email = 'a@x'");
    lab.run(&plan, &plan.back);
    let plan = lab.plan(&json!([{"alter_column": {"table": "users", "column": "email",
        "unique": {"name": "one_email"}}}]));
    let told = lab.try_run(&plan, &plan.forward).unwrap_err();
    assert!(told.contains("could not create unique index"), "{told}");
    // The runner takes the invalid index away; so does the way back.
    lab.run(&plan, &plan.back);
    lab.sql("DELETE FROM users WHERE id = 7; UPDATE users SET email = id::text");
    assert_eq!(lab.left_over(), "");
}

#[test]
fn new_rules_of_one_column_are_made_together() {
    let Some(lab) = Lab::new(USERS) else { return };
    let operations = json!([
        {"alter_column": {"table": "users", "column": "email", "nullable": false,
            "unique": {"name": "one_email"}, "check": {"name": "at", "constraint": "email LIKE '%@%'"},
            "comment": "where to write to", "default": "'nobody@x' || clock_timestamp()",
            "up": "lower(email)", "down": "email"}},
        {"alter_column": {"table": "users", "column": "team", "up": "team", "down": "team",
            "references": {"name": "of_team", "table": "teams", "column": "id",
                "on_delete": "SET NULL"}}}
    ]);
    lab.life(
        &operations,
        |lab| {
            lab.old("INSERT INTO users (id, email) VALUES (3, 'C@X')");
            lab.new_client("INSERT INTO users (id) VALUES (4)");
            assert_eq!(lab.new_client("SELECT email FROM users WHERE id = 3"), "c@x");
            assert_eq!(lab.old("SELECT email LIKE 'nobody%' FROM users WHERE id = 4"), "t");
            for (sql, wanted) in [
                ("INSERT INTO users (id, email) VALUES (5, 'a@x')", "unique constraint"),
                ("INSERT INTO users (id, email) VALUES (5, 'a')", "check constraint \"at\""),
                ("INSERT INTO users (id, email, team) VALUES (5, 'q@x', 9)", "of_team"),
                ("INSERT INTO users (id, email) VALUES (5, NULL)", "check constraint"),
            ] {
                let told = lab.new_error(sql);
                assert!(told.contains(wanted), "{told}");
            }
        },
        |lab| {
            let rules = lab.sql("SELECT conname, pg_get_constraintdef(oid), convalidated \
                FROM pg_constraint WHERE conrelid = 'users'::regclass AND contype <> 'n' ORDER BY 1");
            assert_eq!(
                rules,
                "at|CHECK ((email ~~ '%@%'::text))|t\n\
                 grown|CHECK ((age > 17))|t\n\
                 of_team|FOREIGN KEY (team) REFERENCES teams(id) ON DELETE SET NULL|t\n\
                 one_email|UNIQUE (email)|t\nusers_pkey|PRIMARY KEY (id)|t"
            );
            let told = lab.old_error("INSERT INTO users (id, email) VALUES (5, NULL)");
            assert!(told.contains("null value"), "{told}");
            lab.old("DELETE FROM teams");
            assert_eq!(lab.old("SELECT count(team) FROM users"), "0");
        },
    );
}

#[test]
fn a_rule_of_several_columns_comes_and_goes() {
    let Some(lab) = Lab::new(USERS) else { return };
    let create = json!([
        {"create_constraint": {"table": "users", "name": "one_name", "type": "unique",
            "columns": ["name", "email"], "up": {"name": "coalesce(name, 'none')", "email": "email"},
            "down": {"name": "name", "email": "email"}}},
        {"create_constraint": {"table": "users", "name": "fit", "type": "check",
            "columns": ["age", "id"], "check": "age > id",
            "up": {"age": "age", "id": "id"}, "down": {"age": "age", "id": "id"}}}
    ]);
    lab.life(
        &create,
        |lab| {
            let told = lab.new_error("INSERT INTO users VALUES (3, 'ann', 'a@x')");
            assert!(told.contains("unique"), "{told}");
            let told = lab.new_error("INSERT INTO users VALUES (30, 'q', 'q@x', 20)");
            assert!(told.contains("fit"), "{told}");
            assert_eq!(lab.old("SELECT name FROM users WHERE id = 2"), "");
        },
        |lab| {
            let told =
                lab.old_error("INSERT INTO users (id, name, email) VALUES (3, 'none', 'b@x')");
            assert!(told.contains("one_name"), "{told}");
        },
    );
    lab.sql("DROP SCHEMA public_02_test CASCADE");
    let drop = json!([{"drop_multicolumn_constraint": {"table": "users", "name": "fit",
        "up": {"age": "age"}, "down": {"age": "greatest(age, id + 1, 18)"}}}]);
    lab.life(
        &drop,
        |lab| {
            lab.new_client("INSERT INTO users (id, age) VALUES (40, 20)");
            assert_eq!(lab.old("SELECT age FROM users WHERE id = 40"), "41");
            assert_eq!(lab.new_client("SELECT age FROM users WHERE id = 40"), "20");
            // The other check of the column is still there.
            let told = lab.new_error("INSERT INTO users (id, age) VALUES (50, 2)");
            assert!(told.contains("violates check"), "{told}");
        },
        |lab| {
            lab.old("INSERT INTO users (id, age) VALUES (60, 20)");
            let told = lab.old_error("INSERT INTO users (id, age) VALUES (50, 2)");
            assert!(told.contains("grown"), "{told}");
        },
    );
}

#[test]
fn a_rule_of_one_column_goes_or_gets_another_name() {
    let Some(lab) =
        Lab::new(&format!("{USERS} ALTER TABLE users ADD CONSTRAINT one UNIQUE (email);"))
    else {
        return;
    };
    let operations = json!([
        {"drop_constraint": {"table": "users", "name": "one", "up": "email",
            "down": "email || '/' || id"}},
        {"rename_constraint": {"table": "users", "from": "grown", "to": "of age"}}
    ]);
    lab.life(
        &operations,
        |lab| {
            lab.new_client("INSERT INTO users (id, email) VALUES (3, 'a@x')");
            assert_eq!(lab.old("SELECT email FROM users WHERE id = 3"), "a@x/3");
            assert_eq!(lab.new_client("SELECT email FROM users WHERE id = 3"), "a@x");
        },
        |lab| {
            let told = lab.old_error("INSERT INTO users (id, age) VALUES (5, 1)");
            assert!(told.contains("\"of age\""), "{told}");
            assert_eq!(lab.old("SELECT count(*) FROM users WHERE email = 'a@x'"), "2");
        },
    );
}

#[test]
fn what_could_not_be_empty_can_and_keeps_its_reference() {
    let Some(lab) = Lab::new(
        "CREATE TABLE teams (id int PRIMARY KEY); INSERT INTO teams VALUES (0), (1); \
         CREATE TABLE users (id int PRIMARY KEY, team int NOT NULL DEFAULT 1 REFERENCES teams);\
         INSERT INTO users VALUES (1, 1);",
    ) else {
        return;
    };
    let operations = json!([{"alter_column": {"table": "users", "column": "team",
        "nullable": true, "default": null, "up": "team", "down": "coalesce(team, 0)"}}]);
    lab.life(
        &operations,
        |lab| {
            lab.new_client("INSERT INTO users (id) VALUES (2)");
            lab.old("INSERT INTO users (id) VALUES (3)");
            assert_eq!(lab.old("SELECT team FROM users ORDER BY id"), "1\n0\n1");
            assert_eq!(lab.new_client("SELECT team FROM users ORDER BY id"), "1\n\n1");
            let told = lab.new_error("INSERT INTO users VALUES (4, 9)");
            assert!(told.contains("foreign key"), "{told}");
        },
        |lab| {
            lab.old("INSERT INTO users (id) VALUES (4)");
            assert_eq!(lab.old("SELECT count(team) FROM users"), "2");
            let told = lab.old_error("INSERT INTO users (id, team) VALUES (5, 9)");
            assert!(told.contains("users_team_fkey"), "{told}");
        },
    );
}

#[test]
fn a_primary_key_is_made_of_columns_that_are_there() {
    let Some(lab) = Lab::new("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x');")
    else {
        return;
    };
    let operations = json!([{"create_constraint": {"table": "t", "name": "t_key",
        "type": "primary_key", "columns": ["a", "b"], "up": {"a": "a", "b": "b"},
        "down": {"a": "a", "b": "b"}}}]);
    lab.life(
        &operations,
        |lab| {
            let told = lab.new_error("INSERT INTO t VALUES (1, 'x')");
            assert!(told.contains("unique"), "{told}");
        },
        |lab| {
            let told = lab.old_error("INSERT INTO t VALUES (1, NULL)");
            assert!(told.contains("null value"), "{told}");
            assert_eq!(
                lab.sql(
                    "SELECT conname FROM pg_constraint WHERE contype = 'p' \
                AND conrelid = 't'::regclass"
                ),
                "t_key"
            );
        },
    );
}
