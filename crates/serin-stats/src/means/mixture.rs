//! Closed-form mixtures over a normal prior: e-processes for sums with a known (or estimated)
//! variance. Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic
//! confidence sequences" (Annals of Statistics 2021), propositions 5 and 6.

use crate::normal;
use std::f64::consts::PI;

/// `ln` of the one-sided mixture for a sum `s` of variance `v`, `rho > 0`:
/// `ln(4 rho/(v+rho))/2 + s^2/(2(v+rho)) + ln Φ(s/sqrt(v+rho))`. Evidence for a positive drift; none
/// (0) when an argument is no such number.
pub fn one_sided(s: f64, v: f64, rho: f64) -> f64 {
    if !possible(s, v, rho) {
        return 0.0;
    }
    let total = v + rho;
    let x = s / libm::sqrt(total);
    0.5 * libm::log(4.0 * rho / total) + ln_cdf_over_density(x)
}

/// `ln` of the two-sided mixture: `ln(rho/(v+rho))/2 + s^2/(2(v+rho))`; 0 when an argument is no such number.
pub fn two_sided(s: f64, v: f64, rho: f64) -> f64 {
    if !possible(s, v, rho) {
        return 0.0;
    }
    let total = v + rho;
    0.5 * libm::log(rho / total) + s * s / (2.0 * total)
}

/// Ranges within which every intermediate result is finite.
fn possible(s: f64, v: f64, rho: f64) -> bool {
    s.abs() < 1e145 && (0.0..1e145).contains(&v) && (1e-15..1e145).contains(&rho)
}

/// The `rho` for which a two-sided bound at level `alpha` is tightest at variance `v`:
/// `v / (2 ln(1/alpha) + ln(1 + 2 ln(1/alpha)))`; for a one-sided one give `2 alpha`.
pub fn tuned_rho(v: f64, alpha: f64) -> f64 {
    let needed = -2.0 * libm::log(alpha);
    v / (needed + libm::log1p(needed))
}

/// `x^2/2 + ln Φ(x)`, without the cancellation far below zero.
fn ln_cdf_over_density(x: f64) -> f64 {
    if x > -30.0 {
        return 0.5 * x * x + libm::log(normal::cdf(x));
    }
    // Mills' ratio; the first term left out is below 2e-12.
    let y = 1.0 / (x * x);
    let series = -y * (1.0 - y * (3.0 - y * (15.0 - y * 105.0)));
    libm::log1p(series) - libm::log(-x) - 0.5 * libm::log(2.0 * PI)
}
