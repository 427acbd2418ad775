//! A service's life beside its steps, as people see it: queues, approvals, what is kept, and time
//! without an answer.
#![allow(clippy::unwrap_used)] // clippy allows it in the test functions only

mod support;

use serde_json::Value;
use std::process::Stdio;
use support::load::{Connections, Load};
use support::{HELD, QUICK, Server, free_address, said, shop};

/// A server with revision v1 of a shop whose file was changed like this.
fn serving(steps: &str, change: impl Fn(String) -> String) -> Server {
    let server = Server::start();
    let text = change(shop(free_address(), "", steps));
    let file = server.file("serin.yaml", &text);
    server.ok(&["apply", "-f", &file]);
    server
}

/// The same with further keys under `spec`.
fn with(keys: &str) -> impl Fn(String) -> String {
    move |text| text.replace("  replicas: 2\n", &format!("  replicas: 2\n{keys}"))
}

/// A step that asks for people.
const ASKED: &str = "{ setWeight: 50 }, { approval: { count: 2 } }, { setWeight: 100 }";

#[test]
fn a_deploy_waits_for_its_turn() {
    let server = serving(HELD, with("  onNewRevision: queue\n"));
    server.ok(&["deploy", "-r", "v2", "--detach"]);
    server.ok(&["wait", "--for", "step=2"]);
    let dry = server.ok(&["deploy", "-r", "v3", "--dry-run"]);
    assert_eq!(dry.out, "shop: v3 would wait for the rollout under way\n");
    assert_eq!(server.json(&["plan", "-r", "v3"])["action"], "queued");
    let mut command = server.command(&["deploy", "-r", "v3", "--reason", "next"]);
    let waiting = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    server.journal_until(0, "v3 by tester waits for the rollout of v2");
    let shown = server.ok(&["status", "shop"]).out;
    assert!(shown.contains("  queued: v3 by tester, just now: next\n"), "{shown}");
    assert!(server.text("/metrics").contains("serin_deploys_queued{service=\"shop\"} 1"));
    server.ok(&["promote", "--full"]);
    server.journal_until(0, "rollout to v3 started");
    server.ok(&["wait", "--for", "step=2"]);
    server.ok(&["promote", "--full"]);
    let ended = waiting.wait_with_output().unwrap();
    let err = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{err}");
    assert!(err.contains("v3 is promoted"), "{err}");
}

#[test]
fn a_deploy_that_lost_its_place_ends_with_4() {
    let server = serving(HELD, with("  onNewRevision: queue\n"));
    server.ok(&["deploy", "-r", "v2", "--detach"]);
    server.ok(&["wait", "--for", "step=2"]);
    let mut command = server.command(&["deploy", "-r", "v3"]);
    let waiting = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    server.journal_until(0, "v3 by tester waits for the rollout of v2");
    server.ok(&["deploy", "-r", "v4", "--detach"]);
    let ended = waiting.wait_with_output().unwrap();
    let err = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(4), "{err}");
    assert!(err.contains("v3 does not wait any more"), "{err}");
    let late = server.run(&["deploy", "-r", "v4", "--timeout", "300ms"]);
    assert_eq!(late.code, Some(5), "{late:?}");
}

#[test]
fn people_approve_and_are_named() {
    let server = serving(ASKED, with(""));
    assert_eq!(server.run(&["approve"]).code, Some(6), "nothing asks for it");
    server.ok(&["deploy", "-r", "v2", "--detach"]);
    server.ok(&["wait", "--for", "step=2"]);
    assert_eq!(server.run(&["approve", "--reason", "fine"]).code, Some(0));
    let shown = server.ok(&["status", "shop"]).out;
    assert!(shown.contains("  approved by: 1 of 2: tester\n"), "{shown}");
    let again = server.ok(&["approve"]);
    assert!(again.out.contains("1 of 2 given by tester"), "one person counts once: {again:?}");
    let mut other = server.command(&["approve"]);
    other.env("SERIN_ACTOR", "ann");
    assert_eq!(said(other).code, Some(0));
    let ended = server.ok(&["wait", "shop"]);
    assert!(ended.err.contains("approved by ann (2 of 2)"), "{}", ended.err);
}

#[test]
fn what_is_kept_has_its_price_and_can_be_let_go() {
    let cost = with("  instanceHourCost: 3600\n");
    let server = serving(QUICK, |text| cost(text) + "      keepOld: 1h\n");
    server.ok(&["deploy", "-r", "v2"]);
    let shown = server.ok(&["gc", "--dry-run"]).out;
    assert!(shown.contains("kept for a way back at once"), "{shown}");
    let left = server.json(&["gc"]);
    let old: Vec<&Value> = left["leftovers"].as_array().unwrap().iter().collect();
    assert_eq!((old.len(), &old[0]["kind"]), (1, &"old-revision".into()), "{left}");
    assert_eq!(old[0]["instances"], 2);
    assert!(old[0]["cost"].as_f64().unwrap() > 0.0, "{left}");
    assert_eq!(server.json(&["status", "shop"])["way_back"]["class"], "routing");
    let fast = server.json(&["plan", "-r", "v1"]);
    assert_eq!(fast["action"], "fast-track", "{fast}");
    let gone = server.ok(&["gc", "--now", "--reason", "the machine is full"]);
    assert!(gone.err.contains("what it kept is let go"), "{gone:?}");
    assert_eq!(server.json(&["gc"])["leftovers"], serde_json::json!([]));
    let status = server.json(&["status", "shop"]);
    assert_eq!(status["stable"].as_str().unwrap().split('@').next(), Some("v2"));
    assert_eq!(status["way_back"]["class"], "redeploy", "{status}");
}

/// The file with another strategy, or none.
fn instead(text: &str, strategy: &str) -> String {
    let (head, _) = text.split_once("  strategy:").unwrap();
    format!("{head}{strategy}")
}

#[test]
fn stopping_first_is_foreseen_and_measured() {
    let recreate = "  environment: staging\n  strategy: { recreate: {} }\n";
    let server = serving(QUICK, |text| instead(&text, recreate));
    let plan = server.ok(&["plan", "-r", "v2"]).out;
    assert!(plan.contains("downtime: users get 503"), "{plan}");
    assert!(plan.contains("never measured yet"), "{plan}");
    server.ok(&["deploy", "-r", "v2"]);
    let history = server.json(&["history"]);
    let downtime = history["rollouts"][0]["downtime"].as_u64().unwrap();
    assert!(downtime > 0, "{history}");
    let shown = server.ok(&["status", "shop"]).out;
    assert!(shown.contains("downtime"), "{shown}");
    let plan = server.ok(&["plan", "-r", "v3"]).out;
    assert!(plan.contains("the last time"), "{plan}");
}

#[test]
fn a_size_may_come_before_a_share() {
    let steps = "{ setCanaryScale: { replicas: 1 } }, { pause: {} }, { setWeight: 100 }";
    let server = serving(steps, with(""));
    server.ok(&["deploy", "-r", "v2", "--detach"]);
    server.ok(&["wait", "--for", "step=2"]);
    let status = server.json(&["status", "shop"]);
    let of_v2 = |row: &&Value| row["revision"].as_str().unwrap().starts_with("v2@");
    let rows = status["instances"].as_array().unwrap().iter().filter(of_v2).count();
    assert_eq!(rows, 1, "{status}");
    server.ok(&["promote", "--full"]);
    server.ok(&["wait", "shop"]);
}

#[test]
fn a_failed_test_keeps_the_candidate_from_users() {
    let test =
        "{ name: smoke, command: [\"/bin/sh\", \"-c\", \"echo the cart is empty; exit 3\"] }";
    let one = "{ setCanaryScale: { replicas: 1 } }";
    let steps = format!("{one}, {{ run: [{test}] }}, {{ setWeight: 50 }}, {{ setWeight: 100 }}");
    let server = serving(&steps, with(""));
    let status = server.json(&["status", "shop"]);
    let users =
        Load::start(status["listen"].as_str().unwrap().parse().unwrap(), 2, Connections::Kept);
    let said = server.run(&["deploy", "-r", "v2"]);
    let report = users.report();
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.err.contains("smoke") && said.err.contains("the cart is empty"), "{}", said.err);
    assert!(report.failures.is_empty(), "{report:?}");
    assert!(!report.by_version.contains_key("v2"), "{report:?}");
    let shown = server.ok(&["status", "shop"]).out;
    assert!(shown.contains("the cart is empty"), "{shown}");
}

#[test]
fn a_plan_is_written_out_and_advises_what_traffic_allows() {
    let server = serving(QUICK, |text| instead(&text, ""));
    let quiet = server.json(&["plan", "-r", "v2"]);
    assert_eq!(
        (&quiet["advice"], &quiet["strategy"]),
        (&Value::Null, &"guarded".into()),
        "{quiet}"
    );
    assert!(quiet["written"].as_str().unwrap().contains("- setWeight: 100"), "{quiet}");
    let listen = server.json(&["status", "shop"])["listen"].as_str().unwrap().parse().unwrap();
    let users = Load::start(listen, 4, Connections::Kept);
    let mut plan = quiet;
    while plan["advice"].is_null() {
        users.wait_for(50);
        plan = server.json(&["plan", "-r", "v2"]);
    }
    let advice = &plan["advice"];
    assert!(advice["strategy"].as_str().unwrap().starts_with("canary:\n  steps:\n"), "{advice}");
    let text = server.ok(&["plan", "-r", "v2"]).out;
    assert!(text.contains("  advice: at ") && !text.contains("canary:"), "{text}");
    let full = server.ok(&["plan", "-r", "v2", "--full"]).out;
    assert!(full.contains("    canary:\n      steps:\n        - setWeight: "), "{full}");
    users.report();
}
