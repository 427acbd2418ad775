//! Services without users: nothing leads to their instances.

use super::*;
use crate::observe::observation;
use serin_core::MetricsSpec;

/// Two workers of `v1`, ready, with a data plane that was never met.
fn workers() -> World {
    let mut world = World::new(&[]);
    world.fleet.table = crate::world::Table::default();
    work(&mut world, 1, &[("v1", 100, 2)]);
    world.go();
    for id in ["s-v1-aa-1", "s-v1-aa-2"] {
        world.spawn(id).ok(id);
    }
    world
}

fn work(world: &mut World, n: u64, revisions: &[(&str, u32, u32)]) {
    world.want(n, revisions);
    world.plan.listen = None;
    let plan = world.plan.clone();
    world.fleet.planned(&plan);
}

fn applied(world: &World) -> Option<u64> {
    observation(Some(&world.plan), &world.fleet, 0).applied.map(|generation| generation.n)
}

#[test]
fn a_worker_needs_no_data_plane() {
    let mut world = workers();
    assert_eq!(world.go(), [""; 0], "no table");
    let seen = observation(Some(&world.plan), &world.fleet, 0);
    let v1 = &seen.revisions[&"v1@aa".parse().unwrap()];
    assert_eq!((v1.ready, v1.addresses.len(), applied(&world)), (2, 2, Some(1)));
    assert!(is_telling(&world.plan, &world.fleet, world.now));
    work(&mut world, 2, &[("v1", 50, 1), ("v2", 50, 1)]);
    let told = world.go();
    let wanted =
        ["drain s-v1-aa-2 Surplus from 0/0", "start s-v2-aa-3 slot 0", "stop s-v1-aa-2 10 s"];
    assert_eq!(told, wanted, "there is nothing to wait for");
    assert_eq!(applied(&world), Some(2));
}

#[test]
fn a_service_that_loses_its_users_leaves_the_data_plane_first() {
    let mut world = World::settled(&[("v1", 100, 2)]);
    work(&mut world, 2, &[("v1", 100, 1)]);
    assert_eq!(world.go().len(), 1, "one drains");
    assert_eq!(applied(&world), Some(1), "requests may still come");
    assert_eq!(world.pass(60_000).go(), [""; 0]);
    world.fleet.withdrawn(world.now);
    assert_eq!(applied(&world), Some(2));
    assert_eq!(world.go(), [""; 0], "what it has is not known yet");
    assert_eq!(world.count(&[]).go(), ["stop s-v1-aa-2 10 s"]);
}

#[test]
fn a_worker_that_gets_users_is_routed() {
    let mut world = workers();
    world.fleet.met(None, world.now);
    world.want(2, &[("v1", 100, 2)]);
    assert_eq!(world.go(), ["route 2/0 v1=100[1,2]"]);
    assert_eq!(applied(&world), None, "not before the data plane says so");
    world.ack();
    assert_eq!(applied(&world), Some(2));
}

#[test]
fn numbers_are_read_from_ready_instances_and_told_when_all_have_told_theirs() {
    let mut world = workers();
    let wanted = world.plan.revisions.values_mut().next().unwrap();
    wanted.run.metrics = Some(MetricsSpec { path: "/metrics".into(), period: Millis::secs(5) });
    assert_eq!(world.go(), ["read s-v1-aa-1", "read s-v1-aa-2"]);
    let told = |world: &World| {
        let seen = observation(Some(&world.plan), &world.fleet, 0);
        seen.revisions[&"v1@aa".parse().unwrap()].published.clone()
    };
    let numbers = |n: f64| Ok(BTreeMap::from([("lag".to_owned(), n)]));
    let read = |world: &mut World, id: &str, result: Result<BTreeMap<String, f64>, String>| {
        world.fleet.read(id, Millis::secs(5), result, world.now);
    };
    read(&mut world, "s-v1-aa-1", numbers(3.0));
    assert_eq!(told(&world), BTreeMap::new(), "one is missing");
    read(&mut world, "s-v1-aa-2", numbers(4.0));
    assert_eq!(told(&world), numbers(7.0).unwrap());
    let next = wake_at(&world.plan, &world.fleet, world.now).unwrap();
    assert!(next <= world.now.plus(Millis::secs(5)));
    for failures in 1..=3 {
        assert_eq!(world.pass(5_000).go().len(), 2);
        read(&mut world, "s-v1-aa-1", numbers(5.0));
        read(&mut world, "s-v1-aa-2", Err("down".into()));
        let wanted = if failures < 3 { numbers(9.0).unwrap() } else { BTreeMap::new() };
        assert_eq!(told(&world), wanted, "after {failures}");
    }
}
