//! `strategy`: lowered to a schedule of steps and the analysis that judges them.

use crate::{field::Field, reader::Reader, steps};
use serin_core::{Analysis, Bake, Millis, OnInconclusive, Schedule, Stage, Step, Weight};
use serin_stats::{Metric, MetricSettings};

const HOUR: Millis = Millis::secs(3600);
const DAY: Millis = Millis::secs(86_400);
/// Width of one latency bucket, 2^(1/32) - 1, in percent: no smaller slowdown can be seen.
const BUCKET_PERCENT: f64 = 2.2;
/// How long a bake waits for its conditions unless said.
pub(crate) const BAKE_DEADLINE: Millis = HOUR;

const WARM_UP: Millis = Millis::secs(5);
const PROGRESS_DEADLINE: Millis = Millis::secs(60);
const KEEP_WARM: Millis = Millis::secs(30);

/// What a service without `strategy` gets: 25 %, 50 %, then all, 30 s each, rolled back by
/// evidence of harm, promoted without evidence of health.
pub fn guarded() -> Schedule {
    let bake = || {
        Step::Bake(Bake {
            at_least: Millis::secs(30),
            requests: 0,
            until_evidence: false,
            deadline: BAKE_DEADLINE,
        })
    };
    let weight = |percent| Step::SetWeight(Weight::percent(percent).unwrap_or(Weight::ALL));
    let steps = vec![weight(25), bake(), weight(50), bake(), weight(100)];
    schedule("guarded", steps, Some(Analysis::default()))
}

fn schedule(strategy: &str, steps: Vec<Step>, analysis: Option<Analysis>) -> Schedule {
    Schedule {
        strategy: strategy.into(),
        stages: vec![Stage { name: strategy.into(), steps }],
        analysis,
        warm_up: WARM_UP,
        progress_deadline: PROGRESS_DEADLINE,
        keep_warm: KEEP_WARM,
    }
}

pub(crate) fn read(field: &Field<'_>) -> Option<Schedule> {
    let mut reader = field.map()?;
    let canary = reader.need("canary", "{ steps: [...] }", |f| canary(&f));
    reader.finish();
    canary
}

fn canary(field: &Field<'_>) -> Option<Schedule> {
    let mut reader = field.map()?;
    let analysis = reader.or("analysis", Analysis::default(), |f| analysis(&f));
    // Without a metric there is nothing to judge by, and health alone decides.
    let judged = analysis.compares();
    let analysis = judged.then_some(analysis);
    let steps =
        reader.need("steps", "[setWeight: 5, ..., setWeight: 100]", |f| steps::read(&f, judged));
    let warm_up = reader.or("warmUp", WARM_UP, |f| f.duration(Millis(0)..=HOUR));
    let progress_deadline =
        reader.or("progressDeadline", PROGRESS_DEADLINE, |f| f.duration(Millis::secs(1)..=DAY));
    let keep_warm = reader.or("keepWarm", KEEP_WARM, |f| f.duration(Millis(0)..=DAY));
    reader.finish();
    Some(Schedule { warm_up, progress_deadline, keep_warm, ..schedule("canary", steps?, analysis) })
}

fn analysis(field: &Field<'_>) -> Option<Analysis> {
    let mut reader = field.map()?;
    let preset = reader.or("preset", Analysis::default(), |f| preset(&f));
    let metrics = reader.or("metrics", preset.metrics.clone(), |f| metrics(&f));
    let (harm_ratio, harm_floor) =
        reader.or("harm", (preset.harm_ratio, preset.harm_floor), |f| harm(&f, &preset));
    let analysis = Analysis {
        alpha: risk(&mut reader, "alpha", preset.alpha),
        beta: risk(&mut reader, "beta", preset.beta),
        harm_ratio,
        harm_floor,
        metrics,
        latency_tolerance: reader.or("latencyTolerance", preset.latency_tolerance, |f| {
            // From 25 % on a slowdown is harm; what is tolerated must stay below it.
            f.percent(BUCKET_PERCENT..=20.0)
        }),
        on_inconclusive: reader
            .or("onInconclusive", preset.on_inconclusive, |f| on_inconclusive(&f)),
        ..preset
    };
    reader.finish();
    Some(analysis)
}

fn preset(field: &Field<'_>) -> Option<Analysis> {
    let standard = Analysis::default();
    let (alpha, beta) = field
        .choice(&[("standard", (standard.alpha, standard.beta)), ("cautious", (0.05, 0.01))])?;
    Some(Analysis { alpha, beta, ..standard })
}

/// A chance of being wrong: inside (0, 0.5).
fn risk(reader: &mut Reader<'_>, key: &'static str, default: f64) -> f64 {
    reader.or(key, default, |field| {
        let risk = field.decimal()?;
        if (1e-9..0.5).contains(&risk) {
            return Some(risk);
        }
        let message = format!("{} is {risk}; it must be at least 1e-9 and below 0.5", field.what);
        let hint = "it is a chance of being wrong: 0.01 is one rollout in a hundred";
        field.report(field.problem("out-of-range", message).hint(hint));
        None
    })
}

fn metrics(field: &Field<'_>) -> Option<Vec<MetricSettings>> {
    let mut found: Vec<MetricSettings> = Vec::new();
    for item in field.list()? {
        let known = [("errors", Metric::Errors), ("latency", Metric::Latency)];
        let Some(metric) = item.choice(&known) else { continue };
        if found.iter().any(|m| m.metric == metric) {
            let message = format!("the metric `{metric}` is listed twice");
            item.report(item.problem("duplicate-metric", message).hint("remove one of the two"));
        } else {
            found.push(metric.into());
        }
    }
    Some(found)
}

/// (ratio, floor)
fn harm(field: &Field<'_>, default: &Analysis) -> Option<(f64, f64)> {
    let mut reader = field.map()?;
    let ratio = reader.or("ratio", default.harm_ratio, |f| ratio(&f));
    let floor = reader.or("floor", default.harm_floor, |f| f.percent(0.001..=50.0));
    reader.finish();
    Some((ratio, floor))
}

fn ratio(field: &Field<'_>) -> Option<f64> {
    let ratio = field.decimal()?;
    if (1.05..=100.0).contains(&ratio) {
        return Some(ratio);
    }
    let message = format!("{} is {ratio}; it must be from 1.05 to 100", field.what);
    let hint = "harm starts at this multiple of the error rate of stable: 2 is twice";
    field.report(field.problem("out-of-range", message).hint(hint));
    None
}

fn on_inconclusive(field: &Field<'_>) -> Option<OnInconclusive> {
    field.choice(&[
        ("pause", OnInconclusive::Pause),
        ("rollback", OnInconclusive::Rollback),
        ("promote", OnInconclusive::Promote),
    ])
}
