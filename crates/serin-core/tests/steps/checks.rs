//! Steps that wait for checks, and analysis that begins late.

use crate::support::{World, analysis, percent, serve};
use crate::{ALL, begun, settle, went_back};
use serin_core::*;
use serin_stats::threshold::{Check, Range, Signal};

fn check(name: &str) -> Check {
    Check {
        success: Some(Range::at_most(0.05)),
        interval_ms: 1000,
        window_ms: 5000,
        count: None,
        ..Check::of(name, Signal::ErrorRate)
    }
}

fn analyse(deadline: u64) -> Step {
    Step::Analyse(Analyse { checks: vec!["errors".into()], deadline: Millis::secs(deadline) })
}

fn checked(spec: &mut ServiceSpec) {
    analysis(spec).metrics = vec![];
    analysis(spec).checks = vec![check("errors")];
}

fn second(world: &mut World, errors: u64) {
    serve(world.arm("v1"), 80, 0);
    serve(world.arm("v2"), 20, errors);
    world.report();
    settle(world);
}

#[test]
fn the_step_waits_until_its_checks_are_good() {
    let steps = vec![Step::SetWeight(percent(20)), analyse(60), Step::Pause(None), ALL];
    let mut world = begun(steps, checked);
    assert_eq!(world.rollout().step.index, 1);
    assert_eq!(world.waiting, "a check: errors: not measured yet");
    for _ in 0..8 {
        second(&mut world, 0);
    }
    assert_eq!(world.rollout().step.index, 2, "{}", world.waiting);
}

#[test]
fn its_checks_begin_with_it() {
    let pause = Step::Pause(Some(Millis::secs(20)));
    let steps = vec![Step::SetWeight(percent(20)), pause, analyse(60), Step::Pause(None), ALL];
    let mut world = begun(steps, checked);
    for _ in 0..10 {
        second(&mut world, 20);
    }
    assert_eq!(world.rollout().step.index, 1, "what was before it says nothing");
    while world.rollout().step.index == 1 {
        second(&mut world, 0);
    }
    second(&mut world, 20);
    second(&mut world, 20);
    assert_eq!(crate::cause(&world).code, "check");
}

#[test]
fn without_an_answer_the_deadline_decides() {
    let cases = [
        (OnInconclusive::Pause, "a person"),
        (OnInconclusive::Rollback, "to stop"),
        (OnInconclusive::Promote, "a person: this step waits for `serin promote`"),
    ];
    for (asked, waits) in cases {
        let steps = vec![Step::SetWeight(percent(20)), analyse(30), Step::Pause(None), ALL];
        let mut world = begun(steps, |spec| {
            checked(spec);
            analysis(spec).on_inconclusive = asked;
        });
        world.advance(31);
        let waiting = waiting_on(&world.service, world.now).to_string();
        let going_back = matches!(world.rollout().phase, Phase::Reverting { .. });
        assert!(waiting.contains(waits) || going_back, "{asked:?}: {waiting}");
        assert_eq!(going_back, asked == OnInconclusive::Rollback);
    }
}

#[test]
fn evidence_is_looked_at_from_its_step_on() {
    let pause = || Step::Pause(Some(Millis::secs(60)));
    let steps = vec![Step::SetWeight(percent(20)), pause(), pause(), ALL];
    for (from, guilty) in [(0, true), (2, false)] {
        let mut world = begun(steps.clone(), |spec| spec.schedule.analysis_from = from);
        for _ in 0..30 {
            if world.service.rollout.as_ref().is_some_and(Rollout::is_on_trial) {
                second(&mut world, 20);
            }
        }
        let on_trial = world.service.rollout.as_ref().is_some_and(Rollout::is_on_trial);
        assert_eq!(on_trial, !guilty, "from step {from}");
    }
    let mut world = begun(steps, |spec| spec.schedule.analysis_from = 2);
    for _ in 0..100 {
        if world.service.rollout.as_ref().is_some_and(Rollout::is_on_trial) {
            second(&mut world, 20);
        }
    }
    let cause = went_back(&world).expect("decided once it is looked at");
    assert_eq!((cause.code.as_str(), cause.step), ("errors", 3));
}

#[test]
fn checks_may_begin_anew_with_each_stage() {
    let stage = |name: &str, steps: Vec<Step>| Stage { name: name.into(), steps };
    let pause = || Step::Pause(Some(Millis::secs(10)));
    for by_stage in [false, true] {
        let mut world = begun(vec![], |spec| {
            checked(spec);
            analysis(spec).checks_by_stage = by_stage;
            spec.schedule.stages = vec![
                stage("one", vec![Step::SetWeight(percent(20)), pause()]),
                stage("two", vec![Step::Pause(None), ALL]),
            ];
        });
        for _ in 0..6 {
            second(&mut world, 0);
        }
        assert!(world.rollout().checks[0].passed);
        world.advance(10);
        settle(&mut world);
        assert_eq!(world.rollout().stage(), "two");
        assert_eq!(world.rollout().checks[0].passed, !by_stage);
    }
}
