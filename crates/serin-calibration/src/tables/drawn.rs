//! Drawings of tables: methods against scenarios.

use super::errors::{Cell as Figures, speed};
use crate::plot::{Cell, Panel, Row, Rows};

fn is_ours(method: &str) -> bool {
    method.starts_with("Serin")
}

/// Methods in the order of the figures, each once.
fn methods(cells: &[Figures]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for (method, ..) in cells {
        if !names.contains(method) {
            names.push(*method);
        }
    }
    names
}

/// False alarms as bars, with the promise of 5 %.
pub fn false_alarms(cells: &[Figures], panels: &[(&str, &str)]) -> String {
    let panel = |(_, title): &(&str, &str)| Panel {
        title: (*title).to_owned(),
        range: (0.0, 100.0),
        logarithmic: false,
        ticks: [0, 50, 100].map(|at| (f64::from(at), format!("{at} %"))).to_vec(),
        limit: Some(5.0),
    };
    let cell = |method: &str, scenario: &str| match speed(cells, method, scenario) {
        Some(speed) => Cell::Bar(100.0 * speed.rate, format!("{:.1} %", 100.0 * speed.rate)),
        None => Cell::Word(""),
    };
    let row = |method: &'static str| Row {
        name: method.to_owned(),
        is_ours: is_ours(method),
        is_pale: false,
        cells: panels.iter().map(|(scenario, _)| cell(method, scenario)).collect(),
    };
    Rows {
        title: "False alarms within an hour, without any regression".to_owned(),
        note: "A look every 30 s (threshold checks every minute). Dashed: 5 %. In the last panel errors \
               of a user belong together: the request is the wrong unit there.".to_owned(),
        panels: panels.iter().map(panel).collect(),
        rows: methods(cells).into_iter().map(row).collect(),
    }
    .svg()
}

/// Time to detect. `pale`: methods that alarm too often without a regression.
pub fn detections(
    title: &str,
    cells: &[Figures],
    panels: &[(&str, &str)],
    pale: &[&'static str],
) -> String {
    let ticks = [(30, "30 s"), (300, "5 min"), (3600, "1 h")];
    let panel = |(_, title): &(&str, &str)| Panel {
        title: (*title).to_owned(),
        range: (20.0, 3600.0),
        logarithmic: true,
        ticks: ticks.map(|(at, name)| (f64::from(at), name.to_owned())).to_vec(),
        limit: None,
    };
    let row = |method: &'static str| Row {
        name: method.to_owned(),
        is_ours: is_ours(method),
        is_pale: pale.contains(&method),
        cells: panels.iter().map(|(scenario, _)| dot(cells, method, scenario)).collect(),
    };
    Rows {
        title: title.to_owned(),
        note: "Dot: median; line: to the 90th percentile. Pale: more than 5 % false alarms in one \
               of the scenarios without a regression."
            .to_owned(),
        panels: panels.iter().map(panel).collect(),
        rows: methods(cells).into_iter().map(row).collect(),
    }
    .svg()
}

fn dot(cells: &[Figures], method: &str, scenario: &str) -> Cell {
    match speed(cells, method, scenario) {
        Some(speed) if speed.rate > 0.5 => {
            Cell::Dot(speed.seconds, speed.seconds_p90, minutes(speed.seconds))
        }
        Some(_) => Cell::Word("not detected"),
        None => Cell::Word(""),
    }
}

/// Seconds in words.
pub fn minutes(seconds: f64) -> String {
    if seconds < 120.0 { format!("{seconds:.0} s") } else { format!("{:.1} min", seconds / 60.0) }
}

/// Methods with more than 5 % (and two standard errors) false alarms in any of the scenarios.
pub fn alarmists(cells: &[Figures], scenarios: &[&str]) -> Vec<&'static str> {
    let too_often = |c: &&Figures| {
        let error = libm::sqrt(0.05 * 0.95 / c.2.runs.max(1) as f64);
        scenarios.contains(&c.1) && c.2.rate > 0.05 + 2.0 * error
    };
    cells.iter().filter(too_often).map(|c| c.0).collect()
}
