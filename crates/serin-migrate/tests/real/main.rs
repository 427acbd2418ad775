//! Migrations of real databases: one server a run, one database a test.

#![allow(clippy::unwrap_used, reason = "tests")]

mod plan_alter;
mod plan_extra;
mod plan_keys;
mod plan_kit;
mod plan_refused;
mod plan_rules;
mod plan_runner;
mod plan_shape;
mod plan_tables;
mod plan_versions;
mod run_both;
mod run_child;
mod run_crash;
mod run_kernel;
mod run_kit;
mod run_locks;
mod run_outside;
mod run_pooler;
mod run_rows;
mod run_stress;

/// Other versions than the machine's own are named by their folder; a run on the wrong one would
/// show nothing.
#[test]
fn the_server_is_the_one_that_was_asked_for() {
    let Some(cluster) = serin_postgres::shared() else { return };
    let asked = std::env::var_os("SERIN_PG_BIN");
    let own = cluster.installation();
    assert!(asked.is_none_or(|bin| std::env::split_paths(&bin).any(|bin| bin == own.bin)));
    let says = cluster.sql("postgres", "SHOW server_version_num").unwrap();
    assert_eq!(says[..says.len() - 4], own.major.to_string());
}
