//! The samplers have the moments and the tails of their distributions.

use serin_calibration::rng::Rng;

const DRAWS: u32 = 200_000;

/// Mean and variance of many draws.
fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
    let values: Vec<f64> = (0..DRAWS).map(|_| draw()).collect();
    let mean = values.iter().sum::<f64>() / f64::from(DRAWS);
    let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
    (mean, squares / f64::from(DRAWS - 1))
}

/// Within five standard errors of the mean, and 3 % of the variance.
#[track_caller]
fn has(found: (f64, f64), mean: f64, variance: f64) {
    let error = (variance / f64::from(DRAWS)).sqrt();
    assert!((found.0 - mean).abs() < 5.0 * error, "mean {} for {mean}", found.0);
    assert!((found.1 / variance - 1.0).abs() < 0.03, "variance {} for {variance}", found.1);
}

#[test]
fn poisson() {
    for mean in [0.02, 1.5, 9.9, 10.1, 70.0, 3000.0] {
        let mut rng = Rng::of(1, 0);
        has(moments(|| rng.poisson(mean) as f64), mean, mean);
    }
}

#[test]
fn binomial() {
    for (n, p) in [(300, 0.0001), (300, 0.005), (50, 0.3), (3000, 0.1), (400, 0.9), (99_999, 0.5)] {
        let mut rng = Rng::of(2, 0);
        let mean = n as f64 * p;
        has(moments(|| rng.binomial(n, p) as f64), mean, mean * (1.0 - p));
    }
}

#[test]
fn geometric_and_normal() {
    let mut rng = Rng::of(3, 0);
    has(moments(|| rng.geometric(1.0 / 3.0) as f64), 3.0, 6.0);
    has(moments(|| rng.normal()), 0.0, 1.0);
}

/// Whole distributions, not only moments: chi-squared against the exact probabilities.
#[test]
fn distributions_on_both_sides_of_the_switch() {
    for (n, p) in [(60_u64, 0.15), (60, 0.18)] {
        let mut rng = Rng::of(4, 0);
        let mut counts = [0_u32; 61];
        for _ in 0..DRAWS {
            counts[rng.binomial(n, p) as usize] += 1;
        }
        let ln = |k: u64| libm::lgamma(k as f64 + 1.0);
        let mut chi = 0.0;
        let mut cells = 0;
        for k in 0..=n {
            let ways = ln(n) - ln(k) - ln(n - k);
            let q = n - k;
            let expected = f64::from(DRAWS)
                * libm::exp(ways + k as f64 * libm::log(p) + q as f64 * libm::log(1.0 - p));
            if expected >= 10.0 {
                chi += (f64::from(counts[k as usize]) - expected).powi(2) / expected;
                cells += 1;
            }
        }
        let df = f64::from(cells - 1);
        assert!(chi < df + 5.0 * (2.0 * df).sqrt(), "chi-squared {chi} with {df}");
    }
}

#[test]
fn a_run_is_its_own_stream() {
    let first = |run| Rng::of(5, run).bits();
    assert_eq!(first(7), first(7));
    assert_ne!(first(7), first(8));
    assert_ne!(Rng::of(5, 7).bits(), Rng::of(6, 7).bits());
}
