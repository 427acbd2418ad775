//! A new control plane finds what the last one left.

use super::*;

/// Two instances run, the data plane serves them, and the plan has been issued again.
fn found() -> World {
    let mut world = World::new(&[("v1", 100, 2)]);
    world.fleet = Fleet::new(world.plan.service.clone(), Millis::secs(30));
    world.fleet.table.first_plan = Some(world.plan.generation);
    let list = [
        listed("s-v1-aa-4", 0, ListedState::Running),
        listed("s-v1-aa-7", 1, ListedState::Running),
    ];
    world.fleet.listed(&list, world.now);
    world.fleet.met(Some(held(0, 9)), world.now);
    world
}

#[test]
fn nothing_is_started_and_no_smaller_table_is_given_before_the_first_probes() {
    let mut world = found();
    assert_eq!(world.go(), [""; 0]);
    assert_eq!(world.ok("s-v1-aa-4").go(), [""; 0]);
    assert_eq!(world.ok("s-v1-aa-7").go(), ["route 1/0 v1=100[4,7]"]);
    let since = world.fleet.instances["s-v1-aa-4"].ready_since();
    assert_eq!(since, Some(Timestamp(500_000)), "its warm-up is long over");
}

#[test]
fn nothing_is_told_before_the_first_probes_and_the_first_table() {
    let mut world = found();
    let telling = |world: &World| is_telling(&world.plan, &world.fleet, world.now);
    world.go();
    assert!(!telling(&world));
    world.ok("s-v1-aa-4").ok("s-v1-aa-7").go();
    assert!(!telling(&world), "the table is on its way");
    world.ack();
    assert!(telling(&world));
    let mut slow = found();
    slow.ok("s-v1-aa-4").pass(3_000).go();
    assert!(telling(slow.ack()), "in doubt it is told after three seconds");
}

#[test]
fn one_failed_probe_proves_nothing_and_three_do() {
    let mut world = found();
    world.ok("s-v1-aa-4").fail("s-v1-aa-7", 2);
    assert_eq!(world.go(), [""; 0]);
    assert_eq!(world.fail("s-v1-aa-7", 1).go(), ["route 1/0 v1=100[4]"]);
}

#[test]
fn an_instance_that_never_answers_holds_the_table_for_three_seconds_at_most() {
    let mut world = found();
    world.ok("s-v1-aa-4").go();
    assert_eq!(world.pass(2_999).go(), [""; 0]);
    assert_eq!(world.pass(1).go(), ["route 1/0 v1=100[4,7]"], "in doubt it stays");
    assert_eq!(world.fail("s-v1-aa-7", 3).go(), ["route 1/1 v1=100[4]"]);
}

#[test]
fn a_newer_plan_does_not_wait_for_proof() {
    let mut world = found();
    world.go();
    world.want(2, &[("v1", 100, 2), ("v2", 0, 0)]);
    assert_eq!(world.go(), ["route 2/0 v1=100[4,7] v2=0[]"]);
}

#[test]
fn if_all_adopted_fail_their_probes_users_are_still_led_to_them() {
    let mut world = found();
    world.fail("s-v1-aa-4", 3).fail("s-v1-aa-7", 3);
    assert_eq!(world.go(), ["route 1/0 v1=100[4,7]"]);
}

#[test]
fn without_a_table_to_keep_the_unproven_are_the_last_resort() {
    let mut world = found();
    world.fleet.table.acked = None;
    assert_eq!(world.go(), ["route 1/0 v1=100[4,7]"]);
    assert_eq!(world.ok("s-v1-aa-7").go(), ["route 1/1 v1=100[7]"]);
}

#[test]
fn numbers_restarts_and_backoff_go_on_where_they_were() {
    let mut world = World::new(&[("v1", 100, 2)]);
    world.fleet = Fleet::new(world.plan.service.clone(), Millis::secs(30));
    let exited = ListedState::Exited { cause: ExitCause::Code(1), at: world.now, asked: false };
    let asked = ListedState::Exited { cause: ExitCause::Signal(15), at: world.now, asked: true };
    let mut list = [
        listed("s-v1-aa-2", 0, exited),
        listed("s-v1-aa-3", 1, ListedState::Running),
        listed("s-v1-aa-1", 5, asked),
    ];
    list[0].label.failures = 2;
    list[1].label.restarts = 4;
    world.fleet.listed(&list, world.now);
    world.fleet.met(None, world.now);
    assert_eq!(world.fleet.tally(&own("v1")).restarts, 5);
    world.go();
    assert_eq!(world.pass(1_999).go(), [""; 0]);
    assert_eq!(world.pass(1).go(), ["start s-v1-aa-4 slot 0"]);
    world.fleet.listed(&list, world.now);
    assert_eq!(world.fleet.tally(&own("v1")).restarts, 5, "read twice, counted once");
}

#[test]
fn what_the_keeper_does_not_know_any_more_is_gone() {
    let mut world = World::settled(&[("v1", 100, 2)]);
    world.fleet.listed(&[listed("s-v1-aa-1", 0, ListedState::Running)], world.now);
    assert_eq!(world.go(), ["route 1/2 v1=100[1]", "explain s-v1-aa-2 Unknown"]);
    assert_eq!(world.pass(200).go(), ["start s-v1-aa-3 slot 1"]);
}

#[test]
fn a_process_that_is_being_started_survives_the_keepers_list() {
    let mut world = World::new(&[("v1", 100, 1)]);
    world.go();
    world.fleet.listed(&[], world.now);
    assert_eq!(world.go(), [""; 0]);
    world.fleet.listed(&[listed("s-v1-aa-1", 0, ListedState::Running)], world.now);
    assert_eq!(world.fleet.instances["s-v1-aa-1"].pid, Some(7), "the list answers for the order");
}

#[test]
fn an_exit_that_is_told_twice_counts_once() {
    let mut world = World::settled(&[("v1", 100, 1)]);
    world.exit("s-v1-aa-1", 1).go();
    world.exit("s-v1-aa-1", 1).go();
    assert_eq!(world.fleet.tally(&own("v1")).restarts, 1);
    assert_eq!(world.fleet.slots[&(own("v1"), 0)].failures, 1);
}
