//! Rows that come past ordinary triggers: from another server, and from clients that switch
//! triggers off.

use crate::clients::{APART, ORDERS, cents};
use crate::kit::*;
use serin_migrate::State;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn rows_that_another_server_sends_have_both_shapes() {
    let Some(cluster) = own(&[("wal_level", "logical")]) else { return };
    let (from, to) = (Lab::on(cluster, ORDERS), Lab::on(cluster, ORDERS));
    to.sql("TRUNCATE orders");
    let name = serin_postgres::unique_name("feed");
    from.sql(&format!("CREATE PUBLICATION {name} FOR TABLE orders"));
    // Of the same server, so the slot is made by hand.
    from.sql(&format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')"));
    to.sql(&format!(
        "CREATE SUBSCRIPTION {name} CONNECTION 'host=127.0.0.1 user=postgres port={} dbname={}' \
         PUBLICATION {name} WITH (create_slot = false)",
        cluster.port(),
        from.database,
    ));
    to.until("SELECT count(*) = 3000 FROM orders");
    let (there, batches) = (from.clone(), AtomicU32::new(0));
    let world = Points(move |point: &str| {
        if point == "batch" && batches.fetch_add(1, Ordering::SeqCst) == 1 {
            there.sql("UPDATE orders SET total = total + 1; INSERT INTO orders VALUES (4001, 1)");
        }
    });
    let plan = to.planned("01", &cents());
    assert_eq!(block(to.runner_in(Arc::new(world)).start(&plan)).unwrap().state, State::Dual);
    from.sql(
        "UPDATE orders SET total = total + 1 WHERE id > 2000; INSERT INTO orders VALUES (4002, 2); \
              DELETE FROM orders WHERE id <= 10",
    );
    let sums = "SELECT count(*), sum(total) FROM public.orders";
    let all = from.sql(sums);
    to.until(&format!("SELECT ({}) = '{all}'", sums.replace("count(*), ", "count(*) || '|' || ")));
    assert_eq!(to.sql(APART), "0");
    // A client of the new version writes beside it.
    to.sql("SET search_path = public_cents, public; UPDATE orders SET total = 700 WHERE id = 11");
    assert_eq!(to.sql("SELECT total FROM public.orders WHERE id = 11"), "7");
    to.sql(&format!("ALTER SUBSCRIPTION {name} DISABLE"));
    to.sql(&format!("ALTER SUBSCRIPTION {name} SET (slot_name = NONE); DROP SUBSCRIPTION {name}"));
    to.revert();
    assert_eq!(to.sql("SELECT total FROM orders WHERE id = 11"), "7");
}

#[test]
fn rows_of_clients_that_switch_triggers_off_are_filled_in_before_the_old_shape_goes() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let load = |from: i32| {
        format!(
            "SET session_replication_role = replica; INSERT INTO orders SELECT n, n, 'loaded' \
             FROM generate_series({from}, {from} + 99) n"
        )
    };
    // Empty values are allowed: no rule would find what was left out.
    let tag = serde_json::json!({"add_column": {"table": "orders", "up": "upper(note)",
        "column": {"name": "tag", "type": "text", "nullable": true}}});
    let document = serde_json::json!({"version_schema": "cents", "operations": [tag]});
    let (there, batches, during) = (lab.clone(), AtomicU32::new(0), load(10_000));
    let world = Points(move |point: &str| {
        if point == "batch" && batches.fetch_add(1, Ordering::SeqCst) == 1 {
            there.sql(&during);
        }
    });
    let plan = lab.planned("01", &document);
    assert_eq!(block(lab.runner_in(Arc::new(world)).start(&plan)).unwrap().state, State::Dual);
    let tags = "SELECT count(*) FROM public_cents.orders WHERE tag = upper(note)";
    assert_eq!(lab.sql(tags), "3100");
    lab.sql(&load(20_000));
    assert_eq!(lab.sql(tags), "3100");
    lab.contract();
    assert_eq!(lab.sql(tags), "3200");
    assert_eq!(lab.sql("SELECT count(*) FROM orders"), "3200");
}

#[test]
fn rows_of_a_partition_that_comes_while_both_are_in_use_are_filled_in() {
    let setup = "CREATE TABLE orders (id integer PRIMARY KEY, note text) PARTITION BY RANGE (id); \
        CREATE TABLE low PARTITION OF orders FOR VALUES FROM (0) TO (5000); \
        INSERT INTO orders SELECT n, 'n' FROM generate_series(1, 500) n;";
    let Some(lab) = Lab::new(setup) else { return };
    let tag = serde_json::json!({"operations": [{"add_column": {"table": "orders",
        "up": "upper(note)", "column": {"name": "tag", "type": "text", "nullable": true}}}]});
    lab.start("01", &tag);
    lab.sql(
        "CREATE TABLE late (LIKE orders INCLUDING DEFAULTS INCLUDING CONSTRAINTS); \
         INSERT INTO late (id, note) SELECT n, 'late' FROM generate_series(5000, 5099) n; \
         ALTER TABLE orders ATTACH PARTITION late FOR VALUES FROM (5000) TO (6000)",
    );
    lab.contract();
    assert_eq!(
        lab.sql("SELECT tag, count(*) FROM orders GROUP BY 1 ORDER BY 1"),
        "LATE|100\nN|500"
    );
}
