//! Behind a real PgBouncer.

use crate::run_kit::*;
use serin_migrate::{Alone, Database, Runner, Say, State};
use serin_postgres::Pooler;
use std::sync::Arc;

/// A runner that goes through the pooler.
fn through(pooler: &Pooler, lab: &Lab) -> Runner {
    let database = Database::new(&pooler.url(&lab.database), ident("public")).unwrap();
    Runner::new(database, Arc::new(Alone), "tester").patience(patience())
}

/// What apps would feel if it stayed on a connection they share.
const SETTINGS: &str = "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) \
    FROM pg_settings WHERE name IN ('search_path', 'row_security', 'lock_timeout', \
    'statement_timeout', 'idle_in_transaction_session_timeout', 'synchronize_seqscans')";

#[test]
fn sessions_that_are_shared_are_refused_and_left_as_they_were() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let settings = lab.sql(SETTINGS);
    for (mode, size, turns) in [
        ("transaction", "1", "0"),
        ("transaction", "20", "0"),
        ("transaction", "20", "1"),
        ("statement", "20", "0"),
    ] {
        let own = [("pool_mode", mode), ("default_pool_size", size), ("server_round_robin", turns)];
        let Some(pooler) = Pooler::start(lab.cluster, &own).unwrap() else { return };
        let runner = through(&pooler, &lab);
        let refusals = block(async {
            [
                runner.start(&plan_of(&cents())).await.unwrap_err(),
                runner.status().await.unwrap_err(),
                runner.contract(&sure()).await.unwrap_err(),
                runner.revert(&Say::default()).await.unwrap_err(),
            ]
        });
        for error in refusals.map(|error| error.to_string()) {
            let parts = ["PgBouncer in transaction mode", "address of Postgres itself"];
            assert!(parts.iter().all(|part| error.contains(part)), "{own:?}: {error}");
        }
        let url = pooler.url(&lab.database);
        let left = (0..5).map(|_| lab.cluster.sql_at(&url, SETTINGS).unwrap());
        assert!(
            left.clone().all(|left| left == settings),
            "{own:?}: {:?}",
            left.collect::<Vec<_>>()
        );
    }
    assert_eq!(lab.sql("SELECT to_regnamespace('serin') IS NULL"), "t");
}

#[test]
fn sessions_that_are_kept_will_do() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let own = [("pool_mode", "session"), ("default_pool_size", "4")];
    let Some(pooler) = Pooler::start(lab.cluster, &own).unwrap() else { return };
    let before = lab.shape();
    block(async {
        let runner = through(&pooler, &lab);
        assert_eq!(runner.start(&plan_of(&cents())).await.unwrap().state, State::Dual);
        assert_eq!(runner.revert(&Say::default()).await.unwrap().state, State::Reverted);
        assert_eq!(lab.shape(), before);
        assert_eq!(runner.start(&plan_of(&cents())).await.unwrap().state, State::Dual);
        lab.new_client("UPDATE orders SET total = 700 WHERE id = 7");
        assert_eq!(lab.sql("SELECT total FROM orders WHERE id = 7"), "7");
        assert_eq!(runner.contract(&sure()).await.unwrap().state, State::Done);
        assert_eq!(runner.status().await.unwrap().unwrap().state, State::Done);
    });
    assert_eq!(lab.sql("SELECT sum(total), pg_typeof(max(total)) FROM orders"), "50050000|bigint");
}
