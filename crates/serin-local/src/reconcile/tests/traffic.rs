//! Who is in the table, and who has to wait for it.

use super::*;

#[test]
fn a_plan_that_moves_weight_is_routed_before_anything_else() {
    let mut world = World::settled(&[("v1", 100, 1)]);
    world.want(2, &[("v1", 95, 2), ("v2", 5, 1)]);
    let told = world.go();
    assert_eq!(told[0], "route 2/0 v1=95[1] v2=5[]", "{told:?}");
    assert_eq!(told[1..], ["start s-v1-aa-2 slot 1", "start s-v2-aa-3 slot 0"]);
}

#[test]
fn a_leaver_is_stopped_after_the_table_is_acknowledged_and_it_holds_nothing() {
    let mut world = World::settled(&[("v1", 100, 1), ("v2", 0, 1)]);
    world.want(2, &[("v1", 100, 1)]);
    assert_eq!(world.go(), ["route 2/0 v1=100[1]", "drain s-v2-aa-2 Surplus from 2/0"]);
    // A count from before the table changed says nothing, and without an answer nothing is sure.
    assert_eq!(world.count(&[("s-v2-aa-2", 0)]).pass(100_000).go(), [""; 0]);
    assert_eq!(world.ack().go(), [""; 0]);
    assert_eq!(world.count(&[("s-v2-aa-2", 3)]).go(), [""; 0]);
    assert_eq!(world.count(&[("s-v1-aa-1", 3)]).go(), ["stop s-v2-aa-2 10 s"]);
}

#[test]
fn the_drain_deadline_runs_from_the_acknowledgement() {
    let mut world = World::settled(&[("v1", 100, 1), ("v2", 0, 1)]);
    world.want(2, &[("v1", 100, 1)]).go();
    world.pass(20_000).ack().count(&[("s-v2-aa-2", 1)]);
    assert_eq!(world.pass(29_999).go(), [""; 0]);
    assert_eq!(world.pass(1).go(), ["stop s-v2-aa-2 10 s"]);
}

/// The grace period begins when the drain has ended, however long that took.
#[test]
fn each_service_has_a_drain_time_of_its_own_and_the_grace_comes_after_it() {
    let mut world = World::settled(&[("v1", 100, 1), ("v2", 0, 1)]);
    world.want(2, &[("v1", 100, 1)]);
    world.plan.drain = Millis::secs(3600);
    let plan = world.plan.clone();
    world.fleet.planned(&plan);
    world.go();
    world.ack().count(&[("s-v2-aa-2", 1)]);
    assert_eq!(world.pass(3_599_999).go(), [""; 0]);
    assert_eq!(world.pass(1).go(), ["stop s-v2-aa-2 10 s"]);
    assert_eq!(world.fleet.instances["s-v2-aa-2"].grace, Millis::secs(10));
}

#[test]
fn the_surplus_is_what_is_least_useful() {
    let mut world = World::settled(&[("v1", 100, 4)]);
    world.exit("s-v1-aa-1", 1).pass(200).go();
    world.want(2, &[("v1", 100, 2)]);
    let expected = [
        "route 2/0 v1=100[2,3]",
        "drain s-v1-aa-5 Surplus from 2/0",
        "drain s-v1-aa-4 Surplus from 2/0",
    ];
    assert_eq!(world.go(), expected, "the one that is starting, then the highest slot");
}

#[test]
fn a_draining_instance_that_is_wanted_again_goes_back_to_work() {
    let mut world = World::settled(&[("v1", 0, 2), ("v2", 100, 1)]);
    let since = world.fleet.instances["s-v1-aa-1"].ready_since();
    world.pass(1000).want(2, &[("v2", 100, 1)]).go();
    world.ack().count(&[("s-v1-aa-1", 1), ("s-v1-aa-2", 1)]).go();
    world.pass(1000).want(3, &[("v1", 100, 2), ("v2", 0, 1)]);
    let expected = ["route 3/0 v1=100[1,2] v2=0[3]", "recall s-v1-aa-1", "recall s-v1-aa-2"];
    assert_eq!(world.go(), expected);
    assert_eq!(world.fleet.instances["s-v1-aa-1"].ready_since(), since, "still warm");
}

#[test]
fn an_instance_that_lost_readiness_leaves_and_comes_back() {
    let mut world = World::settled(&[("v1", 100, 2)]);
    assert_eq!(world.fail("s-v1-aa-1", 2).go(), [""; 0]);
    assert_eq!(world.fail("s-v1-aa-1", 1).go(), ["route 1/2 v1=100[2]"]);
    assert_eq!(world.ok("s-v1-aa-1").go(), ["route 1/3 v1=100[1,2]"]);
}

#[test]
fn the_last_instance_of_a_revision_with_users_keeps_them_unless_it_is_dead() {
    let mut world = World::settled(&[("v1", 100, 2), ("v2", 0, 1)]);
    world.fail("s-v1-aa-1", 3).go();
    assert_eq!(world.pass(1000).fail("s-v1-aa-2", 3).go(), [""; 0], "the last one stays");
    assert_eq!(world.fail("s-v2-aa-3", 3).go(), ["route 1/3 v1=100[2] v2=0[]"], "no users");
    assert_eq!(world.ok("s-v1-aa-1").go(), ["route 1/4 v1=100[1] v2=0[]"]);
    assert_eq!(world.fail("s-v1-aa-1", 3).go(), [""; 0]);
    let told = ["route 1/5 v1=100[] v2=0[]", "explain s-v1-aa-1 Code(1)"];
    assert_eq!(world.exit("s-v1-aa-1", 1).go(), told);
}

#[test]
fn an_order_the_data_plane_finds_old_is_given_again_above_its_own() {
    let mut world = World::settled(&[("v1", 100, 1)]);
    world.fleet.refused(Some(held(1, 41)), "old".into());
    assert_eq!(world.go(), ["route 1/42 v1=100[1]"]);
    assert_eq!(world.ack().go(), [""; 0]);
}

#[test]
fn a_data_plane_that_follows_a_newer_plan_is_left_alone() {
    let mut world = World::settled(&[("v1", 100, 1)]);
    world.want(2, &[("v1", 50, 1), ("v2", 50, 0)]).go();
    world.fleet.refused(Some(held(7, 0)), "it follows 1.7".into());
    assert_eq!(world.pass(1000).go(), [""; 0]);
    assert_eq!(world.fleet.table.trouble.as_deref(), Some("it follows 1.7"));
    world.want(8, &[("v1", 100, 1)]);
    assert_eq!(world.go(), ["route 8/0 v1=100[1]"]);
}

#[test]
fn a_service_that_comes_back_while_it_leaves_lets_the_old_instances_go() {
    let mut world = World::settled(&[("v1", 100, 1)]);
    world.plan.revisions.clear();
    world.fleet.table.withdrawn = true;
    world.go();
    world.fleet.welcome();
    world.want(1, &[("v2", 100, 1)]);
    assert_eq!(world.go(), ["route 1/0 v2=100[]", "start s-v2-aa-2 slot 0"]);
    assert_eq!(world.ack().count(&[]).go(), ["stop s-v1-aa-1 10 s"]);
}

#[test]
fn a_new_data_plane_that_holds_less_is_no_reason_for_a_new_order() {
    // The client gives the last order again by itself.
    let mut world = World::settled(&[("v1", 100, 1)]);
    world.fleet.met(None, world.now);
    assert_eq!(world.go(), [""; 0]);
}

#[test]
fn a_removed_service_is_drained_stopped_and_forgotten() {
    let mut world = World::settled(&[("v1", 100, 1)]);
    world.plan.revisions.clear();
    world.fleet.table.withdrawn = true;
    let told = world.go();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("drain s-v1-aa-1 Surplus"), "{told:?}");
    assert_eq!(world.count(&[]).go(), [""; 0]);
    world.fleet.withdrawn(world.now);
    assert_eq!(world.count(&[]).go(), ["stop s-v1-aa-1 10 s"]);
    assert_eq!(world.exit("s-v1-aa-1", 0).go(), ["forget s-v1-aa-1"]);
}

#[test]
fn ready_is_told_when_requests_can_reach_the_instance() {
    let mut world = World::new(&[("v1", 100, 1)]);
    let told = |world: &World| {
        let seen = crate::observation(Some(&world.plan), &world.fleet, 0);
        let v1 = seen.revisions.values().next().cloned().unwrap();
        (v1.starting, v1.ready, v1.youngest_ready_at.is_some())
    };
    world.go();
    world.ack();
    world.spawn("s-v1-aa-1").ok("s-v1-aa-1").go();
    assert_eq!(told(&world), (1, 0, false), "the data plane does not know it yet");
    world.ack();
    assert_eq!(told(&world), (0, 1, true));
    world.fleet.met(None, world.now);
    assert_eq!(told(&world), (0, 1, true), "a new data plane is no news about the instance");
    world.exit("s-v1-aa-1", 1).go();
    world.pass(200).go();
    world.spawn("s-v1-aa-2").ok("s-v1-aa-2").go();
    assert_eq!(told(&world), (1, 0, false));
    world.fleet.table.reachable = false;
    assert_eq!(told(&world), (0, 1, true), "nobody can say more");
}

#[test]
fn instances_of_one_revision_that_differ_are_drift() {
    let mut world = World::settled(&[("v1", 100, 2)]);
    let revision = "v1@aa".parse().unwrap();
    let drift = |world: &World| {
        crate::observation(Some(&world.plan), &world.fleet, 0).revisions[&revision].drift
    };
    assert!(!drift(&world));
    world.exit("s-v1-aa-1", 1).pass(200).go();
    world.fleet.spawned("s-v1-aa-3", 1, Some("bb".into()), world.now);
    assert!(drift(&world));
}
