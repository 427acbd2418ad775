//! A race: many methods watch the same traffic until each has raised the alarm or time is over.

use crate::parallel;
use crate::traffic::{Moment, Source};

/// Something that watches a rollout and may raise the alarm.
pub trait Watch {
    /// Sees the next stretch of time; whether it alarms now.
    fn observe(&mut self, moment: &Moment) -> bool;

    /// Sees stable's traffic from before there was a canary. Most methods do not care.
    fn before(&mut self, _moment: &Moment) {}
}

/// A method in the tables.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Name in the tables.
    pub name: &'static str,
    /// A fresh watcher.
    pub make: fn() -> Box<dyn Watch>,
}

/// How often is looked and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Looks {
    /// Seconds from one look to the next.
    pub every: u32,
    /// Number of looks.
    pub count: u32,
}

/// One hour with a look every 30 seconds.
pub const HALF_MINUTES: Looks = Looks { every: 30, count: 120 };
/// One hour with a look every second.
pub const SECONDS: Looks = Looks { every: 1, count: 3600 };

/// What had happened when an alarm was raised, counted from the regression's onset.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Alarm {
    /// Before the onset: false.
    pub early: bool,
    /// Seconds.
    pub seconds: f64,
    /// Canary requests.
    pub requests: f64,
    /// Errors among them.
    pub errors: f64,
}

/// How much is simulated, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Runs of a cell.
    pub runs: usize,
    /// Threads.
    pub threads: usize,
}

/// The alarms of each method (outer) in each run (inner). `onset` is in seconds.
pub fn race<S: Source>(
    effort: Effort,
    looks: Looks,
    onset: u32,
    methods: &[Method],
    source: impl Fn(usize) -> S + Sync,
) -> Vec<Vec<Option<Alarm>>> {
    let runs =
        parallel::map(effort.runs, effort.threads, |run| one(source(run), onset, looks, methods));
    (0..methods.len()).map(|m| runs.iter().map(|run| run[m]).collect()).collect()
}

fn one(
    mut source: impl Source,
    onset: u32,
    looks: Looks,
    methods: &[Method],
) -> Vec<Option<Alarm>> {
    let mut watchers: Vec<_> = methods.iter().map(|m| (m.make)()).collect();
    for moment in source.before() {
        for watcher in &mut watchers {
            watcher.before(&moment);
        }
    }
    let mut alarms = vec![None; methods.len()];
    let mut seen = Alarm::default();
    for look in 0..looks.count {
        let moment = source.next(looks.every);
        seen.early = look * looks.every < onset;
        if !seen.early {
            seen.seconds += f64::from(looks.every);
            seen.requests += moment.requests.canary.n as f64;
            seen.errors += moment.requests.canary.errors as f64;
        }
        for (watcher, alarm) in watchers.iter_mut().zip(&mut alarms) {
            if alarm.is_none() && watcher.observe(&moment) {
                *alarm = Some(seen);
            }
        }
        if alarms.iter().all(Option::is_some) {
            break;
        }
    }
    alarms
}

/// What the alarms of a method amount to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Speed {
    /// Runs.
    pub runs: usize,
    /// Share of runs with an alarm, early ones not counted.
    pub rate: f64,
    /// Share of runs with an alarm before the onset.
    pub early: f64,
    /// Median seconds to the alarm; not a number without one.
    pub seconds: f64,
    /// 90th percentile.
    pub seconds_p90: f64,
    /// Median canary requests.
    pub requests: f64,
    /// Median canary errors.
    pub errors: f64,
}

impl Speed {
    /// Summarises the runs of one method.
    pub fn of(alarms: &[Option<Alarm>]) -> Self {
        let all = alarms.len().max(1) as f64;
        let (early, found): (Vec<Alarm>, Vec<Alarm>) =
            alarms.iter().flatten().copied().partition(|a| a.early);
        let pick = |field: fn(&Alarm) -> f64| sorted(found.iter().map(field));
        let seconds = pick(|a| a.seconds);
        Self {
            runs: alarms.len(),
            rate: found.len() as f64 / all,
            early: early.len() as f64 / all,
            seconds: quantile(&seconds, 0.5),
            seconds_p90: quantile(&seconds, 0.9),
            requests: quantile(&pick(|a| a.requests), 0.5),
            errors: quantile(&pick(|a| a.errors), 0.5),
        }
    }
}

/// Values in ascending order.
pub fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Quantile of sorted values with linear interpolation (definition 7 of Hyndman and Fan 1996).
pub fn quantile(sorted: &[f64], level: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = level * last as f64;
    let low = libm::floor(at);
    let high = (low as usize + 1).min(last);
    let below = sorted[low as usize];
    below + (at - low) * (sorted[high] - below)
}
