//! A keeper that died and is started again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;

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
fn nothing_is_started_twice_when_the_state_cannot_be_read() {
    let mut rig = Rig::start();
    let pid = rig.run("a", "exec sleep 1000");
    let planes = [rig.started(CONTROL, 1)[0], rig.started(PROXY, 1)[0]];
    rig.kill_keeper();
    let state = std::fs::read(rig.path("keeper.json")).unwrap();
    std::fs::write(rig.path("keeper.json"), "{\"boot").unwrap();
    let refused = rig.command().output().unwrap();
    let left = std::fs::read(rig.path("keeper.json")).unwrap();
    std::fs::write(rig.path("keeper.json"), state).unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && !said.contains("is started"), "{said}");
    for part in ["keeper.json", "may still run", "move the file away"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(left, b"{\"boot", "nothing is changed");
    rig.start_keeper();
    assert_eq!(rig.info("a").unwrap().pid, pid);
    assert_eq!([rig.info(CONTROL).unwrap().pid, rig.info(PROXY).unwrap().pid], planes);
}

#[test]
fn a_state_torn_by_a_power_cut_stops_nobody() {
    let mut rig = Rig::start();
    rig.started(CONTROL, 1);
    rig.call(Request::Shutdown);
    assert!(rig.await_keeper_exit().success());
    std::fs::write(rig.path("keeper.json"), "").unwrap();
    assert!(!rig.command().output().unwrap().status.success(), "in the same boot it might run");
    std::fs::write(rig.path("keeper.boot"), "another boot").unwrap();
    rig.start_keeper();
    assert_eq!(rig.started(CONTROL, 2).len(), 2);
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
fn a_data_plane_that_answers_late_is_asked_again() {
    let addr = free_addr();
    let mut rig = Rig::with_planes(&["idle", "proxy", &addr]);
    let first = rig.started(PROXY, 1)[0];
    rig.await_lines(PROXY, 1);
    rig.kill_keeper();
    signal_pid(first, Signal::STOP);
    rig.start_keeper();
    signal_pid(first, Signal::CONT);
    rig.await_said("has handed 1 listeners back");
    signal_pid(first, Signal::KILL);
    await_some(|| who_answers(&addr).filter(|pid| *pid != first));
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

/// Wherever the kill falls between an order and its answer: an app that runs is known, and an
/// order that is repeated starts nothing twice.
#[test]
fn a_keeper_killed_among_orders_loses_no_app() {
    let mut rig = Rig::start();
    for round in 0..=6 {
        let names: Vec<String> = (0..6).map(|n| format!("r{round}-{n}")).collect();
        let mut asker = UnixStream::connect(rig.path(SOCKET)).unwrap();
        asker.write_all(orders(&rig, &names).as_bytes()).unwrap();
        let answered = BufReader::new(&asker).lines().take(round).map(Result::unwrap).count();
        assert_eq!(answered, round);
        rig.kill_keeper();
        rig.start_keeper();
        // An order again: the same process, or one that did not come to be and may not now.
        for name in &names {
            rig.spawn(endless(&rig, name));
        }
        // A trampoline may be on its way still, to its command or, without an order, to its end.
        for name in &names {
            await_some(|| (running(&rig, name) == known(&rig, name)).then_some(()));
        }
    }
}

fn known(rig: &Rig, name: &str) -> Vec<i32> {
    let info = rig.info(name).filter(|info| info.state == ProcessState::Running);
    info.into_iter().map(|info| info.pid).collect()
}

fn orders(rig: &Rig, names: &[String]) -> String {
    let line = |(id, name): (usize, &String)| {
        let request = Request::Spawn { process: Box::new(endless(rig, name)) };
        serde_json::to_string(&RequestLine { id: id as u64, request }).unwrap() + "\n"
    };
    names.iter().enumerate().map(line).collect()
}

/// An app that is found by its command line.
fn endless(rig: &Rig, name: &str) -> ProcessSpec {
    let mut spec = rig.shell(name, "while :; do sleep 1000; done");
    spec.command.push(mark(rig, name));
    spec
}

fn mark(rig: &Rig, name: &str) -> String {
    format!("{}#{name}#", rig.data().display())
}

fn running(rig: &Rig, name: &str) -> Vec<i32> {
    let mark = mark(rig, name);
    let pids = std::fs::read_dir("/proc").unwrap();
    let pids = pids.filter_map(|entry| entry.unwrap().file_name().into_string().ok()?.parse().ok());
    let marked = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        // A shell about to become `sleep` has the same line for a moment, and another session.
        let leads = std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
            stat.split(") ").last().unwrap().split(' ').nth(3) == Some(&pid.to_string())
        });
        leads && String::from_utf8_lossy(&line).contains(&mark)
    };
    pids.filter(marked).collect()
}
