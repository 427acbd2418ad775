//! Flags that a rollout changes, and that go back with the code.

use crate::support::{World, percent, revision};
use crate::{ALL, begun, finish, settle, told};
use serin_core::*;

fn flag(key: &str, change: FlagChange) -> Step {
    Step::Flag(FlagStep { set: "production".into(), key: key.into(), change })
}

fn half(key: &str) -> Step {
    flag(key, FlagChange::Percent(percent(50)))
}

fn order(world: &World) -> FlagOrder {
    flags_wanted(&world.service).into_iter().next().expect("something is owed")
}

/// Says what became of the first order, twice.
fn end(world: &mut World, ended: FlagEnd) {
    let event = Event::FlagSet { order: Box::new(order(world)), ended };
    world.event(&event).unwrap();
    let (before, lines) = (world.service.clone(), world.told.len());
    world.event(&event).unwrap();
    assert_eq!((before, lines), (world.service.clone(), world.told.len()), "said twice is once");
    settle(world);
}

fn changed(n: u64) -> FlagEnd {
    FlagEnd::Changed { change: n }
}

fn left() -> FlagEnd {
    FlagEnd::Left { why: "ada changed it meanwhile".into() }
}

fn backs(world: &World) -> Vec<u64> {
    let back = |order: FlagOrder| match order.work {
        FlagWork::Back { change } => Some(change),
        FlagWork::Change { .. } => None,
    };
    flags_wanted(&world.service).into_iter().filter_map(back).collect()
}

/// v2 at its pause, after its flag was changed as number 7.
fn at_pause() -> World {
    let mut world = begun(vec![half("checkout"), Step::Pause(None), ALL], |_| {});
    end(&mut world, changed(7));
    assert_eq!(world.rollout().step.index, 1, "{}", world.waiting);
    world
}

#[test]
fn the_step_is_done_when_the_flag_is_so() {
    let mut world = begun(vec![half("checkout"), Step::Pause(None), ALL], |_| {});
    assert_eq!(world.waiting, "flag checkout: to be on for 50 % of users");
    let owed = order(&world);
    assert_eq!((owed.set.as_str(), owed.key.as_str()), ("production", "checkout"));
    let change = FlagChange::Percent(percent(50));
    assert_eq!(owed.work, FlagWork::Change { change, after: None });
    end(&mut world, changed(7));
    assert_eq!(told(&world, "flag checkout of production is on for 50 % of users"), 1);
    assert!(flags_wanted(&world.service).is_empty());
}

#[test]
fn a_refusal_is_told_once_and_owed_again() {
    let mut world = begun(vec![half("checkout"), ALL], |_| {});
    let why = "it needs shop v2 or newer to serve everything, and v1 serves";
    end(&mut world, FlagEnd::Refused { why: why.into() });
    assert_eq!(world.waiting, format!("flag checkout: {why}"));
    assert_eq!((told(&world, why), flags_wanted(&world.service).len()), (1, 1));
    world.ask(Ask::Pause).unwrap();
    assert!(flags_wanted(&world.service).is_empty(), "nothing moves while it is held");
    world.ask(Ask::Resume).unwrap();
    end(&mut world, changed(7));
    assert_eq!(world.rollout().step.index, 1);
}

#[test]
fn what_a_person_decided_meanwhile_lets_the_rollout_go_on() {
    let steps = vec![half("a"), flag("a", FlagChange::On), Step::Pause(None), ALL];
    let mut world = begun(steps, |_| {});
    end(&mut world, changed(7));
    assert_eq!(order(&world).work, FlagWork::Change { change: FlagChange::On, after: Some(7) });
    end(&mut world, left());
    assert_eq!(world.rollout().step.index, 2);
    assert_eq!(told(&world, "flag a of production was left alone: ada changed it"), 1);
}

#[test]
fn every_way_back_takes_the_flag_along_and_waits_for_nothing() {
    let marked = Ask::Mark { revision: revision("v2"), bad: true };
    for ask in [Ask::Abort, Ask::Rollback { to: None }, marked] {
        let mut world = at_pause();
        world.ask(ask.clone()).unwrap();
        assert_eq!(backs(&world), [7], "{ask:?}");
        finish(&mut world);
        assert!(world.service.rollout.is_none(), "{ask:?}: {}", world.waiting);
        assert_eq!(backs(&world), [7], "owed until it is said: {ask:?}");
        end(&mut world, FlagEnd::Back);
        assert!(flags_wanted(&world.service).is_empty());
        assert_eq!(told(&world, "flag checkout of production is as it was before"), 1);
    }
    let mut world = at_pause();
    world.deploy("v3").unwrap();
    assert_eq!(backs(&world), [7], "a newer version is no reason to keep it");
}

#[test]
fn the_last_change_goes_back_first_and_a_persons_stops_it() {
    let steps = vec![half("a"), half("b"), flag("a", FlagChange::On), Step::Pause(None), ALL];
    let mut world = begun(steps, |_| {});
    for n in [7, 8, 9] {
        end(&mut world, changed(n));
    }
    world.ask(Ask::Abort).unwrap();
    assert_eq!(backs(&world), [9, 8, 7]);
    end(&mut world, left());
    assert_eq!(backs(&world), [8], "what was changed since is left alone, both steps of it");
}

#[test]
fn a_change_that_came_too_late_goes_back_too() {
    let mut world = begun(vec![half("checkout"), ALL], |_| {});
    let late = Event::FlagSet { order: Box::new(order(&world)), ended: changed(7) };
    world.ask(Ask::Abort).unwrap();
    assert_eq!(backs(&world), [Switched::UNTOLD], "it may have been made");
    world.event(&late).unwrap();
    assert_eq!(backs(&world), [7, Switched::UNTOLD]);
    end(&mut world, FlagEnd::Back);
    end(&mut world, FlagEnd::Back);
    assert!(flags_wanted(&world.service).is_empty());
    assert_eq!(told(&world, "flag checkout of production is as it was before"), 1);
}

#[test]
fn a_step_that_was_skipped_before_anybody_told_is_remembered_for_a_way_back() {
    let mut world = begun(vec![half("checkout"), Step::Pause(None), ALL], |_| {});
    world.ask(Ask::Promote { full: false }).unwrap();
    assert_eq!(world.rollout().step.index, 1);
    assert!(flags_wanted(&world.service).is_empty(), "nothing is owed as long as it goes on");
    world.ask(Ask::Abort).unwrap();
    assert_eq!(backs(&world), [Switched::UNTOLD]);
}

#[test]
fn a_later_rollback_takes_back_what_was_changed_since_and_no_more() {
    let mut world = begun(vec![half("checkout"), ALL], |_| {});
    end(&mut world, changed(7));
    finish(&mut world);
    world.advance(120);
    finish(&mut world);
    assert_eq!(world.service.stable, Some(revision("v2")), "{}", world.waiting);
    assert!(flags_wanted(&world.service).is_empty(), "it stays with the code");
    world.deploy("v3").unwrap();
    finish(&mut world);
    end(&mut world, changed(8));
    finish(&mut world);
    world.advance(120);
    finish(&mut world);
    assert_eq!(world.service.stable, Some(revision("v3")), "{}", world.waiting);
    let at_v3 = world.service.clone();
    for (to, wanted) in [("v2", vec![8]), ("v1", vec![8, 7])] {
        world.service = at_v3.clone();
        world.ask(Ask::Rollback { to: Some(revision(to)) }).unwrap();
        assert_eq!(backs(&world), wanted, "back to {to}");
    }
}

#[test]
fn the_state_reads_back_from_its_text() {
    let mut world = at_pause();
    world.ask(Ask::Abort).unwrap();
    let text = serde_json::to_string(&world.service).unwrap();
    let again: Service = serde_json::from_str(&text).unwrap();
    assert_eq!(flags_wanted(&again), flags_wanted(&world.service));
    let event = Event::FlagSet { order: Box::new(order(&world)), ended: FlagEnd::Back };
    let text = serde_json::to_string(&event).unwrap();
    assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
}
