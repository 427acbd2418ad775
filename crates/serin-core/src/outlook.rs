//! What a schedule will do before it does it, and what a verdict says, in words and numbers.

mod steps;

use crate::engine::scale::Fleet;
use crate::engine::trade::scaled;
use crate::{
    Analysis, Baseline, Expose, Millis, RolloutKind, Scale, Schedule, Service, Step, Weight,
};
use serde::{Deserialize, Serialize};
use serin_stats::{
    Assessment, LatencySummary, Metric, MetricAssessment, Outcome, Rung, planner, threshold,
};
use std::fmt::Write as _;

/// What a rollout would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// Step by step.
    pub steps: Vec<OutlookStep>,
    /// The shortest time from the first ready instance to promotion.
    pub shortest: Millis,
    /// Judged candidate requests needed to promote a version without errors.
    pub requests: Option<u64>,
    /// What a reader should know before starting.
    pub notes: Vec<String>,
}

/// One step as it would go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutlookStep {
    /// Stage name.
    pub stage: String,
    /// What it does.
    pub does: String,
    /// The candidate's share during it.
    pub weight: Weight,
    /// Candidate instances during it.
    pub instances: u32,
    /// The shortest time it can take; `None` when it waits for a person.
    pub at_least: Option<Millis>,
    /// Judged candidate requests it needs.
    pub requests: Option<u64>,
}

/// What `schedule` would do on `service`.
pub fn outlook(service: &Service, schedule: &Schedule, kind: RolloutKind) -> Outlook {
    let analysed = schedule.analysis.is_some() && kind.is_tried();
    let sticky = service.spec.traffic.affinity.is_some();
    let (mut weight, mut instances) = (Weight::NONE, 0);
    let mut scale = Scale::MatchWeight;
    let mut steps = Vec::new();
    for (index, (stage, step)) in schedule.steps().enumerate() {
        match step {
            Step::SetWeight(to) | Step::Expose(Expose { up_to: to, .. }) => weight = *to,
            _ => {}
        }
        let before = instances;
        if let Step::SetScale(to) = step {
            scale = *to;
        }
        instances = planned_size(service, schedule, weight, analysed);
        instances = scaled(scale, weight, instances, service.spec.replicas);
        steps.push(OutlookStep {
            stage: stage.into(),
            does: describe(step),
            weight,
            instances,
            at_least: at_least(step, schedule, instances > before),
            requests: requests(step, schedule, index, weight, sticky),
        });
    }
    let shortest: u64 = steps.iter().filter_map(|s| s.at_least).map(|m| m.0).sum();
    Outlook {
        shortest: Millis(shortest + schedule.watch().0),
        requests: steps.iter().filter_map(|s| s.requests).max(),
        notes: [
            notes(service, schedule, analysed),
            prospects(service, schedule, analysed, shortest),
        ]
        .concat(),
        steps,
    }
}

/// A step in words.
pub fn describe(step: &Step) -> String {
    match step {
        Step::SetWeight(weight) => format!("give the candidate {weight}"),
        Step::Pause(None) => "wait for `serin promote`".into(),
        Step::Pause(Some(span)) => format!("wait {span}"),
        Step::Bake(bake) => {
            let mut words = format!("bake at least {}", bake.at_least);
            if bake.requests > 0 {
                let _ = write!(words, " and {} candidate requests", bake.requests);
            }
            if bake.until_evidence {
                let _ = write!(words, ", until the evidence is there (at most {})", bake.deadline);
            }
            words
        }
        Step::Expose(Expose { budget, up_to, deadline }) => format!(
            "raise the share as the evidence allows, to {up_to} (at most {budget} failed requests \
             to be expected, at most {deadline})"
        ),
        _ => steps::describe(step),
    }
}

/// Candidate instances with this share.
fn planned_size(service: &Service, schedule: &Schedule, weight: Weight, analysed: bool) -> u32 {
    let fleet =
        Fleet::of(schedule.capacity, service.spec.replicas).filter(|_| service.stable.is_some());
    fleet.map_or_else(|| service.candidate_size(weight, analysed), |f| f.places(weight).candidate)
}

fn at_least(step: &Step, schedule: &Schedule, grows: bool) -> Option<Millis> {
    match step {
        Step::SetWeight(_) | Step::SetScale(_) => {
            Some(if grows { schedule.warm_up } else { Millis(0) })
        }
        Step::Pause(span) => *span,
        Step::Bake(bake) => Some(bake.at_least),
        Step::Expose(_) => Some(schedule.warm_up),
        Step::Experiment(experiment) => Some(experiment.at_least),
        Step::Approve(_) => None,
        _ => Some(Millis(0)),
    }
}

fn requests(
    step: &Step,
    schedule: &Schedule,
    index: usize,
    weight: Weight,
    sticky: bool,
) -> Option<u64> {
    let rung = Rung { j: schedule.rungs_through(index + 1), m: schedule.rungs() };
    let share = f64::from(weight.parts()) / 100_000.0;
    let analysis = schedule.analysis.as_ref().filter(|_| step.asks_for_evidence());
    let config = analysis.and_then(|a| a.judge_config(sticky).ok());
    let by_evidence = config.and_then(|c| planner::requests_to_pass(&c, 0.0, share, rung));
    let asked = if let Step::Bake(bake) = step { bake.requests } else { 0 };
    by_evidence.max(Some(asked)).filter(|n| *n > 0)
}

const ONE_INSTANCE: &str = "one candidate instance: a bad instance and a bad version look the same; take two \
     replicas, or `baseline: fresh`";
const FRESH: &str =
    "as many fresh instances of stable as of the candidate run until it has all traffic";

/// What is worth knowing of the choice of metrics.
fn advice(analysis: &Analysis) -> Vec<String> {
    let metrics = analysis.metrics.iter().map(|m| m.metric.to_string());
    let names: Vec<_> = metrics.chain(analysis.checks.iter().map(|c| c.name.clone())).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    threshold::advise(&names).into_iter().map(|advice| advice.text).collect()
}

fn notes(service: &Service, schedule: &Schedule, analysed: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let fresh = schedule.analysis.as_ref().is_some_and(|a| a.baseline == Baseline::Fresh);
    if analysed && service.spec.replicas == 1 && !fresh {
        notes.push(ONE_INSTANCE.into());
    }
    if analysed && fresh {
        notes.push(FRESH.into());
    }
    notes.extend(schedule.analysis.as_ref().filter(|_| analysed).map(advice).unwrap_or_default());
    if schedule.analysis.is_none() {
        notes.push("nothing is compared: only health is watched".into());
    } else if schedule.rungs() == 0 {
        notes.push(
            "no step waits for evidence: harm is watched for, its absence is not shown".into(),
        );
    }
    notes
}

/// What the schedule takes and what it cannot see, where anything is compared.
fn prospects(service: &Service, schedule: &Schedule, analysed: bool, shortest: u64) -> Vec<String> {
    let Some(analysis) = schedule.analysis.as_ref().filter(|_| analysed) else { return vec![] };
    let config = analysis.judge_config(service.spec.traffic.affinity.is_some()).ok();
    let last = schedule.steps().take_while(|(_, step)| !is_all(step)).fold(None, last_weight);
    let asked = schedule.rungs() > 0;
    let takes =
        config.zip(last).filter(|_| asked).and_then(|(config, weight)| takes(config, weight));
    let seconds = (shortest + schedule.watch().0) / 1000;
    let unseen = planner::unseen(seconds);
    let names: Vec<_> = unseen
        .iter()
        .map(|b| match (b.at_least / 60, b.usually / 60) {
            (least, most) if least == most => format!("{} ({least} min)", b.name),
            (least, most) => format!("{} ({least} to {most} min)", b.name),
        })
        .collect();
    let short = format!(
        "may be over before some faults show: {}; `bake: {{ atLeast }}` or `afterPromotion` watch longer",
        names.join(", ")
    );
    takes.into_iter().chain((!names.is_empty()).then_some(short)).collect()
}

fn is_all(step: &Step) -> bool {
    *step == Step::SetWeight(Weight::ALL)
}

fn last_weight(before: Option<Weight>, (_, step): (&str, &Step)) -> Option<Weight> {
    match step {
        Step::SetWeight(weight) => Some(*weight),
        Step::Expose(expose) => Some(expose.up_to),
        _ => before,
    }
}

/// Requests until all evidence is there, at the usual example of a service that fails 0.5 %.
fn takes(config: serin_stats::JudgeConfig, weight: Weight) -> Option<String> {
    let (baseline, share) = (0.005, f64::from(weight.parts()) / 100_000.0);
    let detect = baseline * config.settings().harm_ratio;
    let question = planner::Question { config, baseline, detect, share, rps: None, within: None };
    let timing = question.certification(Rung::LAST)?;
    let (median, p90) = (thousands(timing.median.canary), thousands(timing.p90.canary));
    Some(format!(
        "at 0.5 % errors and {weight} of the traffic, half of all good versions have their evidence \
         after {median} candidate requests, nine in ten after {p90}; `serin stats power` reckons \
         with your rates and traffic"
    ))
}

/// The verdict in one sentence: rates of both sides, limit, sample size.
pub fn verdict_sentence(assessment: &Assessment) -> String {
    match assessment.outcome {
        Outcome::NoData if assessment.canary_n > 0 => told(assessment, &[], "not decided yet"),
        Outcome::NoData => "no data: no candidate request could be judged yet".into(),
        Outcome::Invalid => {
            let why = assessment.invalid.as_ref().map(ToString::to_string);
            format!("the comparison is not sound: {}", why.unwrap_or_default())
        }
        Outcome::Fail => told(assessment, &assessment.blame, "worse than stable"),
        Outcome::Pass => told(assessment, &[], "no harm"),
        Outcome::Continue => told(assessment, &[], "not decided yet"),
    }
}

fn told(assessment: &Assessment, only: &[Metric], verdict: &str) -> String {
    let chosen = assessment.metrics.iter().filter(|m| only.is_empty() || only.contains(&m.metric));
    let parts: Vec<_> = chosen.map(rates).collect();
    let sample = thousands(assessment.canary_n);
    format!("{verdict}: {}, after {sample} candidate {}", parts.join("; "), units(assessment.users))
}

/// What is counted.
pub(crate) fn units(users: bool) -> &'static str {
    if users { "users" } else { "requests" }
}

fn rates(m: &MetricAssessment) -> String {
    let (canary, baseline) = (percent(m.canary_rate), percent(m.baseline_rate));
    match m.metric {
        Metric::Errors => {
            format!("errors {canary} vs {baseline} on stable (harm from {})", percent(m.limit))
        }
        Metric::Latency => latency_words(m.latency.as_ref()),
        Metric::MeanLatency | Metric::Named(_) => number_words(m),
    }
}

fn number_words(m: &MetricAssessment) -> String {
    let number = |x: Option<f64>| metric_value(&m.metric, x);
    let (canary, baseline) = (number(m.canary_rate), number(m.baseline_rate));
    format!("{} {canary} vs {baseline} on stable (harm from {})", m.metric, number(m.limit))
}

/// A rate or a mean of `metric` with its unit.
pub fn metric_value(metric: &Metric, value: Option<f64>) -> String {
    match (metric, value) {
        (_, None) => "unknown".into(),
        (Metric::Errors, _) => percent(value),
        (Metric::Latency | Metric::MeanLatency, _) => millis(value),
        // The engine counts restarts by instance-second.
        (Metric::Named(name), Some(rate)) if name == "restarts" => {
            format!("{:.2} an instance-hour", rate * 3600.0)
        }
        (Metric::Named(_), Some(value)) => format!("{value:.4}"),
    }
}

fn latency_words(latency: Option<&LatencySummary>) -> String {
    let Some(l) = latency else { return "latency: not enough requests yet".into() };
    let pair = |canary, baseline| format!("{} vs {}", millis(canary), millis(baseline));
    format!(
        "latency p50 {}, p99 {} on stable",
        pair(l.canary_p50_ms, l.baseline_p50_ms),
        pair(l.canary_p99_ms, l.baseline_p99_ms)
    )
}

fn millis(ms: Option<f64>) -> String {
    match ms {
        None => "unknown".into(),
        Some(ms) if ms < 10.0 => format!("{ms:.1} ms"),
        Some(ms) => format!("{ms:.0} ms"),
    }
}

fn percent(rate: Option<f64>) -> String {
    let Some(rate) = rate else { return "unknown".into() };
    let percent = rate * 100.0;
    let digits = if percent >= 10.0 { 0 } else { 2 };
    format!("{percent:.digits$} %")
}

pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}
