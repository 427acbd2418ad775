//! Another try of the last candidate.

use super::*;

fn retry(allow_bad: bool) -> Ask {
    Ask::Retry { allow_bad }
}

#[test]
fn what_was_stopped_is_tried_again_from_its_first_step() {
    let mut world = rollout_at(At::Reverting, |_| {});
    world.close();
    world.ask(retry(false)).unwrap();
    let rollout = world.rollout();
    assert_eq!(
        (&rollout.candidate, rollout.step.index, rollout.weight.parts()),
        (&revision("v2"), 0, 0)
    );
    catch_up(&mut world);
    assert_eq!(world.weight("v2"), 20);
}

#[test]
fn it_need_not_wait_until_the_last_try_has_left() {
    let mut world = rollout_at(At::Reverting, |_| {});
    world.ask(retry(false)).unwrap();
    assert!(world.rollout().is_on_trial());
}

#[test]
fn what_was_decided_against_takes_insisting() {
    let mut world = support::on_trial(support::ladder(), |_| {});
    for _ in 0..20 {
        world.traffic(400, 8, 0);
    }
    world.close();
    assert_eq!(code(world.ask(retry(false))), Some(RefusalCode::BadRevision));
    world.ask(retry(true)).unwrap();
    assert!(world.rollout().assessment.is_none(), "with fresh evidence");
}

#[test]
fn there_must_be_something_to_try_again() {
    let mut world = World::new(quick());
    assert_eq!(code(world.ask(retry(false))), Some(RefusalCode::NoRollout));
    let mut world = released(&["v2"], |_| {});
    assert_eq!(code(world.ask(retry(false))), Some(RefusalCode::Already));
    for at in [At::Stepping, At::Paused, At::Warm, At::Retiring] {
        let mut world = rollout_at(at, |_| {});
        assert_eq!(code(world.ask(retry(false))), Some(RefusalCode::Already), "{at:?}");
    }
}

#[test]
fn a_rollback_that_was_stopped_is_tried_again_as_one() {
    let mut world = released(&["v2"], |_| {});
    world.ask(back()).unwrap();
    world.ask(Ask::Abort).unwrap();
    run_out(&mut world);
    world.ask(retry(false)).unwrap();
    assert_eq!(world.rollout().kind, RolloutKind::Rollback);
}
