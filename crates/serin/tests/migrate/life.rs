//! Migrations from the file to the end, and back.

use crate::{Lab, TOTAL, USERS, contains, document};

#[test]
fn a_history_is_applied_one_by_one() {
    let Some(lab) = Lab::new(USERS) else { return };
    lab.write("01_total.yaml", TOTAL);
    lab.write(
        "02_note.json",
        r#"{"operations": [{"add_column":
        {"table": "users", "column": {"name": "note", "type": "text", "nullable": true}}}]}"#,
    );
    let said = lab.on(&["lint"], &lab.path());
    assert_eq!(said.code, Some(0), "{said:?}");
    contains(&said.out, &["2 files, 1 tried on a server, nothing blocks"]);
    let said = lab.on(&["plan"], &lab.path());
    assert_eq!(said.code, Some(0), "{said:?}");
    contains(&said.out, &["ACCESS EXCLUSIVE on public.users", "500 rows in batches", "or back"]);
    let said = lab.on(&["start"], &lab.path());
    assert_eq!(said.code, Some(0), "{said:?}");
    contains(&said.out, &["01_total  dual", "public_01_total by the new one"]);
    contains(&said.err, &["1 migration more after it"]);
    assert_eq!(lab.sql("SELECT sum(total) FROM public_01_total.users"), "125250");
    contains(
        &lab.migrate(&["status"]).out,
        &["both shapes: they say the same in 500 rows looked at"],
    );
    // Past the trigger, there and back.
    lab.sql("SET serin.backfill = 'on'; UPDATE users SET total = 9 WHERE id = 7");
    contains(&lab.migrate(&["status"]).out, &["1 of 500 rows looked at differ: users: id=7"]);
    lab.sql("SET serin.backfill = 'on'; UPDATE users SET total = 7 WHERE id = 7");
    let drift = document(&lab.migrate(&["status", "--json"]))["drift"].clone();
    assert_eq!((&drift["lookedAt"], &drift["apart"]), (&500.into(), &0.into()));
    // Started again, it is where it was; the next one waits.
    assert_eq!(lab.on(&["start"], &lab.path()).code, Some(0));
    let said = lab.on(&["start"], &lab.path().join("02_note.json"));
    assert_eq!(said.code, Some(6), "{said:?}");
    contains(&said.err, &["`01_total` is open", "serin migrate status"]);
    let said = lab.migrate(&["contract"]);
    assert_eq!(said.code, Some(6), "{said:?}");
    contains(&said.err, &["--backup"]);
    let said = lab.migrate(&["contract", "--backup", "none: a test"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(lab.sql("SELECT pg_typeof(total) FROM users LIMIT 1"), "bigint");
    let said = lab.on(&["start", "--json"], &lab.path());
    assert_eq!((said.code, &document(&said)["migration"]["state"]), (Some(0), &"dual".into()));
    assert_eq!(document(&said)["schema"], "serin.migrate.status/v1");
    assert_eq!(document(&said)["migration"]["oldView"], "public_01_total");
    let said = lab.migrate(&["rollback"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    contains(&said.out, &["02_note  reverted"]);
    let history = document(&lab.migrate(&["history", "--json"]));
    let states = ["reverted", "done"].map(serde_json::Value::from);
    assert_eq!([0, 1].map(|at| history["migrations"][at]["state"].clone()), states);
}

const NAMES: &str = "\
-- serin:set full-name
-- serin:migration version=001 name=add phase=expand
-- serin:up
ALTER TABLE users ADD COLUMN full_name text;
-- serin:down
ALTER TABLE users DROP COLUMN IF EXISTS full_name;
-- serin:migration version=002 name=fill phase=migrate
-- serin:batch table=users key=id set=\"full_name = first || ' ' || last\" where=\"full_name IS NULL\"
-- serin:post_check
SELECT count(*) = 0 FROM users WHERE full_name IS NULL;
-- serin:migration version=003 name=drop phase=contract
-- serin:pre_check
SELECT count(*) = 0 FROM users WHERE full_name IS NULL;
-- serin:up
ALTER TABLE users DROP COLUMN first, DROP COLUMN last;
";

#[test]
fn phased_sql_is_filled_in_batches_and_contracted() {
    let Some(lab) = Lab::new(USERS) else { return };
    lab.write("names.sql", NAMES);
    let file = lab.path().join("names.sql");
    let said = lab.on(&["start"], &file);
    assert_eq!(said.code, Some(0), "{said:?}");
    contains(&said.out, &["full-name  dual", "both versions must work with both shapes"]);
    assert_eq!(lab.sql("SELECT full_name FROM users WHERE id = 7"), "a7 b7");
    lab.sql("INSERT INTO users (id, first) VALUES (501, 'x')");
    let said = lab.migrate(&["contract", "--backup", "none: a test"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    contains(&said.err, &["pre_check of 003 drop says no"]);
    lab.sql("DELETE FROM users WHERE id = 501");
    let said = lab.migrate(&["contract", "--backup", "none: a test"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(
        lab.sql("SELECT count(*) FROM information_schema.columns WHERE table_name = 'users'"),
        "3"
    );
}

#[test]
fn phased_sql_that_fails_is_taken_back() {
    let Some(lab) = Lab::new(USERS) else { return };
    let wrong = NAMES.replace(
        "SELECT count(*) = 0 FROM users WHERE full_name IS NULL;\n-- serin:migration",
        "SELECT NULL::boolean;\n-- serin:migration",
    );
    lab.write("names.sql", &wrong);
    let said = lab.on(&["start"], &lab.path().join("names.sql"));
    assert_eq!(said.code, Some(3), "{said:?}");
    contains(&said.err, &["full-name was taken back", "NULL", "serin migrate start"]);
    assert_eq!(
        lab.sql("SELECT count(*) FROM information_schema.columns WHERE column_name = 'full_name'"),
        "0"
    );
    lab.write("names.sql", NAMES);
    assert_eq!(lab.on(&["start"], &lab.path().join("names.sql")).code, Some(0));
}

#[test]
fn what_blocks_is_not_started_unless_somebody_says_why() {
    let Some(lab) = Lab::new(USERS) else { return };
    let text = NAMES.replace(
        "ALTER TABLE users ADD COLUMN full_name text;",
        "ALTER TABLE users ADD COLUMN full_name text; ALTER TABLE users ALTER total TYPE bigint;",
    );
    lab.write("names.sql", &text);
    let file = lab.path().join("names.sql");
    let said = lab.on(&["start"], &file);
    assert_eq!(said.code, Some(6), "{said:?}");
    contains(
        &said.err,
        &["lock-not-declared", "changing-column-type", "names.sql:4", "--override REASON"],
    );
    assert_eq!(lab.sql("SELECT to_regclass('serin.migration') IS NULL"), "t");
    let said = lab.on(&["start", "--override", "five hundred rows"], &file);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(
        lab.sql("SELECT detail FROM serin.deed WHERE what = 'override'"),
        "five hundred rows"
    );
}

#[test]
fn a_history_of_pgroll_is_gone_on_with() {
    let Some(lab) = Lab::new(USERS) else { return };
    lab.sql("CREATE SCHEMA pgroll; CREATE TABLE pgroll.migrations (schema name, name text, migration jsonb, \
        created_at timestamp DEFAULT now(), updated_at timestamp DEFAULT now(), parent text, done boolean, \
        resulting_schema jsonb DEFAULT '{}', migration_type text, PRIMARY KEY (schema, name)); \
        CREATE SCHEMA public_02_b; CREATE VIEW public_02_b.users AS SELECT * FROM public.users; \
        INSERT INTO pgroll.migrations (schema, name, migration, parent, done) VALUES \
        ('public', '01_a', '{}', NULL, true), ('public', '02_b', '{}', '01_a', false)");
    let said = lab.migrate(&["adopt-pgroll"]);
    assert_eq!(said.code, Some(6), "{said:?}");
    contains(&said.err, &["`02_b` of pgroll is active", "pgroll complete"]);
    lab.sql("UPDATE pgroll.migrations SET done = true");
    let said = lab.migrate(&["adopt-pgroll"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    contains(
        &said.out,
        &["adopted 2 migrations up to `02_b`; clients use the views of public_02_b"],
    );
    assert_eq!(lab.migrate(&["adopt-pgroll"]).code, Some(6));
    lab.write("01_a.yaml", TOTAL);
    lab.write("02_b.yaml", TOTAL);
    lab.write("03_total.yaml", TOTAL);
    let said = lab.on(&["start", "--json"], &lab.path());
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(document(&said)["migration"]["name"], "03_total");
    assert_eq!(document(&said)["migration"]["oldView"], "public_02_b");
}
