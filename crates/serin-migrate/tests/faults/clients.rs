//! Clients of every kind: strict isolation, queues, bulk loads, cascades, statements prepared long
//! ago.

use crate::kit::*;
use serde_json::json;
use serin_migrate::State;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tokio_postgres::Client;

pub const ORDERS: &str = "CREATE TABLE orders (id integer PRIMARY KEY, total integer NOT NULL, note text); \
    INSERT INTO orders SELECT n, n, 'n' || n FROM generate_series(1, 3000) n;";

/// Whole coins become cents.
pub fn cents() -> serde_json::Value {
    json!({"version_schema": "cents", "operations": [{"alter_column": {"table": "orders",
        "column": "total", "type": "bigint", "up": "total::bigint * 100", "down": "total / 100"}}],
        "serin": {"backfill": {"duty": 0.5}, "contract": {"grace": "0s"}}})
}

/// Rows whose shapes differ.
pub const APART: &str = "SELECT count(*) FROM public.orders o FULL JOIN public_cents.orders n USING (id) \
    WHERE o.total::bigint * 100 IS DISTINCT FROM n.total";

/// Reads a row and writes what it read and one coin more, until told to stop; coins written.
async fn strict(lab: Lab, path: &str, coin: i64, seed: u64, stop: Arc<AtomicBool>) -> i64 {
    let client = client(&lab, path).await;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut written = 0;
    while written < 20 || !stop.load(Ordering::SeqCst) {
        match read_and_write(&client, random.i32(1..=20), coin).await {
            Ok(()) => written += 1,
            // Another came first: again, as every such client must.
            Err(error) => {
                let code = error.code().map_or("", |code| code.code());
                assert_eq!(code, "40001", "{error:?}");
                client.batch_execute("ROLLBACK").await.unwrap();
            }
        }
    }
    written
}

async fn read_and_write(client: &Client, id: i32, coin: i64) -> Result<(), tokio_postgres::Error> {
    client.batch_execute("BEGIN").await?;
    let row = client.query_one("SELECT total::bigint FROM orders WHERE id = $1", &[&id]).await?;
    let total: i64 = row.get::<_, i64>(0) + coin;
    client.batch_execute(&format!("UPDATE orders SET total = {total} WHERE id = {id}")).await?;
    client.batch_execute("COMMIT").await
}

#[test]
fn clients_that_are_serializable_lose_nothing() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    lab.sql(&format!(
        "ALTER DATABASE {} SET default_transaction_isolation = 'serializable'",
        lab.database
    ));
    let plan = lab.planned("01", &cents());
    let (old_stop, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let written = block(async {
        let old = [1, 2]
            .map(|seed| tokio::spawn(strict(lab.clone(), "public", 1, seed, old_stop.clone())));
        let runner = lab.runner();
        assert_eq!(runner.start(&plan).await.unwrap().state, State::Dual);
        let new = [3, 4].map(|seed| {
            tokio::spawn(strict(lab.clone(), "public_cents, public", 100, seed, stop.clone()))
        });
        let mut written = 0;
        old_stop.store(true, Ordering::SeqCst);
        for one in old {
            written += one.await.unwrap();
        }
        assert_eq!(lab.sql(APART), "0");
        assert_eq!(runner.contract(&sure()).await.unwrap().state, State::Done);
        stop.store(true, Ordering::SeqCst);
        for one in new {
            written += one.await.unwrap();
        }
        written
    });
    let sum = lab.sql("SELECT sum(total) FROM orders");
    assert_eq!(sum, ((3_000 * 3_001 / 2 + written) * 100).to_string());
}

/// Takes jobs from a queue until it has been empty some times; those it took.
async fn worker(lab: Lab, path: &str) -> Vec<i32> {
    let client = client(&lab, path).await;
    let (mut taken, mut empty) = (Vec::new(), 0);
    let take = "DELETE FROM orders WHERE id = (SELECT id FROM orders WHERE id > $1 \
        ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 1) RETURNING id";
    // A batch under way holds some: they are there later.
    while empty < 200 {
        match client.query_opt(take, &[&1_000]).await.unwrap() {
            Some(row) => taken.push(row.get(0)),
            None => empty += 1,
        }
    }
    taken
}

#[test]
fn each_job_of_a_queue_is_taken_once() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let plan = lab.planned("01", &cents());
    let mut taken = block(async {
        let old = [0; 2].map(|_| tokio::spawn(worker(lab.clone(), "public")));
        let runner = lab.runner();
        assert_eq!(runner.start(&plan).await.unwrap().state, State::Dual);
        let fill = "INSERT INTO orders (id, total) SELECT n, n FROM generate_series(5000, 6000) n";
        lab.sql(fill);
        let new = [0; 2].map(|_| tokio::spawn(worker(lab.clone(), "public_cents, public")));
        let mut taken = Vec::new();
        for one in old.into_iter().chain(new) {
            taken.extend(one.await.unwrap());
        }
        taken
    });
    taken.sort_unstable();
    let all: Vec<i32> = (1_001..=3_000).chain(5_000..=6_000).collect();
    assert_eq!(taken, all);
    assert_eq!(lab.sql(APART), "0");
    assert_eq!(lab.sql("SELECT count(*) FROM orders"), "1000");
}

const FAMILY: &str = "CREATE TABLE makers (id integer PRIMARY KEY); \
    CREATE TABLE orders (id integer PRIMARY KEY, total integer NOT NULL, note text, \
      maker integer REFERENCES makers ON UPDATE CASCADE ON DELETE CASCADE); \
    CREATE TABLE lines (id integer PRIMARY KEY, part integer REFERENCES orders ON UPDATE CASCADE \
      ON DELETE CASCADE); \
    INSERT INTO makers SELECT n FROM generate_series(1, 60) n; \
    INSERT INTO orders SELECT n, n, 'n' || n, n % 60 + 1 FROM generate_series(1, 3000) n; \
    INSERT INTO lines SELECT n, n FROM generate_series(1, 3000) n;";

/// Every form in which a row can be written, each on rows of its own. `coin` is the worth of one,
/// and `at` says which rows.
fn every_form(coin: i64, at: i32) -> String {
    let [base, fresh] = [at * 200, 100_000 + at * 1_000];
    format!(
        "INSERT INTO orders (id, total) VALUES ({fresh}, {coin}), ({fresh} + 1, {coin}); \
         INSERT INTO orders (id, total) SELECT {fresh} + 2, 3 * {coin} UNION ALL SELECT {fresh} + 3, 0; \
         UPDATE orders SET total = orders.total + s.n * {coin} FROM (VALUES ({base} + 1, 2), \
           ({base} + 2, 3)) AS s(id, n) WHERE orders.id = s.id; \
         WITH moved AS (DELETE FROM orders WHERE id = {base} + 3 RETURNING total) \
           INSERT INTO orders (id, total) SELECT {fresh} + 4, total FROM moved; \
         INSERT INTO orders (id, total) VALUES ({base} + 4, 7 * {coin}) ON CONFLICT (id) \
           DO UPDATE SET total = excluded.total; \
         UPDATE orders SET id = {fresh} + 5 WHERE id = {base} + 5; \
         UPDATE orders SET (total, note) = (SELECT 9 * {coin}, 'nine') WHERE id = {base} + 6; \
         BEGIN; UPDATE orders SET total = 0 WHERE id = {base} + 7; ROLLBACK; \
         BEGIN; UPDATE orders SET total = 8 * {coin} WHERE id = {base} + 8; \
           PREPARE TRANSACTION 'orders_{at}'; COMMIT PREPARED 'orders_{at}'; \
         UPDATE makers SET id = id + 1000 WHERE id = {at} + 1; DELETE FROM makers WHERE id = {at} + 30;"
    )
}

/// What the old shape must hold after [`every_form`].
fn after_every_form(at: i32) -> String {
    let [base, fresh] = [at * 200, 100_000 + at * 1_000];
    format!(
        "SELECT count(*) = 14 FROM orders o JOIN (VALUES ({fresh}, 1), ({fresh} + 1, 1), \
           ({fresh} + 2, 3), ({fresh} + 3, 0), ({base} + 1, {base} + 3), ({base} + 2, {base} + 5), \
           ({fresh} + 4, {base} + 3), ({base} + 4, 7), ({fresh} + 5, {base} + 5), ({base} + 6, 9), \
           ({base} + 7, {base} + 7), ({base} + 8, 8), ({base} + 9, {base} + 9), \
           ({base} + 13, {base} + 13)) AS m(id, total) ON m.id = o.id AND m.total = o.total; \
         SELECT count(*) = 0 FROM orders WHERE maker IN ({at} + 1, {at} + 30); \
         SELECT count(*) >= 49 FROM orders WHERE maker = {at} + 1001; \
         SELECT count(*) = 0 FROM lines WHERE part = {base} + 5"
    )
}

#[test]
fn writes_of_every_form_are_in_both_shapes() {
    let Some(lab) = Lab::new(FAMILY) else { return };
    let plan = lab.planned("01", &cents());
    let (there, batches) = (lab.clone(), AtomicU32::new(0));
    let copy =
        "COPY orders (id, total, note) FROM stdin;\n900001\t41\tcopied\n900002\t42\t\\N\n\\.\n";
    let world = Points(move |point: &str| {
        let time = if point == "batch" { batches.fetch_add(1, Ordering::SeqCst) } else { 9 };
        if time == 1 {
            there.sql(&every_form(1, 1));
            there.sql(copy);
        }
    });
    assert_eq!(block(lab.runner_in(Arc::new(world)).start(&plan)).unwrap().state, State::Dual);
    lab.sql(&every_form(1, 2));
    lab.sql(&format!("SET search_path = public_cents, public; {}", every_form(100, 3)));
    let merge = "MERGE INTO public.orders o USING (VALUES (800, 5), (900003, 43)) AS s(id, n) ON o.id = s.id \
        WHEN MATCHED THEN UPDATE SET total = s.n WHEN NOT MATCHED THEN INSERT (id, total) VALUES (s.id, s.n)";
    lab.sql(merge);
    assert_eq!(lab.sql(APART), "0");
    for at in [1, 2, 3] {
        assert_eq!(lab.sql(&after_every_form(at)), "t\nt\nt\nt", "{at}");
    }
    let loaded = "SELECT string_agg(total::text, ',' ORDER BY id) FROM orders WHERE id IN (800, 900001, 900002, 900003)";
    assert_eq!(lab.sql(loaded), "5,41,42,43");
    lab.contract();
    assert_eq!(lab.sql(&loaded.replace("total", "(total / 100)")), "5,41,42,43");
}

#[test]
fn statements_prepared_long_ago_go_on_through_the_views() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let add = json!({"operations": [{"add_column": {"table": "orders", "up": "upper(note)",
        "column": {"name": "tag", "type": "text", "nullable": true}}}]});
    let first = lab.planned("first", &add);
    let rest = "SELECT * FROM orders WHERE id = $1";
    block(async {
        let tables = client(&lab, "public").await;
        let bare = tables.prepare(rest).await.unwrap();
        lab.runner().start(&first).await.unwrap();
        // The tables themselves get columns: Postgres says so to whoever asked for all of them.
        let error = tables.query(&bare, &[&7]).await.unwrap_err();
        let said = error.as_db_error().map_or("", |error| error.message()).to_owned();
        assert_eq!(said, "cached plan must not change result type");
        lab.runner().contract(&sure()).await.unwrap();
    });
    let cents = lab.planned("cents", &cents());
    block(async {
        let old = client(&lab, "public_first").await;
        let [all, write] = [rest, "UPDATE orders SET total = total + 1 WHERE id = $1 RETURNING *"];
        let (all_old, write_old) =
            (old.prepare(all).await.unwrap(), old.prepare(write).await.unwrap());
        // Several times, so that the server keeps one plan for all values.
        for _ in 0..6 {
            old.query_one(&all_old, &[&7]).await.unwrap();
            old.query_one(&write_old, &[&7]).await.unwrap();
        }
        let there = lab.runner();
        there.start(&cents).await.unwrap();
        assert_eq!(old.query_one(&write_old, &[&7]).await.unwrap().get::<_, i32>("total"), 14);
        there.revert(&serin_migrate::Say::default()).await.unwrap();
        assert_eq!(old.query_one(&write_old, &[&7]).await.unwrap().get::<_, i32>("total"), 15);
        there.start(&cents).await.unwrap();
        let new = client(&lab, "public_cents").await;
        let (all_new, write_new) =
            (new.prepare(all).await.unwrap(), new.prepare(write).await.unwrap());
        for _ in 0..6 {
            new.query_one(&write_new, &[&7]).await.unwrap();
        }
        assert_eq!(old.query_one(&all_old, &[&7]).await.unwrap().get::<_, i32>("total"), 15);
        there.contract(&sure()).await.unwrap();
        assert_eq!(new.query_one(&write_new, &[&7]).await.unwrap().get::<_, i64>("total"), 1_507);
        let row = new.query_one(&all_new, &[&7]).await.unwrap();
        assert_eq!((row.len(), row.get::<_, i64>("total")), (4, 1_507));
    });
}
