//! Simulates the demo: 400 requests a second, a good v2 and a bad v3 on a ladder of 20, 50 and
//! 100 %, judged every second. Prints how often and how soon each was decided.
//!
//! `cargo run --release -p serin-stats --example demo_ladder -- [runs] [warm] [lag] [sigma]`
//!
//! `warm`: seconds of stable-only ticks before the canary's first request; `lag`: seconds from the
//! end of a tick to its judgement (cohorts close late); `sigma`: spread of the lognormal latency.

use serin_stats::{ArmTick, Judge, JudgeConfig, JudgeSettings, Outcome, Rung, Tick};
use std::collections::VecDeque;

const RPS: u32 = 400;
const MEDIAN_MS: f64 = 25.0;
const DEADLINE: u32 = 600;
const WEIGHTS: [f64; 2] = [0.2, 0.5];

/// A version: error rate, share of slowed requests, and by how much they are slowed.
#[derive(Clone, Copy)]
struct Version {
    errors: f64,
    slow: f64,
    slow_ms: f64,
}

const GOOD: Version = Version { errors: 0.0, slow: 0.0, slow_ms: 0.0 };
const BAD: Version = Version { errors: 0.05, slow: 0.1, slow_ms: 200.0 };

struct World {
    rng: fastrand::Rng,
    sigma: f64,
}

impl World {
    fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.rng.f64(), self.rng.f64());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    fn request(&mut self, version: Version, arm: &mut ArmTick) {
        arm.n += 1;
        if self.rng.f64() < version.errors {
            arm.errors += 1;
            return;
        }
        let extra = if self.rng.f64() < version.slow { version.slow_ms } else { 0.0 };
        let ms = MEDIAN_MS * (self.sigma * self.normal()).exp() + extra;
        arm.latency.record_us((ms * 1000.0) as u64);
    }

    fn second(&mut self, canary: Version, weight: f64) -> Tick {
        let mut tick = Tick { seconds: 1, ..Tick::default() };
        for _ in 0..RPS {
            if self.rng.f64() < weight {
                self.request(canary, &mut tick.canary);
            } else {
                self.request(GOOD, &mut tick.baseline);
            }
        }
        tick
    }
}

/// Seconds from the canary's first request to the decision; `None` at the deadline.
fn rollout(world: &mut World, version: Version, warm: u32, lag: usize) -> Option<(Outcome, u32)> {
    let config = JudgeConfig::new(JudgeSettings::default()).ok()?;
    let mut judge = Judge::new(config);
    for _ in 0..warm {
        judge.observe(&world.second(version, 0.0));
    }
    let mut open = VecDeque::new();
    let mut rung = 0;
    for second in 1..=DEADLINE {
        open.push_back(world.second(version, WEIGHTS[rung]));
        if open.len() <= lag {
            continue;
        }
        judge.observe(&open.pop_front()?);
        match judge.assess(Rung { j: rung as u32 + 1, m: 2 }).outcome {
            Outcome::Fail => return Some((Outcome::Fail, second)),
            Outcome::Pass if rung == 1 => return Some((Outcome::Pass, second)),
            Outcome::Pass => rung += 1,
            _ => {}
        }
    }
    None
}

fn report(name: &str, wanted: Outcome, runs: &[Option<(Outcome, u32)>]) {
    let mut seconds: Vec<u32> =
        runs.iter().flatten().filter(|r| r.0 == wanted).map(|r| r.1).collect();
    seconds.sort_unstable();
    let at = |q: f64| {
        seconds.get((q * (seconds.len().max(1) - 1) as f64) as usize).copied().unwrap_or_default()
    };
    let count = |limit: u32| seconds.iter().filter(|s| **s > limit).count();
    println!(
        "{name}: {} of {} {wanted:?}; seconds median {}, p99 {}, max {}; {} took over 3 s, {} over 19 s",
        seconds.len(),
        runs.len(),
        at(0.5),
        at(0.99),
        at(1.0),
        count(3),
        count(19)
    );
}

fn main() {
    let arguments: Vec<f64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let argument = |at: usize, default: f64| arguments.get(at).copied().unwrap_or(default);
    let (runs, warm, lag) = (argument(0, 3000.0), argument(1, 10.0), argument(2, 1.0));
    let mut world = World { rng: fastrand::Rng::with_seed(20_240), sigma: argument(3, 0.5) };
    for (name, version, wanted) in
        [("v2 (good)", GOOD, Outcome::Pass), ("v3 (bad)", BAD, Outcome::Fail)]
    {
        let results: Vec<_> = (0..runs as u32)
            .map(|_| rollout(&mut world, version, warm as u32, lag as usize))
            .collect();
        report(name, wanted, &results);
    }
}
