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

const TAG: &str = "\
operations:
  - add_column: {table: users, column: {name: TAG, type: text, nullable: true}, up: \"'old'\"}
serin:
  contract: {grace: GRACE}
";

#[test]
fn what_a_way_back_put_aside_is_listed_and_goes_after_its_time() {
    let Some(lab) = Lab::new(MANY) else { return };
    for (name, grace) in [("a", "1h"), ("b", "0s")] {
        let file = format!("{name}.yaml");
        lab.write(&file, &TAG.replace("TAG", name).replace("GRACE", grace));
        let said = lab.on(&["start", "--no-trace"], &lab.path().join(&file));
        assert_eq!(said.code, Some(0), "{said:?}");
        lab.sql(&format!(
            "SET search_path = public_{name}, public; UPDATE users SET {name} = 'new' WHERE id = 7"
        ));
        assert_eq!(lab.migrate(&["rollback"]).code, Some(0));
    }
    let said = lab.migrate(&["history"]);
    contains(
        &said.out,
        &[
            "a: 1 row of users put aside in serin.salvage_1_0; given back when it starts again as it was",
            "b: 1 row of users put aside in serin.salvage_2_0; `serin migrate clean` drops it",
        ],
    );
    let said = lab.migrate(&["clean"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    contains(&said.out, &["dropped 1 table of what ways back put aside"]);
    let history = document(&lab.migrate(&["history", "--json"]));
    assert_eq!(history["putAside"].as_array().unwrap().len(), 1, "{history}");
    assert_eq!(history["putAside"][0]["keptIn"], "serin.salvage_1_0");
    assert_eq!(lab.sql("SELECT to_regclass('serin.salvage_2_0') IS NULL"), "t");
    assert_eq!(lab.on(&["start", "--no-trace"], &lab.path().join("a.yaml")).code, Some(0));
    assert_eq!(lab.sql("SELECT a FROM public_a.users WHERE id = 7"), "new");
}
