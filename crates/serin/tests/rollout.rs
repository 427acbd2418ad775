//! Real rollouts of a real app, and the exit code of each end.
#![allow(clippy::unwrap_used)] // clippy allows it in the test functions only

mod support;

use rustix::process::Signal;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use support::load::{Connections, Load};
use support::{HELD, JUDGED, QUICK, SERIN, Server, file_of, free_address, kill, shop};

/// A server with revision v1 of a shop.
fn serving(steps: &str) -> (Server, std::net::SocketAddr) {
    let server = Server::start();
    let listen = free_address();
    let file = server.file("serin.yaml", &shop(listen, "", steps));
    let said = server.ok(&["apply", "-f", &file]);
    assert_eq!(said.out, "shop: created with v1\n");
    assert!(said.err.contains("v1 is up"), "{}", said.err);
    (server, listen)
}

#[test]
fn a_good_version_is_promoted() {
    let (server, listen) = serving(QUICK);
    let load = Load::start(listen, 2, Connections::Kept);
    let said = server.ok(&["deploy", "shop", "--revision", "v2", "--reason", "a try"]);
    assert_eq!(said.out, "shop: rollout 2 to v2 started\n");
    assert!(said.err.contains("✔ shop: v2 is promoted"), "{}", said.err);
    load.wait_for(50);
    let report = load.report();
    assert_eq!(report.failures, [""; 0]);
    assert!(report.by_version["v2"] >= 50, "{report:?}");
    let status = server.json(&["status", "shop"]);
    assert_eq!(status["schema"], "serin.service/v1");
    assert_eq!(status["state"], "stable");
    let history = server.json(&["history"]);
    let newest = &history["rollouts"][0];
    assert_eq!((&newest["outcome"], &newest["reason"]), (&"promoted".into(), &"a try".into()));
    assert_eq!(newest["by"], "tester");
    let again = server.ok(&["deploy", "-r", "v2"]);
    assert_eq!(again.out, "shop: unchanged, v2 runs already\n");
    rolled_back_by_hand(&server);
}

/// `rollback` is a new rollout, and its success is 0.
fn rolled_back_by_hand(server: &Server) {
    let mut command = server.command(&["rollback"]);
    command.env_remove("USER");
    let said = support::said(command);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("v1 is stable again"), "{}", said.err);
    // Without a word from the environment, the system knows who asks.
    let id = std::process::Command::new("id").arg("-un").output().unwrap();
    let user = String::from_utf8(id.stdout).unwrap();
    assert_eq!(server.json(&["history"])["rollouts"][0]["by"], user.trim());
    // What was left is not brought out again by a pipeline that does not know.
    assert_eq!(server.run(&["deploy", "shop", "-r", "v2"]).code, Some(6));
    server.ok(&["release", "shop"]);
    let lines = server.ok(&["--json", "deploy", "shop", "-r", "v2"]).out;
    let schemas: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|document| document["schema"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(schemas.first().unwrap(), "serin.applied/v1");
    assert!(schemas.contains(&"serin.event/v1".to_owned()), "{schemas:?}");
    assert_eq!(schemas.last().unwrap(), "serin.rollout/v1");
}

#[test]
fn a_bad_version_is_rolled_back_with_3() {
    let (server, listen) = serving(JUDGED);
    let load = Load::start(listen, 4, Connections::Kept);
    load.wait_for(100);
    let file = server.file("bad.yaml", &shop(listen, ", ERROR_RATE: \"0.5\"", JUDGED));
    let said = server.run(&["apply", "-f", &file, "--revision", "v2"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    for part in [
        "error: v2 was rolled back",
        "because: worse than stable: errors",
        "all traffic on v1; v2 was judged on ",
        "hint: ",
    ] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    load.wait_for(100);
    let report = load.report();
    assert!(report.failures.iter().all(|failure| failure == "status 500 of v2"), "{report:?}");
    let again = server.run(&["deploy", "-r", "v2"]);
    assert_eq!(again.code, Some(6), "{again:?}");
    assert!(again.err.contains("--allow-bad"), "{}", again.err);
}

/// The line of `serin stats judge` for an export of these words.
fn judged_again(server: &Server, words: &[&str]) -> serde_json::Value {
    let file = server.dir().join("ticks.jsonl");
    let file = file.to_str().unwrap();
    server.ok(&[&["analysis", "export", "shop", "-o", file], words].concat());
    assert!(!server.dir().join("ticks.jsonl.part").exists());
    let said = server.ok(&["stats", "judge", file]);
    serde_json::from_str(&said.out).unwrap()
}

#[test]
fn what_was_judged_can_be_judged_again() {
    let (server, listen) = serving(JUDGED);
    let load = Load::start(listen, 4, Connections::Kept);
    load.wait_for(100);
    server.ok(&["deploy", "-r", "v2"]);
    let good = judged_again(&server, &[]);
    assert_eq!((&good["run"], &good["verdict"]), (&"shop/2".into(), &"PASS".into()), "{good}");
    assert_eq!((&good["recorded"], &good["agrees"]), (&"PASS".into(), &true.into()), "{good}");
    let file = server.file("bad.yaml", &shop(listen, ", ERROR_RATE: \"0.5\"", JUDGED));
    assert_eq!(server.run(&["apply", "-f", &file, "-r", "v3"]).code, Some(3));
    let bad = judged_again(&server, &[]);
    assert_eq!((&bad["run"], &bad["verdict"]), (&"shop/3".into(), &"FAIL".into()), "{bad}");
    assert_eq!((&bad["blame"][0], &bad["agrees"]), (&"errors".into(), &true.into()), "{bad}");
    assert_eq!(judged_again(&server, &["--rollout", "2"]), good);
    drop(load);
    let exported = server.ok(&["analysis", "export", "--rollout", "3"]);
    assert!(exported.err.contains("rollout 3 of shop: "), "{}", exported.err);
    assert!(exported.out.lines().last().unwrap().contains("\"recorded\":"), "{}", exported.out);
    let first = server.ok(&["analysis", "export", "--rollout", "1"]);
    assert!(first.err.contains("was not judged"), "{}", first.err);
    let unknown = server.run(&["analysis", "export", "--rollout", "9"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (Some(2), ""), "{unknown:?}");
    assert!(unknown.err.contains("has no rollout 9"), "{}", unknown.err);
}

#[test]
fn a_process_that_ends_at_start_fails_with_its_last_lines() {
    let (server, listen) = serving(QUICK);
    let command = r#"["/bin/sh", "-c", "echo no database; echo giving up >&2; exit 3"]"#;
    let file = server.file("bad.yaml", &file_of(listen, command, "", QUICK));
    let said = server.run(&["apply", "-f", &file, "-r", "v2"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    for part in
        ["code 3", "  probe:   ", "│ no database", "│ giving up", "effect:  all traffic on v1\n"]
    {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    let logs = server.ok(&["logs", "shop", "--revision", "v2"]);
    assert!(logs.out.contains("no database"), "{}", logs.out);
}

#[test]
fn a_held_rollout_can_be_waited_for_and_aborted() {
    let (server, _) = serving(HELD);
    let said = server.run(&["deploy", "-r", "v2", "--timeout", "1500ms"]);
    assert_eq!(said.code, Some(5), "{said:?}");
    assert!(said.err.contains("serin wait shop"), "{}", said.err);
    server.ok(&["wait", "--for", "paused"]);
    server.ok(&["wait", "--for", "step=2"]);
    let wait = server.command(&["wait", "shop"]).stderr(Stdio::null()).spawn().unwrap();
    let said = server.ok(&["abort", "--reason", "not now"]);
    assert!(said.err.contains("aborted"), "{}", said.err);
    let waited = wait.wait_with_output().unwrap();
    assert_eq!(waited.status.code(), Some(4));
    assert_eq!(server.run(&["promote"]).code, Some(6));
}

/// During a trial, `rollback` stops it: that is what was asked for, so it is 0.
#[test]
fn a_rollback_during_a_trial_stops_it() {
    let (server, _) = serving(HELD);
    server.ok(&["deploy", "-r", "v2", "--detach"]);
    server.ok(&["wait", "--for", "step=2"]);
    let said = server.ok(&["rollback"]);
    assert!(said.err.contains("✔ shop: rollout of v2 aborted"), "{}", said.err);
    assert!(said.err.contains("effect:  all traffic on v1"), "{}", said.err);
    let status = server.json(&["status", "shop"]);
    assert_eq!(
        (&status["state"], &status["last"]["outcome"]),
        (&"stable".into(), &"aborted".into())
    );
}

#[test]
fn a_deploy_of_stable_stops_the_rollout_of_another() {
    let (server, _) = serving(HELD);
    server.ok(&["deploy", "-r", "v2", "--detach"]);
    server.ok(&["wait", "--for", "step=2"]);
    let dry = server.ok(&["deploy", "-r", "v1", "--dry-run"]);
    assert_eq!(dry.out, "shop: v1 is what runs; the rollout of v2 would be stopped\n");
    let said = server.ok(&["deploy", "-r", "v1"]);
    assert_eq!(said.out, "shop: v1 is what runs; the rollout of v2 was stopped\n");
    assert!(said.err.contains("effect:  all traffic on v1"), "{}", said.err);
    assert_eq!(server.json(&["status", "shop"])["state"], "stable");
}

#[test]
fn a_newer_rollout_takes_the_place_of_an_older_one() {
    let (server, _) = serving(HELD);
    let mut command = server.command(&["--no-progress", "watch", "shop"]);
    server.ok(&["deploy", "-r", "v2", "--detach"]);
    let watch = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    server.ok(&["wait", "--for", "step=2"]);
    server.ok(&["deploy", "-r", "v3", "--detach"]);
    let watched = watch.wait_with_output().unwrap();
    let story = String::from_utf8(watched.stdout).unwrap();
    assert_eq!(watched.status.code(), Some(4), "{story}");
    assert!(story.contains("rollout of v2 ended: superseded"), "{story}");
    assert!(!story.contains('\x1b'), "{story}");
    server.ok(&["wait", "--for", "step=2"]);
    assert_eq!(server.json(&["status", "shop"])["rollout"]["id"], 3);
}

#[test]
fn pause_resume_and_promote_move_it() {
    let (server, _) = serving(HELD);
    server.ok(&["deploy", "-r", "v2", "--detach"]);
    server.ok(&["wait", "--for", "step=2"]);
    assert!(server.ok(&["pause"]).out.starts_with("shop: paused at step 2 of 3"));
    assert_eq!(server.json(&["status", "shop"])["state"], "paused");
    server.ok(&["resume"]);
    server.ok(&["promote"]);
    let said = server.ok(&["wait", "shop"]);
    assert!(said.err.contains("v2 is promoted"), "{}", said.err);
}

#[test]
fn ctrl_c_detaches_and_the_rollout_goes_on() {
    let (server, _) = serving(HELD);
    let mut command = server.command(&["deploy", "-r", "v2"]);
    let mut deploy = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(deploy.stderr.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.contains("step 1 of 3 done")).unwrap();
    kill(deploy.id(), Signal::INT);
    let rest: Vec<String> = lines.collect();
    assert!(rest.iter().any(|line| line.contains("serin abort shop")), "{rest:?}");
    assert_eq!(deploy.wait().unwrap().code(), Some(130));
    assert_eq!(server.json(&["status", "shop"])["state"], "rolling-out");
}

#[test]
fn refused_before_anything_changes() {
    let (server, listen) = serving(QUICK);
    let said = server.run(&["status", "shpo"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("did you mean `shop`?"), "{}", said.err);
    let second = server.run(&["serve"]);
    assert_eq!(second.code, Some(2), "{second:?}");
    assert!(second.err.contains(&format!("pid {}", server.keeper_pid())), "{}", second.err);
    let other = shop(listen, "", QUICK).replace("name: shop", "name: mail");
    let said = server.run(&["apply", "-f", &server.file("mail.yaml", &other)]);
    assert_ne!(said.code, Some(0));
    assert!(said.err.contains(&listen.to_string()), "{}", said.err);
    let broken = server.file("broken.yaml", "apiVersion: serin.dev/v1alpha1\nkind: Servise\n");
    assert_eq!(server.run(&["apply", "-f", &broken]).code, Some(2));
    assert_eq!(server.json(&["status"])["services"].as_array().unwrap().len(), 1);
    let dry = server.ok(&["deploy", "-r", "v2", "--dry-run"]);
    assert_eq!(dry.out, "shop: a rollout to v2 would start\n");
    assert_eq!(server.json(&["status", "shop"])["state"], "stable");
}

#[test]
fn a_service_is_removed_only_when_it_is_meant() {
    let (server, listen) = serving(QUICK);
    let said = server.run(&["remove", "shop"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("--yes"), "{}", said.err);
    server.ok(&["remove", "shop", "--yes"]);
    assert_eq!(server.run(&["status", "shop"]).code, Some(2));
    std::net::TcpListener::bind(listen).unwrap();
}

#[test]
fn tcp_needs_the_token() {
    let api = free_address().to_string();
    let server = Server::start_with(&["--api-listen", &api]);
    let url = format!("http://{api}");
    let ask = |token: &str| {
        let mut command = support::serin(&["--server", &url, "status"]);
        command.env("SERIN_TOKEN", token).env("SERIN_DATA", "/nonexistent");
        support::said(command)
    };
    assert_eq!(ask("wrong").code, Some(7));
    let token = std::fs::read_to_string(server.data().join("token")).unwrap();
    assert_eq!(ask(&token).code, Some(0));
    assert!(std::path::Path::new(SERIN).is_file());
}
