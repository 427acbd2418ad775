//! Rules of thumb: how long a bake has to be for which kind of failure, how large a first share.

use super::Question;
use super::model::{Mixture, Traffic};
use crate::assessment::Rung;
use serde::Serialize;

/// A kind of failure by the time it takes to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// Crashes and errors of single requests.
    Crash,
    /// Memory that is never given back.
    MemoryLeak,
    /// Connections, handles or threads that are never given back.
    PoolExhaustion,
    /// Caches, queues and tables that slow down as they fill.
    SlowDecay,
}

/// How long a failure of some kind takes to show under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bake {
    /// The kind.
    pub kind: FailureKind,
    /// In words.
    pub name: &'static str,
    /// Shorter than this it is seldom seen: seconds.
    pub at_least: u64,
    /// After this it has usually shown: seconds.
    pub usually: u64,
}

/// Smallest bakes by kind of failure, quickest first. Experience, not statistics: they depend on
/// load and on limits.
pub const BAKES: [Bake; 4] = [
    Bake { kind: FailureKind::Crash, name: "crashes", at_least: 300, usually: 300 },
    Bake { kind: FailureKind::MemoryLeak, name: "memory leaks", at_least: 900, usually: 1200 },
    Bake {
        kind: FailureKind::PoolExhaustion,
        name: "connection or pool exhaustion",
        at_least: 1200,
        usually: 1800,
    },
    Bake { kind: FailureKind::SlowDecay, name: "slow decay", at_least: 1800, usually: 3600 },
];

/// The kinds of failure that a rollout which watches its canary for `seconds` is too short to see.
pub fn unseen(seconds: u64) -> Vec<Bake> {
    BAKES.into_iter().filter(|bake| bake.at_least > seconds).collect()
}

/// A usual first share for a service with so many requests a day.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct UsualShare {
    /// From so many requests a day.
    pub from: f64,
    /// Smallest usual share.
    pub low: f64,
    /// Largest usual share.
    pub high: f64,
}

/// Usual first shares, busiest services first. For a share that is computed from the error rate see
/// [`Question::smallest_share`].
pub const USUAL_SHARES: [UsualShare; 4] = [
    UsualShare { from: 1e7, low: 0.01, high: 0.05 },
    UsualShare { from: 1e6, low: 0.1, high: 0.1 },
    UsualShare { from: 1e5, low: 0.15, high: 0.2 },
    UsualShare { from: 0.0, low: 0.25, high: 0.5 },
];

/// The row of [`USUAL_SHARES`] for a service; the first boundary belongs to the row below.
pub fn usual_share(requests_per_day: f64) -> UsualShare {
    let [busiest, .., quietest] = USUAL_SHARES;
    if requests_per_day > busiest.from {
        return busiest;
    }
    let rest = USUAL_SHARES.into_iter().skip(1);
    rest.clone().find(|row| requests_per_day >= row.from).unwrap_or(quietest)
}

/// One step of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// The canary's share.
    pub share: f64,
    /// Canary requests until a clean version may go on, in half of all rollouts.
    pub canary: u64,
    /// Seconds they take.
    pub seconds: f64,
    /// Seconds from the start to its end.
    pub until: f64,
}

/// Shares to climb: `first`, then about two and a half times as much, up to a half.
pub fn ladder(first: f64) -> Vec<f64> {
    const RUNGS: [f64; 6] = [0.01, 0.02, 0.05, 0.1, 0.25, 0.5];
    let mut shares = vec![first];
    for rung in RUNGS {
        if shares.last().is_none_or(|last| rung >= 1.9 * last) {
            shares.push(rung);
        }
    }
    shares
}

/// How long each of `shares` takes for a version as good as the baseline, when rung j of m is passed
/// at `beta^(-j/m)` and evidence is kept from step to step. Empty when the traffic is not known or
/// the version would never pass.
pub fn schedule(question: &Question, shares: &[f64]) -> Vec<Stage> {
    let (Some(rps), m) = (question.rps, shares.len() as u32) else { return Vec::new() };
    let harm = question.config.error_harm();
    let mut stages: Vec<Stage> = Vec::new();
    let mut before: Option<(Mixture, f64)> = None;
    for (j, share) in (1..).zip(shares.iter().copied()) {
        let rate = question.baseline;
        let traffic = Traffic { canary_rate: rate, baseline_rate: rate, share, tick: rps };
        let fresh = Mixture::pass(&traffic, &harm);
        let mixture = before.map_or(fresh.clone(), |(old, n)| fresh.after(&old, n));
        let needed = question.config.pass_needed() * Rung { j, m }.part();
        let Some(n) = mixture.requests(needed) else { return Vec::new() };
        let seconds = libm::ceil(n / (rps * share));
        let until = stages.last().map_or(0.0, |stage| stage.until) + seconds;
        stages.push(Stage { share, canary: libm::ceil(n).min(1e18) as u64, seconds, until });
        before = Some((mixture, n));
    }
    stages
}
