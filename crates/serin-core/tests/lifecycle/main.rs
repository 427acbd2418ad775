//! The rules of a service's life, each with a table of cases.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

#[path = "../support/mod.rs"]
mod support;

mod again;
mod back;
mod called;
mod clients;
mod failing;
mod formats;
mod held;
mod kept;
mod newer;
mod proof;
mod retried;
mod skipped;
mod stored;
mod trains;

use serin_core::*;
use support::{World, percent, revision};

/// Where a rollout of v2 from v1 is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum At {
    Stepping,
    Paused,
    Warm,
    Retiring,
    Reverting,
}

const EVERYWHERE: [At; 5] = [At::Stepping, At::Paused, At::Warm, At::Retiring, At::Reverting];

/// 20 %, a person, everything; nothing is judged.
fn by_hand() -> Vec<Step> {
    vec![Step::SetWeight(percent(20)), Step::Pause(None), Step::SetWeight(Weight::ALL)]
}

fn quick() -> Vec<Step> {
    vec![Step::SetWeight(Weight::ALL)]
}

/// v1 is stable and the rollout of v2 is where it is said to be.
fn rollout_at(at: At, change: impl FnOnce(&mut ServiceSpec)) -> World {
    let mut world = World::on_v1(by_hand());
    world.service.spec.schedule.analysis = None;
    change(&mut world.service.spec);
    world.deploy("v2").unwrap();
    catch_up(&mut world);
    assert_eq!(world.weight("v2"), 20, "{}", world.waiting);
    match at {
        At::Stepping => {}
        At::Paused => world.ask(Ask::Pause).unwrap(),
        At::Warm | At::Retiring => {
            world.ask(Ask::Promote { full: false }).unwrap();
            catch_up(&mut world);
            assert!(matches!(world.rollout().phase, Phase::Warm { .. }), "{}", world.waiting);
        }
        At::Reverting => world.ask(Ask::Abort).unwrap(),
    }
    if at == At::Retiring {
        world.advance(31);
        assert!(matches!(world.rollout().phase, Phase::Retiring), "{}", world.waiting);
    }
    world
}

fn catch_up(world: &mut World) {
    world.settle();
    world.advance(5);
    world.settle();
}

/// Brings `version` out and to its end.
fn release(world: &mut World, version: &str) {
    world.deploy(version).unwrap();
    run_out(world);
    assert_eq!(world.service.stable, Some(revision(version)), "{}", world.waiting);
    assert!(world.service.rollout.is_none(), "{}", world.waiting);
}

/// Minutes in which nobody does anything.
fn run_out(world: &mut World) {
    for _ in 0..5 {
        catch_up(world);
        world.advance(31);
    }
    world.settle();
}

/// v1 to `last`, each released one after the other, nothing judged.
fn released(versions: &[&str], change: impl FnOnce(&mut ServiceSpec)) -> World {
    let mut world = World::on_v1(quick());
    world.service.spec.schedule.analysis = None;
    change(&mut world.service.spec);
    for version in versions {
        release(&mut world, version);
    }
    world
}

fn standing(world: &World, version: &str) -> RevisionStanding {
    world.service.revisions[&revision(version)].standing
}

fn code(answer: Result<(), Refusal>) -> Option<RefusalCode> {
    answer.err().map(|refusal| refusal.code)
}

fn back() -> Ask {
    Ask::Rollback { to: None }
}

fn told(world: &World, what: &str) -> bool {
    world.told.iter().any(|line| line.contains(what))
}
