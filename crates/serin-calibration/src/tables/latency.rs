//! Latency: false alarms and time to detect (table L), PASS, and its wrong passes.

use super::drawn;
use super::errors::{Cell, alpha, detections, speed};
use super::pass::{Decision, Ends, decide};
use crate::latency::{LatencyScenario, LatencyTraffic, SAME, SCENARIOS, Slowness};
use crate::methods::latency::LATENCY;
use crate::ours;
use crate::report::{Report, Table, Unit, number, percent};
use crate::watch::{Effort, HALF_MINUTES, Looks, Method, Speed, race};
use serin_stats::{JudgeSettings, Outcome};

/// Scenario and seconds to reach at alpha 0.05.
const GOALS: [(&str, f64); 3] =
    [("+10 %", 120.0), ("+500 ms on 2 %", 90.0), ("+1 s on 1 %", 180.0)];

/// L and the PASS side.
pub fn run(effort: Effort) -> Report {
    let methods = [&LATENCY[..], &ours::LATENCY].concat();
    let mut cells: Vec<Cell> = Vec::new();
    for (scenario, stream) in SCENARIOS.into_iter().zip(600..) {
        let source = |run| LatencyTraffic::new(scenario, stream, run);
        let alarms = race(effort, HALF_MINUTES, 0, &methods, source);
        let cell = |(m, a): (&Method, Vec<_>)| (m.name, scenario.name, Speed::of(&a));
        cells.extend(methods.iter().zip(alarms).map(cell));
    }
    let mut report = Report::default();
    goals(&mut report, &cells);
    report.tables.push(detections("l", &cells));
    report.plots.push(("latency".into(), plot(&cells)));
    report.add(pass(effort));
    report
}

fn plot(cells: &[Cell]) -> String {
    let panels = [
        ("+5 %", "+5 %"),
        ("+10 %", "+10 %"),
        ("+500 ms on 2 %", "+500 ms on 2 %"),
        ("+1 s on 1 %", "+1 s on 1 %"),
    ];
    let pale = drawn::alarmists(cells, &[SAME.name]);
    drawn::detections("Time to detect slower responses", cells, &panels, &pale)
}

fn goals(report: &mut Report, cells: &[Cell]) {
    for method in ours::LATENCY {
        if let Some(same) = speed(cells, method.name, SAME.name) {
            let what = format!("latency false alarms: {}", method.name);
            report.goal(what, alpha(method.name), same.rate, Unit::Share);
        }
    }
    for (scenario, limit) in GOALS {
        for method in [ours::LATENCY[0], ours::LATENCY[2]] {
            if let Some(speed) = speed(cells, method.name, scenario) {
                let what = format!("latency {scenario} detected: {}", method.name);
                report.goal(what, limit, speed.seconds, Unit::Seconds);
            }
        }
    }
}

/// Clean, and at or beyond the border of harm.
const PASSES: [(LatencyScenario, bool); 5] = [
    (SAME, false),
    (SCENARIOS[3], true),
    (SCENARIOS[4], true),
    (SCENARIOS[5], true),
    (
        LatencyScenario { name: "+1 s on 2 %", canary: Slowness::Delayed(0.02, 1000.0), ..SAME },
        true,
    ),
];

/// PASS of the latency, with a margin of 25 %.
fn pass(effort: Effort) -> Report {
    let mut report = Report::default();
    let head = [
        "scenario",
        "stable known before",
        "runs",
        "PASS %",
        "median s",
        "p90 s",
        "canary requests",
    ];
    let mut table = Table::new("l-pass", &head);
    let looks = Looks { every: 5, count: 720 };
    let settings = JudgeSettings { alpha: 1e-9, ..ours::latency(0.01, 0.11) };
    for ((scenario, is_harm), stream) in PASSES.into_iter().zip(620..) {
        for knows_stable in [false, true] {
            let decision = Decision { settings: &settings, looks, knows_stable };
            let source = |run| LatencyTraffic::new(scenario, stream, run);
            let ends = decide(effort, decision, source);
            row(&mut table, scenario, knows_stable, &ends);
            let known = if knows_stable { "stable known" } else { "stable unknown" };
            if is_harm {
                let what = format!("latency wrong PASS, {}, {known}", scenario.name);
                report.goal(what, 0.05, ends.share(Outcome::Pass), Unit::Share);
            } else {
                let what = format!("latency PASS of a clean version, {known}");
                report.goal(what, 270.0, ends.decided(0.5, |e| e.seconds), Unit::Seconds);
            }
        }
    }
    report.tables.push(table);
    report
}

fn row(table: &mut Table, scenario: LatencyScenario, knows_stable: bool, ends: &Ends) {
    table.row([
        scenario.name.to_owned(),
        if knows_stable { "yes" } else { "no" }.to_owned(),
        ends.runs().to_string(),
        percent(ends.share(Outcome::Pass), 2),
        number(ends.decided(0.5, |e| e.seconds), 0),
        number(ends.decided(0.9, |e| e.seconds), 0),
        number(ends.decided(0.5, |e| e.requests), 0),
    ]);
}
