//! People who agree.

use crate::support::World;
use crate::{ALL, begun, by, cause, finish, settle, told};
use serin_core::*;

fn asking(from: &[&str], count: u32, timeout: Option<u64>) -> World {
    let from = from.iter().map(|who| (*who).to_owned()).collect();
    let approval = Approval { from, count, timeout: timeout.map(Millis::secs) };
    begun(vec![Step::Approve(approval), ALL], |_| {})
}

/// From, count, who asks; whether it goes on, whether the last was refused.
type Case<'a> = (&'a [&'a str], u32, &'a [&'a str], bool, bool);

#[test]
fn who_and_how_many() {
    let any: &[&str] = &[];
    let cases: &[Case] = &[
        (any, 1, &["ada"], true, false),
        (any, 2, &["ada"], false, false),
        (any, 2, &["ada", "ada"], false, false),
        (any, 2, &["ada", "bob"], true, false),
        (&["bob"], 1, &["ada"], false, true),
        (&["bob", "eve"], 1, &["eve"], true, false),
        (&["bob", "eve"], 2, &["bob", "ada"], false, true),
        (&["bob", "eve"], 2, &["eve", "bob"], true, false),
    ];
    for (from, count, asks, goes_on, refused) in cases {
        let mut world = asking(from, *count, None);
        let answers: Vec<_> = asks.iter().map(|who| by(&mut world, who, Ask::Approve)).collect();
        finish(&mut world);
        assert_eq!(world.weight("v2") == 100, *goes_on, "{from:?} {count} {asks:?}");
        let code = answers.last().unwrap().as_ref().err().map(|r| r.code);
        assert_eq!(code, refused.then_some(RefusalCode::NotAllowed), "{from:?} {count} {asks:?}");
    }
}

#[test]
fn it_says_who_is_missing() {
    let mut world = asking(&["ada", "bob"], 2, Some(60));
    by(&mut world, "ada", Ask::Approve).unwrap();
    assert_eq!(
        world.waiting,
        "approval with `serin approve`: 1 of 2 given by ada; bob may (55 s left)"
    );
    assert_eq!(told(&world, "step 1 approved by ada (1 of 2)"), 1);
}

#[test]
fn nobody_in_time_aborts() {
    let mut world = asking(&[], 1, Some(60));
    let due = world.wake_at.unwrap();
    world.advance(due.since(world.now).0 / 1000);
    let cause = cause(&world);
    assert_eq!(
        (cause.code.as_str(), cause.text.as_str()),
        ("approval", "approval did not come: 0 of 1 given within 1 min")
    );
    settle(&mut world);
    assert_eq!(world.records.last().unwrap().outcome, Outcome::Aborted);
    let known = &world.service.revisions[&crate::candidate()];
    assert_eq!(known.standing, RevisionStanding::Untried);
}

#[test]
fn a_hold_stops_the_clock() {
    let mut world = asking(&[], 1, Some(60));
    by(&mut world, "ada", Ask::Pause).unwrap();
    world.advance(600);
    by(&mut world, "ada", Ask::Resume).unwrap();
    settle(&mut world);
    by(&mut world, "bob", Ask::Approve).unwrap();
    finish(&mut world);
    assert_eq!(world.weight("v2"), 100);
}

#[test]
fn promoting_does_not_pass_over_those_who_were_asked() {
    let mut world = asking(&["bob"], 1, None);
    for full in [false, true] {
        let refusal = by(&mut world, "ada", Ask::Promote { full }).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::NotAllowed);
    }
    // Nor from a step before it.
    let approval = Approval { from: vec!["bob".into()], count: 1, timeout: None };
    let mut world = begun(vec![Step::Pause(None), Step::Approve(approval), ALL], |_| {});
    by(&mut world, "ada", Ask::Promote { full: true }).unwrap();
    assert_eq!((world.rollout().step.index, world.weight("v2")), (1, 0));
}

#[test]
fn nothing_to_approve_is_refused() {
    let mut world = begun(vec![Step::Pause(None), ALL], |_| {});
    assert_eq!(by(&mut world, "ada", Ask::Approve).unwrap_err().code, RefusalCode::NothingToSkip);
}
