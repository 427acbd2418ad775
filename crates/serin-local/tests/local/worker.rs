//! Services without users, and what instances say about themselves.

use crate::rig::{Rig, app, get, id, of};
use serin_core::{EnvValue, MetricsSpec, Millis, Observation, Plan, RunSpec};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::net::TcpStream;

fn worker(rig: &mut Rig, revisions: &[(&str, u32, u32, RunSpec)]) -> Plan {
    Plan { listen: None, ..rig.plan(revisions) }
}

async fn settle(rig: &mut Rig, plan: Plan) -> Observation {
    let (generation, wanted) = (plan.generation, plan.revisions.clone());
    rig.local.apply(plan);
    rig.until("settled", |seen| {
        let all = wanted.iter().all(|(id, plan)| {
            seen.revisions.get(id).is_some_and(|seen| seen.ready == plan.replicas)
        });
        all && seen.revisions.len() == wanted.len() && seen.applied == Some(generation)
    })
    .await
}

fn counting() -> RunSpec {
    let metrics = Some(MetricsSpec { path: "/metrics".into(), period: Millis::secs(1) });
    RunSpec { metrics, ..app() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_are_rolled_by_instances_and_judged_by_their_own_numbers() {
    let mut rig = Rig::start().await;
    let plan = worker(&mut rig, &[("v1", 100, 2, counting())]);
    let seen = settle(&mut rig, plan).await;
    assert_eq!(seen.trouble, None);
    let addresses = of(&seen, "v1").addresses;
    assert_eq!(addresses.len(), 2);
    for (at, jobs) in addresses.iter().zip([3, 4]) {
        for _ in 0..jobs {
            assert_eq!(get(*at, "/job").await.0, 200);
        }
    }
    let sum = BTreeMap::from([("jobs_total".to_owned(), 7.0), ("lag".to_owned(), 3.0)]);
    rig.until("the sum", |seen| of(seen, "v1").published == sum).await;
    let plan = worker(&mut rig, &[("v1", 50, 1, counting()), ("v2", 50, 1, counting())]);
    let seen = settle(&mut rig, plan).await;
    assert_eq!((of(&seen, "v1").ready, of(&seen, "v2").ready), (1, 1));
    rig.until("numbers of both", |seen| {
        of(seen, "v1").published.len() == 2 && of(seen, "v2").published.len() == 2
    })
    .await;
    let plan = worker(&mut rig, &[("v2", 100, 2, counting())]);
    settle(&mut rig, plan).await;
    assert_eq!(rig.app_pids().len(), 2);
    assert!(rig.local.counters().await.unwrap().services.is_empty(), "no table was made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_may_lose_its_users_and_get_them_back() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 100, 1, app())]).await;
    assert_eq!(rig.get("/").await.0, 200);
    let plan = worker(&mut rig, &[("v1", 100, 1, app())]);
    settle(&mut rig, plan).await;
    let pids = rig.app_pids();
    rig.settle(&[("v1", 100, 1, app())]).await;
    assert_eq!(rig.get("/").await.0, 200);
    assert_eq!(rig.app_pids(), pids, "the instance never knew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_worker_ends_and_one_that_is_taken_over_goes_on() {
    let mut rig = Rig::start().await;
    let plan = worker(&mut rig, &[("v1", 100, 2, app())]);
    settle(&mut rig, plan).await;
    let pids = rig.app_pids();
    rig.take_over().await;
    let plan = worker(&mut rig, &[("v1", 100, 2, app())]);
    settle(&mut rig, plan).await;
    assert_eq!(rig.app_pids(), pids);
    rig.local.remove("shop".parse().unwrap());
    rig.until("the end", |seen| seen.revisions.is_empty()).await;
    assert_eq!(rig.app_pids(), [0; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_colour_has_its_own_resources() {
    let mut rig = Rig::start().await;
    let queue = EnvValue::Literal("jobs-$(COLOUR)".into());
    let run = RunSpec { env: BTreeMap::from([("GREETING".into(), queue)]), ..app() };
    let mut plan = rig.plan(&[("v1", 50, 1, run.clone()), ("v2", 50, 1, run)]);
    plan.revisions.get_mut(&id("v2")).unwrap().colour = serin_core::Colour::Green;
    let seen = settle(&mut rig, plan).await;
    for (version, wanted) in [("v1", "jobs-blue"), ("v2", "jobs-green")] {
        let at = of(&seen, version).addresses[0];
        assert!(get(at, "/").await.1.ends_with(wanted), "{version}");
    }
}

/// Nobody may connect to what has no users, however often it is tried.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_has_no_address() {
    let mut rig = Rig::start().await;
    let plan = worker(&mut rig, &[("v1", 100, 1, app())]);
    settle(&mut rig, plan).await;
    let patience = Duration::from_secs(5);
    let tried = tokio::time::timeout(patience, TcpStream::connect(rig.listen)).await.unwrap();
    assert!(tried.is_err());
}
