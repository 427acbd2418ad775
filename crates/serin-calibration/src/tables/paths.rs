//! Pictures of evidence: paths of single rollouts, and the time to PASS by the error rate.

use super::pass::{Ends, by_rate};
use crate::ours::{Onset, errors, judge};
use crate::plot::{Curve, Lines};
use crate::report::{Report, Table, number, percent};
use crate::traffic::{Scenario, Source, Traffic, plain};
use crate::watch::Effort;
use serin_stats::Rung;

/// Looks every 10 s for 20 minutes.
const LOOKS: u32 = 120;
/// Evidence below this is drawn at the edge.
const LOWEST: f64 = -4.0;

/// What is drawn: a clean version and a doubled error rate.
const VERSIONS: [(Scenario, &str); 2] = [
    (plain("clean", 100.0, 0.005, 0.005), "line-other"),
    (plain("0.5 to 1 %", 100.0, 0.005, 0.01), "line-bad"),
];

/// Evidence against the canary over time in one run: canary requests and nats.
fn path(scenario: Scenario, stream: u64, run: usize) -> Vec<(f64, f64)> {
    let mut traffic = Traffic::new(scenario, stream, run);
    let mut judge = judge(&errors(0.01, Onset::Plain));
    let mut requests = 0.0;
    let mut points = vec![(0.0, 0.0)];
    for _ in 0..LOOKS {
        let tick = traffic.next(10).requests;
        judge.observe(&tick);
        requests += tick.canary.n as f64;
        points.push((requests, judge.assess(Rung::LAST).fail_evidence));
    }
    points
}

fn paths() -> Report {
    let mut table = Table::new("paths", &["version", "run", "canary requests", "evidence"]);
    let mut curves = Vec::new();
    for ((scenario, class), stream) in VERSIONS.into_iter().zip(760..) {
        for run in 0..12 {
            let points = path(scenario, stream, run);
            for (requests, evidence) in &points {
                let cells = [run.to_string(), number(*requests, 0), number(*evidence, 3)];
                table.row(std::iter::once(scenario.name.to_owned()).chain(cells));
            }
            let shown = points.iter().take_while(|p| p.0 <= 10_000.0 && p.1 < 12.0);
            let name = String::new();
            let points = shown.map(|p| (p.0, p.1.max(LOWEST))).collect();
            curves.push(Curve { name, class, width: 1.2, points });
        }
    }
    let lines = Lines {
        title: "Evidence against twelve clean versions and twelve with a doubled error rate".into(),
        axes: ["canary requests".into(), "evidence (nats)".into()],
        x: vec![0.0, 2000.0, 4000.0, 6000.0, 8000.0, 10_000.0],
        y: vec![LOWEST, -2.0, 0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0],
        limits: vec![
            (libm::log(20.0), "rollback at alpha 0.05".into()),
            (libm::log(100.0), "rollback at alpha 0.01".into()),
        ],
        curves,
        legend: VERSIONS.map(|(scenario, class)| (class, scenario.name.to_owned())).to_vec(),
    };
    Report {
        tables: vec![table],
        plots: vec![("evidence".into(), lines.svg())],
        ..Report::default()
    }
}

/// Error rates of a clean version.
const RATES: [f64; 10] = [0.0, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02];

fn pass_time(effort: Effort) -> Report {
    let head = ["error rate %", "runs", "PASS %", "median s", "p90 s", "canary requests"];
    let mut table = Table::new("pass-by-rate", &head);
    let (mut median, mut p90) = (Vec::new(), Vec::new());
    for (rate, stream) in RATES.into_iter().zip(770..) {
        let ends: Ends = by_rate(effort, rate, stream);
        let seconds = [0.5, 0.9].map(|level| ends.decided(level, |e| e.seconds));
        median.push((100.0 * rate, seconds[0] / 60.0));
        p90.push((100.0 * rate, seconds[1] / 60.0));
        table.row([
            percent(rate, 2),
            ends.runs().to_string(),
            percent(ends.share(serin_stats::Outcome::Pass), 1),
            number(seconds[0], 0),
            number(seconds[1], 0),
            number(ends.decided(0.5, |e| e.requests), 0),
        ]);
    }
    let curve = |name: &str, class, points| Curve { name: name.into(), class, width: 2.0, points };
    let lines = Lines {
        title: "Time until a clean version passes (100 requests a second, 10 % canary)".into(),
        axes: ["error rate of both arms, %".into(), "minutes".into()],
        x: vec![0.0, 0.5, 1.0, 1.5, 2.0],
        y: vec![0.0, 4.0, 8.0, 12.0, 16.0, 20.0],
        limits: Vec::new(),
        curves: vec![
            curve("median", "line-ours", median),
            curve("90th percentile", "line-other", p90),
        ],
        legend: Vec::new(),
    };
    Report { tables: vec![table], plots: vec![("pass".into(), lines.svg())], ..Report::default() }
}

/// Both.
pub fn run(effort: Effort) -> Report {
    let mut report = paths();
    report.add(pass_time(effort));
    report
}
