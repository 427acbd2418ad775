//! Nothing to everything in one step: the candidate is held against what stable was like before.

use crate::support::{World, serve};
use crate::{ALL, begun, finish, settle, went_back};
use serin_core::*;

fn watched(spec: &mut ServiceSpec) {
    let analysis = spec.schedule.analysis.as_mut().unwrap();
    analysis.after_promotion = Millis::secs(600);
}

/// Stable alone fails `stable` of 1,000 requests for a minute, then the candidate has everything
/// and fails `candidate` of 1,000 for two minutes.
fn switched(stable: u64, candidate: u64) -> World {
    let pause = Step::Pause(Some(Millis::secs(60)));
    let mut world = begun(vec![pause, ALL], watched);
    while world.rollout().step.index == 0 {
        serve(world.arm("v1"), 1000, stable);
        world.report();
        settle(&mut world);
    }
    finish(&mut world);
    assert_eq!(world.weight("v2"), 100, "{}", world.waiting);
    for _ in 0..120 {
        if world.service.rollout.as_ref().is_none_or(|r| !r.is_on_trial()) {
            break;
        }
        serve(world.arm("v2"), 1000, candidate);
        world.report();
        settle(&mut world);
    }
    world
}

#[test]
fn the_limit_comes_from_stables_own_counts() {
    // Errors of 1,000: before, after; whether it goes back.
    let cases = [(0, 0, false), (0, 30, true), (30, 30, false), (30, 40, false), (30, 120, true)];
    for (stable, candidate, back) in cases {
        let world = switched(stable, candidate);
        let cause = went_back(&world);
        assert_eq!(cause.is_some(), back, "{stable} then {candidate}: {cause:?}");
        if let Some(cause) = cause {
            assert_eq!(cause.code, "errors");
            assert_eq!(world.weight("v1"), 100);
        }
    }
}

#[test]
fn what_was_before_the_rollout_counts_where_it_was_too_short() {
    // A switch so soon that nothing was counted in between: stable fails 3 % and always did.
    let mut world = World::on_v1(vec![ALL]);
    watched(&mut world.service.spec);
    serve(world.arm("v1"), 200_000, 6000);
    world.deploy("v2").unwrap();
    settle(&mut world);
    world.advance(5);
    settle(&mut world);
    finish(&mut world);
    assert_eq!(world.weight("v2"), 100, "{}", world.waiting);
    for _ in 0..120 {
        serve(world.arm("v2"), 1000, 30);
        world.report();
        settle(&mut world);
    }
    assert_eq!(went_back(&world), None);
}

#[test]
fn one_unhealthy_instance_refuses_the_switch() {
    let mut world = World::on_v1(vec![ALL]);
    world.deploy("v2").unwrap();
    let mut seen = world.perfect();
    seen.revisions.get_mut(&crate::candidate()).unwrap().ready -= 1;
    world.observe(seen.clone());
    world.advance(30);
    world.observe(seen);
    assert_eq!(world.weight("v2"), 0);
    assert!(world.waiting.contains("3 of 4 ready"), "{}", world.waiting);
}
