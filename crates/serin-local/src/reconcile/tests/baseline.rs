//! Fresh instances of the stable revision, beside the candidate.

use super::*;
use serin_core::{Affinity, AffinityKey, RevisionObservation};

const BESIDE: [(&str, u32, u32); 2] = [("v1", 90, 2), ("v2", 10, 2)];

/// Two of each: `v1` 1 and 2, its baseline 3 and 4, `v2` 5 and 6.
fn beside() -> World {
    let mut world = World::settled(&[("v1", 100, 2)]);
    world.want_beside(2, &BESIDE, Some((2, 10))).go();
    for id in world.names() {
        world.spawn(&id).ok(&id);
    }
    world.go();
    world.ack().go();
    world
}

fn seen(world: &World) -> (RevisionObservation, Option<RevisionObservation>) {
    let seen = crate::observation(Some(&world.plan), &world.fleet, 0);
    (seen.revisions[&own("v1").revision].clone(), seen.fresh)
}

fn baseline() -> Crew {
    Crew { baseline: true, ..own("v1") }
}

#[test]
fn a_baseline_is_started_beside_the_candidate_and_has_a_share_of_its_own() {
    let mut world = World::settled(&[("v1", 100, 2)]);
    world.want_beside(2, &BESIDE, Some((2, 10)));
    let started = [
        "route 2/0 v1=80[1,2] v1'=10[] v2=10[]",
        "start s-v1-aa-3 slot 0",
        "start s-v1-aa-4 slot 1",
        "start s-v2-aa-5 slot 0",
        "start s-v2-aa-6 slot 1",
    ];
    assert_eq!(world.go(), started);
    let labels: Vec<bool> = world.fleet.instances.values().map(|i| i.crew.baseline).collect();
    assert_eq!(labels, [false, false, true, true, false, false]);
    assert_eq!(world.fleet.instances["s-v1-aa-3"].role, Role::Stable);
    world.spawn("s-v1-aa-3").ok("s-v1-aa-3");
    assert_eq!(world.go(), ["route 2/1 v1=80[1,2] v1'=10[3] v2=10[]"]);
    world.ack();
    let (v1, fresh) = seen(&world);
    assert_eq!((v1.ready, v1.starting), (2, 0), "stable is what it was");
    let fresh = fresh.unwrap();
    assert_eq!((fresh.ready, fresh.starting), (1, 1));
}

#[test]
fn a_lost_one_of_the_baseline_is_replaced_and_is_no_loss_of_stable() {
    let mut world = beside();
    let told = ["route 2/2 v1=80[1,2] v1'=10[4] v2=10[5,6]", "explain s-v1-aa-3 Code(9)"];
    assert_eq!(world.exit("s-v1-aa-3", 9).go(), told);
    world.fleet.explained("s-v1-aa-3", ExitCause::Code(9), vec![]);
    assert_eq!(world.pass(199).go(), [""; 0]);
    assert_eq!(world.pass(1).go(), ["start s-v1-aa-7 slot 0"]);
    assert!(world.fleet.instances["s-v1-aa-7"].crew.baseline);
    let (v1, fresh) = seen(&world);
    let fresh = fresh.unwrap();
    assert_eq!((v1.restarts, v1.lost), (0, None));
    assert_eq!((fresh.restarts, fresh.lost.is_some()), (1, true));
    world.exit("s-v1-aa-1", 9).go();
    assert_eq!(world.pass(200).go(), ["start s-v1-aa-8 slot 0"]);
    assert!(!world.fleet.instances["s-v1-aa-8"].crew.baseline);
}

#[test]
fn a_baseline_the_plan_names_no_more_is_drained_and_stopped() {
    let mut world = beside();
    world.want(3, &BESIDE);
    let gone = [
        "route 3/0 v1=90[1,2] v2=10[5,6]",
        "drain s-v1-aa-3 Surplus from 3/0",
        "drain s-v1-aa-4 Surplus from 3/0",
    ];
    assert_eq!(world.go(), gone);
    assert_eq!(world.ack().count(&[("s-v1-aa-3", 1)]).go(), ["stop s-v1-aa-4 10 s"]);
    let (v1, fresh) = seen(&world);
    let fresh = fresh.unwrap();
    assert_eq!((v1.ready, v1.stopping, v1.in_flight), (2, 0, 0));
    assert_eq!((fresh.ready, fresh.stopping, fresh.in_flight), (0, 2, 1));
    assert_eq!(world.count(&[]).go(), ["stop s-v1-aa-3 10 s"]);
    world.exit("s-v1-aa-3", 0).exit("s-v1-aa-4", 0);
    assert_eq!(world.go(), [""; 0]);
    assert_eq!(seen(&world).1, None);
}

#[test]
fn one_that_drains_is_wanted_again_as_what_it_was() {
    let mut world = beside();
    world.want_beside(3, &[("v1", 90, 1), ("v2", 10, 2)], None).go();
    world.ack().count(&[("s-v1-aa-2", 1), ("s-v1-aa-3", 1), ("s-v1-aa-4", 1)]).go();
    world.want_beside(4, &[("v1", 90, 1), ("v2", 10, 2)], Some((1, 10)));
    let told = ["route 4/0 v1=80[1] v1'=10[3] v2=10[5,6]", "recall s-v1-aa-3"];
    assert_eq!(world.go(), told, "stable's own second one stays on its way out");
}

#[test]
fn the_baseline_gets_smaller_by_itself() {
    let mut world = beside();
    world.want_beside(3, &BESIDE, Some((1, 5)));
    let told = ["route 3/0 v1=85[1,2] v1'=5[3] v2=10[5,6]", "drain s-v1-aa-4 Surplus from 3/0"];
    assert_eq!(world.go(), told);
}

#[test]
fn after_a_restart_each_is_still_what_it_was() {
    let mut world = beside();
    let own = listed("s-v1-aa-1", 0, ListedState::Running);
    let mut fresh = listed("s-v1-aa-3", 0, ListedState::Running);
    fresh.label.baseline = true;
    fresh.label.restarts = 4;
    world.want_beside(2, &[("v1", 90, 1), ("v2", 10, 0)], Some((1, 10)));
    world.fleet = Fleet::new(world.plan.service.clone(), Millis::secs(30));
    world.fleet.table.first_plan = Some(world.plan.generation);
    world.fleet.listed(&[own, fresh], world.now);
    world.fleet.met(Some(held(1, 9)), world.now);
    assert_eq!(world.ok("s-v1-aa-1").go(), [""; 0], "it waits for both");
    assert_eq!(world.ok("s-v1-aa-3").go(), ["route 2/0 v1=80[1] v1'=10[3] v2=10[]"]);
    let restarts = [self::own("v1"), baseline()].map(|crew| world.fleet.tally(&crew).restarts);
    assert_eq!(restarts, [0, 4]);
}

#[test]
fn labels_of_an_older_version_are_those_of_own_instances() {
    let text =
        r#"{"service":"s","revision":"v1@aa","role":"stable","slot":1,"port":9,"started":5}"#;
    let label: Label = serde_json::from_str(text).unwrap();
    assert_eq!(label.crew(), own("v1"));
    assert!(!serde_json::to_string(&label).unwrap().contains("baseline"));
}

#[test]
fn a_baseline_that_runs_something_else_than_stable_drifts() {
    let mut world = beside();
    let drifts = |world: &World| {
        let (v1, fresh) = seen(world);
        (v1.drift, fresh.unwrap().drift)
    };
    assert_eq!(drifts(&world), (false, false));
    for id in ["s-v1-aa-3", "s-v1-aa-4"] {
        world.fleet.spawned(id, 1, Some("bb".into()), world.now);
    }
    assert_eq!(drifts(&world), (false, true));
}

#[test]
fn the_planned_baseline_is_told_with_what_is_left_of_another() {
    let mut world = beside();
    world.want(3, &BESIDE).go();
    world.ack().count(&[("s-v1-aa-3", 2), ("s-v1-aa-4", 1)]).go();
    world.plan.revisions.get_mut(&own("v2").revision).unwrap().fresh =
        Some(FreshBaseline { replicas: 1, weight: Weight::NONE });
    world.go();
    let fresh = seen(&world).1.unwrap();
    assert_eq!((fresh.starting, fresh.stopping, fresh.in_flight), (1, 2, 3));
}

#[test]
fn the_table_says_how_users_are_kept() {
    let mut world = World::new(&[("v1", 100, 1)]);
    let mut affinity = |key, window| {
        let salt = "shop 3".to_string();
        world.plan.affinity = Some(Affinity { key, window: Millis(window), salt });
        let table = route(&world.plan, &world.fleet, &BTreeSet::new());
        table.check().unwrap();
        table.affinity.unwrap()
    };
    let found = affinity(AffinityKey::Cookie("user".into()), 60_000);
    let key = wire::AffinityKey::Cookie("user".into());
    assert_eq!(found, wire::Affinity { key, salt: "shop 3".into(), window_s: 60 });
    let header = affinity(AffinityKey::Header("X-User".into()), 0);
    assert_eq!((header.key, header.window_s), (wire::AffinityKey::Header("X-User".into()), 1));
    assert_eq!(affinity(AffinityKey::Cookie("u".into()), 999_999).window_s, 300);
}
