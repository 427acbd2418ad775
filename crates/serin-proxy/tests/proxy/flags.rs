//! Flags: served from this process's own copy, changed by order, told to streams before the order
//! is answered.

use crate::rig::{Proxy, free_addr, until};
use crate::user::User;
use serin_flags::{Definition, FlagKey, Kind, SetDefinition, State};
use serin_proxy::edge::{Revision, Table, Upsert};
use serin_proxy::wire::{FlagsReply, Reply, Request};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

fn at(n: u64) -> Revision {
    Revision { epoch: 1, n }
}

fn key() -> FlagKey {
    "checkout".parse().unwrap()
}

fn definition(on: bool) -> Definition {
    let default_variant = Some(if on { "on" } else { "off" }.to_owned());
    Definition { default_variant, ..Definition::boolean(Kind::Release, "shop") }
}

fn table(n: u64, on: bool, listen: SocketAddr) -> Table {
    let mut set = SetDefinition::new("production");
    set.flags.insert(key(), definition(on));
    Table { revision: at(n), listen: vec![listen], sets: vec![Arc::new(set)], ..Table::default() }
}

fn told(proxy: &Proxy, request: &Request) -> FlagsReply {
    match proxy.ask(request) {
        Reply::Flags(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn held(n: u64) -> FlagsReply {
    FlagsReply::Held { revision: at(n), durable: true, error: None }
}

fn value(addr: SocketAddr) -> String {
    let mut user =
        until("the flags", || TcpStream::connect(addr).ok().map(|_| User::connect(addr)));
    user.send(
        "POST /ofrep/v1/evaluate/flags/checkout HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    );
    let answer = user.receive();
    assert_eq!(answer.status, 200, "{}", answer.head);
    let body: serde_json::Value = serde_json::from_str(answer.text()).unwrap();
    body["value"].to_string()
}

#[test]
fn a_restarted_data_plane_serves_its_last_flags_alone() {
    let (mut proxy, addr) = (Proxy::start(), free_addr());
    assert_eq!(told(&proxy, &Request::Flags(table(5, true, addr))), held(5));
    assert_eq!(value(addr), "true");
    proxy.restart();
    assert_eq!(value(addr), "true");
    let stale = told(&proxy, &Request::Flags(table(4, false, addr)));
    assert_eq!(stale, FlagsReply::Stale { have: at(5) });
    assert_eq!(value(addr), "true");
    let Reply::FlagCounts(counts) = proxy.ask(&Request::FlagCounts) else { panic!() };
    let [one] = &counts.evaluations[..] else { panic!("{counts:?}") };
    assert_eq!(
        (one.answer.flag.as_str(), one.answer.result.as_str(), one.count),
        ("checkout", "true", 2)
    );
}

#[test]
fn flags_that_are_wrong_change_nothing() {
    let (proxy, addr) = (Proxy::start(), free_addr());
    assert_eq!(told(&proxy, &Request::Flags(table(1, true, addr))), held(1));
    let mut bad = definition(false);
    bad.default_variant = Some("none".to_owned());
    let upsert = |base, definition| Upsert {
        base: at(base),
        revision: at(base + 1),
        set: "production".to_owned(),
        key: key(),
        definition: Some(Arc::new(definition)),
    };
    let reply = told(&proxy, &Request::FlagUpsert(upsert(1, bad)));
    let FlagsReply::Refused(why) = reply else { panic!("{reply:?}") };
    assert!(why.contains("none"), "{why}");
    assert_eq!(value(addr), "true");
    // A change for another table would hide what this one has missed.
    let reply = told(&proxy, &Request::FlagUpsert(upsert(7, definition(false))));
    assert_eq!(reply, FlagsReply::Stale { have: at(1) });
    assert_eq!(told(&proxy, &Request::FlagUpsert(upsert(1, definition(false)))), held(2));
    assert_eq!(value(addr), "false");
}

#[test]
fn a_kill_is_on_every_stream_and_on_the_disk_when_it_is_answered() {
    let (mut proxy, addr) = (Proxy::with(2, None), free_addr());
    assert_eq!(told(&proxy, &Request::Flags(table(1, true, addr))), held(1));
    let mut streams: Vec<_> = (0..8).map(|_| stream(addr)).collect();
    let killed = Definition { state: State::Off, ..definition(true) };
    let change = Upsert {
        base: at(1),
        revision: at(2),
        set: "production".to_owned(),
        key: key(),
        definition: Some(Arc::new(killed)),
    };
    assert_eq!(told(&proxy, &Request::FlagUpsert(change)), held(2));
    proxy.child.kill().unwrap();
    for stream in &mut streams {
        let event = stream.lines().map(Result::unwrap).find(|line| line.starts_with("data:"));
        assert!(event.unwrap().contains("refetchEvaluation"));
    }
    proxy.restart();
    assert_eq!(value(addr), "false");
    let mode = |name: &str| {
        std::fs::metadata(proxy.folder.path().join(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("flags.json"), mode("flags.key")), (0o600, 0o600));
}

/// An open event stream that has said hello.
fn stream(addr: SocketAddr) -> BufReader<TcpStream> {
    let mut user = User::connect(addr);
    user.send("POST /ofrep/v1/evaluate/flags HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    let all: serde_json::Value = serde_json::from_str(user.receive().text()).unwrap();
    let uri = all["eventStreams"][0]["endpoint"]["requestUri"].as_str().unwrap();
    let mut stream = TcpStream::connect(addr).unwrap();
    write!(stream, "GET {uri} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while !line.starts_with("id:") {
        line.clear();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0);
    }
    reader
}

#[test]
fn a_set_that_is_refused_is_named_and_its_kills_hold() {
    let (mut proxy, addr) = (Proxy::start(), free_addr());
    assert_eq!(told(&proxy, &Request::Flags(table(1, true, addr))), held(1));
    let mut next = table(2, true, addr);
    let mut set = SetDefinition::clone(&next.sets[0]);
    set.flags.insert(key(), Definition { state: State::Off, ..definition(true) });
    let bad = Definition { default_variant: Some("purple".to_owned()), ..definition(true) };
    set.flags.insert("bad".parse().unwrap(), bad);
    next.sets = vec![Arc::new(set)];
    let reply = told(&proxy, &Request::Flags(next));
    let FlagsReply::Held { revision, durable: true, error: Some(why) } = reply else {
        panic!("{reply:?}")
    };
    assert!(revision == at(2) && why.contains("purple"), "{why}");
    assert_eq!(value(addr), "false");
    proxy.restart();
    assert_eq!(value(addr), "false");
}
