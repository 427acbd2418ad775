//! Fresh instances of the stable revision beside the candidate, and users who stay.

use crate::rig::{Rig, app, id, of};
use serin_core::{Affinity, AffinityKey, Counts, FreshBaseline, Millis, Plan, Weight};
use std::collections::{BTreeMap, BTreeSet};

/// `v1` with one instance and a baseline of two, `v2` with two.
fn beside(rig: &mut Rig) -> Plan {
    let mut plan = rig.plan(&[("v1", 60, 1, app()), ("v2", 20, 2, app())]);
    let weight = Weight::percent(20).unwrap();
    plan.revisions.get_mut(&id("v1")).unwrap().fresh = Some(FreshBaseline { replicas: 2, weight });
    plan
}

async fn newest(rig: &Rig) -> Counts {
    let counts = rig.local.counts().await.unwrap();
    let (_, generations) = counts.into_iter().find(|(s, _)| s.as_str() == "shop").unwrap();
    generations.into_iter().last().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_baseline_comes_serves_is_replaced_and_goes() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 100, 1, app())]).await;
    let plan = beside(&mut rig);
    rig.local.apply(plan);
    let ready = |seen: &serin_core::Observation| seen.fresh.as_ref().map_or(0, |f| f.ready);
    rig.until("the baseline", |seen| ready(seen) == 2 && of(seen, "v2").ready == 2).await;
    let views = rig.instances();
    let names = |baseline| -> BTreeSet<String> {
        let of = views.iter().filter(|v| v.revision == id("v1") && v.baseline == baseline);
        of.map(|v| v.id.clone()).collect()
    };
    let (own, fresh) = (names(false), names(true));
    assert_eq!((own.len(), fresh.len(), rig.app_pids().len()), (1, 2, 5));
    let mut served: BTreeMap<String, u64> = BTreeMap::new();
    while !fresh.iter().chain(&own).all(|name| served.contains_key(name)) {
        let (status, body) = rig.get("/").await;
        assert_eq!(status, 200);
        let mut words = body.split(' ').map(str::to_owned);
        let (version, instance, role) = (words.next(), words.next(), words.next());
        if version.as_deref() == Some("v1") {
            assert_eq!(role.as_deref(), Some("stable"), "it cannot tell that it is compared");
        }
        *served.entry(instance.unwrap()).or_default() += 1;
        assert!(served.values().sum::<u64>() < 1_000, "{served:?}");
    }
    let counts = newest(&rig).await;
    let asked = |names: &BTreeSet<String>| -> u64 { names.iter().map(|name| served[name]).sum() };
    assert_eq!(counts.fresh.unwrap().assigned, asked(&fresh));
    assert_eq!(counts.arms[&id("v1")].assigned, asked(&own));
    assert_eq!(counts.arms.len(), 2);

    let victim = views.iter().find(|v| v.baseline).unwrap();
    let pid = rustix::process::Pid::from_raw(victim.pid.unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let seen = rig
        .until("another one", |seen| {
            ready(seen) == 2 && seen.fresh.as_ref().is_some_and(|fresh| fresh.restarts == 1)
        })
        .await;
    assert_eq!(of(&seen, "v1").restarts, 0);
    rig.take_over().await;
    let plan = beside(&mut rig);
    rig.local.apply(plan);
    let seen = rig.until("the same again", |seen| ready(seen) == 2).await;
    assert_eq!(seen.fresh.unwrap().restarts, 1);
    assert_eq!(rig.app_pids().len(), 5, "nothing was started for the new control plane");

    rig.apply(&[("v1", 80, 1, app()), ("v2", 20, 2, app())]);
    let seen = rig.until("the end of the baseline", |seen| seen.fresh.is_none()).await;
    assert_eq!((of(&seen, "v1").ready, of(&seen, "v2").ready), (1, 2));
    assert_eq!(rig.app_pids().len(), 3);
    assert_eq!(rig.local.counters().await.unwrap().dropped_total(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_stay_with_their_revision_and_are_the_unit() {
    let mut rig = Rig::start().await;
    rig.settle(&[("v1", 50, 1, app()), ("v2", 50, 1, app())]).await;
    let mut plan = rig.plan(&[("v1", 50, 1, app()), ("v2", 50, 1, app())]);
    let generation = plan.generation;
    plan.warm_up = Millis(0);
    let key = AffinityKey::Cookie("user".into());
    plan.affinity = Some(Affinity { key, window: Millis::secs(1), salt: "shop 2".into() });
    rig.local.apply(plan);
    rig.until("the plan", |seen| seen.applied == Some(generation)).await;
    let mut versions = BTreeSet::new();
    for user in 0..20 {
        let (status, first) = rig.get_as(&user.to_string()).await;
        assert_eq!(status, 200);
        for _ in 0..3 {
            assert_eq!(rig.get_as(&user.to_string()).await.1, first, "user {user}");
        }
        versions.insert(first);
    }
    assert_eq!(versions.len(), 2);
    let mut turn = 0..;
    let counts = loop {
        let counts = newest(&rig).await;
        let users: u64 = counts.arms.values().map(|arm| arm.n).sum();
        if users >= 20 && counts.arms.values().all(|arm| !arm.instances.is_empty()) {
            break counts;
        }
        // Asking on also lets the data plane know how fast stable is.
        rig.get_as(&(turn.next().unwrap() % 20).to_string()).await;
    };
    let stable = &counts.arms[&id("v1")];
    assert!(counts.arms.values().all(|arm| arm.sessions && arm.errors == 0), "{counts:?}");
    assert_eq!(stable.split.iter().map(|(n, _)| n).sum::<u64>(), stable.n);
    assert_eq!((stable.split.len(), stable.instances.len()), (64, 1));
    assert!(stable.instances.values().all(|(n, k)| *n > 0 && *k == 0), "{stable:?}");
}
