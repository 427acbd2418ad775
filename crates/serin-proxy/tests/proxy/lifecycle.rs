//! Start, restart, orders, listeners, end.

use crate::app::App;
use crate::rig::{Proxy, arm, free_addr, until};
use crate::user::User;
use serin_proxy::client::{Applied, Client, ClientError};
use serin_proxy::fds;
use serin_proxy::wire::{Generation, Reply, Request};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc;

#[test]
fn older_orders_change_nothing() {
    let app = App::named("v1");
    let proxy = Proxy::start();
    proxy.apply(5, vec![arm("v1", 100_000, &[&app])]);
    let stale = proxy.ask(&Request::Apply(proxy.route(4, vec![])));
    let Reply::Stale { have } = stale else { panic!("{stale:?}") };
    assert_eq!(have.generation, Generation { epoch: 1, n: 5 });
    let wrong = proxy.ask(&Request::Apply(proxy.route(6, vec![arm("v1", 7, &[&app])])));
    let Reply::Error(why) = wrong else { panic!("{wrong:?}") };
    assert!(why.contains("sum to 7"), "{why}");
    assert_eq!(User::connect(proxy.addr).get("/").text(), "v1");
}

#[test]
fn backends_change_within_a_generation_without_new_counters() {
    let apps = [App::named("a"), App::named("b")];
    let proxy = Proxy::start();
    proxy.serve(&[&apps[0]]);
    let mut user = User::connect(proxy.addr);
    assert_eq!(user.get("/").text(), "a");
    let mut route = proxy.route(1, vec![arm("v1", 100_000, &[&apps[1]])]);
    route.sub = 1;
    proxy.apply_route(route);
    assert_eq!(user.get("/").text(), "b");
    let arm = proxy.arm_when(1, "v1", |arm| arm.totals.requests == 2);
    assert_eq!(arm.assigned, 2);
    assert_eq!(proxy.counters().services.len(), 1);
}

#[test]
fn a_restarted_data_plane_serves_the_last_table_alone() {
    let app = App::named("v1");
    let mut proxy = Proxy::start();
    proxy.serve(&[&app]);
    assert_eq!(User::connect(proxy.addr).get("/").text(), "v1");
    let before = proxy.counters();
    proxy.restart();
    let mut user = until("the listener", || {
        std::net::TcpStream::connect(proxy.addr).ok().map(|_| User::connect(proxy.addr))
    });
    assert_eq!(user.get("/").text(), "v1");
    let after = proxy.counters();
    assert!(after.epoch > before.epoch && after.seq == 1);
    assert_eq!(after.services[0].arms[0].assigned, 1);
    let stale = proxy.ask(&Request::Apply(proxy.route(0, vec![])));
    assert!(matches!(stale, Reply::Stale { .. }), "{stale:?}");
}

#[test]
fn files_are_for_their_owner() {
    let proxy = Proxy::start();
    proxy.apply(1, vec![]);
    let mode = |name: &str| {
        let path = proxy.folder.path().join(name);
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("own"), mode("own/control.sock"), mode("table.json")), (0o700, 0o600, 0o600));
}

#[test]
fn a_broken_table_is_put_aside() {
    let mut proxy = Proxy::start();
    proxy.apply(1, vec![]);
    std::fs::write(proxy.folder.path().join("table.json"), "{").unwrap();
    proxy.restart();
    proxy.apply(1, vec![]);
    assert!(proxy.folder.path().join("table.bad").exists());
}

#[test]
fn terminated_it_finishes_what_runs() {
    let (entered, held) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let app = App::start(move |asked| {
        entered.send(()).unwrap();
        wait.lock().unwrap().recv().map_err(std::io::Error::other)?;
        asked.reply(200, "finished")
    });
    let mut proxy = Proxy::with(2, None);
    proxy.serve(&[&app]);
    let mut users: Vec<User> = (0..20).map(|_| User::connect(proxy.addr)).collect();
    for user in &mut users {
        user.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n");
        held.recv().unwrap();
    }
    let mut idle = User::connect(proxy.addr);
    proxy.terminate();
    until("the end of listening", || std::net::TcpStream::connect(proxy.addr).err());
    (0..20).for_each(|_| go.send(()).unwrap());
    for user in &mut users {
        let got = user.receive();
        assert_eq!((got.text(), got.header("connection")), ("finished", Some("close")));
        assert!(user.is_closed());
    }
    assert!(idle.is_closed());
    assert!(proxy.child.wait().unwrap().success());
}

#[test]
fn a_service_that_moves_keeps_its_connections() {
    let app = App::named("v1");
    let proxy = Proxy::start();
    proxy.serve(&[&app]);
    let mut user = User::connect(proxy.addr);
    assert_eq!(user.get("/").status, 200);
    let mut route = proxy.route(2, vec![arm("v1", 100_000, &[&app])]);
    route.listen = free_addr();
    proxy.apply_route(route.clone());
    assert_eq!(User::connect(route.listen).get("/").status, 200);
    assert_eq!(user.get("/").status, 200);
    until("the old listener's end", || std::net::TcpStream::connect(proxy.addr).err());
    let removed = proxy.ask(&Request::Remove { service: "shop".into(), generation: None });
    assert!(matches!(removed, Reply::Removed { durable: true, .. }), "{removed:?}");
    assert_eq!(user.get("/").status, 503);
}

#[test]
fn an_address_in_use_is_said_and_opened_later() {
    let app = App::named("v1");
    let proxy = Proxy::start();
    let taken = TcpListener::bind(proxy.addr).unwrap();
    let reply = proxy.ask(&Request::Apply(proxy.route(1, vec![arm("v1", 100_000, &[&app])])));
    let Reply::Applied { durable: true, error: Some(why), .. } = reply else { panic!("{reply:?}") };
    assert!(why.contains("is not open yet"), "{why}");
    drop(taken);
    until("the listener", || match proxy.ask(&Request::Table) {
        Reply::Table(held) => held[0].listening.then_some(()),
        other => panic!("{other:?}"),
    });
    assert_eq!(User::connect(proxy.addr).get("/").text(), "v1");
}

/// A keeper of one listener: gives duplicates of it to whoever asks.
fn keeper(path: &std::path::Path, listener: TcpListener) {
    let socket = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let mut stream = stream.unwrap();
            let (asked, _) = fds::receive(&stream).unwrap();
            let addr = listener.local_addr().unwrap();
            if asked == format!("{{\"listener\":{{\"addr\":\"{addr}\"}}}}\n") {
                fds::send(&stream, b"{\"ok\":true}\n", &[listener.as_fd()]).unwrap();
            } else {
                stream.write_all(b"{\"error\":\"unknown address\"}\n").unwrap();
            }
        }
    });
}

#[test]
fn listeners_come_from_the_keeper_and_go_back_to_it() {
    let app = App::named("v1");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keeper.sock");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut proxy = Proxy::with(1, Some(path.clone()));
    proxy.addr = listener.local_addr().unwrap();
    keeper(&path, listener);
    proxy.serve(&[&app]);
    assert_eq!(User::connect(proxy.addr).get("/").text(), "v1");
    let mut stream = UnixStream::connect(proxy.control()).unwrap();
    stream.write_all(b"{\"listeners\":null}\n").unwrap();
    let (line, fds) = fds::receive(&stream).unwrap();
    assert_eq!(line, format!("{{\"addrs\":[\"{}\"]}}\n", proxy.addr));
    let copies: Vec<SocketAddr> =
        fds.into_iter().map(|fd| TcpListener::from(fd).local_addr().unwrap()).collect();
    assert_eq!(copies, [proxy.addr]);
    // The keeper holds the socket: users queue while there is no data plane.
    proxy.child.kill().unwrap();
    proxy.child.wait().unwrap();
    let mut waiting = User::connect(proxy.addr);
    waiting.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n");
    proxy.restart();
    assert_eq!(waiting.receive().text(), "v1");
}

#[test]
fn an_address_the_keeper_does_not_know_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keeper.sock");
    keeper(&path, TcpListener::bind("127.0.0.1:0").unwrap());
    let proxy = Proxy::with(1, Some(path));
    let reply = proxy.ask(&Request::Apply(proxy.route(1, vec![])));
    let Reply::Applied { error: Some(why), .. } = reply else { panic!("{reply:?}") };
    assert!(why.contains("unknown address"), "{why}");
}

#[tokio::test]
async fn the_client_speaks_to_it() {
    let app = App::named("v1");
    let proxy = Proxy::start();
    proxy.apply(1, vec![]);
    let mut client = Client::connect(&proxy.control()).await.unwrap();
    let route = proxy.route(2, vec![arm("v1", 100_000, &[&app])]);
    let done = Applied::Done { durable: true, error: None };
    assert_eq!(client.apply(&route).await.unwrap(), done);
    let old = client.apply(&proxy.route(1, vec![])).await.unwrap();
    assert_eq!(old, Applied::Stale(route.order()));
    let mut wrong = proxy.route(3, vec![]);
    wrong.service = "other".into();
    let refused = client.apply(&wrong).await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused(_)), "{refused}");
    assert_eq!(client.counters().await.unwrap().services.len(), 1);
    assert_eq!(client.table().await.unwrap()[0].order, route.order());
    assert!(client.remove("shop", None).await.unwrap());
    assert!(client.table().await.unwrap().is_empty());
}

#[test]
fn garbage_on_the_control_socket_is_answered() {
    let proxy = Proxy::start();
    proxy.apply(1, vec![]);
    let mut stream = UnixStream::connect(proxy.control()).unwrap();
    stream.write_all(b"{\"applyy\":1}\n\"ping\"\n").unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stream));
    assert!(lines.next().unwrap().unwrap().contains("not a request"));
    assert!(lines.next().unwrap().unwrap().contains("\"pong\""));
}
