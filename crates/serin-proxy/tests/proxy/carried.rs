//! Flags that requests carry: told to the app, and counted by arm apart from the service.

use crate::app::{App, Asked};
use crate::rig::{Proxy, arm, until};
use crate::user::{Got, User};
use serin_flags::{
    Definition, FlagKey, Goal, Judged, Killed, Kind, PathTest, Release, SetDefinition, Timestamp,
};
use serin_proxy::edge::{Revision, Table, Upsert};
use serin_proxy::wire::{
    ArmCounters, Flags, FlagsReply, Generation, Reply, Request, Route, ServiceCounters, Source,
    WEIGHT_TOTAL,
};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

const SERVICE: &str = "flag:production:checkout";
const HEADER: &str = "x-serin-flag-checkout";

/// Fails for those who get the new checkout, and says what it was told.
fn app() -> App {
    App::start(|asked: &mut Asked| -> io::Result<()> {
        asked.body()?;
        let told = asked.headers(HEADER).join(",");
        let broken = told == "on" && asked.path == "/buy";
        asked.reply(if broken { 500 } else { 200 }, &told)
    })
}

fn release(weight: u32, n: u64) -> Release {
    let judged = Judged {
        service: SERVICE.into(),
        carrier: "shop".into(),
        on: "on@0b".into(),
        off: "off@0a".into(),
        window_s: 1,
        goal: None,
        reported: false,
    };
    let plain = Release::new("checkout", "on", "off").at(weight);
    Release { generation: format!("1.{n}"), judged: Some(judged), ..plain }
}

fn definition(release: Option<Release>) -> Definition {
    Definition { release, ..Definition::boolean(Kind::Release, "shop") }
}

fn key() -> FlagKey {
    "checkout".parse().unwrap()
}

fn hold(proxy: &Proxy, n: u64, definition: Definition) {
    let mut set = SetDefinition::new("production");
    set.flags.insert(key(), definition);
    let revision = Revision { epoch: 1, n };
    let table = Table { revision, sets: vec![Arc::new(set)], ..Table::default() };
    let reply = proxy.ask(&Request::Flags(table));
    let held = FlagsReply::Held { revision, durable: true, error: None };
    assert_eq!(reply, Reply::Flags(held));
}

/// The service with its flags; users are told apart by a cookie.
fn carrying(proxy: &Proxy, app: &App) -> Route {
    let user = Source::Cookie("user".into());
    let attributes = BTreeMap::from([("plan".to_owned(), Source::Header("x-plan".to_owned()))]);
    let flags = Flags { attributes, ..Flags::new("production", user) };
    Route { flags: Some(flags), ..proxy.route(1, vec![arm("v1", WEIGHT_TOTAL, &[app])]) }
}

fn ask(user: &mut User, path: &str, name: usize) -> Got {
    let cookie = format!("Cookie: user=u{name}\r\nX-Serin-Flag-checkout: forged\r\n");
    user.send(format!("GET {path} HTTP/1.1\r\nHost: shop\r\n{cookie}\r\n"));
    user.receive()
}

fn counters(proxy: &Proxy, n: u64) -> Option<ServiceCounters> {
    let generation = Generation { epoch: 1, n };
    let is = |one: &ServiceCounters| one.service == SERVICE && one.generation == generation;
    proxy.counters().services.into_iter().find(is)
}

/// The arms of a release, treatment first, once as many requests were judged.
fn arms(proxy: &Proxy, n: u64, assigned: u64) -> [ArmCounters; 2] {
    until("the counts", || {
        let arms = counters(proxy, n)?.arms;
        let find = |revision: &str| arms.iter().find(|arm| arm.revision == revision).cloned();
        let both = [find("on@0b")?, find("off@0a")?];
        let all = both.iter().map(|arm| arm.assigned).sum::<u64>();
        let closed = both.iter().all(|arm| arm.sessions_assigned > 0);
        (all == assigned && closed).then_some(both)
    })
}

#[test]
fn users_of_a_release_are_told_and_counted_by_arm() {
    let (proxy, app) = (Proxy::with(2, None), app());
    proxy.apply_route(carrying(&proxy, &app));
    hold(&proxy, 1, definition(Some(release(25_000, 7))));
    let mut users: Vec<User> = (0..2).map(|_| User::connect(proxy.addr)).collect();
    users.iter_mut().for_each(User::set_pace);
    let (mut on, mut broken) = (0, 0);
    for name in 0..400 {
        for user in &mut users {
            let got = ask(user, "/", name);
            assert_eq!(got.status, 200);
            assert!(["on", "off"].contains(&got.text()), "{} is no variant", got.text());
            on += usize::from(got.text() == "on");
        }
        let got = ask(&mut users[0], "/buy", name);
        broken += usize::from(got.status == 500);
        assert_eq!(got.status == 500, got.text() == "on");
    }
    assert!((130..=270).contains(&on), "{on} of 800 at 25 %");
    assert_eq!(broken * 2, on, "the same users every time");
    // The second client of the pace has no cookie: two newcomers for each of its requests.
    let both = arms(&proxy, 7, counted(&proxy, 7));
    let [treated, control] = &both;
    assert!(treated.judged.sessions && control.judged.sessions);
    assert!(treated.judged.errors > 0 && control.judged.errors == 0, "{both:?}");
    let pool = (both[0].sessions_assigned + both[1].sessions_assigned) as f64;
    let share = both[0].sessions_assigned as f64 / pool;
    assert!((0.38..=0.62).contains(&share), "{share} of the pool is treated");
    assert_eq!(counters(&proxy, 7).unwrap().crossed, 0);
    let own = proxy.arm_when(1, "v1", |arm| arm.judged.n > 0);
    assert!(!own.judged.sessions, "the service's own counts are as ever");
}

fn counted(proxy: &Proxy, n: u64) -> u64 {
    counters(proxy, n).unwrap().arms.iter().map(|arm| arm.assigned).sum()
}

#[test]
fn a_goal_is_counted_by_arm_when_it_was_answered_well() {
    let app = App::start(|asked: &mut Asked| -> io::Result<()> {
        asked.body()?;
        let told = asked.headers(HEADER).join(",");
        let sold = told == "on" || !asked.path.starts_with("/buy");
        asked.reply(if sold { 200 } else { 402 }, &told)
    });
    let proxy = Proxy::with(2, None);
    proxy.apply_route(carrying(&proxy, &app));
    let mut release = release(50_000, 9);
    let path = PathTest::Exact("/buy".into());
    let goal = Some(Goal { method: Some("GET".into()), path });
    release.judged = release.judged.map(|judged| Judged { goal, ..judged });
    hold(&proxy, 1, definition(Some(release)));
    let mut user = User::connect(proxy.addr);
    user.set_pace();
    let mut bought = 0;
    for name in 0..100 {
        ask(&mut user, "/", name);
        if name % 2 == 0 {
            bought += u64::from(ask(&mut user, "/buy?item=1", name).status == 200);
        }
    }
    let [treated, control] = arms(&proxy, 9, counted(&proxy, 9));
    assert!((10..=40).contains(&bought), "{bought} of 50 have the button");
    assert!(treated.judged.goals > 0 && treated.judged.goals < treated.judged.n, "{treated:?}");
    assert_eq!(control.judged.goals, 0, "402 is no success: {control:?}");
    assert_eq!(control.judged.errors, 0, "and no error");
    let own = proxy.arm_when(1, "v1", |arm| arm.judged.n > 0);
    assert_eq!(own.judged.goals, 0, "the service has no goal of its own");
}

#[test]
fn a_growing_release_takes_nobody_back_and_counts_under_its_generation() {
    let (mut proxy, app) = (Proxy::start(), app());
    proxy.apply_route(carrying(&proxy, &app));
    let mut before = [false; 200];
    for (n, weight) in [(1, 5_000), (2, 25_000), (3, 50_000), (4, 100_000)] {
        hold(&proxy, n, definition(Some(release(weight, n))));
        if n == 3 {
            proxy.restart();
            until("the listener", || std::net::TcpStream::connect(proxy.addr).ok());
        }
        let mut user = User::connect(proxy.addr);
        for (name, before) in before.iter_mut().enumerate() {
            let now = ask(&mut user, "/", name).text() == "on";
            assert!(now || !*before, "user {name} lost it at {weight}");
            *before = now;
        }
        assert!(counted(&proxy, n) > 0);
    }
    assert!(before.iter().all(|on| *on));
}

#[test]
fn a_kill_is_the_old_path_for_the_very_next_request() {
    let (proxy, app) = (Proxy::start(), app());
    proxy.apply_route(carrying(&proxy, &app));
    hold(&proxy, 1, definition(Some(release(WEIGHT_TOTAL, 1))));
    let mut user = User::connect(proxy.addr);
    assert_eq!(ask(&mut user, "/", 1).text(), "on");
    let killed = Killed { by: "ada".into(), at: Timestamp(1), reason: "errors".into() };
    let flag = Definition { killed: Some(killed), ..definition(Some(release(WEIGHT_TOTAL, 1))) };
    let (set, definition) = ("production".to_owned(), Some(Arc::new(flag)));
    let change = Upsert {
        base: Revision { epoch: 1, n: 1 },
        revision: Revision { epoch: 1, n: 2 },
        set,
        key: key(),
        definition,
    };
    let reply = proxy.ask(&Request::FlagUpsert(change));
    assert!(matches!(reply, Reply::Flags(FlagsReply::Held { durable: true, .. })), "{reply:?}");
    assert_eq!(ask(&mut user, "/", 1).text(), "off");
}

#[test]
fn a_newcomer_is_given_a_cookie_and_stays_who_it_is() {
    let (proxy, app) = (Proxy::start(), app());
    proxy.apply_route(carrying(&proxy, &app));
    hold(&proxy, 1, definition(Some(release(50_000, 1))));
    for _ in 0..20 {
        let mut user = User::connect(proxy.addr);
        let first = user.get("/");
        let cookie = first.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        assert!(cookie.starts_with("user="), "{cookie}");
        user.send(format!("GET / HTTP/1.1\r\nHost: shop\r\nCookie: {cookie}\r\n\r\n"));
        let second = user.receive();
        assert_eq!((second.text(), second.header("set-cookie")), (first.text(), None));
    }
}

#[test]
fn without_flags_a_client_still_cannot_pretend() {
    let (proxy, app) = (Proxy::start(), app());
    proxy.serve(&[&app]);
    let mut user = User::connect(proxy.addr);
    assert_eq!(ask(&mut user, "/", 1).text(), "");
}
