//! What a verdict against the candidate does: back at once, held, or confirmed by a person.

use super::*;
use support::{ladder, on_trial};

/// v2 fails every tenth request, which is noticed.
fn condemned(on_failure: OnFailure) -> World {
    let mut world = on_trial(ladder(), |spec| spec.rollback.on_failure = on_failure);
    for _ in 0..20 {
        world.traffic(400, 8, 0);
    }
    world
}

const ASK: OnFailure = OnFailure::Confirm { timeout: Millis::secs(300) };

fn promote(full: bool) -> Ask {
    Ask::Promote { full }
}

fn say(world: &mut World, ask: Ask, why: &str) -> Result<(), Refusal> {
    let reason = Some(why.to_owned());
    world.event(&Event::Asked { by: Actor("ada".into()), reason, ask })
}

#[test]
fn a_verdict_goes_back_holds_or_asks() {
    let cases = [(OnFailure::Rollback, 0), (OnFailure::Hold, 20), (ASK, 20)];
    for (on_failure, weight) in cases {
        let mut world = condemned(on_failure);
        assert_eq!(world.weight("v2"), weight, "{on_failure:?}");
        for _ in 0..10 {
            world.traffic(400, 8, 0);
            world.settle();
            assert!(world.weight("v2") <= weight, "it never rises: {on_failure:?}");
        }
    }
}

#[test]
fn a_held_candidate_waits_for_a_person_for_ever() {
    let mut world = condemned(OnFailure::Hold);
    assert!(told(&world, "held, not rolled back (onFailure: hold): worse than stable: errors"));
    assert!(world.waiting.ends_with("`serin abort` goes back, `serin promote --reason` keeps it"));
    for _ in 0..100 {
        world.advance(3600);
    }
    assert_eq!(world.weight("v2"), 20);
    assert_eq!(code(world.ask(promote(false))), Some(RefusalCode::NotAllowed));
    assert_eq!(code(world.ask(Ask::Resume)), Some(RefusalCode::Already));
    assert_eq!(code(world.ask(Ask::Pause)), Some(RefusalCode::Already));
    say(&mut world, promote(false), "the errors are a bot's").unwrap();
    assert!(told(&world, "ada goes on against the verdict (the errors are a bot's): worse than"));
    assert_eq!(world.rollout().paused, None);
    assert!(world.rollout().notes[0].starts_with("verdict overruled by ada (the errors are a bot"));
}

#[test]
fn without_an_answer_it_goes_back_in_time() {
    let mut world = condemned(ASK);
    assert!(told(&world, "goes back in 5 min unless somebody says no: worse than stable"));
    assert!(world.waiting.contains("without an answer it goes back in"), "{}", world.waiting);
    let Some(PauseReason::Confirm { until, .. }) = world.rollout().paused.clone() else {
        panic!("{:?}", world.rollout().paused)
    };
    assert_eq!(world.wake_at, Some(until));
    world.now = until;
    world.event(&Event::Woke).unwrap();
    assert_eq!(world.weight("v2"), 0);
    world.close();
    assert_eq!(world.records.last().unwrap().outcome, Outcome::RolledBack);
    assert_eq!(standing(&world, "v2"), RevisionStanding::Bad);
}

#[test]
fn a_person_says_yes_or_no() {
    for yes in [Ask::Abort, back()] {
        let mut world = condemned(ASK);
        world.ask(yes).unwrap();
        assert_eq!(world.weight("v2"), 0);
        assert_eq!(standing(&world, "v2"), RevisionStanding::Bad);
        world.close();
        let record = world.records.last().unwrap();
        assert_eq!(
            (record.outcome, record.cause.as_ref().unwrap().code.as_str()),
            (Outcome::RolledBack, "errors")
        );
        assert_eq!(record.notes, ["verdict confirmed by ada"]);
    }
    for no in [promote(false), Ask::Resume] {
        let mut world = condemned(ASK);
        world.ask(no).unwrap();
        for _ in 0..10 {
            world.traffic(400, 8, 0);
        }
        assert_eq!((world.weight("v2"), &world.rollout().paused), (20, &None), "not asked again");
        let said = world.rollout().assessment.as_ref().unwrap().outcome;
        assert_eq!(said, serin_stats::Outcome::Fail, "it stays reported");
    }
}

#[test]
fn one_excuse_does_not_excuse_everything() {
    let mut world = condemned(ASK);
    world.ask(Ask::Resume).unwrap();
    let mut seen = world.perfect();
    seen.revisions.get_mut(&revision("v2")).unwrap().restarts = 5;
    world.observe(seen);
    let Some(PauseReason::Confirm { cause, .. }) = &world.rollout().paused else { panic!() };
    assert_eq!(cause.code, "crash");
}

#[test]
fn nobody_is_asked_where_nobody_would_notice_or_nobody_answers() {
    for on_failure in [OnFailure::Hold, ASK] {
        // No traffic yet.
        let mut world = World::on_v1(ladder());
        world.service.spec.rollback.on_failure = on_failure;
        world.deploy("v2").unwrap();
        world.advance(70);
        assert!(matches!(world.rollout().phase, Phase::Reverting { .. }), "{on_failure:?}");
        // No instance left.
        let mut world = condemned(on_failure);
        let mut seen = world.perfect();
        seen.revisions.get_mut(&revision("v2")).unwrap().ready = 0;
        world.observe(seen);
        let back = world.weight("v2") == 0;
        assert_eq!(back, on_failure == ASK, "{on_failure:?}: only `hold` stays whatever happens");
    }
}
