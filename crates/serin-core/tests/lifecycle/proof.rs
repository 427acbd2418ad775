//! A way back is proven: route, silence, errors.

use super::*;
use std::collections::BTreeMap;
use support::{ladder, on_trial};

/// v2 on trial with 20 %, convicted for its errors; stable fails `before` of 400 requests.
fn gone_back(verify: VerifySpec) -> World {
    let mut world = on_trial(ladder(), |spec| spec.rollback.verify = verify);
    while world.rollout().is_on_trial() {
        world.traffic(400, 8, 0);
    }
    world
}

/// A second of traffic after the way back; so many errors on v1, so many late ones to v2.
fn second(world: &mut World, n: u64, errors: u64, to_v2: u64) {
    support::serve(world.arm("v1"), n, errors);
    world.arm("v2").assigned += to_v2;
    world.report();
    world.settle();
}

fn proof(world: &World) -> WayBack {
    let open = world.service.rollout.as_ref().and_then(|r| r.back.clone());
    open.or_else(|| world.records.last()?.back.clone()).unwrap()
}

#[test]
fn route_silence_and_errors_are_proven_in_turn_and_timed() {
    let mut world = gone_back(VerifySpec::default());
    let began = world.now;
    assert_eq!(proof(&world).routed_at, None, "ordered is not confirmed");
    assert_eq!(world.waiting, "the data plane to confirm the plan");
    world.now = world.now.plus(Millis(80));
    let mut seen = world.perfect();
    let stopping = RevisionObservation { stopping: 2, ..RevisionObservation::default() };
    seen.revisions.insert(revision("v2"), stopping);
    world.observe(seen.clone());
    assert_eq!(proof(&world).routed_at, Some(began.plus(Millis(80))));
    assert!(told(&world, "all traffic is on v1 again, confirmed after 80 ms"));
    // Requests of before still arrive in the counts.
    world.arm("v2").assigned += 3;
    support::serve(world.arm("v1"), 100, 0);
    world.report();
    assert_eq!(proof(&world).silent_at, None);
    support::serve(world.arm("v1"), 100, 0);
    world.report();
    assert!(proof(&world).silent_at.is_some());
    let recovered = proof(&world).recovered;
    assert!(matches!(recovered, Some(Recovery::Recovered { rate: 0.0, .. })), "{recovered:?}");
    assert!(world.service.rollout.is_some(), "its instances still stop");
    world.settle();
    let back = world.records.last().unwrap().back.clone().unwrap();
    assert_eq!(
        (back.left, back.to, back.class),
        (revision("v2"), Some(revision("v1")), RollbackClass::Routing)
    );
}

#[test]
fn errors_come_back_to_the_usual_or_under_the_floor() {
    // Stable without errors: one error in 200 is above the floor of 0.2 %, one in 500 is not.
    let cases = [(200, 0, true), (200, 1, false), (500, 1, true), (199, 0, false)];
    for (n, errors, recovered) in cases {
        let mut world = gone_back(VerifySpec::default());
        world.settle();
        second(&mut world, n, errors, 0);
        let found = matches!(proof(&world).recovered, Some(Recovery::Recovered { .. }));
        assert_eq!(found, recovered, "{errors} of {n}");
    }
}

#[test]
fn errors_that_stay_page_once_and_nothing_flips() {
    let mut world = gone_back(VerifySpec::default());
    world.settle();
    for _ in 0..70 {
        if world.service.rollout.is_none() {
            break;
        }
        assert!(world.waiting.starts_with("errors to come back"), "{}", world.waiting);
        second(&mut world, 100, 5, 0);
    }
    let Some(Recovery::NotRecovered { rate, limit, .. }) = proof(&world).recovered else {
        panic!("{:?}", proof(&world))
    };
    assert_eq!((rate, limit), (0.05, 0.002));
    assert_eq!((world.weight("v1"), world.service.rollout.is_none()), (100, true));
    let pages = world.told.iter().filter(|line| line.contains("errors are not back")).count();
    assert_eq!(pages, 1);
    let recovery = Recovery::NotRecovered { at: world.now, rate, limit };
    assert_eq!(Fact::BackProven { recovery, after: Millis(0) }.severity(), Severity::Page);
}

#[test]
fn what_cannot_be_measured_is_not_waited_for() {
    // Too few requests: known after ten seconds.
    let mut world = gone_back(VerifySpec::default());
    world.settle();
    second(&mut world, 10, 0, 0);
    assert!(world.service.rollout.is_some());
    world.advance(10);
    let Some(Recovery::NotMeasured { why, .. }) = proof(&world).recovered else { panic!() };
    assert_eq!(why, "10 of 200 requests came");
    world.settle();
    assert!(world.service.rollout.is_none());
    // Nothing is known of stable: said at once.
    let mut world = rollout_at(At::Reverting, |_| {});
    world.settle();
    let Some(Recovery::NotMeasured { why, .. }) = proof(&world).recovered else { panic!() };
    assert_eq!(why, "the usual error rate of v1 was never measured");
    // It never had traffic: there is nothing to prove.
    let mut world = World::on_v1(ladder());
    world.deploy("v2").unwrap();
    world.ask(Ask::Abort).unwrap();
    world.settle();
    assert_eq!(world.records.last().unwrap().back, None);
}

#[test]
fn somebody_who_still_reaches_what_was_left_breaks_the_silence() {
    let mut world = gone_back(VerifySpec::default());
    let stays = |world: &World| {
        let mut seen = world.perfect();
        let stopping = RevisionObservation { stopping: 2, ..RevisionObservation::default() };
        seen.revisions.insert(revision("v2"), stopping);
        seen
    };
    world.observe(stays(&world));
    for (reached, silent) in [(0, true), (1, false), (0, true)] {
        support::serve(world.arm("v1"), 10, 0);
        world.arm("v2").assigned += reached;
        world.report();
        assert_eq!(proof(&world).silent_at.is_some(), silent);
    }
}

#[test]
fn requests_of_before_that_are_counted_late_do_not_break_the_silence() {
    let mut world = gone_back(VerifySpec::default());
    let mut seen = world.perfect();
    seen.revisions.remove(&revision("v2"));
    world.observe(seen);
    let silent_at = proof(&world).silent_at.expect("none of its instances is left");
    // Milliseconds from the silence to the last request: before it nothing is new, after it is.
    for (last, silent) in [(-700, true), (0, true), (1, false)] {
        world.arm("v2").assigned += 9;
        let at = Some(Timestamp(silent_at.0 + last));
        for arms in world.totals.values_mut() {
            arms.entry(revision("v2")).and_modify(|arm| arm.last_assigned_at = at);
        }
        world.report();
        let known = proof(&world).silent_at;
        assert_eq!(known == Some(silent_at), silent, "{last} ms");
    }
}

#[test]
fn every_report_is_news_until_it_is_silent() {
    let mut world = gone_back(VerifySpec::default());
    let stopping = RevisionObservation { stopping: 2, ..RevisionObservation::default() };
    let mut seen = world.perfect();
    seen.revisions.insert(revision("v2"), stopping);
    world.observe(seen);
    let counts = |world: &World| Counts {
        key: CountKey { epoch: 1, seq: 1_000_000 },
        generation: world.service.generation,
        closed_through: world.now.0 / 1000 + 1,
        arms: BTreeMap::from([(revision("v1"), ArmCounts { assigned: 7, ..ArmCounts::default() })]),
        fresh: None,
        crossed: 0,
    };
    let report = counts(&world);
    let news = world.rollout().news(vec![report.clone()]);
    assert_eq!(news, [report], "nothing judged, and still nobody reached v2");
    world.event(&Event::Counted(news)).unwrap();
    assert!(proof(&world).silent_at.is_some());
    assert_eq!(world.rollout().news(vec![counts(&world)]), [], "nothing judged says nothing now");
}

#[test]
fn silence_is_dated_by_the_last_request_where_the_counts_know_it() {
    // Milliseconds from the route to the last request, if known; whether silence is as old as it.
    let cases = [(Some(-500), true), (Some(0), true), (Some(1), false), (None, false)];
    for (last, from_the_route) in cases {
        let mut world = gone_back(VerifySpec::default());
        let mut seen = world.perfect();
        let stopping = RevisionObservation { stopping: 2, ..RevisionObservation::default() };
        seen.revisions.insert(revision("v2"), stopping);
        world.observe(seen);
        let routed_at = proof(&world).routed_at.unwrap();
        let last = last.map(|ms| Timestamp(routed_at.0 + ms));
        for arms in world.totals.values_mut() {
            arms.entry(revision("v2")).and_modify(|arm| arm.last_assigned_at = last);
        }
        world.report();
        let at = if from_the_route { routed_at } else { world.now };
        assert_eq!(proof(&world).silent_at, Some(at), "{last:?}");
        assert_ne!(world.now, routed_at);
    }
}

#[test]
fn a_rollback_measures_against_what_the_target_was_used_to() {
    let mut world = World::on_v1(ladder());
    world.service.spec.schedule.keep_warm = Millis::secs(60);
    world.deploy("v2").unwrap();
    for _ in 0..90 {
        world.traffic(400, 0, 0);
        world.settle();
        world.advance(4);
    }
    assert_eq!(world.service.stable, Some(revision("v2")), "{}", world.waiting);
    assert_eq!(world.service.revisions[&revision("v1")].usual, Some(0.0));
    world.ask(back()).unwrap();
    world.settle();
    assert!(world.service.wants_counts());
    second(&mut world, 300, 0, 0);
    let back = proof(&world);
    assert!(matches!(back.recovered, Some(Recovery::Recovered { .. })), "{back:?}");
    assert_eq!((back.left, back.before), (revision("v2"), Some(0.0)));
}

#[test]
fn a_new_deploy_need_not_wait_for_the_proof() {
    let mut world = gone_back(VerifySpec::default());
    world.settle();
    world.deploy("v3").unwrap();
    assert_eq!(world.rollout().candidate, revision("v3"));
    assert_eq!(world.records.last().unwrap().outcome, Outcome::RolledBack);
}
