//! False alarms and time to detect, by method (tables E1, E2 and S).

use super::drawn;
use crate::methods::ERRORS;
use crate::ours::{CORRECTED, REQUESTS, SESSIONS};
use crate::report::{Report, Table, Unit, number, percent};
use crate::traffic::{HARMFUL, HARMLESS, Scenario, Traffic, plain};
use crate::watch::{Effort, HALF_MINUTES, Looks, Method, SECONDS, Speed, race};

/// What a method did in a scenario, by the names of both.
pub type Cell = (&'static str, &'static str, Speed);

/// Races methods through scenarios. `first` numbers the streams of random numbers.
pub fn cells(
    effort: Effort,
    scenarios: &[Scenario],
    first: u64,
    looks: Looks,
    methods: &[Method],
) -> Vec<Cell> {
    let scenarios = scenarios.iter().zip(first..);
    let raced = scenarios.flat_map(|(&scenario, stream)| {
        let source = |run| Traffic::new(scenario, stream, run);
        let alarms = race(effort, looks, scenario.onset, methods, source);
        let cell = |(m, a): (&Method, Vec<_>)| (m.name, scenario.name, Speed::of(&a));
        methods.iter().zip(alarms).map(cell).collect::<Vec<_>>()
    });
    raced.collect()
}

/// Finds a cell's figures.
pub fn speed<'a>(cells: &'a [Cell], method: &str, scenario: &str) -> Option<&'a Speed> {
    cells.iter().find(|c| c.0 == method && c.1 == scenario).map(|c| &c.2)
}

const FALSE_HEAD: [&str; 5] = ["scenario", "method", "runs", "false alarms %", "standard error"];

/// Rows of a table of false alarms.
pub fn false_alarms(name: &'static str, cells: &[Cell]) -> Table {
    let mut table = Table::new(name, &FALSE_HEAD);
    for (method, scenario, speed) in cells {
        let error = libm::sqrt(speed.rate * (1.0 - speed.rate) / speed.runs as f64);
        table.row([
            (*scenario).to_owned(),
            (*method).to_owned(),
            speed.runs.to_string(),
            percent(speed.rate, 2),
            percent(error, 2),
        ]);
    }
    table
}

const DETECTION_HEAD: [&str; 9] = [
    "scenario",
    "method",
    "runs",
    "detected %",
    "before onset %",
    "median s",
    "p90 s",
    "canary requests",
    "canary errors",
];

/// Rows of a table of detection.
pub fn detections(name: &'static str, cells: &[Cell]) -> Table {
    let mut table = Table::new(name, &DETECTION_HEAD);
    for (method, scenario, speed) in cells {
        table.row([
            (*scenario).to_owned(),
            (*method).to_owned(),
            speed.runs.to_string(),
            percent(speed.rate, 1),
            percent(speed.early, 1),
            number(speed.seconds, 0),
            number(speed.seconds_p90, 0),
            number(speed.requests, 0),
            number(speed.errors, 0),
        ]);
    }
    table
}

/// E1 and E2.
pub fn run(effort: Effort) -> Report {
    let harmless = both_units(effort, &HARMLESS, 100);
    let harmful = both_units(effort, &HARMFUL, 200);
    let mut report = Report::default();
    harmless_goals(&mut report, &harmless);
    harmful_goals(&mut report, &harmful);
    report.tables = vec![
        false_alarms("e1", &harmless),
        detections("e2", &harmful),
        correlated(&harmless, &harmful),
    ];
    report.plots = plots(&harmless, &harmful);
    report
}

fn plots(harmless: &[Cell], harmful: &[Cell]) -> Vec<(String, String)> {
    let quiet = [
        ("AA1", "100 rps, 0.5 %"),
        ("AA2", "5 rps, 1 %"),
        ("AA3", "shared incidents"),
        ("AA4", "errors in clumps"),
    ];
    let loud = [
        ("R1", "0.5 to 1 %"),
        ("R2", "0.5 to 1.5 %"),
        ("R4", "0.5 to 50 %"),
        ("R6", "0.5 to 2 %, from minute 15"),
    ];
    let harmful: Vec<Cell> =
        harmful.iter().filter(|c| loud.iter().any(|l| l.0 == c.1)).copied().collect();
    let pale = drawn::alarmists(harmless, &["AA1", "AA2", "AA3"]);
    vec![
        ("false-alarms".into(), drawn::false_alarms(harmless, &quiet)),
        ("detection".into(), drawn::detections("Time to detect", &harmful, &loud, &pale)),
    ]
}

/// On requests everywhere, on sessions where errors belong together.
fn both_units(effort: Effort, scenarios: &[Scenario], first: u64) -> Vec<Cell> {
    let methods = |scenario: &Scenario| {
        let correlated = [&SESSIONS[..], &CORRECTED].concat();
        let extra = if scenario.clumps.is_some() { correlated } else { Vec::new() };
        [&ERRORS[..], &REQUESTS, &extra].concat()
    };
    let each = scenarios.iter().zip(first..);
    each.flat_map(|(scenario, stream)| {
        cells(effort, &[*scenario], stream, HALF_MINUTES, &methods(scenario))
    })
    .collect()
}

/// X: correlated errors, false alarms beside the time to detect a tripled rate.
fn correlated(harmless: &[Cell], harmful: &[Cell]) -> Table {
    let mut table = Table::new("x", &["method", "runs", "AA4 false alarms %", "R9 median s"]);
    for (method, _, aa) in harmless.iter().filter(|c| c.1 == "AA4") {
        let r9 = speed(harmful, method, "R9").map_or(f64::NAN, |s| s.seconds);
        let cells = [aa.runs.to_string(), percent(aa.rate, 2), number(r9, 0)];
        table.row(std::iter::once((*method).to_owned()).chain(cells));
    }
    table
}

fn harmless_goals(report: &mut Report, cells: &[Cell]) {
    for (method, scenario, speed) in cells {
        let methods = if *scenario == "AA4" { &SESSIONS } else { &REQUESTS };
        if methods.iter().any(|m| m.name == *method) {
            let what = format!("{scenario} false alarms, 30 s looks: {method}");
            report.goal(what, alpha(method), speed.rate, Unit::Share);
        }
    }
}

/// The rate a method promises.
pub fn alpha(method: &str) -> f64 {
    if method.ends_with("0.01") { 0.01 } else { 0.05 }
}

/// Scenario, most requests plain, most requests with onset.
const REQUESTS_TO_FAIL: [(&str, f64, f64); 4] = [
    ("R1", 3300.0, 3700.0),
    ("R2", 1200.0, 1250.0),
    ("R5", 6100.0, 6700.0),
    ("R6", 2200.0, 1200.0),
];

fn harmful_goals(report: &mut Report, cells: &[Cell]) {
    for (scenario, simple, onset) in REQUESTS_TO_FAIL {
        for (method, limit) in [(REQUESTS[1], simple), (REQUESTS[3], onset)] {
            if let Some(speed) = speed(cells, method.name, scenario) {
                let what = format!("{scenario} canary requests to FAIL: {}", method.name);
                report.goal(what, limit, speed.requests, Unit::Requests);
            }
        }
    }
}

/// Regressions looked at every second.
const FAST: [Scenario; 4] = [
    plain("0.5 to 5 %", 100.0, 0.005, 0.05),
    plain("0.5 to 50 %", 100.0, 0.005, 0.5),
    plain("0.5 to 100 %", 100.0, 0.005, 1.0),
    plain("1 to 50 %, 5 rps", 5.0, 0.01, 0.5),
];

/// S: a look every second.
pub fn every_second(effort: Effort) -> Report {
    let harmless = cells(effort, &HARMLESS[..3], 300, SECONDS, &REQUESTS);
    let harmful = cells(effort, &FAST, 310, SECONDS, &REQUESTS);
    let mut report = Report::default();
    for (method, scenario, speed) in &harmless {
        let what = format!("{scenario} false alarms, 1 s looks: {method}");
        report.goal(what, alpha(method), speed.rate, Unit::Share);
    }
    for (scenario, limit) in [(FAST[0], 130.0), (FAST[1], 15.0)] {
        for method in [REQUESTS[1], REQUESTS[3]] {
            if let Some(speed) = speed(&harmful, method.name, scenario.name) {
                let what = format!("{} canary requests, 1 s looks: {}", scenario.name, method.name);
                report.goal(what, limit, speed.requests, Unit::Requests);
            }
        }
    }
    report.tables =
        vec![false_alarms("s-false-alarms", &harmless), detections("s-detection", &harmful)];
    report
}
