//! Whatever users and apps do, what users saw and what was counted agree.

use crate::app::{App, Asked};
use crate::rig::{Proxy, arm, until};
use crate::user::User;
use serin_proxy::wire::{ArmCounters, Generation};
use std::io::{self, Write};
use std::ops::AddAssign;

/// What users saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    good: u64,
    server_errors: u64,
    bad_gateways: u64,
    cut: u64,
    left: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.good += other.good;
        self.server_errors += other.server_errors;
        self.bad_gateways += other.bad_gateways;
        self.cut += other.cut;
        self.left += other.left;
    }
}

fn moody(asked: &mut Asked) -> io::Result<()> {
    asked.body()?;
    match asked.path.as_str() {
        "/500" => asked.reply(500, "mine"),
        "/drop" => Err(io::ErrorKind::ConnectionAborted.into()),
        "/cut" => {
            asked.stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\nhalf")?;
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        "/wait" => {
            asked.stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\nhalf")?;
            asked.chunk(&mut Vec::new()).map(|_| ())
        }
        _ => asked.reply(200, "fine"),
    }
}

/// One user's hundred requests, each with a body, so that none is repeated.
fn live(proxy: &Proxy, seed: u64) -> Tally {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut tally = Tally::default();
    let mut user = User::connect(proxy.addr);
    for _ in 0..100 {
        let path = ["/", "/", "/", "/500", "/drop", "/cut", "/wait"][rng.usize(..7)];
        user.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"));
        if path == "/wait" {
            assert!(user.head().starts_with("HTTP/1.1 200"));
            tally.left += 1;
            std::mem::replace(&mut user, User::connect(proxy.addr)).hang_up();
            continue;
        }
        match user.try_receive().map(|got| got.status) {
            Some(200) => tally.good += 1,
            Some(500) => tally.server_errors += 1,
            Some(502) => tally.bad_gateways += 1,
            Some(other) => panic!("{other}"),
            None => {
                tally.cut += 1;
                user = User::connect(proxy.addr);
            }
        }
    }
    tally
}

fn sum(arms: &[ArmCounters], what: impl Fn(&ArmCounters) -> u64) -> u64 {
    arms.iter().map(what).sum()
}

#[test]
fn what_users_saw_is_what_was_counted() {
    let apps = [App::start(moody), App::start(moody), App::start(moody)];
    let proxy = Proxy::with(2, None);
    let stable = arm("v1", 70_000, &[&apps[0], &apps[1]]);
    proxy.apply(1, vec![stable, arm("v2", 30_000, &[&apps[2]])]);
    let mut seen = Tally::default();
    std::thread::scope(|scope| {
        let users: Vec<_> = (0..8)
            .map(|seed| {
                scope.spawn({
                    let proxy = &proxy;
                    move || live(proxy, seed)
                })
            })
            .collect();
        for user in users {
            seen += user.join().unwrap();
        }
    });
    let arms = until("the close of every cohort", || {
        let counters = proxy.counters();
        let arms = counters.services.into_iter().next().unwrap().arms;
        let judged = sum(&arms, |arm| arm.judged.n + arm.judged.aborted);
        let ended = sum(&arms, |arm| arm.totals.requests);
        (judged == 800 && ended == 800).then_some(arms)
    });
    let counted = Tally {
        good: sum(&arms, |arm| arm.totals.latency.iter().map(|(_, count)| count).sum()),
        server_errors: sum(&arms, |arm| arm.totals.responses_5xx),
        bad_gateways: proxy.counters().dropped[0].failed,
        cut: proxy.counters().dropped[0].truncated,
        left: sum(&arms, |arm| arm.totals.client_aborts),
    };
    assert_eq!(counted, seen);
    assert_eq!(sum(&arms, |arm| arm.assigned), 800);
    assert_eq!(sum(&arms, |arm| arm.totals.resets), seen.bad_gateways + seen.cut);
    let errors = seen.server_errors + seen.bad_gateways + seen.cut;
    let judged_errors = sum(&arms, |arm| arm.judged.errors);
    let aborted = sum(&arms, |arm| arm.judged.aborted);
    let good = sum(&arms, |arm| arm.judged.latency.iter().map(|(_, count)| count).sum());
    // What a starved machine finished too late is an error, and missing elsewhere.
    let late = sum(&arms, |arm| arm.judged.unfinished);
    assert!((judged_errors - late..=judged_errors).contains(&errors), "{arms:?}");
    assert!((aborted..=aborted + late).contains(&seen.left), "{arms:?}");
    assert!((good..=good + late).contains(&seen.good), "{arms:?}");
    until("empty instances", || {
        proxy.counters().instances.iter().all(|one| one.in_flight == 0).then_some(())
    });
    let closed = proxy.counters().closed_through_s;
    assert!(closed >= arms[0].last_assigned_ms / 1_000, "{closed}");
    let other = proxy.counters().arm("shop", Generation { epoch: 1, n: 2 }, "v1").cloned();
    assert_eq!(other, None);
}
