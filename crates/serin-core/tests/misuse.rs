//! What impatient people, restarts and odd settings do to a rollout.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed
#![allow(clippy::many_single_char_names)]

mod support;
use serin_core::*;
use support::{World, bake, ladder, percent, revision};

fn v2_on_trial(steps: Vec<Step>) -> World {
    let mut world = World::on_v1(steps);
    world.deploy("v2").unwrap();
    world.settle();
    world.advance(5);
    world.settle();
    world
}
fn quick() -> Vec<Step> {
    vec![Step::SetWeight(percent(100))]
}
fn release(w: &mut World, v: &str) {
    w.deploy(v).unwrap();
    for _ in 0..4 {
        w.settle();
        w.advance(31);
    }
    w.settle();
    assert_eq!(w.service.stable, Some(revision(v)), "{}", w.waiting);
    assert!(w.service.rollout.is_none());
}
fn back() -> Ask {
    Ask::Rollback { to: None }
}

#[test]
fn rollback_pressed_twice_does_not_cancel_itself() {
    let mut w = World::on_v1(quick());
    release(&mut w, "v2");
    release(&mut w, "v3");
    w.ask(back()).unwrap(); // v3 is bad: back to v2
    w.settle();
    let _ = w.ask(back()); // impatient, or a client's retry
    for _ in 0..4 {
        w.settle();
        w.advance(31);
    }
    assert_eq!(
        w.service.stable,
        Some(revision("v2")),
        "stable {:?} records {:?}",
        w.service.stable,
        w.records.last().map(|r| (r.kind, r.outcome))
    );
}
#[test]
fn rollback_while_reverting_does_not_go_further_back() {
    let mut w = World::on_v1(quick());
    release(&mut w, "v2");
    w.deploy("v3").unwrap();
    w.settle();
    w.ask(back()).unwrap(); // abort
    let _ = w.ask(back()); // pressed twice
    for _ in 0..4 {
        w.settle();
        w.advance(31);
    }
    assert_eq!(w.service.stable, Some(revision("v2")));
}
#[test]
fn a_second_rollback_does_not_return_to_what_was_fled() {
    let mut w = World::on_v1(quick());
    release(&mut w, "v2");
    release(&mut w, "v3");
    w.ask(back()).unwrap();
    for _ in 0..4 {
        w.settle();
        w.advance(31);
    }
    assert_eq!(w.service.stable, Some(revision("v2")));
    assert_eq!(w.service.last_good(), Some(&revision("v1")));
}
#[test]
fn rollback_to_a_convicted_revision_is_refused() {
    let mut w = v2_on_trial(ladder());
    for _ in 0..10 {
        w.traffic(400, 40, 0);
    }
    w.close();
    assert_eq!(w.records.last().unwrap().outcome, Outcome::RolledBack);
    assert!(w.deploy("v2").is_err());
    let r = w.ask(Ask::Rollback { to: Some(revision("v2")) });
    for _ in 0..4 {
        w.settle();
        w.advance(31);
    }
    w.settle();
    assert!(
        r.is_err(),
        "stable is now {:?} standing {:?}",
        w.service.stable,
        w.service.revisions[&revision("v2")].standing
    );
}
#[test]
fn bad_revision_is_refused_while_it_is_still_draining() {
    let mut w = v2_on_trial(ladder());
    for _ in 0..10 {
        w.traffic(400, 40, 0);
        if w.weight("v2") == 0 {
            break;
        }
    }
    assert!(matches!(w.service.rollout.as_ref().unwrap().phase, Phase::Reverting { .. }));
    let r = w.deploy("v2");
    w.settle();
    w.advance(5);
    assert!(
        r.is_err(),
        "weight of the bad version again: {}",
        w.applied
            .iter()
            .rev()
            .take(3)
            .map(|p| p.weight(&revision("v2")).to_string())
            .collect::<Vec<_>>()
            .join(",")
    );
}
#[test]
fn rollback_target_is_not_forgotten() {
    let mut w = World::on_v1(quick());
    release(&mut w, "v2");
    for i in 3..=10 {
        w.now = w.now.plus(Millis::secs(1));
        w.deploy(&format!("v{i}")).unwrap();
        w.ask(Ask::Abort).unwrap();
        for _ in 0..3 {
            w.settle();
        }
    }
    assert!(w.service.rollout.is_none());
    w.now = w.now.plus(Millis::secs(1));
    w.deploy("v11").unwrap(); // on trial, 11 known
    w.ask(Ask::Rollback { to: Some(revision("v1")) }).unwrap();
    for _ in 0..6 {
        w.settle();
        w.advance(31);
    }
    assert_eq!(
        w.service.stable,
        Some(revision("v1")),
        "{:?} {}",
        w.records.last().map(|r| (r.outcome, r.cause.clone().map(|c| c.text))),
        w.waiting
    );
}
#[test]
fn last_good_survives_ten_failed_candidates() {
    let mut w = World::on_v1(quick());
    release(&mut w, "v2");
    for i in 3..=12 {
        w.now = w.now.plus(Millis::secs(1));
        w.deploy(&format!("v{i}")).unwrap();
        w.ask(Ask::Abort).unwrap();
        for _ in 0..3 {
            w.settle();
        }
    }
    assert_eq!(w.service.last_good(), Some(&revision("v1")));
}
#[test]
fn reboot_mid_rollout_is_not_the_candidates_fault() {
    let mut w = v2_on_trial(ladder());
    assert_eq!(w.weight("v2"), 20);
    w.now = w.now.plus(Millis::secs(5));
    w.event(&Event::TookOver { epoch: 2, rollouts: 0 }).unwrap();
    let mut seen = w.perfect();
    for r in seen.revisions.values_mut() {
        r.starting = r.ready;
        r.ready = 0;
        r.youngest_ready_at = None;
    }
    w.observe(seen);
    assert!(w.service.rollout.as_ref().unwrap().is_on_trial(), "{:?}", w.told.last());
}
#[test]
fn pause_beyond_progress_deadline_then_one_restart() {
    let mut w = World::on_v1(ladder());
    w.deploy("v2").unwrap();
    w.ask(Ask::Pause).unwrap();
    w.settle();
    w.advance(600); // paused, 2 of 2 ready all the time
    let mut seen = w.perfect();
    seen.revisions.get_mut(&revision("v2")).unwrap().ready = 1; // one blip
    w.observe(seen);
    assert!(w.service.rollout.as_ref().unwrap().is_on_trial(), "{:?}", w.told.last());
}
#[test]
fn resume_after_a_pause_longer_than_the_deadline() {
    let mut w = World::on_v1(ladder());
    w.service.spec.schedule.analysis =
        Some(Analysis { on_inconclusive: OnInconclusive::Promote, ..Analysis::default() });
    w.deploy("v2").unwrap();
    w.settle();
    w.advance(5);
    w.settle();
    assert_eq!(w.service.rollout.as_ref().unwrap().step.index, 1);
    w.ask(Ask::Pause).unwrap();
    w.advance(3700); // lunch
    w.ask(Ask::Resume).unwrap();
    assert_eq!(w.service.rollout.as_ref().unwrap().step.index, 1, "{:?}", w.told);
}
#[test]
fn a_stricter_harm_does_not_switch_the_judge_off() {
    let mut w = World::on_v1(ladder());
    w.service.spec.schedule.analysis = Some(Analysis { harm_ratio: 1.04, ..Analysis::default() });
    let refusal = w.deploy("v2").unwrap_err();
    assert_eq!(refusal.code, RefusalCode::InvalidAnalysis);
    assert!(refusal.message.contains("harm_ratio"), "{}", refusal.message);
}
#[test]
fn total_failure_at_weight_100_is_not_promoted() {
    let mut w = v2_on_trial(vec![
        Step::SetWeight(percent(20)),
        bake(1, true),
        Step::SetWeight(percent(100)),
    ]);
    for _ in 0..40 {
        if w.weight("v2") == 100 {
            break;
        }
        w.traffic(400, 0, 0);
        w.settle();
        w.advance(5);
    }
    assert_eq!(w.weight("v2"), 100);
    for _ in 0..20 {
        w.traffic(400, 400, 0);
        w.settle();
    } // every request fails
    for _ in 0..20 {
        w.advance(1);
        w.settle();
    }
    assert_eq!(
        w.service.stable,
        Some(revision("v1")),
        "v2 was promoted while 100 % of its requests failed"
    );
}
#[test]
fn counts_after_a_clock_step_back() {
    let mut w = v2_on_trial(ladder());
    w.traffic(400, 0, 0);
    let judged = w.service.rollout.as_ref().unwrap().counted.judged;
    let generation = w.plan().generation;
    let arm = ArmCounts { n: 100, errors: 100, assigned: 100, ..ArmCounts::default() };
    let counts = Counts {
        key: CountKey { epoch: 6, seq: 1 },
        generation,
        closed_through: 9,
        arms: [(revision("v2"), arm)].into(),
        fresh: None,
        crossed: 0,
    };
    w.event(&Event::Counted(vec![counts])).unwrap();
    assert!(
        w.service.rollout.as_ref().unwrap().counted.judged > judged,
        "a data plane started after the clock was set back is never heard"
    );
}
#[test]
fn promote_full_in_a_bake_after_100() {
    let mut w = v2_on_trial(vec![Step::SetWeight(percent(100)), bake(600, false)]);
    w.settle();
    assert_eq!(w.service.rollout.as_ref().unwrap().step.index, 1);
    w.ask(Ask::Promote { full: true }).unwrap();
    assert!(
        !matches!(w.service.rollout.as_ref().unwrap().phase, Phase::Stepping),
        "{:?} {}",
        w.service.rollout.as_ref().unwrap().step,
        w.waiting
    );
}
#[test]
fn one_failed_start_of_the_good_revision_does_not_send_users_back_to_the_bad_one() {
    let mut w = World::on_v1(quick());
    release(&mut w, "v2");
    w.ask(back()).unwrap();
    let mut seen = w.perfect();
    let r = seen.revisions.get_mut(&revision("v1")).unwrap();
    r.ready = 3;
    r.starting = 1;
    r.failure = Some(StartFailure {
        instance: "shop-v1-4".into(),
        cause: ExitCause::NotStarted("too many open files".into()),
        last_probe: None,
        log: vec![],
    });
    w.observe(seen);
    assert!(
        w.service.rollout.as_ref().unwrap().is_on_trial(),
        "{:?} standing later {:?}",
        w.told.last(),
        w.service.revisions[&revision("v1")].standing
    );
}
#[test]
fn flapping_candidate_meets_the_progress_deadline() {
    let mut w = World::on_v1(ladder());
    w.deploy("v2").unwrap();
    for i in 0..400 {
        let mut seen = w.perfect();
        let r = seen.revisions.get_mut(&revision("v2"));
        if let Some(r) = r {
            r.youngest_ready_at = Some(w.now);
            if i % 2 == 1 {
                r.ready = 2;
            }
        }
        w.observe(seen);
        w.advance(4);
    }
    assert!(
        w.service.rollout.as_ref().is_none_or(|r| !r.is_on_trial()),
        "after 1600 s: {}",
        w.waiting
    );
}
