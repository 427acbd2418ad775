//! A keeper that died and is started again.

use rustix::process::Signal;
use serin_keeper::protocol::*;

use crate::planes::{free_addr, who_answers};
use crate::rig::{Rig, await_gone, await_some, is_running, signal_pid};

#[test]
fn nothing_stops_and_no_line_is_lost() {
    let mut rig = Rig::start();
    // Each line of the script's log is asked for through a FIFO of the test's own.
    let go = |rig: &Rig, word: &str| std::fs::write(rig.path("go"), format!("{word}\n")).unwrap();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        rig.path("go"),
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    )
    .unwrap();
    let mut spec = rig.shell(
        "b",
        "exec 0<>go; while read -r word; do echo got $word; [ $word = end ] && exit 0; done",
    );
    spec.cwd = rig.data();
    let pid = rig.pid_of(spec);
    go(&rig, "one");
    rig.await_lines("b", 1);

    rig.kill_keeper();
    assert!(is_running(pid));
    go(&rig, "two");
    go(&rig, "three");
    rig.start_keeper();
    assert_eq!(rig.await_lines("b", 3), ["got one", "got two", "got three"]);
    let info = rig.info("b").unwrap();
    assert_eq!((info.pid, info.state), (pid, ProcessState::Running));
    assert_eq!(info.label, serde_json::json!({ "of": "b" }));

    go(&rig, "end");
    assert_eq!(
        rig.events_until_exit("b"),
        [
            JournalEvent::Started { pid },
            JournalEvent::Adopted { pid },
            JournalEvent::Exited { code: None, signal: None, unknown: true }
        ]
    );
    assert_eq!(rig.await_lines("b", 4)[3], "got end");
}

#[test]
fn an_exit_while_no_keeper_ran_is_noticed() {
    let mut rig = Rig::start();
    let pid = rig.run("a", "exec sleep 1000");
    rig.kill_keeper();
    signal_pid(pid, Signal::KILL);
    await_gone(pid);
    rig.start_keeper();
    let events = rig.events_until_exit("a");
    assert!(matches!(events.last(), Some(JournalEvent::Exited { unknown: true, .. })));
    assert!(matches!(rig.info("a").unwrap().state, ProcessState::Exited(_)));
}

#[test]
fn an_adopted_group_is_stopped_whole() {
    let mut rig = Rig::start();
    rig.run("a", "trap '' TERM; sleep 1000 & echo $!; while :; do sleep 1000; done");
    let grandchild: i32 = rig.await_lines("a", 1)[0].parse().unwrap();
    rig.kill_keeper();
    rig.start_keeper();
    rig.stop("a", 30);
    rig.await_exit("a");
    await_gone(grandchild);
}

#[test]
fn a_stop_under_way_is_carried_on() {
    let mut rig = Rig::start();
    let pid = rig.run("a", "trap '' TERM; echo up; while :; do sleep 1000; done");
    rig.await_lines("a", 1);
    rig.stop("a", 300);
    rig.kill_keeper();
    rig.start_keeper();
    rig.await_exit("a");
    assert!(!is_running(pid));
}

#[test]
fn planes_are_kept_and_still_restarted() {
    let mut rig = Rig::start();
    let (control, proxy) = (rig.started(CONTROL, 1)[0], rig.started(PROXY, 1)[0]);
    rig.kill_keeper();
    rig.start_keeper();
    assert_eq!(rig.info(CONTROL).unwrap().pid, control);
    assert_eq!(rig.info(PROXY).unwrap().pid, proxy);
    signal_pid(control, Signal::KILL);
    assert_eq!(rig.started(CONTROL, 2)[0], control);
}

#[test]
fn listeners_come_back_from_the_data_plane() {
    let addr = free_addr();
    let mut rig = Rig::with_planes(&["idle", "proxy", &addr]);
    let first = rig.started(PROXY, 1)[0];
    rig.await_lines(PROXY, 1);
    rig.kill_keeper();
    assert_eq!(who_answers(&addr), Some(first));
    rig.start_keeper();
    // If the keeper did not hold the socket, connections were refused from here on.
    signal_pid(first, Signal::KILL);
    let second = await_some(|| who_answers(&addr).filter(|pid| *pid != first));
    assert_eq!(rig.info(PROXY).unwrap().pid, second);
}

#[test]
fn listeners_without_a_data_plane_are_bound_again() {
    let mut rig = Rig::start();
    let Reply::Bound { addr } = rig.call(Request::Bind { addr: "127.0.0.1:0".into() }) else {
        panic!("not bound")
    };
    rig.kill_keeper();
    assert!(std::net::TcpStream::connect(&addr).is_err());
    rig.start_keeper();
    std::net::TcpStream::connect(&addr).unwrap();
}

#[test]
fn a_pid_with_another_start_is_not_adopted() {
    let mut rig = Rig::start();
    let pid = rig.run("a", "exec sleep 1000");
    rig.kill_keeper();
    let state = rig.path("keeper.json");
    let mut saved: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
    let processes = saved["processes"].as_array_mut().unwrap();
    let a = processes.iter_mut().find(|p| p["instance"] == "a").unwrap();
    a["start_ticks"] = 1.into();
    std::fs::write(&state, saved.to_string()).unwrap();
    rig.start_keeper();
    rig.await_exit("a");
    assert!(is_running(pid), "a stranger is not touched");
    signal_pid(pid, Signal::KILL);
}
