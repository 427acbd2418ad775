//! `analysis`: what the candidate is judged by, and how surely.

use crate::{checks, field::Field, reader::Reader};
use serin_core::{Analysis, Baseline, Millis, OnInconclusive};
use serin_stats::bucket::buckets_of_change;
use serin_stats::{Kind, Metric, MetricSettings, Role, Worse, threshold};

const DAY: Millis = Millis::secs(86_400);
/// Width of one latency bucket, 2^(1/32) - 1, in percent: no smaller slowdown can be seen.
const BUCKET_PERCENT: f64 = 2.2;
/// Restarts of an instance that are harm: twice stable's and one in an hour.
const RESTARTS: Kind =
    Kind::Count { worse: Worse::Rise, harm_ratio: 2.0, harm_floor: 1.0 / 3600.0 };
const ROLES: [(&str, Role); 3] =
    [("critical", Role::Critical), ("normal", Role::Normal), ("watch-only", Role::WatchOnly)];

/// Whether anything in it can decide.
pub(crate) fn judges(analysis: &Analysis) -> bool {
    analysis.compares() || !analysis.checks.is_empty() || analysis.max_errors.is_some()
}

/// What an analysis is unless said. A worker has no requests to compare.
pub(crate) fn usual(worker: bool) -> Analysis {
    let standard = Analysis::default();
    if worker { Analysis { metrics: Vec::new(), ..standard } } else { standard }
}

/// The analysis, and the step, from 0, with which it starts.
pub(crate) fn read(field: &Field<'_>, worker: bool) -> Option<(Analysis, usize)> {
    let mut reader = field.map()?;
    let preset = reader.or("preset", usual(worker), |f| preset(&f, worker));
    let from = reader.or("startingStep", 1, |f| f.integer(1..=200)) as usize - 1;
    let metrics = reader.or("metrics", preset.metrics.clone(), |f| metrics(&f));
    let (harm_ratio, harm_floor) =
        reader.or("harm", (preset.harm_ratio, preset.harm_floor), |f| harm(&f, &preset));
    let analysis = Analysis {
        alpha: risk(&mut reader, "alpha", preset.alpha),
        beta: risk(&mut reader, "beta", preset.beta),
        harm_ratio,
        harm_floor,
        tolerate: reader.maybe("tolerate", |f| f.percent(0.0001..=50.0)),
        metrics,
        latency_tolerance: reader.or("latencyTolerance", preset.latency_tolerance, |f| {
            f.percent(BUCKET_PERCENT..=500.0)
        }),
        latency_harm: reader
            .or("latencyHarm", preset.latency_harm, |f| f.percent(2.0 * BUCKET_PERCENT..=1000.0)),
        late_onset: reader.maybe("lateOnset", |f| f.truth()),
        baseline: reader.or("baseline", preset.baseline, |f| baseline(&f)),
        checks: reader.or("checks", Vec::new(), |f| checks::read(&f)),
        max_errors: reader.maybe("maxCanaryErrors", |f| f.integer(1..=1_000_000_000)),
        after_promotion: reader
            .or("afterPromotion", preset.after_promotion, |f| f.duration(Millis(0)..=DAY)),
        report_only: reader.or("reportOnly", preset.report_only, |f| f.truth()),
        on_inconclusive: reader
            .or("onInconclusive", preset.on_inconclusive, |f| on_inconclusive(&f)),
        checks_by_stage: reader.or("checksByStage", preset.checks_by_stage, |f| f.truth()),
    };
    if let Some(field) = reader.peek("metrics").filter(|_| worker && analysis.compares()) {
        let message = "these metrics count requests, and a worker has none";
        let hint = "leave `metrics` out; hold the worker's own numbers against `checks`";
        field.report(field.key_problem("worker", message).hint(hint));
    }
    check_latency(&reader, &analysis);
    check_tolerated(&reader, &analysis);
    check_many(&reader, &analysis);
    reader.finish();
    Some((analysis, from))
}

fn preset(field: &Field<'_>, worker: bool) -> Option<Analysis> {
    let standard = usual(worker);
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
        let Some(metric) = metric(&item) else { continue };
        if found.iter().any(|m| m.metric == metric.metric) {
            let message = format!("the metric `{}` is listed twice", metric.metric);
            item.report(item.problem("duplicate-metric", message).hint("remove one of the two"));
        } else {
            found.push(metric);
        }
    }
    if !found.is_empty() && !found.iter().any(|m| m.role == Role::Critical) {
        let message = "no metric is critical: nothing could prove a version harmless";
        let hint = "add `errors`, or write `{ name: ..., role: critical }`";
        field.report(field.problem("no-critical-metric", message).hint(hint));
    }
    Some(found)
}

/// `errors`, or `{ name: errors, role: normal }`.
fn metric(field: &Field<'_>) -> Option<MetricSettings> {
    if !field.is_map() {
        return named(field);
    }
    let mut reader = field.map()?;
    let metric = reader.need("name", "errors", |f| named(&f));
    let role = reader.maybe("role", |f| f.choice(&ROLES));
    reader.finish();
    let metric = metric?;
    Some(MetricSettings { role: role.unwrap_or(metric.role), ..metric })
}

/// A metric with the role it has unless said: what says little in the time of a rollout does not
/// hold it up.
fn named(field: &Field<'_>) -> Option<MetricSettings> {
    let built_in = |metric, role| MetricSettings { metric, role, kind: Kind::BuiltIn };
    let restarts = Metric::Named("restarts".into());
    field.choice(&[
        ("errors", built_in(Metric::Errors, Role::Critical)),
        ("latency", built_in(Metric::Latency, Role::Critical)),
        ("mean-latency", built_in(Metric::MeanLatency, Role::Normal)),
        ("restarts", MetricSettings { metric: restarts, role: Role::Normal, kind: RESTARTS }),
    ])
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

fn baseline(field: &Field<'_>) -> Option<Baseline> {
    field.choice(&[("stable", Baseline::Stable), ("fresh", Baseline::Fresh)])
}

fn on_inconclusive(field: &Field<'_>) -> Option<OnInconclusive> {
    field.choice(&[
        ("pause", OnInconclusive::Pause),
        ("rollback", OnInconclusive::Rollback),
        ("promote", OnInconclusive::Promote),
    ])
}

/// What is tolerated must be less than what is harm, by a bucket at least.
fn check_latency(reader: &Reader<'_>, analysis: &Analysis) {
    let (tolerated, harm) = (analysis.latency_tolerance, analysis.latency_harm);
    if buckets_of_change(tolerated) < buckets_of_change(harm) {
        return;
    }
    let written = reader.peek("latencyTolerance").or_else(|| reader.peek("latencyHarm"));
    let Some(field) = written else { return };
    let message = format!(
        "a slowdown of {} is tolerated, but harm begins at {}",
        percent(tolerated),
        percent(harm)
    );
    let hint = "make `latencyTolerance` smaller than `latencyHarm`, by 2.2 points at least";
    field.report(field.problem("tolerates-harm", message).hint(hint));
}

fn check_tolerated(reader: &Reader<'_>, analysis: &Analysis) {
    let Some(tolerate) = analysis.tolerate.filter(|rate| *rate > analysis.harm_floor) else {
        return;
    };
    let Some(field) = reader.peek("tolerate") else { return };
    let message = format!(
        "up to {} nothing is rolled back, but from {} on it may be harm: between them no verdict \
         comes",
        percent(tolerate),
        percent(analysis.harm_floor)
    );
    let hint = "raise `harm.floor` to what is tolerated";
    field.report(field.problem("tolerates-harm", message).warning().hint(hint));
}

/// More than a dozen make each of them slow.
fn check_many(reader: &Reader<'_>, analysis: &Analysis) {
    let judged = analysis.metrics.iter().filter(|m| m.role != Role::WatchOnly);
    let names = judged.map(|m| m.metric.to_string());
    let checks = analysis.checks.iter().filter(|check| !check.report_only);
    let names: Vec<_> = names.chain(checks.map(|check| check.name.clone())).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let many = threshold::advise(&names).into_iter().find(|a| a.topic == threshold::Topic::TooMany);
    if let Some(advice) = many {
        reader.report(reader.key_problem("many-metrics", advice.text).warning());
    }
}

fn percent(share: f64) -> String {
    format!("{} %", (share * 1e8).round() / 1e6)
}
