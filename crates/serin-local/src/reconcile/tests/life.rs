//! Starting, crashing, hanging, stopping.

use super::*;
use crate::PhaseName;

#[test]
fn a_first_revision_is_started_and_routed_as_it_gets_ready() {
    let mut world = World::new(&[("v1", 100, 2)]);
    let started = ["route 1/0 v1=100[]", "start s-v1-aa-1 slot 0", "start s-v1-aa-2 slot 1"];
    assert_eq!(world.go(), started);
    assert_eq!(world.spawn("s-v1-aa-1").ok("s-v1-aa-1").go(), ["route 1/1 v1=100[1]"]);
    assert_eq!(world.spawn("s-v1-aa-2").ok("s-v1-aa-2").go(), ["route 1/2 v1=100[1,2]"]);
    assert_eq!(world.go(), [""; 0]);
}

#[test]
fn nothing_is_done_before_the_keeper_and_the_data_plane_have_spoken() {
    let mut world = World::new(&[("v1", 100, 1)]);
    world.fleet = Fleet::new(world.plan.service.clone(), Millis::secs(30));
    assert_eq!(world.go(), [""; 0]);
    world.fleet.met(None, world.now);
    assert_eq!(world.go(), [""; 0]);
    world.fleet.table.known = false;
    world.fleet.listed(&[], world.now);
    assert_eq!(world.go(), ["start s-v1-aa-1 slot 0"]);
    world.fleet.met(None, world.now);
    assert_eq!(world.go(), ["route 1/0 v1=100[]"]);
}

#[test]
fn a_crashed_instance_leaves_the_table_at_once_and_is_replaced() {
    let mut world = World::settled(&[("v1", 100, 2)]);
    let told = ["route 1/2 v1=100[2]", "explain s-v1-aa-1 Code(9)"];
    assert_eq!(world.exit("s-v1-aa-1", 9).go(), told);
    assert_eq!(world.pass(199).go(), [""; 0]);
    assert_eq!(world.pass(1).go(), ["start s-v1-aa-3 slot 0"]);
    assert_eq!(world.fleet.tally(&own("v1")).restarts, 1);
}

#[test]
fn the_backoff_grows_per_slot_and_ends_after_a_minute_of_readiness() {
    let mut world = World::new(&[("v1", 100, 1)]);
    world.go();
    for (number, wait) in
        [200, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000].into_iter().enumerate()
    {
        let id = format!("s-v1-aa-{}", number + 1);
        world.spawn(&id).ok(&id).go();
        world.pass(59_999).exit(&id, 1).go();
        assert_eq!(world.pass(wait - 1).go(), [""; 0], "after {id}");
        let next = world.pass(1).go();
        assert_eq!(next, [format!("start s-v1-aa-{} slot 0", number + 2)], "after {id}");
    }
    world.spawn("s-v1-aa-9").ok("s-v1-aa-9").go();
    world.pass(60_000).exit("s-v1-aa-9", 1).go();
    assert_eq!(world.pass(200).go(), ["start s-v1-aa-10 slot 0"]);
}

#[test]
fn three_kills_at_once_wait_for_nobody_but_themselves() {
    let mut world = World::settled(&[("v1", 100, 3)]);
    for id in world.names() {
        world.exit(&id, 137);
    }
    let explained = [1, 2, 3].map(|n| format!("explain s-v1-aa-{n} Code(137)"));
    let told = world.go();
    assert_eq!((told[0].as_str(), &told[1..]), ("route 1/2 v1=100[]", &explained[..]));
    let all = ["start s-v1-aa-4 slot 0", "start s-v1-aa-5 slot 1", "start s-v1-aa-6 slot 2"];
    assert_eq!(world.pass(200).go(), all);
}

#[test]
fn an_instance_whose_port_was_taken_is_tried_again_and_nothing_is_said() {
    let mut world = World::new(&[("v1", 100, 1)]);
    world.go();
    for number in 1..=2 {
        let id = format!("s-v1-aa-{number}");
        world.spawn(&id).oust(&id, 1);
        assert_eq!(world.go(), [format!("start s-v1-aa-{} slot 0", number + 1)]);
    }
    assert_eq!(world.fleet.tally(&own("v1")), crate::world::Tally::default());
    // It might be a child of its own.
    world.spawn("s-v1-aa-3").oust("s-v1-aa-3", 1);
    assert_eq!(world.go(), ["explain s-v1-aa-3 Code(1)"]);
    assert_eq!(world.fleet.tally(&own("v1")).restarts, 1);
}

#[test]
fn what_was_ready_or_ended_well_was_not_ousted() {
    let mut world = World::settled(&[("v1", 100, 2)]);
    world.oust("s-v1-aa-1", 1);
    assert_eq!(world.go(), ["route 1/2 v1=100[2]", "explain s-v1-aa-1 Code(1)"]);
    let mut world = World::new(&[("v1", 100, 1)]);
    world.go();
    world.spawn("s-v1-aa-1").oust("s-v1-aa-1", 0);
    assert_eq!(world.go(), ["explain s-v1-aa-1 Code(0)"]);
}

#[test]
fn an_instance_that_ends_before_it_was_ready_is_explained_until_its_slot_is_ready() {
    let mut world = World::new(&[("v1", 100, 1)]);
    let revision = own("v1");
    world.go();
    world.spawn("s-v1-aa-1").fail("s-v1-aa-1", 1).exit("s-v1-aa-1", 3);
    assert_eq!(world.go(), ["explain s-v1-aa-1 Code(3)"]);
    world.fleet.explained("s-v1-aa-1", ExitCause::Code(3), vec!["no config".into()]);
    let (slot, failure) = world.fleet.tally(&revision).failure.unwrap();
    assert_eq!((slot, failure.cause), (0, ExitCause::Code(3)));
    assert_eq!((failure.last_probe.as_deref(), &*failure.log[0]), (Some("down"), "no config"));
    world.pass(200).go();
    assert!(world.fleet.tally(&revision).failure.is_some(), "kept while it is tried again");
    world.spawn("s-v1-aa-2").ok("s-v1-aa-2");
    assert_eq!(world.fleet.tally(&revision).failure, None);
}

#[test]
fn a_loss_is_kept_back_for_a_moment_and_its_story_for_good() {
    let mut world = World::settled(&[("v1", 100, 1)]);
    let lost = |world: &World| {
        let seen = crate::observation(Some(&world.plan), &world.fleet, 0);
        seen.revisions[&"v1@aa".parse().unwrap()].lost.clone()
    };
    assert_eq!((world.fleet.silent_until(), lost(&world)), (None, None));
    world.exit("s-v1-aa-1", 7).go();
    assert_eq!(world.fleet.silent_until(), Some(world.now.plus(Millis(200))));
    world.fleet.explained("s-v1-aa-1", ExitCause::Code(7), vec!["out of bounds".into()]);
    assert_eq!(world.fleet.silent_until(), None);
    world.pass(200).go();
    world.spawn("s-v1-aa-2").ok("s-v1-aa-2").go();
    let story = lost(&world).expect("also when its successor is ready");
    assert_eq!((story.cause, &*story.log[0]), (ExitCause::Code(7), "out of bounds"));
    assert_eq!(world.fleet.tally(&own("v1")).failure, None);
}

#[test]
fn a_revision_that_is_wanted_again_begins_anew() {
    let mut world = World::new(&[("v1", 100, 1), ("v2", 0, 1)]);
    world.go();
    let id = "s-v2-aa-2";
    world.spawn(id).exit(id, 3).go();
    world.fleet.explained(id, ExitCause::Code(3), vec![]);
    let told = |world: &World| {
        let seen = crate::observation(Some(&world.plan), &world.fleet, 0);
        let v2 = seen.revisions.get(&"v2@aa".parse().unwrap()).cloned();
        v2.map(|v2| (v2.restarts, v2.failure.is_some()))
    };
    assert_eq!(told(&world), Some((1, true)));
    world.want(2, &[("v1", 100, 1)]).go();
    assert_eq!(told(&world), None);
    world.want(3, &[("v1", 100, 1), ("v2", 0, 1)]);
    assert_eq!(told(&world), Some((0, false)));
    assert!(world.go().contains(&"start s-v2-aa-3 slot 0".to_string()), "and does not wait");
}

#[test]
fn what_could_not_be_started_is_explained_too() {
    let mut world = World::new(&[("v1", 100, 1)]);
    world.go();
    world.fleet.exited("s-v1-aa-1", ExitCause::NotStarted("no file".into()), world.now);
    assert_eq!(world.go(), ["explain s-v1-aa-1 NotStarted(\"no file\")"]);
}

#[test]
fn an_instance_that_does_not_get_ready_is_told_after_ten_seconds_and_left_alone() {
    let mut world = World::new(&[("v1", 100, 1)]);
    world.go();
    world.spawn("s-v1-aa-1").fail("s-v1-aa-1", 5);
    assert_eq!(world.pass(9_999).go(), [""; 0]);
    assert_eq!(world.pass(1).go(), ["explain s-v1-aa-1 NotReady"]);
    assert_eq!(world.pass(30_000).go(), [""; 0]);
    assert_eq!(world.exit("s-v1-aa-1", 1).go(), ["explain s-v1-aa-1 Code(1)"], "a new story");
}

#[test]
fn a_hanging_instance_leaves_the_table_first_and_is_stopped_when_that_is_sure() {
    let mut world = World::settled(&[("v1", 100, 2)]);
    world.hang("s-v1-aa-1");
    let gone =
        ["route 1/2 v1=100[2]", "drain s-v1-aa-1 Dead from 1/2", "explain s-v1-aa-1 NotLive"];
    assert_eq!(world.go(), gone);
    assert_eq!(world.pass(200).go(), ["start s-v1-aa-3 slot 0"], "its place is free");
    assert_eq!(world.ack().go(), ["stop s-v1-aa-1 10 s"], "whatever it still holds");
    assert_eq!(world.fleet.tally(&own("v1")).restarts, 1);
    world.exit("s-v1-aa-1", 0).go();
    assert_eq!(world.fleet.tally(&own("v1")).restarts, 1, "counted once");
}

#[test]
fn a_hanging_instance_does_not_wait_for_a_data_plane_that_is_away() {
    let mut world = World::settled(&[("v1", 100, 2)]);
    world.hang("s-v1-aa-1").go();
    world.pass(200).go();
    assert_eq!(world.pass(4_799).go(), [""; 0]);
    assert_eq!(world.pass(1).go(), ["stop s-v1-aa-1 10 s"]);
}

#[test]
fn a_stop_without_effect_is_ordered_again() {
    let mut world = World::settled(&[("v1", 100, 1)]);
    world.want(2, &[("v2", 100, 0)]).go();
    assert_eq!(world.ack().count(&[]).go(), ["stop s-v1-aa-1 10 s"]);
    assert_eq!(world.phase("s-v1-aa-1"), PhaseName::Stopping);
    assert_eq!(world.pass(14_999).go(), [""; 0]);
    assert_eq!(world.pass(1).go(), ["stop s-v1-aa-1 10 s"]);
}

#[test]
fn a_leaver_that_is_still_being_started_is_stopped_when_it_is_there() {
    let mut world = World::new(&[("v1", 100, 1)]);
    world.go();
    world.want(2, &[("v2", 100, 0)]).go();
    assert_eq!(world.ack().count(&[]).pass(40_000).go(), [""; 0]);
    assert_eq!(world.spawn("s-v1-aa-1").go(), ["stop s-v1-aa-1 10 s"]);
}

#[test]
fn only_the_last_ended_instances_are_remembered() {
    let mut world = World::new(&[("v1", 100, 1)]);
    world.go();
    for number in 1..=10 {
        let id = format!("s-v1-aa-{number}");
        world.spawn(&id).ok(&id).exit(&id, 1).pass(30_000).go();
    }
    world.spawn("s-v1-aa-11").ok("s-v1-aa-11").exit("s-v1-aa-11", 1);
    assert!(world.go().contains(&"forget s-v1-aa-1".to_string()));
    assert_eq!(world.fleet.instances.len(), 10);
}

#[test]
fn liveness_of_a_slow_starter_is_not_tried_before_a_minute() {
    let mut world = World::new(&[("v1", 100, 1)]);
    world.go();
    world.spawn("s-v1-aa-1").fail("s-v1-aa-1", 3);
    let liveness = |world: &World| {
        let actions = reconcile(&world.plan, &world.fleet, world.now);
        actions.iter().any(|a| matches!(a, Action::Probe { probing: Probing::Liveness, .. }))
    };
    assert!(!liveness(world.pass(59_999)));
    assert!(liveness(world.pass(1)));
}

#[test]
fn probes_are_quick_until_ready_and_slow_after() {
    let mut world = World::new(&[("v1", 100, 1)]);
    world.go();
    let id = "s-v1-aa-1";
    world.spawn(id).go();
    let gap = |world: &World| world.fleet.instances[id].readiness.next_at.since(world.now).0;
    let mut gaps = Vec::new();
    for _ in 0..6 {
        world.fail(id, 1);
        gaps.push(gap(&world));
    }
    assert_eq!(gaps, [100, 200, 400, 800, 1000, 1000]);
    world.ok(id);
    assert!((4_500..=5_500).contains(&gap(&world)), "{}", gap(&world));
    world.fail(id, 1);
    assert_eq!(gap(&world), 1000, "a doubt is cleared up quickly");
}
