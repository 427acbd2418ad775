//! A runner that is a process of its own, and is killed.

use crate::run_kit::*;
use serin_migrate::{Alone, Database, Runner, Say, State};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// Names the database; only with it the test that is the child does anything.
const URL: &str = "SERIN_TEST_CHILD_URL";

fn slow() -> serin_migrate::Plan {
    let serin = serde_json::json!({"backfill": {"batch_ms": 4, "duty": 0.3}});
    plan_of(&Shape { serin, ..cents() })
}

#[test]
fn the_child() {
    let Ok(url) = std::env::var(URL) else { return };
    let database = Database::new(&url, ident("public")).unwrap();
    let runner = Runner::new(database, Arc::new(Alone), "child").patience(patience());
    drop(block(runner.start(&slow())));
}

fn child(lab: &Lab, halt: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["run_child::the_child", "--exact"]).env(URL, lab.url());
    child.env("SERIN_MIGRATE_HALT", halt).stdout(Stdio::null()).stderr(Stdio::null());
    child.spawn().unwrap()
}

const MANY: &str = "CREATE TABLE orders (id integer PRIMARY KEY, total integer, note text);
    INSERT INTO orders SELECT n, n, '' FROM generate_series(1, 20000) n;";

#[test]
fn killed_in_the_middle_it_goes_on_and_does_no_row_twice() {
    let Some(lab) = Lab::new(MANY) else { return };
    for batches in [1, 8, 20] {
        let mut runner = child(&lab, "");
        let done = "SELECT coalesce(sum(batches), 0) FROM serin.progress";
        let there = "SELECT to_regclass('serin.progress') IS NOT NULL";
        while lab.sql(there) != "t" || lab.sql(done).parse::<u32>().unwrap() < batches {
            assert!(runner.try_wait().unwrap().is_none(), "it ended before it was killed");
        }
        runner.kill().unwrap();
        runner.wait().unwrap();
    }
    let status = block(lab.runner().resume(&Say::default())).unwrap();
    assert_eq!(status.state, State::Dual);
    assert_eq!(lab.new_client("SELECT sum(total) FROM orders"), "20001000000");
    assert_eq!(lab.sql("SELECT rows_changed FROM serin.progress"), "20000");
}

#[test]
fn ended_between_a_step_and_the_next_it_goes_back() {
    let Some(lab) = Lab::new(ORDERS) else { return };
    let before = lab.shape();
    for point in ["forward/1/after", "forward/4/begun", "index"] {
        let status = child(&lab, point).wait().unwrap();
        assert!(!status.success(), "{point}");
        assert_ne!(lab.shape(), before, "{point}");
        let told = block(lab.runner().status()).unwrap().unwrap();
        assert!(told.waiting.is_some_and(|why| why.contains("no runner works")), "{point}");
        let status = block(lab.runner().revert(&Say::default())).unwrap();
        assert_eq!(status.state, State::Reverted, "{point}");
        assert_eq!(lab.shape(), before, "{point}");
    }
}
