//! Requests that are led: override, rules, `only`, preview; and goals.

use crate::app::App;
use crate::rig::{Proxy, arm, arm_at, free_addr, until};
use crate::user::{Got, User};
use serin_proxy::wire::{
    Affinity, AffinityKey, Arm, ClientSpan, Clients, Goal, HeaderMatch, Preview, Reply, Request,
    Role, Route, Rule, TextMatch,
};

fn ask(user: &mut User, headers: &str) -> Got {
    user.send(format!("GET / HTTP/1.1\r\nHost: shop\r\n{headers}\r\n"));
    user.receive()
}

fn present(header: &str) -> HeaderMatch {
    HeaderMatch { header: header.into(), value: TextMatch::Present }
}

fn rule(header: &str, to: &str) -> Rule {
    Rule { name: "beta".into(), matches: vec![present(header)], to: to.into() }
}

fn led(proxy: &Proxy, arms: Vec<Arm>) -> Route {
    Route {
        override_header: Some("x-serin".into()),
        rules: vec![rule("x-beta", "v2")],
        ..proxy.route(1, arms)
    }
}

#[test]
fn override_beats_rule_beats_cookie_beats_weight() {
    let (old, new) = (App::named("v1"), App::named("v2"));
    let proxy = Proxy::with(2, None);
    let arms = vec![arm("v1", 100_000, &[&old]), arm("v2", 0, &[&new])];
    let key = AffinityKey::Cookie("user".into());
    let affinity = Some(Affinity { key, salt: "7".into(), window_s: 60 });
    proxy.apply_route(Route { affinity, ..led(&proxy, arms) });
    let mut users: Vec<User> = (0..4).map(|_| User::connect(proxy.addr)).collect();
    for round in 0..40 {
        let user = &mut users[round % 4];
        let cookie = format!("Cookie: user=u{round}\r\n");
        for (headers, wanted) in [
            ("", "v1"),
            ("X-Beta: 1\r\n", "v2"),
            ("X-Beta: 1\r\nX-Serin: never\r\n", "v1"),
            ("X-Beta: 1\r\nX-Serin: nonsense\r\n", "v2"),
            ("X-Serin: Candidate\r\n", "v2"),
            ("X-Serin: V2\r\n", "v2"),
            ("X-Serin: nonsense\r\n", "v1"),
        ] {
            assert_eq!(ask(user, &format!("{cookie}{headers}")).text(), wanted, "{headers}");
        }
    }
    let old = proxy.arm_when(1, "v1", |arm| arm.totals.requests == 120);
    assert_eq!((old.assigned, old.led), (80, 40));
    let new = proxy.arm_when(1, "v2", |arm| arm.totals.requests == 160);
    assert_eq!((new.assigned, new.led, new.judged.n), (0, 160, 0));
    assert_eq!((new.sessions_assigned, new.last_assigned_ms), (0, 0));
}

#[test]
fn what_was_led_is_never_evidence() {
    let (old, new) = (App::named("v1"), App::start(|asked| asked.reply(500, "mine")));
    let proxy = Proxy::start();
    proxy.apply_route(led(&proxy, vec![arm("v1", 100_000, &[&old]), arm("v2", 0, &[&new])]));
    let mut user = User::connect(proxy.addr);
    for _ in 0..20 {
        assert_eq!(ask(&mut user, "X-Beta: 1\r\n").status, 500);
        assert_eq!(ask(&mut user, "").status, 200);
    }
    proxy.arm_when(1, "v1", |arm| arm.judged.n == 20);
    let new = proxy.arm_when(1, "v2", |arm| arm.led == 20);
    assert_eq!((new.judged.n, new.judged.errors, new.totals.responses_5xx), (0, 0, 20));
}

#[test]
fn whoever_is_led_to_nobody_gets_stable_and_is_counted() {
    let old = App::named("v1");
    let proxy = Proxy::start();
    let arms = vec![arm("v1", 100_000, &[&old]), arm("v2", 0, &[])];
    let gone = rule("x-gone", "v7");
    let route = led(&proxy, arms);
    proxy.apply_route(Route { rules: vec![gone, rule("x-beta", "v2")], ..route });
    let mut user = User::connect(proxy.addr);
    for headers in ["X-Beta: 1\r\n", "X-Serin: always\r\n", "X-Gone: 1\r\n"] {
        assert_eq!(ask(&mut user, headers).text(), "v1", "{headers}");
    }
    let new = proxy.arm_when(1, "v2", |arm| arm.totals.requests == 2);
    assert_eq!((new.led, new.totals.fallback, new.assigned), (2, 2, 0));
    let old = proxy.arm_when(1, "v1", |arm| arm.totals.requests == 1);
    assert_eq!((old.led, old.assigned, proxy.counters().dropped_total()), (1, 0, 0));
}

#[test]
fn only_those_who_take_part_are_dealt() {
    let (old, new) = (App::named("v1"), App::named("v2"));
    let proxy = Proxy::start();
    let arms = vec![arm("v1", 0, &[&old]), arm("v2", 100_000, &[&new])];
    proxy.apply_route(Route { only: vec![present("x-in")], ..proxy.route(1, arms) });
    let mut user = User::connect(proxy.addr);
    for _ in 0..20 {
        assert_eq!(ask(&mut user, "").text(), "v1");
        assert_eq!(ask(&mut user, "X-In: 1\r\n").text(), "v2");
    }
    let new = proxy.arm_when(1, "v2", |arm| arm.judged.n == 20);
    assert_eq!((new.assigned, new.led), (20, 0));
    let old = proxy.arm_when(1, "v1", |arm| arm.totals.requests == 20);
    assert_eq!((old.assigned, old.led, old.judged.n), (0, 20, 0));
}

#[test]
fn variants_are_dealt_by_weight_and_kept_revisions_only_by_name() {
    let apps = ["v1", "v2", "v2-red", "v0"].map(App::named);
    let proxy = Proxy::start();
    let of = |at: usize, revision: &str, role, weight| Arm {
        role,
        ..arm_at(revision, weight, &[apps[at].addr])
    };
    let arms = vec![
        of(0, "v1", Role::Stable, 40_000),
        of(1, "v2", Role::Candidate, 30_000),
        of(2, "v2-red", Role::Variant, 30_000),
        of(3, "v0", Role::Kept, 0),
    ];
    proxy.apply_route(led(&proxy, arms));
    let mut user = User::connect(proxy.addr);
    let mut hits = std::collections::BTreeMap::<String, u32>::new();
    for _ in 0..600 {
        *hits.entry(ask(&mut user, "").text().to_owned()).or_default() += 1;
    }
    assert_eq!(hits.keys().collect::<Vec<_>>(), ["v1", "v2", "v2-red"]);
    for (revision, wanted) in [("v1", 240.0), ("v2", 180.0), ("v2-red", 180.0)] {
        let found = f64::from(hits[revision]);
        assert!((found - wanted).abs() < 70.0, "{hits:?}");
        let counted = proxy.arm_when(1, revision, |arm| arm.judged.n == arm.assigned);
        assert_eq!(counted.assigned, u64::from(hits[revision]));
    }
    assert_eq!(ask(&mut user, "X-Serin: v0\r\n").text(), "v0");
}

#[test]
fn stable_users_get_the_cookie_too() {
    let (old, new) = (App::named("v1"), App::named("v2"));
    let proxy = Proxy::start();
    for (n, weight, wanted) in [(1, 0, "v1"), (2, 100_000, "v2")] {
        let arms = vec![arm("v1", 100_000 - weight, &[&old]), arm("v2", weight, &[&new])];
        let key = AffinityKey::Cookie("user".into());
        let affinity = Some(Affinity { key, salt: "7".into(), window_s: 60 });
        proxy.apply_route(Route { affinity, ..proxy.route(n, arms) });
        let got = ask(&mut User::connect(proxy.addr), "");
        assert_eq!(got.text(), wanted);
        assert!(got.header("set-cookie").unwrap().starts_with("user="), "{}", got.head);
    }
}

#[test]
fn a_goal_is_reached_by_an_answer_below_400() {
    let app = App::start(|asked| {
        let status = if asked.path.ends_with("no") { 404 } else { 201 };
        asked.reply(status, "done")
    });
    let proxy = Proxy::start();
    let path = TextMatch::Prefix("/buy".into());
    let goal = Some(Goal { method: Some("POST".into()), path });
    proxy.apply_route(Route { goal, ..proxy.route(1, vec![arm("v1", 100_000, &[&app])]) });
    let mut user = User::connect(proxy.addr);
    user.set_pace();
    for path in ["/buy", "/buy/2?x=1", "/buy/no", "/look"] {
        user.post(path, "body");
    }
    user.get("/buy");
    let counted = proxy.arm_when(1, "v1", |arm| arm.judged.n == 35);
    assert_eq!((counted.judged.goals, counted.judged.errors), (2, 0));
}

#[test]
fn users_reach_a_goal_once_in_a_window() {
    let app = App::named("v1");
    let proxy = Proxy::start();
    let goal = Some(Goal { method: None, path: TextMatch::Exact("/buy".into()) });
    let key = AffinityKey::Header("x-user".into());
    let affinity = Some(Affinity { key, salt: "7".into(), window_s: 2 });
    let arms = vec![arm("v1", 100_000, &[&app])];
    proxy.apply_route(Route { goal, affinity, ..proxy.route(1, arms) });
    let mut user = User::connect(proxy.addr);
    let mut turn = |name: usize, path: &str| {
        user.send(format!("GET {path} HTTP/1.1\r\nHost: shop\r\nX-User: u{name}\r\n\r\n"));
        assert_eq!(user.receive().status, 200);
    };
    for name in 0..10 {
        turn(name, "/");
        if name < 4 {
            (0..3).for_each(|_| turn(name, "/buy"));
        }
        turn(name, "/");
    }
    let counted = proxy.arm_when(1, "v1", |arm| arm.judged.n >= 10);
    // All in one window, or in two when the border was crossed meanwhile.
    assert!((4..=8).contains(&counted.judged.goals), "{counted:?}");
    assert!(counted.judged.goals < counted.judged.n);
}

#[test]
fn a_preview_leads_to_its_revision_alone_and_ends_with_it() {
    let (old, new) = (App::named("v1"), App::named("v2"));
    let mut proxy = Proxy::with(2, None);
    let listen = free_addr();
    let show = |proxy: &Proxy, n: u64, apps: &[&App]| {
        let arms = vec![arm("v1", 100_000, &[&old]), arm("v2", 0, apps)];
        let preview = Some(Preview { listen, to: "v2".into() });
        proxy.apply_route(Route { preview, ..proxy.route(n, arms) });
    };
    show(&proxy, 1, &[]);
    let mut tester = User::connect(listen);
    let got = tester.get("/");
    assert_eq!((got.status, got.header("retry-after")), (503, Some("1")));
    assert!(got.text().contains("no instance of the revision under preview is ready"));
    show(&proxy, 2, &[&new]);
    (0..20).for_each(|_| assert_eq!(tester.get("/").text(), "v2"));
    assert_eq!(User::connect(proxy.addr).get("/").text(), "v1");
    let counted = proxy.arm_when(2, "v2", |arm| arm.led == 20);
    assert_eq!((counted.assigned, counted.judged.n), (0, 0));
    assert_eq!(proxy.counters().dropped_total(), 0, "a preview is no user's");
    proxy.restart();
    until("the listener", || std::net::TcpStream::connect(listen).ok());
    let mut tester = User::connect(listen);
    assert_eq!(tester.get("/").text(), "v2", "it outlives the data plane");

    proxy.apply(3, vec![arm("v1", 100_000, &[&old]), arm("v2", 0, &[&new])]);
    assert_eq!(tester.get("/").status, 503, "nobody is led to what they did not come for");
    until("the end of the listener", || std::net::TcpStream::connect(listen).err());
}

#[test]
fn the_address_of_a_preview_is_nobody_elses() {
    let proxy = Proxy::start();
    let listen = free_addr();
    let preview = Some(Preview { listen, to: "v2".into() });
    let route = Route { preview, ..proxy.route(1, vec![]) };
    proxy.apply_route(route.clone());
    let other = Route { service: "other".into(), listen, preview: None, ..route.clone() };
    let own = Route { listen, sub: 1, ..route };
    for (route, wanted) in [(other, "is the address of shop"), (own, "one of its own")] {
        let Reply::Error(why) = proxy.ask(&Request::Apply(route)) else { panic!("taken") };
        assert!(why.contains(wanted), "{why}");
    }
}

#[test]
fn with_all_weights_at_nothing_users_are_told_to_come_back() {
    let (old, proxy) = (App::named("v1"), Proxy::start());
    proxy.apply(1, vec![arm("v1", 0, &[&old]), arm("v2", 0, &[])]);
    let got = User::connect(proxy.addr).get("/");
    assert_eq!((got.status, got.header("retry-after")), (503, Some("1")));
    assert_eq!(got.text(), "serin: no revision takes requests now; try again in a moment\n");
    assert_eq!(proxy.counters().dropped[0].no_ready, 1);
}

fn serves(from: u64, below: Option<u64>) -> Clients {
    let serves = vec![ClientSpan { from: [from, 0, 0], below: below.map(|major| [major, 0, 0]) }];
    Clients { header: "x-client-version".into(), serves, assume: None }
}

#[test]
fn nobody_gets_an_arm_that_does_not_serve_their_client_while_another_does() {
    let (old, new) = (App::named("v1"), App::named("v2"));
    let proxy = Proxy::start();
    let arms = || vec![arm("v1", 50_000, &[&old]), arm("v2", 50_000, &[&new])];
    let clients = [("v1".to_owned(), serves(2, Some(5))), ("v2".to_owned(), serves(3, None))];
    let route = Route { rules: vec![rule("x-beta", "v2")], ..proxy.route(1, arms()) };
    proxy.apply_route(Route { clients: clients.clone().into(), ..route });
    let mut user = User::connect(proxy.addr);
    for _ in 0..20 {
        for (client, headers, only) in [
            ("2.9.9", "", Some("v1")),
            ("5.0.0-beta.1", "", Some("v2")),
            ("3.4", "", None),
            ("unknown", "", None),
            // Nobody serves it: it goes where everybody goes.
            ("1.0", "", None),
            ("2.1", "X-Beta: 1\r\n", Some("v1")),
            ("4.1", "X-Beta: 1\r\n", Some("v2")),
        ] {
            let got = ask(&mut user, &format!("X-Client-Version: {client}\r\n{headers}"));
            let text = got.text();
            assert!(only.is_none_or(|only| text == only), "{client} {headers}: {text}");
        }
    }
    let all = [
        proxy.arm_when(1, "v1", |arm| arm.led == 40),
        proxy.arm_when(1, "v2", |arm| arm.led == 40),
    ];
    assert_eq!(all.iter().map(|arm| arm.assigned).sum::<u64>(), 60, "only what both serve");
    proxy.apply_route(Route {
        clients: clients.into(),
        ..proxy.route(2, vec![arm("v1", 100_000, &[&old]), arm("v2", 0, &[&new])])
    });
    for _ in 0..20 {
        assert_eq!(ask(&mut user, "X-Client-Version: 6\r\n").text(), "v1", "v2 has no share yet");
    }
}

#[test]
fn without_a_ready_instance_that_serves_them_clients_get_whoever_is_there() {
    let new = App::named("v2");
    let proxy = Proxy::start();
    let arms = vec![arm("v1", 50_000, &[]), arm("v2", 50_000, &[&new])];
    let clients = [("v1".to_owned(), serves(2, Some(5))), ("v2".to_owned(), serves(3, None))];
    proxy.apply_route(Route { clients: clients.into(), ..proxy.route(1, arms) });
    let mut user = User::connect(proxy.addr);
    for _ in 0..20 {
        assert_eq!(ask(&mut user, "X-Client-Version: 2.1\r\n").text(), "v2");
    }
}
