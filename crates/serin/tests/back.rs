//! Verbs about the way back, on real processes.
#![allow(clippy::unwrap_used)] // clippy allows it in the test functions only

mod support;

use rustix::process::Signal;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use support::{HELD, QUICK, Server, free_address, kill, shop};

/// A server with revision v1 of a shop.
fn serving(steps: &str) -> Server {
    let server = Server::start();
    let file = server.file("serin.yaml", &shop(free_address(), "", steps));
    server.ok(&["apply", "-f", &file]);
    server
}

#[test]
fn a_drill_rehearses_on_a_copy_and_is_written_down() {
    let server = serving(QUICK);
    let before = server.json(&["status", "shop"]);
    let said = server.ok(&["drill", "shop"]);
    for part in ["✔ PASS  shop: way back to v1, rehearsed on a copy", "target", "10 s"] {
        assert!(said.out.contains(part), "{part}: {said:?}");
    }
    assert!(said.err.contains("a version that fails every request"), "{said:?}");
    let services = server.json(&["status"]);
    assert_eq!(services["services"].as_array().unwrap().len(), 1, "the copy is gone");
    let after = server.json(&["status", "shop"]);
    let untouched = |view: &serde_json::Value| {
        let pids = view["instances"].as_array().unwrap().iter().map(|i| i["pid"].clone());
        (view["stable"].clone(), view["last"]["id"].clone(), pids.collect::<Vec<_>>())
    };
    assert_eq!(untouched(&after), untouched(&before));
    let facts = server.json(&["runbook", "shop"]);
    let drill = &facts["drills"][0];
    assert_eq!((&drill["version"], &drill["passed"]), (&"v1".into(), &true.into()), "{facts}");
    assert!(drill["requests"][1].as_u64().unwrap() > 0, "the bad version failed users: {drill}");
}

#[test]
fn a_drill_beside_another_is_refused() {
    let server = serving(QUICK);
    let copy = shop(free_address(), "", QUICK).replace("name: shop", "name: shop-drill");
    server.ok(&["apply", "-f", &server.file("copy.yaml", &copy)]);
    let said = server.run(&["drill", "shop"]);
    assert_eq!(said.code, Some(6), "{said:?}");
    assert!(said.err.contains("serin remove shop-drill --yes"), "{said:?}");
    assert_eq!(server.json(&["status"])["services"].as_array().unwrap().len(), 2);
}

#[test]
fn a_drill_that_is_cut_short_takes_its_copy_away() {
    let server = serving(QUICK);
    let mut command = server.command(&["drill", "shop"]);
    let mut drill = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(drill.stderr.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.contains("a copy of shop with v1 starts as shop-drill")).unwrap();
    kill(drill.id(), Signal::INT);
    assert_eq!(lines.collect::<Vec<_>>(), [""; 0]);
    assert_eq!(drill.wait().unwrap().code(), Some(130));
    assert_eq!(server.run(&["status", "shop-drill"]).code, Some(2), "the copy is gone");
    assert_eq!(server.json(&["runbook"])["drills"], serde_json::json!([]));
}

#[test]
fn the_runbook_has_live_facts() {
    let server = serving(QUICK);
    server.ok(&["deploy", "-r", "v2"]);
    let contacts = server.file("contacts.md", "- on call: extension 7\n");
    let path = server.dir().join("ROLLBACK.md");
    let words = ["runbook", "shop", "-o", path.to_str().unwrap(), "--contacts", &contacts];
    let said = server.ok(&words);
    assert_eq!(said.out, "");
    let page = std::fs::read_to_string(path).unwrap();
    for part in [
        "serin rollback shop",
        "| running | v2 |",
        "| last good, where `serin rollback` leads | v1 |",
        "curl -fsS http://127.0.0.1:",
        "- on call: extension 7",
        "ROLLBACK COMPLETED",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let missing = server.run(&["runbook", "shop", "--contacts", "/nonexistent"]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
}

#[test]
fn a_promotion_lists_what_it_skips() {
    let server = serving(HELD);
    server.ok(&["deploy", "-r", "v2", "--detach"]);
    server.ok(&["wait", "--for", "step=2"]);
    let dry = server.ok(&["promote", "--full", "--dry-run"]);
    assert!(dry.err.contains("skips: step 2 of 3: wait for"), "{dry:?}");
    assert!(dry.err.contains("skips: step 3 of 3: give the candidate 100 %"), "{dry:?}");
    assert_eq!(server.json(&["status", "shop"])["rollout"]["step"], 2);
    let said = server.ok(&["promote", "--full", "--reason", "in a hurry"]);
    assert!(said.err.contains("skips: step 2 of 3"), "{said:?}");
    server.ok(&["wait", "shop"]);
    let record = &server.json(&["history"])["rollouts"][0];
    assert_eq!(record["outcome"], "promoted");
    assert_ne!(record["skipped"], serde_json::json!([]), "{record}");
}

#[test]
fn a_rollback_shows_where_it_goes_and_what_it_took() {
    let server = serving(QUICK);
    server.ok(&["deploy", "-r", "v2"]);
    let said = server.ok(&["rollback", "--reason", "looks odd"]);
    assert!(said.err.contains("runs:      v2, since "), "{said:?}");
    assert!(said.err.contains("last good: v1, since "), "{said:?}");
    assert!(said.err.contains("v1 is stable again"), "{said:?}");
}

#[test]
fn a_plan_says_what_it_takes() {
    let server = serving(HELD);
    let plan = server.json(&["plan", "-r", "v2"]);
    assert_eq!(plan["action"], "release");
    assert_eq!(plan["takes"]["steps"].as_array().unwrap().len(), 3);
    assert_eq!(plan["takes"]["extra_at_most"], 2);
    assert_eq!(plan["way_back"]["class"], "routing");
    let text = server.ok(&["plan", "-r", "v2"]).out;
    for part in ["2+2", "way back: by routing: ", "the old version keeps its full size"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(server.ok(&["plan"]).out.contains("a new revision"), "a name is not needed");
    let other = shop(free_address(), "", QUICK).replace("name: shop", "name: mail");
    let file = server.file("mail.yaml", &other);
    let plans = server.json(&["plan", "-f", &file, "-r", "v7"]);
    assert_eq!(
        (&plans["schema"], &plans["plans"][0]["action"]),
        (&"serin.plans/v1".into(), &"first".into())
    );
    assert_eq!(plans["plans"][0]["to"], "v7");
    assert_eq!(server.json(&["status"])["services"].as_array().unwrap().len(), 1, "only planned");
}

#[test]
fn nothing_is_left_over_of_a_service_at_rest() {
    let server = serving(QUICK);
    assert!(server.ok(&["gc", "--dry-run"]).out.starts_with("nothing is left over"));
    assert_eq!(server.json(&["gc"])["leftovers"], serde_json::json!([]));
    assert_eq!(server.run(&["gc", "shpo"]).code, Some(2));
    assert_eq!(server.run(&["gc", "--dry-run", "--now"]).code, Some(2));
}

#[test]
fn a_revision_marked_bad_is_tried_again_only_when_it_is_said() {
    let server = serving(HELD);
    server.ok(&["deploy", "-r", "v2", "--detach"]);
    server.ok(&["wait", "--for", "step=2"]);
    server.ok(&["abort"]);
    let said = server.ok(&["mark", "shop", "v2", "bad", "--reason", "loses carts"]);
    assert!(said.out.starts_with("shop: v2 is marked bad"), "{said:?}");
    let refused = server.run(&["retry"]);
    assert_eq!(refused.code, Some(6), "{refused:?}");
    assert!(refused.err.contains("marked bad by tester"), "{refused:?}");
    let said = server.ok(&["retry", "--allow-bad", "--detach", "--reason", "was the network"]);
    assert_eq!(said.out, "shop: rollout 3 tries v2 again\n");
    server.ok(&["wait", "--for", "step=2"]);
    let status = server.json(&["status", "shop"]);
    assert_eq!(status["rollout"]["reason"], "was the network");
    assert_eq!(server.run(&["mark", "shop", "v9", "bad"]).code, Some(2));
}

#[test]
fn after_a_rollback_deploys_are_held_until_released() {
    let server = serving(QUICK);
    server.ok(&["deploy", "-r", "v2"]);
    let said = server.ok(&["rollback"]);
    assert!(said.err.contains("  route:   confirmed after "), "{said:?}");
    let held = server.run(&["deploy", "-r", "v2"]);
    assert_eq!(held.code, Some(6), "{held:?}");
    assert!(held.err.contains("serin release"), "{held:?}");
    let held = server.run(&["--json", "deploy", "-r", "v2"]);
    let document: serde_json::Value = serde_json::from_str(&held.out).unwrap();
    assert_eq!((&document["code"], &document["refusal"]), (&"refused".into(), &"held".into()));
    assert!(server.ok(&["status", "shop"]).out.contains("  held: v2 and older"), "it is shown");
    assert_eq!(server.json(&["plan", "-r", "v2"])["action"], "refused");
    server.ok(&["release", "--reason", "it was not v2"]);
    assert_eq!(server.run(&["release"]).code, Some(6), "there is no hold any more");
    server.ok(&["deploy", "-r", "v2"]);
    let page = server.ok(&["runbook"]).out;
    assert!(page.contains("(longest "), "measured times are in it: {page}");
    let metrics = server.text("/metrics");
    for part in ["serin_held{service=\"shop\"} 0", "serin_weight_ratio{service=\"shop\""] {
        assert!(metrics.contains(part), "{part}: {metrics}");
    }
}

/// The programs that run, by instance.
fn programs(server: &Server) -> Vec<std::path::PathBuf> {
    let view = server.json(&["status", "shop"]);
    let pids = view["instances"].as_array().unwrap().iter().filter_map(|i| i["pid"].as_u64());
    pids.filter_map(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).ok()).collect()
}

#[test]
fn who_builds_over_the_program_can_still_go_back_to_what_was_deployed() {
    let server = Server::start();
    let program = server.dir().join("shop");
    std::fs::copy(env!("CARGO_BIN_EXE_serin"), &program).unwrap();
    let size = program.metadata().unwrap().len();
    let command = "[\"./shop\", \"__demo-app\"]";
    let text = support::file_of(free_address(), command, "", QUICK);
    server.ok(&["apply", "-f", &server.file("serin.yaml", &text)]);
    // A new build: another file under the name, one byte longer.
    let mut built = std::fs::read(&program).unwrap();
    built.push(b' ');
    std::fs::remove_file(&program).unwrap();
    std::fs::write(&program, built).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    let size_of = |path: &std::path::PathBuf| path.metadata().unwrap().len();
    server.ok(&["deploy", "-r", "v2"]);
    let running = programs(&server);
    assert!(running.iter().all(|path| size_of(path) == size + 1), "{running:?}");
    server.ok(&["rollback"]);
    let running = programs(&server);
    let kept = server.data().join("artefacts").canonicalize().unwrap();
    assert_eq!(running.len(), 2);
    assert!(running.iter().all(|p| p.starts_with(&kept) && size_of(p) == size), "{running:?}");
    let notes = &server.json(&["status", "shop"])["notes"];
    assert!(!notes.to_string().contains("changed after"), "{notes}");
}

#[test]
fn a_script_that_was_written_over_is_told() {
    let server = Server::start();
    let line = format!("exec {} __demo-app\n", env!("CARGO_BIN_EXE_serin"));
    server.file("run.sh", &line);
    let text = support::file_of(free_address(), "[\"sh\", \"run.sh\"]", "", QUICK);
    server.ok(&["apply", "-f", &server.file("serin.yaml", &text)]);
    server.file("run.sh", &format!("# newer\n{line}"));
    let told = || server.json(&["status", "shop"])["notes"].to_string().contains("changed after");
    server.ok(&["deploy", "-r", "v2"]);
    assert!(!told(), "v2 is what its files are");
    server.ok(&["rollback"]);
    assert!(told(), "v1 runs v2's script");
}
