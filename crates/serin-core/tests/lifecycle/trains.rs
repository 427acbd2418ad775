//! Release trains: what waits for one, what takes whose place, and what never waits.

use super::*;

/// Where the clock of these tests stood at first.
const START: i64 = 1_000_000;

/// A train an hour, the first ten minutes from now.
fn departure(world: &World, waived: bool) -> Departure {
    let at = Timestamp(START + 600_000);
    let hours = world.now.since(at).0 / 3_600_000 + u64::from(world.now >= at);
    let at = at.plus(Millis(hours * 3_600_000));
    Departure { at, then: at.plus(Millis::secs(3600)), waived }
}

fn ask(world: &mut World, version: &str, waived: bool) -> Result<(), Refusal> {
    let spec = world.service.spec.clone();
    let departure = Some(departure(world, waived));
    let ask = DeployAsk {
        spec,
        revision: revision(version),
        allow_bad: false,
        departure,
        skips: Skips::Nothing,
    };
    world.ask(Ask::Deploy(Box::new(ask)))
}

fn on_v1(policy: OnNewRevision) -> World {
    let mut world = World::on_v1(by_hand());
    world.service.spec.schedule.analysis = None;
    world.service.spec.on_new_revision = policy;
    world
}

/// Who waits, and for how many minutes from the beginning.
fn waiting(world: &World) -> Vec<(String, i64)> {
    let one = |b: &Boarded| (b.deploy.revision.version.to_string(), (b.departs.0 - START) / 60_000);
    world.service.boarded.iter().map(one).collect()
}

fn until(world: &mut World, minutes: i64) {
    let left = Timestamp(START + minutes * 60_000).since(world.now).0 / 1000;
    world.advance(left);
}

#[test]
fn a_deploy_waits_for_its_train_and_leaves_with_it() {
    let mut world = on_v1(OnNewRevision::Restart);
    ask(&mut world, "v2", false).unwrap();
    assert_eq!((waiting(&world), world.service.rollout.is_none()), (vec![("v2".into(), 10)], true));
    assert!(world.waiting.starts_with("the train that takes v2 ("), "{}", world.waiting);
    assert_eq!(world.wake_at, Some(Timestamp(START + 600_000)));
    // Asked again is wanted once.
    ask(&mut world, "v2", false).unwrap();
    assert_eq!(waiting(&world).len(), 1);
    until(&mut world, 10);
    assert_eq!((world.rollout().candidate.clone(), waiting(&world)), (revision("v2"), vec![]));
    assert!(told(&world, "the train of v2 by ada leaves"));
}

#[test]
fn who_takes_whose_place_is_a_setting() {
    use OnNewRevision::{Queue, Reject, Restart};
    for (policy, after, refused) in [
        (Restart, vec![("v3", 10)], false),
        (Queue, vec![("v2", 10), ("v3", 70)], false),
        (Reject, vec![("v2", 10)], true),
    ] {
        let mut world = on_v1(policy);
        ask(&mut world, "v2", false).unwrap();
        assert_eq!(ask(&mut world, "v3", false).is_err(), refused, "{policy:?}");
        let after: Vec<_> = after.into_iter().map(|(v, at)| (v.to_owned(), at)).collect();
        assert_eq!(waiting(&world), after, "{policy:?}");
    }
    let mut world = on_v1(Queue);
    for version in ["v2", "v3", "v4"] {
        ask(&mut world, version, false).unwrap();
    }
    assert_eq!(waiting(&world), [("v2".into(), 10), ("v4".into(), 70)], "the newest waits");
    assert!(told(&world, "v3 by ada does not wait any more: v4 by ada takes its place"));
    ask(&mut world, "v2", false).unwrap();
    assert_eq!(waiting(&world).len(), 2, "asked again changes nothing");
}

#[test]
fn a_train_meets_a_rollout_under_way_as_the_setting_says() {
    use OnNewRevision::{Queue, Reject, Restart};
    for (policy, candidate, queued) in
        [(Restart, "v3", false), (Queue, "v2", true), (Reject, "v2", false)]
    {
        let mut world = on_v1(policy);
        world.deploy("v2").unwrap();
        catch_up(&mut world);
        ask(&mut world, "v3", false).unwrap();
        assert_eq!(world.rollout().candidate, revision("v2"), "it waits meanwhile");
        until(&mut world, 10);
        assert_eq!(world.rollout().candidate, revision(candidate), "{policy:?}");
        assert_eq!(world.service.queued.is_some(), queued, "{policy:?}");
        assert_eq!(waiting(&world), vec![], "{policy:?}");
        let refused =
            told(&world, "v3 by ada does not wait any more: a rollout of v2 is under way");
        assert_eq!(refused, policy == Reject);
    }
}

#[test]
fn at_once_is_possible_and_audited_and_takes_the_place_of_who_waits() {
    let mut world = on_v1(OnNewRevision::Queue);
    ask(&mut world, "v2", false).unwrap();
    ask(&mut world, "v3", true).unwrap();
    assert_eq!((world.rollout().candidate.clone(), waiting(&world)), (revision("v3"), vec![]));
    assert!(told(&world, "v3 does not wait for its train, by ada"));
    assert!(told(&world, "v2 by ada does not wait any more: v3 by ada goes at once"));
}

#[test]
fn what_is_no_release_and_what_leads_back_never_waits() {
    let first = {
        let mut world = World::new(quick());
        ask(&mut world, "v1", false).unwrap();
        world
    };
    assert_eq!(first.rollout().candidate, revision("v1"), "a first revision");
    let mut world = on_v1(OnNewRevision::Restart);
    world.service.spec.replicas = 7;
    ask(&mut world, "v1", false).unwrap();
    world.settle();
    assert_eq!((world.replicas("v1"), waiting(&world)), (7, vec![]), "scaling");
    world.deploy("v2").unwrap();
    catch_up(&mut world);
    ask(&mut world, "v1", false).unwrap();
    assert!(matches!(world.rollout().phase, Phase::Reverting { .. }), "to stable");
    let mut world = released(&["v2"], |_| {});
    ask(&mut world, "v3", false).unwrap();
    world.ask(back()).unwrap();
    assert_eq!(world.rollout().candidate, revision("v1"), "a way back while one waits");
    assert_eq!(waiting(&world).len(), 1, "and it goes on waiting");
}

#[test]
fn no_train_leaves_into_a_way_back() {
    let mut world = on_v1(OnNewRevision::Restart);
    world.deploy("v2").unwrap();
    catch_up(&mut world);
    ask(&mut world, "v3", false).unwrap();
    until(&mut world, 9);
    world.ask(Ask::Abort).unwrap();
    until(&mut world, 10);
    assert_eq!((world.rollout().candidate.clone(), waiting(&world).len()), (revision("v2"), 1));
    world.settle();
    world.advance(61);
    world.settle();
    world.advance(1);
    assert_eq!((world.rollout().candidate.clone(), waiting(&world)), (revision("v3"), vec![]));
}

#[test]
fn who_waits_can_be_taken_off() {
    for take_off in [Ask::Abort, Ask::Remove] {
        let mut world = on_v1(OnNewRevision::Restart);
        ask(&mut world, "v2", false).unwrap();
        world.ask(take_off).unwrap();
        assert_eq!(waiting(&world), vec![]);
        assert!(told(&world, "v2 by ada does not wait any more"));
    }
    let mut world = on_v1(OnNewRevision::Restart);
    assert_eq!(code(world.ask(Ask::Abort)), Some(RefusalCode::NoRollout));
}

#[test]
fn a_cadence_without_a_calendar_is_reckoned_here() {
    let hourly = Train::Every(Millis::secs(3600));
    let (at, then) = hourly.departures(Timestamp(3_600_000)).unwrap();
    assert_eq!((at.0, then.0), (7_200_000, 10_800_000), "never now");
    let (at, _) = hourly.departures(Timestamp(-1)).unwrap();
    assert_eq!(at.0, 0);
}
