//! Requests that are led, copied and shown, through the real data plane.

use crate::rig::{PATIENCE, Rig, app, free_addr, get, id, of};
use serin_core::{HeaderMatch, Mirror, Plan, Preview, Role, Rule, RunSpec, TextMatch, Weight};
use tokio::net::TcpStream;
use tokio::time::timeout;

fn beta() -> Rule {
    let value = TextMatch::Regex("^yes|true$".into());
    let matches = vec![HeaderMatch { header: "x-beta".into(), value }];
    Rule { name: "beta".into(), matches, to: id("v2") }
}

async fn settle(rig: &mut Rig, plan: Plan) {
    let (generation, wanted) = (plan.generation, plan.revisions.clone());
    rig.local.apply(plan);
    rig.until("settled", |seen| {
        let ready = |id| seen.revisions.get(id).map_or(0, |seen| seen.ready);
        let all = wanted.iter().all(|(id, plan)| ready(id) == plan.replicas);
        all && seen.applied == Some(generation)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn override_and_rules_lead_and_copies_are_evidence() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 100, 1, app()), ("v2", 0, 1, app())]).await;
    let plan = rig.plan(&[("v1", 100, 1, app()), ("v2", 0, 1, app())]);
    let mirror = Mirror { to: id("v2"), matches: vec![], share: Weight::ALL };
    let generation = plan.generation;
    let plan = Plan {
        override_header: Some("x-serin".into()),
        rules: vec![beta()],
        mirror: Some(mirror),
        ..plan
    };
    settle(&mut rig, plan).await;
    for (headers, wanted) in [
        ("", "v1"),
        ("x-beta: yes\r\n", "v2"),
        ("x-beta: no\r\n", "v1"),
        ("x-beta: yes\r\nx-serin: stable\r\n", "v1"),
        ("x-serin: v2\r\n", "v2"),
    ] {
        let (status, body) = rig.get_saying(headers).await;
        assert!(status == 200 && body.starts_with(wanted), "{headers}: {status} {body}");
    }
    let counts = async {
        loop {
            let all = rig.local.counts().await.unwrap();
            let counts = all.into_iter().flat_map(|(_, counts)| counts);
            let newest = counts.into_iter().find(|counts| counts.generation == generation);
            let arms = newest.map(|counts| counts.arms).unwrap_or_default();
            // Two were dealt and copied; two were led to v2, one to v1.
            if arms.get(&id("v2")).is_some_and(|v2| v2.led == 4) {
                return arms;
            }
            tokio::task::yield_now().await;
        }
    };
    let arms = timeout(PATIENCE, counts).await.expect("the copies are counted");
    assert_eq!((arms[&id("v1")].assigned, arms[&id("v1")].led), (2, 1));
    assert_eq!((arms[&id("v2")].assigned, arms[&id("v2")].errors), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_shows_one_revision_and_ends() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 100, 1, app())]).await;
    let listen = free_addr();
    let show = |plan: Plan| Plan { preview: Some(Preview { listen, to: id("v2") }), ..plan };
    let mut slow = app();
    slow.readiness.initial_delay = serin_core::Millis::secs(3600);
    let plan = show(rig.plan(&[("v1", 100, 1, app()), ("v2", 0, 1, slow)]));
    let generation = plan.generation;
    rig.local.apply(plan);
    rig.until("the table", |seen| seen.applied == Some(generation)).await;
    let (status, body) = get(listen, "/").await;
    assert!(status == 503 && body.contains("under preview"), "{status} {body}");
    let plan = show(rig.plan(&[("v1", 100, 1, app()), ("v2", 0, 1, app())]));
    settle(&mut rig, plan).await;
    let (status, body) = get(listen, "/").await;
    assert!(status == 200 && body.starts_with("v2"), "{status} {body}");
    assert!(rig.get("/").await.1.starts_with("v1"), "users see stable");
    assert!(std::net::TcpListener::bind(listen).is_err(), "the keeper holds it");
    rig.settle(&[("v1", 100, 1, app())]).await;
    let refused = async { while TcpStream::connect(listen).await.is_ok() {} };
    timeout(PATIENCE, refused).await.expect("nobody listens any more");
}

/// An arm of an experiment takes part, a kept revision waits, ready and without traffic.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variants_take_part_and_kept_revisions_wait() {
    let mut rig = Rig::start().await;
    let run: fn() -> RunSpec = app;
    let mut plan = rig.plan(&[("v0", 0, 1, run()), ("v1", 50, 1, run()), ("v2-red", 50, 1, run())]);
    plan.revisions.get_mut(&id("v0")).unwrap().role = Role::Kept;
    plan.revisions.get_mut(&id("v2-red")).unwrap().role = Role::Variant;
    settle(&mut rig, plan).await;
    let mut hits = [0; 3];
    while hits[1] < 5 || hits[2] < 5 {
        let (status, body) = rig.get("/").await;
        assert_eq!(status, 200);
        let at = ["v0 ", "v1 ", "v2-red "].iter().position(|v| body.starts_with(v)).unwrap();
        hits[at] += 1;
        assert!(hits.iter().sum::<u32>() < 500, "{hits:?}");
    }
    assert_eq!(hits[0], 0);
    let red = rig.instances().into_iter().find(|i| i.revision == id("v2-red")).unwrap();
    assert_eq!((red.role, red.baseline), (Role::Variant, false));
    let (_, body) = rig.tell(&red, "/").await;
    assert!(body.ends_with("variant"), "{body}");
    let counts = rig.local.counts().await.unwrap().remove(0).1;
    let last = counts.last().unwrap();
    assert_eq!(last.arms[&id("v2-red")].assigned, u64::from(hits[2]));
    let seen = rig.until("kept", |_| true).await;
    assert_eq!(of(&seen, "v0").ready, 1);
}
