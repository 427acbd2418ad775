//! PASS: how soon a clean version passes and how often a harmful one does (P, D, floor, border).

use crate::ours::{Onset, errors, judge};
use crate::parallel;
use crate::report::{Report, Table, Unit, number, percent};
use crate::traffic::{HARMLESS, Scenario, Source, Traffic, plain};
use crate::watch::{Effort, HALF_MINUTES, Looks, quantile, sorted};
use serin_stats::{JudgeSettings, Outcome, Rung};

/// One hour with a look every 5 seconds.
const FIVE_SECONDS: Looks = Looks { every: 5, count: 720 };
/// A floor so low that only the ratio counts.
const NO_FLOOR: f64 = 1e-6;
/// So that no FAIL hides a wrong PASS.
const NEVER_FAIL: f64 = 1e-9;

/// How a run ended.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// PASS, FAIL, or CONTINUE when time was over.
    pub outcome: Outcome,
    /// Seconds until then.
    pub seconds: f64,
    /// Canary requests until then.
    pub requests: f64,
}

/// How many runs ended in which way.
#[derive(Clone, Debug)]
pub struct Ends(Vec<End>);

impl Ends {
    /// How many runs there were.
    pub fn runs(&self) -> usize {
        self.0.len()
    }

    /// Share of runs with this outcome.
    pub fn share(&self, outcome: Outcome) -> f64 {
        self.0.iter().filter(|e| e.outcome == outcome).count() as f64 / self.0.len().max(1) as f64
    }

    /// Quantile of a figure over the runs that were decided.
    pub fn decided(&self, level: f64, field: fn(&End) -> f64) -> f64 {
        let decided = self.0.iter().filter(|e| e.outcome != Outcome::Continue);
        quantile(&sorted(decided.map(field)), level)
    }
}

/// How a version is judged.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// The judge's settings.
    pub settings: &'a JudgeSettings,
    /// When it is asked.
    pub looks: Looks,
    /// Whether it saw stable before there was a canary.
    pub knows_stable: bool,
}

/// Looks until PASS or FAIL, or until time is over.
pub fn decide<S: Source>(
    effort: Effort,
    decision: Decision<'_>,
    source: impl Fn(usize) -> S + Sync,
) -> Ends {
    let one = |run| decide_one(decision, source(run));
    Ends(parallel::map(effort.runs, effort.threads, one))
}

fn decide_one(decision: Decision<'_>, mut source: impl Source) -> End {
    let mut judge = judge(decision.settings);
    if decision.knows_stable {
        source.before().iter().for_each(|moment| judge.observe(&moment.requests));
    }
    let mut end = End { outcome: Outcome::Continue, seconds: 0.0, requests: 0.0 };
    for _ in 0..decision.looks.count {
        let tick = source.next(decision.looks.every).requests;
        judge.observe(&tick);
        end.seconds += f64::from(decision.looks.every);
        end.requests += tick.canary.n as f64;
        let outcome = judge.assess(Rung::LAST).outcome;
        if matches!(outcome, Outcome::Pass | Outcome::Fail) {
            return End { outcome, ..end };
        }
    }
    end
}

/// The same on error counts.
fn decide_errors(
    effort: Effort,
    settings: &JudgeSettings,
    scenario: Scenario,
    stream: u64,
    looks: Looks,
) -> Ends {
    let decision = Decision { settings, looks, knows_stable: false };
    decide(effort, decision, |run| Traffic::new(scenario, stream, run))
}

/// PASS of a clean version with default settings, by the error rate of both arms.
pub fn by_rate(effort: Effort, rate: f64, stream: u64) -> Ends {
    let settings = errors(NEVER_FAIL, Onset::Plain);
    decide_errors(effort, &settings, plain("clean", 100.0, rate, rate), stream, FIVE_SECONDS)
}

/// P: evidence from the ratio alone.
fn by_margin(effort: Effort) -> Report {
    let mut report = Report::default();
    let mut table = Table::new(
        "p",
        &["scenario", "harm ratio", "runs", "PASS %", "median s", "p90 s", "canary requests"],
    );
    for (at, scenario) in HARMLESS[..3].iter().enumerate() {
        for (margin, harm_ratio) in [1.5, 2.0, 3.0].into_iter().enumerate() {
            let settings = JudgeSettings {
                harm_ratio,
                harm_floor: NO_FLOOR,
                ..errors(NEVER_FAIL, Onset::Plain)
            };
            let stream = 400 + (3 * at + margin) as u64;
            let ends = decide_errors(effort, &settings, *scenario, stream, HALF_MINUTES);
            table.row([
                scenario.name.to_owned(),
                harm_ratio.to_string(),
                effort.runs.to_string(),
                percent(ends.share(Outcome::Pass), 1),
                number(ends.decided(0.5, |e| e.seconds), 0),
                number(ends.decided(0.9, |e| e.seconds), 0),
                number(ends.decided(0.5, |e| e.requests), 0),
            ]);
        }
    }
    report.tables.push(table);
    report
}

/// Wrong PASS when the true ratio is the margin.
fn at_margin(effort: Effort) -> Report {
    let mut report = Report::default();
    let mut table = Table::new("p-wrong", &["harm ratio", "runs", "wrong PASS %"]);
    for (harm_ratio, stream) in [(1.5, 420), (2.0, 421), (3.0, 422)] {
        let settings =
            JudgeSettings { harm_ratio, harm_floor: NO_FLOOR, ..errors(NEVER_FAIL, Onset::Plain) };
        let scenario = plain("border", 100.0, 0.005, 0.005 * harm_ratio);
        let wrong =
            decide_errors(effort, &settings, scenario, stream, HALF_MINUTES).share(Outcome::Pass);
        table.row([harm_ratio.to_string(), effort.runs.to_string(), percent(wrong, 2)]);
        report.goal(
            format!("wrong PASS at ratio {harm_ratio} (no floor)"),
            0.05,
            wrong,
            Unit::Share,
        );
    }
    report.tables.push(table);
    report
}

/// D: both tests until one decides.
fn both(effort: Effort) -> Report {
    let head =
        ["true ratio", "floor %", "runs", "rollback %", "promote %", "inconclusive %", "median s"];
    let mut table = Table::new("d", &head);
    let looks = Looks { every: 30, count: 2880 };
    for (floor_at, harm_floor) in [NO_FLOOR, 0.005].into_iter().enumerate() {
        for (at, ratio) in [1.0, 1.5, 2.0, 3.0].into_iter().enumerate() {
            let settings = JudgeSettings { harm_floor, ..errors(0.01, Onset::Plain) };
            let scenario = plain("both", 100.0, 0.005, 0.005 * ratio);
            let stream = 430 + (4 * floor_at + at) as u64;
            let ends = decide_errors(effort, &settings, scenario, stream, looks);
            table.row([
                ratio.to_string(),
                if harm_floor > NO_FLOOR { percent(harm_floor, 1) } else { "none".to_owned() },
                effort.runs.to_string(),
                percent(ends.share(Outcome::Fail), 1),
                percent(ends.share(Outcome::Pass), 1),
                percent(ends.share(Outcome::Continue), 1),
                number(ends.decided(0.5, |e| e.seconds), 0),
            ]);
        }
    }
    Report { tables: vec![table], ..Report::default() }
}

/// Floor, error rate of both arms, requests a second, seconds to reach.
const FLOORS: [(f64, f64, f64, Option<f64>); 6] = [
    (0.005, 0.0, 100.0, Some(90.0)),
    (0.005, 0.001, 100.0, Some(150.0)),
    (0.005, 0.005, 100.0, Some(270.0)),
    (0.005, 0.0, 5.0, None),
    (0.001, 0.0, 100.0, None),
    (0.01, 0.0, 100.0, None),
];

/// PASS of a clean version with a floor.
fn with_floor(effort: Effort) -> Report {
    let mut report = Report::default();
    let head = [
        "floor %",
        "error rate %",
        "rps",
        "runs",
        "PASS %",
        "median s",
        "p90 s",
        "canary requests",
    ];
    let mut table = Table::new("floor", &head);
    for ((harm_floor, rate, rps, goal), stream) in FLOORS.into_iter().zip(440..) {
        let settings = JudgeSettings { harm_floor, ..errors(NEVER_FAIL, Onset::Plain) };
        let scenario = plain("floor", rps, rate, rate);
        let ends = decide_errors(effort, &settings, scenario, stream, FIVE_SECONDS);
        let median = ends.decided(0.5, |e| e.seconds);
        table.row([
            percent(harm_floor, 1),
            percent(rate, 1),
            rps.to_string(),
            effort.runs.to_string(),
            percent(ends.share(Outcome::Pass), 1),
            number(median, 0),
            number(ends.decided(0.9, |e| e.seconds), 0),
            number(ends.decided(0.5, |e| e.requests), 0),
        ]);
        if let Some(goal) = goal {
            let what = format!("PASS of a clean version, {} % errors", percent(rate, 1));
            report.goal(what, goal, median, Unit::Seconds);
        }
    }
    report.tables.push(table);
    report
}

/// Wrong PASS exactly at the border of harm: 3 floors, 4 rates of stable.
fn at_border(effort: Effort) -> Report {
    let mut report = Report::default();
    let head = ["floor %", "stable %", "canary %", "runs", "wrong PASS %"];
    let mut table = Table::new("border", &head);
    let cases = [0.001, 0.005, 0.01]
        .into_iter()
        .flat_map(|floor| [0.5, 0.0, 1.0, 0.25].map(|part| (floor, floor * part)));
    for ((harm_floor, stable), stream) in cases.zip(450..) {
        let canary = f64::max(2.0 * stable, harm_floor);
        let settings = JudgeSettings { harm_floor, ..errors(NEVER_FAIL, Onset::Plain) };
        let scenario = plain("border", 100.0, stable, canary);
        let ends = decide_errors(effort, &settings, scenario, stream, FIVE_SECONDS);
        let wrong = ends.share(Outcome::Pass);
        let shown = [harm_floor, stable, canary].map(|rate| percent(rate, 3));
        let [floor, stable, canary] = shown.clone();
        table.row(shown.into_iter().chain([effort.runs.to_string(), percent(wrong, 2)]));
        let what = format!("wrong PASS at the border: floor {floor} %, {stable} to {canary} %");
        report.goal(what, 0.05, wrong, Unit::Share);
    }
    report.tables.push(table);
    report
}

/// All of it.
pub fn run(effort: Effort) -> Report {
    let mut report = with_floor(effort);
    for part in [at_border, by_margin, at_margin, both] {
        report.add(part(effort));
    }
    report
}
