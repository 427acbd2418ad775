//! Weights that follow the evidence, and steps that are climbed by two metrics.

use crate::latency::{LatencyScenario, LatencyTraffic, SAME, Slowness};
use crate::ours::{Onset, errors, judge};
use crate::parallel;
use crate::report::{Report, Table, Unit, number, percent};
use crate::rng::Rng;
use crate::traffic::{HARMLESS, Moment, Source, Traffic};
use crate::watch::{Effort, quantile, sorted};
use serin_stats::{JudgeSettings, Outcome, Rung};

/// A clean version whose weight rises by a fifth while the evidence against it is below 1 and
/// falls by a fifth while it is not, between 2 and 50 %.
fn steered(effort: Effort, alpha: f64, onset: Onset) -> f64 {
    let alarms = parallel::map(effort.runs, effort.threads, |run| {
        let mut traffic = Traffic::new(HARMLESS[0], 720, run);
        let mut judge = judge(&errors(alpha, onset));
        let mut share: f64 = 0.1;
        for _ in 0..120 {
            traffic.set_share(share);
            judge.observe(&traffic.next(30).requests);
            if judge.failure().is_some() {
                return true;
            }
            let against = judge.assess(Rung::LAST).fail_evidence;
            share = (share * if against < 0.0 { 1.2 } else { 0.8 }).clamp(0.02, 0.5);
        }
        false
    });
    alarms.iter().filter(|alarm| **alarm).count() as f64 / alarms.len().max(1) as f64
}

/// Errors and latencies of one version.
struct Both {
    latency: LatencyTraffic,
    rng: Rng,
    rates: (f64, f64),
}

impl Both {
    fn next(&mut self, seconds: u32, share: f64) -> Moment {
        self.latency.set_share(share);
        let mut moment = self.latency.next(seconds);
        let tick = &mut moment.requests;
        // The failed ones come on top, so that latencies are those of the others.
        for (arm, rate) in [(&mut tick.baseline, self.rates.0), (&mut tick.canary, self.rates.1)] {
            arm.errors = self.rng.binomial(arm.n, rate);
            arm.n += arm.errors;
        }
        moment
    }
}

/// A version: name, what is wrong with its latency, error rates.
const VERSIONS: [(&str, Slowness, (f64, f64)); 6] = [
    ("clean, no errors", SAME.canary, (0.0, 0.0)),
    ("clean, 0.5 % errors", SAME.canary, (0.005, 0.005)),
    ("errors 0.5 to 1 %", SAME.canary, (0.005, 0.01)),
    ("+25 %", Slowness::Scaled(1.25), (0.005, 0.005)),
    ("+500 ms on 2 %", Slowness::Delayed(0.02, 500.0), (0.005, 0.005)),
    ("+1 s on 1 %", Slowness::Delayed(0.01, 1000.0), (0.005, 0.005)),
];

/// A rollout by the default settings over 10, 25 and 50 %, with looks every 10 s.
fn climb(mut both: Both) -> (Outcome, f64) {
    const LADDER: [f64; 3] = [0.1, 0.25, 0.5];
    let mut judge = judge(&JudgeSettings::default());
    for _ in 0..6 {
        judge.observe(&both.next(10, 0.0).requests);
    }
    let mut rung = 0;
    for look in 1..=360 {
        judge.observe(&both.next(10, LADDER[rung]).requests);
        let asked = Rung { j: rung as u32 + 1, m: LADDER.len() as u32 };
        match judge.assess(asked).outcome {
            Outcome::Fail => return (Outcome::Fail, f64::from(10 * look)),
            Outcome::Pass if rung + 1 == LADDER.len() => {
                return (Outcome::Pass, f64::from(10 * look));
            }
            Outcome::Pass => rung += 1,
            _ => {}
        }
    }
    (Outcome::Continue, 3600.0)
}

fn climbs(effort: Effort, report: &mut Report) {
    let head =
        ["version", "runs", "promoted %", "rolled back %", "inconclusive %", "median s", "p90 s"];
    let mut table = Table::new("r-both", &head);
    for ((name, canary, rates), stream) in VERSIONS.into_iter().zip(730..) {
        let scenario = LatencyScenario { canary, ..SAME };
        let ends = parallel::map(effort.runs, effort.threads, |run| {
            let latency = LatencyTraffic::new(scenario, stream, run);
            climb(Both { latency, rng: Rng::of(stream + 20, run as u64), rates })
        });
        let share = |outcome| {
            ends.iter().filter(|e| e.0 == outcome).count() as f64 / ends.len().max(1) as f64
        };
        let seconds = sorted(ends.iter().map(|e| e.1));
        let [promoted, rolled_back] = [share(Outcome::Pass), share(Outcome::Fail)];
        table.row([
            name.to_owned(),
            ends.len().to_string(),
            percent(promoted, 2),
            percent(rolled_back, 2),
            percent(share(Outcome::Continue), 2),
            number(quantile(&seconds, 0.5), 0),
            number(quantile(&seconds, 0.9), 0),
        ]);
        if name.starts_with("clean") {
            let what = format!("two metrics, rolled back: {name}");
            report.goal(what, 0.01, rolled_back, Unit::Share);
        } else {
            let what = format!("two metrics, wrongly promoted: {name}");
            report.goal(what, 0.05, promoted, Unit::Share);
        }
    }
    report.tables.push(table);
}

/// Both.
pub fn run(effort: Effort) -> Report {
    let mut report = Report::default();
    let mut table = Table::new("r-steered", &["alpha", "onset", "runs", "false alarms %"]);
    for alpha in [0.05, 0.01] {
        for (onset, name) in [(Onset::Plain, "no"), (Onset::Late, "yes")] {
            let rate = steered(effort, alpha, onset);
            let runs = effort.runs.to_string();
            table.row([alpha.to_string(), name.to_owned(), runs, percent(rate, 2)]);
            let what = format!("weights that follow the evidence, alpha {alpha}, onset {name}");
            report.goal(what, alpha, rate, Unit::Share);
        }
    }
    report.tables.push(table);
    climbs(effort, &mut report);
    report
}
