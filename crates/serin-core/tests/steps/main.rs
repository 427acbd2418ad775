//! Steps beside shares and waiting, each with a table of cases.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

#[path = "../support/mod.rs"]
mod support;

mod approve;
mod blue_green;
mod checks;
mod experiment;
mod flags;
mod migrations;
mod migrations_fleet;
mod migrations_halt;
mod migrations_walk;
mod migrations_watch;
mod routes;
mod tests;

use serin_core::*;
use support::{World, revision};

const ALL: Step = Step::SetWeight(Weight::ALL);

/// v1 stable, v2 deployed by `steps`, its instances ready and warm.
fn begun(steps: Vec<Step>, change: impl FnOnce(&mut ServiceSpec)) -> World {
    let mut world = World::on_v1(steps);
    change(&mut world.service.spec);
    world.deploy("v2").unwrap();
    finish(&mut world);
    world
}

/// As a platform that tells addresses of its instances.
fn settle(world: &mut World) {
    for _ in 0..20 {
        let before = world.service.clone();
        let mut seen = world.perfect();
        for revision in seen.revisions.values_mut().filter(|r| r.ready > 0) {
            revision.addresses = vec!["127.0.0.1:7001".parse().unwrap()];
        }
        world.observe(seen);
        let same = Service { observed: before.observed.clone(), ..world.service.clone() };
        if same == before {
            return;
        }
    }
}

/// Settles, lets new instances get warm, and settles again.
fn finish(world: &mut World) {
    settle(world);
    world.advance(5);
    settle(world);
}

fn told(world: &World, text: &str) -> usize {
    world.told.iter().filter(|line| line.contains(text)).count()
}

fn cause(world: &World) -> Cause {
    match &world.rollout().phase {
        Phase::Reverting { cause, .. } => (**cause).clone(),
        other => panic!("not on its way back: {other:?}; {}", world.waiting),
    }
}

/// Why it went or goes back, if it does.
fn went_back(world: &World) -> Option<Cause> {
    let ended = world.records.last().and_then(|record| record.cause.clone());
    match world.service.rollout.as_ref().map(|r| &r.phase) {
        Some(Phase::Reverting { cause, .. }) => Some((**cause).clone()),
        _ => ended,
    }
}

fn by(world: &mut World, who: &str, ask: Ask) -> Result<(), Refusal> {
    world.event(&Event::Asked { by: Actor(who.into()), reason: None, ask })
}

fn candidate() -> RevisionId {
    revision("v2")
}
