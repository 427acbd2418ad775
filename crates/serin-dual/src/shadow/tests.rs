//! Calculations that are right, wrong, slow and broken.

use super::*;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

fn all() -> ShadowSettings {
    ShadowSettings { sample: 100_000, budget: 64.0, queue: 1000, ..ShadowSettings::default() }
}

#[test]
fn differences_are_counted_shown_and_told_and_the_old_result_stands() {
    let (said, heard) = channel();
    let said = Mutex::new(said);
    let shadow = Shadow::builder(|n: &i64| n * 2, |n: &i64| if *n == 7 { 0 } else { n * 2 })
        .settings(all())
        .shown(|n, old, new| format!("{n}: {old} {new}"))
        .told(move |mismatch| said.lock().unwrap().send(mismatch.shown.clone()).unwrap())
        .start()
        .unwrap();
    for n in 0..100 {
        assert_eq!(shadow.run(&n), n * 2);
    }
    shadow.settled();
    let counts = shadow.counts();
    assert_eq!((counts.compared, counts.differed), (100, 1));
    assert_eq!((counts.old.count, counts.new.count), (100, 100));
    assert_eq!(shadow.mismatches(), [ShadowMismatch { shown: "7: 14 0".into() }]);
    assert_eq!(heard.try_recv().unwrap(), "7: 14 0");
}

#[test]
fn without_being_asked_no_input_is_kept() {
    let shadow = Shadow::builder(|n: &i64| *n, |n: &i64| n + 1).settings(all()).start().unwrap();
    shadow.run(&1);
    shadow.settled();
    assert_eq!((shadow.counts().differed, shadow.mismatches().len()), (1, 0));
}

#[test]
fn a_tolerance_is_the_callers() {
    let shadow = Shadow::builder(|n: &f64| n / 3.0, |n: &f64| n * 0.333_333)
        .settings(all())
        .same(|old, new| (old - new).abs() <= 0.01)
        .start()
        .unwrap();
    shadow.run(&100.0);
    shadow.run(&100_000.0);
    shadow.settled();
    assert_eq!((shadow.counts().compared, shadow.counts().differed), (2, 1));
}

#[test]
fn panics_reach_nobody() {
    let new = |n: &u32| if n.is_multiple_of(2) { panic!("the new code is broken") } else { *n };
    let shadow = Shadow::builder(|n: &u32| *n, new).settings(all()).start().unwrap();
    for n in 0..10 {
        assert_eq!(shadow.run(&n), n);
    }
    shadow.settled();
    let counts = shadow.counts();
    assert_eq!((counts.panicked, counts.compared, counts.differed), (5, 5, 0));
}

#[test]
fn a_broken_comparison_reaches_nobody_either() {
    let shadow = Shadow::builder(|n: &u32| *n, |n: &u32| *n)
        .settings(all())
        .same(|_, _| panic!("the comparison is broken"))
        .start()
        .unwrap();
    assert_eq!((shadow.run(&1), shadow.run(&2)), (1, 2));
    shadow.settled();
    assert_eq!(shadow.counts().panicked, 2);
}

/// The new calculation says when it begins and goes on when it is let.
fn held() -> (Receiver<()>, Sender<()>, impl Fn(&u32) -> u32 + Send + Sync + 'static) {
    let ((begun, is_begun), (go, may_go)) = (channel(), channel());
    let ends = Mutex::new((begun, may_go));
    let new = move |n: &u32| {
        let ends = ends.lock().unwrap();
        ends.0.send(()).unwrap();
        let _ = ends.1.recv();
        *n
    };
    (is_begun, go, new)
}

#[test]
fn one_that_hangs_holds_nobody_up_and_is_told() {
    let (is_begun, go, new) = held();
    let settings = ShadowSettings { queue: 2, limit: Duration::ZERO, ..all() };
    let shadow = Shadow::builder(|n: &u32| *n, new).settings(settings).start().unwrap();
    shadow.run(&0);
    is_begun.recv().unwrap();
    for n in 1..10 {
        assert_eq!(shadow.run(&n), n);
    }
    let counts = shadow.counts();
    assert_eq!((counts.hanging, counts.left_out, counts.compared), (1, 7, 0));
    drop(go);
    shadow.settled();
    assert_eq!((shadow.counts().timed_out, shadow.counts().hanging), (3, 0));
}

#[test]
fn dropping_it_waits_for_nobody() {
    let (is_begun, go, new) = held();
    let shadow = Shadow::builder(|n: &u32| *n, new).settings(all()).start().unwrap();
    shadow.run(&0);
    is_begun.recv().unwrap();
    drop(shadow);
    drop(go);
}

#[test]
fn without_budget_nothing_runs_beside() {
    let settings = ShadowSettings { budget: 0.0, ..all() };
    let new = |_: &u32| panic!("must not run");
    let shadow = Shadow::builder(|n: &u32| *n, new).settings(settings).start().unwrap();
    for n in 0..10 {
        shadow.run(&n);
    }
    shadow.settled();
    assert_eq!((shadow.counts().too_dear, shadow.counts().panicked), (10, 0));
}

#[test]
fn a_sample_is_a_sample() {
    let settings = ShadowSettings { sample: 10_000, ..all() };
    let shadow = Shadow::builder(|n: &u32| *n, |n: &u32| *n).settings(settings).start().unwrap();
    for n in 0..1000 {
        shadow.run(&n);
    }
    shadow.settled();
    assert!((98..=102).contains(&shadow.counts().compared), "{:?}", shadow.counts());
}
