//! Killed at every point, in every way: it goes on or goes back, and nothing is lost.

use crate::run_kit::*;
use serin_migrate::{Alone, Database, Error, Patience, Plan, Runner, Say, State, Status};
use serin_postgres::{Cluster, Durability, Settings, newest};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock};

/// Runs, and ends as a killed process does at the first time that it comes to a point.
fn halted(lab: &Lab, at: &str, run: impl AsyncFn(Runner) + Send + 'static) {
    let at = at.to_owned();
    let world = Points(move |point: &str| assert_ne!(point, at, "halted"));
    let runner = lab.runner_in(Arc::new(world));
    // A task of its own and a runtime of its own: with them go the connections.
    let ended = std::thread::spawn(move || block(run(runner))).join();
    assert!(ended.is_err(), "it never came there");
}

fn forward(plan: Plan) -> impl AsyncFn(Runner) + Send + 'static {
    async move |runner: Runner| drop(runner.start(&plan).await)
}

async fn contract(runner: Runner) {
    drop(runner.contract(&sure()).await);
}

async fn revert(runner: Runner) {
    drop(runner.revert(&Say::default()).await);
}

/// A few batches.
const FEW: &str = "CREATE TABLE orders (id integer PRIMARY KEY, total integer, note text);
    INSERT INTO orders SELECT n, n, 'n' || n FROM generate_series(1, 1600) n;";

fn resume(lab: &Lab) -> Status {
    block(lab.runner().resume(&sure())).unwrap()
}

#[test]
fn halted_at_every_point_on_the_way_there_it_goes_on_or_back() {
    let Some(lab) = Lab::new(FEW) else { return };
    let (plan, before) = (plan_of(&cents()), lab.shape());
    let points = points_of(&lab, forward(plan.clone()));
    assert!(points.len() > 15, "{points:?}");
    for (number, point) in points.iter().enumerate() {
        let Some(lab) = Lab::new(FEW) else { return };
        halted(&lab, point, forward(plan.clone()));
        if number % 2 == 0 {
            assert_eq!(resume(&lab).state, State::Dual, "{point}");
            assert_eq!(lab.new_client("SELECT sum(total) FROM orders"), "128080000", "{point}");
        } else {
            let status = block(lab.runner().revert(&Say::default())).unwrap();
            assert_eq!(status.state, State::Reverted, "{point}");
            assert_eq!(lab.shape(), before, "{point}");
        }
    }
}

#[test]
fn halted_at_every_point_of_the_contract_it_ends_the_same() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let plan = plan_of(&cents());
    start(&lab, &plan).unwrap();
    let points = points_of(&lab, contract);
    let after = lab.shape();
    for point in points {
        let Some(lab) = Lab::new(ORDERS) else { return };
        start(&lab, &plan).unwrap();
        halted(&lab, &point, contract);
        if block(lab.runner().status()).unwrap().unwrap().state == State::Done {
            block(lab.runner().clean()).unwrap();
        } else {
            block(lab.runner().contract(&sure())).unwrap();
        }
        assert_eq!(lab.shape(), after, "{point}");
        assert_eq!(lab.new_client("SELECT sum(total) FROM orders"), "50050000", "{point}");
    }
}

#[test]
fn halted_at_every_point_of_the_way_back_it_ends_the_same() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let (plan, before) = (plan_of(&cents()), lab.shape());
    start(&lab, &plan).unwrap();
    for point in points_of(&lab, revert) {
        let Some(lab) = Lab::new(ORDERS) else { return };
        start(&lab, &plan).unwrap();
        lab.new_client("UPDATE orders SET total = 950 WHERE id = 9");
        halted(&lab, &point, revert);
        if block(lab.runner().status()).unwrap().unwrap().state != State::Reverted {
            let status = block(lab.runner().revert(&Say::default())).unwrap();
            assert_eq!(status.state, State::Reverted, "{point}");
        }
        assert_eq!(lab.shape(), before, "{point}");
        assert_eq!(lab.sql("SELECT n0 FROM serin.salvage_1_0"), "950", "{point}");
    }
}

/// Does something once, at the second batch.
fn at_second_batch(
    what: impl Fn() + Send + Sync + 'static,
) -> Arc<Points<impl Fn(&str) + Send + Sync>> {
    let batches = AtomicU32::new(0);
    Arc::new(Points(move |point: &str| {
        if point == "batch" && batches.fetch_add(1, Ordering::Relaxed) == 1 {
            what();
        }
    }))
}

#[test]
fn a_killed_connection_costs_no_row_and_no_batch_twice() {
    let Some(lab) = Lab::new(FEW) else { return };
    let (cluster, database) = (lab.cluster, lab.database.clone());
    let kill = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name LIKE 'serin-migrate-%'";
    let world = at_second_batch(move || {
        assert_eq!(cluster.sql(&database, kill).unwrap(), "3");
    });
    let status = block(lab.runner_in(world).start(&plan_of(&cents()))).unwrap();
    assert_eq!(status.state, State::Dual);
    assert_eq!(lab.new_client("SELECT sum(total) FROM orders"), "128080000");
    assert_eq!(lab.sql("SELECT rows_changed FROM serin.progress"), "1600");
}

/// A server that keeps what was committed, for tests that kill it.
fn durable() -> Option<&'static Cluster> {
    static DURABLE: OnceLock<Option<Cluster>> = OnceLock::new();
    let start = || {
        serin_postgres::shared()?;
        let settings = Settings { durability: Durability::Full, ..Settings::default() };
        Some(Cluster::start(&newest().unwrap(), &settings).unwrap())
    };
    DURABLE.get_or_init(start).as_ref()
}

#[test]
fn a_killed_server_costs_no_row() {
    let Some(cluster) = durable() else { return };
    let lab = Lab::on(cluster, FEW);
    let world = at_second_batch(move || {
        cluster.kill();
        cluster.resume().unwrap();
    });
    let status = block(lab.runner_in(world).start(&plan_of(&cents()))).unwrap();
    assert_eq!(status.state, State::Dual);
    assert_eq!(lab.new_client("SELECT sum(total) FROM orders"), "128080000");
    assert_eq!(lab.sql("SELECT rows_changed FROM serin.progress"), "1600");
}

#[test]
fn of_many_runners_one_works() {
    let Some(lab) = Lab::new(FEW) else { return };
    let plan = plan_of(&cents());
    // Not the first migration: the last sign of life of a runner is old.
    start(&lab, &plan).unwrap();
    block(lab.runner().revert(&Say::default())).unwrap();
    lab.sql("UPDATE serin.pulse SET seen_at = now() - interval '1 day'");
    let all = (0..12).map(|_| {
        let (runner, plan) = (lab.runner(), plan.clone());
        std::thread::spawn(move || block(runner.start(&plan)))
    });
    let all: Vec<_> = all.collect::<Vec<_>>().into_iter().map(|one| one.join().unwrap()).collect();
    for one in &all {
        let fine = matches!(one, Ok(status) if status.state == State::Dual);
        assert!(fine || matches!(one, Err(Error::Held { .. })), "{one:?}");
    }
    assert!(all.iter().any(Result::is_ok));
    assert_eq!(lab.sql("SELECT count(*) FROM serin.migration"), "2");
    assert_eq!(lab.new_client("SELECT sum(total) FROM orders"), "128080000");
}

/// A runner that stands still at its second batch, with all its threads, until it is let go.
fn stopped(lab: &Lab, release: Receiver<()>) -> std::thread::JoinHandle<Result<Status, Error>> {
    let (stands, has_come) = channel();
    let (stands, release) = (Mutex::new(stands), Mutex::new(release));
    let world = at_second_batch(move || {
        stands.lock().unwrap().send(()).unwrap();
        release.lock().unwrap().recv().unwrap();
    });
    let runner = lab.runner_in(world);
    let plan = plan_of(&cents());
    let thread = std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(runner.start(&plan))
    });
    has_come.recv().unwrap();
    thread
}

#[test]
fn a_runner_that_was_stopped_and_replaced_does_nothing_more() {
    let Some(lab) = Lab::new(FEW) else { return };
    let (let_go, release) = channel();
    let first = stopped(&lab, release);
    assert!(matches!(block(lab.runner().resume(&sure())), Err(Error::Held { .. })));
    let database = Database::new(&lab.url(), ident("public")).unwrap();
    let hasty = Patience { lease_ms: 300, ..patience() };
    let second = Runner::new(database, Arc::new(Alone), "second").patience(hasty);
    let status = loop {
        match block(second.resume(&sure())) {
            Err(Error::Held { .. }) => {}
            other => break other.unwrap(),
        }
    };
    assert_eq!(status.state, State::Dual);
    let deeds = "SELECT count(*) FROM serin.step WHERE state = 'done'";
    let done = lab.sql(deeds);
    let_go.send(()).unwrap();
    let error = first.join().unwrap().unwrap_err();
    assert!(matches!(error, Error::Fenced { .. }), "{error}");
    assert_eq!(lab.sql(deeds), done);
    assert_eq!(lab.new_client("SELECT sum(total) FROM orders"), "128080000");
    assert_eq!(lab.sql("SELECT error IS NULL FROM serin.migration"), "t");
}

#[test]
fn changes_by_somebody_else_are_found_and_can_be_accepted() {
    let Some(lab) = Lab::new(FEW) else { return };
    halted(&lab, "forward/3/before", forward(plan_of(&cents())));
    lab.sql("ALTER TABLE orders ADD COLUMN surprise text");
    let error = block(lab.runner().resume(&Say::default())).unwrap_err();
    assert!(matches!(&error, Error::Foreign(what) if what.contains("orders.surprise")), "{error}");
    let say = Say { accept_foreign: true, ..Say::default() };
    assert_eq!(block(lab.runner().resume(&say)).unwrap().state, State::Dual);
    assert!(block(lab.runner().deeds(1)).unwrap().iter().any(|deed| deed.what == "accept"));
    lab.sql("DROP TRIGGER zzz_serin_orders ON orders");
    let error = block(lab.runner().contract(&sure())).unwrap_err();
    assert!(error.to_string().contains("in step is gone or off in orders"), "{error}");
    assert_eq!(block(lab.runner().revert(&Say::default())).unwrap().state, State::Reverted);
}
