//! Users who are logged in while a new version comes out.

use crate::support::{HELD, Server, free_address, shop};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// Status, cookie that was set, and body of `GET path`.
fn get(at: SocketAddr, path: &str, cookie: &str) -> (u16, Option<String>, String) {
    let mut stream = TcpStream::connect(at).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n");
    write!(stream, "{head}cookie: {cookie}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let set = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("set-cookie: ").map(str::to_owned));
    let set = set.map(|line| line.split(';').next().unwrap().to_owned());
    (status, set, body.trim().to_owned())
}

/// Statuses of `/whoami` for one user over a whole rollout: before, in the middle, at its end.
fn statuses(env: &str) -> Vec<u16> {
    let (server, listen) = (Server::start(), free_address());
    let file = server.file("serin.yaml", &shop(listen, env, HELD));
    server.ok(&["apply", "-f", &file]);
    let (status, cookie, _) = get(listen, "/login?user=ada", "");
    assert_eq!(status, 200);
    let cookie = cookie.unwrap();
    let mut seen = Vec::new();
    let mut look = |times: usize| {
        seen.extend((0..times).map(|_| get(listen, "/whoami", &cookie).0));
    };
    look(8);
    server.ok(&["deploy", "shop", "-r", "v2", "--detach"]);
    server.ok(&["wait", "shop", "--for", "step=2"]);
    look(16);
    server.ok(&["promote", "shop"]);
    server.ok(&["wait", "shop"]);
    look(8);
    seen
}

#[test]
fn sessions_in_memory_are_lost_with_the_version_and_it_shows() {
    let seen = statuses("");
    // One instance in two knew the user, and none of the new version does.
    assert!(seen[..8].contains(&200) && seen[..8].contains(&401), "{seen:?}");
    assert!(seen[24..].iter().all(|status| *status == 401), "{seen:?}");
}

#[test]
fn signed_sessions_outlive_the_version() {
    let seen = statuses(", SESSION_KEY: \"of the shop, not of an instance\"");
    assert!(seen.iter().all(|status| *status == 200), "{seen:?}");
}
