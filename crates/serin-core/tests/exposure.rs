//! Steps that choose their shares, and the record of what a judge was given.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod support;

use serin_core::*;
use support::{exposed, ladder, misdeal, on_trial, revision};

#[test]
fn the_share_rises_with_the_evidence_and_never_falls() {
    let mut world = on_trial(exposed(), |_| {});
    assert_eq!(world.weight("v2"), 1);
    let mut shares = vec![];
    while !matches!(world.rollout().phase, Phase::Warm { .. }) {
        world.traffic(2000, 0, 0);
        world.settle();
        shares.push(world.rollout().weight.parts());
        assert!(shares.len() < 200, "{}", world.waiting);
    }
    assert!(shares.is_sorted(), "{shares:?}");
    shares.dedup();
    assert!(shares.len() > 4 && shares.iter().all(|s| *s <= 50_000 || *s == 100_000));
}

#[test]
fn an_exposed_bad_version_goes_back_from_a_small_share() {
    let mut world = on_trial(exposed(), |_| {});
    while world.service.rollout.as_ref().is_some_and(|r| r.weight > Weight::NONE) {
        assert!(world.weight("v2") <= 5);
        let failed = world.plan().weight(&revision("v2")).parts() / 100;
        world.traffic(2000, u64::from(failed), 0);
        world.settle();
    }
    world.close();
    assert_eq!(world.records.last().unwrap().outcome, Outcome::RolledBack);
}

#[test]
fn what_nobody_asked_for_does_not_raise_the_share() {
    let mut world = on_trial(exposed(), |_| {});
    for _ in 0..100 {
        world.advance(30);
        world.settle();
    }
    assert_eq!(world.weight("v2"), 1);
    world.advance(3600);
    assert_eq!(world.rollout().paused, Some(PauseReason::Inconclusive));
}

#[test]
fn the_record_of_a_judge_leads_to_its_verdict_bit_by_bit() {
    let mut world = on_trial(ladder(), |_| {});
    misdeal(&mut world, 20);
    world.ask(Ask::Resume).unwrap();
    for _ in 0..10 {
        world.traffic(400, 1, 5);
    }
    let stored = serde_json::to_string(&world.ticks).unwrap();
    let ticks: Vec<RecordedTick> = serde_json::from_str(&stored).unwrap();
    assert!(ticks.iter().any(|tick| tick.given == Given::Cleared));
    let judge = judge_again(&ticks).unwrap();
    let rollout = world.rollout();
    assert_eq!(Some(judge.assess(rollout.assessed_at.unwrap())), rollout.assessment);
}

#[test]
fn evidence_that_is_taken_up_again_is_part_of_the_record() {
    let mut world = on_trial(ladder(), |_| {});
    for _ in 0..3 {
        world.traffic(400, 0, 0);
    }
    world.ask(Ask::Abort).unwrap();
    world.settle();
    world.deploy("v2").unwrap();
    let id = world.rollout().id;
    let ticks = world.ticks.iter().filter(|tick| tick.rollout == id);
    let judge = judge_again(ticks).unwrap();
    assert_eq!(Some(&judge), world.rollout().judge.as_ref());
    assert_eq!(judge.assess(serin_stats::Rung::LAST).canary_n, 240);
}

#[test]
fn the_record_of_a_judge_is_bounded_and_says_so() {
    let mut world = on_trial(ladder(), |_| {});
    world.service.rollout.as_mut().unwrap().counted.ticks = RecordedTick::MOST - 1;
    let before = world.ticks.len();
    for _ in 0..3 {
        world.traffic(400, 0, 0);
    }
    assert_eq!(world.ticks.len(), before + 1);
    let told = world.told.iter().filter(|t| t.contains("later ones are not")).count();
    assert_eq!(told, 1, "{:?}", world.told);
    assert_eq!(world.rollout().counted.judged, 240, "the rollout goes on");
}
