//! Columns that are added, renamed, and become others.

use crate::plan_kit::Lab;
use serde_json::json;

const ORDERS: &str = "CREATE TABLE orders (id int PRIMARY KEY, total int NOT NULL DEFAULT 1, \
     note text); \
     INSERT INTO orders VALUES (1, 10, 'a'), (2, 20, NULL);";

#[test]
fn an_added_column_is_worked_out_for_rows_that_are_there() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let operations = json!([{"add_column": {"table": "orders", "up": "upper(note) || total",
        "column": {"name": "label", "type": "text", "nullable": true}}}]);
    lab.life(
        &operations,
        |lab| {
            assert_eq!(lab.new_client("SELECT * FROM orders ORDER BY id"), "1|10|a|A10\n2|20||");
            lab.old("INSERT INTO orders VALUES (3, 30, 'c')");
            lab.old("UPDATE orders SET note = 'x' WHERE id = 1");
            lab.new_client("UPDATE orders SET label = 'mine' WHERE id = 2");
            lab.old("UPDATE orders SET id = 2 WHERE id = 2");
            let all = lab.new_client("SELECT id, label FROM orders ORDER BY id");
            assert_eq!(all, "1|X10\n2|mine\n3|C30");
        },
        |lab| {
            let all = lab.old("SELECT * FROM orders ORDER BY id");
            assert_eq!(all, "1|10|x|X10\n2|20||mine\n3|30|c|C30");
        },
    );
}

#[test]
fn a_renamed_column_has_two_names_and_then_one() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let operations =
        json!([{"rename_column": {"table": "orders", "from": "total", "to": "amount"}}]);
    lab.life(
        &operations,
        |lab| {
            lab.new_client("INSERT INTO orders (id, amount) VALUES (3, 30)");
            lab.new_client("INSERT INTO orders (id) VALUES (4)");
            assert_eq!(lab.old("SELECT total FROM orders WHERE id > 2 ORDER BY id"), "30\n1");
        },
        |lab| assert_eq!(lab.old("SELECT sum(amount) FROM orders"), "61"),
    );
}

#[test]
fn a_column_gets_another_type_and_keeps_everything_else() {
    let Some(lab) = Lab::new(&format!(
        "{ORDERS} ALTER TABLE orders ADD CHECK (total > 0); \
         CREATE INDEX by_half ON orders ((total / 2)) WHERE total > 5; \
         COMMENT ON COLUMN orders.total IS 'in cents'; \
         CREATE INDEX by_note ON orders (note, total DESC);"
    )) else {
        return;
    };
    let operations = json!([{"alter_column": {"table": "orders", "column": "total",
        "type": "bigint", "up": "total", "down": "total"}}]);
    lab.life(
        &operations,
        |lab| {
            lab.new_client("INSERT INTO orders (id) VALUES (3)");
            lab.new_client("INSERT INTO orders (id, total) VALUES (4, 40)");
            lab.old("INSERT INTO orders (id, total) VALUES (5, 50)");
            lab.old("UPDATE orders SET total = 11 WHERE id = 1");
            lab.new_client("UPDATE orders SET total = 21 WHERE id = 2");
            let all = "1|11\n2|21\n3|1\n4|40\n5|50";
            assert_eq!(lab.old("SELECT id, total FROM orders ORDER BY id"), all);
            assert_eq!(lab.new_client("SELECT id, total FROM orders ORDER BY id"), all);
            let told = lab.new_error("INSERT INTO orders (id, total) VALUES (6, 3000000000)");
            assert!(told.contains("out of range"), "{told}");
            let told = lab.new_error("INSERT INTO orders (id, total) VALUES (6, 0)");
            assert!(told.contains("violates check"), "{told}");
        },
        |lab| {
            lab.old("INSERT INTO orders (id, total) VALUES (6, 3000000000)");
            lab.old("INSERT INTO orders (id) VALUES (7)");
            let about = lab.sql(
                "SELECT data_type, is_nullable, column_default, \
                 col_description('orders'::regclass, ordinal_position::int) \
                 FROM information_schema.columns WHERE table_schema = 'public' \
                 AND table_name = 'orders' AND column_name = 'total'",
            );
            assert_eq!(about, "bigint|NO|1|in cents");
            let indexes = lab.sql("SELECT indexdef FROM pg_indexes WHERE tablename = 'orders' \
                AND indexname LIKE 'by%' ORDER BY 1");
            assert_eq!(
                indexes,
                "CREATE INDEX by_half ON public.orders USING btree (((total / 2))) WHERE (total > 5)\n\
                 CREATE INDEX by_note ON public.orders USING btree (note, total DESC)"
            );
            let told = lab.old_error("INSERT INTO orders (id, total) VALUES (8, 0)");
            assert!(told.contains("orders_total_check"), "{told}");
        },
    );
}
