//! R: whole rollouts, an evidence-gated ladder against Flagger's ramp.

use super::drawn::minutes;
use crate::ours::{Onset, errors, judge};
use crate::parallel;
use crate::plot::{Cell, Panel, Row, Rows};
use crate::report::{Report, Table, Unit, number, percent};
use crate::traffic::{Scenario, Source, Traffic, plain};
use crate::watch::{Effort, quantile, sorted};
use serin_stats::{JudgeSettings, Outcome, Rung};

/// How a rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Promoted,
    RolledBack,
    Inconclusive,
}

/// One rollout.
#[derive(Clone, Copy, Debug)]
struct Rollout {
    ending: Ending,
    seconds: f64,
    requests: f64,
    errors: f64,
}

/// The rollouts of one cell.
struct Rollouts(Vec<Rollout>);

impl Rollouts {
    fn share(&self, ending: Ending) -> f64 {
        self.0.iter().filter(|r| r.ending == ending).count() as f64 / self.0.len().max(1) as f64
    }

    fn median(&self, field: fn(&Rollout) -> f64) -> f64 {
        quantile(&sorted(self.0.iter().map(field)), 0.5)
    }
}

const RATES: [(f64, f64, f64); 15] = [
    (100.0, 0.0, 0.0),
    (100.0, 0.005, 0.005),
    (100.0, 0.005, 0.0075),
    (100.0, 0.005, 0.01),
    (100.0, 0.005, 0.015),
    (100.0, 0.005, 0.05),
    (100.0, 0.005, 0.5),
    (5.0, 0.01, 0.01),
    (5.0, 0.01, 0.02),
    (5.0, 0.01, 0.05),
    (5.0, 0.01, 0.2),
    (1000.0, 0.001, 0.001),
    (1000.0, 0.001, 0.002),
    (1000.0, 0.001, 0.005),
    (1000.0, 0.001, 0.05),
];

/// The ladder's weights.
const LADDER: [f64; 3] = [0.1, 0.25, 0.5];
/// Seconds from one look of the ladder to the next.
const LOOK: u32 = 10;

/// Counts what a rollout costs while it goes on.
struct Course {
    traffic: Traffic,
    rollout: Rollout,
}

impl Course {
    fn new(scenario: Scenario, stream: u64, run: usize) -> Self {
        let (seconds, requests, errors) = (0.0, 0.0, 0.0);
        let rollout = Rollout { ending: Ending::Inconclusive, seconds, requests, errors };
        Self { traffic: Traffic::new(scenario, stream, run), rollout }
    }

    fn next(&mut self, seconds: u32, share: f64) -> serin_stats::Tick {
        self.traffic.set_share(share);
        let tick = self.traffic.next(seconds).requests;
        self.rollout.seconds += f64::from(seconds);
        self.rollout.requests += tick.canary.n as f64;
        self.rollout.errors += tick.canary.errors as f64;
        tick
    }

    fn end(self, ending: Ending) -> Rollout {
        Rollout { ending, ..self.rollout }
    }
}

/// Climbs when the evidence of the rung is there, at most for an hour.
fn ladder(mut course: Course, settings: &JudgeSettings) -> Rollout {
    let mut judge = judge(settings);
    let mut rung = 0;
    for _ in 0..3600 / LOOK {
        judge.observe(&course.next(LOOK, LADDER[rung]));
        match judge.assess(Rung { j: rung as u32 + 1, m: LADDER.len() as u32 }).outcome {
            Outcome::Fail => return course.end(Ending::RolledBack),
            Outcome::Pass if rung + 1 == LADDER.len() => return course.end(Ending::Promoted),
            Outcome::Pass => rung += 1,
            _ => {}
        }
    }
    course.end(Ending::Inconclusive)
}

/// Flagger: each minute that at least 99 % of the canary's requests succeeded moves 10 % more to
/// it, up to 50 %; the fifth minute that did not, in total, rolls back.
fn ramp(mut course: Course) -> Rollout {
    let (mut steps, mut failed) = (1, 0);
    for _ in 0..60 {
        let canary = course.next(60, 0.1 * f64::from(steps)).canary;
        if canary.errors as f64 > 0.01 * canary.n as f64 {
            failed += 1;
            if failed == 5 {
                return course.end(Ending::RolledBack);
            }
        } else if steps == 5 {
            return course.end(Ending::Promoted);
        } else {
            steps += 1;
        }
    }
    course.end(Ending::Inconclusive)
}

const HEAD: [&str; 13] = [
    "rps",
    "stable %",
    "canary %",
    "floor %",
    "method",
    "runs",
    "promoted %",
    "rolled back %",
    "inconclusive %",
    "median s",
    "p90 s",
    "canary requests",
    "canary errors",
];

/// R.
pub fn run(effort: Effort) -> Report {
    let mut report = Report::default();
    let mut table = Table::new("r", &HEAD);
    let mut drawn = Vec::new();
    for (rates, stream) in RATES.into_iter().zip(500..) {
        let harm_floor = floor(rates.1);
        let plain_settings = JudgeSettings { harm_floor, ..errors(0.01, Onset::Plain) };
        let late_settings = JudgeSettings { harm_floor, ..errors(0.01, Onset::Late) };
        let scenario = plain("rollout", rates.0, rates.1, rates.2);
        let runs = |rollout: &(dyn Fn(Course) -> Rollout + Sync)| {
            let one = |run| rollout(Course::new(scenario, stream, run));
            Rollouts(parallel::map(effort.runs, effort.threads, one))
        };
        let ours = runs(&|course| ladder(course, &plain_settings));
        goals(&mut report, rates, &ours, "Serin");
        let flagger = runs(&ramp);
        row(&mut table, rates, "Flagger ramp", &flagger);
        row(&mut table, rates, "Serin ladder", &ours);
        drawn.extend([drawn_row(rates, "Flagger", &flagger), drawn_row(rates, "Serin", &ours)]);
        let late = runs(&|course| ladder(course, &late_settings));
        goals(&mut report, rates, &late, "Serin with onset");
        row(&mut table, rates, "Serin ladder with onset", &late);
    }
    report.tables.push(table);
    report.plots.push(("rollouts".into(), plot(drawn)));
    report
}

fn drawn_row(rates: (f64, f64, f64), method: &str, rollouts: &Rollouts) -> Row {
    let ends = [Ending::Promoted, Ending::RolledBack, Ending::Inconclusive];
    let parts = ends.map(|ending| 100.0 * rollouts.share(ending));
    let (rps, stable, canary) = rates;
    let rates = format!("{rps} rps, {} to {} %", percent(stable, 2), percent(canary, 2));
    Row {
        name: format!("{rates}: {method}"),
        is_ours: method == "Serin",
        is_pale: false,
        cells: vec![Cell::Parts(parts, minutes(rollouts.median(|r| r.seconds)))],
    }
}

fn plot(rows: Vec<Row>) -> String {
    let panel = Panel {
        title: "promoted (green), rolled back (red), neither within an hour (grey)".to_owned(),
        range: (0.0, 100.0),
        logarithmic: false,
        ticks: [0, 50, 100].map(|at| (f64::from(at), format!("{at} %"))).to_vec(),
        limit: None,
    };
    let title = "Whole rollouts: the ladder of evidence against a ramp with a threshold".to_owned();
    let note = "Right: median time until the rollout ended.".to_owned();
    Rows { title, note, panels: vec![panel], rows }.svg()
}

/// The default, or stable's own rate where that is lower: below the floor nothing is harm.
fn floor(stable: f64) -> f64 {
    let default = JudgeSettings::default().harm_floor;
    if stable > 0.0 { default.min(stable) } else { default }
}

fn row(table: &mut Table, rates: (f64, f64, f64), method: &str, rollouts: &Rollouts) {
    let seconds = sorted(rollouts.0.iter().map(|r| r.seconds));
    table.row([
        rates.0.to_string(),
        percent(rates.1, 2),
        percent(rates.2, 2),
        percent(floor(rates.1), 1),
        method.to_owned(),
        rollouts.0.len().to_string(),
        percent(rollouts.share(Ending::Promoted), 1),
        percent(rollouts.share(Ending::RolledBack), 1),
        percent(rollouts.share(Ending::Inconclusive), 1),
        number(quantile(&seconds, 0.5), 0),
        number(quantile(&seconds, 0.9), 0),
        number(rollouts.median(|r| r.requests), 0),
        number(rollouts.median(|r| r.errors), 0),
    ]);
}

fn goals(report: &mut Report, (rps, stable, canary): (f64, f64, f64), ours: &Rollouts, name: &str) {
    let rates = format!("{rps} rps, {} to {} %: {name}", percent(stable, 2), percent(canary, 2));
    if canary > stable && canary >= 2.0 * stable {
        let wrong = ours.share(Ending::Promoted);
        report.goal(format!("rollout wrongly promoted, {rates}"), 0.05, wrong, Unit::Share);
    }
    if (canary - stable).abs() < f64::EPSILON {
        let wrong = ours.share(Ending::RolledBack);
        report.goal(format!("rollout wrongly rolled back, {rates}"), 0.01, wrong, Unit::Share);
    }
    let clean = (canary - stable).abs() < f64::EPSILON && (rps - 100.0).abs() < f64::EPSILON;
    if clean {
        let limit = if stable > 0.0 { 210.0 } else { 90.0 };
        let median = ours.median(|r| r.seconds);
        report.goal(format!("clean rollout done, {rates}"), limit, median, Unit::Seconds);
    }
}
