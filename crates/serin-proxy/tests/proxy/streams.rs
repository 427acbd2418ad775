//! Bodies pass while they are being made; upgrades become tunnels.

use crate::app::App;
use crate::rig::{Proxy, arm, until};
use crate::user::User;
use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc;

#[test]
fn a_response_arrives_before_its_end_is_made() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let app = App::start(move |asked| {
        asked.stream.write_all(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n")?;
        for _ in 0..3 {
            asked.stream.write_all(b"4\r\npart\r\n")?;
            wait.lock().unwrap().recv().map_err(io::Error::other)?;
        }
        asked.stream.write_all(b"0\r\n\r\n")
    });
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let mut user = User::connect(proxy.addr);
    user.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(user.head().contains("chunked"));
    for _ in 0..3 {
        assert_eq!(user.chunk(), Some(Some(b"part".to_vec())));
        go.send(()).unwrap();
    }
    assert_eq!(user.chunk(), Some(None));
}

#[test]
fn a_request_arrives_before_its_end_is_made_and_both_directions_run_at_once() {
    let app = App::start(|asked| {
        asked.stream.write_all(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n")?;
        let mut body = Vec::new();
        while asked.chunk(&mut body)? {
            let part = std::mem::take(&mut body);
            write!(asked.stream, "{:x}\r\n", part.len())?;
            asked.stream.write_all(&part)?;
            asked.stream.write_all(b"\r\n")?;
        }
        asked.stream.write_all(b"0\r\n\r\n")
    });
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let mut user = User::connect(proxy.addr);
    for _ in 0..2 {
        user.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(user.head().starts_with("HTTP/1.1 200"));
        for n in 0..5 {
            user.send(format!("3\r\nab{n}\r\n"));
            assert_eq!(user.chunk(), Some(Some(format!("ab{n}").into_bytes())));
        }
        user.send("0\r\n\r\n");
        assert_eq!(user.chunk(), Some(None));
    }
}

#[test]
fn trailers_pass() {
    let app = App::start(|asked| {
        let head = "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n";
        asked.stream.write_all(head.as_bytes())?;
        asked.stream.write_all(b"1\r\na\r\n0\r\nx-sum: 42\r\n\r\n")
    });
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let mut user = User::connect(proxy.addr);
    user.send("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
    assert!(user.head().contains("trailer: x-sum"));
    let rest: Vec<String> = (0..5).map(|_| user.line()).collect();
    assert_eq!(rest, ["1\r\n", "a\r\n", "0\r\n", "x-sum: 42\r\n", "\r\n"]);
}

/// Memory of a process in KiB.
fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn big_bodies_are_not_held() {
    const SIZE: usize = 64 << 20;
    let app = App::start(|asked| {
        if asked.method == "GET" {
            write!(asked.stream, "HTTP/1.1 200 X\r\ncontent-length: {SIZE}\r\n\r\n")?;
            return io::copy(&mut io::repeat(7).take(SIZE as u64), &mut asked.stream).map(|_| ());
        }
        let sunk = io::copy(&mut (&mut asked.reader).take(SIZE as u64), &mut io::sink())?;
        asked.reply(200, &sunk.to_string())
    });
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let before = resident_kib(proxy.child.id());
    let mut user = User::connect(proxy.addr);
    user.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n"));
    io::copy(&mut io::repeat(7).take(SIZE as u64), user.reader.get_mut()).unwrap();
    assert_eq!(user.receive().text(), SIZE.to_string());
    user.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(user.head().contains(&SIZE.to_string()));
    let sunk = io::copy(&mut (&mut user.reader).take(SIZE as u64), &mut io::sink());
    assert_eq!(sunk.unwrap(), SIZE as u64);
    let grown = resident_kib(proxy.child.id()) - before;
    assert!(grown < 8 << 10, "grew by {grown} KiB");
}

#[test]
fn a_slow_reader_holds_the_app_back() {
    const LOTS: u64 = 1 << 30;
    let (wrote, blocked) = mpsc::channel();
    let app = App::start(move |asked| {
        write!(asked.stream, "HTTP/1.1 200 X\r\ncontent-length: {LOTS}\r\n\r\n")?;
        asked.stream.set_write_timeout(Some(std::time::Duration::from_secs(1)))?;
        let mut count = 0;
        let error = loop {
            match asked.stream.write(&[7; 16_384]) {
                Ok(some) => count += some as u64,
                Err(error) => break error,
            }
        };
        wrote.send(count).unwrap();
        Err(error)
    });
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let mut user = User::connect(proxy.addr);
    user.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(user.head().contains("200"));
    let count = blocked.recv().unwrap();
    assert!(count < LOTS / 8, "{count} bytes left the app for a user who reads nothing");
}

#[test]
fn a_user_who_stops_reading_is_cut_off_without_blame() {
    let app = App::start(|asked| {
        write!(asked.stream, "HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n", 1_u64 << 30)?;
        io::copy(&mut io::repeat(7).take(1 << 30), &mut asked.stream).map(|_| ())
    });
    let proxy = Proxy::start();
    let mut route = proxy.route(1, vec![arm("v1", 100_000, &[&app])]);
    route.request_timeout_ms = 300;
    proxy.apply_route(route);
    let mut user = User::connect(proxy.addr);
    user.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let arm = proxy.arm_when(1, "v1", |arm| arm.totals.requests == 1);
    assert_eq!((arm.totals.client_aborts, arm.totals.timeouts), (1, 0));
    assert_eq!(proxy.counters().dropped_total(), 0);
}

#[test]
fn a_user_who_stops_sending_is_told_so_without_blame() {
    let app = App::named("v1");
    let proxy = Proxy::start();
    let mut route = proxy.route(1, vec![arm("v1", 100_000, &[&app])]);
    route.request_timeout_ms = 300;
    proxy.apply_route(route);
    let mut user = User::connect(proxy.addr);
    user.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
    assert_eq!(user.receive().status, 408);
    let arm = proxy.arm_when(1, "v1", |arm| arm.totals.requests == 1);
    assert_eq!((arm.totals.client_aborts, arm.totals.timeouts), (1, 0));
    assert_eq!(proxy.counters().dropped_total(), 0);
}

/// Accepts an upgrade, then echoes lines, with a greeting right behind the head.
fn echo() -> App {
    App::start(|asked| {
        assert_eq!(asked.header("connection").as_deref(), Some("upgrade"));
        let protocol = asked.header("upgrade").unwrap();
        write!(
            asked.stream,
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\
             Sec-WebSocket-Accept: x\r\n\r\nhello\n"
        )?;
        let mut line = String::new();
        while asked.reader.read_line(&mut line)? > 0 {
            asked.stream.write_all(line.as_bytes())?;
            line.clear();
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    })
}

fn upgraded(proxy: &Proxy) -> User {
    let mut user = User::connect(proxy.addr);
    user.send(
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: y\r\n\r\nearly\n",
    );
    let head = user.head().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    for kept in ["upgrade: websocket", "connection: upgrade", "sec-websocket-accept: x"] {
        assert!(head.contains(kept), "{kept} not in {head}");
    }
    assert_eq!((user.line(), user.line()), ("hello\n".into(), "early\n".into()));
    user
}

fn held(proxy: &Proxy, instance: &str) -> Option<(u64, u64)> {
    let counters = proxy.counters();
    let load = counters.instances.iter().find(|load| load.instance == instance)?;
    Some((load.in_flight, load.upgraded))
}

#[test]
fn an_upgraded_connection_stays_where_it_is() {
    let (old, new) = (echo(), App::named("v2"));
    let proxy = Proxy::start();
    proxy.apply(1, vec![arm("v1", 100_000, &[&old])]);
    let mut user = upgraded(&proxy);
    assert_eq!(held(&proxy, "v1-0"), Some((1, 1)));
    proxy.apply(2, vec![arm("v1", 0, &[]), arm("v2", 100_000, &[&new])]);
    assert_eq!(User::connect(proxy.addr).get("/").text(), "v2");
    for n in 0..3 {
        user.send(format!("line {n}\n"));
        assert_eq!(user.line(), format!("line {n}\n"));
    }
    assert_eq!(held(&proxy, "v1-0"), Some((1, 1)));
    let arm = proxy.arm_when(1, "v1", |arm| arm.totals.requests == 1);
    assert_eq!((arm.totals.upgrades, arm.totals.latency.len()), (1, 0));
    user.hang_up();
    until("the end of the tunnel", || held(&proxy, "v1-0").is_none().then_some(()));
}

/// Speaks one frame of text, and ends without a word when the client says anything.
fn mute_at_the_end(protocol: &'static str) -> App {
    App::start(move |asked| {
        write!(
            asked.stream,
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
        )?;
        asked.stream.write_all(b"\x81\x02hi")?;
        asked.reader.read_exact(&mut [0])?;
        Err(io::ErrorKind::ConnectionAborted.into())
    })
}

#[test]
fn a_websocket_of_an_instance_that_ends_is_told_to_come_back() {
    let cases: [(&str, &[u8]); 2] =
        [("websocket", b"\x81\x02hi\x88\x02\x03\xe9"), ("mqtt", b"\x81\x02hi")];
    for (protocol, wanted) in cases {
        let app = mute_at_the_end(protocol);
        let proxy = Proxy::start();
        proxy.serve(&[&app]);
        let mut user = User::connect(proxy.addr);
        user.send(format!(
            "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n."
        ));
        assert!(user.head().starts_with("HTTP/1.1 101 "));
        assert_eq!(user.rest(), wanted, "{protocol}");
    }
}

#[test]
fn a_refused_upgrade_is_an_ordinary_response() {
    let app = App::start(|asked| asked.reply(426, "no"));
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let mut user = User::connect(proxy.addr);
    for _ in 0..2 {
        user.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
        assert_eq!((user.receive().status), 426);
    }
    assert_eq!(held(&proxy, "v1-0"), Some((0, 0)));
}
