//! Serin's own judge as a method among others, through its public interface only.

use crate::traffic::Moment;
use crate::watch::{Method, Watch};
use serin_stats::{Judge, JudgeConfig, JudgeSettings, Metric, Tick};

/// Whether the judge looks for regressions that begin late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onset {
    /// Evidence from the start only.
    Plain,
    /// The onset mixture.
    Late,
}

/// Settings for the error rate alone.
pub fn errors(alpha: f64, onset: Onset) -> JudgeSettings {
    let metrics = vec![Metric::Errors.into()];
    JudgeSettings { alpha, late_onset: onset == Onset::Late, metrics, ..JudgeSettings::default() }
}

/// A judge. The settings are this crate's own, so they are in range.
pub fn judge(settings: &JudgeSettings) -> Judge {
    Judge::new(JudgeConfig::new(settings.clone()).expect("settings of a benchmark are in range"))
}

/// Settings for the latency distribution alone.
pub fn latency(alpha: f64, tolerance: f64) -> JudgeSettings {
    let (latency_tolerance, metrics) = (tolerance, vec![Metric::Latency.into()]);
    JudgeSettings { alpha, latency_tolerance, metrics, ..JudgeSettings::default() }
}

/// A judge that watches one of the units.
struct Ours {
    judge: Judge,
    unit: fn(&Moment) -> &Tick,
    /// It saw stable before there was a canary.
    knows_stable: bool,
}

impl Watch for Ours {
    fn before(&mut self, moment: &Moment) {
        if self.knows_stable {
            self.judge.observe((self.unit)(moment));
        }
    }

    fn observe(&mut self, moment: &Moment) -> bool {
        self.judge.observe((self.unit)(moment));
        self.judge.failure().is_some()
    }
}

fn requests(alpha: f64, onset: Onset) -> Box<dyn Watch> {
    let judge = judge(&errors(alpha, onset));
    Box::new(Ours { judge, unit: |m| &m.requests, knows_stable: false })
}

fn sessions(alpha: f64, onset: Onset) -> Box<dyn Watch> {
    let judge = judge(&errors(alpha, onset));
    Box::new(Ours { judge, unit: |m| &m.sessions, knows_stable: false })
}

fn corrected(alpha: f64, onset: Onset, knows_stable: bool) -> Box<dyn Watch> {
    Box::new(Ours { judge: judge(&errors(alpha, onset)), unit: |m| &m.split, knows_stable })
}

/// The judge on requests.
pub const REQUESTS: [Method; 4] = [
    Method { name: "Serin, alpha 0.05", make: || requests(0.05, Onset::Plain) },
    Method { name: "Serin, alpha 0.01", make: || requests(0.01, Onset::Plain) },
    Method { name: "Serin with onset, alpha 0.05", make: || requests(0.05, Onset::Late) },
    Method { name: "Serin with onset, alpha 0.01", make: || requests(0.01, Onset::Late) },
];

/// The judge on sessions.
pub const SESSIONS: [Method; 4] = [
    Method { name: "Serin on sessions, alpha 0.05", make: || sessions(0.05, Onset::Plain) },
    Method { name: "Serin on sessions, alpha 0.01", make: || sessions(0.01, Onset::Plain) },
    Method {
        name: "Serin on sessions with onset, alpha 0.05",
        make: || sessions(0.05, Onset::Late),
    },
    Method {
        name: "Serin on sessions with onset, alpha 0.01",
        make: || sessions(0.01, Onset::Late),
    },
];

/// The judge on requests that belong together, with the clumping measured on stable's users.
pub const CORRECTED: [Method; 4] = [
    Method {
        name: "Serin, clumping measured meanwhile, alpha 0.05",
        make: || corrected(0.05, Onset::Plain, false),
    },
    Method {
        name: "Serin, clumping measured before, alpha 0.05",
        make: || corrected(0.05, Onset::Plain, true),
    },
    Method {
        name: "Serin, clumping measured before, alpha 0.01",
        make: || corrected(0.01, Onset::Plain, true),
    },
    Method {
        name: "Serin with onset, clumping measured before, alpha 0.05",
        make: || corrected(0.05, Onset::Late, true),
    },
];

fn timed(alpha: f64, tolerance: f64, knows_stable: bool) -> Box<dyn Watch> {
    let judge = judge(&latency(alpha, tolerance));
    Box::new(Ours { judge, unit: |m| &m.requests, knows_stable })
}

/// Mean latency alone, or beside the distribution; without tolerance.
fn mean(alpha: f64, metrics: &[Metric]) -> Box<dyn Watch> {
    let metrics = metrics.iter().cloned().map(Into::into).collect();
    let judge = judge(&JudgeSettings { metrics, ..latency(alpha, 0.0) });
    Box::new(Ours { judge, unit: |m| &m.requests, knows_stable: false })
}

const BOTH: [Metric; 2] = [Metric::Latency, Metric::MeanLatency];

/// The judge on latencies: without tolerance, with 5 % and with the default of 11 %.
pub const LATENCY: [Method; 10] = [
    Method { name: "Serin, alpha 0.05", make: || timed(0.05, 0.0, false) },
    Method { name: "Serin, alpha 0.01", make: || timed(0.01, 0.0, false) },
    Method { name: "Serin that knew stable before, alpha 0.05", make: || timed(0.05, 0.0, true) },
    Method { name: "Serin that knew stable before, alpha 0.01", make: || timed(0.01, 0.0, true) },
    Method { name: "Serin, tolerance 5 %, alpha 0.05", make: || timed(0.05, 0.05, false) },
    Method { name: "Serin, tolerance 11 %, alpha 0.05", make: || timed(0.05, 0.11, false) },
    Method { name: "Serin, tolerance 11 %, alpha 0.01", make: || timed(0.01, 0.11, false) },
    Method { name: "Serin on the mean, alpha 0.05", make: || mean(0.05, &[Metric::MeanLatency]) },
    Method { name: "Serin on both, alpha 0.05", make: || mean(0.05, &BOTH) },
    Method { name: "Serin on both, alpha 0.01", make: || mean(0.01, &BOTH) },
];
