//! Both shapes are compared for as long as both are in use.

use super::migrations::{begun, contract, on_trial, promoted};
use crate::support::World;
use crate::{finish, told};
use serin_core::*;

const WHAT: &str = "3 of 9000 rows looked at do not say the same in both shapes";

fn compared(world: &mut World, doubt: Option<Doubt>) {
    let order = shapes_watched(&world.service).expect("both shapes are in use");
    let event = Event::Migrated { order: Box::new(order), news: MigrationNews::Compared { doubt } };
    world.event(&event).unwrap();
}

fn apart() -> Doubt {
    Doubt::Apart { what: WHAT.into() }
}

fn unseen() -> Doubt {
    Doubt::Unseen { why: "the database does not answer".into() }
}

#[test]
fn only_two_shapes_in_use_are_watched() {
    assert_eq!(shapes_watched(&begun().service), None, "there is one shape yet");
    let watched = shapes_watched(&on_trial().service).map(|order| order.goal);
    assert_eq!(watched, Some(MigrationGoal::Watch { name: "02_rename".into() }));
    let mut world = promoted();
    let late = shapes_watched(&world.service).unwrap();
    contract(&mut world, Some("figures")).unwrap();
    assert_eq!(shapes_watched(&world.service), None, "the old one goes");
    let news = MigrationNews::Compared { doubt: Some(apart()) };
    world.event(&Event::Migrated { order: Box::new(late), news }).unwrap();
    assert_eq!(told(&world, WHAT), 0, "what comes too late is none");
}

#[test]
fn shapes_that_differ_hold_the_rollout_once() {
    let mut world = on_trial();
    compared(&mut world, None);
    assert!(world.rollout().paused.is_none());
    compared(&mut world, Some(apart()));
    assert!(matches!(world.rollout().paused, Some(PauseReason::Guard(_))));
    assert!(world.waiting.contains(WHAT), "{}", world.waiting);
    let sentence = world.service.schema_sentence(world.now).unwrap();
    assert!(sentence.contains(WHAT), "{sentence}");
    world.ask(Ask::Resume).unwrap();
    compared(&mut world, Some(apart()));
    assert!(world.rollout().paused.is_none(), "a person has seen it");
    compared(&mut world, None);
    compared(&mut world, Some(apart()));
    assert!(world.rollout().paused.is_some(), "it is another time");
    assert_eq!((told(&world, WHAT), told(&world, "both shapes say the same again")), (4, 1));
}

#[test]
fn a_hold_for_want_of_evidence_does_not_hide_it() {
    let mut world = on_trial();
    world.service.rollout.as_mut().unwrap().paused = Some(PauseReason::Inconclusive);
    compared(&mut world, Some(apart()));
    assert!(matches!(world.rollout().paused, Some(PauseReason::Guard(_))));
    let mut world = on_trial();
    world.ask(Ask::Pause).unwrap();
    compared(&mut world, Some(apart()));
    assert!(matches!(world.rollout().paused, Some(PauseReason::Person(_))), "it is held as it is");
}

#[test]
fn what_cannot_be_compared_is_told_and_holds_nothing() {
    let mut world = on_trial();
    compared(&mut world, Some(unseen()));
    compared(&mut world, Some(unseen()));
    assert!(world.rollout().paused.is_none());
    assert_eq!(told(&world, "the two shapes cannot be compared"), 1);
    compared(&mut world, Some(apart()));
    assert!(world.rollout().paused.is_some());
}

#[test]
fn the_way_back_is_open_and_a_promoted_version_stays() {
    let mut world = on_trial();
    compared(&mut world, Some(apart()));
    world.ask(Ask::Abort).unwrap();
    finish(&mut world);
    let open = world.service.schemas.open.as_ref();
    assert!(open.is_none_or(|open| open.doubt.is_none() && open.phase == MigrationPhase::Back));
    assert_eq!(world.weight("v1"), 100);

    let mut world = promoted();
    compared(&mut world, Some(apart()));
    assert!(world.service.rollout.is_none());
    let sentence = world.service.schema_sentence(world.now).unwrap();
    assert!(sentence.contains(WHAT), "{sentence}");
}
