//! Users as they are: a few who ask all the time, some who are slow, leave, or try again until it
//! works; and a version that hangs instead of failing. What counts is how many of them met what.

use crate::app::{App, Asked};
use crate::rig::{Proxy, arm, until};
use crate::user::User;
use serin_proxy::wire::{Affinity, AffinityKey, ArmCounters, Route};
use std::collections::BTreeSet;
use std::io;

/// Seconds of a window.
const WINDOW: u64 = 2;
/// Users of each client, and clients.
const USERS: usize = 40;
const CLIENTS: usize = 4;

/// What became of one client's users.
#[derive(Debug, Default)]
struct Met {
    /// Got an answer, or waited for one.
    heard: BTreeSet<usize>,
    /// Got an error, or waited in vain.
    failed: BTreeSet<usize>,
    /// Requests given up.
    left: u64,
    asked: u64,
}

impl Met {
    fn ask(&mut self, user: &mut User, path: &str, name: usize) -> u16 {
        user.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nCookie: user={name}\r\n\r\n"));
        let status = user.receive().status;
        self.asked += 1;
        self.heard.insert(name);
        if status >= 500 {
            self.failed.insert(name);
        }
        status
    }

    /// Byte by byte.
    fn slowly(&mut self, user: &mut User, name: usize) {
        for byte in format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: user={name}\r\n\r\n").bytes() {
            user.send([byte]);
        }
        assert_eq!(user.receive().status, 200);
        self.asked += 1;
        self.heard.insert(name);
    }

    /// Has the head of an answer and goes away before the rest.
    fn leave(&mut self, proxy: &Proxy, name: usize) {
        let mut user = User::connect(proxy.addr);
        user.send(format!("GET /endless HTTP/1.1\r\nHost: a\r\nCookie: user={name}\r\n\r\n"));
        assert!(user.head().starts_with("HTTP/1.1 200"));
        user.hang_up();
        (self.asked, self.left) = (self.asked + 1, self.left + 1);
    }
}

fn app(asked: &mut Asked) -> io::Result<()> {
    match asked.path.as_str() {
        "/500" => asked.reply(500, "mine"),
        "/hang" => asked.chunk(&mut Vec::new()).map(|_| ()),
        "/endless" => {
            use std::io::Write;
            asked.stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\nhalf")?;
            asked.chunk(&mut Vec::new()).map(|_| ())
        }
        _ => asked.reply(200, "fine"),
    }
}

/// One client with users of its own, each of its own kind. Those that wait in vain are returned
/// still waiting.
fn live(proxy: &Proxy, client: usize) -> (Met, Vec<User>) {
    let (mut met, mut waiting) = (Met::default(), Vec::new());
    let mut user = User::connect(proxy.addr);
    for name in client * USERS..(client + 1) * USERS {
        match name % 10 {
            kind @ (0 | 1) => {
                for _ in 0..150 {
                    met.ask(&mut user, ["/", "/500"][kind], name);
                }
            }
            2 => met.slowly(&mut user, name),
            3 => met.leave(proxy, name),
            4 => {
                met.leave(proxy, name);
                met.ask(&mut user, "/", name);
            }
            5 => {
                // Fails twice, works the third time: still a user who met an error.
                let tries = ["/500", "/500", "/"].map(|path| met.ask(&mut user, path, name));
                assert_eq!(tries, [500, 500, 200]);
            }
            6 => {
                let mut hangs = User::connect(proxy.addr);
                hangs.send(format!("GET /hang HTTP/1.1\r\nHost: a\r\nCookie: user={name}\r\n\r\n"));
                waiting.push(hangs);
                met.asked += 1;
                met.heard.insert(name);
                met.failed.insert(name);
            }
            _ => {
                met.ask(&mut user, "/", name);
            }
        }
    }
    (met, waiting)
}

fn sum(arms: &[ArmCounters], what: impl Fn(&ArmCounters) -> u64) -> u64 {
    arms.iter().map(what).sum()
}

#[test]
fn a_crowd_is_counted_by_heads() {
    let (old, new) = (App::start(app), App::start(app));
    let proxy = Proxy::with(2, None);
    let key = AffinityKey::Cookie("user".into());
    let affinity = Some(Affinity { key, salt: "3".into(), window_s: WINDOW as u32 });
    let arms = vec![arm("v1", 50_000, &[&old]), arm("v2", 50_000, &[&new])];
    proxy.apply_route(Route { affinity, ..proxy.route(1, arms) });
    let (mut all, mut waiting) = (Met::default(), Vec::new());
    std::thread::scope(|scope| {
        let proxy = &proxy;
        let clients = (0..CLIENTS).map(|client| scope.spawn(move || live(proxy, client)));
        for client in clients.collect::<Vec<_>>() {
            let (met, still) = client.join().unwrap();
            all.heard.extend(met.heard);
            all.failed.extend(met.failed);
            (all.asked, all.left) = (all.asked + met.asked, all.left + met.left);
            waiting.extend(still);
        }
    });
    let arms = until("the close of every window", || {
        let counters = proxy.counters();
        let service = counters.services.into_iter().next().unwrap();
        let last = service.arms.iter().map(|arm| arm.last_assigned_ms / 1_000).max()?;
        let asked = sum(&service.arms, |arm| arm.assigned);
        (asked == all.asked && service.closed_through_s >= last).then_some(service.arms)
    });
    let window = |ms: u64| ms / 1_000 / WINDOW;
    let first = arms.iter().map(|arm| window(arm.first_assigned_ms)).min().unwrap();
    let windows = arms.iter().map(|arm| window(arm.last_assigned_ms)).max().unwrap() - first + 1;
    let between = |found: u64, users: usize| {
        let users = users as u64;
        assert!((users..=users * windows).contains(&found), "{found}, {users} users, {windows}");
    };
    // What a starved machine answered too late is an error of a user who saw none.
    let late = sum(&arms, |arm| arm.judged.unfinished) as usize;
    between(sum(&arms, |arm| arm.judged.n), all.heard.len());
    between(sum(&arms, |arm| arm.sessions_assigned), USERS * CLIENTS);
    let errors = sum(&arms, |arm| arm.judged.errors);
    let most = (all.failed.len() + late) as u64 * windows;
    assert!((all.failed.len() as u64..=most).contains(&errors), "{errors} of {most}: {arms:?}");
    assert!(late >= USERS * CLIENTS / 10, "who hangs is unfinished: {late}");
    assert!(sum(&arms, |arm| arm.judged.aborted) <= all.left, "{arms:?}");
    assert!(arms.iter().all(|arm| arm.judged.n > 0 && arm.judged.sessions), "{arms:?}");
    assert_eq!(waiting.len(), USERS * CLIENTS / 10);
}
