//! Others hold locks.

use crate::run_kit::*;
use serin_migrate::{Database, Error, Patience, Runner, Say, State, Status};
use std::sync::Arc;
use tokio_postgres::{Client, NoTls};

/// A connection that others would have.
async fn client(lab: &Lab) -> Client {
    let (client, connection) = tokio_postgres::connect(&lab.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The status once it says that it waits for this. A transaction is told only when it is old: on a
/// quick machine another reason comes first.
async fn waiting(runner: &Runner, part: &str) -> Status {
    loop {
        let status = runner.status().await.unwrap();
        let says = |why: &String| why.contains(part);
        if let Some(status) = status.filter(|status| status.waiting.as_ref().is_some_and(says)) {
            return status;
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn an_old_transaction_is_waited_for_and_named_and_nobody_queues_behind() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    block(async {
        let holder = client(&lab).await;
        holder.batch_execute("BEGIN; SELECT * FROM orders").await.unwrap();
        let (runner, at_work) = (lab.runner(), lab.runner());
        let work = tokio::spawn(async move { at_work.start(&plan_of(&cents())).await });
        let status = waiting(&runner, "has had its transaction open").await;
        assert_eq!(status.state, State::Expanding);
        // Others read on meanwhile.
        let reader = client(&lab).await;
        reader.batch_execute("SET lock_timeout = '5s'; SELECT count(*) FROM orders").await.unwrap();
        holder.batch_execute("COMMIT").await.unwrap();
        let status = work.await.unwrap().unwrap();
        assert_eq!((status.state, status.waiting), (State::Dual, None));
    });
}

#[test]
fn when_the_budget_is_used_up_it_says_who_is_in_the_way() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let database = Database::new(&lab.url(), ident("public")).unwrap();
    let hasty = Patience { budget_ms: 300, ..patience() };
    let runner = Runner::new(database, Arc::new(serin_migrate::Alone), "tester").patience(hasty);
    block(async {
        let holder = client(&lab).await;
        let prepare = "BEGIN; UPDATE orders SET note = 'held' WHERE id = 1; \
             PREPARE TRANSACTION 'left_over'";
        holder.batch_execute(prepare).await.unwrap();
        let error = runner.start(&plan_of(&cents())).await.unwrap_err();
        assert!(matches!(error, Error::Locked { .. }), "{error}");
        assert!(error.to_string().contains("prepared transaction `left_over`"), "{error}");
        holder.batch_execute("COMMIT PREPARED 'left_over'").await.unwrap();
        assert_eq!(runner.resume(&Say::default()).await.unwrap().state, State::Dual);
    });
}

#[test]
fn a_row_that_somebody_holds_is_passed_over_and_filled_in_later() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let (cluster, database) = (lab.cluster, lab.database.clone());
    block(async {
        let holder = Arc::new(client(&lab).await);
        let (ready, begin) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = std::sync::mpsc::channel::<()>();
        let (begin, begun) = (std::sync::Mutex::new(begin), std::sync::Mutex::new(begun));
        let world = Points(move |point: &str| {
            if point == "forward/2/begun" {
                begun.lock().unwrap().send(()).unwrap();
                begin.lock().unwrap().recv().unwrap();
            }
        });
        let at_work = lab.runner_in(Arc::new(world));
        let work = tokio::spawn(async move { at_work.start(&plan_of(&cents())).await });
        tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
        holder
            .batch_execute("BEGIN; SELECT * FROM orders WHERE id = 400 FOR UPDATE")
            .await
            .unwrap();
        ready.send(()).unwrap();
        let runner = lab.runner();
        let why = loop {
            let why = waiting(&runner, "").await.waiting.unwrap();
            if why.contains("last rows") {
                break why;
            }
        };
        let left = "SELECT string_agg(id::text, ',') FROM orders WHERE _serin_done IS NOT TRUE";
        let left = cluster.sql(&database, left).unwrap();
        assert_eq!((left.as_str(), why.contains("transaction holds")), ("400", true));
        holder.batch_execute("COMMIT").await.unwrap();
        assert_eq!(work.await.unwrap().unwrap().state, State::Dual);
    });
}

#[test]
fn the_contract_is_refused_while_old_clients_write_or_live() {
    struct Old;
    impl serin_migrate::World for Old {
        fn old_instances(&self) -> Vec<String> {
            vec!["shop-v1-a".into()]
        }
        fn old_applications(&self) -> Vec<String> {
            vec!["shop/v1/".into()]
        }
        fn promotion(&self) -> serin_migrate::Promotion {
            serin_migrate::Promotion::Since(1_000)
        }
        fn objections(&self) -> Vec<String> {
            vec!["a freeze lasts until Monday".into()]
        }
    }
    let Some(lab) = Lab::new(ORDERS) else { return };
    let quiet = Patience { quiet_ms: 3_600_000, ..patience() };
    let runner = lab.runner_in(Arc::new(Old)).patience(quiet);
    block(async {
        runner.start(&plan_of(&cents())).await.unwrap();
        let old = client(&lab).await;
        let write = "SET application_name = 'shop/v1/a'; UPDATE orders SET total = 3 WHERE id = 1";
        old.batch_execute(write).await.unwrap();
        let error = runner.contract(&sure()).await.unwrap_err();
        let Error::Refused { reasons, .. } = &error else { panic!("{error}") };
        let text = reasons.join("\n");
        for part in [
            "1 instances of the old version live (shop-v1-a)",
            "clients of the old version are connected (shop/v1/a)",
            "the way back stays open",
            "that old clients write was noticed",
            "a freeze lasts until Monday",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let refused = runner.against_contract(&sure()).await.unwrap();
        assert_eq!(refused.len(), 5, "{refused:?}");
        assert_eq!(runner.status().await.unwrap().unwrap().state, State::Dual);
    });
}
