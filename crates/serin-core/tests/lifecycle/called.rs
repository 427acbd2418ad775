//! Who is called, what for, and what they read.

use super::*;
use std::collections::{BTreeMap, BTreeSet};
use support::{ladder, on_trial};

fn target(name: &str, on: &[Occasion]) -> NotifyTarget {
    let kind = NotifyKind::Command { argv: vec!["./page".into()], env: BTreeMap::new() };
    let on = on.iter().copied().collect();
    NotifyTarget { name: name.into(), kind, on, timeout: Millis::secs(10) }
}

/// `oncall` is told what is usual, `chat` everything.
fn both() -> Vec<NotifyTarget> {
    let usual: Vec<_> = Occasion::usual().into_iter().collect();
    let all: Vec<_> = Occasion::ALL.iter().map(|(_, one)| *one).collect();
    vec![target("oncall", &usual), target("chat", &all)]
}

/// v2 fails every tenth request, which is noticed.
fn condemned(on_failure: OnFailure) -> World {
    let mut world = on_trial(ladder(), |spec| {
        spec.rollback.on_failure = on_failure;
        spec.notify = both();
    });
    world.notices.clear();
    for _ in 0..20 {
        world.traffic(400, 8, 0);
    }
    world
}

/// What was told, as `occasion to whom: text`.
fn said(world: &World) -> Vec<String> {
    let line = |n: &Notice| format!("{} to {}: {}", n.event.as_str(), n.to.join(" and "), n.text);
    world.notices.iter().map(line).collect()
}

#[test]
fn whoever_is_on_call_is_told_of_a_way_back() {
    let world = condemned(OnFailure::Rollback);
    let said = said(&world);
    assert_eq!(said.len(), 1, "{said:#?}");
    let start =
        "rolledBack to oncall and chat: shop: v2 goes back to v1: worse than stable: errors";
    assert!(said[0].starts_with(start), "{}", said[0]);
    assert!(said[0].ends_with("; see why with `serin explain shop`"), "{}", said[0]);
    let notice = &world.notices[0];
    assert_eq!(notice.revision, Some(revision("v2")));
    assert!(notice.reason.starts_with("worse than stable"), "{}", notice.reason);
    assert_eq!(notice.command, "serin explain shop");
}

#[test]
fn whoever_must_confirm_reads_what_to_type_and_what_comes_without_it() {
    let mut world = condemned(OnFailure::Confirm { timeout: Millis::secs(300) });
    for _ in 0..5 {
        world.traffic(400, 8, 0);
    }
    let told = said(&world);
    assert_eq!(told.len(), 1, "asked once: {told:#?}");
    let start = "needsPerson to oncall and chat: shop: v2 needs a person: worse than stable";
    assert!(told[0].starts_with(start), "{}", told[0]);
    let end = "; type `serin abort shop` to go back now, or `serin promote shop --reason \"...\"` to \
               keep v2; without an answer it goes back in 5 min";
    assert!(told[0].ends_with(end), "{}", told[0]);
    world.advance(301);
    assert!(said(&world)[1].starts_with("rolledBack"), "{:?}", said(&world));
}

#[test]
fn whoever_holds_reads_that_nothing_happens_without_them() {
    let told = said(&condemned(OnFailure::Hold));
    let end = "without an answer everything stays as it is (onFailure: hold)";
    assert!(told.len() == 1 && told[0].ends_with(end), "{told:?}");
}

#[test]
fn a_step_that_waits_for_people_calls_them_once() {
    let approval = |from: &[&str], count, timeout| {
        let from = from.iter().map(|one| (*one).to_owned()).collect();
        Step::Approve(Approval { from, count, timeout })
    };
    let day = Some(Millis::secs(86_400));
    let cases = [
        (
            Step::Pause(None),
            "this step waits for a person; type `serin promote shop` to go on, or `serin abort shop` to go back",
        ),
        (approval(&[], 1, None), "a step waits for approval by anybody; type `serin approve shop`"),
        (
            approval(&["ann", "bob"], 2, day),
            "a step waits for approval by 2 of: ann, bob; type `serin approve shop`; without it the rollout is aborted in 24 h",
        ),
    ];
    for (step, end) in cases {
        let steps = vec![Step::SetWeight(percent(20)), step, Step::SetWeight(Weight::ALL)];
        let mut world = World::on_v1(steps);
        world.service.spec.schedule.analysis = None;
        world.service.spec.notify = vec![target("oncall", &[Occasion::NeedsPerson])];
        world.notices.clear();
        world.deploy("v2").unwrap();
        catch_up(&mut world);
        for _ in 0..3 {
            world.advance(10);
        }
        let told = said(&world);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0], format!("needsPerson to oncall: shop: v2 needs a person: {end}"));
    }
}

#[test]
fn a_pause_by_a_person_calls_nobody() {
    let mut world = rollout_at(At::Stepping, |spec| spec.notify = both());
    world.notices.clear();
    world.ask(Ask::Pause).unwrap();
    assert_eq!(said(&world), [""; 0]);
}

#[test]
fn a_way_back_that_fails_is_told_once_as_what_it_is() {
    let mut world = released(&["v2"], |spec| spec.notify = both());
    world.notices.clear();
    world.ask(back()).unwrap();
    // Nothing of v1 gets ready.
    while world.rollout().is_on_trial() {
        let mut seen = world.perfect();
        seen.revisions.get_mut(&revision("v1")).unwrap().ready = 0;
        world.observe(seen);
        world.advance(10);
    }
    let told = said(&world);
    let failed: Vec<_> = told.iter().filter(|line| line.starts_with("rollbackFailed")).collect();
    assert_eq!(failed.len(), 1, "{told:#?}");
    assert!(failed[0].contains("rollback to v1 failed, v2 keeps all traffic"), "{failed:?}");
    assert!(told.iter().all(|line| !line.starts_with("rolledBack")), "{told:#?}");
}

#[test]
fn each_target_is_told_its_own() {
    let mut world = released(&[], |spec| spec.notify = both());
    world.notices.clear();
    release(&mut world, "v2");
    let told = said(&world);
    assert_eq!(
        told,
        [
            "started to chat: shop: rollout to v2 started by ada (from v1); look at it with `serin status shop`",
            "promoted to chat: shop: v2 is stable now; if it is bad, go back with `serin rollback shop`",
        ]
    );
    let keys: BTreeSet<_> = world.notices.iter().map(|n| n.key.clone()).collect();
    assert_eq!(keys.len(), 2, "each has a key of its own");
}

#[test]
fn a_service_that_calls_nobody_has_no_notices() {
    let mut world = on_trial(ladder(), |_| ());
    for _ in 0..20 {
        world.traffic(400, 8, 0);
    }
    assert!(world.notices.is_empty());
}
