//! Moving traffic between revisions.

use crate::rig::{PATIENCE, Rig, app, get, id, of};
use serin_core::Plan;
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_follows_the_weights_and_the_old_revision_goes() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 100, 2, app())]).await;
    rig.settle(&[("v1", 50, 2, app()), ("v2", 50, 1, app())]).await;
    let (mut v1, mut v2) = (0, 0);
    while v1 < 5 || v2 < 5 {
        let (status, body) = rig.get("/").await;
        assert_eq!(status, 200);
        if body.starts_with("v1") {
            v1 += 1;
        } else {
            v2 += 1;
        }
        assert!(v1 + v2 < 500, "{v1} and {v2}");
    }
    let asked: u64 = {
        let counts = rig.local.counts().await.unwrap();
        let (_, generations) = counts.into_iter().find(|(s, _)| s.as_str() == "shop").unwrap();
        let newest = generations.last().unwrap();
        [id("v1"), id("v2")].iter().map(|r| newest.arms[r].assigned).sum()
    };
    assert_eq!(asked, v1 + v2, "each request was assigned once");
    let seen = rig.settle(&[("v2", 100, 1, app())]).await;
    assert_eq!(seen.revisions.len(), 1);
    assert_eq!(rig.app_pids().len(), 1);
    let (status, body) = rig.get("/").await;
    assert!(status == 200 && body.starts_with("v2"), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaving_instance_finishes_what_it_has() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 0, 1, app()), ("v2", 100, 1, app())]).await;
    let listen = rig.listen;
    let held = tokio::spawn(async move { get(listen, "/hold").await });
    rig.until("a request on v2", |seen| of(seen, "v2").in_flight == 1).await;
    let generation = rig.apply(&[("v1", 100, 1, app())]);
    rig.until("v2 drains", |seen| {
        let v2 = of(seen, "v2");
        seen.applied == Some(generation) && (v2.stopping, v2.in_flight) == (1, 1)
    })
    .await;
    assert!(rig.get("/").await.1.starts_with("v1"), "new requests go elsewhere");
    let v2 = rig.instances().into_iter().find(|i| i.revision == id("v2")).unwrap();
    assert_eq!(rig.tell(&v2, "/release").await.0, 200);
    let (status, body) = held.await.unwrap();
    assert!(status == 200 && body.starts_with("held by v2"), "{status} {body}");
    rig.until("v2 is gone", |seen| !seen.revisions.contains_key(&id("v2"))).await;
    assert_eq!(rig.local.counters().await.unwrap().dropped_total(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_plan_changes_nothing() {
    let mut rig = Rig::start().await;
    let old: Plan = rig.plan(&[("v9", 100, 3, app())]);
    rig.settle(&[("v1", 100, 1, app())]).await;
    rig.local.apply(old);
    let seen = rig.until("an answer", |_| true).await;
    assert_eq!(seen.revisions.keys().collect::<Vec<_>>(), [&id("v1")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_while_revisions_come_and_go() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 100, 2, app())]).await;
    let listen = rig.listen;
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let load = tokio::spawn(async move {
        let mut statuses = Vec::new();
        while !*stopped.borrow_and_update() {
            statuses.push(get(listen, "/").await.0);
        }
        statuses
    });
    rig.settle(&[("v1", 50, 2, app()), ("v2", 50, 2, app())]).await;
    rig.settle(&[("v2", 100, 2, app())]).await;
    rig.settle(&[("v2", 100, 1, app()), ("v3", 0, 1, app())]).await;
    rig.settle(&[("v2", 0, 1, app()), ("v3", 100, 1, app())]).await;
    rig.settle(&[("v2", 100, 1, app())]).await;
    stop.send(true).unwrap();
    let statuses = load.await.unwrap();
    assert!(statuses.len() > 20, "{}", statuses.len());
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_service_ends() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 100, 2, app())]).await;
    rig.local.remove("shop".parse().unwrap());
    rig.until("the end", |seen| seen.revisions.is_empty()).await;
    assert_eq!(rig.app_pids(), [0; 0]);
    let refused = async { while TcpStream::connect(rig.listen).await.is_ok() {} };
    timeout(PATIENCE, refused).await.expect("nobody listens any more");
    rig.settle(&[("v1", 100, 1, app())]).await;
    assert_eq!(rig.get("/").await.0, 200, "it may come back");
}
