//! Keys that become others: sequences, identities, references to and from them.

use crate::plan_kit::Lab;
use serde_json::{Value, json};

fn to_bigint(table: &str, column: &str) -> Value {
    let same = format!("\"{column}\"");
    json!({"alter_column": {"table": table, "column": column, "type": "bigint",
        "up": same, "down": same}})
}

fn check_key(lab: &Lab) {
    lab.old("INSERT INTO parts (kit, name) VALUES (1, 'b')");
    lab.new_client("INSERT INTO kits (name) VALUES ('new')");
    lab.old("INSERT INTO kits (name) VALUES ('old')");
    // New clients take a number for each shape.
    let all = "1|one\n2|two\n4|new\n5|old";
    assert_eq!(lab.old("SELECT id, name FROM kits ORDER BY id"), all);
    assert_eq!(lab.new_client("SELECT id, name FROM kits ORDER BY id"), all);
    let told = lab.new_error("INSERT INTO parts (kit, name) VALUES (99, 'x')");
    assert!(told.contains("violates foreign key"), "{told}");
    lab.old("DELETE FROM kits WHERE id = 2");
    assert_eq!(lab.new_client("SELECT count(*) FROM parts WHERE kit = 2"), "0");
}

fn check_after(lab: &Lab) {
    lab.old("INSERT INTO kits (name) VALUES ('last')");
    assert_eq!(lab.old("SELECT max(id) FROM kits"), "6");
    lab.old("INSERT INTO kits (id, name) OVERRIDING SYSTEM VALUE VALUES (3000000000, 'big')");
    let keys = lab.sql(
        "SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint \
         WHERE conrelid IN ('kits'::regclass, 'parts'::regclass) AND contype IN ('p', 'f') \
         ORDER BY 1",
    );
    assert_eq!(
        keys,
        "kits_pkey|PRIMARY KEY (id)|t\n\
         parts_kit_fkey|FOREIGN KEY (kit) REFERENCES kits(id) ON DELETE CASCADE|t\n\
         parts_pkey|PRIMARY KEY (id)|t"
    );
    let told = lab.old_error("INSERT INTO parts (kit, name) VALUES (99, 'x')");
    assert!(told.contains("parts_kit_fkey"), "{told}");
    lab.old("DELETE FROM kits WHERE id = 1");
    assert_eq!(lab.old("SELECT count(*) FROM parts"), "0");
    let sequence = lab.sql("SELECT pg_get_serial_sequence('kits', 'id')");
    assert_eq!(sequence, "public.kits_id_seq");
    let reach = lab.sql("SELECT seqmax FROM pg_sequence WHERE seqrelid = 'kits_id_seq'::regclass");
    assert_eq!(reach, i64::MAX.to_string());
}

fn kits(key: &str) -> String {
    format!(
        "CREATE TABLE kits (id {key} PRIMARY KEY, name text); \
         CREATE TABLE parts (id serial PRIMARY KEY, kit int REFERENCES kits ON DELETE CASCADE, \
           name text); \
         CREATE INDEX ON parts (kit); \
         INSERT INTO kits (name) VALUES ('one'), ('two'); \
         INSERT INTO parts (kit, name) VALUES (1, 'a'), (2, 'a'), (NULL, 'a'); \
         DELETE FROM parts WHERE kit IS NULL;"
    )
}

#[test]
fn a_primary_key_with_a_sequence_grows_with_what_refers_to_it() {
    let Some(lab) = Lab::new(&kits("serial")) else { return };
    lab.life(&json!([to_bigint("kits", "id")]), check_key, check_after);
    assert_eq!(lab.sql("SELECT pg_typeof(kit) FROM parts LIMIT 1"), "");
}

#[test]
fn both_sides_of_a_reference_grow_together() {
    let Some(lab) = Lab::new(&kits("serial")) else { return };
    let operations = json!([to_bigint("parts", "kit"), to_bigint("kits", "id")]);
    lab.life(&operations, check_key, |lab| {
        lab.old("INSERT INTO kits (id, name) VALUES (4000000000, 'x')");
        lab.old("INSERT INTO parts (kit, name) VALUES (4000000000, 'x')");
        lab.old("DELETE FROM kits WHERE id = 4000000000");
        check_after(lab);
    });
}

#[test]
fn an_identity_goes_on_where_it_was() {
    for kind in ["ALWAYS", "BY DEFAULT"] {
        let Some(lab) = Lab::new(&kits(&format!("int GENERATED {kind} AS IDENTITY"))) else {
            return;
        };
        lab.life(&json!([to_bigint("kits", "id")]), check_key, |lab| {
            check_after(lab);
            let identity = lab.sql(
                "SELECT identity_generation FROM information_schema.columns \
                 WHERE table_schema = 'public' AND table_name = 'kits' AND column_name = 'id'",
            );
            assert_eq!(identity, kind);
        });
    }
}

#[test]
fn a_composite_key_grows_in_one_of_its_columns() {
    let Some(lab) = Lab::new(
        "CREATE TABLE shelf (room int, \"No\" int, what text, PRIMARY KEY (room, \"No\")); \
         CREATE TABLE book (room int, place int, title text, \
           CONSTRAINT stands FOREIGN KEY (room, place) REFERENCES shelf DEFERRABLE INITIALLY DEFERRED); \
         INSERT INTO shelf VALUES (1, 1, 'a'), (1, 2, 'b'); INSERT INTO book VALUES (1, 2, 'x');",
    ) else {
        return;
    };
    let plan = lab.life(
        &json!([to_bigint("shelf", "No")]),
        |lab| {
            lab.new_client("BEGIN; INSERT INTO book VALUES (2, 1, 'y'); \
                INSERT INTO shelf VALUES (2, 1, 'c'); COMMIT");
            let told = lab.old_error("INSERT INTO book VALUES (3, 3, 'z')");
            assert!(told.contains("foreign key"), "{told}");
        },
        |lab| {
            let keys = lab.sql("SELECT pg_get_constraintdef(oid) FROM pg_constraint \
                WHERE conrelid IN ('shelf'::regclass, 'book'::regclass) \
                AND contype IN ('p', 'f') ORDER BY 1");
            assert_eq!(
                keys,
                "FOREIGN KEY (room, place) REFERENCES shelf(room, \"No\") DEFERRABLE INITIALLY DEFERRED\n\
                 PRIMARY KEY (room, \"No\")"
            );
        },
    );
    assert!(
        matches!(&plan.syncs[0].key, serin_migrate::Key::Columns { columns } if columns.len() == 2)
    );
}

#[test]
fn a_table_without_a_key_is_found_by_place() {
    let Some(lab) =
        Lab::new("CREATE TABLE log (at int, line text); INSERT INTO log VALUES (1, 'a')")
    else {
        return;
    };
    let plan = lab.life(
        &json!([to_bigint("log", "at")]),
        |lab| assert_eq!(lab.new_client("SELECT at FROM log"), "1"),
        |lab| assert_eq!(lab.old("SELECT pg_typeof(at) FROM log"), "bigint"),
    );
    assert_eq!(plan.syncs[0].key, serin_migrate::Key::Place);
}
