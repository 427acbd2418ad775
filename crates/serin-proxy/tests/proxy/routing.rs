//! Which arm, which instance.

use crate::app::App;
use crate::rig::{Proxy, arm, arm_at, backend};
use crate::user::User;
use serin_proxy::wire::Role;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_revision_may_get_ready_before_anyone_is_led_to_it() {
    let (app, proxy) = (App::named("v1"), Proxy::start());
    proxy.apply(1, vec![arm("v1", 0, &[&app])]);
    let mut user = User::connect(proxy.addr);
    assert_eq!(user.get("/").status, 503);
    proxy.apply(2, vec![arm("v1", 100_000, &[&app])]);
    assert_eq!(user.get("/").status, 200);
    assert_eq!(app.served(), 1);
}

#[test]
fn a_new_table_holds_for_the_next_request_on_an_old_connection() {
    let (old, new) = (App::named("v1"), App::named("v2"));
    let proxy = Proxy::start();
    proxy.apply(1, vec![arm("v1", 100_000, &[&old]), arm("v2", 0, &[&new])]);
    let mut user = User::connect(proxy.addr);
    assert_eq!(user.get("/").text(), "v1");
    for n in 2..52 {
        let (a, b, wanted) = if n % 2 == 0 { (0, 100_000, "v2") } else { (100_000, 0, "v1") };
        proxy.apply(n, vec![arm("v1", a, &[&old]), arm("v2", b, &[&new])]);
        assert_eq!(user.get("/").text(), wanted, "generation {n}");
    }
}

#[test]
fn counters_are_kept_by_generation() {
    let (old, new) = (App::named("v1"), App::named("v2"));
    let proxy = Proxy::start();
    let mut user = None;
    for n in 1..=18 {
        proxy.apply(n, vec![arm("v1", 100_000, &[&old]), arm("v2", 0, &[&new])]);
        let user = user.get_or_insert_with(|| User::connect(proxy.addr));
        (0..n).for_each(|_| assert_eq!(user.get("/").status, 200));
    }
    let counters = proxy.counters();
    let held: Vec<(u64, u64)> = counters
        .services
        .iter()
        .map(|service| (service.generation.n, service.arms[0].assigned))
        .collect();
    assert_eq!(held, (3..=18).map(|n| (n, n)).collect::<Vec<_>>());
    let last = counters.services.last().unwrap();
    assert_eq!((last.arms[0].weight_asked, last.arms[0].role), (100_000, Role::Stable));
    assert_eq!((last.arms[1].assigned, last.arms[1].first_assigned_ms), (0, 0));
    assert!(last.arms[0].first_assigned_ms <= last.arms[0].last_assigned_ms);
    assert!(last.arms[0].first_assigned_ms >= counters.epoch);
}

#[test]
fn an_arm_without_instances_is_served_by_the_other_and_blamed() {
    let old = App::named("v1");
    let proxy = Proxy::start();
    proxy.apply(1, vec![arm("v1", 50_000, &[&old]), arm("v2", 50_000, &[])]);
    let mut user = User::connect(proxy.addr);
    (0..100).for_each(|_| assert_eq!(user.get("/").text(), "v1"));
    let empty = proxy.arm_when(1, "v2", |arm| arm.judged.n == arm.assigned);
    assert!(empty.assigned > 20, "{empty:?}");
    assert_eq!((empty.judged.errors, empty.totals.fallback), (empty.assigned, empty.assigned));
    let served = proxy.arm_when(1, "v1", |arm| arm.judged.n == arm.assigned);
    assert_eq!(served.assigned + empty.assigned, 100);
    assert_eq!((served.judged.errors, served.totals.fallback), (0, 0));
    assert_eq!(proxy.counters().dropped_total(), 0);
}

#[test]
fn weight_zero_is_never_served() {
    let new = App::named("v2");
    let proxy = Proxy::start();
    proxy.apply(1, vec![arm("v1", 100_000, &[]), arm("v2", 0, &[&new])]);
    let mut user = User::connect(proxy.addr);
    let got = user.get("/");
    assert_eq!((got.status, got.header("retry-after")), (503, Some("1")));
    assert_eq!(got.text(), "serin: no ready instance\n");
    assert_eq!(proxy.counters().dropped[0].no_ready, 1);
    proxy.apply(2, vec![]);
    assert_eq!(user.get("/").status, 503);
    assert_eq!(new.served(), 0);
}

#[test]
fn an_instance_that_just_became_ready_is_not_judged() {
    let app = App::named("v1");
    let proxy = Proxy::start();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let mut young = arm_at("v1", 100_000, &[]);
    young.backends = vec![backend("v1-0", app.addr)];
    young.backends[0].ready_since_ms = now.as_millis() as i64;
    let mut route = proxy.route(1, vec![young.clone()]);
    route.warmup_ms = 3_600_000;
    proxy.apply_route(route.clone());
    let mut user = User::connect(proxy.addr);
    (0..30).for_each(|_| assert_eq!(user.get("/").status, 200));
    route.generation.n = 2;
    route.warmup_ms = 0;
    proxy.apply_route(route);
    (0..30).for_each(|_| assert_eq!(user.get("/").status, 200));
    let judged = proxy.arm_when(2, "v1", |arm| arm.judged.n == 30);
    assert_eq!(judged.judged.latency.iter().map(|(_, count)| count).sum::<u64>(), 30);
    let warm = proxy.arm_when(1, "v1", |arm| arm.totals.requests == 30);
    assert_eq!((warm.judged.n, warm.assigned), (0, 30));
}

#[test]
fn flips_under_load_lose_nothing() {
    let apps = [App::named("v1"), App::named("v1"), App::named("v2"), App::named("v2")];
    let proxy = Proxy::with(2, None);
    let flip = |n: u64| {
        let weight = [0, 100_000, 50_000, 10_000][n as usize % 4];
        let stable = arm("v1", 100_000 - weight, &[&apps[0], &apps[1]]);
        proxy.apply(n, vec![stable, arm("v2", weight, &[&apps[2], &apps[3]])]);
    };
    flip(1);
    let stop = AtomicBool::new(false);
    let total: usize = std::thread::scope(|scope| {
        let load = || {
            let mut user = User::connect(proxy.addr);
            let mut count = 0;
            while !stop.load(Ordering::SeqCst) {
                assert_eq!(user.get("/").status, 200);
                assert_eq!(user.post("/", "body").status, 200);
                count += 2;
            }
            count
        };
        let users: Vec<_> = (0..8).map(|_| scope.spawn(load)).collect();
        (2..1_002).for_each(flip);
        stop.store(true, Ordering::SeqCst);
        users.into_iter().map(|user| user.join().unwrap()).sum()
    });
    assert!(total > 0);
    assert_eq!(proxy.counters().dropped_total(), 0);
}
