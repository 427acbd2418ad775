//! The control plane and the data plane are kept running.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};

use rustix::process::Signal;
use serin_keeper::protocol::*;

use crate::rig::{Rig, await_some, is_running, signal_pid};

/// An address that was free just now.
pub fn free_addr() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Connects (that must work) and reads which data plane answers; none when it was killed just
/// after it had accepted.
pub fn who_answers(addr: &str) -> Option<i32> {
    let stream = TcpStream::connect(addr).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    line.trim().parse().ok()
}

#[test]
fn a_plane_that_dies_is_started_again() {
    let rig = Rig::start();
    for name in [CONTROL, PROXY] {
        let first = rig.started(name, 1)[0];
        signal_pid(first, Signal::KILL);
        let second = rig.started(name, 2)[1];
        assert!(second != first && is_running(second));
    }
}

#[test]
fn a_plane_that_keeps_dying_does_not_stop_the_rest() {
    let rig = Rig::with_planes(&["die"]);
    assert_eq!(rig.started(CONTROL, 4).len(), 4);
    rig.run("a", "exit 0");
    assert_eq!(rig.await_exit("a"), (Some(0), None));
}

#[test]
fn a_plane_that_keeps_dying_is_quoted_once() {
    let rig = Rig::with_planes(&["die"]);
    let said: Vec<String> = (0..6).flat_map(|_| rig.said_until("control ended")).collect();
    assert!(said.iter().any(|line| line.contains("control ended with exit code 3")), "{said:?}");
    let quotes = || said.iter().filter(|line| line.contains("cannot open the database"));
    assert_eq!(quotes().count(), 1, "{said:?}");
    assert!(quotes().all(|line| line.contains("control.log")), "{said:?}");
}

#[test]
fn a_killed_data_plane_refuses_no_connection() {
    let addr = free_addr();
    let rig = Rig::with_planes(&["idle", "proxy", &addr]);
    let first = rig.started(PROXY, 1)[0];
    rig.await_lines(PROXY, 1);
    assert_eq!(who_answers(&addr), Some(first));
    signal_pid(first, Signal::KILL);
    let second = await_some(|| who_answers(&addr).filter(|pid| *pid != first));
    assert_eq!(second, rig.started(PROXY, 2)[1]);
}

#[test]
fn a_data_plane_is_replaced_while_it_works() {
    let addr = free_addr();
    let rig = Rig::with_planes(&["idle", "proxy", &addr]);
    let first = rig.started(PROXY, 1)[0];
    rig.await_lines(PROXY, 1);
    rig.signal_keeper(Signal::HUP);
    // No connection is refused meanwhile.
    await_some(|| who_answers(&addr).filter(|pid| *pid != first));
    let events = rig.events_until(PROXY, |event| matches!(event, JournalEvent::Replaced { .. }));
    let Some(JournalEvent::Replaced { pid: second }) = events.last() else { panic!("{events:?}") };
    rig.await_exit(&format!("proxy.{first}"));
    assert!(!is_running(first));
    assert_eq!(who_answers(&addr), Some(*second));
    assert_eq!(rig.info(PROXY).unwrap().pid, *second);
    assert!(rig.info(&format!("proxy.{first}")).is_none());
}

#[test]
fn a_new_data_plane_that_dies_leaves_the_old_one() {
    let rig = Rig::start();
    let first = rig.started(PROXY, 1)[0];
    rig.signal_keeper(Signal::HUP);
    signal_pid(rig.started("proxy.next", 1)[0], Signal::KILL);
    rig.await_said("the old one goes on");
    assert_eq!(rig.info(PROXY).unwrap().pid, first);
    assert!(rig.info("proxy.next").is_none() && is_running(first));
}
