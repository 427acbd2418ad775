//! Tables that come, go and get other names; what belongs to them.

use crate::plan_kit::Lab;
use serde_json::json;

#[test]
fn a_table_comes_with_all_it_has() {
    let Some(lab) = Lab::new(
        "CREATE TABLE teams (id int PRIMARY KEY); INSERT INTO teams VALUES (1); \
         CREATE ROLE plan_reader_a; ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO plan_reader_a;",
    ) else {
        return;
    };
    let operations = json!([
        {"create_table": {"name": "people", "comment": "who", "columns": [
            {"name": "id", "type": "bigint", "pk": true, "generated": {"identity": {}}},
            {"name": "name", "type": "varchar(20)", "unique": true, "comment": "called"},
            {"name": "team", "type": "int", "nullable": true,
                "references": {"name": "of_team", "table": "teams", "column": "id"}},
            {"name": "twice", "type": "int", "nullable": true,
                "generated": {"expression": "team * 2"}},
            {"name": "size", "type": "int", "default": "5",
                "check": {"name": "large", "constraint": "size > 4"}},
            {"name": "number", "type": "serial"}],
          "constraints": [
            {"name": "both", "type": "unique", "columns": ["name", "team"]},
            {"name": "fit", "type": "check", "check": "size > team"},
            {"name": "apart", "type": "exclude",
                "exclude": {"index_method": "btree", "elements": "size WITH ="}}]}},
        {"create_index": {"name": "by_team", "table": "people", "columns": [
            {"column": "team", "sort": "DESC", "nulls": "LAST"},
            {"column": "name", "collate": "C", "opclass": {"name": "varchar_pattern_ops"}}],
            "predicate": "team > 0"}},
        {"rename_column": {"table": "people", "from": "size", "to": "height"}},
        {"create_table": {"name": "pets", "columns": [{"name": "id", "type": "int", "pk": true},
            {"name": "owner", "type": "bigint", "references": {"name": "owned", "table": "people",
                "on_delete": "CASCADE"}}]}}
    ]);
    lab.life(
        &operations,
        |lab| {
            lab.new_client("INSERT INTO people (name, team) VALUES ('ann', 1)");
            lab.new_client("INSERT INTO pets VALUES (1, 1)");
            assert_eq!(
                lab.new_client("SELECT id, name, team, twice, height, number FROM people"),
                "1|ann|1|2|5|1"
            );
            for (sql, wanted) in [
                ("INSERT INTO people (name, team, height) VALUES ('bob', 3, 6)", "of_team"),
                ("INSERT INTO people (name, height) VALUES ('bob', 4)", "large"),
                ("INSERT INTO people (name, height) VALUES ('ann', 6)", "unique"),
                ("INSERT INTO people (name) VALUES ('eve')", "apart"),
                ("INSERT INTO pets VALUES (2, 7)", "owned"),
            ] {
                let told = lab.new_error(sql);
                assert!(told.contains(wanted), "{told}");
            }
            let seen = lab.new_client(
                "GRANT USAGE ON SCHEMA public_02_test TO plan_reader_a; \
                SET ROLE plan_reader_a; SELECT count(*) FROM people",
            );
            assert_eq!(seen, "1");
        },
        |lab| {
            let index = lab.sql("SELECT indexdef FROM pg_indexes WHERE indexname = 'by_team'");
            assert_eq!(
                index,
                "CREATE INDEX by_team ON public.people USING btree (team DESC NULLS LAST, \
                 name COLLATE \"C\" varchar_pattern_ops) WHERE (team > 0)"
            );
            assert_eq!(lab.old("SELECT height FROM people"), "5");
        },
    );
}

#[test]
fn a_table_goes_and_another_comes_under_its_name() {
    let Some(lab) = Lab::new(
        "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'x'); \
         CREATE TABLE u (id int PRIMARY KEY); CREATE TABLE v (id int PRIMARY KEY);",
    ) else {
        return;
    };
    let operations = json!([
        {"drop_table": {"name": "t"}},
        {"create_table": {"name": "t", "columns": [{"name": "key", "type": "text", "pk": true}]}},
        {"rename_table": {"from": "u", "to": "w"}},
        {"rename_table": {"from": "v", "to": "u"}},
        {"add_column": {"table": "w", "column": {"name": "note", "type": "text", "nullable": true}}}
    ]);
    lab.life(
        &operations,
        |lab| {
            assert_eq!(lab.old("SELECT a FROM t"), "x");
            lab.new_client(
                "INSERT INTO t VALUES ('k'); INSERT INTO w VALUES (1, 'n'); \
                INSERT INTO u VALUES (7)",
            );
            assert_eq!(lab.old("SELECT id FROM u"), "1");
            assert_eq!(lab.old("SELECT id FROM v"), "7");
            assert_eq!(lab.new_client("SELECT key FROM t"), "k");
        },
        |lab| {
            assert_eq!(lab.old("SELECT key FROM t"), "k");
            assert_eq!(lab.old("SELECT note FROM w"), "n");
            assert_eq!(lab.old("SELECT id FROM u"), "7");
        },
    );
}

#[test]
fn indexes_come_and_go_and_the_log_holds_what_is_said() {
    let Some(lab) = Lab::new(
        "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, b int); CREATE INDEX by_b ON t (b); \
         CREATE UNIQUE INDEX by_a ON t (a);",
    ) else {
        return;
    };
    let operations = json!([
        {"create_index": {"name": "both", "table": "t", "unique": true, "method": "btree",
            "columns": [{"column": "a"}, {"column": "b", "nulls": "FIRST"}],
            "storage_parameters": "fillfactor = 70"}},
        {"create_index": {"name": "hashed", "table": "t", "method": "hash", "columns": [{"column": "b"}]}},
        {"drop_index": {"name": "by_b"}},
        {"set_replica_identity": {"table": "t", "identity": {"type": "index", "index": "by_a"}}}
    ]);
    lab.life(
        &operations,
        |lab| {
            assert_eq!(
                lab.sql("SELECT relreplident FROM pg_class WHERE oid = 'public.t'::regclass"),
                "i"
            );
            assert_eq!(lab.sql("SELECT count(*) FROM pg_indexes WHERE indexname = 'by_b'"), "1");
        },
        |lab| {
            let all = lab.sql("SELECT indexname FROM pg_indexes WHERE tablename = 't' ORDER BY 1");
            assert_eq!(all, "both\nby_a\nhashed\nt_pkey");
        },
    );
}

#[test]
fn rows_of_others_stay_hidden() {
    let Some(lab) = Lab::new(
        "CREATE ROLE plan_app; CREATE TABLE t (id serial PRIMARY KEY, tenant name, size int); \
         INSERT INTO t (tenant, size) VALUES ('plan_app', 1), ('other', 2); \
         ALTER TABLE t ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY own ON t USING (tenant = current_user AND size < 100); \
         GRANT SELECT, INSERT, UPDATE, DELETE ON t TO plan_app; \
         GRANT USAGE ON SEQUENCE t_id_seq TO plan_app; COMMENT ON TABLE t IS 'things';",
    ) else {
        return;
    };
    let operations = json!([
        {"alter_column": {"table": "t", "column": "size", "type": "bigint", "up": "size", "down": "size"}},
        {"rename_column": {"table": "t", "from": "tenant", "to": "owner"}}
    ]);
    if !lab.views_have_their_reader_s_rights() {
        let told = lab.flaws(&operations);
        assert!(told.contains("row level security") && told.contains("Postgres 15"), "{told}");
        return;
    }
    let check =
        |lab: &Lab, run: fn(&Lab, &str) -> String, error: fn(&Lab, &str) -> String, name: &str| {
            let app = "SET ROLE plan_app";
            assert_eq!(run(lab, &format!("{app}; SELECT size FROM t")), "1");
            run(
                lab,
                &format!(
                    "{app}; INSERT INTO t ({name}, size) VALUES ('plan_app', 9); \
            UPDATE t SET size = 10 WHERE size = 9; DELETE FROM t WHERE size = 10"
                ),
            );
            for values in ["('other', 9)", "('plan_app', 900)"] {
                let told =
                    error(lab, &format!("{app}; INSERT INTO t ({name}, size) VALUES {values}"));
                assert!(told.contains("row-level security"), "{told}");
            }
        };
    lab.life(
        &operations,
        |lab| {
            check(lab, Lab::new_client, Lab::new_error, "owner");
            check(lab, Lab::old, Lab::old_error, "tenant");
            assert_eq!(lab.sql("SELECT obj_description('public_02_test.t'::regclass)"), "things");
        },
        |lab| {
            check(lab, Lab::new_client, Lab::new_error, "owner");
            check(lab, Lab::old, Lab::old_error, "owner");
        },
    );
}

#[test]
fn privileges_on_single_columns_are_kept() {
    let Some(lab) = Lab::new(
        "CREATE ROLE plan_clerk; CREATE ROLE plan_boss; CREATE ROLE plan_helper; \
         CREATE TABLE t (id int PRIMARY KEY, secret text, size int); INSERT INTO t VALUES (1, 's', 2); \
         GRANT SELECT (id, size), UPDATE (size) ON t TO plan_clerk; \
         GRANT SELECT ON t TO plan_boss WITH GRANT OPTION;",
    ) else {
        return;
    };
    let operations = json!([
        {"alter_column": {"table": "t", "column": "size", "type": "bigint", "up": "size", "down": "size"}},
        {"rename_column": {"table": "t", "from": "secret", "to": "hidden"}}
    ]);
    let check =
        |lab: &Lab, run: fn(&Lab, &str) -> String, error: fn(&Lab, &str) -> String, name: &str| {
            run(lab, "SET ROLE plan_clerk; UPDATE t SET size = size + 1");
            let told = error(lab, &format!("SET ROLE plan_clerk; SELECT {name} FROM t"));
            assert!(told.contains("permission denied"), "{told}");
            assert_eq!(run(lab, &format!("SET ROLE plan_boss; SELECT {name} FROM t")), "s");
            run(lab, "SET ROLE plan_boss; GRANT SELECT ON t TO plan_helper");
        };
    lab.life(
        &operations,
        |lab| {
            check(lab, Lab::new_client, Lab::new_error, "hidden");
            check(lab, Lab::old, Lab::old_error, "secret");
            assert_eq!(lab.old("SELECT size FROM t"), "4");
        },
        |lab| {
            check(lab, Lab::new_client, Lab::new_error, "hidden");
            check(lab, Lab::old, Lab::old_error, "hidden");
            assert_eq!(lab.old("SELECT size FROM t"), "6");
        },
    );
}

#[test]
fn a_partitioned_table_has_its_indexes_built_part_by_part() {
    let Some(lab) = Lab::new(
        "CREATE TABLE days (day int NOT NULL, n int NOT NULL, note text, PRIMARY KEY (day, n)) \
           PARTITION BY RANGE (day); \
         CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM (0) TO (10); \
         CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (day); \
         CREATE TABLE days_2a PARTITION OF days_2 FOR VALUES FROM (10) TO (15); \
         CREATE TABLE days_2b PARTITION OF days_2 FOR VALUES FROM (15) TO (20); \
         CREATE INDEX by_n ON days (n); ALTER TABLE days ADD CHECK (n > 0); \
         INSERT INTO days SELECT d, d + 1, 'x' FROM generate_series(0, 19) d;",
    ) else {
        return;
    };
    let operations = json!([
        {"alter_column": {"table": "days", "column": "n", "type": "bigint", "up": "n", "down": "n"}},
        {"create_index": {"name": "by_note", "table": "days", "columns": [{"column": "note"}]}},
        {"alter_column": {"table": "days", "column": "note", "nullable": false}}
    ]);
    lab.life(
        &operations,
        |lab| {
            lab.old("INSERT INTO days VALUES (3, 30, 'o')");
            lab.new_client("INSERT INTO days VALUES (17, 70, 'n')");
            lab.new_client("UPDATE days SET day = 11 WHERE n = 70");
            lab.old("UPDATE days SET day = 16 WHERE n = 30");
            let all = "SELECT day, n FROM days WHERE n > 20 ORDER BY 1";
            assert_eq!(lab.old(all), "11|70\n16|30");
            assert_eq!(lab.new_client(all), "11|70\n16|30");
            let told = lab.new_error("INSERT INTO days VALUES (11, 70, 'n')");
            assert!(told.contains("unique"), "{told}");
        },
        |lab| {
            let told = lab.old_error("INSERT INTO days (day, n, note) VALUES (11, 70, 'n')");
            assert!(told.contains("unique"), "{told}");
            let indexes =
                lab.sql("SELECT indexdef FROM pg_indexes WHERE tablename = 'days' ORDER BY 1");
            assert_eq!(
                indexes,
                "CREATE INDEX by_n ON ONLY public.days USING btree (n)\n\
                 CREATE INDEX by_note ON ONLY public.days USING btree (note)\n\
                 CREATE UNIQUE INDEX days_pkey ON ONLY public.days USING btree (day, n)"
            );
            assert_eq!(lab.sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid"), "0");
            lab.old("INSERT INTO days (day, n, note) VALUES (11, 3000000000, 'n')");
        },
    );
    let told = lab.flaws(&json!([{"drop_column": {"table": "days_1", "column": "note"}}]));
    assert!(told.contains("is a partition; change \"days\" instead"), "{told}");
}

#[test]
fn rows_of_a_new_table_come_back_when_the_migration_starts_again() {
    let Some(lab) = Lab::new("CREATE TABLE t (id int PRIMARY KEY);") else { return };
    let plan = lab.plan(&json!([
        {"create_table": {"name": "u", "columns": [{"name": "id", "type": "serial", "pk": true},
            {"name": "t", "type": "int", "references": {"name": "of_t", "table": "t"}}]}},
        {"create_index": {"name": "by_t", "table": "u", "columns": [{"column": "t"}]}}
    ]));
    let before = lab.fingerprint();
    lab.run(&plan, &plan.forward);
    lab.new_client("INSERT INTO t VALUES (1); INSERT INTO u (t) VALUES (1)");
    lab.run(&plan, &plan.back);
    assert_eq!(lab.fingerprint(), before);
    lab.run(&plan, &plan.back);
    lab.run(&plan, &plan.forward);
    lab.new_client("INSERT INTO u (t) VALUES (1)");
    assert_eq!(lab.new_client("SELECT * FROM u ORDER BY id"), "1|1\n2|1");
    assert!(lab.new_error("INSERT INTO u (t) VALUES (2)").contains("of_t"));
}

#[test]
fn references_of_a_partitioned_table_are_proven_part_by_part() {
    let Some(lab) = Lab::new(
        "CREATE TABLE kinds (id int PRIMARY KEY); INSERT INTO kinds VALUES (1), (2); \
         CREATE TABLE days (day int, kind int REFERENCES kinds, other int, PRIMARY KEY (day)) \
           PARTITION BY RANGE (day); \
         CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM (0) TO (10); \
         CREATE TABLE days_2 PARTITION OF days DEFAULT PARTITION BY RANGE (day); \
         CREATE TABLE days_2a PARTITION OF days_2 DEFAULT; \
         CREATE TABLE notes (day int REFERENCES days); \
         INSERT INTO days VALUES (1, 1, 1), (11, 2, 2);",
    ) else {
        return;
    };
    let operations = json!([
        {"alter_column": {"table": "days", "column": "kind", "type": "bigint", "up": "kind", "down": "kind"}},
        {"alter_column": {"table": "days", "column": "other", "references":
            {"name": "of_other", "table": "kinds", "column": "id", "on_delete": "CASCADE"}}}
    ]);
    lab.life(
        &operations,
        |lab| {
            for sql in ["INSERT INTO days VALUES (2, 3, 1)", "INSERT INTO days VALUES (12, 1, 3)"] {
                assert!(lab.new_error(sql).contains("violates foreign key"));
            }
            lab.new_client("INSERT INTO days VALUES (2, 1, 1)");
        },
        |lab| {
            let keys = lab.sql("SELECT conrelid::regclass, conname, convalidated, pg_get_constraintdef(oid) \
                FROM pg_constraint WHERE contype = 'f' AND conrelid = 'days'::regclass AND conparentid = 0 ORDER BY 2");
            assert_eq!(
                keys,
                "days|days_kind_fkey|t|FOREIGN KEY (kind) REFERENCES kinds(id)\n\
                 days|of_other|t|FOREIGN KEY (other) REFERENCES kinds(id) ON DELETE CASCADE"
            );
            assert!(lab.old_error("INSERT INTO days (day, kind) VALUES (12, 3)").contains("days_kind_fkey"));
            lab.old("UPDATE days SET kind = 1; DELETE FROM kinds WHERE id = 2");
            assert_eq!(lab.old("SELECT day FROM days ORDER BY 1"), "1\n2");
        },
    );
    let grow = json!([{"alter_column": {"table": "days", "column": "day", "type": "bigint",
        "up": "day", "down": "day"}}]);
    let told = lab.next_flaws("03", &grow, "public_02_test");
    assert!(told.contains("says which partition a row"), "{told}");
}

#[test]
fn children_by_inheritance_are_held_in_step_too() {
    let Some(lab) = Lab::new(
        "CREATE TABLE base (id int, a int CHECK (a > 0)); CREATE TABLE child (b text) INHERITS (base); \
         INSERT INTO base VALUES (1, 10); INSERT INTO child VALUES (2, 20, 'x');",
    ) else {
        return;
    };
    let operations = json!([{"alter_column": {"table": "base", "column": "a", "type": "bigint",
        "nullable": false, "up": "a * 2", "down": "a / 2"}}]);
    lab.life(
        &operations,
        |lab| {
            lab.old("INSERT INTO child VALUES (3, 30, 'y')");
            assert_eq!(lab.new_client("SELECT a FROM base ORDER BY id"), "20\n40\n60");
            lab.new_client("UPDATE base SET a = 100 WHERE id = 2");
            assert_eq!(lab.old("SELECT a FROM child ORDER BY id"), "50\n30");
            assert!(lab.old_error("INSERT INTO child VALUES (3, -1, 'y')").contains("check"));
        },
        |lab| {
            assert_eq!(lab.old("SELECT a, b FROM child ORDER BY id"), "100|x\n60|y");
            assert!(lab.old_error("INSERT INTO child (id) VALUES (3)").contains("null value"));
        },
    );
    let told = lab.next_flaws("03", &json!([{"drop_table": {"name": "base"}}]), "public_02_test");
    assert!(told.contains("\"child\" inherit from table \"base\""), "{told}");
}
