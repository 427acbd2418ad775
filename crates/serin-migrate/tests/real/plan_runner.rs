//! Plans of the planner in the hands of the runner.

use crate::run_kit::{Lab, block, ident, patience, sure};
use serde_json::{Value, json};
use serin_migrate::{Alone, Database, Migration, Runner, Say, State};
use std::sync::Arc;

fn migration(operations: &Value) -> Migration {
    let document =
        json!({"operations": operations, "serin": {"contract": {"after": "0s", "grace": "0s"}}});
    serin_migrate::migration("02", &document).unwrap()
}

fn start(runner: &Runner, migration: &Migration) -> State {
    block(async {
        let plan = runner.plan(migration).await.unwrap_or_else(|error| panic!("{error}"));
        runner.start(&plan).await.unwrap_or_else(|error| panic!("{error}")).state
    })
}

/// Through the whole life with the runner: back and forth once, and then to its end.
fn life(lab: &Lab, operations: &Value, dual: impl Fn(), after: impl Fn()) {
    life_of((lab, &lab.runner()), operations, dual, after);
}

fn life_of((lab, runner): (&Lab, &Runner), operations: &Value, dual: impl Fn(), after: impl Fn()) {
    let migration = migration(operations);
    let before = lab.shape();
    assert_eq!(start(runner, &migration), State::Dual);
    let reverted = block(runner.revert(&Say::default())).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(reverted.state, State::Reverted);
    assert_eq!(lab.shape(), before);
    assert_eq!(start(runner, &migration), State::Dual);
    dual();
    let done = block(runner.contract(&sure())).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(done.state, State::Done);
    after();
}

#[test]
fn what_new_clients_wrote_into_a_plain_new_column_is_given_back() {
    let Some(lab) =
        Lab::new("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)")
    else {
        return;
    };
    let (runner, migration) = (
        lab.runner(),
        migration(&json!([
            {"add_column": {"table": "t", "column": {"name": "a", "type": "text", "nullable": true}}},
            {"add_column": {"table": "t", "column": {"name": "b", "type": "int", "default": "5"}}}
        ])),
    );
    assert_eq!(start(&runner, &migration), State::Dual);
    lab.new_client("UPDATE t SET a = 'mine' WHERE id = 2; UPDATE t SET b = 6 WHERE id = 3");
    block(runner.revert(&Say::default())).unwrap();
    assert_eq!(lab.sql("SELECT rows_kept FROM serin.salvage"), "2");
    lab.sql("DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (4)");
    assert_eq!(start(&runner, &migration), State::Dual);
    assert_eq!(lab.new_client("SELECT * FROM t ORDER BY id"), "1||5\n2|mine|5\n4||5");
}

#[test]
fn values_put_aside_do_not_go_into_what_was_corrected_meanwhile() {
    let Some(lab) = Lab::new("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    else {
        return;
    };
    let runner = lab.runner();
    let a = |data_type: &str, up: &str| {
        let column = json!({"name": "a", "type": data_type});
        migration(&json!([{"add_column": {"table": "t", "column": column, "up": up}}]))
    };
    let serial = json!({"name": "a", "type": "bigserial"});
    // The last is the first again: what was put aside of it comes back.
    for (next, wanted) in [
        (a("text", "'n' || id"), "n1|n2"),
        (a("int", "id"), "1|2"),
        (a("int", "id * 100"), "100|200"),
        (migration(&json!([{"add_column": {"table": "t", "column": serial}}])), "1|2"),
        (a("text", "'n' || id"), "7|n2"),
    ] {
        assert_eq!(start(&runner, &next), State::Dual);
        let all = "SELECT string_agg(a::text, '|' ORDER BY id) FROM t";
        assert_eq!(lab.new_client(all), wanted);
        lab.new_client("UPDATE t SET a = '7' WHERE id = 1");
        block(runner.revert(&Say::default())).unwrap();
    }
}

#[test]
fn several_columns_of_which_some_change_come_twice() {
    let Some(lab) = Lab::new("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    else {
        return;
    };
    let (runner, migration) = (
        lab.runner(),
        migration(&json!([
            {"add_column": {"table": "t", "column": {"name": "a", "type": "int", "default": "7"}}},
            {"add_column": {"table": "t", "column": {"name": "b", "type": "float8"}, "up": "random()"}},
            {"add_column": {"table": "t", "column": {"name": "c", "type": "bigserial"}}}
        ])),
    );
    for _ in 0..2 {
        assert_eq!(start(&runner, &migration), State::Dual);
        assert_eq!(lab.new_client("SELECT count(DISTINCT c) FROM t WHERE a = 7"), "2");
        block(runner.revert(&Say::default())).unwrap();
    }
}

#[test]
fn sql_that_never_ran_is_not_taken_back() {
    let Some(lab) = Lab::new("CREATE TABLE t (id int PRIMARY KEY)") else { return };
    let runner = lab.runner();
    let sql = |sign: &str| {
        let sql = json!({"up": "CREATE TABLE plain (id int)", "down": "DROP TABLE plain"});
        let checks = json!({"pre": [format!("SELECT count(*) {sign} 0 FROM t")]});
        let document = json!({"operations": [{"sql": sql}], "serin": {"checks": checks}});
        serin_migrate::migration("02", &document).unwrap()
    };
    let plan = block(runner.plan(&sql(">"))).unwrap();
    block(runner.start(&plan)).unwrap_err();
    assert_eq!(block(runner.revert(&Say::default())).unwrap().state, State::Reverted);
    assert_eq!(start(&runner, &sql("=")), State::Dual);
    assert_eq!(lab.sql("SELECT to_regclass('plain') IS NOT NULL"), "t");
    assert_eq!(block(runner.revert(&Say::default())).unwrap().state, State::Reverted);
    assert_eq!(lab.sql("SELECT to_regclass('plain') IS NULL"), "t");
}

#[test]
fn what_a_rollout_began_is_not_ended_past_its_server() {
    let Some(lab) = Lab::new("CREATE TABLE t (id int PRIMARY KEY, name text)") else { return };
    let runner = lab.runner();
    let operations = json!([{"rename_column": {"table": "t", "from": "name", "to": "title"}}]);
    assert_eq!(start(&runner, &migration(&operations)), State::Dual);
    lab.sql("UPDATE serin.migration SET who = 'rollout 2 of shop'");
    let no_reason = Say { backup: Some("a test".into()), ..Say::default() };
    let told = block(runner.contract(&no_reason)).unwrap_err().to_string();
    assert!(told.contains("rollout 2 of shop: ask its server with `serin migrate contract shop`"));
    let told = block(runner.revert(&no_reason)).unwrap_err().to_string();
    assert!(told.contains("rollout 2 of shop: ask its server with `serin rollback shop`"));
    let reason = Say { override_reason: Some("it is gone".into()), ..no_reason };
    assert_eq!(block(runner.revert(&reason)).unwrap().state, State::Reverted);
}

#[test]
fn a_backup_is_asked_for_before_the_values_of_a_changed_column_go() {
    let Some(lab) =
        Lab::new("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, -5)")
    else {
        return;
    };
    let runner = lab.runner();
    let operations = json!([{"alter_column": {"table": "t", "column": "n", "up": "greatest(n, 0)",
        "down": "n", "check": {"name": "c", "constraint": "n >= 0"}}}]);
    assert_eq!(start(&runner, &migration(&operations)), State::Dual);
    let told = block(runner.contract(&Say::default())).unwrap_err().to_string();
    assert!(told.contains("name the backup there is"), "{told}");
    assert_eq!(block(runner.contract(&sure())).unwrap().state, State::Done);
}

#[test]
fn a_key_grows_with_everything_that_hangs_on_it() {
    let Some(lab) = Lab::new(
        "CREATE TABLE kits (id serial PRIMARY KEY, name text); \
         CREATE TABLE parts (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
           kit int REFERENCES kits ON DELETE CASCADE); \
         CREATE INDEX ON parts (kit) WHERE kit > 0; \
         INSERT INTO kits (name) SELECT 'k' || n FROM generate_series(1, 3000) n; \
         INSERT INTO parts (kit) SELECT n FROM generate_series(1, 3000) n;",
    ) else {
        return;
    };
    let grow = |table: &str, column: &str| {
        json!({"alter_column": {"table": table, "column": column, "type": "bigint",
            "up": column, "down": column}})
    };
    life(
        &lab,
        &json!([grow("kits", "id"), grow("parts", "kit"), grow("parts", "id")]),
        || {
            lab.new_client(
                "INSERT INTO kits (name) VALUES ('new'); \
                INSERT INTO parts (kit) SELECT max(id) FROM kits",
            );
            assert_eq!(lab.sql("SELECT count(*) FROM parts p JOIN kits k ON k.id = p.kit"), "3001");
        },
        || {
            lab.sql("INSERT INTO kits (id) VALUES (3000000000); INSERT INTO parts (kit) VALUES (3000000000); \
                DELETE FROM kits WHERE id = 1");
            assert_eq!(lab.sql("SELECT count(*) FROM parts p JOIN kits k ON k.id = p.kit"), "3001");
            assert_eq!(
                lab.new_client("SELECT pg_typeof(id), pg_typeof(kit) FROM parts LIMIT 1"),
                "bigint|bigint"
            );
        },
    );
}

#[test]
fn operations_of_every_kind_go_both_ways() {
    let Some(lab) = Lab::new(
        "CREATE TABLE users (id int PRIMARY KEY, email text, age int, note text); \
         CREATE TABLE days (day int, n int, PRIMARY KEY (day)) PARTITION BY RANGE (day); \
         CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM (0) TO (100); \
         CREATE TABLE days_2 PARTITION OF days DEFAULT; \
         CREATE TABLE gone (id int); \
         INSERT INTO users SELECT n, 'U' || n || '@x', n + 18, 'n' FROM generate_series(1, 500) n; \
         INSERT INTO days SELECT n, n FROM generate_series(1, 300) n;",
    ) else {
        return;
    };
    let operations = json!([
        {"alter_column": {"table": "users", "column": "email", "nullable": false,
            "unique": {"name": "one_email"}, "up": "lower(email)", "down": "email"}},
        {"create_constraint": {"table": "users", "name": "grown", "type": "check",
            "columns": ["age"], "check": "age > 17", "up": {"age": "age"}, "down": {"age": "age"}}},
        {"drop_column": {"table": "users", "column": "note", "down": "'was ' || id"}},
        {"rename_column": {"table": "users", "from": "age", "to": "years"}},
        {"alter_column": {"table": "days", "column": "n", "type": "text", "up": "n::text", "down": "n::int"}},
        {"create_index": {"name": "by_n", "table": "days", "columns": [{"column": "n"}]}},
        {"drop_table": {"name": "gone"}},
        {"create_table": {"name": "gone", "columns": [{"name": "id", "type": "text", "pk": true},
            {"name": "user_id", "type": "int", "references": {"name": "of_user", "table": "users"}}]}},
        {"rename_table": {"from": "users", "to": "people"}}
    ]);
    life(
        &lab,
        &operations,
        || {
            lab.sql("INSERT INTO users VALUES (501, 'OLD@x', 20, 'o')");
            lab.new_client(
                "INSERT INTO people VALUES (502, 'new@x', 20); INSERT INTO gone VALUES ('k', 502); \
                UPDATE days SET n = '7' WHERE day = 1",
            );
            assert_eq!(lab.sql("SELECT email, note FROM users WHERE id = 502"), "new@x|was 502");
            assert_eq!(lab.new_client("SELECT email FROM people WHERE id = 501"), "old@x");
            assert_eq!(lab.sql("SELECT n FROM days WHERE day = 1"), "7");
        },
        || {
            assert_eq!(lab.sql("SELECT count(*), count(DISTINCT email) FROM people"), "502|502");
            assert_eq!(lab.sql("SELECT user_id FROM gone"), "502");
            assert_eq!(lab.sql("SELECT pg_typeof(n), count(*) FROM days GROUP BY 1"), "text|300");
        },
    );
}

#[test]
fn a_column_that_only_goes_fills_in_nothing() {
    let Some(lab) = Lab::new(
        "CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL); INSERT INTO t VALUES (1, 'x')",
    ) else {
        return;
    };
    life(
        &lab,
        &json!([{"drop_column": {"table": "t", "column": "a", "down": "'was ' || id"}}]),
        || {
            lab.new_client("INSERT INTO t VALUES (2)");
            assert_eq!(lab.sql("SELECT a FROM t ORDER BY id"), "x\nwas 2");
        },
        || assert_eq!(lab.new_client("SELECT * FROM t ORDER BY id"), "1\n2"),
    );
}

#[test]
fn operations_of_our_own_go_both_ways() {
    let Some(lab) = Lab::new(
        "CREATE ROLE plan_runner_reader; \
         CREATE TABLE users (id int PRIMARY KEY, email text); \
         CREATE TABLE profiles (user_id int PRIMARY KEY, bio text); \
         INSERT INTO users SELECT n, n || '@x' FROM generate_series(1, 300) n; \
         INSERT INTO profiles SELECT n FROM generate_series(1, 300) n;",
    ) else {
        return;
    };
    let operations = json!([
        {"x_create_enum": {"name": "mood", "values": ["low", "high"]}},
        {"add_column": {"table": "users", "column": {"name": "m", "type": "mood", "default": "'low'"}}},
        {"x_move_column": {"table": "users", "column": "email", "to_table": "profiles",
            "on": {"id": "user_id"}}},
        {"x_create_view": {"name": "mails", "definition": "SELECT p.email, u.m FROM users u \
            JOIN profiles p ON p.user_id = u.id"}},
        {"x_grant": {"on": ["users", "profiles", "mails"], "privileges": ["SELECT"],
            "to": ["plan_runner_reader"]}}
    ]);
    // What new clients wrote as a value of the new type comes back with it.
    let (runner, migration) = (lab.runner(), migration(&operations));
    assert_eq!(start(&runner, &migration), State::Dual);
    lab.new_client("UPDATE users SET m = 'high' WHERE id = 7");
    block(runner.revert(&Say::default())).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(start(&runner, &migration), State::Dual);
    assert_eq!(lab.new_client("SELECT id FROM users WHERE m = 'high'"), "7");
    block(runner.revert(&Say::default())).unwrap_or_else(|error| panic!("{error}"));
    life(
        &lab,
        &operations,
        || {
            lab.sql("UPDATE users SET email = 'old' WHERE id = 1");
            lab.new_client("UPDATE profiles SET email = 'new' WHERE user_id = 2");
            assert_eq!(lab.sql("SELECT email FROM users WHERE id = 2"), "new");
            let seen =
                "SET ROLE plan_runner_reader; SELECT count(*), max(email), min(m) FROM mails";
            assert_eq!(lab.new_client(seen), "300|old|low");
        },
        || assert_eq!(lab.sql("SELECT count(email) FROM profiles"), "300"),
    );
}

#[test]
fn a_role_that_only_owns_the_tables_is_enough() {
    let Some(lab) = Lab::new("SELECT 1") else { return };
    let database = lab.database.clone();
    lab.sql(&format!(
        "CREATE ROLE plan_owner LOGIN; CREATE ROLE plan_owned_app; \
         GRANT CREATE ON DATABASE {database} TO plan_owner; GRANT CREATE ON SCHEMA public TO plan_owner; \
         SET ROLE plan_owner; \
         CREATE TABLE kits (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, size int); \
         CREATE TABLE parts (kit int REFERENCES kits, label text); \
         GRANT SELECT, INSERT, UPDATE ON kits, parts TO plan_owned_app; \
         INSERT INTO kits (name, size) SELECT 'n', 1 FROM generate_series(1, 50); \
         INSERT INTO parts VALUES (1);"
    ));
    let url = lab.url().replace("postgres@", "plan_owner@");
    let database = Database::new(&url, ident("public")).unwrap();
    let runner = Runner::new(database, Arc::new(Alone), "tester").patience(patience());
    let operations = json!([
        {"alter_column": {"table": "kits", "column": "id", "type": "bigint", "up": "id", "down": "id"}},
        {"alter_column": {"table": "parts", "column": "kit", "type": "bigint", "up": "kit", "down": "kit"}},
        {"alter_column": {"table": "kits", "column": "name", "nullable": false, "unique": {"name": "one"},
            "up": "name || id", "down": "left(name, 1)"}},
        {"add_column": {"table": "parts", "column": {"name": "no", "type": "int", "default": "3"}}},
        {"create_table": {"name": "more", "columns": [{"name": "id", "type": "serial", "pk": true}]}},
        {"x_grant": {"on": ["more"], "privileges": ["SELECT"], "to": ["plan_owned_app"]}}
    ]);
    life_of(
        (&lab, &runner),
        &operations,
        || {
            lab.sql("SET ROLE plan_owned_app; INSERT INTO kits (name) VALUES ('old')");
            let new = "SET ROLE plan_owned_app; INSERT INTO kits (name) VALUES ('new'); \
                INSERT INTO parts (kit) SELECT max(id) FROM kits; SELECT no FROM parts WHERE kit > 1; \
                SELECT count(*) FROM more";
            assert_eq!(lab.new_client(new), "3\n0");
            assert_eq!(lab.sql("SELECT count(*) FROM kits WHERE name = 'n'"), "51");
        },
        || {
            lab.sql("SET ROLE plan_owned_app; INSERT INTO kits (name) VALUES ('last')");
            assert_eq!(lab.sql("SELECT count(DISTINCT name) FROM kits"), "53");
        },
    );
}

#[test]
fn rows_that_are_there_are_numbered_one_after_the_other() {
    let Some(lab) = Lab::new(
        "CREATE ROLE plan_numbered_app; CREATE TABLE t (id int PRIMARY KEY, name text); \
         GRANT SELECT, INSERT, UPDATE ON t TO plan_numbered_app; \
         INSERT INTO t SELECT n * 10, 'n' FROM generate_series(1, 300) n",
    ) else {
        return;
    };
    let numbered = migration(&json!([{"add_column": {"table": "t",
        "column": {"name": "no", "type": "serial", "unique": true}}}]));
    let (runner, before) = (lab.runner(), lab.shape());
    assert_eq!(start(&runner, &numbered), State::Dual);
    // Both versions get numbers, with no more rights than they have on the table.
    lab.sql("SET ROLE plan_numbered_app; INSERT INTO t VALUES (1, 'old'); UPDATE t SET name = 'o' WHERE id = 10");
    let new = "SET ROLE plan_numbered_app; INSERT INTO t (id, name) VALUES (2, 'new') RETURNING no";
    let given = lab.new_client(new);
    let all = "SELECT count(*), count(no), count(DISTINCT no) FROM t";
    assert_eq!(lab.new_client(all), "302|302|302");
    block(runner.revert(&Say::default())).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(lab.shape(), before);
    assert_eq!(lab.sql("SELECT count(*) FROM pg_sequences WHERE schemaname = 'public'"), "0");
    // Numbers that were given out come back, and nobody gets one of them twice.
    lab.sql("INSERT INTO t SELECT n * 10 + 5, 'between' FROM generate_series(1, 50) n");
    assert_eq!(start(&runner, &numbered), State::Dual);
    assert_eq!(lab.new_client(all), "352|352|352");
    assert_eq!(lab.new_client("SELECT no FROM t WHERE id = 2"), given);
    assert_eq!(block(runner.contract(&sure())).unwrap().state, State::Done);
    lab.sql("SET ROLE plan_numbered_app; INSERT INTO t (id) VALUES (3)");
    assert_eq!(lab.sql(all), "353|353|353");
    let of = "SELECT pg_get_serial_sequence('t', 'no'), attnotnull FROM pg_attribute \
        WHERE attrelid = 't'::regclass AND attname = 'no'";
    assert_eq!(lab.sql(of), "public.t_no_seq|t");
    let own = json!([{"add_column": {"table": "t", "up": "id",
        "column": {"name": "more", "type": "bigserial"}}}]);
    let refused = serin_migrate::migration("03", &json!({"operations": own})).unwrap();
    let refused = block(runner.plan(&refused)).map(|plan| plan.new_view).unwrap_err().to_string();
    assert!(refused.contains("type bigserial has its own numbers"), "{refused}");
}
