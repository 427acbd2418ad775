//! Kill -9 of each part under load: what users see, and what goes on.
#![allow(clippy::unwrap_used)] // clippy allows it in the test functions only

mod support;

use rustix::process::Signal;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::Stdio;
use support::load::{Connections, Load};
use support::{HELD, QUICK, Server, free_address, kill, shop};

/// Users at work in these tests.
const USERS: usize = 4;

fn serving(steps: &str) -> (Server, SocketAddr) {
    let server = Server::start();
    let listen = free_address();
    let file = server.file("serin.yaml", &shop(listen, "", steps));
    server.ok(&["apply", "-f", &file]);
    (server, listen)
}

/// Places of the journal of all services.
fn last_seq(server: &Server) -> u64 {
    let story = server.get("/api/v1/services/shop/explain");
    let entries = story["entries"].as_array().unwrap().clone();
    entries.iter().map(|entry| entry["seq"].as_u64().unwrap()).max().unwrap_or(0)
}

#[test]
fn a_killed_control_plane_loses_no_request_and_no_decision() {
    let (server, listen) = serving(HELD);
    server.ok(&["deploy", "-r", "v2", "--detach"]);
    server.ok(&["wait", "--for", "step=2"]);
    let load = Load::start(listen, USERS, Connections::Kept);
    load.wait_for(100);
    let killed = server.control_pid();
    kill(killed, Signal::KILL);
    load.wait_for(200);
    // The command waits for the one that the keeper started in its place.
    let status = server.json(&["status", "shop"]);
    assert_eq!(
        (&status["rollout"]["step"], &status["rollout"]["weight"]),
        (&2.into(), &50_000.into())
    );
    assert_ne!(server.control_pid(), killed);
    server.ok(&["promote"]);
    server.ok(&["wait"]);
    load.wait_for(100);
    let report = load.report();
    assert_eq!(report.failures, [""; 0]);
    assert!(report.by_version.contains_key("v1") && report.by_version.contains_key("v2"));
    assert!(restarts(&server).iter().all(|restarts| *restarts == 0));
}

fn restarts(server: &Server) -> Vec<u64> {
    let status = server.json(&["status", "shop"]);
    let instances = status["instances"].as_array().unwrap();
    instances.iter().map(|instance| instance["restarts"].as_u64().unwrap()).collect()
}

#[test]
fn a_deploy_that_is_followed_survives_the_control_plane() {
    let (server, listen) = serving(HELD);
    let load = Load::start(listen, USERS, Connections::Kept);
    let mut command = server.command(&["deploy", "-r", "v2"]);
    let mut deploy = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(deploy.stderr.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.contains("step 1 of 3 done")).unwrap();
    kill(server.control_pid(), Signal::KILL);
    // A wish that meets a dying server may be lost, and says so; a look waits for the next one.
    server.ok(&["status"]);
    server.ok(&["promote"]);
    let rest: Vec<String> = lines.collect();
    assert_eq!(deploy.wait().unwrap().code(), Some(0), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("v2 is promoted")), "{rest:?}");
    assert_eq!(load.report().failures, [""; 0]);
}

#[test]
fn a_killed_data_plane_refuses_no_connection() {
    let (server, listen) = serving(QUICK);
    let load = Load::start(listen, USERS, Connections::Fresh);
    load.wait_for(100);
    for _ in 0..3 {
        kill(server.proxy_pid(), Signal::KILL);
        load.wait_for(200);
    }
    let report = load.report();
    // What it was holding when it died is lost, nothing else.
    assert!(report.failures.len() <= 3 * USERS, "{report:?}");
    let refused = |failure: &String| failure.contains("Refused") || failure.contains("status");
    assert!(!report.failures.iter().any(refused), "{report:?}");
    server.ok(&["deploy", "-r", "v2"]);
}

#[test]
fn a_killed_keeper_stops_nothing_and_adopts_what_runs() {
    let (mut server, listen) = serving(QUICK);
    let load = Load::start(listen, USERS, Connections::Kept);
    load.wait_for(100);
    kill(server.keeper_pid(), Signal::KILL);
    load.wait_for(300);
    let before = pids(&server);
    server.start_again();
    load.wait_for(300);
    assert_eq!(pids(&server), before);
    server.ok(&["deploy", "-r", "v2"]);
    load.wait_for(100);
    let report = load.report();
    assert_eq!(report.failures, [""; 0]);
    assert!(report.by_version.contains_key("v2"), "{report:?}");
}

fn pids(server: &Server) -> Vec<u64> {
    let status = server.json(&["status", "shop"]);
    let instances = status["instances"].as_array().unwrap();
    let mut pids: Vec<_> =
        instances.iter().filter_map(|instance| instance["pid"].as_u64()).collect();
    pids.sort_unstable();
    pids
}

#[test]
fn a_killed_instance_costs_at_most_what_it_was_holding() {
    let (server, listen) = serving(QUICK);
    let load = Load::start(listen, USERS, Connections::Kept);
    load.wait_for(100);
    let after = last_seq(&server);
    let victim = pids(&server)[0];
    kill(victim as u32, Signal::KILL);
    load.wait_for(500);
    let report = load.report();
    assert!(report.failures.len() <= USERS, "{report:?}");
    // It is replaced without being asked for.
    server.ok(&["deploy", "-r", "v2"]);
    assert!(!pids(&server).contains(&victim));
    assert!(server.journal_until(after, "v2 is stable now").len() > 1);
}

#[test]
fn a_server_stopped_and_started_goes_on() {
    let (server, listen) = serving(HELD);
    server.ok(&["deploy", "-r", "v2", "--detach"]);
    server.ok(&["wait", "--for", "step=2"]);
    let load = Load::start(listen, USERS, Connections::Fresh);
    for _ in 0..3 {
        kill(server.control_pid(), Signal::KILL);
        kill(server.proxy_pid(), Signal::KILL);
        load.wait_for(100);
        let status = server.json(&["status", "shop"]);
        assert_eq!(status["rollout"]["weight"], 50_000);
    }
    let report = load.report();
    assert!(report.failures.len() <= 3 * USERS, "{report:?}");
    server.ok(&["abort"]);
    assert_eq!(server.json(&["status", "shop"])["state"], "stable");
}
