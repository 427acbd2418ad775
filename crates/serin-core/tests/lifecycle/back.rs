//! Rolling back: where it leads, twice, without anything to go back to, and when it fails.

use super::*;

#[test]
fn where_a_rollback_leads_unless_somebody_says() {
    let mut world = released(&["v2", "v3"], |_| {});
    assert_eq!(world.service.rollback_target(), Some(&revision("v2")));
    world.ask(back()).unwrap();
    run_out(&mut world);
    // Never back to what was fled.
    assert_eq!(standing(&world, "v3"), RevisionStanding::Left);
    assert_eq!(world.service.rollback_target(), Some(&revision("v1")));
    let record = world.records.last().unwrap();
    assert_eq!((record.kind, record.from.clone()), (RolloutKind::Rollback, Some(revision("v3"))));
    assert_eq!(record.active, Some(revision("v2")));
}

#[test]
fn a_person_names_any_revision_that_was_stable() {
    let cases = [
        ("v1", None),
        ("v2", None),
        ("v3", Some(RefusalCode::Already)),
        ("v4", Some(RefusalCode::BadRevision)),
        ("v9", Some(RefusalCode::NoRevision)),
    ];
    for (version, expected) in cases {
        let mut world = released(&["v2", "v3"], |_| {});
        world.deploy("v4").unwrap();
        world.ask(Ask::Abort).unwrap();
        run_out(&mut world);
        let answer = world.ask(Ask::Rollback { to: Some(revision(version)) });
        assert_eq!(code(answer), expected, "{version}");
    }
}

#[test]
fn a_rollback_during_a_rollout_depends_on_where_it_is() {
    for at in EVERYWHERE {
        let mut world = rollout_at(at, |_| {});
        world.ask(back()).unwrap();
        let rollout = world.rollout();
        match at {
            // v2 is stable already: a way back of its own.
            At::Retiring => assert_eq!(rollout.kind, RolloutKind::Rollback, "{at:?}"),
            _ => assert!(matches!(rollout.phase, Phase::Reverting { .. }), "{at:?}"),
        }
        run_out(&mut world);
        assert_eq!(world.service.stable, Some(revision("v1")), "{at:?}");
    }
}

#[test]
fn a_rollback_during_a_rollback() {
    let mut world = released(&["v2", "v3"], |_| {});
    world.ask(back()).unwrap();
    let id = world.rollout().id;
    // Pressed twice is wanted once, and so is its target by name.
    world.ask(back()).unwrap();
    world.ask(Ask::Rollback { to: Some(revision("v2")) }).unwrap();
    assert_eq!(world.rollout().id, id);
    // Further back before it has any traffic: v3 serves until v1 does.
    world.ask(Ask::Rollback { to: Some(revision("v1")) }).unwrap();
    assert_eq!(world.weight("v3"), 100);
    run_out(&mut world);
    assert_eq!(world.service.stable, Some(revision("v1")));
}

#[test]
fn further_back_never_leads_through_what_was_fled() {
    let mut world = released(&["v2", "v3"], |_| {});
    world.ask(back()).unwrap();
    world.settle();
    assert!(matches!(world.rollout().phase, Phase::Warm { .. }), "{}", world.waiting);
    let plans = world.applied.len();
    world.ask(Ask::Rollback { to: Some(revision("v1")) }).unwrap();
    run_out(&mut world);
    assert_eq!(world.service.stable, Some(revision("v1")));
    let again = world.applied[plans..].iter().any(|p| p.weight(&revision("v3")) > Weight::NONE);
    assert!(!again, "v3 had traffic again");
}

#[test]
fn without_a_previous_version_what_is_there_stays() {
    // Nothing was good before.
    let mut world = released(&[], |_| {});
    let refusal = world.ask(back()).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::NoRevision);
    assert_eq!(refusal.message, "cannot roll back: no previous version of shop was good; v1 stays");
    // The very first rollout is held, and somebody is called.
    let mut world = World::new(quick());
    world.deploy("v1").unwrap();
    world.ask(back()).unwrap();
    assert_eq!(world.rollout().paused, Some(PauseReason::Person(Actor("ada".into()))));
    assert!(told(&world, "cannot roll back: no previous version of shop; it is held as it is"));
    assert_eq!(Fact::NoWayBack { text: String::new() }.severity(), Severity::Page);
}

#[test]
fn a_first_revision_that_fails_says_that_there_is_nothing_to_go_back_to() {
    let mut world = World::new(quick());
    world.deploy("v1").unwrap();
    world.advance(70);
    assert!(told(&world, "cannot roll back: no previous version of shop; nothing serves"));
    world.settle();
    let record = world.records.last().unwrap();
    assert_eq!((record.outcome, record.active.clone()), (Outcome::RolledBack, None));
}

#[test]
fn a_rollback_that_fails_leaves_what_runs_and_pages() {
    let mut world = released(&["v2"], |_| {});
    world.ask(back()).unwrap();
    while world.rollout().is_on_trial() {
        let mut seen = world.perfect();
        seen.revisions.get_mut(&revision("v1")).unwrap().ready = 0;
        world.observe(seen);
        world.advance(10);
    }
    assert_eq!((world.weight("v2"), world.weight("v1")), (100, 0));
    assert!(told(&world, "rollback to v1 failed, v2 keeps all traffic: 0 of 4 instances of v1"));
    assert_eq!(world.service.hold, None);
    world.settle();
    assert_eq!(world.records.last().unwrap().active, Some(revision("v2")));
    assert_eq!(standing(&world, "v1"), RevisionStanding::Good);
}

#[test]
fn what_going_back_takes_is_said_before() {
    let world = released(&["v2"], |_| {});
    let (class, text) = rollback_class(&world.service, &revision("v1"));
    assert_eq!(
        (class, text.as_str()),
        (RollbackClass::Redeploy, "instances of v1 have to be started first")
    );

    let world = rollout_at(At::Warm, |_| {});
    let (class, text) = rollback_class(&world.service, &revision("v1"));
    assert_eq!(
        (class, text.as_str()),
        (RollbackClass::Routing, "instances of v1 are ready: only traffic moves")
    );

    let mut spec = world.service.spec.clone();
    let (_, text) = way_back_before(&world.service, &spec, &revision("v3"));
    assert!(text.ends_with("afterwards instances of v1 have to be started first"), "{text}");
    spec.schedule.keep_old = Millis::secs(600);
    let (_, text) = way_back_before(&world.service, &spec, &revision("v3"));
    assert!(text.ends_with("for 10 min afterwards too, its instances are kept"), "{text}");
    let (_, text) = way_back_before(&Service::new(spec.clone()), &spec, &revision("v1"));
    assert!(text.starts_with("there is no earlier version"), "{text}");
}

#[test]
fn another_configuration_goes_back_as_one() {
    let mut world = released(&[], |_| {});
    let mut spec = world.service.spec.clone();
    spec.run.env.insert("CACHE".into(), EnvValue::Literal("on".into()));
    let other: RevisionId = "v1@aa01".parse().unwrap();
    world
        .ask(Ask::Deploy(Box::new(DeployAsk {
            spec,
            revision: other,
            allow_bad: false,
            departure: None,
            skips: Skips::Nothing,
        })))
        .unwrap();
    run_out(&mut world);
    assert_eq!(rollback_class(&world.service, &revision("v1")).0, RollbackClass::Config);
}
