//! Long work: connections and uploads stay where they are, and instances that give up their places
//! lose nothing.

use crate::rig::{PATIENCE, Rig, app, get, id, of};
use serin_core::{ExitCause, Millis, Plan};
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

/// An upgraded connection of lines.
struct Socket(BufReader<TcpStream>);

impl Socket {
    async fn open(addr: SocketAddr) -> Self {
        let mut stream = BufReader::new(TcpStream::connect(addr).await.unwrap());
        let head =
            "GET /socket HTTP/1.1\r\nhost: shop\r\nconnection: upgrade\r\nupgrade: lines\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert!(stream.read_line(&mut line).await.unwrap() > 0, "a whole head");
        }
        Self(stream)
    }

    /// What comes back; nothing when the connection has ended.
    async fn say(&mut self, word: &str) -> Option<String> {
        self.0.write_all(format!("{word}\n").as_bytes()).await.ok()?;
        let mut line = String::new();
        (self.0.read_line(&mut line).await.ok()? > 0).then_some(line)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_and_uploads_stay_on_their_instance_until_they_end() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 0, 1, app()), ("v2", 100, 1, app())]).await;
    let mut socket = Socket::open(rig.listen).await;
    assert!(socket.say("one").await.unwrap().starts_with("one from v2"));
    let mut upload = TcpStream::connect(rig.listen).await.unwrap();
    let head =
        "POST /upload HTTP/1.1\r\nhost: shop\r\ncontent-length: 10\r\nconnection: close\r\n\r\n";
    upload.write_all(format!("{head}hello").as_bytes()).await.unwrap();
    rig.until("both are on v2", |seen| of(seen, "v2").in_flight == 2).await;

    let generation = rig.apply(&[("v1", 100, 1, app())]);
    rig.until("v2 drains", |seen| seen.applied == Some(generation) && of(seen, "v2").stopping == 1)
        .await;
    assert!(rig.get("/").await.1.starts_with("v1"));
    assert!(socket.say("two").await.unwrap().starts_with("two from v2"));
    upload.write_all(b"world").await.unwrap();
    let mut answer = String::new();
    upload.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("10 bytes for v2"), "{answer}");
    assert!(socket.say("three").await.unwrap().starts_with("three from v2"));
    assert_eq!(rig.app_pids().len(), 2, "the socket keeps its instance");
    drop(socket);
    rig.until("v2 is gone", |seen| !seen.revisions.contains_key(&id("v2"))).await;
    assert_eq!(rig.local.counters().await.unwrap().dropped_total(), 0);
}

/// The service's own drain time ends what does not end by itself; then the app is told to go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_has_a_deadline_of_the_services_own() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 0, 1, app()), ("v2", 100, 1, app())]).await;
    let mut socket = Socket::open(rig.listen).await;
    assert!(socket.say("one").await.is_some());
    let plan = rig.plan(&[("v1", 100, 1, app())]);
    rig.local.apply(Plan { drain: Millis(300), ..plan });
    rig.until("v2 is gone", |seen| !seen.revisions.contains_key(&id("v2"))).await;
    assert_eq!(socket.say("two").await, None);
    let exits = async {
        loop {
            let all = rig.local.instances(&"shop".parse().unwrap());
            let exits: Vec<_> = all.into_iter().filter_map(|view| view.exit).collect();
            if !exits.is_empty() {
                break exits;
            }
            tokio::task::yield_now().await;
        }
    };
    let exits = timeout(PATIENCE, exits).await.expect("it is remembered");
    assert_eq!(exits, [ExitCause::Signal(15)], "SIGTERM, not SIGKILL");
}

fn load(listen: SocketAddr, stop: &watch::Sender<bool>) -> tokio::task::JoinHandle<usize> {
    let mut stopped = stop.subscribe();
    tokio::spawn(async move {
        let mut count = 0;
        while !*stopped.borrow_and_update() {
            let (status, body) = get(listen, "/").await;
            assert_eq!(status, 200, "{body}");
            count += 1;
        }
        count
    })
}

/// The candidate takes stable's places one by one, forward, half back, and forward again. Never
/// more processes than places and one, never a lost request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_change_hands_under_load_and_nothing_is_lost() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 100, 4, app())]).await;
    let (stop, _) = watch::channel(false);
    let users: Vec<_> = (0..4).map(|_| load(rig.listen, &stop)).collect();
    let shares = [(1, 25), (2, 50), (3, 75), (2, 50), (1, 25), (2, 50), (3, 75)];
    let mut last = 0;
    for (candidates, percent) in shares {
        let (stable, weight) = (4 - candidates, 100 - percent);
        // Whoever grows is ready first, then traffic moves, then the other shrinks.
        let (low, high) = (4 - candidates.max(last), candidates.max(last));
        let grown = if candidates > last { (4 - last, high) } else { (4 - low, last) };
        let kept = if candidates > last { 25 * last } else { percent };
        let grown = [("v1", 100 - kept, grown.0.max(stable), app()), ("v2", kept, grown.1, app())];
        rig.settle(&grown).await;
        rig.settle(&[("v1", weight, grown[0].2, app()), ("v2", percent, grown[1].2, app())]).await;
        rig.settle(&[("v1", weight, stable, app()), ("v2", percent, candidates, app())]).await;
        assert!(rig.app_pids().len() <= 5, "at {percent}");
        last = candidates;
    }
    rig.settle(&[("v1", 25, 1, app()), ("v2", 75, 4, app())]).await;
    rig.settle(&[("v2", 100, 4, app())]).await;
    stop.send(true).unwrap();
    let mut total = 0;
    for user in users {
        total += user.await.unwrap();
    }
    assert!(total > 20, "{total}");
    assert_eq!(rig.local.counters().await.unwrap().dropped_total(), 0);
}

/// Recreate: stable goes first, users are told to come back, and the candidate takes over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_instance_users_are_told_to_come_back() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 100, 1, app())]).await;
    rig.settle(&[("v1", 0, 0, app()), ("v2", 0, 0, app())]).await;
    let (status, body) = rig.get("/").await;
    assert!(status == 503 && body.contains("no revision takes requests now"), "{status} {body}");
    assert_eq!(rig.app_pids(), [0; 0]);
    rig.settle(&[("v1", 0, 0, app()), ("v2", 100, 1, app())]).await;
    assert!(rig.get("/").await.1.starts_with("v2"));
}
