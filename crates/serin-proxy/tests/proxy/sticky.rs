//! Affinity: users stay with their arm, and are counted as users.

use crate::app::{App, Asked};
use crate::rig::{Proxy, arm, arm_at, until};
use crate::user::{Got, User};
use serin_proxy::wire::{
    Affinity, AffinityKey, Arm, ArmCounters, Generation, Reply, Request, Role, Route,
};
use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc;

/// Generation 1.`n` of a route whose users are known by the cookie `user`.
fn sticky(proxy: &Proxy, n: u64, window_s: u32, arms: Vec<Arm>) -> Route {
    let key = AffinityKey::Cookie("user".into());
    let affinity = Some(Affinity { key, salt: "7".into(), window_s });
    Route { affinity, ..proxy.route(n, arms) }
}

fn ask(user: &mut User, path: &str, headers: &str) -> Got {
    user.send(format!("GET {path} HTTP/1.1\r\nHost: shop\r\n{headers}\r\n"));
    user.receive()
}

fn ask_as(user: &mut User, path: &str, name: usize) -> Got {
    ask(user, path, &format!("Cookie: a=b; user=u{name}\r\n"))
}

/// Windows of `window_s` seconds that the arm's requests arrived in.
fn windows(arm: &ArmCounters, window_s: u64) -> u64 {
    let window = |ms: u64| ms / 1_000 / window_s;
    window(arm.last_assigned_ms) - window(arm.first_assigned_ms) + 1
}

/// `found` is `users` in one window, and in several no more than each of them in each.
fn assert_once(found: u64, users: u64, windows: u64) {
    assert!((users..=users * windows).contains(&found), "{found} of {users} in {windows}");
}

fn moody(asked: &mut Asked) -> io::Result<()> {
    match asked.path.as_str() {
        "/500" => asked.reply(500, "mine"),
        _ => asked.reply(200, "fine"),
    }
}

#[test]
fn a_user_stays_with_its_arm_and_only_ever_moves_to_the_candidate() {
    let (old, new) = (App::named("v1"), App::named("v2"));
    let mut proxy = Proxy::with(2, None);
    let mut before = [false; 400];
    let mut connections: Vec<User> = Vec::new();
    for (n, weight) in [(1, 2_000), (2, 10_000), (3, 40_000), (4, 80_000), (5, 100_000)] {
        let arms = vec![arm("v1", 100_000 - weight, &[&old]), arm("v2", weight, &[&new])];
        proxy.apply_route(sticky(&proxy, n, 60, arms));
        if connections.len() < 4 {
            connections = (0..4).map(|_| User::connect(proxy.addr)).collect();
        }
        if n == 4 {
            proxy.restart();
            until("the listener", || std::net::TcpStream::connect(proxy.addr).ok());
            connections = (0..4).map(|_| User::connect(proxy.addr)).collect();
        }
        for (name, before) in before.iter_mut().enumerate() {
            let mut on = |connection: usize| {
                let got = ask_as(&mut connections[connection % 4], "/", name);
                assert_eq!((got.status, got.header("set-cookie")), (200, None));
                got.text() == "v2"
            };
            let (first, again) = (on(name), on(name + 1));
            assert_eq!(first, again, "user {name} at {weight}");
            assert!(first || !*before, "user {name} came back at {weight}");
            *before = first;
        }
        let share = f64::from(weight) / 1e5;
        let moved = before.iter().filter(|moved| **moved).count() as f64;
        let spread = 4.0 * (400.0 * share * (1.0 - share)).sqrt();
        assert!((moved - 400.0 * share).abs() <= spread, "{moved} users at {weight}");
    }
}

#[test]
fn a_newcomer_gets_a_cookie_in_either_arm_and_is_known_by_it() {
    let (old, new) = (App::named("v1"), App::named("v2"));
    let proxy = Proxy::start();
    let arms = vec![arm("v1", 50_000, &[&old]), arm("v2", 50_000, &[&new])];
    proxy.apply_route(sticky(&proxy, 1, 60, arms));
    let mut user = User::connect(proxy.addr);
    let (mut seen, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..60 {
        let first = user.get("/");
        let cookie = first.header("set-cookie").unwrap();
        let (pair, rest) = cookie.split_once("; ").unwrap();
        assert_eq!(rest, "Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax");
        let again = ask(&mut user, "/", &format!("Cookie: {pair}\r\n"));
        assert_eq!((again.text(), again.header("set-cookie")), (first.text(), None));
        seen.insert(first.text().to_owned());
        ids.insert(pair.to_owned());
    }
    assert_eq!((seen.len(), ids.len()), (2, 60));
    proxy.apply_route(sticky(&proxy, 2, 60, vec![arm("v1", 100_000, &[])]));
    let refused = user.get("/");
    assert_eq!(refused.status, 503);
    assert!(refused.header("set-cookie").unwrap().starts_with("user="));
}

#[test]
fn without_affinity_nobody_gets_a_cookie_and_requests_are_counted() {
    let app = App::named("v1");
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let mut user = User::connect(proxy.addr);
    for _ in 0..30 {
        assert_eq!(ask_as(&mut user, "/", 1).header("set-cookie"), None);
    }
    let arm = proxy.arm_when(1, "v1", |arm| arm.judged.n == 30);
    assert_eq!((arm.judged.sessions, arm.sessions_assigned, arm.split.len()), (false, 0, 0));
}

#[test]
fn users_are_counted_once_over_all_workers_however_often_they_ask() {
    let app = App::start(moody);
    let proxy = Proxy::with(2, None);
    proxy.apply_route(sticky(&proxy, 1, 3, vec![arm("v1", 100_000, &[&app])]));
    let mut connections: Vec<User> = (0..4).map(|_| User::connect(proxy.addr)).collect();
    for round in 0..8 {
        for name in 0..40 {
            // A quarter of the users meets one error; user 0 asks far more than the others.
            let path = if name % 4 == 1 && round == name % 8 { "/500" } else { "/" };
            ask_as(&mut connections[(name + round) % 4], path, name);
            ask_as(&mut connections[round % 4], "/", 0);
        }
    }
    let arm = proxy.arm_when(1, "v1", |arm| arm.judged.n >= 40);
    let windows = windows(&arm, 3);
    assert_eq!((arm.assigned, arm.judged.sessions), (640, true));
    assert_once(arm.judged.n, 40, windows);
    assert_eq!(arm.judged.errors, 10, "one error, one window");
    assert_once(arm.sessions_assigned, 40, windows);
    let latencies = arm.judged.latency.iter().map(|(_, count)| count).sum::<u64>();
    assert!((40 - 10..=arm.judged.n).contains(&latencies), "{latencies}");
    let split = arm.split.iter().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    assert_eq!((arm.split.len(), split), (64, (arm.judged.n, 10)));
    let requests = arm.instances[0].1;
    assert_eq!((arm.instances.len(), requests, arm.instances[0].2), (1, 640, 10));
}

#[test]
fn a_request_that_hangs_makes_its_user_an_error_when_the_window_closes() {
    let (release, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let app = App::start(move |asked| {
        if asked.path == "/hang" {
            let _ = held.lock().unwrap().recv();
        }
        asked.reply(200, "fine")
    });
    let proxy = Proxy::start();
    proxy.apply_route(sticky(&proxy, 1, 1, vec![arm("v1", 100_000, &[&app])]));
    let mut user = User::connect(proxy.addr);
    (0..20).for_each(|_| assert_eq!(ask_as(&mut user, "/", 0).status, 200));
    let mut hanging = User::connect(proxy.addr);
    hanging.send("GET /hang HTTP/1.1\r\nHost: shop\r\nCookie: user=u1\r\n\r\n");
    until("the request", || (app.served() == 21).then_some(()));
    let open = proxy.counters();
    let second = open.arm("shop", Generation { epoch: 1, n: 1 }, "v1").unwrap().last_assigned_ms;
    assert!(open.closed_through_s < second / 1_000, "{} of {second}", open.closed_through_s);
    let arm = proxy.arm_when(1, "v1", |arm| arm.judged.unfinished == 1);
    assert_eq!(arm.judged.errors, 1);
    assert!(proxy.counters().closed_through_s >= second / 1_000);
    release.send(()).unwrap();
    assert_eq!(hanging.receive().status, 200);
    let arm = proxy.arm_when(1, "v1", |arm| arm.totals.requests == 21);
    assert_eq!((arm.judged.errors, arm.judged.unfinished), (1, 1));
}

#[test]
fn a_user_who_leaves_is_no_error_and_one_who_asks_again_is_one_user() {
    let app = App::start(|asked| {
        if asked.path == "/wait" {
            return asked.chunk(&mut Vec::new()).map(|_| ());
        }
        asked.reply(200, "fine")
    });
    let proxy = Proxy::start();
    proxy.apply_route(sticky(&proxy, 1, 2, vec![arm("v1", 100_000, &[&app])]));
    let mut user = User::connect(proxy.addr);
    (0..20).for_each(|_| assert_eq!(ask_as(&mut user, "/", 0).status, 200));
    for name in [1, 2] {
        let mut leaving = User::connect(proxy.addr);
        leaving.send(format!("GET /wait HTTP/1.1\r\nHost: a\r\nCookie: user=u{name}\r\n\r\n"));
        until("the request", || (app.served() == 20 + name).then_some(()));
        leaving.hang_up();
    }
    assert_eq!(ask_as(&mut user, "/", 2).status, 200);
    let arm = proxy.arm_when(1, "v1", |arm| arm.judged.n >= 2 && arm.judged.aborted == 2);
    assert_once(arm.judged.n, 2, windows(&arm, 2));
    assert_eq!((arm.judged.errors, arm.totals.client_aborts), (0, 2));
}

#[test]
fn a_header_can_name_the_user_and_requests_without_it_are_dealt_one_by_one() {
    let (old, new) = (App::named("v1"), App::named("v2"));
    let proxy = Proxy::start();
    let arms = vec![arm("v1", 50_000, &[&old]), arm("v2", 50_000, &[&new])];
    let mut route = sticky(&proxy, 1, 60, arms);
    route.affinity.as_mut().unwrap().key = AffinityKey::Header("X-User".into());
    proxy.apply_route(route);
    let mut user = User::connect(proxy.addr);
    let mut of = |headers: &str| {
        let got = ask(&mut user, "/", headers);
        assert_eq!((got.status, got.header("set-cookie")), (200, None), "{headers}");
        got.text().to_owned()
    };
    let mut seen = BTreeSet::new();
    for name in 0..30 {
        let first = of(&format!("X-User: u{name}\r\n"));
        assert_eq!(first, of(&format!("x-user:  u{name} \r\nX-User: other\r\n")));
        seen.insert(first);
    }
    assert_eq!(seen.len(), 2);
    for none in ["", "X-User:\r\n"] {
        let drawn: BTreeSet<String> = (0..60).map(|_| of(none)).collect();
        assert_eq!(drawn.len(), 2, "{none:?}");
    }
}

#[test]
fn odd_cookies_cost_no_request() {
    let app = App::named("v1");
    let proxy = Proxy::start();
    proxy.apply_route(sticky(&proxy, 1, 60, vec![arm("v1", 100_000, &[&app])]));
    let mut user = User::connect(proxy.addr);
    let long = "x".repeat(20_000);
    for cookie in ["", "user", "user=", "=", ";;;", "user==;=;", "user=\"", "user=a; user=b", &long]
    {
        let got = ask(&mut user, "/", &format!("Cookie: {cookie}\r\n"));
        assert_eq!(got.status, 200, "{cookie:.20}");
        let known = ["user==;=;", "user=\"", "user=a; user=b"].contains(&cookie);
        assert_eq!(got.header("set-cookie").is_none(), known, "{cookie:.20}");
    }
    let got = ask(&mut user, "/", &format!("Cookie: user={long}\r\n"));
    assert_eq!((got.status, got.header("set-cookie")), (200, None));
    user.send("GET / HTTP/1.1\r\nHost: a\r\nCookie: ü=ß; user=\u{80}ü\r\n\r\n");
    assert_eq!(user.receive().status, 200);
}

#[test]
fn the_apps_own_cookie_of_that_name_wins() {
    let app = App::start(|asked| {
        use std::io::Write;
        let head = "HTTP/1.1 200 X\r\nset-cookie: user=own; Path=/\r\ncontent-length: 0\r\n\r\n";
        asked.stream.write_all(head.as_bytes())
    });
    let proxy = Proxy::start();
    proxy.apply_route(sticky(&proxy, 1, 60, vec![arm("v1", 100_000, &[&app])]));
    let got = User::connect(proxy.addr).get("/");
    let set: Vec<&str> = got
        .head
        .lines()
        .filter(|line| line.to_ascii_lowercase().starts_with("set-cookie"))
        .collect();
    assert_eq!(set, ["set-cookie: user=own; Path=/"]);
}

#[test]
fn the_baseline_is_an_arm_of_its_own_with_stables_revision() {
    let [old, fresh, new] = ["old", "fresh", "new"].map(App::named);
    let proxy = Proxy::start();
    let mut baseline = arm_at("v1", 20_000, &[fresh.addr]);
    baseline.role = Role::Baseline;
    baseline.backends[0].instance = "v1-fresh".into();
    let arms = vec![arm("v1", 60_000, &[&old]), arm("v2", 20_000, &[&new]), baseline];
    proxy.apply(1, arms.clone());
    let mut user = User::connect(proxy.addr);
    let mut served = [0_u64; 3];
    for _ in 0..300 {
        let got = user.get("/");
        served[["old", "fresh", "new"].iter().position(|name| *name == got.text()).unwrap()] += 1;
    }
    let counters = until("the close of every cohort", || {
        let counters = proxy.counters();
        let arms = &counters.services[0].arms;
        (arms.iter().map(|arm| arm.judged.n).sum::<u64>() == 300).then_some(counters)
    });
    let generation = Generation { epoch: 1, n: 1 };
    let fresh = counters.baseline("shop", generation).unwrap();
    let [old, new] = ["v1", "v2"].map(|name| counters.arm("shop", generation, name).unwrap());
    assert_eq!([old.judged.n, fresh.judged.n, new.judged.n], served);
    assert_eq!(
        (fresh.role, old.role, fresh.revision.as_str()),
        (Role::Baseline, Role::Stable, "v1")
    );
    assert_eq!(fresh.instances, [("v1-fresh".to_owned(), served[1], 0)]);
    assert_eq!(old.instances, [("v1-0".to_owned(), served[0], 0)]);
    let sticky = sticky(&proxy, 2, 60, arms);
    proxy.apply_route(sticky.clone());
    let mut of = |name| ask_as(&mut user, "/", name).text().to_owned();
    let dealt: Vec<String> = (0..60).map(&mut of).collect();
    assert_eq!(dealt.iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!((0..60).map(of).collect::<Vec<_>>(), dealt);
    let mut bad = sticky;
    (bad.generation.n, bad.affinity.as_mut().unwrap().window_s) = (3, 301);
    let reply = proxy.ask(&Request::Apply(bad));
    assert!(matches!(&reply, Reply::Error(why) if why.contains("301 s")), "{reply:?}");
}

#[test]
fn instances_of_an_arm_that_disagree_are_told_apart() {
    let (well, ill) = (App::start(moody), App::start(|asked| asked.reply(500, "ill")));
    let proxy = Proxy::with(2, None);
    proxy.apply(1, vec![arm("v1", 100_000, &[&well, &ill])]);
    let mut connections: Vec<User> = (0..4).map(|_| User::connect(proxy.addr)).collect();
    let mut errors = 0;
    for n in 0..200 {
        errors += u64::from(connections[n % 4].get("/").status == 500);
    }
    let arm = proxy.arm_when(1, "v1", |arm| arm.judged.n == 200);
    let mut found = arm.instances.clone();
    found.sort();
    let wanted = [("v1-0".to_owned(), 200 - errors, 0), ("v1-1".to_owned(), errors, errors)];
    assert_eq!(found, wanted);
    assert!(errors > 0 && errors < 200, "{errors}");
}
