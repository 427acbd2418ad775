//! A real server, started, killed and started again.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

use serin_postgres::{Cluster, Durability, Settings, newest, shared};

#[test]
fn what_was_committed_survives_the_server_killed() {
    if shared().is_none() {
        return;
    }
    let settings = Settings { durability: Durability::Full, ..Settings::default() };
    let cluster = Cluster::start(&newest().unwrap(), &settings).unwrap();
    let name = cluster.database().unwrap();
    cluster.sql(&name, "CREATE TABLE t (a int); INSERT INTO t VALUES (7)").unwrap();
    cluster.kill();
    assert!(cluster.sql(&name, "SELECT 1").is_err());
    cluster.resume().unwrap();
    assert_eq!(cluster.sql(&name, "SELECT a FROM t").unwrap(), "7");
    let data = cluster.data();
    drop(cluster);
    assert!(!data.exists());
}

#[test]
fn each_test_has_a_database_of_its_own() {
    let Some(cluster) = shared() else { return };
    let (one, other) = (cluster.database().unwrap(), cluster.database().unwrap());
    cluster.sql(&one, "CREATE TABLE t (a int)").unwrap();
    let error = cluster.sql(&other, "SELECT * FROM t").unwrap_err().to_string();
    assert!(error.contains("relation \"t\" does not exist"), "{error}");
}
