//! The parts of Serin die and come back; what they run does not notice.

use crate::rig::{Rig, app, get, of};
use rustix::process::{Pid, Signal, kill_process};
use serin_keeper::client::Client;
use serin_keeper::protocol::{PROXY, Request, SOCKET};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_control_plane_restarts_nothing() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 100, 2, app())]).await;
    let before = rig.app_pids();
    let listen = rig.listen;
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let load = tokio::spawn(async move {
        let mut statuses = Vec::new();
        while !*stopped.borrow_and_update() {
            statuses.push(get(listen, "/").await.0);
        }
        statuses
    });
    rig.take_over().await;
    let generation = rig.apply(&[("v1", 100, 2, app())]);
    let first = rig.until("a first look", |_| true).await;
    assert_eq!((of(&first, "v1").ready, of(&first, "v1").starting), (2, 0), "nothing looks lost");
    let seen = rig.until("the table", |seen| seen.applied == Some(generation)).await;
    stop.send(true).unwrap();
    assert_eq!(rig.app_pids(), before);
    assert_eq!((seen.seq.0, of(&seen, "v1").restarts), (2, 0));
    let statuses = load.await.unwrap();
    assert!(!statuses.is_empty() && statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let counters = rig.local.counters().await.unwrap();
    assert_eq!(counters.dropped_total(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_control_plane_replaces_what_died_meanwhile() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 100, 2, app())]).await;
    let pids = rig.app_pids();
    rig.take_over().await;
    kill_process(Pid::from_raw(pids[0]).unwrap(), Signal::KILL).unwrap();
    let seen = rig.settle(&[("v1", 100, 2, app())]).await;
    assert_eq!(of(&seen, "v1").restarts, 1);
    assert!(rig.app_pids().contains(&pids[1]) && !rig.app_pids().contains(&pids[0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_data_plane_gets_the_table_again() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 100, 1, app())]).await;
    let epoch = rig.local.counters().await.unwrap().epoch;
    let proxy = rig.processes().into_iter().find(|p| p.instance == PROXY).unwrap();
    std::fs::write(rig.data().join("table.json"), "").unwrap();
    kill_process(Pid::from_raw(proxy.pid).unwrap(), Signal::KILL).unwrap();
    let generation = rig.apply(&[("v1", 100, 1, app())]);
    rig.until("the table", |seen| seen.applied == Some(generation)).await;
    let (status, body) = rig.get("/").await;
    assert!(status == 200 && body.starts_with("v1"), "{status} {body}");
    assert_ne!(rig.local.counters().await.unwrap().epoch, epoch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keepers_death_stops_nothing_and_its_return_is_noticed() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 100, 2, app())]).await;
    let before = rig.app_pids();
    rig.kill_keeper();
    assert_eq!(rig.get("/").await.0, 200);
    rig.until("trouble", |seen| seen.trouble.as_deref().is_some_and(|t| t.contains("keeper")))
        .await;
    let generation = rig.apply(&[("v1", 100, 3, app())]);
    rig.until("the table", |seen| seen.applied == Some(generation)).await;
    rig.start_keeper();
    let seen = rig.until("three", |seen| seen.trouble.is_none() && of(seen, "v1").ready == 3).await;
    assert_eq!(of(&seen, "v1").restarts, 0);
    let after = rig.app_pids();
    assert!(after.len() == 3 && before.iter().all(|pid| after.contains(pid)), "{after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_plane_that_hangs_is_noticed_and_holds_nobody_up() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 100, 1, app())]).await;
    let proxy = rig.processes().into_iter().find(|p| p.instance == PROXY).unwrap();
    let proxy = Pid::from_raw(proxy.pid).unwrap();
    kill_process(proxy, Signal::STOP).unwrap();
    let trouble = "the data plane does not answer";
    rig.until("trouble", |seen| seen.trouble.as_deref().is_some_and(|t| t.starts_with(trouble)))
        .await;
    let counters = rig.local.counters().await;
    assert!(matches!(counters, Err(serin_local::Error::Away { .. })), "{counters:?}");
    let generation = rig.apply(&[("v1", 100, 2, app())]);
    rig.until("two", |seen| of(seen, "v1").ready == 2).await;
    kill_process(proxy, Signal::CONT).unwrap();
    rig.until("its return", |seen| seen.trouble.is_none() && seen.applied == Some(generation))
        .await;
    assert_eq!(rig.local.counters().await.unwrap().dropped_total(), 0);
    assert_eq!(rig.get("/").await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_finishes_what_runs_and_refuses_what_is_new() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 100, 1, app())]).await;
    let (instance, listen) = (rig.instances()[0].clone(), rig.listen);
    let held = tokio::spawn(async move { get(listen, "/hold").await });
    rig.until("a request in flight", |seen| of(seen, "v1").in_flight == 1).await;
    Client::connect(&rig.data().join(SOCKET)).unwrap().call(Request::Shutdown).unwrap();
    // Served until the data plane is told to end, and refused from then on.
    while TcpStream::connect(listen).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!held.is_finished());
    assert_eq!(rig.tell(&instance, "/release").await.0, 200);
    let (status, body) = held.await.unwrap();
    assert!(status == 200 && body.starts_with("held by v1"), "{status} {body}");
}
