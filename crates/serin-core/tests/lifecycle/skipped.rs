//! A deploy that leaves steps out: tests, or everything that waits.

use super::*;
use crate::support::bake;
use std::collections::BTreeMap;

fn test_step() -> Step {
    Step::Run(vec![Hook {
        name: "smoke".into(),
        kind: HookKind::Command { argv: vec!["./smoke".into()], env: BTreeMap::new() },
        timeout: Millis::secs(30),
        tries: 1,
    }])
}

fn careful() -> Vec<Step> {
    let approval = Approval { from: vec!["bo".into()], count: 1, timeout: None };
    let share = |p| Step::SetWeight(percent(p));
    vec![share(20), test_step(), bake(10, true), Step::Approve(approval), share(100)]
}

fn deploy(world: &mut World, version: &str, skips: Skips) -> Result<(), Refusal> {
    let spec = world.service.spec.clone();
    let revision = revision(version);
    let ask = DeployAsk { spec, revision, allow_bad: false, departure: None, skips };
    let ask = Ask::Deploy(Box::new(ask));
    let reason = Some("checkout is down".to_owned());
    world.event(&Event::Asked { by: Actor("ada".into()), reason, ask })
}

fn skipped(world: &World) -> Vec<&str> {
    world.rollout().skipped.iter().map(String::as_str).collect()
}

#[test]
fn what_is_left_out_is_told_and_kept_with_who_and_why() {
    let by = "left out by ada: checkout is down";
    let cases: [(Skips, &[&str], &[&str]); 3] = [
        (Skips::Nothing, &[], &["step 1", "step 2", "step 3", "step 4", "step 5"]),
        (Skips::Tests, &["step 2: "], &["step 1", "step 3", "step 4", "step 5"]),
        (Skips::Waits, &["step 1: ", "step 2: ", "step 3: "], &["step 4", "step 5"]),
    ];
    for (skips, out, left) in cases {
        let mut world = World::on_v1(careful());
        deploy(&mut world, "v2", skips).unwrap();
        let trace = skipped(&world);
        assert_eq!(trace.len(), out.len(), "{skips:?}: {trace:?}");
        for (line, start) in trace.iter().zip(out) {
            assert!(line.starts_with(start) && line.ends_with(by), "{skips:?}: {line}");
        }
        assert_eq!(world.rollout().schedule.len(), left.len(), "{skips:?}");
        let told = world.told.iter().filter(|line| line.contains(by)).count();
        assert_eq!(told, out.len(), "{skips:?}");
        assert_eq!(world.service.spec.schedule.len(), 5, "the next deploy has all of them");
    }
}

#[test]
fn a_hotfix_waits_for_approval_and_for_instances_alone_and_is_still_watched() {
    let mut world = World::on_v1(careful());
    deploy(&mut world, "v2", Skips::Waits).unwrap();
    assert!(world.waiting.contains("bo"), "{}", world.waiting);
    world.event(&Event::Asked { by: Actor("bo".into()), reason: None, ask: Ask::Approve }).unwrap();
    world.observe(world.perfect());
    world.advance(5);
    assert_eq!(world.weight("v2"), 100, "{}", world.waiting);
    assert!(world.rollout().judge.is_some());
    assert_eq!(world.replicas("v1"), 4, "the way back stays warm");
}

#[test]
fn a_hotfix_takes_the_place_of_what_is_under_way_and_does_not_queue() {
    for policy in [OnNewRevision::Queue, OnNewRevision::Reject, OnNewRevision::Restart] {
        let mut world = rollout_at(At::Stepping, |spec| spec.on_new_revision = policy);
        deploy(&mut world, "v3", Skips::Waits).unwrap();
        assert_eq!(world.rollout().candidate, revision("v3"), "{policy:?}");
    }
}

#[test]
fn steps_of_a_rollout_under_way_are_skipped_by_promote() {
    let mut world = rollout_at(At::Stepping, |_| {});
    for skips in [Skips::Tests, Skips::Waits] {
        let refused = deploy(&mut world, "v2", skips).unwrap_err();
        assert_eq!(refused.code, RefusalCode::Already);
        assert!(refused.hint.unwrap().contains("`serin promote shop`"));
    }
}
