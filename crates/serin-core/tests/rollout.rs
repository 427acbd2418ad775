//! The life of a rollout, told event by event.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod support;

use serin_core::*;
use support::{World, bake, ladder, percent, revision};

/// Deploys v2 and brings it to its first weight.
fn v2_on_trial(steps: Vec<Step>) -> World {
    let mut world = World::on_v1(steps);
    world.deploy("v2").unwrap();
    world.settle();
    world.advance(5);
    world.settle();
    assert_eq!(world.weight("v2"), 20);
    world
}

#[test]
fn the_first_revision_starts_without_steps() {
    let mut world = World::new(ladder());
    world.deploy("v1").unwrap();
    assert_eq!((world.replicas("v1"), world.weight("v1")), (4, 0));
    assert_eq!(world.waiting, "instances of v1: 0 of 4 ready");
    world.settle();
    assert_eq!((world.replicas("v1"), world.weight("v1")), (4, 100));
    assert_eq!(world.records[0].outcome, Outcome::Promoted);
}

#[test]
fn a_candidate_is_sized_and_warm_before_it_gets_weight() {
    let mut world = World::on_v1(ladder());
    world.deploy("v2").unwrap();
    assert_eq!((world.replicas("v2"), world.weight("v2")), (2, 0));
    assert_eq!(world.replicas("v1"), 4);
    world.settle();
    assert_eq!(world.weight("v2"), 0, "ready, not warm");
    assert!(world.waiting.starts_with("instances of v2 to warm up"), "{}", world.waiting);
    assert_eq!(world.wake_at, Some(world.now.plus(Millis::secs(5))));
    world.advance(5);
    assert_eq!((world.weight("v1"), world.weight("v2")), (80, 20));
}

#[test]
fn a_step_is_done_only_when_the_data_plane_confirmed_it() {
    let mut world = World::on_v1(ladder());
    world.deploy("v2").unwrap();
    world.settle();
    world.advance(5);
    assert_eq!(world.service.rollout.as_ref().unwrap().step.index, 0);
    assert_eq!(world.waiting, "the data plane to confirm the plan");
    world.settle();
    assert_eq!(world.service.rollout.as_ref().unwrap().step.index, 1);
}

#[test]
fn a_good_version_is_promoted_on_evidence_and_stable_is_kept_warm() {
    let mut world = v2_on_trial(ladder());
    for _ in 0..60 {
        world.traffic(400, 0, 0);
        world.settle();
        world.advance(5);
    }
    assert_eq!((world.weight("v2"), world.weight("v1")), (100, 0), "{}", world.waiting);
    let outcomes: Vec<_> = world.records.iter().map(|r| r.outcome).collect();
    assert_eq!(outcomes, [Outcome::Promoted, Outcome::Promoted]);
    assert_eq!(world.service.stable, Some(revision("v2")));
    assert_eq!(world.replicas("v1"), 0);
    let warm = world.applied.iter().any(|p| {
        p.weight(&revision("v2")) == Weight::ALL && p.revisions.contains_key(&revision("v1"))
    });
    assert!(warm, "v1 was kept while v2 had all traffic");
}

#[test]
fn without_traffic_nothing_is_promoted_and_at_the_deadline_a_person_decides() {
    let mut world = v2_on_trial(ladder());
    for _ in 0..3700 {
        world.report();
    }
    assert_eq!(world.weight("v2"), 20);
    let rollout = world.service.rollout.as_ref().unwrap();
    assert_eq!(rollout.paused, Some(PauseReason::Inconclusive));
    assert!(world.waiting.contains("no decision"), "{}", world.waiting);
}

#[test]
fn a_bad_version_goes_back_with_the_numbers_and_is_refused_next_time() {
    let mut world = v2_on_trial(ladder());
    for _ in 0..20 {
        world.traffic(400, 8, 0);
    }
    assert_eq!((world.weight("v1"), world.weight("v2"), world.replicas("v2")), (100, 0, 0));
    world.close();
    let record = world.records.last().unwrap();
    assert_eq!(record.outcome, Outcome::RolledBack);
    let cause = record.cause.as_ref().unwrap();
    assert_eq!(cause.code, "errors");
    assert!(cause.text.contains("vs 0.00 % on stable"), "{}", cause.text);
    let refusal = world.deploy("v2").unwrap_err();
    assert_eq!(refusal.code, RefusalCode::BadRevision);
}

#[test]
fn slow_is_bad_too() {
    let mut world = v2_on_trial(ladder());
    for _ in 0..60 {
        world.traffic(400, 0, 200);
    }
    world.close();
    assert_eq!(world.records.last().unwrap().cause.as_ref().unwrap().code, "latency");
}

#[test]
fn an_instance_that_exits_at_start_fails_the_rollout_at_once() {
    let mut world = World::on_v1(ladder());
    world.deploy("v2").unwrap();
    let mut seen = world.perfect();
    let failure = StartFailure {
        instance: "shop-v2-1".into(),
        cause: ExitCause::Code(3),
        last_probe: Some("connection refused".into()),
        log: vec!["boom".into()],
    };
    let lost = RevisionObservation { failure: Some(failure.clone()), ..Default::default() };
    seen.revisions.insert(revision("v2"), lost);
    world.observe(seen);
    assert_eq!((world.weight("v1"), world.replicas("v2")), (100, 0));
    world.settle();
    let cause = world.records.last().unwrap().cause.clone().unwrap();
    assert_eq!(cause.text, "v2 did not start: exited with code 3");
    assert_eq!(cause.failure, Some(failure));
}

#[test]
fn why_instances_under_traffic_were_lost_is_in_the_record() {
    for (ready, restarts, code) in [(0, 2, "not-ready"), (2, 3, "crash")] {
        let mut world = v2_on_trial(ladder());
        let mut seen = world.perfect();
        let story = StartFailure {
            instance: "shop-v2-1".into(),
            cause: ExitCause::Code(7),
            last_probe: Some("GET /ready: 200 OK".into()),
            log: vec!["index out of bounds".into()],
        };
        let lost = Some(story.clone());
        let v2 = RevisionObservation { ready, restarts, lost, ..Default::default() };
        seen.revisions.insert(revision("v2"), v2);
        world.observe(seen);
        world.settle();
        let cause = world.records.last().unwrap().cause.clone().unwrap();
        assert_eq!((cause.code.as_str(), cause.failure), (code, Some(story)));
    }
}

#[test]
fn instances_that_never_become_ready_meet_a_deadline_that_crashes_cannot_move() {
    let mut world = World::on_v1(ladder());
    world.deploy("v2").unwrap();
    for _ in 0..13 {
        world.advance(5);
        let mut seen = world.perfect();
        seen.revisions.insert(revision("v2"), RevisionObservation::default());
        world.observe(seen);
    }
    world.settle();
    let cause = world.records.last().unwrap().cause.clone().unwrap();
    assert_eq!(cause.code, "not-ready");
    assert_eq!(cause.text, "0 of 2 instances of v2 were ready after 1 min");
}

#[test]
fn a_finished_rollback_still_owes_its_plan() {
    let mut world = v2_on_trial(ladder());
    world.ask(Ask::Abort).unwrap();
    assert_eq!(world.weight("v2"), 0);
    assert!(!world.service.is_applied());
    assert_eq!(world.records.len(), 1, "it is not over before the data plane says so");
    world.settle();
    assert_eq!(world.records.last().unwrap().outcome, Outcome::Aborted);
}

#[test]
fn pauses_hold_and_promote_skips_with_a_trace() {
    let steps = vec![
        Step::SetWeight(percent(20)),
        Step::Pause(None),
        Step::Pause(Some(Millis::secs(300))),
        Step::SetWeight(percent(100)),
    ];
    let mut world = v2_on_trial(steps);
    world.advance(10_000);
    assert_eq!(world.waiting, "a person: this step waits for `serin promote`");
    world.ask(Ask::Promote { full: false }).unwrap();
    world.ask(Ask::Pause).unwrap();
    world.advance(400);
    assert_eq!(world.waiting, "a person: paused by ada");
    assert_eq!(world.weight("v2"), 20);
    world.ask(Ask::Resume).unwrap();
    world.advance(299);
    assert_eq!(world.replicas("v2"), 2, "the step's clock stood still during the pause");
    world.advance(1);
    world.settle();
    world.advance(5);
    assert_eq!(world.weight("v2"), 100);
    let skipped = &world.service.rollout.as_ref().unwrap().skipped;
    assert_eq!(skipped, &["step 2: promoted by ada"]);
}

#[test]
fn promote_full_still_waits_for_instances() {
    let mut world = v2_on_trial(ladder());
    world.ask(Ask::Promote { full: true }).unwrap();
    assert_eq!((world.weight("v2"), world.replicas("v2")), (20, 4));
    world.settle();
    world.advance(5);
    assert_eq!(world.weight("v2"), 100);
}

#[test]
fn a_newer_deploy_takes_the_place_of_a_rollout() {
    let mut world = v2_on_trial(ladder());
    world.deploy("v3").unwrap();
    assert_eq!((world.weight("v1"), world.replicas("v2"), world.replicas("v3")), (100, 0, 2));
    assert_eq!(world.records.last().unwrap().outcome, Outcome::Superseded);
}

#[test]
fn rollback_is_a_new_rollout_to_the_last_good_revision() {
    let mut world = v2_on_trial(vec![Step::SetWeight(percent(20)), Step::SetWeight(percent(100))]);
    for _ in 0..10 {
        world.settle();
        world.advance(10);
    }
    assert_eq!(world.service.stable, Some(revision("v2")));
    world.ask(Ask::Rollback { to: None }).unwrap();
    world.settle();
    assert_eq!(world.weight("v1"), 100);
    world.advance(30);
    world.settle();
    let record = world.records.last().unwrap();
    assert_eq!((record.kind, record.outcome), (RolloutKind::Rollback, Outcome::Promoted));
}

#[test]
fn a_revision_tried_again_goes_on_from_its_evidence() {
    let mut world = v2_on_trial(ladder());
    for _ in 0..3 {
        world.traffic(400, 0, 0);
    }
    world.ask(Ask::Abort).unwrap();
    world.settle();
    world.deploy("v2").unwrap();
    assert!(world.told.iter().any(|t| t.contains("tried before")), "{:?}", world.told);
    let judge = world.service.rollout.as_ref().unwrap().judge.as_ref().unwrap();
    assert_eq!(judge.assess(serin_stats::Rung::LAST).canary_n, 240);
}

#[test]
fn other_risks_do_not_wash_evidence_away_but_another_question_does() {
    let canary_n = |harm_floor: f64| {
        let mut world = v2_on_trial(ladder());
        (0..3).for_each(|_| world.traffic(400, 0, 0));
        world.ask(Ask::Abort).unwrap();
        world.settle();
        let analysis = Analysis { alpha: 0.02, beta: 0.04, harm_floor, ..Analysis::default() };
        world.service.spec.schedule.analysis = Some(analysis);
        world.deploy("v2").unwrap();
        let judge = world.service.rollout.as_ref().unwrap().judge.as_ref().unwrap();
        assert!((judge.config().settings().alpha - 0.02).abs() < 1e-12);
        judge.assess(serin_stats::Rung::LAST).canary_n
    };
    assert_eq!((canary_n(0.005), canary_n(0.01)), (240, 0));
}

#[test]
fn old_observations_and_old_generations_change_nothing() {
    let mut world = v2_on_trial(ladder());
    let mut old = Observation { seq: (1, 1), ..Observation::default() };
    let before = world.service.clone();
    world.event(&Event::Observed(old.clone())).unwrap();
    assert_eq!(world.service, before);
    old.seq = (0, 999);
    world.event(&Event::Observed(old)).unwrap();
    assert_eq!(world.service, before);
}

#[test]
fn a_new_controller_issues_the_last_plan_under_its_epoch() {
    let mut world = v2_on_trial(ladder());
    let before = world.plan().clone();
    world.event(&Event::TookOver { epoch: 2, rollouts: 0 }).unwrap();
    assert!(world.plan().generation > before.generation);
    assert!(world.plan().same_world(&before));
    assert_eq!(world.plan().generation.epoch, 2);
}

#[test]
fn refusals_say_what_to_do() {
    let mut world = World::on_v1(ladder());
    for ask in [Ask::Promote { full: false }, Ask::Pause, Ask::Resume, Ask::Abort] {
        assert_eq!(world.ask(ask).unwrap_err().code, RefusalCode::NoRollout);
    }
    let refusal = world.ask(Ask::Rollback { to: None }).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::NoRevision);
    assert!(refusal.hint.is_some());
}

#[test]
fn a_bake_asks_for_time_and_requests() {
    let bake = Step::Bake(Bake {
        at_least: Millis::secs(30),
        requests: 500,
        until_evidence: false,
        deadline: Millis::secs(3600),
    });
    let steps = vec![Step::SetWeight(percent(20)), bake, Step::SetWeight(percent(100))];
    let mut world = v2_on_trial(steps);
    world.traffic(400, 0, 0);
    assert_eq!(world.waiting, "more requests on the candidate (80 of 500)");
    for _ in 0..6 {
        world.traffic(400, 0, 0);
    }
    assert!(world.waiting.starts_with("the bake ("), "{}", world.waiting);
    world.advance(30);
    assert_eq!(world.replicas("v2"), 4, "sized for the next weight");
}

#[test]
fn plans_that_break_a_rule_are_not_handed_out() {
    let world = v2_on_trial(vec![Step::SetWeight(percent(20)), bake(9, false)]);
    let mut plan = world.plan().clone();
    plan.revisions.get_mut(&revision("v2")).unwrap().weight = percent(30);
    assert_eq!(lint(&plan, &world.service), [Note::WeightSum(110_000)]);
    plan.revisions.remove(&revision("v1"));
    assert!(lint(&plan, &world.service).contains(&Note::StableGone(revision("v1").to_string())));
}
