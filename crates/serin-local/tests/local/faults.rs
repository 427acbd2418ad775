//! Instances that die, hang or change.

use crate::rig::{Rig, app, exe, of};
use rustix::process::{Pid, Signal, kill_process};
use serin_core::{ExitCause, Millis};
use serin_local::InstanceView;

fn kill(view: &InstanceView) {
    signal(view, Signal::KILL);
}

fn signal(view: &InstanceView, signal: Signal) {
    kill_process(Pid::from_raw(view.pid.unwrap()).unwrap(), signal).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_under_traffic_is_told_with_code_and_log() {
    let mut rig = Rig::start().await;
    let mut seen = rig.settle(&[("v1", 100, 1, app())]).await;
    assert_eq!(of(&seen, "v1").lost, None);
    let victim = rig.instances()[0].clone();
    assert_eq!(rig.get("/crash").await.0, 502, "the request it held");
    // The first look that tells of the loss tells why.
    while of(&seen, "v1").restarts == 0 {
        seen = rig.until("a look", |_| true).await;
    }
    let v1 = of(&seen, "v1");
    let lost = v1.lost.expect("why it was lost");
    assert_eq!((lost.instance, lost.cause), (victim.id, ExitCause::Code(7)));
    assert_eq!(lost.last_probe.as_deref(), Some("GET /ready: 200 OK"));
    assert_eq!((lost.log.len(), lost.log[19].as_str()), (20, "index out of bounds"));
    assert_eq!(v1.failure, None);
    let seen = rig.until("a replacement", |seen| of(seen, "v1").ready == 1).await;
    assert!(of(&seen, "v1").lost.is_some(), "kept for whoever asks later");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_stopped_in_its_tracks_holds_nobody_else_up() {
    let mut rig = Rig::start().await;
    let mut run = app();
    (run.liveness, run.readiness.timeout) = (None, Millis(100));
    rig.settle(&[("v1", 100, 2, run)]).await;
    let [hung, other] = rig.instances().try_into().unwrap();
    signal(&hung, Signal::STOP);
    let samples = |rig: &Rig| -> Vec<usize> {
        let usage = rig.local.usage(&"shop".parse().unwrap());
        usage.iter().map(|one| one.samples.len()).collect()
    };
    let before = samples(&rig);
    rig.until("one ready", |seen| of(seen, "v1").ready == 1).await;
    for (path, ready) in [("/sick", 0), ("/well", 1)] {
        assert_eq!(rig.tell(&other, path).await.0, 200);
        rig.until(path, |seen| of(seen, "v1").ready == ready).await;
    }
    while !samples(&rig).iter().zip(&before).all(|(now, before)| *now >= before + 2) {
        rig.until("another look", |_| true).await;
    }
    signal(&hung, Signal::CONT);
    rig.until("both ready", |seen| of(seen, "v1").ready == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_instance_is_replaced() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 100, 2, app())]).await;
    let victim = rig.instances()[0].clone();
    kill(&victim);
    let mut failed = 0;
    for _ in 0..20 {
        failed += u32::from(rig.get("/").await.0 != 200);
    }
    assert!(failed <= 1, "{failed} requests, one at a time: it can have held one");
    let seen = rig
        .until("a replacement", |seen| of(seen, "v1").restarts == 1 && of(seen, "v1").ready == 2)
        .await;
    assert_eq!(of(&seen, "v1").failure, None, "it had been ready");
    let views = rig.instances();
    assert!(views.iter().all(|view| view.id != victim.id && view.port != victim.port), "{views:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_instance_is_replaced() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 100, 2, app())]).await;
    let victim = rig.instances()[0].clone();
    assert_eq!(rig.tell(&victim, "/dead").await.0, 200);
    let seen = rig
        .until("a replacement", |seen| {
            let v1 = of(seen, "v1");
            (v1.restarts, v1.ready, v1.stopping) == (1, 2, 0)
        })
        .await;
    let lost = of(&seen, "v1").lost.unwrap();
    assert_eq!((&lost.instance, lost.cause), (&victim.id, ExitCause::NotLive));
    assert_eq!(lost.last_probe.as_deref(), Some("GET /health: 503 Service Unavailable"));
    assert!(rig.instances().iter().all(|view| view.id != victim.id));
    assert_eq!(rig.local.counters().await.unwrap().dropped_total(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sick_instance_gets_no_requests_until_it_is_well() {
    let mut rig = Rig::start().await;
    let mut run = app();
    run.readiness.period = Millis(20);
    rig.settle(&[("v1", 100, 2, run)]).await;
    let patient = rig.instances()[0].clone();
    assert_eq!(rig.tell(&patient, "/sick").await.0, 200);
    rig.until("sickness", |seen| of(seen, "v1").ready == 1).await;
    let (mut asked, mut elsewhere) = (0, 0);
    while elsewhere < 20 {
        let (status, body) = rig.get("/").await;
        asked += 1;
        assert!(status == 200 && asked < 500, "{status} in request {asked}");
        elsewhere = if body.contains(&patient.id) { 0 } else { elsewhere + 1 };
    }
    assert_eq!(rig.tell(&patient, "/well").await.0, 200);
    let seen = rig.until("health", |seen| of(seen, "v1").ready == 2).await;
    assert_eq!(of(&seen, "v1").restarts, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_differ_are_reported() {
    let mut rig = Rig::start().await;
    let program = rig.dir.path().join("shop");
    std::fs::copy(exe(), &program).unwrap();
    let mut run = app();
    run.command[0] = program.display().to_string();
    let seen = rig.settle(&[("v1", 100, 2, run)]).await;
    assert!(!of(&seen, "v1").drift);
    let other = rig.dir.path().join("shop.new");
    std::fs::copy(exe(), &other).unwrap();
    let mut bytes = std::fs::read(&other).unwrap();
    bytes.extend_from_slice(b"another build");
    std::fs::write(&other, bytes).unwrap();
    std::fs::rename(&other, &program).unwrap();
    kill(&rig.instances()[0]);
    let seen = rig
        .until("two ready", |seen| of(seen, "v1").restarts == 1 && of(seen, "v1").ready == 2)
        .await;
    assert!(of(&seen, "v1").drift);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_instances_use_is_sampled() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 100, 1, app())]).await;
    let shop = "shop".parse().unwrap();
    let mut usage = rig.local.usage(&shop);
    while usage.iter().all(|one| one.samples.is_empty()) {
        rig.until("another look", |_| true).await;
        usage = rig.local.usage(&shop);
    }
    let sample = usage[0].samples[0];
    assert!(sample.rss_bytes > 0 && sample.threads > 0 && sample.open_files > 0, "{sample:?}");
}
