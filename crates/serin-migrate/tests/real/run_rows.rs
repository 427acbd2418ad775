//! Rows of all kinds of tables are filled in.

use crate::run_kit::*;
use serde_json::json;
use serin_migrate::{Error, Key, Plan, Say, State};
use std::sync::Arc;

fn without_index(mut plan: Plan) -> Plan {
    plan.forward.retain(|step| !step.title.contains("index"));
    plan
}

fn key(columns: &[(&str, &str)]) -> Key {
    let one = |(name, of): &(&str, &str)| (ident(name), (*of).to_owned());
    Key::Columns { columns: columns.iter().map(one).collect() }
}

const WRONG: &str = "SELECT count(*) FROM orders WHERE _serin_new_total IS DISTINCT FROM total * 100 \
     OR _serin_done IS NOT TRUE";

#[test]
fn every_kind_of_key() {
    let rows = "SELECT n, n, 'n' || n FROM generate_series(1, 3000) n";
    let cases = [
        ("id integer PRIMARY KEY, total integer, note text", key(&[("id", "integer")])),
        (
            "id integer, total integer, note text, PRIMARY KEY (note, id)",
            key(&[("note", "text"), ("id", "integer")]),
        ),
        ("id numeric NOT NULL UNIQUE, total integer, note text", key(&[("id", "numeric")])),
        ("id integer, total integer, note text", Key::Place),
    ];
    for (columns, key) in cases {
        let setup = format!(
            "CREATE TABLE orders ({columns}); INSERT INTO orders {rows}; \
             DELETE FROM orders WHERE id % 7 = 0;"
        );
        let Some(lab) = Lab::new(&setup) else { return };
        start(&lab, &plan_of(&Shape { key, ..cents() })).unwrap();
        assert_eq!(lab.sql(WRONG), "0", "{columns}");
        let done = lab.sql("SELECT rows_done, finished FROM serin.progress");
        assert_eq!(done, "2572|t", "{columns}");
    }
}

#[test]
fn partitions_and_children() {
    let partitioned = "CREATE TABLE orders (id integer PRIMARY KEY, total integer, note text) \
        PARTITION BY RANGE (id); \
        CREATE TABLE low PARTITION OF orders FOR VALUES FROM (0) TO (1000); \
        CREATE TABLE high PARTITION OF orders FOR VALUES FROM (1000) TO (9000) \
          PARTITION BY HASH (id); \
        CREATE TABLE \"High 0\" PARTITION OF high FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
        CREATE TABLE \"High 1\" PARTITION OF high FOR VALUES WITH (MODULUS 2, REMAINDER 1);";
    let children = "CREATE TABLE orders (id integer PRIMARY KEY, total integer, note text); \
        CREATE TABLE child (PRIMARY KEY (id)) INHERITS (orders); \
        INSERT INTO child SELECT n, n, '' FROM generate_series(5000, 6000) n;";
    for (setup, leaves) in [(partitioned, &["orders"][..]), (children, &["orders", "child"])] {
        let setup =
            format!("{setup} INSERT INTO orders SELECT n, n, '' FROM generate_series(1, 3000) n;");
        let Some(lab) = Lab::new(&setup) else { return };
        let mut plan = without_index(plan_of(&cents()));
        plan.syncs[0].leaves = leaves.iter().map(|leaf| ident(leaf)).collect();
        let sides = serin_migrate::trigger::Sides::of(&plan);
        let created = serin_migrate::trigger::create(&plan.syncs[0], sides);
        plan.forward[1].action = serin_migrate::Action::transaction(created, vec![ident("orders")]);
        start(&lab, &plan).unwrap();
        assert_eq!(lab.sql(WRONG), "0");
        lab.sql("UPDATE orders SET total = total + 1 WHERE id % 3 = 0");
        assert_eq!(lab.sql(WRONG), "0");
        let before = lab.sql("SELECT sum(total) FROM orders");
        assert_eq!(block(lab.runner().revert(&Say::default())).unwrap().state, State::Reverted);
        assert_eq!(lab.sql("SELECT sum(total) FROM orders"), before);
    }
}

#[test]
fn rows_that_move_and_partitions_that_come_while_it_runs() {
    let setup = "CREATE TABLE orders (id integer PRIMARY KEY, total integer, note text) \
        PARTITION BY RANGE (id); \
        CREATE TABLE low PARTITION OF orders FOR VALUES FROM (0) TO (5000); \
        INSERT INTO orders SELECT n, n, '' FROM generate_series(1001, 3000) n; \
        CREATE TABLE late (id integer PRIMARY KEY, total integer, note text); \
        INSERT INTO late SELECT n, n, '' FROM generate_series(5000, 5100) n;";
    let Some(lab) = Lab::new(setup) else { return };
    let (cluster, database) = (lab.cluster, lab.database.clone());
    let batches = std::sync::atomic::AtomicU32::new(0);
    let world = Points(move |point: &str| {
        let first = || batches.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 1;
        if point == "batch" && first() {
            let sql = "UPDATE orders SET id = id - 2900 WHERE id > 2990; \
                 ALTER TABLE late ADD COLUMN _serin_new_total bigint, ADD COLUMN _serin_done boolean; \
                 ALTER TABLE orders ATTACH PARTITION late FOR VALUES FROM (5000) TO (6000); \
                 DELETE FROM orders WHERE id = 2000; INSERT INTO orders VALUES (4000, 4);";
            cluster.sql(&database, sql).unwrap();
        }
    });
    let plan = without_index(plan_of(&cents()));
    block(lab.runner_in(Arc::new(world)).start(&plan)).unwrap();
    assert_eq!(lab.sql(WRONG), "0");
    assert_eq!(lab.sql("SELECT count(*) FROM orders"), "2101");
}

#[test]
fn rows_that_cannot_be_filled_in_are_told_with_their_keys() {
    let setup = "CREATE TABLE orders (id integer PRIMARY KEY, total text, note text); \
        INSERT INTO orders SELECT n, CASE WHEN n IN (77, 1400) THEN 'about ' || n ELSE n::text END, \
        '' FROM generate_series(1, 2000) n;";
    let shape = || Shape {
        up: "total::bigint",
        down: "total::text",
        old_type: "text",
        new_type: "bigint",
        ..cents()
    };
    let Some(lab) = Lab::new(setup) else { return };
    let before = lab.shape();
    let error = start(&lab, &plan_of(&shape())).unwrap_err();
    let Error::Rows { said, rows, .. } = &error else { panic!("{error}") };
    assert!(said.contains("invalid input syntax"), "{said}");
    assert_eq!(rows, &["id=77 (total: about 77)", "id=1400 (total: about 1400)"]);
    lab.sql("UPDATE orders SET total = id WHERE id IN (77, 1400)");
    assert_eq!(block(lab.runner().resume(&Say::default())).unwrap().state, State::Dual);
    assert_eq!(lab.new_client("SELECT sum(total) FROM orders"), "2001000");
    assert_eq!(block(lab.runner().revert(&Say::default())).unwrap().state, State::Reverted);
    assert_eq!(lab.shape(), before);
}

#[test]
fn a_pause_holds_it_and_a_resume_lets_it_go_on() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let slow = Shape { serin: json!({"backfill": {"duty": 0.01}}), ..cents() };
    let (cluster, database) = (lab.cluster, lab.database.clone());
    let runner = lab.runner();
    let (paused, is_paused) = std::sync::mpsc::channel();
    let paused = std::sync::Mutex::new(paused);
    let world = Points(move |point: &str| {
        if point == "forward/2/begun" {
            let sql = "UPDATE serin.migration SET paused = true";
            cluster.sql(&database, sql).unwrap();
            paused.lock().unwrap().send(()).unwrap();
        }
    });
    let at_work = lab.runner_in(Arc::new(world));
    let thread = std::thread::spawn(move || block(at_work.start(&plan_of(&slow))));
    is_paused.recv().unwrap();
    let status = block(async {
        loop {
            let status = runner.status().await.unwrap().unwrap();
            if status.waiting.is_some() {
                return status;
            }
        }
    });
    assert!(status.paused && status.waiting.as_deref().unwrap_or("").contains("paused"));
    assert_eq!(status.progress.as_ref().unwrap().rows_done, 0);
    assert!(status.holder.is_some_and(|holder| holder.contains("process")));
    block(runner.set_rate(Some(1.0))).unwrap();
    lab.sql("UPDATE serin.migration SET paused = false");
    let status = thread.join().unwrap().unwrap();
    assert_eq!((status.state, status.duty, status.waiting), (State::Dual, Some(1.0), None));
}

#[test]
fn progress_is_right_to_one_percent() {
    let setup = "CREATE TABLE orders (id integer PRIMARY KEY, total integer, note text); \
        INSERT INTO orders SELECT n * 3, n, '' FROM generate_series(1, 40000) n;";
    let Some(lab) = Lab::new(setup) else { return };
    let (cluster, database) = (lab.cluster, lab.database.clone());
    let runner = lab.runner();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = seen.clone();
    let world = Points(move |point: &str| {
        if point == "batch" {
            let truth = "SELECT count(*) FILTER (WHERE _serin_done) * 100.0 / count(*) FROM orders";
            let truth: f64 = cluster.sql(&database, truth).unwrap().parse().unwrap();
            let told = "SELECT rows_done * 100.0 / rows_total FROM serin.progress";
            let told: f64 = cluster.sql(&database, told).unwrap().parse().unwrap();
            noted.lock().unwrap().push((truth, told));
        }
    });
    block(lab.runner_in(Arc::new(world)).start(&plan_of(&cents()))).unwrap();
    let seen = seen.lock().unwrap().clone();
    assert!(seen.len() > 3, "{seen:?}");
    assert!(seen.iter().all(|(truth, told)| (truth - told).abs() < 1.0), "{seen:?}");
    assert_eq!(block(runner.status()).unwrap().unwrap().progress, None);
}
