//! Listening sockets.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

use serin_keeper::client;
use serin_keeper::protocol::*;

use crate::rig::Rig;

fn bind(rig: &Rig, addr: &str) -> String {
    match rig.call(Request::Bind { addr: addr.into() }) {
        Reply::Bound { addr } => addr,
        other => panic!("not bound: {other:?}"),
    }
}

#[test]
fn connections_queue_until_the_socket_is_fetched() {
    let rig = Rig::start();
    let addr = bind(&rig, "127.0.0.1:0");
    assert_eq!(bind(&rig, &addr), addr);
    let mut early = TcpStream::connect(&addr).unwrap();
    early.write_all(b"waiting\n").unwrap();

    let (fetched, socket) = client::listener(&rig.path(SOCKET), &addr).unwrap();
    assert_eq!(fetched, addr);
    let listener = TcpListener::from(socket);
    listener.set_nonblocking(false).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let mut line = String::new();
    BufReader::new(accepted).read_line(&mut line).unwrap();
    assert_eq!(line, "waiting\n");

    // The data plane goes, the keeper's copy still takes connections.
    drop(listener);
    TcpStream::connect(&addr).unwrap();
    rig.call(Request::Unbind { addr: addr.clone() });
    assert!(TcpStream::connect(&addr).is_err());
}

#[test]
fn fetching_binds_what_is_not_held() {
    let rig = Rig::start();
    let (addr, socket) = client::listener(&rig.path(SOCKET), "127.0.0.1:0").unwrap();
    drop(socket);
    TcpStream::connect(&addr).unwrap();
}

#[test]
fn a_keeper_that_stops_lets_nobody_wait() {
    let rig = Rig::start();
    let addr = bind(&rig, "127.0.0.1:0");
    TcpStream::connect(&addr).unwrap();
    // The end of this one takes longer than the test.
    rig.run("a", "trap '' TERM; echo up; while :; do sleep 1000; done");
    rig.await_lines("a", 1);
    rig.call(Request::Shutdown);
    assert!(TcpStream::connect(&addr).is_err());
    match rig.call(Request::Bind { addr: addr.clone() }) {
        Reply::Error { code: ErrorCode::ShuttingDown, .. } => {}
        other => panic!("{other:?}"),
    }
    assert!(client::listener(&rig.path(SOCKET), &addr).is_err());
    assert!(TcpStream::connect(&addr).is_err());
}

#[test]
fn an_address_in_use_is_named() {
    let rig = Rig::start();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = other.local_addr().unwrap().to_string();
    match rig.call(Request::Bind { addr: addr.clone() }) {
        Reply::Error { code: ErrorCode::AddrInUse, message } => {
            assert!(message.contains(&addr) && message.contains("another address"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    let error = client::listener(&rig.path(SOCKET), &addr).unwrap_err();
    assert!(error.to_string().contains(&addr));
}

#[test]
fn what_is_no_address_is_refused() {
    let rig = Rig::start();
    for addr in ["localhost:80", "127.0.0.1", "127.0.0.1:99999", ""] {
        match rig.call(Request::Bind { addr: addr.into() }) {
            Reply::Error { code: ErrorCode::AddrInvalid, .. } => {}
            other => panic!("{addr}: {other:?}"),
        }
    }
}
