//! Cost of one tick and size of the stored judge.
//!
//! `cargo run --release -p serin-stats --example cost`

use serin_stats::{
    ArmTick, BUCKETS, Histogram, Judge, JudgeConfig, JudgeSettings, Metric, Rung, Tick,
    bucket_of_us,
};
use std::hint::black_box;
use std::time::Instant;

fn judge(metrics: Vec<Metric>) -> Judge {
    let settings = JudgeSettings { metrics, ..JudgeSettings::default() };
    Judge::new(JudgeConfig::new(settings).unwrap_or_default())
}

/// Lognormal latencies around 25 ms, sigma 0.5.
fn arm(rng: &mut fastrand::Rng, n: u64, errors: u64) -> ArmTick {
    let mut latency = Histogram::new();
    for _ in errors..n {
        let normal: f64 = (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
        latency.record_us((25_000.0 * (0.5 * normal).exp()) as u64);
    }
    ArmTick { n, errors, latency, unfinished: 0, ..ArmTick::default() }
}

fn nanoseconds(repeats: u32, mut work: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    for at in 0..repeats {
        work(at as usize);
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(repeats)
}

fn size(judge: &Judge) -> usize {
    serde_json::to_string(judge).map_or(0, |text| text.len())
}

fn main() {
    let mut rng = fastrand::Rng::with_seed(7);
    let ticks: Vec<Tick> = (0..256)
        .map(|_| Tick {
            seconds: 1,
            baseline: arm(&mut rng, 320, 3),
            canary: arm(&mut rng, 80, 1),
            ..Tick::default()
        })
        .collect();
    for metrics in
        [vec![Metric::Errors], vec![Metric::Latency], vec![Metric::Errors, Metric::Latency]]
    {
        let mut judge = judge(metrics.clone());
        let observe = nanoseconds(20_000, |at| judge.observe(black_box(&ticks[at % 256])));
        let assess = nanoseconds(2_000, |_| drop(black_box(judge.assess(Rung::LAST))));
        println!(
            "{metrics:?}: observe {observe:.0} ns, assess {assess:.0} ns, {} bytes",
            size(&judge)
        );
    }
    let bucket = nanoseconds(10_000_000, |at| {
        black_box(bucket_of_us(black_box(at as u64 * 37)));
    });
    println!("bucket_of_us: {bucket:.1} ns");
    let mut full = judge(vec![Metric::Errors, Metric::Latency]);
    let latency = Histogram::from_dense(&[1234; BUCKETS]);
    let n = latency.total();
    let arm = ArmTick { n, errors: 0, latency, unfinished: 0, ..ArmTick::default() };
    let tick = Tick { seconds: 1, baseline: arm.clone(), canary: arm, ..Tick::default() };
    (0..30).for_each(|_| full.observe(&tick));
    println!("every bucket in use in both arms: {} bytes", size(&full));
}
