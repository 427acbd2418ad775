//! The candidate takes stable's places: limits, traffic, the way back, failed instances.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod orders;
mod platform;
#[path = "../support/mod.rs"]
mod support;

use platform::{Machine, Truth, replace, rolling};
use serin_core::Amount::{Count, Percent};
use serin_core::*;
use support::{percent, revision};

fn one_more() -> Capacity {
    replace(Count(1), Count(0))
}

fn outcome(machine: &Machine) -> Outcome {
    machine.world.records.last().expect("an ended rollout").outcome
}

/// Deploys v2 and runs until it has `share` percent, confirmed.
fn until(machine: &mut Machine, share: u32) {
    for _ in 0..200 {
        if machine.held.weight(&revision("v2")) == percent(share) {
            return;
        }
        machine.second();
    }
    panic!("never {share} %: {}", machine.world.waiting);
}

#[test]
fn batch_by_batch_until_all_places_are_taken() {
    let mut machine = Machine::on_v1(rolling(4, one_more(), &[25, 50, 75, 100]));
    machine.world.deploy("v2").unwrap();
    let mut seen = vec![];
    for _ in 0..80 {
        machine.second();
        let (v1, v2) = (machine.world.replicas("v1"), machine.world.replicas("v2"));
        let now = (v1, v2, machine.world.weight("v2"));
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    let wanted = [
        (4, 1, 25),
        (3, 1, 25),
        (3, 2, 25),
        (3, 2, 50),
        (2, 2, 50),
        (2, 3, 50),
        (2, 3, 75),
        (1, 3, 75),
        (1, 4, 75),
        (1, 4, 100),
        (0, 4, 100),
    ];
    assert_eq!(seen, wanted, "{:#?}", machine.world.told);
    assert_eq!(outcome(&machine), Outcome::Promoted);
    assert_eq!(machine.world.service.stable, Some(revision("v2")));
    assert!(machine.world.told.contains(&"of 4 places v2 has 2 and v1 has 3".to_owned()));
}

#[test]
fn stable_shrinks_only_after_the_data_plane_confirmed_the_share() {
    let mut machine = Machine::on_v1(rolling(4, one_more(), &[50, 100]));
    machine.world.deploy("v2").unwrap();
    machine.take();
    assert!(machine.ready_one("v2"));
    machine.look();
    machine.world.advance(1);
    assert_eq!(machine.world.weight("v2"), 25);
    for _ in 0..5 {
        machine.look();
        machine.world.advance(1);
        assert_eq!(machine.world.replicas("v1"), 4, "nobody confirmed the share yet");
    }
    assert_eq!(machine.world.waiting, "the data plane to confirm the plan");
    machine.take();
    machine.look();
    assert_eq!(machine.world.replicas("v1"), 3);
    assert_eq!(machine.world.replicas("v2"), 1, "no room yet");
    machine.take();
    machine.look();
    assert_eq!(machine.world.waiting, "1 instance of v1 to stop");
    machine.in_flight = 7;
    machine.look();
    assert_eq!(machine.world.waiting, "1 instance of v1 to stop (7 requests still running)");
    assert!(machine.gone_one("v1"));
    machine.look();
    assert_eq!(machine.world.replicas("v2"), 2);
}

#[test]
fn a_step_is_done_when_those_that_made_room_are_gone() {
    let mut machine = Machine::on_v1(rolling(2, one_more(), &[50, 100]));
    machine.world.deploy("v2").unwrap();
    until(&mut machine, 50);
    machine.take();
    machine.look();
    machine.take();
    machine.look();
    assert_eq!(machine.world.waiting, "1 instance of v1 to stop");
    assert_eq!(machine.world.rollout().step.index, 0);
    assert!(machine.gone_one("v1"));
    machine.look();
    assert_eq!(machine.world.rollout().step.index, 1);
}

#[test]
fn cold_instances_get_no_share_and_stable_waits_for_them() {
    let mut service = rolling(4, replace(Count(0), Count(3)), &[50, 100]);
    service.schedule.warm_up = Millis::secs(10);
    let mut machine = Machine::on_v1(service);
    machine.world.deploy("v2").unwrap();
    machine.run(8);
    assert_eq!((machine.ready("v2"), machine.world.weight("v2")), (2, 0));
    assert!(machine.world.waiting.starts_with("instances of v2 to warm up"));
    machine.run(60);
    assert_eq!(outcome(&machine), Outcome::Promoted);
}

#[test]
fn the_way_back_is_the_same_in_reverse() {
    let mut machine = Machine::on_v1(rolling(4, one_more(), &[25, 50, 75, 100]));
    machine.world.deploy("v2").unwrap();
    until(&mut machine, 50);
    machine.run(3);
    assert_eq!((machine.ready("v1"), machine.ready("v2")), (2, 2));
    machine.world.ask(Ask::Abort).unwrap();
    assert_eq!(machine.world.weight("v2"), 50, "stable cannot take it all at once");
    assert_eq!(machine.world.replicas("v1"), 3);
    assert_eq!(machine.world.waiting, "the data plane to confirm the plan");
    machine.take();
    machine.look();
    assert_eq!(machine.world.waiting, "instances of v1: 2 of 4 ready");
    machine.run(10);
    assert_eq!(outcome(&machine), Outcome::Aborted);
    assert_eq!((machine.ready("v1"), machine.ready("v2")), (4, 0));
    assert_eq!(machine.world.weight("v1"), 100);
}

#[test]
fn the_way_back_is_at_once_while_stable_is_whole() {
    let mut machine = Machine::on_v1(rolling(4, one_more(), &[25, 100]));
    machine.world.deploy("v2").unwrap();
    machine.take();
    machine.ready_one("v2");
    machine.look();
    machine.world.advance(1);
    machine.take();
    assert_eq!((machine.world.weight("v2"), machine.world.replicas("v1")), (25, 4));
    machine.world.ask(Ask::Abort).unwrap();
    assert_eq!(machine.world.weight("v2"), 0);
}

#[test]
fn a_candidate_that_answers_nobody_loses_its_traffic_at_once() {
    let mut machine = Machine::on_v1(rolling(4, one_more(), &[50, 100]));
    machine.world.deploy("v2").unwrap();
    until(&mut machine, 50);
    machine.run(2);
    machine.truth.insert(revision("v2"), Truth::Hangs);
    while machine.crash_one("v2") {}
    machine.look();
    assert_eq!((machine.world.weight("v2"), machine.world.weight("v1")), (0, 100));
    machine.run(20);
    assert_eq!(outcome(&machine), Outcome::RolledBack);
    assert_eq!(machine.ready("v1"), 4);
}

#[test]
fn stable_gets_all_traffic_after_a_while_even_if_it_does_not_come_back_whole() {
    let mut machine = Machine::on_v1(rolling(4, one_more(), &[50, 100]));
    machine.world.deploy("v2").unwrap();
    until(&mut machine, 50);
    machine.run(2);
    machine.truth.insert(revision("v1"), Truth::Hangs);
    machine.world.ask(Ask::Abort).unwrap();
    machine.run(59);
    assert_eq!(machine.world.weight("v2"), 50);
    machine.take();
    machine.look();
    machine.world.advance(2);
    assert_eq!(machine.world.weight("v2"), 0, "a bad version has no traffic for ever");
}

#[test]
fn recreate_stops_first_and_measures_what_it_cost() {
    let mut machine = Machine::on_v1(rolling(3, replace(Count(0), Percent(100)), &[100]));
    machine.world.deploy("v2").unwrap();
    assert_eq!((machine.world.replicas("v1"), machine.world.replicas("v2")), (0, 0));
    assert_eq!((machine.world.weight("v1"), machine.world.weight("v2")), (0, 0));
    machine.take();
    machine.look();
    machine.world.advance(4);
    assert_eq!(
        machine.world.waiting,
        "instances of v2: 0 of 3 ready; nobody has answered users for 4 s"
    );
    machine.run(20);
    assert_eq!(outcome(&machine), Outcome::Promoted);
    let downtime = machine.world.records.last().unwrap().downtime;
    assert!((4000..=8000).contains(&downtime.0), "{downtime}");
    assert!(machine.world.told.contains(&"nobody answers users until v2 is ready".to_owned()));
    let up = format!("v2 answers users, after {downtime} without anybody");
    assert!(machine.world.told.contains(&up), "{:#?}", machine.world.told);
}

#[test]
fn recreate_goes_back_the_same_way() {
    let mut service = rolling(2, replace(Count(0), Percent(100)), &[100]);
    service.schedule.keep_warm = Millis::secs(30);
    let mut machine = Machine::on_v1(service);
    machine.world.deploy("v2").unwrap();
    until(&mut machine, 100);
    machine.run(4);
    machine.world.ask(Ask::Abort).unwrap();
    assert_eq!((machine.world.replicas("v2"), machine.world.weight("v2")), (0, 0));
    machine.run(10);
    assert_eq!(outcome(&machine), Outcome::Aborted);
    assert_eq!((machine.ready("v1"), machine.world.weight("v1")), (2, 100));
    assert!(machine.world.records.last().unwrap().downtime > Millis::secs(2));
}

#[test]
fn a_recreated_version_that_does_not_start_brings_the_old_one_back() {
    let mut machine = Machine::on_v1(rolling(2, replace(Count(0), Percent(100)), &[100]));
    machine.truth.insert(revision("v2"), Truth::Fails);
    machine.world.deploy("v2").unwrap();
    machine.run(20);
    assert_eq!(outcome(&machine), Outcome::RolledBack);
    assert_eq!((machine.ready("v1"), machine.world.weight("v1")), (2, 100));
}

#[test]
fn one_instance_is_replaced_beside_or_in_place() {
    for (capacity, down) in [(one_more(), false), (replace(Count(0), Count(1)), true)] {
        let mut machine = Machine::on_v1(rolling(1, capacity, &[25, 50, 100]));
        machine.world.deploy("v2").unwrap();
        machine.run(60);
        assert_eq!(outcome(&machine), Outcome::Promoted, "{}", machine.world.waiting);
        assert_eq!(machine.world.records.last().unwrap().downtime > Millis(0), down);
    }
}

/// v2 has one good instance; what starts now fails.
fn second_fails(asked: OnInstanceFailure) -> Machine {
    let mut service = rolling(4, one_more(), &[25, 50, 75, 100]);
    service.schedule.on_instance_failure = asked;
    let mut machine = Machine::on_v1(service);
    machine.world.deploy("v2").unwrap();
    until(&mut machine, 25);
    machine.run(3);
    machine.truth.insert(revision("v2"), Truth::Fails);
    for _ in 0..8 {
        machine.second();
    }
    machine
}

#[test]
fn a_failed_instance_brings_everything_back_unless_said() {
    let mut machine = second_fails(OnInstanceFailure::Back);
    machine.run(10);
    assert_eq!(outcome(&machine), Outcome::RolledBack);
    assert_eq!(machine.ready("v1"), 4);
}

#[test]
fn a_failed_instance_alone_gives_its_place_back_and_the_rollout_stops() {
    let mut machine = second_fails(OnInstanceFailure::Stop);
    machine.run(100);
    assert_eq!((machine.ready("v1"), machine.ready("v2")), (3, 1));
    assert_eq!(machine.world.weight("v2"), 25);
    assert_eq!(
        machine.world.waiting,
        "a person: v2 did not start: exited with code 3; resume to try it again, or abort"
    );
    machine.truth.clear();
    machine.world.ask(Ask::Resume).unwrap();
    machine.run(60);
    assert_eq!(outcome(&machine), Outcome::Promoted);
}

#[test]
fn a_failed_place_is_tried_again_and_the_others_go_on() {
    let mut machine = second_fails(OnInstanceFailure::Forward);
    assert_eq!((machine.ready("v1"), machine.ready("v2")), (3, 1));
    assert!(machine.world.waiting.starts_with("a failed place of v2 to be tried again"));
    machine.truth.clear();
    machine.run(80);
    assert_eq!(outcome(&machine), Outcome::Promoted);
    assert_eq!(machine.ready("v2"), 4);
}

#[test]
fn a_place_that_fails_again_and_again_ends_the_rollout() {
    let mut machine = second_fails(OnInstanceFailure::Forward);
    machine.run(400);
    assert_eq!(outcome(&machine), Outcome::RolledBack);
    assert_eq!(machine.ready("v1"), 4);
}

#[test]
fn slow_drains_are_nobodys_fault() {
    let mut machine = Machine::on_v1(rolling(3, replace(Count(0), Count(1)), &[34, 67, 100]));
    machine.world.deploy("v2").unwrap();
    for turn in 0..2000 {
        machine.take();
        if turn % 200 == 199 {
            machine.gone_one("v1");
        }
        machine.ready_one("v2");
        machine.look();
        machine.check();
        machine.world.advance(1);
    }
    assert_eq!(outcome(&machine), Outcome::Promoted, "{:?}", machine.world.told);
}

#[test]
fn crash_loops_cannot_move_the_deadline() {
    let mut machine = Machine::on_v1(rolling(4, one_more(), &[50, 100]));
    machine.truth.insert(revision("v2"), Truth::Hangs);
    machine.world.deploy("v2").unwrap();
    machine.run(70);
    assert_eq!(outcome(&machine), Outcome::RolledBack);
    let cause = machine.world.records.last().unwrap().cause.clone().unwrap();
    assert_eq!(cause.text, "0 of 1 instances of v2 were ready after 1 min");
}

#[test]
fn more_replicas_in_the_middle() {
    for replicas in [2, 3, 8] {
        let mut machine = Machine::on_v1(rolling(4, one_more(), &[50, 100]));
        machine.world.deploy("v2").unwrap();
        until(&mut machine, 50);
        machine.run(2);
        machine.world.ask(Ask::Pause).unwrap();
        let mut spec = machine.world.service.spec.clone();
        spec.replicas = replicas;
        let ask = DeployAsk {
            spec,
            revision: revision("v2"),
            allow_bad: false,
            departure: None,
            skips: Skips::Nothing,
        };
        machine.world.ask(Ask::Deploy(Box::new(ask))).unwrap();
        for _ in 0..20 {
            machine.take();
            for version in ["v1", "v2"] {
                while machine.ready_one(version) || machine.gone_one(version) {}
            }
            machine.look();
            machine.world.advance(1);
        }
        let there = machine.ready("v1") + machine.ready("v2");
        assert!(there >= replicas as usize, "{there} of {replicas} while it is paused");
        machine.world.ask(Ask::Resume).unwrap();
        machine.run(80);
        assert_eq!(machine.ready("v2"), replicas as usize);
        assert_eq!(outcome(&machine), Outcome::Promoted);
    }
}

#[test]
fn a_newer_deploy_waits_until_the_places_are_back() {
    let mut machine = Machine::on_v1(rolling(4, one_more(), &[50, 100]));
    machine.world.deploy("v2").unwrap();
    until(&mut machine, 50);
    machine.run(2);
    machine.world.deploy("v3").unwrap();
    assert!(machine.world.told.iter().any(|t| t.contains("v3 by ada waits for the rollout of v2")));
    machine.run(120);
    let ended: Vec<_> = machine.world.records.iter().map(|r| r.outcome).collect();
    assert_eq!(ended, [Outcome::Superseded, Outcome::Promoted]);
    assert_eq!((machine.ready("v1"), machine.ready("v2"), machine.ready("v3")), (0, 0, 4));
}

#[test]
fn a_rollback_takes_places_too() {
    let mut machine = Machine::on_v1(rolling(4, one_more(), &[50, 100]));
    machine.world.deploy("v2").unwrap();
    machine.run(60);
    assert_eq!(machine.world.service.stable, Some(revision("v2")));
    machine.world.ask(Ask::Rollback { to: None }).unwrap();
    machine.run(120);
    assert_eq!(machine.ready("v1"), 4);
    assert_eq!(machine.world.service.stable, Some(revision("v1")), "{}", machine.world.waiting);
}

#[test]
fn everything_at_once_still_keeps_the_limits() {
    let mut machine = Machine::on_v1(rolling(6, replace(Count(2), Count(1)), &[17, 34, 100]));
    machine.world.deploy("v2").unwrap();
    until(&mut machine, 17);
    machine.world.ask(Ask::Promote { full: true }).unwrap();
    machine.run(60);
    assert_eq!(outcome(&machine), Outcome::Promoted);
}

#[test]
fn a_worker_is_there_when_its_instances_are() {
    let mut service = rolling(4, one_more(), &[25, 50, 100]);
    service.traffic.listen = None;
    let mut machine = Machine::on_v1(service);
    machine.world.deploy("v2").unwrap();
    until(&mut machine, 50);
    machine.run(2);
    assert_eq!((machine.ready("v1"), machine.ready("v2")), (2, 2), "shares of instances");
    machine.run(60);
    assert_eq!(outcome(&machine), Outcome::Promoted);
}

#[test]
fn a_scale_apart_from_the_share() {
    let steps = vec![
        Step::SetScale(Scale::Share(Weight::ALL)),
        Step::SetScale(Scale::Instances(1)),
        Step::SetWeight(percent(50)),
        Step::SetScale(Scale::MatchWeight),
        Step::SetWeight(Weight::ALL),
    ];
    let mut service = rolling(4, Capacity::Beside, &[]);
    service.schedule.stages = Schedule::of("canary", steps).stages;
    let mut machine = Machine::on_v1(service);
    machine.world.deploy("v2").unwrap();
    let mut seen = vec![];
    for _ in 0..20 {
        let now = (machine.world.replicas("v2"), machine.world.weight("v2"));
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        machine.take();
        for version in ["v1", "v2"] {
            while machine.ready_one(version) || machine.gone_one(version) {}
        }
        machine.look();
        machine.world.advance(1);
    }
    assert_eq!(seen, [(4, 0), (1, 0), (1, 50), (2, 50), (4, 50), (4, 100)]);
}

#[test]
fn the_way_back_is_said_as_it_will_be() {
    for (capacity, wanted) in [
        (
            replace(Count(1), Count(1)),
            "place by place, as its instances start again; at least 3 of 4",
        ),
        (replace(Count(0), Percent(100)), "is stopped first and nobody answers until v1 is up"),
    ] {
        let mut machine = Machine::on_v1(rolling(4, capacity, &[50, 100]));
        let service = &machine.world.service;
        let (class, text) = way_back_before(service, &service.spec, &revision("v2"));
        assert_eq!(class, RollbackClass::Redeploy);
        assert!(text.contains(wanted), "{text}");
        machine.world.deploy("v2").unwrap();
        machine.run(4);
        let (class, _) = rollback_class(&machine.world.service, &revision("v1"));
        assert_eq!(class, RollbackClass::Redeploy, "stable is not whole");
    }
}
