//! The methods behave as they are known to, on a few runs of fixed seeds.

#![allow(clippy::unwrap_used)]

use serin_calibration::methods::ERRORS;
use serin_calibration::ours::{REQUESTS, SESSIONS};
use serin_calibration::traffic::{HARMFUL, HARMLESS, Scenario, Traffic};
use serin_calibration::watch::{Effort, HALF_MINUTES, Method, Speed, race};

fn speed(scenario: Scenario, method: Method) -> Speed {
    let effort = Effort { runs: 100, threads: 2 };
    let source = |run| Traffic::new(scenario, 9000, run);
    Speed::of(&race(effort, HALF_MINUTES, scenario.onset, &[method], source)[0])
}

fn named(name: &str) -> Method {
    ERRORS.into_iter().find(|m| m.name.starts_with(name)).unwrap()
}

#[test]
fn peeking_alarms_and_one_look_does_not() {
    let peeked = speed(HARMLESS[0], named("z-test peeked, alpha 0.05")).rate;
    let once = speed(HARMLESS[0], named("z-test once")).rate;
    assert!((0.2..0.5).contains(&peeked), "{peeked}");
    assert!(once <= 0.12, "{once}");
}

#[test]
fn a_threshold_at_the_usual_rate_alarms_by_chance() {
    let flagger = named("Flagger");
    assert!(speed(HARMLESS[1], flagger).rate > 0.95);
    assert!((0.1..0.4).contains(&speed(HARMLESS[0], flagger).rate));
}

#[test]
fn ours_keeps_its_promise_and_finds_a_doubled_rate() {
    assert!(speed(HARMLESS[0], REQUESTS[0]).rate <= 0.1);
    let doubled = speed(HARMFUL[0], REQUESTS[1]);
    assert!(doubled.rate > 0.99);
    assert!((1500.0..5000.0).contains(&doubled.requests), "{}", doubled.requests);
}

#[test]
fn clumps_need_sessions() {
    assert!(speed(HARMLESS[3], REQUESTS[0]).rate > 0.25);
    assert!(speed(HARMLESS[3], SESSIONS[0]).rate <= 0.1);
}

#[test]
fn a_late_onset_is_counted_from_there() {
    let late = speed(HARMFUL[5], REQUESTS[3]);
    assert!(late.rate > 0.9);
    assert!(late.seconds <= 300.0, "{}", late.seconds);
}
