//! Copies of requests for a revision on trial.

use crate::app::{App, Asked};
use crate::rig::{Proxy, arm, until};
use crate::user::User;
use serin_proxy::wire::{
    Affinity, AffinityKey, MAX_COPIES, MAX_COPY_BODY, Mirror, RequestMatch, Route, TextMatch,
};
use std::sync::{Arc, Mutex, mpsc};

/// What an app was asked: method, path, mark, body.
type Heard = Arc<Mutex<Vec<(String, String, Option<String>, Vec<u8>)>>>;

fn listening(name: &'static str, heard: &Heard) -> App {
    let heard = heard.clone();
    App::start(move |asked: &mut Asked| {
        let body = asked.body()?;
        let mark = asked.header("x-serin-mirror");
        heard.lock().unwrap().push((asked.method.clone(), asked.path.clone(), mark, body));
        asked.reply(if asked.path == "/500" && name == "v2" { 500 } else { 200 }, name)
    })
}

fn mirrored(proxy: &Proxy, n: u64, apps: [&App; 2], mirror: Mirror) {
    let arms = vec![arm("v1", 100_000, &[apps[0]]), arm("v2", 0, &[apps[1]])];
    proxy.apply_route(Route { mirror: Some(mirror), ..proxy.route(n, arms) });
}

fn all() -> Mirror {
    Mirror { to: "v2".into(), matches: vec![], share: 100_000 }
}

#[test]
fn safe_requests_are_copied_marked_and_judged() {
    let heard = Heard::default();
    let (old, new) = (App::named("v1"), listening("v2", &heard));
    let proxy = Proxy::start();
    mirrored(&proxy, 1, [&old, &new], all());
    let mut user = User::connect(proxy.addr);
    for _ in 0..20 {
        assert_eq!(user.get("/a?b=c").text(), "v1");
        assert_eq!(user.get("/500").status, 200);
        assert_eq!(user.post("/p", "body").text(), "v1");
    }
    let new = proxy.arm_when(1, "v2", |arm| arm.judged.n == 40);
    assert_eq!((new.led, new.copies.sent, new.assigned), (40, 40, 0));
    assert_eq!((new.judged.errors, new.totals.requests), (20, 0));
    assert_eq!(new.judged.latency.iter().map(|(_, count)| count).sum::<u64>(), 20);
    // The 20 posts are not copied, so the old version is not judged by them either.
    let old = proxy.arm_when(1, "v1", |arm| arm.judged.n >= 40);
    assert_eq!((old.assigned, old.judged.n, old.judged.errors, old.led), (60, 40, 0, 0));
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 40);
    let marked = |(method, _, mark, _): &(String, String, Option<String>, _)| {
        method == "GET" && mark.as_deref() == Some("1")
    };
    assert!(heard.iter().all(marked));
    assert!(heard.iter().any(|(_, path, ..)| path == "/a?b=c"));
    assert_eq!(proxy.counters().dropped_total(), 0);
}

#[test]
fn bodies_of_listed_methods_are_copied_up_to_a_limit() {
    let heard = Heard::default();
    let (old, new) = (App::named("v1"), listening("v2", &heard));
    let proxy = Proxy::start();
    let path = Some(TextMatch::Exact("/p".into()));
    let one = RequestMatch { methods: vec!["POST".into()], path, headers: vec![] };
    mirrored(&proxy, 1, [&old, &new], Mirror { matches: vec![one], ..all() });
    let mut user = User::connect(proxy.addr);
    user.set_pace();
    let (fits, large) = ("x".repeat(MAX_COPY_BODY), "y".repeat(MAX_COPY_BODY + 1));
    assert_eq!(user.post("/p", "small").status, 200);
    assert_eq!(user.post("/p", &fits).status, 200);
    assert_eq!(user.post("/p", &large).status, 200);
    assert_eq!(user.post("/other", "small").status, 200);
    assert_eq!(user.get("/p").status, 200);
    let head = "POST /p HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n";
    user.send(format!("{head}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"));
    assert_eq!(user.receive().status, 200);
    user.send(format!("{head}{:x}\r\n{large}\r\n0\r\n\r\n", large.len()));
    assert_eq!(user.receive().status, 200);
    let new = proxy.arm_when(1, "v2", |arm| arm.judged.n == 3);
    assert_eq!((new.copies.sent, new.copies.too_large, new.copies.dropped), (3, 2, 0));
    let mut bodies: Vec<Vec<u8>> = heard.lock().unwrap().iter().map(|one| one.3.clone()).collect();
    bodies.sort_by_key(Vec::len);
    assert_eq!(bodies, [b"small".to_vec(), b"hello world".to_vec(), fits.into_bytes()]);
}

#[test]
fn a_share_is_copied_and_a_copy_is_not() {
    let heard = Heard::default();
    let (old, new) = (App::named("v1"), listening("v2", &heard));
    let proxy = Proxy::start();
    mirrored(&proxy, 1, [&old, &new], Mirror { share: 25_000, ..all() });
    let mut user = User::connect(proxy.addr);
    (0..400).for_each(|_| assert_eq!(user.get("/").status, 200));
    let some = proxy.arm_when(1, "v2", |arm| arm.judged.n > 0 && arm.judged.n == arm.led);
    assert!((60..=140).contains(&some.led), "{some:?}");
    mirrored(&proxy, 2, [&old, &new], all());
    for _ in 0..20 {
        user.send("GET / HTTP/1.1\r\nHost: shop\r\nX-Serin-Mirror: 1\r\n\r\n");
        assert_eq!(user.receive().status, 200);
    }
    proxy.arm_when(2, "v1", |arm| arm.judged.n == 20);
    assert_eq!(proxy.arm_when(2, "v2", |_| true).led, 0);
}

/// Where users are the unit, they are it for copies too: either all of a user's requests are
/// copied or none.
#[test]
fn copies_of_users_are_counted_as_users() {
    let (old, new) = (App::named("v1"), App::named("v2"));
    let proxy = Proxy::start();
    let arms = vec![arm("v1", 100_000, &[&old]), arm("v2", 0, &[&new])];
    let key = AffinityKey::Header("x-user".into());
    let affinity = Some(Affinity { key, salt: "7".into(), window_s: 2 });
    let mirror = Some(Mirror { share: 50_000, ..all() });
    proxy.apply_route(Route { mirror, affinity, ..proxy.route(1, arms) });
    let mut user = User::connect(proxy.addr);
    for name in 0..100 {
        for _ in 0..3 {
            user.send(format!("GET / HTTP/1.1\r\nHost: shop\r\nX-User: u{name}\r\n\r\n"));
            assert_eq!(user.receive().text(), "v1");
        }
    }
    let stable = proxy.arm_when(1, "v1", |arm| arm.judged.n >= 100);
    assert!(stable.judged.sessions && stable.judged.n <= 200, "{stable:?}");
    let copied = proxy.arm_when(1, "v2", |arm| arm.judged.n >= arm.led / 3);
    assert_eq!((copied.led % 3, copied.assigned), (0, 0));
    assert!((25..=75).contains(&(copied.led / 3)) && copied.judged.sessions, "{copied:?}");
    assert!(copied.judged.n <= 2 * copied.led / 3, "once in a window: {copied:?}");
}

/// The candidate never answers; users notice nothing, and copies are bounded.
#[test]
fn users_do_not_wait_for_a_candidate_that_hangs() {
    let old = App::named("v1");
    let (release, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    let new = App::start(move |asked| {
        let _ = hold.lock().unwrap().recv();
        asked.reply(200, "v2")
    });
    let proxy = Proxy::start();
    mirrored(&proxy, 1, [&old, &new], all());
    let mut user = User::connect(proxy.addr);
    let more = u64::from(MAX_COPIES) + 50;
    (0..more).for_each(|_| assert_eq!(user.get("/").text(), "v1"));
    let stuck = proxy.arm_when(1, "v2", |arm| arm.copies.dropped == 50);
    assert_eq!(stuck.copies.sent, u64::from(MAX_COPIES));
    let unfinished = proxy.arm_when(1, "v2", |arm| arm.judged.n == u64::from(MAX_COPIES));
    assert_eq!(unfinished.judged.unfinished, unfinished.judged.errors);
    let load = |counters: serin_proxy::wire::Counters| {
        counters.instances.iter().find(|one| one.instance == "v2-0").map(|one| one.in_flight)
    };
    assert_eq!(load(proxy.counters()), Some(u64::from(MAX_COPIES)), "a drain waits for them");
    drop(release);
    until("the end of the copies", || (load(proxy.counters()) == Some(0)).then_some(()));
    assert_eq!(user.get("/").text(), "v1");
}

#[test]
fn a_candidate_that_is_not_there_costs_users_nothing() {
    let (old, new) = (App::named("v1"), App::named("v2"));
    let proxy = Proxy::start();
    mirrored(&proxy, 1, [&old, &new], all());
    new.kill();
    let mut user = User::connect(proxy.addr);
    (0..20).for_each(|_| assert_eq!(user.get("/").text(), "v1"));
    let failed = proxy.arm_when(1, "v2", |arm| arm.judged.n == 20);
    assert_eq!(failed.judged.errors, 20);
    let arms = vec![arm("v1", 100_000, &[&old]), arm("v2", 0, &[])];
    proxy.apply_route(Route { mirror: Some(all()), ..proxy.route(2, arms) });
    (0..20).for_each(|_| assert_eq!(user.get("/").text(), "v1"));
    let none = proxy.arm_when(2, "v2", |arm| arm.copies.dropped == 20);
    assert_eq!((none.judged.n, none.led), (0, 0));
}

/// A copy is of a whole request, and one that never was whole gives its place back.
#[test]
fn a_request_that_breaks_off_is_not_copied() {
    let heard = Heard::default();
    let (old, new) = (App::named("v1"), listening("v2", &heard));
    let proxy = Proxy::start();
    let one = RequestMatch { methods: vec!["POST".into()], ..RequestMatch::default() };
    mirrored(&proxy, 1, [&old, &new], Mirror { matches: vec![one], ..all() });
    User::connect(proxy.addr).set_pace();
    for _ in 0..=MAX_COPIES {
        let mut user = User::connect(proxy.addr);
        user.send("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 10\r\n\r\nhello");
    }
    let more = u64::from(MAX_COPIES) + 1;
    proxy.arm_when(1, "v1", |arm| arm.totals.client_aborts == more);
    assert_eq!(User::connect(proxy.addr).post("/", "whole").status, 200);
    let new = proxy.arm_when(1, "v2", |arm| arm.judged.n == 1);
    assert_eq!((new.copies.sent, new.led, heard.lock().unwrap().len()), (1, 1, 1));
}
