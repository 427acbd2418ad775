//! What an analysis can ask for beside the comparison itself, and what holds it when it is not
//! sound.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod support;

use serin_core::*;
use serin_stats::threshold::{Check, Failures, Range, Signal};
use serin_stats::{Guard, Kind, Metric, MetricSettings, Role as MetricRole, Worse};
use support::{
    World, analysis, bake, exposed, ladder, misdeal, on_trial, percent, revision, serve,
};

fn is_guarded(world: &World) -> bool {
    matches!(world.rollout().paused, Some(PauseReason::Guard(_)))
}

#[test]
fn an_unsound_comparison_holds_the_rollout_and_a_person_lets_it_go_on() {
    let promote = |spec: &mut ServiceSpec| {
        analysis(spec).on_inconclusive = OnInconclusive::Promote;
    };
    let mut world = on_trial(ladder(), promote);
    misdeal(&mut world, 20);
    assert!(is_guarded(&world), "{}", world.waiting);
    assert!(world.waiting.contains("the candidate got"), "{}", world.waiting);
    let weight = world.weight("v2");
    for _ in 0..80 {
        world.advance(60);
        world.traffic(400, 0, 0);
        world.settle();
    }
    assert_eq!(world.weight("v2"), weight, "not by its deadline either");
    world.ask(Ask::Resume).unwrap();
    assert_eq!(world.rollout().paused, None);
    for _ in 0..60 {
        world.traffic(400, 0, 0);
        world.settle();
        world.advance(5);
    }
    assert_eq!(world.records.last().unwrap().outcome, Outcome::Promoted, "{}", world.waiting);
}

#[test]
fn harm_wins_over_a_guard() {
    let mut world = on_trial(ladder(), |_| {});
    misdeal(&mut world, 20);
    assert!(is_guarded(&world));
    for _ in 0..20 {
        serve(world.arm("v1"), 320, 0);
        serve(world.arm("v2"), 40, 10);
        world.report();
    }
    assert_eq!(world.weight("v2"), 0);
    assert!(world.told.iter().any(|t| t.starts_with("rolled back: worse than stable")));
}

#[test]
fn promoting_past_a_guard_is_on_record() {
    let mut world = on_trial(ladder(), |_| {});
    misdeal(&mut world, 20);
    world.ask(Ask::Promote { full: false }).unwrap();
    let rollout = world.rollout();
    assert_eq!((rollout.paused.clone(), rollout.step.index), (None, 2));
    assert!(rollout.skipped[0].contains("the comparison is not sound"), "{:?}", rollout.skipped);
}

#[test]
fn counts_that_contradict_themselves_are_told_and_hold_nothing() {
    let mut world = on_trial(ladder(), |_| {});
    world.traffic(400, 0, 0);
    // More are finished than there were.
    serve(world.arm("v2"), 40, 0);
    world.arm("v2").errors += 10;
    world.report();
    assert_eq!(world.rollout().paused, None);
    let guard = world.rollout().assessment.as_ref().unwrap().invalid.as_ref().unwrap().guard;
    assert_eq!(guard, Guard::Counts);
    assert!(world.told.last().unwrap().contains("contradict"), "{:?}", world.told.last());
    for _ in 0..60 {
        world.traffic(400, 0, 0);
        world.settle();
        world.advance(5);
    }
    assert_eq!(world.records.last().unwrap().outcome, Outcome::Promoted);
}

#[test]
fn requests_that_clients_give_up_on_the_candidate_trip_a_guard() {
    let mut world = on_trial(ladder(), |_| {});
    for _ in 0..10 {
        let v2 = world.arm("v2");
        v2.aborted += 20;
        v2.assigned += 20;
        serve(v2, 60, 0);
        serve(world.arm("v1"), 320, 0);
        world.report();
    }
    assert!(is_guarded(&world), "{}", world.waiting);
    assert!(world.waiting.contains("clients gave up"), "{}", world.waiting);
}

fn sticky(spec: &mut ServiceSpec) {
    let key = AffinityKey::Cookie("user".into());
    spec.traffic.affinity = Some(AffinitySpec { key, window: Millis::secs(10) });
}

#[test]
fn users_are_kept_with_their_arm_only_during_a_rollout() {
    let mut world = World::on_v1(ladder());
    sticky(&mut world.service.spec);
    assert_eq!(world.plan().affinity, None);
    world.deploy("v2").unwrap();
    let salt = world.plan().affinity.clone().unwrap().salt;
    assert_eq!(salt, "shop/2");
    for _ in 0..60 {
        for version in ["v1", "v2"] {
            let share = u64::from(world.weight(version)) * 4;
            let arm = world.arm(version);
            arm.sessions = true;
            serve(arm, share, 0);
        }
        world.report();
        world.settle();
        world.advance(5);
    }
    let salts: Vec<_> = world.applied.iter().filter_map(|p| p.affinity.as_ref()).collect();
    assert!(salts.iter().all(|a| a.salt == salt), "one salt a rollout");
    assert_eq!(world.records.last().unwrap().outcome, Outcome::Promoted, "{}", world.waiting);
    assert_eq!(world.plan().affinity, None);
}

#[test]
fn requests_are_no_units_where_users_are() {
    let mut world = on_trial(ladder(), sticky);
    for _ in 0..30 {
        world.traffic(400, 8, 0);
    }
    assert_eq!(world.rollout().counted.judged, 0, "sessions was not set");
    assert_eq!(world.weight("v2"), 20);
}

#[test]
fn the_time_before_the_rollout_is_looked_at_once() {
    let mut world = World::on_v1(ladder());
    sticky(&mut world.service.spec);
    world.arm("v1").sessions = true;
    world.arm("v1").split = vec![(100, 5); 16];
    serve(world.arm("v1"), 1600, 80);
    world.deploy("v2").unwrap();
    for _ in 0..3 {
        world.arm("v1").sessions = true;
        serve(world.arm("v1"), 400, 0);
        world.report();
    }
    let splits = world.ticks.iter().filter(|tick| match &tick.given {
        Given::Tick(tick) => !tick.split.is_empty() && tick.baseline.n == 0,
        _ => false,
    });
    assert_eq!(splits.count(), 1);
}

fn fresh(spec: &mut ServiceSpec) {
    analysis(spec).baseline = Baseline::Fresh;
}

#[test]
fn a_fresh_baseline_stands_beside_the_candidate_and_is_what_it_is_compared_with() {
    let mut world = World::on_v1(ladder());
    fresh(&mut world.service.spec);
    world.deploy("v2").unwrap();
    let young = |world: &World| world.plan().revisions.get(&revision("v1"))?.fresh.clone();
    let none = Weight::NONE;
    assert_eq!(young(&world), Some(FreshBaseline { replicas: 2, weight: none }));
    world.fresh_works = false;
    world.settle();
    world.advance(5);
    world.settle();
    assert_eq!(world.weight("v2"), 0, "not before it is ready");
    assert_eq!(world.waiting, "fresh instances of v1 to compare with: 0 of 2 ready");
    world.fresh_works = true;
    world.settle();
    assert_eq!(world.weight("v2"), 0, "ready, not warm");
    world.advance(5);
    world.settle();
    assert_eq!((world.weight("v2"), world.weight("v1")), (20, 60));
    assert_eq!(young(&world).unwrap().weight, percent(20));
    // Stable itself fails: that says nothing, the fresh baseline does not.
    for second in 0..80 {
        if second == 10 {
            let compared = &world.rollout().assessment.as_ref().unwrap().metrics[0];
            assert_eq!(compared.baseline_events, 0);
        }
        let share = |weight: Weight| u64::from(weight.parts() / 250);
        let (v1, v2) = (revision("v1"), revision("v2"));
        let (old, new) = (share(world.plan().weight(&v1)), share(world.plan().weight(&v2)));
        serve(world.arm("v1"), old, old / 2);
        serve(world.arm("v2"), new, 0);
        if let Some(fresh) = young(&world) {
            serve(world.fresh_arm(), share(fresh.weight), 0);
        }
        world.report();
        world.settle();
        world.advance(5);
    }
    assert_eq!(world.records.last().unwrap().outcome, Outcome::Promoted);
    let last = world.applied.iter().rfind(|p| p.weight(&revision("v2")) < Weight::ALL);
    assert!(last.is_some_and(|p| p.revisions.values().any(|r| r.fresh.is_some())));
    assert!(world.plan().revisions.values().all(|r| r.fresh.is_none()));
}

#[test]
fn without_a_fresh_baseline_a_person_is_asked() {
    let mut world = World::on_v1(ladder());
    fresh(&mut world.service.spec);
    world.fresh_works = false;
    world.deploy("v2").unwrap();
    for _ in 0..8 {
        world.settle();
        world.advance(10);
    }
    assert!(is_guarded(&world), "{}", world.waiting);
    assert!(world.waiting.contains("0 of 2 fresh instances of v1"), "{}", world.waiting);
    world.ask(Ask::Promote { full: false }).unwrap();
    world.settle();
    assert_eq!((world.weight("v2"), world.weight("v1")), (20, 80));
    assert!(world.rollout().skipped[0].contains("no fresh baseline"));
    for _ in 0..20 {
        world.traffic(400, 8, 0);
    }
    assert_eq!(world.weight("v2"), 0, "compared with stable as it runs");
}

#[test]
fn no_traffic_goes_to_a_fresh_baseline_that_is_not_ready() {
    let mut world = on_trial(ladder(), fresh);
    let mut plan = world.plan().clone();
    let id = revision("v1");
    plan.revisions.get_mut(&id).unwrap().fresh.as_mut().unwrap().weight = percent(30);
    plan.revisions.get_mut(&id).unwrap().weight = percent(50);
    assert_eq!(lint(&plan, &world.service), []);
    world.fresh_works = false;
    world.observe(world.perfect());
    assert_eq!(lint(&plan, &world.service), [Note::FreshNotReady(id.to_string())]);
    assert!(!moves_only_to_stable(&plan, world.service.plan.as_deref()));
    plan.revisions.get_mut(&id).unwrap().weight = percent(60);
    assert!(lint(&plan, &world.service).contains(&Note::WeightSum(110_000)));
}

#[test]
fn a_regression_after_promotion_goes_back_within_the_watch() {
    let steps = vec![Step::SetWeight(percent(20)), bake(10, true), Step::SetWeight(Weight::ALL)];
    let watch = |spec: &mut ServiceSpec| analysis(spec).after_promotion = Millis::secs(900);
    let mut world = on_trial(steps, watch);
    while !matches!(world.rollout().phase, Phase::Warm { .. }) {
        world.traffic(400, 0, 0);
        world.settle();
        world.advance(1);
    }
    for _ in 0..500 {
        world.traffic(100, 0, 0);
    }
    assert!(world.waiting.starts_with("v2 watched for late regressions ("), "{}", world.waiting);
    assert_eq!(world.replicas("v1"), 4, "stable is kept for the whole time");
    for _ in 0..20 {
        world.traffic(100, 5, 0);
    }
    assert_eq!((world.weight("v1"), world.weight("v2")), (100, 0), "{}", world.waiting);
    let told = world.told.last().unwrap();
    assert!(told.contains("in the last minute"), "{told}");
}

#[test]
fn restarts_are_a_metric() {
    let kind = Kind::Count { worse: Worse::Rise, harm_ratio: 2.0, harm_floor: 0.0 };
    let metric = Metric::Named("restarts".into());
    let restarts = MetricSettings { metric: metric.clone(), role: MetricRole::WatchOnly, kind };
    let mut world = on_trial(ladder(), |spec| analysis(spec).metrics.push(restarts));
    for seen in 0..3 {
        world.traffic(400, 0, 0);
        let mut look = world.perfect();
        look.revisions.get_mut(&revision("v2")).unwrap().restarts = seen;
        world.observe(look);
    }
    world.traffic(400, 0, 0);
    let found = world.rollout().assessment.as_ref().unwrap();
    let found = found.metrics.iter().find(|m| m.metric == metric).unwrap();
    assert_eq!((found.canary_events, found.baseline_events), (2, 0));
    // Two ready instances of v2 for three seconds.
    assert_eq!(found.canary_rate, Some(2.0 / 6.0));
}

#[test]
fn a_spent_budget_of_errors_sets_back() {
    let mut world = on_trial(ladder(), |spec| {
        analysis(spec).max_errors = Some(3);
        analysis(spec).alpha = 1e-9;
    });
    for _ in 0..3 {
        assert_eq!(world.weight("v2"), 20);
        world.traffic(400, 1, 0);
    }
    world.close();
    let cause = world.records.last().unwrap().cause.clone().unwrap();
    assert_eq!(cause.code, "budget");
    assert_eq!(cause.text, "3 requests failed on v2; the budget is 3 (maxCanaryErrors)");
}

#[test]
fn where_verdicts_are_only_told_a_person_decides() {
    let mut world = on_trial(ladder(), |spec| {
        analysis(spec).report_only = true;
        analysis(spec).on_inconclusive = OnInconclusive::Rollback;
        analysis(spec).max_errors = Some(3);
    });
    for _ in 0..60 {
        world.traffic(400, 8, 0);
        world.advance(60);
    }
    assert_eq!(world.weight("v2"), 20);
    assert_eq!(world.rollout().paused, Some(PauseReason::Inconclusive));
    let reported = world.told.iter().filter(|t| t.starts_with("only reported")).count();
    assert_eq!(reported, 2, "evidence and budget, each once: {:?}", world.told);
}

fn below_five_percent() -> Check {
    Check {
        success: Some(Range::at_most(0.05)),
        failures: Failures::Total(2),
        interval_ms: 10_000,
        window_ms: 10_000,
        ..Check::of("error-rate", Signal::ErrorRate)
    }
}

#[test]
fn a_failed_check_sets_back_with_its_sentence() {
    let mut world = on_trial(ladder(), |spec| {
        analysis(spec).metrics = vec![Metric::Latency.into()];
        analysis(spec).checks = vec![below_five_percent()];
    });
    for _ in 0..20 {
        world.traffic(400, 8, 0);
    }
    world.close();
    let cause = world.records.last().unwrap().cause.clone().unwrap();
    assert_eq!(cause.code, "check");
    assert!(cause.text.starts_with("error-rate: 10 %, allowed is at most 5 %"), "{}", cause.text);
}

#[test]
fn a_check_that_was_never_good_blocks_evidence() {
    let check = Check { initial_delay_ms: 600_000, ..below_five_percent() };
    let mut world = on_trial(ladder(), |spec| analysis(spec).checks = vec![check]);
    for _ in 0..60 {
        world.traffic(400, 0, 0);
        world.settle();
        world.advance(5);
    }
    assert_eq!(world.weight("v2"), 20);
    assert!(
        world.waiting.starts_with("a check: error-rate: measured first in"),
        "{}",
        world.waiting
    );
    for _ in 0..100 {
        world.traffic(400, 0, 0);
        world.settle();
        world.advance(5);
    }
    assert_eq!(world.records.last().unwrap().outcome, Outcome::Promoted, "{}", world.waiting);
}

#[test]
fn a_check_that_is_neither_good_nor_bad_asks_a_person() {
    let check = Check {
        success: Some(Range::at_most(0.01)),
        failure: Some(Range::at_least(0.5)),
        ..below_five_percent()
    };
    let mut world = on_trial(ladder(), |spec| {
        analysis(spec).metrics = vec![Metric::Latency.into()];
        analysis(spec).checks = vec![check];
    });
    world.traffic(400, 8, 0);
    assert!(matches!(world.rollout().paused, Some(PauseReason::Check(_))), "{}", world.waiting);
    world.ask(Ask::Resume).unwrap();
    assert_eq!(world.rollout().paused, None);
}

#[test]
fn an_analysis_that_cannot_work_is_refused() {
    let refused = |steps: Vec<Step>, change: fn(&mut Analysis)| {
        let mut world = World::on_v1(steps);
        change(analysis(&mut world.service.spec));
        let refusal = world.deploy("v2").unwrap_err();
        assert_eq!(refusal.code, RefusalCode::InvalidAnalysis);
        refusal.message
    };
    let blind = refused(exposed(), |a| a.metrics = vec![Metric::Latency.into()]);
    assert!(blind.contains("needs the metric errors"), "{blind}");
    let check = refused(ladder(), |a| a.checks = vec![Check::of("pool", Signal::ErrorRate)]);
    assert!(check.contains("check pool: a check needs limits"), "{check}");
    let source = refused(ladder(), |a| {
        let range = Some(Range::at_most(1.0));
        a.checks = vec![Check { success: range, ..Check::of("pool", Signal::value("MB")) }];
    });
    assert!(source.contains("no source gives its value"), "{source}");
    let tolerance = refused(ladder(), |a| a.latency_tolerance = 0.5);
    assert!(tolerance.contains("latency_tolerance"), "{tolerance}");
}

#[test]
fn many_metrics_and_one_instance_are_noted_in_the_plan() {
    let mut spec = support::spec(ladder());
    spec.replicas = 1;
    let count = Kind::Count { worse: Worse::Rise, harm_ratio: 2.0, harm_floor: 0.0 };
    let named = |n: u32| MetricSettings {
        metric: Metric::Named(format!("m{n}")),
        role: MetricRole::Normal,
        kind: count,
    };
    analysis(&mut spec).metrics.extend((0..12).map(named));
    let service = Service::new(spec.clone());
    let notes = outlook(&service, &spec.schedule, RolloutKind::Release).notes;
    assert!(notes.iter().any(|n| n.contains("one candidate instance")), "{notes:?}");
    assert!(notes.iter().any(|n| n.contains("14 metrics share one alpha")), "{notes:?}");
}
