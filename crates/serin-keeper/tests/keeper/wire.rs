//! The protocol on the wire, and who may speak it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use serde_json::Value;
use serin_keeper::protocol::*;

use crate::rig::Rig;

/// Sends text as it is, then reads so many lines.
pub fn exchange(rig: &Rig, text: &str, lines: usize) -> Vec<Value> {
    let mut stream = UnixStream::connect(rig.path(SOCKET)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let read = BufReader::new(stream).lines().take(lines);
    read.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

#[test]
fn rubbish_is_answered_and_harms_nothing() {
    let rig = Rig::start();
    let text = "what\n{\"id\":5,\"op\":\"dance\"}\n\n{\"id\":6}\n{\"id\":7,\"op\":\"list\"}\n";
    let replies = exchange(&rig, text, 9);
    assert_eq!(replies.len(), 4);
    let heads: Vec<(u64, &str)> =
        replies.iter().map(|r| (r["id"].as_u64().unwrap(), r["reply"].as_str().unwrap())).collect();
    assert_eq!(heads, [(0, "error"), (5, "error"), (6, "error"), (7, "processes")]);
    let message = replies[1]["message"].as_str().unwrap();
    assert!(message.contains("dance") && message.contains("spawn"), "{message}");
}

#[test]
fn a_bad_spawn_quotes_no_value() {
    let rig = Rig::start();
    let text = r#"{"id":1,"op":"spawn","process":{"instance":"a","command":["x"],"cwd":"/","env":"hunter2","log":{"path":"/l"}}}"#;
    let reply = exchange(&rig, &format!("{text}\n"), 1).remove(0);
    assert_eq!(reply["code"], "bad-request");
    assert!(!reply.to_string().contains("hunter2"), "{reply}");
}

#[test]
fn a_spawn_is_answered_on_a_half_closed_connection() {
    let rig = Rig::start();
    let process = Box::new(rig.shell("a", "exit 0"));
    let line = RequestLine { id: 77, request: Request::Spawn { process } };
    let text = format!("{}\n", serde_json::to_string(&line).unwrap());
    let reply = exchange(&rig, &text, 1).remove(0);
    assert_eq!((&reply["id"], &reply["reply"]), (&77.into(), &"spawned".into()));
}

#[test]
fn a_watch_begins_where_it_is_told() {
    let rig = Rig::start();
    rig.run("a", "exit 0");
    rig.await_exit("a");
    let all: Vec<JournalEntry> = rig.client().watch(0).unwrap().take(4).collect();
    assert_eq!(all.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let rest: Vec<JournalEntry> = rig.client().watch(2).unwrap().take(2).collect();
    assert_eq!(rest, all[2..]);
    let Reply::Watching { oldest, newest } = rig.call(Request::Watch { after: 99 }) else {
        panic!("no watch")
    };
    assert_eq!((oldest, newest), (1, 4));
}

#[test]
fn the_socket_is_for_its_owner() {
    let rig = Rig::start();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(rig.data()), 0o700);
    for name in [SOCKET, "keeper.json", "keeper.journal", "lock", "fifo/control"] {
        assert_eq!(mode(rig.path(name)), 0o600, "{name}");
    }
}

#[test]
fn a_second_keeper_is_refused() {
    let rig = Rig::start();
    let output = rig.command().output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("is in use by the keeper with pid"), "{said}");
    assert!(said.contains(&rig.keeper_pid().to_string()), "{said}");
    assert!(matches!(rig.call(Request::List), Reply::Processes { .. }));
}

#[test]
fn a_path_too_long_for_a_socket_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let options = serin_keeper::Options {
        data: dir.path().join("x".repeat(120)),
        exe: "/bin/true".into(),
        control_args: vec![],
        proxy_args: vec![],
    };
    let error = serin_keeper::run(options).unwrap_err();
    assert!(matches!(error, serin_keeper::Error::PathTooLong { .. }));
    assert!(error.to_string().contains("allows 107"), "{error}");
}

#[test]
fn a_directory_open_to_others_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(dir.path().join("mine"), "").unwrap();
    let options = serin_keeper::Options {
        data: dir.path().into(),
        exe: "/bin/true".into(),
        control_args: vec![],
        proxy_args: vec![],
    };
    let error = serin_keeper::run(options).unwrap_err();
    assert!(error.to_string().contains("chmod 700"), "{error}");
}
