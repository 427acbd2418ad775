//! The normal distribution, on `libm` alone.

use std::f64::consts::{PI, SQRT_2};

/// `P(Z <= x)`.
pub fn cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

/// The `p` quantile, for `p` in (0, 1), to about 1e-13. Outside of it the nearest representable.
pub fn quantile(p: f64) -> f64 {
    let p = p.clamp(1e-300, 1.0 - 1e-16);
    if p > 0.5 {
        return -quantile(1.0 - p);
    }
    // Start: Abramowitz and Stegun 26.2.23 (error < 4.5e-4), then Halley's steps.
    let t = libm::sqrt(-2.0 * libm::log(p));
    let top = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let bottom = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let mut x = top / bottom - t;
    for _ in 0..3 {
        let density = libm::exp(-0.5 * x * x) / libm::sqrt(2.0 * PI);
        if density == 0.0 {
            break;
        }
        let step = (cdf(x) - p) / density;
        x -= step / (1.0 + 0.5 * x * step);
    }
    x
}
