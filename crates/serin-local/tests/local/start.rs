//! Bringing instances up, and telling why one does not come up.

use crate::rig::{Rig, app, broken, free_addr, id, of};
use serin_core::{EnvValue, ExitCause};
use serin_local::Error;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_come_up_and_serve() {
    let mut rig = Rig::start().await;
    let seen = rig.settle(&[("v1", 100, 2, app())]).await;
    let v1 = of(&seen, "v1");
    assert_eq!((v1.starting, v1.stopping, v1.restarts, v1.failure), (0, 0, 0, None));
    assert!(v1.youngest_ready_at.is_some() && !v1.drift);
    assert!(seen.seq.0 == 1 && seen.trouble.is_none(), "{seen:?}");
    let (status, body) = rig.get("/").await;
    assert_eq!(status, 200);
    assert!(body.starts_with("v1 shop-v1-aabb-") && body.ends_with(" stable"), "{body}");
    let views = rig.instances();
    assert_eq!(views.len(), 2);
    for view in views {
        assert!(view.pid.is_some() && view.ready_since.is_some() && view.artefact.is_some());
        assert_eq!(view.last_probe.as_deref(), Some("GET /ready: 200 OK"));
        assert!((10_000..32_768).contains(&view.port), "{}", view.port);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_ends_at_its_start_is_told_with_code_and_log() {
    let mut rig = Rig::start().await;
    rig.apply(&[("v1", 100, 1, broken(3))]);
    let seen = rig.until("a failure", |seen| of(seen, "v1").failure.is_some()).await;
    let failure = of(&seen, "v1").failure.unwrap();
    assert_eq!(failure.cause, ExitCause::Code(3));
    assert_eq!(failure.log.len(), 20);
    assert_eq!(failure.log[19], "cannot open the database");
    assert_eq!(failure.log[0], "line 7 of the start");
    let seen = rig.until("new tries", |seen| of(seen, "v1").restarts >= 2).await;
    assert_eq!(of(&seen, "v1").ready, 0);
    let tails = rig.local.log_tail(&"shop".parse().unwrap(), Some(&id("v1")), 2).await;
    assert!(tails.len() >= 2, "{tails:?}");
    assert_eq!(tails[0].1.last().unwrap(), "cannot open the database");
    rig.settle(&[("v1", 0, 0, broken(3)), ("v2", 100, 1, app())]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_started_is_told_by_name() {
    let mut rig = Rig::start().await;
    let mut run = app();
    run.env.insert("TOKEN".into(), EnvValue::FromFile("/nowhere/token".into()));
    let mut lost = app();
    lost.command = vec!["no-such-program".into()];
    for (version, run, part) in [
        ("v2", run, "the file of env `TOKEN` `/nowhere/token` cannot be read"),
        ("v3", lost, "`no-such-program` is not found"),
    ] {
        rig.apply(&[(version, 100, 1, run)]);
        let seen = rig.until("a failure", |seen| of(seen, version).failure.is_some()).await;
        let failure = of(&seen, version).failure.unwrap();
        let ExitCause::NotStarted(why) = failure.cause else { panic!("{:?}", failure.cause) };
        assert!(why.contains(part), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_reaches_the_app_and_nothing_else() {
    let mut rig = Rig::start().await;
    let secret = rig.dir.path().join("secret");
    std::fs::write(&secret, "hunter2-xyzzy\n").unwrap();
    let mut run = app();
    run.env.insert("SECRET".into(), EnvValue::FromFile(secret.display().to_string()));
    rig.settle(&[("v1", 100, 1, run)]).await;
    assert_eq!(rig.get("/secret").await, (200, "hunter2-xyzzy".into()));
    let mut files = vec![rig.data()];
    while let Some(path) = files.pop() {
        let meta = path.symlink_metadata().unwrap();
        if meta.is_dir() {
            files.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else if meta.is_file() {
            let content = std::fs::read(&path).unwrap();
            let found = content.windows(13).any(|part| part == b"hunter2-xyzzy");
            assert!(!found, "in {}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_reserved_or_refused() {
    let rig = Rig::start().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let refused = rig.local.reserve(addr).await;
    assert!(matches!(refused, Err(Error::AddrInUse { addr: a }) if a == addr), "{refused:?}");
    let free = free_addr();
    rig.local.reserve(free).await.unwrap();
    rig.local.reserve(free).await.unwrap();
    assert!(std::net::TcpListener::bind(free).is_err(), "it is held");
    rig.local.release(free).await.unwrap();
    std::net::TcpListener::bind(free).unwrap();
}
