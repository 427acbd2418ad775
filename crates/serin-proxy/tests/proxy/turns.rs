//! What is unfinished at the close is held against whoever keeps it waiting.
//!
//! As long as stable's pace is unknown nothing closes, so each test arranges who waits for whom
//! first, and only then lets the twenty answers come by which the pace is known.

use crate::app::{App, Asked};
use crate::rig::{Proxy, arm, until};
use crate::user::User;
use serin_proxy::wire::{Affinity, AffinityKey, ArmCounters, Route};
use std::io::{self, Read, Write};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

/// More than all buffers on the way take.
const BIG: u64 = 1 << 30;

/// Writes until the other side has taken nothing for a while.
fn fill(stream: &std::net::TcpStream) {
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let error = io::copy(&mut io::repeat(7).take(BIG), &mut &*stream).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

fn stay(ready: &Sender<()>) -> ! {
    ready.send(()).unwrap();
    loop {
        std::thread::park();
    }
}

/// An app with a few ways not to answer; it says when it has come to wait.
fn odd() -> (App, Receiver<()>) {
    let (ready, arrived) = mpsc::channel();
    let app = App::start(move |asked: &mut Asked| match asked.path.as_str() {
        "/deaf" => stay(&ready),
        "/hang" => {
            asked.body()?;
            stay(&ready)
        }
        "/half" => {
            asked.stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\nhalf")?;
            stay(&ready)
        }
        "/big" => {
            write!(asked.stream, "HTTP/1.1 200 X\r\ncontent-length: {BIG}\r\n\r\n")?;
            fill(&asked.stream);
            stay(&ready)
        }
        "/big-half" => {
            write!(asked.stream, "HTTP/1.1 200 X\r\ncontent-length: {BIG}\r\n\r\n")?;
            asked.stream.write_all(&vec![7; 100_000])?;
            stay(&ready)
        }
        _ => {
            asked.body()?;
            asked.reply(200, "fine")
        }
    });
    (app, arrived)
}

/// The pace becomes known.
fn warm_up(proxy: &Proxy) {
    let mut user = User::connect(proxy.addr);
    (0..20).for_each(|_| assert_eq!(user.get("/").status, 200));
}

/// n, errors, unfinished, aborted.
fn counts(arm: &ArmCounters) -> [u64; 4] {
    [arm.judged.n, arm.judged.errors, arm.judged.unfinished, arm.judged.aborted]
}

/// The counters once the request that waits and the twenty of the warm-up are judged.
fn judged(proxy: &Proxy) -> ArmCounters {
    warm_up(proxy);
    let arm = proxy.arm_when(1, "v1", |arm| arm.judged.n + arm.judged.aborted == 21);
    assert_eq!((arm.totals.requests, arm.totals.client_aborts), (20, 0), "it is still open");
    assert_eq!(arm.instances, [("v1-0".to_owned(), arm.judged.n, arm.judged.errors)]);
    arm
}

#[test]
fn a_client_that_stops_within_its_body_has_given_up() {
    let (app, _) = odd();
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let mut user = User::connect(proxy.addr);
    user.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
    until("the request", || (app.served() == 1).then_some(()));
    assert_eq!(counts(&judged(&proxy)), [20, 0, 0, 1]);
    user.send("whole");
    assert_eq!(user.receive().status, 200);
    let arm = proxy.arm_when(1, "v1", |arm| arm.totals.requests == 21);
    assert_eq!(counts(&arm), [20, 0, 0, 1], "what has closed stays as it is");
    let all = arm.totals.latency.iter().map(|(_, count)| count).sum::<u64>();
    assert_eq!((all, arm.totals.client_aborts), (21, 0));
}

#[test]
fn a_client_that_hesitated_and_then_sent_its_body_waits_for_the_instance() {
    let (app, arrived) = odd();
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let mut user = User::connect(proxy.addr);
    user.send("POST /hang HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
    until("the request", || (app.served() == 1).then_some(()));
    user.send("whole");
    arrived.recv().unwrap();
    assert_eq!(counts(&judged(&proxy)), [21, 1, 1, 0]);
}

#[test]
fn an_instance_that_does_not_read_a_big_body_is_an_error() {
    let (app, arrived) = odd();
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let mut user = User::connect(proxy.addr);
    user.send(format!("POST /deaf HTTP/1.1\r\nHost: a\r\nContent-Length: {BIG}\r\n\r\n"));
    arrived.recv().unwrap();
    fill(user.reader.get_ref());
    assert_eq!(counts(&judged(&proxy)), [21, 1, 1, 0]);
}

#[test]
fn a_client_that_does_not_read_a_big_response_has_given_up() {
    let (app, arrived) = odd();
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let mut user = User::connect(proxy.addr);
    user.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    arrived.recv().unwrap();
    assert_eq!(counts(&judged(&proxy)), [20, 0, 0, 1]);
    user.hang_up();
    let arm = proxy.arm_when(1, "v1", |arm| arm.totals.requests == 21);
    assert_eq!((counts(&arm), arm.totals.client_aborts), ([20, 0, 0, 1], 1));
}

#[test]
fn an_instance_that_stops_within_its_response_is_an_error() {
    for (path, sent) in [("/half", 4), ("/big-half", 100_000)] {
        let (app, arrived) = odd();
        let proxy = Proxy::start();
        proxy.serve(&[&app]);
        let mut user = User::connect(proxy.addr);
        user.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        arrived.recv().unwrap();
        assert!(user.head().starts_with("HTTP/1.1 200"));
        user.reader.read_exact(&mut vec![0; sent]).unwrap();
        assert_eq!(counts(&judged(&proxy)), [21, 1, 1, 0], "{path}");
    }
}

#[test]
fn a_body_that_is_owed_excuses_no_instance_that_has_begun_to_answer() {
    let (app, arrived) = odd();
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let mut user = User::connect(proxy.addr);
    user.send("POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
    arrived.recv().unwrap();
    assert!(user.head().starts_with("HTTP/1.1 200"));
    assert_eq!(counts(&judged(&proxy)), [21, 1, 1, 0]);
}

#[test]
fn a_user_whose_requests_all_wait_for_the_user_is_not_judged() {
    let (app, arrived) = odd();
    let proxy = Proxy::with(2, None);
    let key = AffinityKey::Cookie("user".into());
    let affinity = Some(Affinity { key, salt: "7".into(), window_s: 2 });
    let arms = vec![arm("v1", 100_000, &[&app])];
    proxy.apply_route(Route { affinity, ..proxy.route(1, arms) });
    let ask = |line: &str, name: &str, body: &str| {
        let mut user = User::connect(proxy.addr);
        user.send(format!("{line} HTTP/1.1\r\nHost: a\r\nCookie: user={name}\r\n{body}"));
        user
    };
    let owing = ask("POST /", "owing", "Content-Length: 9\r\n\r\nhalf");
    let full = ask("GET /big", "full", "\r\n");
    arrived.recv().unwrap();
    let waiting = ask("GET /hang", "waiting", "\r\n");
    arrived.recv().unwrap();
    until("all three", || (app.served() == 3).then_some(()));
    for _ in 0..20 {
        assert_eq!(ask("GET /", "well", "\r\n").receive().status, 200);
    }
    let arm = until("the close of every window", || {
        let service = proxy.counters().services.into_iter().next().unwrap();
        let arm = service.arms.into_iter().next().unwrap();
        (service.closed_through_s >= arm.last_assigned_ms / 1_000).then_some(arm)
    });
    assert_eq!(counts(&arm)[1..], [1, 1, 2], "{arm:?}");
    assert_eq!(arm.sessions_assigned - arm.judged.n, 2, "{arm:?}");
    drop((owing, full, waiting));
}
