//! M: ten metrics at once, judged together and one by one.

use crate::ours::{Onset, errors, judge};
use crate::report::{Report, Table, Unit, number, percent};
use crate::rng::Rng;
use crate::traffic::{Moment, Source};
use crate::watch::{Effort, HALF_MINUTES, Method, Speed, Watch, race};
use serin_stats::{Judge, JudgeSettings, Kind, Metric, MetricSettings, Sample, Tick};

/// How many metrics there are.
const METRICS: usize = 10;
const ALPHA: f64 = 0.05;

/// Ten independent kinds of errors, each 0.5 % of stable's requests; some are more frequent in
/// the canary.
struct Kinds {
    rng: Rng,
    bad: usize,
    times: f64,
}

fn name(index: usize) -> Metric {
    Metric::Named(format!("kind-{index}"))
}

impl Source for Kinds {
    fn next(&mut self, seconds: u32) -> Moment {
        let all = self.rng.poisson(100.0 * f64::from(seconds));
        let canary = self.rng.binomial(all, 0.1);
        let baseline = all - canary;
        let samples = (0..METRICS).map(|index| {
            let times = if index < self.bad { self.times } else { 1.0 };
            let sample = Sample::Share {
                baseline: (baseline, self.rng.binomial(baseline, 0.005)),
                canary: (canary, self.rng.binomial(canary, 0.005 * times)),
            };
            (name(index), sample)
        });
        let mut tick = Tick { seconds, samples: samples.collect(), ..Tick::default() };
        (tick.baseline.n, tick.canary.n) = (baseline, canary);
        Moment { requests: tick, ..Moment::default() }
    }
}

fn share(index: usize) -> MetricSettings {
    let kind = Kind::Share { harm_ratio: 2.0, harm_floor: 0.005 };
    MetricSettings { metric: name(index), role: serin_stats::Role::Critical, kind }
}

/// Judges each of which can roll back.
struct Judges(Vec<Judge>);

impl Judges {
    fn boxed(alpha: f64, groups: Vec<Vec<MetricSettings>>) -> Box<dyn Watch> {
        let of = |metrics| judge(&JudgeSettings { metrics, ..errors(alpha, Onset::Plain) });
        Box::new(Self(groups.into_iter().map(of).collect()))
    }
}

impl Watch for Judges {
    fn observe(&mut self, moment: &Moment) -> bool {
        for judge in &mut self.0 {
            judge.observe(&moment.requests);
        }
        self.0.iter().any(|judge| judge.failure().is_some())
    }
}

fn together() -> Vec<Vec<MetricSettings>> {
    vec![(0..METRICS).map(share).collect()]
}

fn apart() -> Vec<Vec<MetricSettings>> {
    (0..METRICS).map(|index| vec![share(index)]).collect()
}

const METHODS: [Method; 3] = [
    Method { name: "Serin, mean of e-values", make: || Judges::boxed(ALPHA, together()) },
    Method { name: "Bonferroni", make: || Judges::boxed(ALPHA / METRICS as f64, apart()) },
    Method { name: "uncorrected", make: || Judges::boxed(ALPHA, apart()) },
];

/// M.
pub fn run(effort: Effort) -> Report {
    let mut report = Report::default();
    let head = ["scenario", "method", "runs", "alarms %", "median s", "canary requests"];
    let mut table = Table::new("m", &head);
    let scenarios = [("none bad", 0, 1.0), ("one bad, 3 x", 1, 3.0), ("three bad, 2 x", 3, 2.0)];
    for ((scenario, bad, times), stream) in scenarios.into_iter().zip(700..) {
        let source = |run| Kinds { rng: Rng::of(stream, run as u64), bad, times };
        let alarms = race(effort, HALF_MINUTES, 0, &METHODS, source);
        for (method, alarms) in METHODS.iter().zip(&alarms) {
            let speed = Speed::of(alarms);
            table.row([
                scenario.to_owned(),
                method.name.to_owned(),
                speed.runs.to_string(),
                percent(speed.rate, 2),
                number(speed.seconds, 0),
                number(speed.requests, 0),
            ]);
        }
        if bad == 0 {
            let rate = Speed::of(&alarms[0]).rate;
            report.goal("ten metrics, false alarms, alpha 0.05", ALPHA, rate, Unit::Share);
        }
    }
    report.tables.push(table);
    report
}
