//! A migration that runs in the foreground: interrupted, timed out, held, and made faster.

use crate::support::{kill, serin};
use crate::{Lab, contains, document};
use rustix::process::Signal;
use std::process::Stdio;

const MANY: &str = "CREATE TABLE users (id bigint PRIMARY KEY, total integer);
    INSERT INTO users SELECT n, n FROM generate_series(1, 100000) n; ANALYZE users;";

const SLOW: &str = "\
operations:
  - alter_column: {table: users, column: total, type: bigint, up: total, down: total}
serin:
  backfill: {duty: 0.01, batch_ms: 1}
";

fn until(lab: &Lab, question: &str) {
    while lab.sql(question) != "t" {}
}

#[test]
fn what_runs_can_be_left_held_and_gone_on_with() {
    let Some(lab) = Lab::new(MANY) else { return };
    lab.write("01_total.yaml", SLOW);
    let said = lab.on(&["start", "--no-trace", "--timeout", "2s"], &lab.path());
    assert_eq!(said.code, Some(5), "{said:?}");
    contains(&said.err, &["not done after 2 s", "nothing is half done", "serin migrate resume"]);
    let said = lab.migrate(&["status"]);
    contains(
        &said.out,
        &["01_total  backfilling", "rows: ", "of users, ", "`serin migrate resume`"],
    );
    // Somebody works on it, and others steer.
    let mut command = serin(&["migrate", "resume"]);
    command.env("SERIN_DATABASE_URL", lab.cluster.url(&lab.database)).stderr(Stdio::piped());
    let child = command.stdout(Stdio::null()).spawn().unwrap();
    let holder = || document(&lab.migrate(&["status", "--json"]))["migration"]["holder"].clone();
    while holder().is_null() {}
    assert_eq!(lab.migrate(&["pause"]).code, Some(0));
    let said = lab.migrate(&["status"]);
    contains(&said.out, &["paused: by hand; no row is filled"]);
    assert_eq!(document(&lab.migrate(&["status", "--json"]))["migration"]["paused"], true);
    let said = lab.migrate(&["resume"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    contains(&said.err, &["works on it, and goes on"]);
    assert_eq!(lab.migrate(&["rate", "2%"]).code, Some(0));
    contains(&lab.migrate(&["status"]).out, &["rate: 2 % of the time, set by hand"]);
    until(&lab, "SELECT NOT paused AND state = 'backfilling' FROM serin.migration");
    // Interrupted it stops, and says how to go on.
    kill(child.id(), Signal::INT);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130), "{ended:?}");
    contains(&String::from_utf8_lossy(&ended.stderr), &["interrupted", "serin migrate rollback"]);
    let document_now = document(&lab.migrate(&["status", "--json"]));
    let progress = &document_now["migration"]["progress"];
    assert_eq!(
        (&document_now["schema"], &progress["table"]),
        (&"serin.migrate.status/v1".into(), &"users".into())
    );
    assert!(progress["percent"].as_f64().unwrap() < 100.0, "{progress}");
    assert_eq!(lab.migrate(&["rate", "100%"]).code, Some(0));
    let said = lab.migrate(&["resume", "--json"]);
    assert_eq!((said.code, &document(&said)["migration"]["state"]), (Some(0), &"dual".into()));
    assert_eq!(lab.sql("SELECT sum(total) FROM public_01_total.users"), "5000050000");
    // And the history tells who did what.
    let history = document(&lab.migrate(&["history", "--json"]));
    assert_eq!(history["migrations"][0]["state"], "dual");
    until(&lab, "SELECT count(*) >= 3 FROM serin.deed WHERE what = 'set'");
}
