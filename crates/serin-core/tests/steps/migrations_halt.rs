//! Going back while the old shape is going: the contract stops first, if that is in time.

use super::migrations::{contract, contracted, on_trial, promoted, say};
use crate::support::{World, revision};
use crate::{settle, told};
use serin_core::*;

fn contracting() -> World {
    let mut world = promoted();
    contract(&mut world, Some("now")).unwrap();
    world
}

fn rollback(world: &mut World, to: Option<&str>) -> Result<(), Refusal> {
    let asked = world.ask(Ask::Rollback { to: to.map(revision) });
    settle(world);
    asked
}

fn halting() -> World {
    let mut world = contracting();
    rollback(&mut world, None).unwrap();
    world
}

fn goal(world: &World) -> Option<MigrationGoal> {
    migrations_wanted(&world.service).pop().map(|order| order.goal)
}

#[test]
fn the_contract_stops_before_an_old_instance_starts() {
    let mut world = halting();
    assert_eq!(goal(&world), Some(MigrationGoal::Halt { name: "02_rename".into() }));
    assert_eq!((world.replicas("v1"), world.weight("v2")), (0, 100));
    assert!(world.waiting.contains("its contract to stop"), "{}", world.waiting);
    assert_eq!(told(&world, "the contract is to stop, by ada, for a way back to v1"), 1);
    world.advance(3600);
    assert_eq!(world.replicas("v1"), 0, "however long the database is away");
    say(&mut world, MigrationNews::Stopped { why: "no database".into() });
    assert!(world.waiting.contains("no database"), "{}", world.waiting);
    say(&mut world, MigrationNews::Halted);
    assert!(world.replicas("v1") > 0, "{}", world.waiting);
    world.advance(30);
    world.close();
    assert_eq!(world.service.stable, Some(revision("v1")), "{}", world.waiting);
    assert_eq!(goal(&world), Some(MigrationGoal::Back { name: "02_rename".into() }));
    say(&mut world, MigrationNews::Back);
    assert!(world.service.schemas.open.is_none());
}

#[test]
fn what_was_done_in_the_moment_before_leaves_the_new_version_where_it_is() {
    let mut world = halting();
    say(&mut world, MigrationNews::Contracted);
    world.close();
    assert_eq!(world.service.stable, Some(revision("v2")));
    assert_eq!((world.replicas("v1"), world.weight("v2")), (0, 100));
    assert!(world.service.rollout.is_none(), "{}", world.waiting);
    let cause = world.records.last().and_then(|record| record.cause.clone()).unwrap();
    for part in ["could not be stopped", "Deploy a version for the schema there is", "hidden"] {
        assert!(cause.text.contains(part), "{}", cause.text);
    }
    assert_eq!(told(&world, "the contract could not be stopped"), 1);
    let refused = rollback(&mut world, Some("v1")).unwrap_err();
    assert_eq!(refused.code, RefusalCode::Schema);
}

#[test]
fn a_contract_of_which_a_part_is_final_goes_on() {
    let mut world = halting();
    say(&mut world, MigrationNews::Refused { why: "it has dropped a column".into() });
    assert!(matches!(goal(&world), Some(MigrationGoal::Contract { .. })));
    world.close();
    assert_eq!(world.service.stable, Some(revision("v2")));
    say(&mut world, MigrationNews::Contracted);
    assert!(world.service.schemas.open.is_none());
}

#[test]
fn who_thinks_better_of_it_finds_both_shapes() {
    let mut world = halting();
    world.ask(Ask::Abort).unwrap();
    settle(&mut world);
    assert_eq!(goal(&world), Some(MigrationGoal::Halt { name: "02_rename".into() }));
    let refused = contract(&mut world, Some("after all")).unwrap_err();
    assert!(refused.message.contains("has its contract stopped"), "{}", refused.message);
    say(&mut world, MigrationNews::Halted);
    assert_eq!(goal(&world), None);
    contract(&mut world, Some("after all")).unwrap();
    say(&mut world, MigrationNews::Contracted);
}

/// What it is called, how things are, where somebody wants to go; whether a contract stops for it, or
/// why it is refused.
type Case = (&'static str, World, &'static str, Result<Option<&'static str>, &'static str>);

/// Where the rollout and the migration are, where somebody wants to go, and what becomes of it.
#[test]
fn every_way_back_goes_or_says_why_not() {
    let deployed = |mut world: World| {
        super::migrations::deploy(&mut world, "v3", false).unwrap();
        crate::finish(&mut world);
        world
    };
    let v3 = |world: World| {
        let mut world = deployed(world);
        for _ in 0..4 {
            crate::finish(&mut world);
            world.advance(30);
        }
        assert_eq!(world.service.stable, Some(revision("v3")), "{}", world.waiting);
        world
    };
    let gone = "is gone since the contract of 02_rename";
    let cases: Vec<Case> = vec![
        ("on trial", on_trial(), "v1", Ok(None)),
        ("promoted", promoted(), "v1", Ok(None)),
        ("contracting", contracting(), "v1", Ok(Some("halt"))),
        ("stopped twice", halting(), "v1", Ok(Some("halt"))),
        ("contracted", contracted(), "v1", Err(gone)),
        ("promoted, two on", v3(promoted()), "v2", Ok(None)),
        ("contracted, two on", v3(contracted()), "v2", Ok(None)),
        ("contracted, two on, to the old shape", v3(contracted()), "v1", Err(gone)),
    ];
    for (name, mut world, to, wanted) in cases {
        let stable = world.service.stable.clone();
        match (rollback(&mut world, Some(to)), wanted) {
            (Ok(()), Ok(halt)) => {
                let halts = matches!(goal(&world), Some(MigrationGoal::Halt { .. }));
                assert_eq!(halts, halt.is_some(), "{name}");
            }
            (Err(refusal), Err(part)) => {
                assert!(refusal.message.contains(part), "{name}: {}", refusal.message);
                assert!(refusal.hint.is_some(), "{name}");
                assert_eq!(world.service.stable, stable, "{name}");
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}
