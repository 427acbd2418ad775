//! What the runner sees of the world: replicas, the service, people.

use crate::run_kit::*;
use serde_json::json;
use serin_migrate::{Error, Health, Migration, Plan, Runner, Say, State, World};
use serin_postgres::{Cluster, Settings};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// A service that has trouble until it was looked at so often.
struct Troubled {
    looks: AtomicU32,
    until: u32,
}

impl World for Troubled {
    fn health(&self) -> Option<Health> {
        let is_bad = self.looks.fetch_add(1, Ordering::Relaxed) < self.until;
        let p99_ms = if is_bad { 500.0 } else { 100.0 };
        let usual = Health { p99_ms, usual_p99_ms: 100.0, error_rate: 0.0, usual_error_rate: 0.0 };
        Some(usual)
    }
}

#[test]
fn the_backfill_holds_while_the_service_has_trouble() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let world = Arc::new(Troubled { looks: AtomicU32::new(0), until: 4 });
    let (runner, at_work) = (lab.runner(), lab.runner_in(world.clone()));
    block(async {
        let work = tokio::spawn(async move { at_work.start(&plan_of(&cents())).await });
        let mut reasons = Vec::new();
        while !work.is_finished() {
            let status = runner.status().await.unwrap();
            reasons.extend(status.and_then(|status| status.waiting));
        }
        assert_eq!(work.await.unwrap().unwrap().state, State::Dual);
        assert!(reasons.iter().any(|why| why.contains("the service answers")), "{reasons:?}");
    });
    assert!(world.looks.load(Ordering::Relaxed) > 4);
}

/// Read from a document and planned, as a person would.
fn planned(lab: &Lab, name: &str, document: &serde_json::Value) -> Plan {
    let migration: Migration = serin_migrate::migration(name, document).unwrap();
    block(lab.runner().plan(&migration)).unwrap()
}

#[test]
fn two_migrations_one_after_the_other_as_they_are_planned() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let add = json!({"operations": [{"add_column": {"table": "orders", "up": "upper(note)",
        "column": {"name": "label", "type": "text", "nullable": false}}}],
        "serin": {"backfill": {"duty": 1}}});
    let plan = planned(&lab, "02", &add);
    assert_eq!(start(&lab, &plan).unwrap().state, State::Dual);
    lab.sql("INSERT INTO orders (id, note) VALUES (9000, 'low')");
    let label = "SELECT label FROM orders WHERE id = 9000";
    assert_eq!(lab.new_client(label), "LOW");
    // The plan of what is open is what was kept.
    assert_eq!(planned(&lab, "02", &add), plan);
    let rename = json!({"operations": [{"rename_column": {"table": "orders", "from": "label",
        "to": "tag"}}]});
    let migration = serin_migrate::migration("03", &rename).unwrap();
    assert!(matches!(block(lab.runner().plan(&migration)), Err(Error::Open { .. })));
    assert_eq!(block(lab.runner().contract(&sure())).unwrap().state, State::Done);
    let plan = planned(&lab, "03", &rename);
    assert_eq!(plan.old_view, Some(ident("public_02")));
    assert_eq!(start(&lab, &plan).unwrap().state, State::Dual);
    assert_eq!(lab.new_client(label), "LOW");
    assert_eq!(lab.sql("SELECT tag FROM public_03.orders WHERE id = 9000"), "LOW");
    assert_eq!(block(lab.runner().contract(&sure())).unwrap().state, State::Done);
    let past = block(lab.runner().history()).unwrap();
    assert_eq!(past.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["03", "02"]);
}

/// Says that requests fail once the old views are closed.
struct Heard {
    is_bad: AtomicBool,
}

impl World for Heard {
    fn objections(&self) -> Vec<String> {
        Vec::new()
    }
    fn health(&self) -> Option<Health> {
        let error_rate = if self.is_bad.load(Ordering::Relaxed) { 0.2 } else { 0.0 };
        let health = Health { p99_ms: 1.0, usual_p99_ms: 1.0, error_rate, usual_error_rate: 0.0 };
        Some(health)
    }
}

#[test]
fn the_old_views_are_closed_before_they_go_and_opened_when_somebody_is_heard() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let role = serin_postgres::unique_name("app");
    lab.sql(&format!(
        "CREATE ROLE {role}; CREATE SCHEMA public_01; GRANT USAGE ON SCHEMA public_01 TO {role}; \
         CREATE VIEW public_01.orders AS SELECT * FROM public.orders; \
         GRANT SELECT ON public_01.orders TO {role};"
    ));
    let brown = json!({"backfill": {"duty": 1}, "contract": {"brown_out": "300ms", "grace": "0s"}});
    let mut plan = plan_of(&Shape { serin: brown, ..cents() });
    plan.old_view = Some(ident("public_01"));
    let swap = plan.contract.len() - 2;
    let serin_migrate::Action::Transaction { sql, .. } = &mut plan.contract[swap].action else {
        panic!("the swap is one transaction")
    };
    sql.insert(0, "DROP SCHEMA public_01 CASCADE".into());
    start(&lab, &plan).unwrap();
    let may = format!("SELECT has_schema_privilege('{role}', 'public_01', 'USAGE')");
    let world = Arc::new(Heard { is_bad: AtomicBool::new(true) });
    let error = block(lab.runner_in(world.clone()).contract(&sure())).unwrap_err();
    assert!(error.to_string().contains("open again"), "{error}");
    assert_eq!(lab.sql(&may), "t");
    world.is_bad.store(false, Ordering::Relaxed);
    let runner = lab.runner();
    let closed = block(async {
        let at_work = lab.runner_in(world);
        let work = tokio::spawn(async move { at_work.contract(&sure()).await });
        let mut closed = Vec::new();
        while !work.is_finished() {
            let status = runner.status().await.unwrap().unwrap();
            if status.waiting.is_some_and(|why| why.contains("old views are closed")) {
                closed.push(lab.cluster.sql(&lab.database, &may).unwrap_or_default());
            }
        }
        assert_eq!(work.await.unwrap().unwrap().state, State::Done);
        closed
    });
    assert_eq!(closed.first().map(String::as_str), Some("f"), "{closed:?}");
    assert_eq!(lab.sql("SELECT to_regnamespace('public_01') IS NULL"), "t");
}

#[test]
fn new_clients_that_live_hold_up_the_way_back() {
    struct New;
    impl World for New {
        fn new_instances(&self) -> Vec<String> {
            vec!["shop-v2-a".into()]
        }
    }
    let Some(lab) = Lab::new(ORDERS) else { return };
    start(&lab, &plan_of(&cents())).unwrap();
    let error = block(lab.runner_in(Arc::new(New)).revert(&Say::default())).unwrap_err();
    assert!(error.to_string().contains("shop-v2-a"), "{error}");
    let say = Say { override_reason: Some("they are stuck".into()), ..Say::default() };
    let status = block(lab.runner_in(Arc::new(New)).revert(&say)).unwrap();
    assert_eq!(status.state, State::Reverted);
}

/// The server of this test alone and its replica, which tells its state often.
fn replicated() -> Option<(&'static Cluster, Cluster)> {
    static PRIMARY: OnceLock<Option<Cluster>> = OnceLock::new();
    let start = || {
        serin_postgres::shared()?;
        Some(Cluster::start(&serin_postgres::newest().unwrap(), &Settings::default()).unwrap())
    };
    let primary = PRIMARY.get_or_init(start).as_ref()?;
    let often = ("wal_receiver_status_interval".to_owned(), "1".to_owned());
    let settings = Settings { parameters: vec![often], ..Settings::default() };
    Some((primary, primary.standby(&settings).unwrap()))
}

#[test]
fn a_replica_is_refused_and_waited_for() {
    let Some((primary, replica)) = replicated() else { return };
    let setup = "CREATE TABLE orders (id integer PRIMARY KEY, total integer, note text); \
        INSERT INTO orders SELECT n, n, repeat('n', 200) FROM generate_series(1, 40000) n;";
    let lab = Lab::on(primary, setup);
    let lag = json!({"backfill": {"duty": 1, "max_lag": "100ms"}});
    let plan = plan_of(&Shape { serin: lag, ..cents() });
    let here = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
    block(async {
        let runner = lab.runner();
        while lab.sql(here) != "1" || replica.sql(&lab.database, "SELECT 1").is_err() {
            tokio::task::yield_now().await;
        }
        let database = serin_migrate::Database::new(&replica.url(&lab.database), ident("public"));
        let reader = Runner::new(database.unwrap(), Arc::new(serin_migrate::Alone), "tester");
        let error = reader.start(&plan).await.unwrap_err();
        assert!(error.to_string().contains("only reads"), "{error}");
        replica.sql("postgres", "SELECT pg_wal_replay_pause()").unwrap();
        let at_work = lab.runner();
        let work = tokio::spawn(async move { at_work.start(&plan).await });
        let why = loop {
            let status = runner.status().await.unwrap();
            if let Some(why) = status.and_then(|status| status.waiting) {
                break why;
            }
            assert!(!work.is_finished(), "it did not wait");
        };
        assert!(why.contains("a replica lags"), "{why}");
        replica.sql("postgres", "SELECT pg_wal_replay_resume()").unwrap();
        assert_eq!(work.await.unwrap().unwrap().state, State::Dual);
    });
}
