//! The promised error rates, on simulated traffic of fixed seeds.

#![allow(clippy::unwrap_used)]

use serin_stats::{
    ArmTick, Histogram, Judge, JudgeConfig, JudgeSettings, Metric, Outcome, Rung, Tick,
};

/// Traffic of one arm: error rate, latency in whole buckets above stable's, share of requests
/// that take much longer.
#[derive(Clone, Copy, Default)]
struct Arm {
    errors: f64,
    slower: u16,
    outliers: f64,
}

struct Traffic {
    rng: fastrand::Rng,
    /// Requests of each arm in one tick.
    canary_n: u64,
    baseline_n: u64,
    timed: bool,
}

impl Traffic {
    /// Number of events among `n` requests, by the gaps between them.
    fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if p <= 0.0 {
            return 0;
        }
        let (mut events, mut at) = (0, 0.0);
        loop {
            at += 1.0 + ((1.0 - self.rng.f64()).ln() / (1.0 - p).ln()).floor();
            if at > n as f64 {
                return events;
            }
            events += 1;
        }
    }

    /// Lognormal around bucket 467 (25 ms), sigma 0.5, as a sum of uniforms.
    fn latency(&mut self, n: u64, slower: u16) -> Histogram {
        let mut latency = Histogram::new();
        for _ in 0..n {
            let bits = self.rng.u64(..);
            let normal = (0..8).map(|b| (bits >> (8 * b) & 255) as f64).sum::<f64>() - 1020.0;
            let bucket = 467.0 + 32.0 / std::f64::consts::LN_2 * 0.5 * normal / 209.0;
            latency.record(bucket as u16 + slower, 1);
        }
        latency
    }

    fn arm(&mut self, n: u64, arm: Arm) -> ArmTick {
        let errors = self.binomial(n, arm.errors);
        let timed = if self.timed { n - errors } else { 0 };
        let slow = self.binomial(timed, arm.outliers);
        let mut latency = self.latency(timed - slow, arm.slower);
        latency.record(700, slow);
        ArmTick { n, errors, latency, unfinished: 0, ..ArmTick::default() }
    }

    fn tick(&mut self, baseline: Arm, canary: Arm) -> Tick {
        let (n_c, n_s) = (self.canary_n, self.baseline_n);
        Tick {
            seconds: 5,
            baseline: self.arm(n_s, baseline),
            canary: self.arm(n_c, canary),
            ..Tick::default()
        }
    }
}

/// How many of `runs` rollouts of `ticks` ticks ever reached `outcome` on the last rung.
fn reached(
    outcome: Outcome,
    settings: &JudgeSettings,
    traffic: &mut Traffic,
    (runs, ticks): (u32, u32),
    (baseline, canary): (Arm, Arm),
) -> u32 {
    let ever = |traffic: &mut Traffic| {
        let mut judge = Judge::new(JudgeConfig::new(settings.clone()).unwrap());
        (0..ticks).any(|_| {
            judge.observe(&traffic.tick(baseline, canary));
            match outcome {
                Outcome::Fail => judge.failure().is_some(),
                _ => judge.assess(Rung::LAST).outcome == outcome,
            }
        })
    };
    (0..runs).map(|_| u32::from(ever(traffic))).sum()
}

/// The rate promised, and three standard errors.
#[track_caller]
fn at_most(found: u32, runs: u32, promised: f64) {
    let expected = promised * f64::from(runs);
    let limit = expected + 3.0 * (expected * (1.0 - promised)).sqrt();
    assert!(f64::from(found) <= limit, "{found} of {runs}, promised {promised}");
}

fn settings(metric: Metric) -> JudgeSettings {
    JudgeSettings { alpha: 0.05, metrics: vec![metric.into()], ..JudgeSettings::default() }
}

fn errors_only(seed: u64) -> Traffic {
    let rng = fastrand::Rng::with_seed(seed);
    Traffic { rng, canary_n: 50, baseline_n: 450, timed: false }
}

fn timed(seed: u64) -> Traffic {
    Traffic { timed: true, canary_n: 50, baseline_n: 150, ..errors_only(seed) }
}

#[test]
fn equal_error_rates_fail_seldom() {
    let same = Arm { errors: 0.005, ..Arm::default() };
    let found = reached(
        Outcome::Fail,
        &settings(Metric::Errors),
        &mut errors_only(1),
        (200, 360),
        (same, same),
    );
    at_most(found, 200, 0.05);
}

#[test]
fn shared_incidents_do_not_fail_the_canary() {
    let mut traffic = errors_only(2);
    let mut failed = 0;
    for _ in 0..120 {
        let mut judge = Judge::new(JudgeConfig::new(settings(Metric::Errors)).unwrap());
        for t in 0..240 {
            let arm = Arm { errors: if t % 40 < 5 { 0.3 } else { 0.005 }, ..Arm::default() };
            traffic.canary_n = [25, 50, 250][t % 3];
            judge.observe(&traffic.tick(arm, arm));
        }
        failed += u32::from(judge.failure().is_some());
    }
    at_most(failed, 120, 0.05);
}

#[test]
fn harmful_error_rates_pass_seldom() {
    for (seed, p_s, p_c) in [(3, 0.0025, 0.005), (4, 0.0, 0.005), (5, 0.01, 0.02)] {
        let (stable, canary) =
            (Arm { errors: p_s, ..Arm::default() }, Arm { errors: p_c, ..Arm::default() });
        let found = reached(
            Outcome::Pass,
            &JudgeSettings { alpha: 1e-9, ..settings(Metric::Errors) },
            &mut errors_only(seed),
            (150, 240),
            (stable, canary),
        );
        at_most(found, 150, 0.05);
    }
}

#[test]
fn tripled_errors_fail_and_equal_ones_pass() {
    let arm = |errors| Arm { errors, ..Arm::default() };
    let size = (60, 720);
    let failed = reached(
        Outcome::Fail,
        &settings(Metric::Errors),
        &mut errors_only(6),
        size,
        (arm(0.005), arm(0.015)),
    );
    assert!(failed >= 57, "{failed} of 60");
    let passed = reached(
        Outcome::Pass,
        &settings(Metric::Errors),
        &mut errors_only(7),
        size,
        (arm(0.005), arm(0.005)),
    );
    // alpha is 5 %: some are rolled back first.
    assert!(passed >= 54, "{passed} of 60");
}

#[test]
fn equal_latencies_fail_seldom_even_without_tolerance() {
    let none = JudgeSettings { latency_tolerance: 0.0, ..settings(Metric::Latency) };
    let found =
        reached(Outcome::Fail, &none, &mut timed(8), (60, 100), (Arm::default(), Arm::default()));
    at_most(found, 60, 0.05);
}

#[test]
fn latency_at_the_border_of_harm_passes_seldom() {
    let never_fail = JudgeSettings { alpha: 1e-9, ..settings(Metric::Latency) };
    let slower = Arm { slower: 10, ..Arm::default() };
    let found =
        reached(Outcome::Pass, &never_fail, &mut timed(9), (60, 80), (Arm::default(), slower));
    at_most(found, 60, 0.05);
    let tail = Arm { outliers: 0.02, ..Arm::default() };
    let found =
        reached(Outcome::Pass, &never_fail, &mut timed(10), (60, 80), (Arm::default(), tail));
    at_most(found, 60, 0.05);
}

#[test]
fn equal_latencies_pass_and_slow_ones_fail() {
    let passed = reached(
        Outcome::Pass,
        &settings(Metric::Latency),
        &mut timed(11),
        (20, 150),
        (Arm::default(), Arm::default()),
    );
    assert!(passed >= 19, "{passed} of 20");
    let slow = Arm { slower: 16, ..Arm::default() };
    let failed = reached(
        Outcome::Fail,
        &settings(Metric::Latency),
        &mut timed(12),
        (20, 150),
        (Arm::default(), slow),
    );
    assert!(failed >= 19, "{failed} of 20");
}
