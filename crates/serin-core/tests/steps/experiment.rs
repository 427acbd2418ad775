//! Variants beside stable and the candidate.

use crate::support::{World, percent, revision, serve};
use crate::{ALL, begun, by, candidate, cause, settle, told};
use serin_core::*;
use std::collections::BTreeMap;

fn variant(name: &str, weight: u32) -> Variant {
    let env = BTreeMap::from([("COLOR".to_owned(), EnvValue::Literal(name.into()))]);
    Variant {
        name: name.into(),
        of: VariantOf::Candidate,
        env,
        weight: percent(weight),
        instances: None,
    }
}

fn experiment(otherwise: NoWinner, variants: Vec<Variant>) -> Step {
    let goal = Goal { method: Some("POST".into()), path: TextMatch::Exact("/buy".into()) };
    let winner = Some(WinnerRule { goal, alpha: 0.05, min_units: 500, otherwise });
    let (at_least, deadline) = (Millis::secs(30), Millis::secs(600));
    Step::Experiment(Experiment { variants, at_least, deadline, winner })
}

/// 20 % for the candidate and for each of two variants.
fn running(otherwise: NoWinner) -> World {
    let two = vec![variant("blue", 20), variant("green", 20)];
    let steps =
        vec![Step::SetWeight(percent(20)), experiment(otherwise, two), Step::Pause(None), ALL];
    let mut world = begun(steps, |_| {});
    world.advance(5);
    settle(&mut world);
    world
}

fn arm(name: &str) -> RevisionId {
    RevisionId { version: format!("v2-{name}").parse().unwrap(), ..candidate() }
}

/// A second in which each arm reaches the goal so often of 1,000 times: v1, v2, blue, green.
fn second(world: &mut World, goals: [u64; 4]) {
    let ids = [revision("v1"), candidate(), arm("blue"), arm("green")];
    let n = ids.map(|id| u64::from(world.plan().weight(&id).parts()) / 100);
    for ((version, n), goals) in ["v1", "v2", "v2-blue", "v2-green"].into_iter().zip(n).zip(goals) {
        let counts = match version.strip_prefix("v2-") {
            Some(name) => world.arm_of(&arm(name)),
            None => world.arm(version),
        };
        serve(counts, n, 0);
        counts.goals += n * goals / 1000;
    }
    world.report();
    settle(world);
}

fn until_decided(world: &mut World, goals: [u64; 4]) {
    for _ in 0..500 {
        let here = world
            .service
            .rollout
            .as_ref()
            .is_some_and(|r| r.step.index == 1 && r.is_on_trial() && r.paused.is_none());
        if !here {
            return;
        }
        second(world, goals);
    }
}

#[test]
fn all_arms_get_their_shares_at_once_when_all_are_ready() {
    let world = running(NoWinner::Stable);
    let plan = world.plan();
    let shares: Vec<_> =
        plan.revisions.values().map(|r| (r.role, r.weight.parts() / 1000)).collect();
    assert_eq!(
        shares,
        [(Role::Stable, 40), (Role::Candidate, 20), (Role::Variant, 20), (Role::Variant, 20)]
    );
    let env = &plan.revisions[&arm("blue")].run.env;
    assert_eq!(env["COLOR"], EnvValue::Literal("blue".into()));
    assert!(plan.goal.is_some());
    for plan in &world.applied {
        let weights = [arm("blue"), arm("green")].map(|id| plan.weight(&id));
        assert_eq!(weights[0], weights[1]);
    }
}

#[test]
fn the_best_arm_goes_on_as_the_candidate() {
    // Goals of 1,000 by arm, and who is promoted.
    for (goals, winner) in [([50, 50, 150, 50], arm("blue")), ([50, 150, 50, 50], candidate())] {
        let mut world = running(NoWinner::Stable);
        until_decided(&mut world, goals);
        assert_eq!(told(&world, "won the experiment: goal reached by"), 1, "{}", world.waiting);
        assert_eq!(world.rollout().candidate, winner);
        assert_eq!(world.plan().revisions.len(), 2, "the others leave");
        assert!(world.plan().goal.is_none());
        by(&mut world, "ada", Ask::Promote { full: false }).unwrap();
        for _ in 0..5 {
            settle(&mut world);
            world.advance(40);
        }
        settle(&mut world);
        assert_eq!(world.service.stable, Some(winner.clone()), "{}", world.waiting);
        assert_eq!(world.records.last().unwrap().to, winner);
        let judge = judge_again(world.ticks.iter().filter(|t| t.rollout == 2));
        assert!(judge.is_some());
    }
}

#[test]
fn stable_may_win() {
    let mut world = running(NoWinner::Candidate);
    until_decided(&mut world, [150, 50, 50, 50]);
    assert_eq!(cause(&world).code, "experiment");
    assert!(cause(&world).text.starts_with("v1 won the experiment"), "{}", cause(&world).text);
    settle(&mut world);
    assert_eq!(world.plan().revisions.len(), 1);
    let known = &world.service.revisions[&candidate()];
    assert_eq!(known.standing, RevisionStanding::Untried, "worse for the goal is not broken");
}

#[test]
fn without_a_winner_the_rule_decides_at_the_deadline() {
    for otherwise in [NoWinner::Stable, NoWinner::Pause, NoWinner::Candidate] {
        let mut world = running(otherwise);
        for _ in 0..40 {
            second(&mut world, [50; 4]);
        }
        assert!(world.waiting.contains("a winner of the experiment: "), "{}", world.waiting);
        assert_eq!(world.rollout().step.index, 1);
        world.advance(600);
        let rollout = world.rollout();
        let back = matches!(rollout.phase, Phase::Reverting { .. });
        let found = (back, rollout.paused.is_some(), rollout.step.index);
        let wanted = match otherwise {
            NoWinner::Stable => (true, false, 1),
            NoWinner::Pause => (false, true, 1),
            NoWinner::Candidate => (false, false, 2),
        };
        assert_eq!(found, wanted, "{otherwise:?}");
        assert_eq!(told(&world, "has no winner"), 1, "{otherwise:?}");
    }
}

#[test]
fn a_harmful_variant_leaves_alone() {
    let mut world = running(NoWinner::Stable);
    for _ in 0..60 {
        if told(&world, "left the experiment") > 0 {
            break;
        }
        serve(world.arm("v1"), 400, 0);
        serve(world.arm("v2"), 200, 0);
        serve(world.arm_of(&arm("blue")), 200, 40);
        serve(world.arm_of(&arm("green")), 200, 0);
        world.report();
        settle(&mut world);
    }
    assert_eq!(told(&world, "v2-blue left the experiment: worse than stable"), 1);
    assert_eq!(world.plan().weight(&arm("blue")), Weight::NONE);
    assert!(!world.plan().revisions.contains_key(&arm("blue")));
    assert_eq!((world.weight("v1"), world.weight("v2")), (60, 20), "its share goes to stable");
    until_decided(&mut world, [50, 50, 0, 150]);
    assert_eq!(world.rollout().candidate, arm("green"), "the others race on: {:#?}", world.told);
}

#[test]
fn a_variant_that_does_not_start_leaves_alone() {
    let steps = vec![
        Step::SetWeight(percent(20)),
        experiment(NoWinner::Stable, vec![variant("blue", 20)]),
        ALL,
    ];
    let mut world = begun(steps, |_| {});
    assert_eq!(world.weight("v2"), 20);
    let mut seen = world.perfect();
    let blue = seen.revisions.get_mut(&arm("blue")).unwrap();
    blue.ready = 0;
    let cause = ExitCause::Code(1);
    blue.failure =
        Some(StartFailure { instance: "shop-1".into(), cause, last_probe: None, log: vec![] });
    world.observe(seen);
    assert_eq!(told(&world, "v2-blue left the experiment: v2-blue did not start"), 1);
    assert_eq!(world.weight("v2"), 20, "the rollout is not to blame");
}

#[test]
fn a_way_back_takes_all_arms_away() {
    let mut world = running(NoWinner::Stable);
    let before = world.applied.len();
    by(&mut world, "ada", Ask::Abort).unwrap();
    let plan = &world.applied[before];
    assert_eq!(plan.weight(&revision("v1")), Weight::ALL);
    assert!(!plan.revisions.contains_key(&arm("blue")) && plan.goal.is_none());
    settle(&mut world);
    assert!(world.service.rollout.is_none());
}

#[test]
fn without_a_rule_variants_are_only_compared() {
    let two = vec![variant("blue", 20)];
    let step = Step::Experiment(Experiment {
        variants: two,
        at_least: Millis::secs(30),
        deadline: Millis::secs(600),
        winner: None,
    });
    let mut world = begun(vec![Step::SetWeight(percent(20)), step, Step::Pause(None), ALL], |_| {});
    world.advance(5);
    settle(&mut world);
    assert_eq!(world.waiting, "the experiment (30 s left)");
    world.advance(30);
    assert_eq!(world.rollout().step.index, 2);
    assert!(!world.plan().revisions.contains_key(&arm("blue")));
}
