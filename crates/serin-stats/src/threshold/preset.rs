//! Limits with a name: those that textbooks, tutorials and other tools use, in correct units.
//!
//! They are rules of thumb without an error rate. A limit has to fit the service: check it against
//! a normal day before it may roll anything back.

use super::check::{Check, Failures, Population, Signal};
use super::range::Range;

/// A named set of checks.
#[derive(Clone, Debug)]
pub struct Preset {
    /// Its name, as it is written in a file.
    pub name: &'static str,
    /// What it asks for, in one sentence.
    pub meaning: &'static str,
    checks: fn() -> Vec<Check>,
}

impl Preset {
    /// Its checks.
    pub fn checks(&self) -> Vec<Check> {
        (self.checks)()
    }
}

/// The checks of the preset with this name.
pub fn preset(name: &str) -> Option<Vec<Check>> {
    presets().iter().find(|preset| preset.name == name).map(Preset::checks)
}

/// All presets, by name.
pub fn presets() -> &'static [Preset] {
    &PRESETS
}

const PRESETS: [Preset; 17] = [
    Preset {
        name: "absolute-increase",
        meaning: "error rate at most 1 point above stable's, p99 at most 10 % above; from 100 \
                  requests a side",
        checks: absolute_increase,
    },
    Preset {
        name: "conversion",
        meaning: "conversion rate (share of visits, 0 to 1) at least 0.15, every 5 min, the third \
                  failure rolls back",
        checks: conversion,
    },
    Preset {
        name: "error-rate",
        meaning: "errors as a share of requests below 1 % over 5 min, every minute, the fourth \
                  failure rolls back",
        checks: error_rate,
    },
    Preset {
        name: "flagger",
        meaning: "success at least 99 % and p99 at most 500 ms over 1 min, every minute, the fifth \
                  failure in all rolls back, as Flagger counts",
        checks: || flagger(Failures::Total(5)),
    },
    Preset {
        name: "flagger-consecutive",
        meaning: "the limits of `flagger`, but only the fifth failure in a row rolls back",
        checks: || flagger(Failures::Consecutive(5)),
    },
    Preset {
        name: "latency",
        meaning: "p95 at most 1 s over 5 min, every minute, from the third step, the fourth failure \
                  rolls back",
        checks: latency,
    },
    Preset {
        name: "post-switch",
        meaning: "30 s after a switch, once: error rate at most 1 % and p99 at most 1 s; for 2 min \
                  at most 10 error lines among the last 1,000 of the log; else back",
        checks: post_switch,
    },
    Preset {
        name: "post-switch-logs",
        meaning: "for 2 min after a switch, every 10 s: at most 10 error lines among the last 1,000 \
                  of the log, else back",
        checks: post_switch_logs,
    },
    Preset {
        name: "post-switch-minute",
        meaning: "for the first minute after a switch, every 10 s: error rate at most 1 % and p99 \
                  at most 1 s, the first failure leads back",
        checks: post_switch_minute,
    },
    Preset {
        name: "relative",
        meaning: "every 30 s against stable: error rate at most 1.5 times (of at least 0.1 %), p95 \
                  at most 1.3 times, conversion at least 0.95 times",
        checks: relative,
    },
    Preset {
        name: "revenue",
        meaning: "revenue per active user at least 10.0 (your currency), every 5 min, the first \
                  failure rolls back",
        checks: revenue,
    },
    Preset {
        name: "rollback-trigger",
        meaning: "error rate at most 2 points above stable's, p99 at most 1.5 times stable's",
        checks: rollback_trigger,
    },
    Preset {
        name: "shadow",
        meaning: "ten minutes of mirrored traffic: p99 at most 1.2 times stable's and error rate at \
                  most 1 %, the tenth failure ends it",
        checks: shadow,
    },
    Preset {
        name: "slow-leak",
        meaning: "memory growth below 5 MB/min, connection pool below 80 % used, fewer than 10,000 \
                  threads or goroutines, every 2 min, the fourth failure of one rolls back",
        checks: slow_leak,
    },
    Preset {
        name: "smoke",
        meaning: "error rate at most 1 % and p95 at most 1 s, the first failure rolls back",
        checks: smoke,
    },
    Preset {
        name: "success-rate",
        meaning: "success at least 95 % over 5 min, every minute, from the third step, the fourth \
                  failure rolls back",
        checks: success_rate,
    },
    Preset {
        name: "transactions",
        meaning: "business transactions (in percent) at least 95, every minute, the fifth failure \
                  in all rolls back",
        checks: transactions,
    },
];

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const P95: Signal = Signal::Latency { quantile: 0.95 };
const P99: Signal = Signal::Latency { quantile: 0.99 };

fn good(name: &str, signal: Signal, success: Range) -> Check {
    Check { success: Some(success), ..Check::of(name, signal) }
}

fn against_stable(name: &str, signal: Signal, population: Population, success: Range) -> Check {
    Check { population, ..good(name, signal, success) }
}

/// As a tutorial for Argo would have it: every minute over 5 min, `failureLimit: 3`.
fn argo(check: Check) -> Check {
    Check { window_ms: 5 * MINUTE, failures: Failures::Total(4), ..check }
}

fn absolute_increase() -> Vec<Check> {
    let error = Range::at_most(0.01);
    let slow = Range::at_most(1.1);
    [
        against_stable("error-increase", Signal::ErrorRate, Population::Difference, error),
        against_stable("p99-increase", P99, Population::Ratio, slow),
    ]
    .map(|check| Check { min_samples: 100, ..check })
    .into()
}

fn conversion() -> Vec<Check> {
    let check = good("conversion", Signal::value("of visits"), Range::at_least(0.15));
    vec![Check { interval_ms: 5 * MINUTE, failures: Failures::Total(3), ..check }]
}

fn error_rate() -> Vec<Check> {
    vec![argo(good("error-rate", Signal::ErrorRate, Range::below(0.01)))]
}

fn flagger(failures: Failures) -> Vec<Check> {
    [
        good("success-rate", Signal::SuccessRate, Range::at_least(0.99)),
        good("p99", P99, Range::at_most(500.0)),
    ]
    .map(|check| Check { failures, ..check })
    .into()
}

fn latency() -> Vec<Check> {
    let check = good("p95", P95, Range::at_most(1000.0));
    vec![Check { starting_step: 2, ..argo(check) }]
}

fn after_switch() -> [Check; 2] {
    [
        good("error-rate", Signal::ErrorRate, Range::at_most(0.01)),
        good("p99", P99, Range::at_most(1000.0)),
    ]
}

fn post_switch() -> Vec<Check> {
    let once = |check| Check { initial_delay_ms: 30 * SECOND, count: Some(1), ..check };
    after_switch().map(once).into_iter().chain(post_switch_logs()).collect()
}

fn post_switch_minute() -> Vec<Check> {
    let often = |check| Check {
        interval_ms: 10 * SECOND,
        initial_delay_ms: 10 * SECOND,
        count: Some(6),
        ..check
    };
    after_switch().map(often).into()
}

fn post_switch_logs() -> Vec<Check> {
    let check = good("error-lines", Signal::LogErrors, Range::at_most(10.0));
    let often = 10 * SECOND;
    vec![Check { interval_ms: often, initial_delay_ms: often, count: Some(12), ..check }]
}

fn relative() -> Vec<Check> {
    let conversion = Signal::value("of visits");
    let errors =
        against_stable("error-ratio", Signal::ErrorRate, Population::Ratio, Range::at_most(1.5));
    let slow = against_stable("p95-ratio", P95, Population::Ratio, Range::at_most(1.3));
    [
        Check { floor: 0.001, min_samples: 100, ..errors },
        Check { min_samples: 100, ..slow },
        against_stable("conversion-ratio", conversion, Population::Ratio, Range::at_least(0.95)),
    ]
    .map(|check| Check { interval_ms: 30 * SECOND, ..check })
    .into()
}

fn revenue() -> Vec<Check> {
    let check = good("revenue-per-user", Signal::value("per active user"), Range::at_least(10.0));
    vec![Check { interval_ms: 5 * MINUTE, ..check }]
}

fn rollback_trigger() -> Vec<Check> {
    let (error, slow) = (Range::at_most(0.02), Range::at_most(1.5));
    vec![
        against_stable("error-increase", Signal::ErrorRate, Population::Difference, error),
        against_stable("p99-ratio", P99, Population::Ratio, slow),
    ]
}

fn shadow() -> Vec<Check> {
    [
        good("error-rate", Signal::ErrorRate, Range::at_most(0.01)),
        against_stable("p99-ratio", P99, Population::Ratio, Range::at_most(1.2)),
    ]
    .map(|check| Check { count: Some(10), failures: Failures::Total(10), ..check })
    .into()
}

fn slow_leak() -> Vec<Check> {
    [
        good("memory-growth", Signal::value("MB/min"), Range::below(5.0)),
        good("connection-pool", Signal::value("of the pool"), Range::below(0.8)),
        good("threads", Signal::value("threads"), Range::below(10_000.0)),
    ]
    .map(|check| Check { interval_ms: 2 * MINUTE, failures: Failures::Total(4), ..check })
    .into()
}

fn smoke() -> Vec<Check> {
    vec![
        good("error-rate", Signal::ErrorRate, Range::at_most(0.01)),
        good("p95", P95, Range::at_most(1000.0)),
    ]
}

fn success_rate() -> Vec<Check> {
    let check = good("success-rate", Signal::SuccessRate, Range::at_least(0.95));
    vec![Check { starting_step: 2, ..argo(check) }]
}

fn transactions() -> Vec<Check> {
    let check = good("transactions", Signal::value("%"), Range::at_least(95.0));
    vec![Check { failures: Failures::Total(5), ..check }]
}
