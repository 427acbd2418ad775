//! `rollback`: what a verdict leads to, what proves that the way back worked, and limits that lead
//! back whatever the comparison says.

use crate::{field::Field, reader::Reader};
use serin_core::{Analysis, Millis, OnFailure, RollbackSpec, Schedule, VerifySpec};
use serin_stats::threshold::{Check, Failures, Population, Range, Signal};

const HOUR: Millis = Millis::secs(3600);
const DAY: Millis = Millis::secs(86_400);
const P99: Signal = Signal::Latency { quantile: 0.99 };
/// Stable's p99 is taken for at least this many milliseconds where the candidate's is compared with
/// it: a millisecond against half of one is no slowdown.
const P99_FLOOR_MS: f64 = 10.0;
const LIMITS: [&str; 5] =
    ["maxErrorRate", "maxP99", "minSuccessRate", "errorIncrease", "p99Increase"];
/// Limits of the instances, for which no request is needed.
const MEASURED: [&str; 2] = ["maxCpu", "maxMemory"];
/// Usual pace of the limits: looked at each 30 s, over 5 min, from 100 requests on, and the third
/// look in a row that finds them broken leads back.
const EVERY: Millis = Millis::secs(30);
const WINDOW: Millis = Millis::secs(300);
const MIN_REQUESTS: u64 = 100;
const IN_A_ROW: Failures = Failures::Consecutive(3);

/// How a service goes back.
pub(crate) struct Rollback {
    pub(crate) spec: RollbackSpec,
    /// Limits, as checks of every schedule.
    pub(crate) triggers: Vec<Check>,
}

pub(crate) fn read(field: &Field<'_>, worker: bool) -> Option<Rollback> {
    let mut reader = field.map()?;
    let usual = RollbackSpec::default();
    let spec = RollbackSpec {
        on_failure: reader.or("onFailure", usual.on_failure, |f| on_failure(&f)),
        hold_after: reader.or("holdAfter", usual.hold_after, |f| f.truth()),
        verify: reader.or("verify", usual.verify, |f| verify(&f)),
    };
    let triggers = reader.or("triggers", Vec::new(), |f| triggers(&f));
    let requests = |f: &Field<'_>| f.map().is_none_or(|r| LIMITS.iter().any(|key| r.has(key)));
    let asked = reader.peek("triggers").filter(|f| worker && f.is_map() && requests(f));
    if let Some(field) = asked {
        let message = "these limits are for requests, and a worker has none";
        let hint = "hold the worker's own numbers against `checks` of its `analysis`";
        field.report(field.key_problem("worker", message).hint(hint));
    }
    confirm_belongs_to_on_failure(&mut reader);
    reader.finish();
    Some(Rollback { spec, triggers })
}

fn confirm_belongs_to_on_failure(reader: &mut Reader<'_>) {
    let Some(field) = reader.take_silently("confirm") else { return };
    let (message, hint) = match reader.peek("onFailure").and_then(|f| f.scalar()) {
        Some("hold") => (
            "`onFailure: hold` waits for a person without end, `confirm` goes back without an \
             answer: they exclude each other",
            "keep `onFailure: hold`, or write `onFailure: { confirm: { timeout: 10m } }`",
        ),
        _ => (
            "`confirm` is a way of `onFailure`",
            "write `onFailure: { confirm: { timeout: 10m } }`",
        ),
    };
    reader.report(field.key_problem("contradiction", message).hint(hint));
}

/// `rollback`, `hold`, or `{ confirm: { timeout: 10m } }`.
fn on_failure(field: &Field<'_>) -> Option<OnFailure> {
    if !field.is_map() {
        let names = [
            ("rollback", OnFailure::Rollback),
            ("hold", OnFailure::Hold),
            ("confirm", OnFailure::Confirm { timeout: Millis(0) }),
        ];
        let found = field.choice(&names)?;
        if matches!(found, OnFailure::Confirm { .. }) {
            let message = "`confirm` does not say how long the answer may take";
            let hint = "write `onFailure: { confirm: { timeout: 10m } }`; without an answer it goes \
                        back";
            field.report(field.problem("missing-key", message).hint(hint));
        }
        return Some(found);
    }
    let mut reader = field.map()?;
    if reader.has("hold") || reader.has("rollback") {
        let message = "`onFailure` has one of `rollback`, `hold` and `confirm`";
        let hint = "write `onFailure: hold`, or `onFailure: { confirm: { timeout: 10m } }`";
        reader.report(reader.key_problem("contradiction", message).hint(hint));
        return None;
    }
    let timeout = reader.need("confirm", "{ timeout: 10m }", |f| confirm(&f));
    reader.finish();
    timeout.map(|timeout| OnFailure::Confirm { timeout })
}

fn confirm(field: &Field<'_>) -> Option<Millis> {
    let mut reader = field.map()?;
    let timeout = reader.need("timeout", "10m", |f| f.duration(Millis::secs(1)..=DAY));
    reader.finish();
    timeout
}

fn verify(field: &Field<'_>) -> Option<VerifySpec> {
    let mut reader = field.map()?;
    let usual = VerifySpec::default();
    let spec = VerifySpec {
        within: reader.or("within", usual.within, |f| f.duration(Millis::secs(1)..=HOUR)),
        ratio: reader.or("ratio", usual.ratio, |f| {
            let ratio = f.decimal()?;
            if (1.0..=100.0).contains(&ratio) { Some(ratio) } else { f.outside(ratio, 1, 100) }
        }),
        floor: reader.or("floor", usual.floor, |f| f.percent(0.0..=50.0)),
        min_requests: reader.or("minRequests", usual.min_requests, |f| f.integer(1..=1_000_000)),
    };
    reader.finish();
    Some(spec)
}

fn triggers(field: &Field<'_>) -> Option<Vec<Check>> {
    let mut reader = field.map()?;
    let percent = |f: Field<'_>| f.percent(0.0..=100.0);
    let absolute =
        |name: &str, signal, range| Check { success: Some(range), ..Check::of(name, signal) };
    let limits = [
        reader
            .maybe("maxErrorRate", percent)
            .map(|x| absolute("maxErrorRate", Signal::ErrorRate, Range::at_most(x))),
        reader
            .maybe("maxP99", |f| f.duration(Millis(1)..=HOUR))
            .map(|x| absolute("maxP99", P99, Range::at_most(x.0 as f64))),
        reader
            .maybe("minSuccessRate", percent)
            .map(|x| absolute("minSuccessRate", Signal::SuccessRate, Range::at_least(x))),
        reader.maybe("errorIncrease", percent).map(|x| Check {
            population: Population::Difference,
            ..absolute("errorIncrease", Signal::ErrorRate, Range::at_most(x))
        }),
        reader.maybe("p99Increase", |f| f.percent(0.0..=1000.0)).map(|x| Check {
            population: Population::Ratio,
            floor: P99_FLOOR_MS,
            ..absolute("p99Increase", P99, Range::at_most(1.0 + x))
        }),
        reader
            .maybe("maxCpu", |f| crate::checks::cores(&f))
            .map(|x| absolute("maxCpu", Signal::Cpu, Range::at_most(x))),
        reader
            .maybe("maxMemory", |f| crate::checks::bytes(&f))
            .map(|x| absolute("maxMemory", Signal::Memory, Range::at_most(x))),
    ];
    let pace = pace(&mut reader);
    if !LIMITS.iter().chain(&MEASURED).any(|limit| reader.has(limit)) {
        let message = "`triggers` names no limit";
        let hint = "write for example `maxErrorRate: 5%` or `p99Increase: 50%`";
        reader.report(reader.key_problem("empty-value", message).hint(hint));
    }
    let longest = Check { window_ms: pace.window_ms, ..Check::of("", Signal::Cpu) };
    if reader.has("maxCpu") {
        crate::checks::short_window(&reader, &longest);
    }
    reader.finish();
    let paced = |check: Check| Check {
        interval_ms: pace.interval_ms,
        window_ms: pace.window_ms,
        min_samples: if check.signal.is_measured() { 1 } else { pace.min_samples },
        failures: pace.failures,
        ..check
    };
    Some(limits.into_iter().flatten().map(paced).collect())
}

/// How often the limits are looked at, and how many looks lead back.
fn pace(reader: &mut Reader<'_>) -> Check {
    let span = |f: Field<'_>| f.duration(Millis::secs(1)..=DAY);
    Check {
        interval_ms: reader.or("every", EVERY, span).0,
        window_ms: reader.or("window", WINDOW, span).0,
        min_samples: reader.or("minRequests", MIN_REQUESTS, |f| f.integer(1..=1_000_000_000)),
        failures: reader.or("failures", IN_A_ROW, |f| crate::checks::failures(&f)),
        ..Check::of("", Signal::ErrorRate)
    }
}

/// The schedule with the limits among its checks. A check of the same name is the user's mistake.
pub(crate) fn with_triggers(schedule: Schedule, triggers: &[Check], at: &Field<'_>) -> Schedule {
    if triggers.is_empty() {
        return schedule;
    }
    let nothing = Analysis { metrics: Vec::new(), ..Analysis::default() };
    let mut analysis = schedule.analysis.unwrap_or(nothing);
    for trigger in triggers {
        if analysis.checks.iter().any(|check| check.name == trigger.name) {
            let message = format!("a check of the strategy is called `{}` too", trigger.name);
            at.report(
                at.key_problem("duplicate-check", message).hint("give the check another name"),
            );
        }
        analysis.checks.push(trigger.clone());
    }
    Schedule { analysis: Some(analysis), ..schedule }
}
