//! What cannot work is told before anything is done, all of it at once.

use crate::plan_kit::{Lab, told};
use serde_json::{Value, json};

const TABLES: &str = "CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, \
     email text, size int NOT NULL); \
     CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, \
     double int GENERATED ALWAYS AS (id * 2) STORED); \
     CREATE VIEW report AS SELECT email FROM customers; \
     CREATE ROLE plan_poor LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC;";

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

#[test]
fn everything_that_is_not_there_is_told_at_once_with_what_is_near() {
    let Some(lab) = Lab::new(&TABLES.replace("CREATE ROLE plan_poor LOGIN;", "")) else { return };
    let told = lab.flaws(&json!([
        {"drop_column": {"table": "customer", "column": "name"}},
        {"rename_column": {"table": "customers", "from": "nmae", "to": "title"}},
        {"drop_index": {"name": "orders_pky"}},
        {"drop_constraint": {"table": "orders", "name": "orders_customer_fk", "down": "customer"}},
        {"add_column": {"table": "orders", "column": {"name": "id", "type": "int"}}},
        {"rename_table": {"from": "orders", "to": "customers"}},
        {"create_index": {"name": "report", "table": "orders", "columns": [{"column": "id"}]}},
        {"drop_column": {"table": "customers", "column": "name"}},
        {"add_column": {"table": "orders", "column": {"name": "must", "type": "int"}}},
        {"add_column": {"table": "orders", "column": {"name": "many", "type": "int",
            "nullable": true, "references": {"name": "f", "table": "customers", "column": "email"}}}},
        {"drop_table": {"name": "report"}}
    ]));
    has(
        &told,
        &[
            "operations[0].drop_column.table: there is no table \"customer\"",
            "did you mean `customers`?",
            "table \"customers\" has no column \"nmae\"; did you mean `name`?",
            "there is no index \"orders_pky\" in schema \"public\"; did you mean `orders_pkey`?",
            "did you mean `orders_customer_fkey`?",
            "operations[4].add_column.column.name: table \"orders\" has a column \"id\" already",
            "operations[5].rename_table.to: schema \"public\" has \"customers\" already",
            "operations[6].create_index.name: schema \"public\" has \"report\" already",
            "operations[7].drop_column.down: \"name\" cannot be empty and has no default",
            "operations[8].add_column.up: \"must\" cannot be empty",
            "\"email\" of table \"customers\" is not unique",
            "operations[10].drop_table.name: there is no table \"report\"",
            ": it is a view",
        ],
    );
}

#[test]
fn expressions_are_looked_at_by_the_server() {
    let Some(lab) = Lab::new(&TABLES.replace("CREATE ROLE plan_poor LOGIN;", "")) else { return };
    let told = lab.flaws(&json!([
        {"alter_column": {"table": "customers", "column": "size", "type": "text",
            "up": "size::text || missing", "down": "length"}},
        {"add_column": {"table": "customers", "column": {"name": "a", "type": "int"},
            "up": "name"}},
        {"add_column": {"table": "customers", "column": {"name": "b", "type": "nothing",
            "nullable": true}}},
        {"add_column": {"table": "customers", "column": {"name": "c", "type": "int; DROP TABLE orders",
            "nullable": true}}},
        {"add_column": {"table": "orders", "column": {"name": "d", "type": "int"},
            "up": "double"}},
        {"add_column": {"table": "orders", "column": {"name": "e", "type": "int"},
            "up": "1); DROP TABLE orders; SELECT (1"}},
        {"add_column": {"table": "orders", "column": {"name": "g", "type": "int"},
            "up": "max(id)"}},
        {"add_column": {"table": "orders", "column": {"name": "h", "type": "bigint"},
            "up": "row_number() OVER ()"}},
        {"add_column": {"table": "orders", "column": {"name": "j", "type": "int DEFAULT 5",
            "nullable": true}}},
        {"add_column": {"table": "orders", "column": {"name": "k", "type": "text COLLATE \"C\"",
            "nullable": true}}},
        {"create_table": {"name": "wide", "columns": [{"name": "a", "type": "int, b text"}]}},
        {"create_index": {"name": "i", "table": "orders", "columns": [{"column": "id"}],
            "predicate": "idd > 1"}},
        {"add_column": {"table": "orders", "column": {"name": "f", "type": "int",
            "default": "'x'::text"}}},
        {"alter_column": {"table": "orders", "column": "customer", "up": "customer",
            "down": "customer", "check": {"name": "positive", "constraint": "custommer > 0"}}}
    ]));
    has(
        &told,
        &[
            "operations[2].add_column.column.type: type \"nothing\" does not exist",
            "operations[3].add_column.column.type: ",
            "operations[4].add_column.up: reads \"double\", a generated column",
            "operations[5].add_column.up: ",
            "operations[6].add_column.up: aggregate functions are not allowed",
            "operations[7].add_column.up: window functions are not allowed",
            "`int DEFAULT 5` is no type",
            "`text COLLATE \"C\"` is no type",
            "`int, b text` is no type",
            "operations[11].create_index: column \"idd\" does not exist",
            "operations[12].add_column.column.default: column \"c\" is of type integer",
            "operations[13].alter_column.check.constraint: column \"custommer\" does not exist",
        ],
    );
    assert_eq!(lab.old("SELECT count(*) FROM orders"), "0");
    let told = lab.flaws(&json!([
        {"alter_column": {"table": "customers", "column": "size", "type": "text",
            "up": "size::text || missing", "down": "length"}},
        {"add_column": {"table": "customers", "column": {"name": "a", "type": "int"},
            "up": "name"}}
    ]));
    has(
        &told,
        &[
            "operations[0].alter_column.up: column \"missing\" does not exist",
            "operations[0].alter_column.down: column \"length\" does not exist",
            "operations[1].add_column.up: the column is of type integer but expression is of type text",
        ],
    );
}

#[test]
fn what_others_use_stands_in_the_way() {
    let Some(lab) = Lab::new(&TABLES.replace("CREATE ROLE plan_poor LOGIN;", "")) else { return };
    let told = lab.flaws(&json!([{"drop_column": {"table": "customers", "column": "email"}}]));
    has(&told, &["operations[0].drop_column: view \"public\".\"report\" reads \"email\""]);
    let told = lab.flaws(&json!([{"drop_table": {"name": "customers"}}]));
    has(&told, &["table \"customers\" is read by \"public\".\"report\""]);
    lab.sql("DROP VIEW report");
    let told = lab.flaws(&json!([{"drop_table": {"name": "customers"}}]));
    has(&told, &["constraint \"orders_customer_fkey\" of table \"orders\" refers to it"]);
    let both = json!([
        {"drop_constraint": {"table": "orders", "name": "orders_customer_fkey", "down": "customer"}},
        {"drop_table": {"name": "customers"}}
    ]);
    lab.plan(&both);
}

#[test]
fn a_role_that_may_not_is_told_what_it_needs() {
    let Some(lab) = Lab::new(TABLES) else { return };
    let operations = json!([{"drop_column": {"table": "customers", "column": "email"}}]);
    let flaws = lab.plan_as("plan_poor", &operations, &Value::Null).unwrap_err();
    has(
        &told(&flaws),
        &[
            "GRANT CREATE ON DATABASE",
            "role \"plan_poor\" may not make anything in schema \"public\"",
            "role \"plan_poor\" may not change table \"customers\", which is \"postgres\"'s",
        ],
    );
}
