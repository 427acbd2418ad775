//! Instances that stay without traffic: the old revision, a failed candidate, for how long.

use super::*;

fn keeping(change: impl FnOnce(&mut ServiceSpec)) -> World {
    released(&["v2"], |spec| {
        spec.schedule.keep_old = Millis::secs(3600);
        spec.schedule.keep_failed = Millis::secs(1800);
        spec.instance_hour_cost = Some(0.5);
        change(spec);
    })
}

fn kept(world: &World) -> Option<(RevisionId, KeptFor)> {
    world.service.kept.as_ref().map(|kept| (kept.revision.clone(), kept.why))
}

#[test]
fn the_old_revision_stays_for_its_time_and_the_new_one_is_good_after_it() {
    let mut world = keeping(|_| {});
    assert_eq!(kept(&world), Some((revision("v1"), KeptFor::WayBack)));
    assert_eq!((world.replicas("v1"), world.weight("v1"), world.weight("v2")), (4, 0, 100));
    assert_eq!(world.plan().revisions[&revision("v1")].role, Role::Kept);
    assert_eq!(standing(&world, "v2"), RevisionStanding::Promoted);
    let until = world.service.kept.as_ref().unwrap().until;
    world.advance(1);
    assert_eq!(world.wake_at, Some(until), "it wakes for it");
    world.now = until;
    world.event(&Event::Woke).unwrap();
    assert_eq!((world.service.kept.clone(), world.replicas("v1")), (None, 0));
    assert_eq!(standing(&world, "v2"), RevisionStanding::Good);
    assert!(told(&world, "the kept instances of v1 are let go"));
    assert!(told(&world, "v2 counts as good now"));
}

#[test]
fn going_back_to_what_is_kept_takes_no_steps() {
    // Rolling back: at once, health is watched, what is left stays to be looked at.
    let mut world = keeping(|_| {});
    world.ask(back()).unwrap();
    assert_eq!((world.weight("v1"), world.weight("v2")), (100, 0), "at once");
    assert_eq!(world.rollout().back.as_ref().unwrap().class, RollbackClass::Routing);
    run_out(&mut world);
    assert_eq!(kept(&world), Some((revision("v2"), KeptFor::Inspection)));
}

#[test]
fn deploying_what_is_kept_is_a_fast_track_only_when_it_was_good() {
    let deploy = |change: &dyn Fn(&mut World)| {
        let mut world = keeping(|_| {});
        world.service.spec.schedule.stages[0].steps = by_hand();
        assert_eq!(kept(&world), Some((revision("v1"), KeptFor::WayBack)));
        change(&mut world);
        world.deploy("v1").unwrap();
        (world.rollout().kind, world.weight("v1"), world)
    };
    let (kind, weight, mut world) = deploy(&|_| {});
    assert_eq!((kind, weight), (RolloutKind::FastTrack, 100));
    assert!(told(&world, "v1 was good and its instances are ready: 3 steps are not gone through"));
    run_out(&mut world);
    let record = world.records.last().unwrap();
    assert_eq!(record.skipped, ["steps 1 to 3: v1 was good and is kept ready"]);
    assert_eq!(standing(&world, "v1"), RevisionStanding::Good);
    assert_eq!(standing(&world, "v2"), RevisionStanding::Left);
    assert_eq!(kept(&world), Some((revision("v2"), KeptFor::Inspection)));

    let (kind, weight, _) = deploy(&|world| {
        world.service.revisions.get_mut(&revision("v1")).unwrap().standing = RevisionStanding::Left;
    });
    assert_eq!((kind, weight), (RolloutKind::Release, 20), "step by step");
    let (kind, weight, _) = deploy(&|world| {
        let mut seen = world.perfect();
        seen.revisions.get_mut(&revision("v1")).unwrap().ready = 0;
        world.observe(seen);
    });
    assert_eq!((kind, weight), (RolloutKind::Release, 0), "nothing of it is ready");
}

#[test]
fn a_fast_track_that_fails_goes_back() {
    let mut world = keeping(|_| {});
    world.deploy("v1").unwrap();
    world.settle();
    let mut seen = world.perfect();
    seen.revisions.get_mut(&revision("v1")).unwrap().ready = 0;
    world.observe(seen);
    assert_eq!((world.weight("v2"), world.weight("v1")), (100, 0));
    assert_ne!(standing(&world, "v1"), RevisionStanding::Bad);
}

#[test]
fn a_failed_candidate_stays_to_be_looked_at() {
    let keep = |spec: &mut ServiceSpec| spec.schedule.keep_failed = Millis::secs(1800);
    for at in [At::Stepping, At::Paused, At::Warm] {
        let mut world = rollout_at(at, keep);
        let size = world.replicas("v2");
        world.ask(Ask::Abort).unwrap();
        world.close();
        assert!(world.service.rollout.is_none(), "{at:?} {}", world.waiting);
        assert_eq!(kept(&world), Some((revision("v2"), KeptFor::Inspection)), "{at:?}");
        assert_eq!((world.replicas("v2"), world.weight("v2")), (size, 0), "{at:?}");
        world.advance(1800);
        assert_eq!(world.replicas("v2"), 0, "{at:?}");
    }
    // Nothing of it runs: nothing to look at.
    let mut world = World::on_v1(by_hand());
    keep(&mut world.service.spec);
    world.deploy("v2").unwrap();
    world.ask(Ask::Abort).unwrap();
    assert_eq!(kept(&world), None);
}

#[test]
fn only_one_is_kept_and_a_release_makes_room() {
    let mut world = keeping(|_| {});
    world.deploy("v3").unwrap();
    assert_eq!((kept(&world), world.replicas("v1")), (None, 0));
    run_out(&mut world);
    assert_eq!(kept(&world), Some((revision("v2"), KeptFor::WayBack)));
    world.ask(Ask::Clean).unwrap();
    assert_eq!((kept(&world), world.replicas("v2")), (None, 0));
    assert_eq!(code(world.ask(Ask::Clean)), Some(RefusalCode::Already));
}

#[test]
fn what_runs_and_serves_nobody_is_listed_with_its_cost() {
    let mut world = keeping(|_| {});
    let since = world.service.kept.as_ref().unwrap().since;
    world.now = since.plus(Millis::secs(1800));
    let left = leftovers(&world.service, world.now);
    assert_eq!(left.len(), 1);
    let left = &left[0];
    assert_eq!((left.kind, left.instances), (LeftoverKind::OldRevision, 4));
    assert_eq!((left.instance_hours, left.cost), (2.0, Some(1.0)));
    assert_eq!(left.until, Some(since.plus(Millis::secs(3600))));

    let kind = |world: &World| {
        leftovers(&world.service, world.now).first().map(|l| (l.kind, l.revision.clone()))
    };
    let cases = [
        (At::Stepping, None),
        (At::Paused, Some((LeftoverKind::PausedCandidate, revision("v2")))),
        (At::Warm, Some((LeftoverKind::WarmStable, revision("v1")))),
    ];
    for (at, expected) in cases {
        assert_eq!(kind(&rollout_at(at, |_| {})), expected, "{at:?}");
    }
}

#[test]
fn where_both_share_places_nothing_is_kept() {
    let world = keeping(|spec| {
        spec.schedule.capacity = Capacity::Replace {
            max_surge: Amount::Percent(100),
            max_unavailable: Amount::Count(0),
        };
    });
    assert_eq!(kept(&world), None);
}

#[test]
fn so_many_revisions_are_remembered_beside_those_in_use() {
    for limit in [1, 3, 10] {
        let mut world = released(&["v2"], |spec| spec.history_limit = limit);
        for n in 3..20 {
            world.now = world.now.plus(Millis::secs(1));
            world.deploy(&format!("v{n}")).unwrap();
            world.ask(Ask::Abort).unwrap();
            run_out(&mut world);
        }
        // Stable and the last good one are in use.
        assert_eq!(world.service.revisions.len(), limit as usize + 2, "{limit}");
        assert_eq!(world.service.last_good(), Some(&revision("v1")));
    }
}
