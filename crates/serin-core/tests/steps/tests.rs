//! Tests against the candidate.

use crate::support::World;
use crate::{ALL, begun, by, candidate, cause, finish, settle, told};
use serin_core::*;

fn hook(name: &str, tries: u32) -> Hook {
    let argv = vec!["./smoke".into(), "$(CANDIDATE_URL)".into()];
    let kind = HookKind::Command { argv, env: std::collections::BTreeMap::new() };
    Hook { name: name.into(), kind, timeout: Millis::secs(30), tries }
}

fn testing(tries: u32) -> World {
    let steps = vec![Step::Run(vec![hook("smoke", tries), hook("api", tries)]), ALL];
    begun(steps, |_| {})
}

fn end(world: &mut World, name: &str, passed: bool, text: &str) {
    let wanted = hooks_wanted(&world.service);
    let order = wanted.iter().find(|o| o.hook.name == name).expect("wanted");
    let ended = Event::HookEnded { hook: order.key.clone(), passed, text: text.into() };
    world.event(&ended).unwrap();
    let before = world.service.clone();
    world.event(&ended).unwrap();
    assert_eq!(before, world.service, "the same result again changes nothing");
}

fn names(world: &World) -> Vec<String> {
    hooks_wanted(&world.service).into_iter().map(|o| o.hook.name).collect()
}

#[test]
fn all_run_at_once_against_a_ready_candidate_and_all_must_pass() {
    let mut world = testing(1);
    assert_eq!(names(&world), ["smoke", "api"]);
    let order = &hooks_wanted(&world.service)[0];
    assert_eq!(order.url, "http://127.0.0.1:7001");
    assert_eq!(order.revision, candidate());
    assert_eq!(world.waiting, "tests: 0 of 2 passed, smoke, api run");
    end(&mut world, "smoke", true, "");
    assert_eq!(names(&world), ["api"]);
    assert_eq!(world.weight("v2"), 0);
    end(&mut world, "api", true, "");
    finish(&mut world);
    assert_eq!(world.weight("v2"), 100);
    assert!(names(&world).is_empty());
}

#[test]
fn none_is_wanted_before_the_candidate_answers() {
    let mut world = World::on_v1(vec![Step::Run(vec![hook("smoke", 1)]), ALL]);
    world.deploy("v2").unwrap();
    assert!(names(&world).is_empty());
    assert!(world.waiting.contains("0 of 1 ready"), "{}", world.waiting);
    let due = world.wake_at.expect("a time at which it is looked at again");
    world.advance(due.since(world.now).0 / 1000 + 1);
    assert_eq!(cause(&world).code, "not-ready");
}

#[test]
fn a_failure_is_a_verdict_and_the_candidate_never_gets_traffic() {
    let mut world = testing(1);
    end(&mut world, "api", false, "GET /status\nexit code 1: no database");
    let cause = cause(&world);
    assert_eq!(cause.code, "test");
    assert_eq!(cause.text, "test api failed: exit code 1: no database");
    settle(&mut world);
    let record = world.records.last().unwrap();
    assert_eq!(record.outcome, Outcome::RolledBack);
    assert!(world.applied.iter().all(|plan| plan.weight(&candidate()) == Weight::NONE));
    assert!(names(&world).is_empty());
}

#[test]
fn tries_have_keys_of_their_own() {
    let mut world = testing(2);
    let first = hooks_wanted(&world.service)[0].key.clone();
    end(&mut world, "smoke", false, "timeout");
    let second = hooks_wanted(&world.service)[0].key.clone();
    assert_eq!((first.attempt, second.attempt), (1, 2));
    // The first try's result comes once more, late.
    world.event(&Event::HookEnded { hook: first, passed: false, text: "late".into() }).unwrap();
    assert_eq!(hooks_wanted(&world.service)[0].key, second);
    end(&mut world, "smoke", false, "timeout again");
    assert_eq!(cause(&world).text, "test smoke failed 2 times: timeout again");
    assert_eq!(told(&world, "(try 1 of 2)"), 1);
}

#[test]
fn a_result_that_never_comes_is_a_failure() {
    let mut world = testing(1);
    world.advance(80);
    assert_eq!(names(&world).len(), 2);
    world.advance(6);
    assert!(cause(&world).text.contains("no result within 1 min 30 s"), "{:?}", cause(&world));
}

#[test]
fn a_controller_that_takes_over_wants_them_again_and_gives_them_their_time() {
    let mut world = testing(1);
    let before = names(&world);
    world.advance(80);
    world.event(&Event::TookOver { epoch: 2, rollouts: 0 }).unwrap();
    settle(&mut world);
    assert_eq!(names(&world), before);
    world.advance(80);
    assert_eq!(names(&world), before, "{}", world.waiting);
}

#[test]
fn skipping_them_leaves_a_trace() {
    let mut world = testing(1);
    by(&mut world, "ada", Ask::Promote { full: false }).unwrap();
    finish(&mut world);
    assert_eq!(world.weight("v2"), 100);
    let skipped = &world.rollout().skipped;
    assert!(skipped[0].contains("step 1: promoted by ada"), "{skipped:?}");
}

#[test]
fn whoever_goes_back_wants_none() {
    let mut world = testing(1);
    by(&mut world, "ada", Ask::Abort).unwrap();
    assert!(names(&world).is_empty());
}

#[test]
fn while_held_results_count_and_nothing_moves() {
    let mut world = testing(1);
    by(&mut world, "ada", Ask::Pause).unwrap();
    end(&mut world, "smoke", true, "");
    end(&mut world, "api", true, "");
    settle(&mut world);
    assert_eq!((world.rollout().step.index, world.weight("v2")), (0, 0));
    by(&mut world, "ada", Ask::Resume).unwrap();
    finish(&mut world);
    assert_eq!(world.weight("v2"), 100);
}

#[test]
fn they_go_to_the_preview_where_there_is_one() {
    let preview = "127.0.0.1:9090".parse().unwrap();
    let steps = vec![Step::Run(vec![hook("smoke", 1)]), ALL];
    let world = begun(steps, |spec| spec.traffic.preview = Some(preview));
    assert_eq!(hooks_wanted(&world.service)[0].url, "http://127.0.0.1:9090");
}
