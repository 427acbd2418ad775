//! What is not deployed again by itself: held, bad, marked.

use super::*;

fn insist(world: &mut World, version: &str) -> Result<(), Refusal> {
    let spec = world.service.spec.clone();
    let ask = DeployAsk {
        spec,
        revision: revision(version),
        allow_bad: true,
        departure: None,
        skips: Skips::Nothing,
    };
    world.ask(Ask::Deploy(Box::new(ask)))
}

/// v3 was left for v2; v1 is older.
fn left_v3() -> World {
    let mut world = released(&["v2", "v3"], |_| {});
    world.ask(back()).unwrap();
    world
}

#[test]
fn after_a_way_back_only_newer_revisions_are_deployed() {
    let cases = [
        ("v1", Some(RefusalCode::Held)),
        ("v2", None),
        ("v3", Some(RefusalCode::Held)),
        ("v4", None),
    ];
    for (version, expected) in cases {
        // Already while it is under way: a pipeline that runs again must not stop it.
        let mut world = left_v3();
        assert_eq!(code(world.deploy(version)), expected, "{version} during");
        let mut world = left_v3();
        run_out(&mut world);
        assert_eq!(world.service.stable, Some(revision("v2")));
        assert_eq!(code(world.deploy(version)), expected, "{version} afterwards");
    }
}

#[test]
fn a_newer_revision_or_a_person_ends_the_hold() {
    let mut world = left_v3();
    run_out(&mut world);
    world.ask(Ask::Release).unwrap();
    assert!(told(&world, "v3 and older revisions may be deployed again, by ada"));
    assert_eq!(code(world.ask(Ask::Release)), Some(RefusalCode::Already));
    world.deploy("v3").unwrap();

    let mut world = left_v3();
    run_out(&mut world);
    world.deploy("v4").unwrap();
    assert_eq!(world.service.hold, None);
    assert!(told(&world, "the hold on v3 is over: something newer was deployed"));
}

#[test]
fn a_person_is_never_refused_a_way_back_and_may_insist() {
    let mut world = left_v3();
    run_out(&mut world);
    world.ask(Ask::Rollback { to: Some(revision("v1")) }).unwrap();
    let mut world = left_v3();
    run_out(&mut world);
    insist(&mut world, "v3").unwrap();
    assert_eq!(world.rollout().candidate, revision("v3"));
}

#[test]
fn a_way_back_that_comes_to_nothing_holds_nothing() {
    let mut world = left_v3();
    world.ask(Ask::Abort).unwrap();
    world.settle();
    assert_eq!(world.service.hold, None);
    assert_eq!(world.service.stable, Some(revision("v3")));
}

#[test]
fn without_the_wish_nothing_is_held() {
    let mut world = released(&["v2", "v3"], |spec| spec.rollback.hold_after = false);
    world.ask(back()).unwrap();
    run_out(&mut world);
    assert_eq!(code(world.deploy("v1")), None);
}

#[test]
fn a_verdict_holds_too() {
    let mut world = support::on_trial(support::ladder(), |_| {});
    for _ in 0..20 {
        world.traffic(400, 8, 0);
    }
    world.close();
    assert_eq!(world.service.hold.as_ref().map(|h| &h.left), Some(&revision("v2")));
    assert_eq!(code(world.deploy("v2")), Some(RefusalCode::BadRevision));
    assert_eq!(code(world.deploy("v3")), None);
}

#[test]
fn a_mark_says_what_a_revision_is_worth_and_can_be_taken_back() {
    let mark = |version: &str, bad| Ask::Mark { revision: revision(version), bad };
    let mut world = released(&["v2", "v3"], |_| {});
    assert_eq!(world.service.last_good(), Some(&revision("v2")));
    world.ask(mark("v2", true)).unwrap();
    assert_eq!(world.service.last_good(), Some(&revision("v1")));
    let refusal = world.deploy("v2").unwrap_err();
    assert_eq!(refusal.message, "v2 was marked bad by ada");
    assert_eq!(code(world.ask(mark("v2", true))), Some(RefusalCode::Already));
    assert_eq!(code(world.ask(mark("v9", true))), Some(RefusalCode::NoRevision));
    world.ask(mark("v2", false)).unwrap();
    assert_eq!(world.service.last_good(), Some(&revision("v2")));
    assert_eq!(code(world.ask(mark("v2", false))), Some(RefusalCode::Already));
}

#[test]
fn a_marked_candidate_leaves_and_a_marked_stable_stays() {
    let mut world = rollout_at(At::Stepping, |_| {});
    world.ask(Ask::Mark { revision: revision("v2"), bad: true }).unwrap();
    assert_eq!((world.weight("v1"), world.weight("v2")), (100, 0));
    assert_eq!(standing(&world, "v2"), RevisionStanding::Bad);

    let mut world = released(&["v2"], |_| {});
    world.ask(Ask::Mark { revision: revision("v2"), bad: true }).unwrap();
    assert_eq!((world.weight("v2"), world.service.rollout.is_none()), (100, true));
}
