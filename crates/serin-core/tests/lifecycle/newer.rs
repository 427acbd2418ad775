//! A new revision while a rollout is under way, in every phase.

use super::*;

/// What a deploy of v3 makes of it.
#[derive(Debug, PartialEq)]
enum Then {
    /// v3 is on its way from this stable revision, which has this much of the traffic.
    From(&'static str, u32),
    Waits,
    Refused,
}

fn deploy_v3(at: At, policy: OnNewRevision) -> (World, Then) {
    let mut world = rollout_at(at, |spec| spec.on_new_revision = policy);
    let answer = world.deploy("v3");
    let then = match answer {
        Err(refusal) if refusal.code == RefusalCode::Busy => Then::Refused,
        Err(refusal) => panic!("{refusal}"),
        Ok(()) if world.service.queued.is_some() => Then::Waits,
        Ok(()) => {
            assert_eq!(world.rollout().candidate, revision("v3"));
            assert_eq!(world.weight("v3"), 0, "the new one begins without traffic");
            let from = world.rollout().baseline.clone().unwrap();
            let name = if from == revision("v1") { "v1" } else { "v2" };
            Then::From(name, world.weight(name))
        }
    };
    (world, then)
}

#[test]
fn restart_queue_and_reject_in_every_phase() {
    use OnNewRevision::{Queue, Reject, Restart};
    let cases = [
        // Traffic goes to stable first, never to nothing...
        (At::Stepping, Restart, Then::From("v1", 100)),
        (At::Paused, Restart, Then::From("v1", 100)),
        (At::Reverting, Restart, Then::From("v1", 100)),
        // ...and never back two versions.
        (At::Warm, Restart, Then::From("v2", 100)),
        (At::Retiring, Restart, Then::From("v2", 100)),
        (At::Stepping, Queue, Then::Waits),
        (At::Paused, Queue, Then::Waits),
        (At::Warm, Queue, Then::Waits),
        (At::Retiring, Queue, Then::Waits),
        (At::Reverting, Queue, Then::Waits),
        (At::Stepping, Reject, Then::Refused),
        (At::Paused, Reject, Then::Refused),
        (At::Warm, Reject, Then::Refused),
        (At::Retiring, Reject, Then::Refused),
        (At::Reverting, Reject, Then::Refused),
    ];
    for (at, policy, expected) in cases {
        let (_, then) = deploy_v3(at, policy);
        assert_eq!(then, expected, "{at:?} {policy:?}");
    }
}

#[test]
fn a_replaced_candidate_that_had_all_traffic_is_promoted_early_and_not_yet_good() {
    let (mut world, _) = deploy_v3(At::Warm, OnNewRevision::Restart);
    let record = world.records.last().unwrap();
    assert_eq!((record.outcome, record.active.clone()), (Outcome::Promoted, Some(revision("v2"))));
    assert!(record.skipped[1].contains("of the watch of 30 s: v3 was deployed"), "{record:?}");
    assert_eq!(standing(&world, "v2"), RevisionStanding::Promoted);
    assert_eq!(world.service.last_good(), Some(&revision("v1")));
    // What is left of the watch passes without a way back: then it is.
    world.advance(31);
    assert_eq!(standing(&world, "v2"), RevisionStanding::Good);
}

#[test]
fn a_candidate_in_doubt_is_not_promoted_early() {
    let mut world = rollout_at(At::Warm, |_| {});
    world.ask(Ask::Pause).unwrap();
    world.deploy("v3").unwrap();
    assert_eq!(world.rollout().baseline, Some(revision("v1")));
    assert_eq!((world.weight("v1"), world.weight("v2"), world.weight("v3")), (100, 0, 0));
}

#[test]
fn what_waits_starts_when_the_rollout_has_ended_whatever_came_of_it() {
    for at in EVERYWHERE {
        let (mut world, _) = deploy_v3(at, OnNewRevision::Queue);
        if world.rollout().is_on_trial() && at != At::Warm {
            world.ask(Ask::Abort).unwrap();
        }
        run_out(&mut world);
        assert_eq!(world.rollout().candidate, revision("v3"), "{at:?}: {}", world.waiting);
        assert_eq!(world.service.queued, None);
    }
}

#[test]
fn the_newest_waits_and_whoever_is_replaced_is_told() {
    let (mut world, _) = deploy_v3(At::Stepping, OnNewRevision::Queue);
    world.deploy("v4").unwrap();
    assert_eq!(world.service.queued.as_ref().unwrap().deploy.revision, revision("v4"));
    assert!(told(&world, "v3 by ada does not wait any more: v4 by ada takes its place"));
    assert!(told(&world, "v4 by ada waits for the rollout of v2 to end"));
}

#[test]
fn what_waits_is_dropped_when_it_is_refused_later_or_a_person_goes_back() {
    let (mut world, _) = deploy_v3(At::Stepping, OnNewRevision::Queue);
    world.ask(back()).unwrap();
    assert_eq!(world.service.queued, None);
    assert!(told(&world, "v3 by ada does not wait any more: ada asked for a rollback"));

    let mut world = released(&["v2", "v3"], |spec| spec.on_new_revision = OnNewRevision::Queue);
    world.deploy("v4").unwrap();
    world.deploy("v2").unwrap();
    world.ask(Ask::Mark { revision: revision("v2"), bad: true }).unwrap();
    run_out(&mut world);
    assert_eq!(
        (world.service.stable.clone(), &world.service.rollout),
        (Some(revision("v4")), &None)
    );
    assert!(told(&world, "v2 by ada does not wait any more: v2 was marked bad by ada"));
}

#[test]
fn nobody_waits_for_a_service_that_goes() {
    let (mut world, _) = deploy_v3(At::Stepping, OnNewRevision::Queue);
    world.ask(Ask::Remove).unwrap();
    run_out(&mut world);
    assert!(world.service.is_gone(), "{}", world.waiting);
}
