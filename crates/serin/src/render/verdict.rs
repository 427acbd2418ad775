//! The judge's numbers: both sides, where harm begins, the sample and the evidence.

use super::table::Table;
use super::words::{millis_or, percent_or, thousands};
use super::{Frame, version};
use crate::printer::{Line, Tone};
use serin_server::api::view::RolloutView;
use serin_stats::{Metric, MetricAssessment};

const HEADS: [&str; 7] =
    ["METRIC", "CANDIDATE", "STABLE", "HARM FROM", "REQUESTS", "PROMOTE", "ROLL BACK"];

/// The verdict table of a rollout; nothing when it is not judged.
pub fn verdict(rollout: &RolloutView, frame: &Frame) -> Vec<Line> {
    let Some(assessment) = &rollout.assessment else { return Vec::new() };
    let mut table = Table::new(&HEADS, &[1, 2, 3, 4, 5, 6]);
    for m in &assessment.metrics {
        let evidence = |have: f64, needed: f64| Line::plain(part(have, needed));
        // For latency, the limit is a duration and the rates are shares beyond it.
        let (name, limit) = match &m.latency {
            None => (m.metric.to_string(), value(m, m.limit, "-")),
            Some(_) => (format!("{}: slow", m.metric), millis_or(m.limit, "-")),
        };
        table.row(vec![
            Line::toned(tone(m.canary_rate, m.baseline_rate), name),
            Line::plain(value(m, m.canary_rate, "no data")),
            Line::plain(value(m, m.baseline_rate, "no data")),
            Line::plain(limit),
            Line::plain(thousands(m.canary_n)),
            evidence(m.pass_evidence, m.pass_needed),
            evidence(m.fail_evidence, m.fail_needed),
        ]);
        if let Some(latency) = &m.latency {
            let known = rollout.latency_intervals;
            let pair = |name: &str, candidate, stable, ends: Option<[Interval; 2]>| {
                let [of_stable, of_candidate] = ends.unwrap_or([None, None]);
                let cells =
                    [name.to_owned(), within(candidate, of_candidate), within(stable, of_stable)];
                let cells = cells.into_iter().chain((0..4).map(|_| String::new()));
                cells.map(|text| Line::toned(Tone::Dim, text)).collect()
            };
            let (p50, p99) = (known.map(|k| k.p50_ms), known.map(|k| k.p99_ms));
            table.row(pair("  median", latency.canary_p50_ms, latency.baseline_p50_ms, p50));
            table.row(pair("  p99", latency.canary_p99_ms, latency.baseline_p99_ms, p99));
        }
    }
    table.lines(frame, "  ")
}

/// Ends of a confidence interval in milliseconds.
type Interval = Option<(f64, f64)>;

/// `23 ms (22 to 25)`.
fn within(ms: Option<f64>, ends: Interval) -> String {
    match (ms, ends) {
        (Some(_), Some((low, high))) => format!("{} ({low:.0} to {high:.0})", millis_or(ms, "-")),
        _ => millis_or(ms, "-"),
    }
}

/// A rate or a mean with its unit.
fn value(m: &MetricAssessment, value: Option<f64>, glyph: &str) -> String {
    match m.metric {
        // Of latency the rates are shares beyond the limit.
        Metric::Errors | Metric::Latency => percent_or(value, glyph),
        _ if value.is_none() => glyph.to_owned(),
        _ => serin_core::metric_value(&m.metric, value),
    }
}

/// One line for each metric, for the live view.
pub fn summary(rollout: &RolloutView) -> Vec<Line> {
    let Some(assessment) = &rollout.assessment else { return Vec::new() };
    let baseline = rollout.baseline.as_ref().map_or("stable", version);
    let lines = assessment.metrics.iter().map(|m| {
        let (name, values) = match &m.latency {
            None => (
                m.metric.to_string(),
                format!("{} vs {}", value(m, m.canary_rate, "?"), value(m, m.baseline_rate, "?")),
            ),
            Some(l) => (
                format!("{} p99", m.metric),
                format!(
                    "{} vs {}",
                    millis_or(l.canary_p99_ms, "?"),
                    millis_or(l.baseline_p99_ms, "?")
                ),
            ),
        };
        Line::plain(format!("  {name:<12} {values} on {baseline}")).add(
            Tone::Dim,
            format!(
                "   promote {}, roll back {}, n={}",
                part(m.pass_evidence, m.pass_needed),
                part(m.fail_evidence, m.fail_needed),
                thousands(m.canary_n)
            ),
        )
    });
    lines.collect()
}

/// Evidence as a part of what is needed: `62 %`.
fn part(have: f64, needed: f64) -> String {
    if needed <= 0.0 || !have.is_finite() {
        return "-".into();
    }
    format!("{:.0} %", (have / needed * 100.0).clamp(0.0, 100.0).floor())
}

fn tone(candidate: Option<f64>, stable: Option<f64>) -> Tone {
    match (candidate, stable) {
        (Some(candidate), Some(stable)) if candidate > stable.max(0.001) * 2.0 => Tone::Warn,
        _ => Tone::Plain,
    }
}
