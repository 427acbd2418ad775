//! What the judge costs: time of a tick, and bytes of what is stored.

use crate::latency::{LatencyTraffic, SAME};
use crate::ours::{Onset, errors, judge, latency};
use crate::report::{Report, Table, Unit, number};
use crate::rng::Rng;
use crate::traffic::Source;
use crate::watch::{Effort, quantile, sorted};
use serde_json::Value;
use serin_stats::{
    ArmTick, BUCKETS, Histogram, Judge, JudgeSettings, Kind, Metric, MetricSettings, Role, Rung,
    Sample, Tick, Worse,
};
use std::hint::black_box;
use std::time::Instant;

/// Timed stretches, short enough for some to be left alone by whatever else the machine does.
const BATCHES: usize = 400;
/// Services judged at one tick a second.
const SERVICES: f64 = 10_000.0;

/// Nanoseconds of one call in the quickest tenth of the stretches.
fn nanoseconds(calls: usize, mut work: impl FnMut(usize)) -> f64 {
    let mut batch = |_| {
        let start = Instant::now();
        (0..calls).for_each(&mut work);
        start.elapsed().as_secs_f64() * 1e9 / calls as f64
    };
    quantile(&sorted((0..BATCHES).map(&mut batch)), 0.1)
}

/// One-second ticks of 100 requests a second, 10 % to the canary, 1 % errors, lognormal latencies,
/// and four metrics of the user's own.
fn ticks() -> Vec<Tick> {
    let mut traffic = LatencyTraffic::new(SAME, 800, 0);
    let mut rng = Rng::of(801, 0);
    let one = |_| {
        let mut tick = traffic.next(1).requests;
        for arm in [&mut tick.baseline, &mut tick.canary] {
            arm.errors = rng.binomial(arm.n, 0.01);
            arm.n += arm.errors;
        }
        let share = Sample::Share {
            baseline: (tick.baseline.n, tick.baseline.errors),
            canary: (tick.canary.n, tick.canary.errors),
        };
        let count = Sample::Count {
            baseline: (tick.baseline.n as f64, rng.poisson(1.0)),
            canary: (tick.canary.n as f64, rng.poisson(0.1)),
        };
        let named = |name: &str, sample| (Metric::Named(name.to_owned()), sample);
        tick.samples = vec![
            named("timeouts", share),
            named("rejected", share),
            named("restarts", count),
            named("log-errors", count),
        ];
        tick
    };
    (0..256).map(one).collect()
}

/// Errors, latency, two more shares and two counts.
fn six() -> JudgeSettings {
    let named = |name: &str, kind| {
        let metric = Metric::Named(name.to_owned());
        MetricSettings { metric, role: Role::Normal, kind }
    };
    let share = Kind::Share { harm_ratio: 2.0, harm_floor: 0.005 };
    let count = Kind::Count { worse: Worse::Rise, harm_ratio: 2.0, harm_floor: 0.0 };
    JudgeSettings {
        metrics: vec![
            Metric::Errors.into(),
            Metric::Latency.into(),
            named("timeouts", share),
            named("rejected", share),
            named("restarts", count),
            named("log-errors", count),
        ],
        ..JudgeSettings::default()
    }
}

/// All buckets of both arms in use: the most a latency metric can store.
fn full(judge: &mut Judge) {
    let latency = Histogram::from_dense(&[1234; BUCKETS]);
    let arm = ArmTick { n: latency.total(), latency, ..ArmTick::default() };
    let tick = Tick { seconds: 1, baseline: arm.clone(), canary: arm, ..Tick::default() };
    (0..30).for_each(|_| judge.observe(&tick));
}

/// Bytes in a compact binary form: 8 for a number with a fraction, 1 for each 7 bits of a whole
/// one, and lengths in front of lists and texts.
fn packed(value: &Value) -> usize {
    let whole = |n: u64| (64 - n.max(1).leading_zeros() as usize).div_ceil(7);
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Number(n) => n.as_u64().map_or(8, whole),
        Value::String(text) => text.len() + 1,
        Value::Array(list) => 2 + list.iter().map(packed).sum::<usize>(),
        Value::Object(fields) => fields.values().map(packed).sum(),
    }
}

/// What one kind of judge costs.
struct Cost {
    name: &'static str,
    observe: f64,
    assess: f64,
    /// Bytes of the state after these ticks: JSON and packed.
    usual: [usize; 2],
    /// The same when every latency bucket is in use in both arms.
    most: [usize; 2],
}

fn cost(name: &'static str, settings: &JudgeSettings, ticks: &[Tick]) -> Cost {
    let mut judge = judge(settings);
    let observe = nanoseconds(256, |at| judge.observe(black_box(&ticks[at % ticks.len()])));
    let assess = nanoseconds(100, |_| drop(black_box(judge.assess(Rung::LAST))));
    let usual = sizes(&judge);
    if settings.metrics.iter().any(|m| m.metric == Metric::Latency) {
        full(&mut judge);
    }
    Cost { name, observe, assess, usual, most: sizes(&judge) }
}

fn sizes(judge: &Judge) -> [usize; 2] {
    let state = serde_json::to_value(judge).unwrap_or_default();
    [state.to_string().len(), packed(&state)]
}

/// Cost. The only table that is not the same in every run.
pub fn run(_: Effort) -> Report {
    let ticks = ticks();
    let costs = [
        cost("proportion", &errors(0.01, Onset::Plain), &ticks),
        cost("proportion with onset", &errors(0.01, Onset::Late), &ticks),
        cost("latency", &latency(0.01, 0.11), &ticks),
        cost("six metrics", &six(), &ticks),
    ];
    let head = [
        "judge of",
        "tick us",
        "assessment us",
        "JSON bytes",
        "packed bytes",
        "JSON bytes at most",
        "packed bytes at most",
    ];
    let mut table = Table::new("cost", &head);
    for cost in &costs {
        let times = [cost.observe, cost.assess].map(|ns| number(ns / 1000.0, 2));
        let sizes = [cost.usual, cost.most].concat().into_iter().map(|bytes| bytes.to_string());
        table.row(std::iter::once(cost.name.to_owned()).chain(times).chain(sizes));
    }
    let mut report = Report { tables: vec![table], ..Report::default() };
    goals(&mut report, &costs);
    report
}

fn goals(report: &mut Report, costs: &[Cost; 4]) {
    let [proportion, _, latency, six] = costs;
    let us = |cost: &Cost| cost.observe / 1000.0;
    report.goal("one tick of a proportion", 2.0, us(proportion), Unit::Microseconds);
    report.goal("one tick of a latency metric", 10.0, us(latency), Unit::Microseconds);
    let core = SERVICES * six.observe / 1e9;
    report.goal("10,000 services of 6 metrics, ticks, share of a core", 0.15, core, Unit::Share);
    for cost in [proportion, latency] {
        let sizes = [
            ("usual state", "JSON", cost.usual[0]),
            ("largest state", "packed", cost.most[1]),
            ("largest state", "JSON", cost.most[0]),
        ];
        for (state, form, bytes) in sizes {
            let what = format!("{state} of a {} metric, {form}", cost.name);
            report.goal(what, 24.0, bytes as f64 / 1024.0, Unit::Kilobytes);
        }
    }
}
