//! Simulated latencies of both arms.

use crate::rng::Rng;
use crate::traffic::{Moment, Source, Sums};
use serin_stats::{ArmTick, BUCKETS, Histogram, Tick, bucket_of_us};
use std::f64::consts::PI;

/// In which way the canary is slower.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slowness {
    /// Every request takes so many times as long.
    Scaled(f64),
    /// A share of the requests takes so many milliseconds more.
    Delayed(f64, f64),
    /// A share of the requests takes so many times as long.
    Multiplied(f64, f64),
}

/// A scenario.
#[derive(Clone, Copy, Debug)]
pub struct LatencyScenario {
    /// Name in the tables.
    pub name: &'static str,
    /// What is wrong with the canary.
    pub canary: Slowness,
    /// Requests a second over both arms.
    pub rps: f64,
    /// Share of the canary.
    pub share: f64,
}

const fn scenario(name: &'static str, canary: Slowness) -> LatencyScenario {
    LatencyScenario { name, canary, rps: 100.0, share: 0.1 }
}

/// No difference.
pub const SAME: LatencyScenario = scenario("same", Slowness::Scaled(1.0));

/// All scenarios, the harmless one first.
pub const SCENARIOS: [LatencyScenario; 7] = [
    SAME,
    scenario("+5 %", Slowness::Scaled(1.05)),
    scenario("+10 %", Slowness::Scaled(1.1)),
    scenario("+25 %", Slowness::Scaled(1.25)),
    scenario("+500 ms on 2 %", Slowness::Delayed(0.02, 500.0)),
    scenario("+1 s on 1 %", Slowness::Delayed(0.01, 1000.0)),
    scenario("x 5 on 5 %", Slowness::Multiplied(0.05, 5.0)),
];

/// Spread of a request around the median (of the logarithm).
const SIGMA: f64 = 0.6;
/// Seconds between changes of the median that both arms share.
const DRIFT_SECONDS: u32 = 30;

/// Lognormal latencies around a median of 80 ms that both arms share and that moves: a daily wave
/// in fast motion and a first-order autoregression.
#[derive(Debug)]
pub struct LatencyTraffic {
    scenario: LatencyScenario,
    rng: Rng,
    now: u32,
    drift: f64,
    counts: Vec<u64>,
}

impl LatencyTraffic {
    /// The traffic of run number `run`.
    pub fn new(scenario: LatencyScenario, stream: u64, run: usize) -> Self {
        let rng = Rng::of(stream, run as u64);
        Self { scenario, rng, now: 0, drift: 0.0, counts: vec![0; BUCKETS] }
    }

    /// Sends another part of the requests to the canary from now on.
    pub fn set_share(&mut self, share: f64) {
        self.scenario.share = share;
    }

    /// `ln` of the median in microseconds.
    fn level(&mut self) -> f64 {
        if self.now.is_multiple_of(DRIFT_SECONDS) {
            self.drift = 0.8 * self.drift + 0.05 * self.rng.normal();
        }
        let wave = 0.1 * libm::sin(4.0 * PI * f64::from(self.now) / 3600.0);
        libm::log(80_000.0) + wave + self.drift
    }

    fn arm(&mut self, n: u64, level: f64, slowness: Slowness) -> (ArmTick, Sums) {
        let mut sums = Sums { n: n as f64, ..Sums::default() };
        for _ in 0..n {
            let us = self.request(level, slowness);
            self.counts[usize::from(bucket_of_us(us as u64))] += 1;
            sums.sum += us / 1000.0;
            sums.squares += us * us / 1e6;
        }
        let filled = self.counts.iter_mut().enumerate().filter(|(_, count)| **count > 0);
        let latency: Histogram =
            filled.map(|(bucket, count)| (bucket as u16, std::mem::take(count))).collect();
        (ArmTick { n, latency, ..ArmTick::default() }, sums)
    }

    /// Microseconds of one request.
    fn request(&mut self, level: f64, slowness: Slowness) -> f64 {
        let us = libm::exp(level + SIGMA * self.rng.normal());
        match slowness {
            Slowness::Scaled(times) => us * times,
            Slowness::Delayed(share, ms) if self.rng.happens(share) => us + 1000.0 * ms,
            Slowness::Multiplied(share, times) if self.rng.happens(share) => us * times,
            Slowness::Delayed(..) | Slowness::Multiplied(..) => us,
        }
    }
}

impl Source for LatencyTraffic {
    fn next(&mut self, seconds: u32) -> Moment {
        let level = self.level();
        let all = self.rng.poisson(self.scenario.rps * f64::from(seconds));
        let canary_n = self.rng.binomial(all, self.scenario.share);
        let (baseline, stable_sums) = self.arm(all - canary_n, level, SAME.canary);
        let (canary, canary_sums) = self.arm(canary_n, level, self.scenario.canary);
        self.now += seconds;
        Moment {
            requests: Tick { seconds, baseline, canary, ..Tick::default() },
            latency: [stable_sums, canary_sums],
            ..Moment::default()
        }
    }

    /// Five minutes of stable alone.
    fn before(&mut self) -> Vec<Moment> {
        let share = std::mem::replace(&mut self.scenario.share, 0.0);
        let before = (0..10).map(|_| self.next(30)).collect();
        self.scenario.share = share;
        before
    }
}
