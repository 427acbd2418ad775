//! Release trains, and versions of clients, with real processes.
#![allow(clippy::unwrap_used)] // clippy allows it in the test functions only

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use support::{HELD, QUICK, Server, free_address, shop};

/// A server with revision v1 of a shop with these keys under `spec`, and its address.
fn serving(steps: &str, keys: &str) -> (Server, SocketAddr) {
    let (server, at) = (Server::start(), free_address());
    let text = shop(at, "", steps);
    let text = text.replace("  replicas: 2\n", &format!("  replicas: 2\n{keys}"));
    let file = server.file("serin.yaml", &text);
    server.ok(&["apply", "-f", &file]);
    (server, at)
}

/// A train that does not leave while these tests run.
const LATE: &str = "  train: { every: 30d }\n";

#[test]
fn a_deploy_waits_for_its_train_and_goes_at_once_when_that_is_said() {
    let (server, _) = serving(QUICK, LATE);
    let plan = server.json(&["plan", "-r", "v2"]);
    assert_eq!(plan["action"], "boarded");
    assert!(plan["departs"].is_i64(), "{plan}");
    assert!(server.ok(&["plan", "-r", "v2"]).out.contains("would wait for the train that leaves"));
    let said = server.ok(&["deploy", "-r", "v2", "--detach"]).out;
    assert!(said.starts_with("shop: v2 waits for the train that leaves at 20"), "{said}");
    let shown = server.ok(&["status", "shop"]).out;
    assert!(shown.contains("  train: v2 by tester, leaves at 20"), "{shown}");
    assert!(shown.contains("the train that takes v2 ("), "{shown}");
    assert_eq!(server.run(&["deploy", "-r", "v2", "--timeout", "300ms"]).code, Some(5));
    assert_eq!(server.run(&["deploy", "-r", "v3", "--now"]).code, Some(2), "it asks for a reason");
    server.ok(&["deploy", "-r", "v3", "--now", "--reason", "the till is closed"]);
    let told = server.journal_until(0, "v3 is stable now").join("\n");
    assert!(
        told.contains("v3 does not wait for its train, by tester: the till is closed"),
        "{told}"
    );
    assert!(
        told.contains("v2 by tester does not wait any more: v3 by tester goes at once"),
        "{told}"
    );
    server.ok(&["deploy", "-r", "v4", "--detach"]);
    server.ok(&["rollback"]);
    server.ok(&["abort"]);
    assert!(!server.ok(&["status", "shop"]).out.contains("  train:"), "taken off");
}

#[test]
fn a_time_zone_that_nobody_knows_is_refused_with_its_place() {
    let server = Server::start();
    let text = shop(free_address(), "", QUICK);
    let train = "  train: { at: [\"14:00\"], timeZone: Europe/Nowhere }\n";
    let text = text.replace("  replicas: 2\n", &format!("  replicas: 2\n{train}"));
    let refused = server.run(&["apply", "-f", &server.file("serin.yaml", &text)]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("no time zone `Europe/Nowhere`"), "{}", refused.err);
}

/// The version that answers a client.
fn answers(at: SocketAddr, client: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nhost: shop\r\nx-client-version: {client}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let version = answer.lines().find_map(|line| line.strip_prefix("x-version: "));
    version.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn clients(range: &str) -> String {
    format!("  clients: {{ header: X-Client-Version, serves: \"{range}\" }}\n")
}

#[test]
fn clients_get_a_version_that_serves_them_as_long_as_one_is_there() {
    let (server, at) = serving(HELD, &clients(">=2"));
    let text = shop(at, "", HELD).replace("revision: v1", "revision: v2");
    let text = text.replace("  replicas: 2\n", &format!("  replicas: 2\n{}", clients(">=3")));
    let file = server.file("next.yaml", &text);
    let plan = server.ok(&["plan", "-f", &file]).out;
    assert!(plan.contains("v2 does not serve clients with X-Client-Version 2.0.0 to below 3.0.0"));
    server.ok(&["apply", "-f", &file, "--detach"]);
    server.ok(&["wait", "--for", "step=2"]);
    for _ in 0..40 {
        assert_eq!(answers(at, "2.7.1"), "v1");
    }
    let both: std::collections::BTreeSet<_> = (0..64).map(|_| answers(at, "3.1")).collect();
    assert_eq!(both.len(), 2, "who is served by both is dealt");
    let shown = server.ok(&["status", "shop"]).out;
    assert!(shown.contains("  clients: v2 serves X-Client-Version >=3"), "{shown}");
    server.ok(&["promote", "--full"]);
    server.ok(&["wait"]);
    assert_eq!(answers(at, "2.7.1"), "v2", "v1 is gone");
}
