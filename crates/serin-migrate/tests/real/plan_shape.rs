//! Several operations on the same columns, and columns that go.

use crate::plan_kit::Lab;
use serde_json::json;

const PAIRS: &str = "CREATE TABLE pairs (id int PRIMARY KEY, a text, b text); \
     INSERT INTO pairs VALUES (1, 'a1', 'b1'), (2, 'a2', 'b2');";

#[test]
fn two_columns_change_places() {
    let Some(lab) = Lab::new(PAIRS) else { return };
    let operations = json!([
        {"rename_column": {"table": "pairs", "from": "a", "to": "c"}},
        {"rename_column": {"table": "pairs", "from": "b", "to": "a"}},
        {"rename_column": {"table": "pairs", "from": "c", "to": "b"}}
    ]);
    lab.life(
        &operations,
        |lab| assert_eq!(lab.new_client("SELECT a, b FROM pairs WHERE id = 1"), "b1|a1"),
        |lab| assert_eq!(lab.old("SELECT a, b FROM pairs WHERE id = 1"), "b1|a1"),
    );
}

#[test]
fn a_column_is_renamed_and_changed_and_renamed_again() {
    let Some(lab) = Lab::new(&format!(
        "{PAIRS} CREATE TABLE seen (a text); \
         CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS \
         $$BEGIN INSERT INTO seen VALUES (NEW.a); RETURN NULL; END$$; \
         CREATE TRIGGER look AFTER UPDATE OF b ON pairs FOR EACH ROW WHEN (NEW.b <> 'quiet') \
         EXECUTE FUNCTION look();"
    )) else {
        return;
    };
    if lab.views_have_their_reader_s_rights() {
        lab.sql(
            "ALTER TABLE pairs ENABLE ROW LEVEL SECURITY; \
             CREATE POLICY several ON pairs USING (length(b) > 1)",
        );
    }
    let operations = json!([
        {"rename_column": {"table": "pairs", "from": "b", "to": "bb"}},
        {"alter_column": {"table": "pairs", "column": "bb", "type": "varchar(20)",
            "up": "bb || '!'", "down": "rtrim(bb, '!')"}},
        {"alter_column": {"table": "pairs", "column": "bb", "comment": "loud",
            "up": "upper(pairs.bb)", "down": "lower(bb)"}},
        {"rename_column": {"table": "pairs", "from": "bb", "to": "B b"}},
        {"add_column": {"table": "pairs", "up": "\"B b\" || a",
            "column": {"name": "bb", "type": "text", "nullable": true}}}
    ]);
    lab.life(
        &operations,
        |lab| {
            let all = "SELECT \"B b\", bb FROM pairs ORDER BY id";
            assert_eq!(lab.new_client(all), "B1!|B1!a1\nB2!|B2!a2");
            lab.new_client("UPDATE pairs SET \"B b\" = 'NEW!' WHERE id = 1");
            assert_eq!(lab.old("SELECT b FROM pairs WHERE id = 1"), "new");
            lab.old("INSERT INTO pairs VALUES (3, 'a3', 'b3')");
            assert_eq!(lab.new_client("SELECT \"B b\", bb FROM pairs WHERE id = 3"), "B3!|B3!a3");
        },
        |lab| {
            assert_eq!(lab.old("SELECT \"B b\" FROM pairs ORDER BY id"), "NEW!\nB2!\nB3!");
            lab.sql(
                "DELETE FROM seen; UPDATE pairs SET \"B b\" = 'loud' WHERE id = 1; \
                UPDATE pairs SET \"B b\" = 'quiet' WHERE id = 2; UPDATE pairs SET a = a",
            );
            assert_eq!(lab.sql("SELECT * FROM seen"), "a1");
            let policy = lab.sql("SELECT pg_get_expr(polqual, polrelid) FROM pg_policy");
            if lab.views_have_their_reader_s_rights() {
                assert_eq!(policy, "(length((\"B b\")::text) > 1)");
            }
        },
    );
}

#[test]
fn a_column_goes_and_another_comes_under_its_name() {
    let Some(lab) = Lab::new(&format!(
        "{PAIRS} ALTER TABLE pairs ALTER a SET NOT NULL; CREATE INDEX by_a ON pairs (a); \
         ALTER TABLE pairs ADD CHECK (a <> b);"
    )) else {
        return;
    };
    let operations = json!([
        {"drop_column": {"table": "pairs", "column": "a", "down": "'from ' || b"}},
        {"add_column": {"table": "pairs", "column": {"name": "a", "type": "int", "default": "7"}}}
    ]);
    let plan = lab.life(
        &operations,
        |lab| {
            lab.new_client("INSERT INTO pairs (id, b) VALUES (3, 'b3')");
            lab.new_client("INSERT INTO pairs (id, b, a) VALUES (4, 'b4', 8)");
            lab.old("INSERT INTO pairs VALUES (5, 'a5', 'b5')");
            assert_eq!(
                lab.old("SELECT a FROM pairs WHERE id > 2 ORDER BY id"),
                "from b3\nfrom b4\na5"
            );
            assert_eq!(lab.new_client("SELECT a FROM pairs ORDER BY id"), "7\n7\n7\n8\n7");
        },
        |lab| {
            lab.old("INSERT INTO pairs (id) VALUES (6)");
            assert_eq!(lab.old("SELECT a FROM pairs WHERE id = 6"), "7");
            let hidden = lab.sql(
                "SELECT count(*) FROM pg_attribute \
                WHERE attrelid = 'pairs'::regclass AND attname LIKE '\\_serin\\_gone\\_a%'",
            );
            assert_eq!(hidden, "1");
            assert_eq!(lab.sql("SELECT count(*) FROM pg_indexes WHERE indexname = 'by_a'"), "0");
        },
    );
    assert!(plan.warnings[0].message.contains("index \"by_a\" goes with column \"a\""));
}

#[test]
fn expressions_find_what_they_name_whoever_writes() {
    let Some(lab) = Lab::new(
        "CREATE FUNCTION shout(t text) RETURNS text LANGUAGE sql IMMUTABLE AS \
           $$SELECT upper(t)$$; \
         CREATE TABLE names (id int PRIMARY KEY, name text); INSERT INTO names VALUES (1, 'ann'); \
         CREATE TABLE t (id int PRIMARY KEY, a text, who int); INSERT INTO t VALUES (1, 'x', 1); \
         CREATE SCHEMA other; CREATE FUNCTION other.shout(t text) RETURNS text LANGUAGE sql AS \
           $$SELECT 'wrong'$$;",
    ) else {
        return;
    };
    let operations = json!([
        {"alter_column": {"table": "t", "column": "a", "comment": "loud",
            "up": "shout(a) || (SELECT name FROM names n WHERE n.id = t.who)", "down": "shout(a)"}},
        {"rename_column": {"table": "names", "from": "name", "to": "called"}}
    ]);
    let plan = lab.life(
        &operations,
        |lab| {
            lab.sql("SET search_path = public_02_test; INSERT INTO t VALUES (2, 'new', 1)");
            lab.sql(
                "SET search_path = other, public; BEGIN; INSERT INTO t VALUES (3, 'old', 1); \
                INSERT INTO t VALUES (4, shout('q'), 1); COMMIT",
            );
            let all = "SELECT a FROM t ORDER BY id";
            assert_eq!(lab.new_client(all), "Xann\nnew\nOLDann\nWRONGann");
            assert_eq!(lab.old(all), "x\nNEW\nold\nwrong");
        },
        |lab| assert_eq!(lab.old("SELECT a FROM t WHERE id = 3"), "OLDann"),
    );
    assert!(plan.warnings.iter().any(|flaw| flaw.message.contains("reads other tables")));
}

#[test]
fn functions_that_name_what_goes_are_told() {
    let Some(lab) = Lab::new(
        "CREATE TABLE users (id int PRIMARY KEY, total int); CREATE TABLE \"a.b\" (id int PRIMARY KEY); \
         CREATE FUNCTION how_many() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM Users'; \
         CREATE FUNCTION sums() RETURNS bigint LANGUAGE sql AS 'SELECT sum(total) FROM users'; \
         CREATE FUNCTION aab() RETURNS text LANGUAGE sql AS $$SELECT 'users_total aab'$$;",
    ) else {
        return;
    };
    let told = |operations| {
        let plan = lab.plan(&operations);
        plan.warnings.iter().map(|flaw| flaw.message.clone()).collect::<Vec<_>>()
    };
    let column = json!([{"rename_column": {"table": "users", "from": "total", "to": "sum"}}]);
    assert_eq!(told(column), ["function sums() names total, which goes with the contract"]);
    let table = json!([{"rename_table": {"from": "users", "to": "people"}}]);
    let both = [
        "function how_many() names users, which goes with the contract",
        "function sums() names users, which goes with the contract",
    ];
    assert_eq!(told(table), both);
    assert!(told(json!([{"drop_table": {"name": "a.b"}}])).is_empty());
}

#[test]
fn statistics_and_the_replica_identity_are_kept() {
    let Some(lab) = Lab::new(
        "CREATE TABLE t (id int NOT NULL, a int NOT NULL, b int); \
         CREATE UNIQUE INDEX by_id ON t (id); ALTER TABLE t REPLICA IDENTITY USING INDEX by_id; \
         CREATE STATISTICS paired (ndistinct) ON id, b FROM t; INSERT INTO t VALUES (1, 2, 3);",
    ) else {
        return;
    };
    let grow = json!([{"alter_column": {"table": "t", "column": "id", "type": "bigint",
        "up": "id", "down": "id"}}]);
    lab.life(
        &grow,
        |lab| assert_eq!(lab.new_client("SELECT id FROM t"), "1"),
        |lab| {
            let identity = lab.sql("SELECT indexrelid::regclass, relreplident FROM pg_index \
                JOIN pg_class c ON c.oid = indrelid WHERE indisreplident AND indrelid = 'public.t'::regclass");
            assert_eq!(identity, "by_id|i");
            let statistics = lab.sql("SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext");
            assert_eq!(statistics, "CREATE STATISTICS public.paired (ndistinct) ON b, id FROM t");
        },
    );
}

#[test]
fn defaults_and_comments_change_without_a_copy() {
    let Some(lab) = Lab::new(
        "CREATE TABLE t (id int PRIMARY KEY, a int DEFAULT 1, b int DEFAULT 2, c text); \
         COMMENT ON COLUMN t.c IS 'old';",
    ) else {
        return;
    };
    let operations = json!([
        {"alter_column": {"table": "t", "column": "a", "default": "10"}},
        {"alter_column": {"table": "t", "column": "b", "default": null}},
        {"alter_column": {"table": "t", "column": "c", "comment": "it's \\ new"}}
    ]);
    let plan = lab.life(
        &operations,
        |lab| {
            lab.new_client("INSERT INTO t (id) VALUES (1)");
            lab.old("INSERT INTO t (id) VALUES (2)");
            assert_eq!(lab.old("SELECT a, b FROM t ORDER BY id"), "10|\n1|2");
        },
        |lab| {
            lab.old("INSERT INTO t (id) VALUES (3)");
            lab.new_client("INSERT INTO t (id) VALUES (4)");
            assert_eq!(lab.old("SELECT a, b FROM t WHERE id > 2"), "10|\n10|");
            assert_eq!(lab.sql("SELECT col_description('t'::regclass, 4)"), "it's \\ new");
        },
    );
    assert!(plan.syncs.is_empty());
}

#[test]
fn values_that_differ_each_time_are_worked_out_once() {
    let Some(lab) = Lab::new(PAIRS) else { return };
    let operations = json!([
        {"add_column": {"table": "pairs", "column": {"name": "token", "type": "uuid",
            "default": "gen_random_uuid()", "unique": true}}},
        {"add_column": {"table": "pairs", "column": {"name": "made", "type": "timestamptz",
            "default": "now()"}}}
    ]);
    lab.life(
        &operations,
        |lab| {
            lab.old("INSERT INTO pairs VALUES (3, 'a3', 'b3')");
            lab.new_client("INSERT INTO pairs (id) VALUES (4)");
            assert_eq!(
                lab.new_client("SELECT count(DISTINCT token), count(made) FROM pairs"),
                "4|4"
            );
            let before = lab.new_client("SELECT token FROM pairs ORDER BY id");
            lab.old("UPDATE pairs SET id = id, a = 'z'");
            assert_eq!(lab.new_client("SELECT token FROM pairs ORDER BY id"), before);
        },
        |lab| {
            lab.old("INSERT INTO pairs (id) VALUES (5)");
            assert_eq!(lab.old("SELECT count(DISTINCT token), count(made) FROM pairs"), "5|5");
        },
    );
}

#[test]
fn names_of_every_kind_stay_what_they_are() {
    let long = "x".repeat(63);
    let evil = "a\"; DROP TABLE \"Über Tisch\"; --";
    let quoted = evil.replace('"', "\"\"");
    let setup = format!(
        "CREATE TABLE \"Über Tisch\" (id int PRIMARY KEY, \"{long}\" int, \"{quoted}\" int, \
         \"new\" int, \"old\" int, \"select\" int); \
         INSERT INTO \"Über Tisch\" VALUES (1, 2, 3, 4, 5, 6);"
    );
    let Some(lab) = Lab::new(&setup) else { return };
    let alter = |column: &str| {
        json!({"alter_column": {"table": "Über Tisch", "column": column, "type": "bigint",
            "up": format!("\"{}\" + 1", column.replace('"', "\"\"")),
            "down": format!("\"{}\" - 1", column.replace('"', "\"\""))}})
    };
    let columns = [long.as_str(), evil, "new", "old", "select"];
    let operations = json!(columns.map(alter));
    let all = format!(
        "SELECT id, \"{long}\", \"{quoted}\", new, old, \"select\" FROM \"Über Tisch\" ORDER BY 1"
    );
    lab.life(
        &operations,
        |lab| {
            assert_eq!(lab.new_client(&all), "1|3|4|5|6|7");
            lab.new_client("INSERT INTO \"Über Tisch\" VALUES (2, 3, 4, 5, 6, 7)");
            assert_eq!(lab.old(&all), "1|2|3|4|5|6\n2|2|3|4|5|6");
        },
        |lab| assert_eq!(lab.old(&all), "1|3|4|5|6|7\n2|3|4|5|6|7"),
    );
}
