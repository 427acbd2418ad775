//! Starting, ending and stopping instances.

use rustix::process::Signal;
use serin_keeper::protocol::*;

use crate::rig::{Rig, await_gone, await_some, is_running, signal_pid};

fn code_of(reply: &Reply) -> ErrorCode {
    match reply {
        Reply::Error { code, .. } => *code,
        other => panic!("no error: {other:?}"),
    }
}

fn message_of(reply: Reply) -> String {
    match reply {
        Reply::Error { message, .. } => message,
        other => panic!("no error: {other:?}"),
    }
}

#[test]
fn exit_code_and_signal_are_journaled() {
    let rig = Rig::start();
    let pid = rig.run("a", "exit 7");
    assert_eq!(
        rig.events_until_exit("a"),
        [
            JournalEvent::Started { pid },
            JournalEvent::Exited { code: Some(7), signal: None, unknown: false }
        ]
    );
    rig.run("b", "kill -SEGV $$");
    assert_eq!(rig.await_exit("b"), (None, Some(11)));
    let info = rig.info("b").unwrap();
    assert_eq!(info.label, serde_json::json!({ "of": "b" }));
    assert!(matches!(info.state, ProcessState::Exited(Exit { signal: Some(11), .. })));
}

#[test]
fn what_cannot_be_executed_is_the_orders_error() {
    let rig = Rig::start();
    let mut spec = rig.shell("a", "");
    spec.command = vec!["./shop".into()];
    let message = message_of(rig.spawn(spec.clone()));
    assert_eq!(message, "./shop: no such file (cwd /)");
    assert!(rig.info("a").is_none());
    assert_eq!(
        rig.events_until("a", |_| true),
        [JournalEvent::SpawnFailed { message: message.clone() }]
    );

    spec.command = vec!["shop".into()];
    assert_eq!(message_of(rig.spawn(spec.clone())), "shop: not found in PATH /usr/bin:/bin");
    spec.command = vec!["/etc/passwd".into()];
    assert_eq!(message_of(rig.spawn(spec.clone())), "/etc/passwd: permission denied (cwd /)");
    spec.cwd = "/nowhere".into();
    let message = message_of(rig.spawn(spec.clone()));
    assert_eq!(message, "cannot enter working directory /nowhere: no such file");
    spec.cwd = "/".into();
    spec.user = Some("no-such-user".into());
    assert!(message_of(rig.spawn(spec.clone())).contains("no-such-user"));

    // None of these used the name up.
    assert!(rig.run("a", "exit 0") > 0);
}

#[test]
fn an_order_that_comes_again_starts_nothing_twice() {
    let rig = Rig::start();
    let first = rig.spawn(rig.shell("a", "exec sleep 1000"));
    assert_eq!(rig.spawn(rig.shell("a", "exec sleep 1000")), first);
    assert_eq!(code_of(&rig.call(Request::Forget { instance: "a".into() })), ErrorCode::Busy);
    assert_eq!(rig.stop("a", 10_000), Reply::Ok);
    assert_eq!(rig.await_exit("a"), (None, Some(15)));
    assert_eq!(rig.stop("a", 10_000), Reply::Ok, "stopping what has exited is done already");
    assert_eq!(code_of(&rig.spawn(rig.shell("a", "exit 0"))), ErrorCode::Exited);
    assert_eq!(rig.call(Request::Forget { instance: "a".into() }), Reply::Ok);
    assert_eq!(code_of(&rig.stop("a", 0)), ErrorCode::NotFound);
    assert!(rig.run("a", "exit 0") > 0);
}

#[test]
fn two_askers_of_one_launch_get_the_same_answer() {
    let rig = Rig::start();
    let spawn = |id| {
        let process = Box::new(rig.shell("a", "exec sleep 1000"));
        serde_json::to_string(&RequestLine { id, request: Request::Spawn { process } }).unwrap()
    };
    let lines = crate::wire::exchange(&rig, &format!("{}\n{}\n", spawn(1), spawn(2)), 2);
    let pids: Vec<_> =
        lines.iter().map(|line| (line["reply"].clone(), line["pid"].clone())).collect();
    assert_eq!(pids[0], pids[1]);
    assert_eq!(pids[0].0, "spawned");
}

#[test]
fn a_stop_ends_with_the_kill_of_the_whole_group() {
    let rig = Rig::start();
    let script = "trap '' TERM; sh -c 'trap \"\" TERM; echo grandchild $$; while :; do sleep 1000; done' & \
                  while :; do wait; done";
    let pid = rig.run("a", script);
    let line = rig.await_lines("a", 1).remove(0);
    let grandchild: i32 = line.strip_prefix("grandchild ").unwrap().parse().unwrap();
    rig.stop("a", 50);
    assert_eq!(
        rig.events_until_exit("a"),
        [
            JournalEvent::Started { pid },
            JournalEvent::Stopping { grace_ms: 50 },
            JournalEvent::Killed,
            JournalEvent::Exited { code: None, signal: Some(9), unknown: false }
        ]
    );
    await_gone(grandchild);
    await_some(|| (!rig.path("fifo/a").exists()).then_some(()));
}

#[test]
fn what_a_leader_leaves_behind_is_killed() {
    let rig = Rig::start();
    rig.run("a", "sleep 1000 & echo $!");
    let orphan: i32 = rig.await_lines("a", 1)[0].parse().unwrap();
    assert_eq!(rig.await_exit("a"), (Some(0), None));
    await_gone(orphan);
}

#[test]
fn a_shorter_grace_shortens_and_a_longer_one_does_not_lengthen() {
    let rig = Rig::start();
    rig.run("a", "trap '' TERM; echo up; while :; do sleep 1000; done");
    rig.await_lines("a", 1);
    rig.stop("a", 3_600_000);
    assert_eq!(rig.info("a").unwrap().state, ProcessState::Stopping);
    rig.stop("a", 0);
    rig.stop("a", 3_600_000);
    assert_eq!(rig.await_exit("a"), (None, Some(9)));
}

#[test]
fn a_stop_goes_on_when_its_asker_is_gone() {
    let rig = Rig::start();
    rig.run("a", "trap '' TERM; echo up; while :; do sleep 1000; done");
    rig.await_lines("a", 1);
    let mut asker = rig.client();
    asker.call(Request::Stop { instance: "a".into(), grace_ms: 100 }).unwrap();
    drop(asker);
    assert_eq!(rig.await_exit("a"), (None, Some(9)));
}

#[test]
fn limits_environment_and_descriptors_are_those_of_the_order() {
    let rig = Rig::start();
    let mut spec = rig.shell(
        "a",
        "cat /proc/self/limits; env; echo session $(cut -d' ' -f5,6 /proc/$$/stat) $$; pwd",
    );
    spec.limits = Limits {
        open_files: Some(123),
        memory_bytes: Some(3_000_000_000),
        processes: Some(4567),
        core_bytes: Some(0),
    };
    spec.env.insert("COLOUR".into(), "blue green".into());
    spec.cwd = "/usr".into();
    let pid = rig.pid_of(spec);
    assert_eq!(rig.await_exit("a"), (Some(0), None));
    let lines = serin_keeper::log::tail(&rig.log_path("a"), 100);
    let words = |start: &str| -> Vec<String> {
        let line = lines.iter().find(|l| l.starts_with(start)).unwrap_or_else(|| panic!("{start}"));
        line[start.len()..].split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(words("Max open files")[..2], ["123", "123"]);
    assert_eq!(words("Max address space")[..2], ["3000000000", "3000000000"]);
    assert_eq!(words("Max processes")[..2], ["4567", "4567"]);
    assert_eq!(words("Max core file size")[..2], ["0", "0"]);
    assert!(lines.contains(&"COLOUR=blue green".to_owned()));
    let foreign = |l: &&String| ["HOME=", "CARGO", "USER="].iter().any(|p| l.starts_with(p));
    assert_eq!(lines.iter().find(foreign), None);
    assert_eq!(words("session"), vec![pid.to_string(); 3]);
    assert_eq!(lines.last().unwrap(), "/usr");
}

/// What the keeper itself was given open by its parent is not its own to close.
#[test]
fn no_descriptor_of_the_keeper_leaks() {
    let rig = Rig::start();
    let fds = |pid: &str| -> Vec<(String, String)> {
        let dir = format!("/proc/{pid}/fd");
        let entries = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap());
        let target = |e: &std::fs::DirEntry| std::fs::read_link(e.path()).unwrap_or_default();
        entries
            .map(|e| (e.file_name().into_string().unwrap(), target(&e).display().to_string()))
            .filter(|(fd, _)| fd.parse::<u32>().unwrap() > 2)
            .collect()
    };
    let given: Vec<_> = fds("self");
    let pid = rig.run("b", "exec sleep 1000");
    // A program that starts opens its libraries for a moment; what leaked would stay open.
    await_some(|| fds(&pid.to_string()).iter().all(|fd| given.contains(fd)).then_some(()));
    let kept = fds(&rig.keeper_pid().to_string());
    assert!(kept.len() > 5, "the keeper has some to leak: {kept:?}");
}

#[test]
fn an_app_may_run_as_another_user() {
    let rig = Rig::start();
    let mut spec = rig.shell("a", "id -u; id -G; echo again > /dev/stderr");
    spec.user = Some("nobody".into());
    if !rustix::process::geteuid().is_root() {
        spec.user = Some("root".into());
        assert!(message_of(rig.spawn(spec)).contains("not as root"));
        return;
    }
    rig.pid_of(spec);
    assert_eq!(rig.await_exit("a"), (Some(0), None));
    assert_eq!(serin_keeper::log::tail(&rig.log_path("a"), 9), ["65534", "65534", "again"]);
}

#[test]
fn a_large_environment_arrives_whole() {
    let rig = Rig::start();
    let mut spec =
        rig.shell("a", "for n in 0 1 2 3 4 5 6 7 8 9; do eval \"echo \\${#BIG$n}\"; done");
    for n in 0..10 {
        spec.env.insert(format!("BIG{n}"), "x".repeat(100_000));
    }
    rig.pid_of(spec);
    assert_eq!(rig.await_exit("a"), (Some(0), None));
    assert_eq!(serin_keeper::log::tail(&rig.log_path("a"), 99), vec!["100000"; 10]);
}

#[test]
fn secrets_are_in_no_file() {
    let rig = Rig::start();
    let mut spec = rig.shell("a", "echo started; exec sleep 1000");
    spec.env.insert("TOKEN".into(), "hunter2-top-secret".into());
    rig.pid_of(spec.clone());
    spec.instance = "b".into();
    spec.command = vec!["/nonexistent".into()];
    rig.spawn(spec);
    rig.await_lines("a", 1);
    let files = crate::rig::files(&rig.data());
    assert!(files.iter().any(|(path, _)| path.ends_with("keeper.json")));
    for (path, content) in files {
        let text = String::from_utf8_lossy(&content);
        assert!(!text.contains("hunter2"), "{} has the secret", path.display());
    }
}

#[test]
fn impossible_orders_are_refused_before_anything_starts() {
    let rig = Rig::start();
    let good = rig.shell("a", "exit 0");
    let bad: Vec<ProcessSpec> = vec![
        ProcessSpec { instance: "a/b".into(), ..good.clone() },
        ProcessSpec { instance: String::new(), ..good.clone() },
        ProcessSpec { instance: ".a".into(), ..good.clone() },
        ProcessSpec { instance: "control".into(), ..good.clone() },
        ProcessSpec { instance: "proxy.5".into(), ..good.clone() },
        ProcessSpec { command: vec![], ..good.clone() },
        ProcessSpec { cwd: "relative".into(), ..good.clone() },
        ProcessSpec { log: LogSpec::at("relative"), ..good.clone() },
        ProcessSpec { log: LogSpec { max_bytes: 5, ..good.log.clone() }, ..good.clone() },
        ProcessSpec { env: [("A=B".into(), "c".into())].into(), ..good.clone() },
    ];
    for spec in bad {
        let shown = format!("{spec:?}");
        assert_eq!(code_of(&rig.spawn(spec)), ErrorCode::BadSpec, "{shown}");
    }
    assert!(rig.info("a").is_none());
}

#[test]
fn shutdown_stops_every_process_and_ends_well() {
    let mut rig = Rig::start();
    let polite = rig.run("polite", "exec sleep 1000");
    let mut spec = rig.shell("stubborn", "trap '' TERM; echo up; while :; do sleep 1000; done");
    spec.grace_ms = 50;
    let stubborn = rig.pid_of(spec);
    rig.await_lines("stubborn", 1);
    let planes = [rig.started(CONTROL, 1)[0], rig.started(PROXY, 1)[0]];
    rig.signal_keeper(Signal::TERM);
    assert!(rig.await_keeper_exit().success());
    for pid in [polite, stubborn].into_iter().chain(planes) {
        assert!(!is_running(pid));
    }
    assert!(!rig.path(SOCKET).exists());
    rig.start_keeper();
    assert_eq!(rig.await_exit("polite"), (None, Some(15)));
    assert_eq!(rig.await_exit("stubborn"), (None, Some(9)));
}

#[test]
fn a_second_signal_does_not_wait_for_graces() {
    let mut rig = Rig::start();
    let mut spec = rig.shell("a", "trap '' TERM; echo up; while :; do sleep 1000; done");
    spec.grace_ms = 3_600_000;
    rig.pid_of(spec);
    rig.await_lines("a", 1);
    rig.signal_keeper(Signal::INT);
    rig.await_said("stopping");
    rig.signal_keeper(Signal::INT);
    assert!(rig.await_keeper_exit().success());
}

#[test]
fn an_app_outside_any_order_is_noticed() {
    let rig = Rig::start();
    let pid = rig.run("a", "exec sleep 1000");
    signal_pid(pid, Signal::KILL);
    assert_eq!(rig.await_exit("a"), (None, Some(9)));
}
