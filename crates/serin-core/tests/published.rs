//! Numbers that instances publish themselves are held against limits.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod support;

use serin_core::*;
use serin_stats::threshold::{Check, Population, Range, Signal};
use support::{World, analysis, bake, percent, revision};

fn queue(population: Population, most: f64) -> Check {
    Check {
        population,
        success: Some(Range::at_most(most)),
        interval_ms: 1000,
        ..Check::of("queue_lag", Signal::value("jobs"))
    }
}

/// A rollout that waits for the check alone.
fn on_trial(check: Check) -> World {
    let mut world = World::on_v1(vec![
        Step::SetWeight(percent(50)),
        bake(5, true),
        Step::SetWeight(percent(100)),
    ]);
    let mut spec = world.service.spec.clone();
    let wanted = analysis(&mut spec);
    (wanted.metrics, wanted.checks) = (vec![], vec![check]);
    spec.run.metrics = Some(MetricsSpec { path: "/metrics".into(), period: Millis::secs(1) });
    world.service.spec = spec;
    world.deploy("v2").unwrap();
    world.settle();
    world.advance(5);
    world.settle();
    world
}

/// What each version's instances have in their queues together.
fn publish(world: &mut World, queues: &[(&str, f64)]) {
    let mut seen = world.perfect();
    for (version, sum) in queues {
        let known = seen.revisions.entry(revision(version)).or_default();
        known.published.insert("queue_lag".into(), *sum);
    }
    world.observe(seen);
    world.advance(1);
}

fn last(world: &World) -> Option<Outcome> {
    world.records.last().map(|record| record.outcome).filter(|_| world.records.len() > 1)
}

#[test]
fn a_number_beyond_its_limit_leads_back() {
    let mut world = on_trial(queue(Population::Canary, 100.0));
    for _ in 0..3 {
        publish(&mut world, &[("v1", 10.0), ("v2", 100_000.0)]);
    }
    assert_eq!(world.weight("v2"), 0, "{}", world.waiting);
    assert!(world.told.iter().any(|t| t.contains("queue_lag")), "{:?}", world.told);
}

#[test]
fn good_numbers_are_evidence_and_no_number_is_none() {
    let mut world = on_trial(queue(Population::Canary, 100.0));
    for _ in 0..20 {
        publish(&mut world, &[]);
    }
    assert_eq!((world.weight("v2"), last(&world)), (50, None), "{}", world.waiting);
    for _ in 0..20 {
        publish(&mut world, &[("v2", 10.0)]);
    }
    world.settle();
    assert_eq!(world.weight("v2"), 100, "{}", world.waiting);
}

#[test]
fn versions_are_compared_by_the_mean_of_an_instance() {
    let mut world = on_trial(queue(Population::Ratio, 1.5));
    let (stable, candidate) = (world.replicas("v1"), world.replicas("v2"));
    assert!(stable > candidate && candidate > 0);
    let (stable, candidate) = (f64::from(stable) * 10.0, f64::from(candidate) * 10.0);
    for _ in 0..20 {
        publish(&mut world, &[("v1", stable), ("v2", candidate)]);
    }
    assert_eq!(world.weight("v2"), 100, "{}", world.waiting);
}

#[test]
fn a_number_without_a_source_is_refused() {
    let mut world = World::on_v1(vec![Step::SetWeight(percent(100))]);
    analysis(&mut world.service.spec).checks = vec![queue(Population::Canary, 1.0)];
    let refusal = world.deploy("v2").unwrap_err();
    assert!(refusal.message.contains("no source gives its value"), "{}", refusal.message);
}

/// A rollout with this check on what is measured at the instances, beside what is published.
fn measured(signal: Signal, most: f64) -> World {
    let limit = Check {
        success: Some(Range::at_most(most)),
        interval_ms: 1000,
        failures: serin_stats::threshold::Failures::Consecutive(3),
        ..Check::of("limit", signal)
    };
    on_trial(limit)
}

/// What was measured of the candidate.
fn measure(world: &mut World, value: Option<f64>) {
    let mut seen = world.perfect();
    let known = seen.revisions.entry(revision("v2")).or_default();
    known.measured.extend(value.map(|value| ("limit".to_owned(), value)));
    world.observe(seen);
    world.advance(1);
}

#[test]
fn what_is_measured_is_asked_of_the_platform_as_long_as_the_candidate_is_on_trial() {
    let mut world = measured(Signal::Cpu, 0.9);
    let wanted = Measure { signal: Signal::Cpu, window: Millis::secs(60) };
    assert_eq!(world.plan().measures, [("limit".to_owned(), wanted)].into());
    world.ask(Ask::Abort).unwrap();
    assert!(world.plan().measures.is_empty());
}

#[test]
fn the_third_look_in_a_row_above_a_limit_leads_back() {
    let cases = [
        (Signal::Cpu, 0.9, 1.37, "137 % of a core"),
        (Signal::Memory, f64::from(512 << 20), f64::from(600 << 20), "600 MiB"),
        (Signal::LogErrors, 10.0, 11.0, "11 error lines of the last 1,000"),
        (Signal::LogErrorsPerMinute, 3.0, 7.5, "7.5 error lines/min"),
    ];
    for (signal, most, above, words) in cases {
        let mut world = measured(signal.clone(), most);
        for value in [above, above, most, above, above] {
            measure(&mut world, Some(value));
        }
        assert_eq!(world.weight("v2"), 50, "{signal:?}: {}", world.waiting);
        measure(&mut world, Some(above));
        assert_eq!(world.weight("v2"), 0, "{signal:?}: {}", world.waiting);
        assert!(world.told.iter().any(|line| line.contains(words)), "{:?}", world.told);
    }
}

#[test]
fn nothing_measured_is_no_failure_and_no_pass() {
    for signal in [Signal::Cpu, Signal::LogErrors] {
        let mut world = measured(signal, 10.0);
        for _ in 0..20 {
            measure(&mut world, None);
        }
        assert_eq!((world.weight("v2"), last(&world)), (50, None), "{}", world.waiting);
    }
}

#[test]
fn few_error_lines_are_evidence_and_little_use_is_none() {
    for (signal, weight) in [(Signal::LogErrors, 100), (Signal::Cpu, 50), (Signal::Memory, 50)] {
        let mut world = measured(signal.clone(), 10.0);
        for _ in 0..20 {
            measure(&mut world, Some(1.0));
        }
        assert_eq!(world.weight("v2"), weight, "{signal:?}: {}", world.waiting);
    }
}
