//! Writers of both versions all the way there, while the runner's connections are killed.

use crate::run_kit::*;
use serin_migrate::{Plan, Say, State};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use tokio_postgres::{Client, NoTls};

/// Rows at the beginning.
const ROWS: i64 = 3_000;

/// Connections of the runner that are killed.
const KILLS: u32 = 20;

/// What writers did: the sum that the old shape must show.
#[derive(Default)]
struct Model {
    sum: AtomicI64,
    rows: AtomicI64,
}

async fn client(lab: &Lab, path: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(&lab.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("SET search_path = {path}")).await.unwrap();
    client
}

/// One write, and what it adds to the sum and the rows when it is committed. `coin` is the worth
/// of one in this version.
fn write(random: &mut fastrand::Rng, coin: i64, fresh: i64) -> (String, i64, i64) {
    let id = random.i64(1..=ROWS);
    match random.u8(0..10) {
        0 => (format!("INSERT INTO orders (id, total) VALUES ({fresh}, {})", 5 * coin), 5, 1),
        1 => (
            format!(
                "INSERT INTO orders (id, total) VALUES ({id}, 0) ON CONFLICT (id) \
                 DO UPDATE SET total = orders.total + {coin}"
            ),
            1,
            0,
        ),
        2 => (format!("UPDATE orders SET note = 'seen {id}' WHERE id = {id}"), 0, 0),
        3 => (format!("UPDATE orders SET id = {fresh} WHERE id = {fresh} - 100"), 0, 0),
        4 => (
            format!(
                "BEGIN; SAVEPOINT a; UPDATE orders SET total = 0 WHERE id = {id}; ROLLBACK TO a; \
                 UPDATE orders SET total = total + {coin} WHERE id = {id}; COMMIT"
            ),
            1,
            0,
        ),
        _ => (format!("UPDATE orders SET total = total + {coin} WHERE id = {id}"), 1, 0),
    }
}

/// Writes until told to stop; at least some.
async fn writer(client: Client, seed: u64, coin: i64, model: Arc<Model>, stop: Arc<AtomicBool>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut fresh = 1_000_000 * seed as i64;
    let mut writes = 0;
    while writes < 50 || !stop.load(Ordering::Relaxed) {
        fresh += 1;
        let (sql, sum, rows) = write(&mut random, coin, fresh);
        client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        model.sum.fetch_add(sum, Ordering::Relaxed);
        model.rows.fetch_add(rows, Ordering::Relaxed);
        writes += 1;
    }
}

fn writers(
    lab: &Lab,
    path: &'static str,
    coin: i64,
    seeds: std::ops::Range<u64>,
    model: &Arc<Model>,
    stop: &Arc<AtomicBool>,
) -> Vec<impl Future<Output = ()> + use<>> {
    let one = |seed| {
        let lab = Lab { cluster: lab.cluster, database: lab.database.clone() };
        let (model, stop) = (model.clone(), stop.clone());
        async move {
            let client = client(&lab, path).await;
            writer(client, seed, coin, model, stop).await;
        }
    };
    seeds.map(one).collect()
}

/// Kills one of the runner's connections at every fifth batch and at every step.
fn killing(lab: &Lab) -> Arc<Points<impl Fn(&str) + Send + Sync + use<>>> {
    let (cluster, database) = (lab.cluster, lab.database.clone());
    let (points, kills) = (AtomicU32::new(0), AtomicU32::new(0));
    Arc::new(Points(move |point: &str| {
        let number = points.fetch_add(1, Ordering::Relaxed);
        let is_time = (point == "batch" && number % 5 == 4) || point.ends_with("begun");
        if is_time && kills.fetch_add(1, Ordering::Relaxed) < KILLS {
            let which = ["work", "look", "lease"][number as usize % 3];
            let sql = format!(
                "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE \
                 datname = current_database() AND application_name LIKE 'serin-migrate-{which}/%'"
            );
            cluster.sql(&database, &sql).unwrap();
        }
    }))
}

fn small_batches() -> Plan {
    let serin = serde_json::json!({"backfill": {"batch_ms": 2, "duty": 1},
        "contract": {"grace": "0s"}});
    plan_of(&Shape { serin, ..cents() })
}

fn check(lab: &Lab, model: &Model, what: &str) {
    let old = "SELECT count(*), sum(total) FROM orders";
    let rows = ROWS + model.rows.load(Ordering::Relaxed);
    let sum = ROWS * (ROWS + 1) / 2 + model.sum.load(Ordering::Relaxed);
    assert_eq!(lab.sql(old), format!("{rows}|{sum}"), "{what}: the old shape");
    assert_eq!(lab.new_client(old), format!("{rows}|{}", sum * 100), "{what}: the new shape");
    let stale = "SELECT count(*) FROM orders WHERE _serin_new_total <> total * 100";
    assert_eq!(lab.sql(stale), "0", "{what}");
}

#[test]
fn both_versions_write_and_connections_are_killed_and_no_write_is_lost() {
    let setup = format!(
        "CREATE TABLE orders (id integer PRIMARY KEY, total integer, note text); \
         INSERT INTO orders SELECT n, n, '' FROM generate_series(1, {ROWS}) n;"
    );
    let Some(lab) = Lab::new(&setup) else { return };
    let before = lab.shape();
    let (model, stop) = (Arc::new(Model::default()), Arc::new(AtomicBool::new(false)));
    let runner = lab.runner_in(killing(&lab));
    block(async {
        let old: Vec<_> =
            writers(&lab, "public", 1, 1..4, &model, &stop).into_iter().map(tokio::spawn).collect();
        let status = runner.start(&small_batches()).await.unwrap();
        assert_eq!(status.state, State::Dual);
        let new: Vec<_> = writers(&lab, "public_02", 100, 4..7, &model, &stop)
            .into_iter()
            .map(tokio::spawn)
            .collect();
        let drift = runner.drift(10_000).await.unwrap();
        assert_eq!(drift.apart, 0, "{drift:?}");
        stop.store(true, Ordering::Relaxed);
        for one in old.into_iter().chain(new) {
            one.await.unwrap();
        }
    });
    check(&lab, &model, "both");
    // Back, with the old version writing all the while.
    stop.store(false, Ordering::Relaxed);
    block(async {
        let old: Vec<_> =
            writers(&lab, "public", 1, 7..9, &model, &stop).into_iter().map(tokio::spawn).collect();
        assert_eq!(runner.revert(&Say::default()).await.unwrap().state, State::Reverted);
        stop.store(true, Ordering::Relaxed);
        for one in old {
            one.await.unwrap();
        }
    });
    let rows = ROWS + model.rows.load(Ordering::Relaxed);
    let sum = ROWS * (ROWS + 1) / 2 + model.sum.load(Ordering::Relaxed);
    assert_eq!(lab.sql("SELECT count(*), sum(total) FROM orders"), format!("{rows}|{sum}"));
    assert_eq!(lab.shape(), before);
}
