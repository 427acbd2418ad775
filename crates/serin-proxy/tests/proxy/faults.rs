//! Instances that fail, clients that leave, and what the counters say about it.

use crate::app::App;
use crate::rig::{Proxy, arm, arm_at, free_addr, until};
use crate::user::User;
use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc;

/// Twenty answers: after them stable's pace is known, and cohorts close a second after theirs.
fn warm_up(user: &mut User) {
    (0..20).for_each(|_| assert_eq!(user.get("/").status, 200));
}

#[test]
fn a_dead_instance_costs_no_request() {
    let app = App::named("v1");
    let proxy = Proxy::start();
    proxy.apply(1, vec![arm_at("v1", 100_000, &[free_addr(), app.addr])]);
    let mut user = User::connect(proxy.addr);
    for _ in 0..50 {
        assert_eq!(user.get("/").status, 200);
        assert_eq!(user.post("/", "body").status, 200);
    }
    let arm = proxy.arm_when(1, "v1", |arm| arm.judged.n == 100);
    assert!(arm.totals.connect_failures > 0, "{arm:?}");
    assert_eq!(arm.totals.connect_failures, arm.totals.retries);
    assert_eq!(arm.judged.errors, arm.totals.connect_failures);
    assert_eq!(arm.totals.requests, 100);
    assert_eq!(proxy.counters().dropped_total(), 0);
}

#[test]
fn only_dead_instances_are_a_bad_gateway() {
    let proxy = Proxy::start();
    proxy.apply(1, vec![arm_at("v1", 100_000, &[free_addr(), free_addr()])]);
    let mut user = User::connect(proxy.addr);
    assert_eq!(user.get("/").status, 502);
    let arm = proxy.arm_when(1, "v1", |arm| arm.totals.requests == 1);
    assert_eq!((arm.totals.connect_failures, arm.totals.retries), (3, 2));
    assert_eq!(proxy.counters().dropped[0].failed, 1);
}

#[test]
fn a_retry_never_changes_the_arm() {
    let (stable, proxy) = (App::named("v1"), Proxy::start());
    let candidate = arm_at("v2", 100_000, &[free_addr()]);
    proxy.apply(1, vec![arm("v1", 0, &[&stable]), candidate.clone()]);
    let mut user = User::connect(proxy.addr);
    assert_eq!(user.get("/").status, 502);
    assert_eq!(stable.served(), 0);
}

#[test]
fn a_pooled_connection_that_died_is_replaced_for_a_get_and_found_dead_for_a_post() {
    let app = App::named("v1");
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let mut user = User::connect(proxy.addr);
    for round in 0..20 {
        assert_eq!(user.get("/").status, 200, "round {round}");
        app.drop_connections();
        assert_eq!(user.get("/").status, 200, "round {round}");
        app.drop_connections();
        assert_eq!(user.post("/", "body").status, 200, "round {round}");
    }
    assert_eq!(proxy.counters().dropped_total(), 0);
}

#[test]
fn a_request_the_app_may_have_seen_is_not_repeated_unless_it_may() {
    let app = App::start(|asked| {
        if asked.path == "/die" {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        asked.body()?;
        asked.reply(200, "fine")
    });
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let mut user = User::connect(proxy.addr);
    warm_up(&mut user);
    assert_eq!(user.post("/die", "body").status, 502);
    assert_eq!(app.served(), 21, "the POST went once");
    assert_eq!(user.get("/").status, 200);
    assert_eq!(user.get("/die").status, 502);
    assert_eq!(app.served(), 24, "the GET went on the old connection and on one new");
    let arm = proxy.arm_when(1, "v1", |arm| arm.judged.n == 23);
    assert_eq!((arm.judged.errors, arm.totals.resets, arm.totals.retries), (2, 3, 1));
}

#[test]
fn a_get_that_an_instance_took_down_with_it_is_asked_once_more_elsewhere() {
    let deadly = || {
        App::start(|asked| match asked.path.as_str() {
            "/die" => Err(io::ErrorKind::ConnectionAborted.into()),
            _ => asked.reply(200, "fine"),
        })
    };
    let apps = [deadly(), deadly(), deadly()];
    let proxy = Proxy::start();
    proxy.serve(&[&apps[0], &apps[1], &apps[2]]);
    let mut user = User::connect(proxy.addr);
    assert_eq!(user.get("/die").status, 502);
    let asked: u64 = apps.iter().map(|app| app.served() as u64).sum();
    assert_eq!(asked, 2, "once, and once more; not of everybody");
}

#[test]
fn users_of_a_killed_instance_lose_at_most_what_it_held() {
    let (entered, held) = mpsc::channel();
    let victim = App::start(move |asked| {
        if asked.path == "/hold" {
            entered.send(()).unwrap();
            std::thread::park();
        }
        asked.reply(200, "victim")
    });
    let victim = Arc::new(victim);
    let (other, proxy) = (App::named("other"), Proxy::start());
    proxy.serve(&[&victim]);
    let mut holders: Vec<User> = (0..3).map(|_| User::connect(proxy.addr)).collect();
    for user in &mut holders {
        user.send("POST /hold HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n");
        held.recv().unwrap();
    }
    proxy.apply(2, vec![arm("v1", 100_000, &[&victim, &other])]);
    let load = proxy.counters().instances;
    assert_eq!(load.iter().map(|one| one.in_flight).sum::<u64>(), 3);
    victim.kill();
    let mut user = User::connect(proxy.addr);
    for _ in 0..50 {
        assert_eq!(user.get("/").text(), "other");
        assert_eq!(user.post("/", "body").text(), "other");
    }
    for user in &mut holders {
        assert_eq!(user.receive().status, 502);
    }
    assert_eq!(proxy.counters().dropped[0].failed, 3);
}

#[test]
fn a_hanging_request_is_an_error_at_the_close_and_not_counted_again() {
    let (release, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let app = App::start(move |asked| {
        if asked.path == "/hang" {
            let _ = wait.lock().unwrap().recv();
        }
        asked.reply(200, "late")
    });
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let mut user = User::connect(proxy.addr);
    warm_up(&mut user);
    user.send("GET /hang HTTP/1.1\r\nHost: shop\r\n\r\n");
    let open = proxy.arm_when(1, "v1", |arm| arm.judged.n == 21);
    assert_eq!((open.judged.errors, open.judged.unfinished), (1, 1));
    assert_eq!(open.totals.requests, 20);
    release.send(()).unwrap();
    assert_eq!(user.receive().text(), "late");
    assert_eq!(user.get("/").status, 200);
    let after = proxy.arm_when(1, "v1", |arm| arm.judged.n == 22);
    assert_eq!((after.judged.errors, after.judged.unfinished), (1, 1));
    assert_eq!(after.judged.latency.iter().map(|(_, count)| count).sum::<u64>(), 21);
    assert_eq!(after.totals.requests, 22);
}

#[test]
fn a_client_that_leaves_is_no_error() {
    let (entered, held) = mpsc::channel();
    let app = App::start(move |asked| {
        if asked.path == "/hang" {
            entered.send(()).unwrap();
            return asked.chunk(&mut Vec::new()).map(|_| ());
        }
        asked.reply(200, "fine")
    });
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let mut user = User::connect(proxy.addr);
    warm_up(&mut user);
    let mut leaver = User::connect(proxy.addr);
    leaver.send("GET /hang HTTP/1.1\r\nHost: shop\r\n\r\n");
    held.recv().unwrap();
    leaver.hang_up();
    let arm = proxy.arm_when(1, "v1", |arm| arm.judged.n == 20 && arm.totals.requests == 21);
    assert_eq!((arm.judged.errors, arm.judged.aborted, arm.totals.client_aborts), (0, 1, 1));
    until("the end on the instance", || {
        proxy.counters().instances.iter().all(|one| one.in_flight == 0).then_some(())
    });
}

#[test]
fn errors_of_the_app_pass_and_count() {
    let app = App::start(|asked| match asked.path.as_str() {
        "/500" => asked.reply(500, "mine"),
        "/404" => asked.reply(404, "none"),
        _ => asked.reply(200, "fine"),
    });
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let mut user = User::connect(proxy.addr);
    warm_up(&mut user);
    let got = user.get("/500");
    assert_eq!((got.status, got.text()), (500, "mine"));
    assert_eq!(user.get("/404").status, 404);
    let arm = proxy.arm_when(1, "v1", |arm| arm.judged.n == 22);
    assert_eq!((arm.judged.errors, arm.totals.responses_5xx), (1, 1));
    assert_eq!(arm.judged.latency.iter().map(|(_, count)| count).sum::<u64>(), 21);
    assert_eq!(proxy.counters().dropped_total(), 0);
}

#[test]
fn the_request_timeout_answers_504() {
    let app = App::start(|_| {
        std::thread::park();
        Ok(())
    });
    let proxy = Proxy::start();
    let mut route = proxy.route(1, vec![arm("v1", 100_000, &[&app])]);
    route.request_timeout_ms = 200;
    proxy.apply_route(route);
    let mut user = User::connect(proxy.addr);
    let got = user.get("/");
    assert_eq!((got.status, got.header("connection")), (504, Some("close")));
    let arm = proxy.arm_when(1, "v1", |arm| arm.totals.requests == 1);
    assert_eq!((arm.totals.timeouts, arm.totals.retries), (1, 0));
    assert_eq!(proxy.counters().dropped[0].timeout, 1);
}

#[test]
fn a_response_that_stops_is_cut_off_and_counted() {
    let app = App::start(|asked| {
        asked.stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\nhalf")?;
        if asked.path == "/stall" {
            std::thread::park();
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    });
    let proxy = Proxy::start();
    let mut route = proxy.route(1, vec![arm("v1", 100_000, &[&app])]);
    route.request_timeout_ms = 200;
    proxy.apply_route(route);
    for path in ["/break", "/stall"] {
        let mut user = User::connect(proxy.addr);
        user.send(format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n"));
        assert!(user.try_receive().is_none(), "{path}");
    }
    let arm = proxy.arm_when(1, "v1", |arm| arm.totals.requests == 2);
    assert_eq!((arm.totals.resets, arm.totals.timeouts), (1, 1));
    assert_eq!(proxy.counters().dropped[0].truncated, 2);
}
