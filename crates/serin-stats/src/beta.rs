//! The beta function and its incomplete form, for shapes from fractions up to ten million and more.
//!
//! `ln Γ` of ten million is 1.5e8: differences of such numbers lose eight digits. Everything here
//! is therefore written in deviances (terms that are never negative and vanish at the mode, Loader
//! 2000, "Fast and Accurate Computation of Binomial Probabilities") and Stirling remainders.

use std::f64::consts::PI;

/// Stirling's series, DLMF 5.11.1; the first term left out is below 1e-16 from 10 on.
const STIRLING: [f64; 7] = [
    1.0 / 12.0,
    -1.0 / 360.0,
    1.0 / 1260.0,
    -1.0 / 1680.0,
    1.0 / 1188.0,
    -691.0 / 360_360.0,
    1.0 / 156.0,
];

/// `ln Γ(x) - ((x - 1/2) ln x - x + ln(2π)/2)` for `x > 0`: what Stirling's formula leaves over.
pub(crate) fn stirling_remainder(x: f64) -> f64 {
    if x < 10.0 {
        return libm::lgamma(x) - ((x - 0.5) * libm::log(x) - x + 0.5 * libm::log(2.0 * PI));
    }
    let inverse_square = 1.0 / (x * x);
    STIRLING.iter().rev().fold(0.0, |sum, term| sum * inverse_square + term) / x
}

/// `x ln(x/m) + m - x` for `x >= 0` and `m > 0`: never negative, exact near `x = m` (Loader 2000,
/// `D0` times `m`).
pub(crate) fn deviance(x: f64, m: f64) -> f64 {
    if x <= 0.0 {
        return m;
    }
    let v = (x - m) / (x + m);
    if v.abs() >= 0.1 {
        return x * libm::log(x / m) + m - x;
    }
    // x ln(x/m) = 2x atanh(v); its first term, 2xv, is (x - m) + (x - m) v.
    let square = v * v;
    let (mut power, mut sum) = (2.0 * x * v, (x - m) * v);
    for odd in (3..40).step_by(2) {
        power *= square;
        let next = sum + power / f64::from(odd);
        let settled = (next - sum).abs() <= f64::EPSILON / 4.0 * sum.abs();
        sum = next;
        if settled {
            break;
        }
    }
    sum
}

/// `ln B(a, b)` for positive shapes.
pub fn ln_beta(a: f64, b: f64) -> f64 {
    let (a, b) = (shape(a), shape(b));
    let s = a + b;
    let entropy = a * libm::log1p(b / a) + b * libm::log1p(a / b);
    let remainders = stirling_remainder(a) + stirling_remainder(b) - stirling_remainder(s);
    0.5 * libm::log(2.0 * PI * (s / a) / b) - entropy + remainders
}

/// `ln (x^a (1-x)^b / B(a, b))`, for `x` strictly between 0 and 1.
fn ln_power(a: f64, b: f64, x: f64) -> f64 {
    let s = a + b;
    let deviances = deviance(a, s * x) + deviance(b, s * (1.0 - x));
    let remainders = stirling_remainder(s) - stirling_remainder(a) - stirling_remainder(b);
    0.5 * libm::log(a / (2.0 * PI) * (b / s)) - deviances + remainders
}

/// Beta(a, b) at one point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Density; 0 outside of the open interval (0, 1).
    pub density: f64,
    /// `ln I_x(a, b)`; `f64::MIN` at 0.
    pub ln_below: f64,
    /// `ln I_{1-x}(b, a)`; `f64::MIN` at 1.
    pub ln_above: f64,
}

/// Density and both tails of Beta(a, b) at `x`. The smaller tail is never computed as 1 minus the
/// larger one; it is good to some 1e-13, from shapes of a million on to what the rounding of `x`
/// leaves of it (1e-12 at ten million).
pub fn point(a: f64, b: f64, x: f64) -> Point {
    let (a, b) = (shape(a), shape(b));
    if x.is_nan() || x <= 0.0 {
        return Point { density: 0.0, ln_below: f64::MIN, ln_above: 0.0 };
    }
    if x >= 1.0 {
        return Point { density: 0.0, ln_below: 0.0, ln_above: f64::MIN };
    }
    let (power, y) = (ln_power(a, b, x), 1.0 - x);
    let density = libm::exp((power - libm::log(x) - libm::log1p(-x)).min(700.0));
    if b * x <= a * y {
        let ln_below = (power - libm::log(fraction(a, b, x, y))).min(0.0);
        Point { density, ln_below, ln_above: ln_complement(ln_below) }
    } else {
        let ln_above = (power - libm::log(fraction(b, a, y, x))).min(0.0);
        Point { density, ln_below: ln_complement(ln_above), ln_above }
    }
}

/// Density of Beta(a, b) at `x`; 0 outside of the open interval (0, 1).
pub fn density(a: f64, b: f64, x: f64) -> f64 {
    point(a, b, x).density
}

/// `I_x(a, b)` and `1 - I_x(a, b)`.
pub fn tails(a: f64, b: f64, x: f64) -> (f64, f64) {
    let point = point(a, b, x);
    (libm::exp(point.ln_below), libm::exp(point.ln_above))
}

/// `ln(1 - e^x)` for `x <= 0`.
fn ln_complement(x: f64) -> f64 {
    if x > -0.5 {
        libm::log((-libm::expm1(x)).max(f64::MIN_POSITIVE))
    } else {
        libm::log1p(-libm::exp(x))
    }
}

/// Shapes are positive and finite by contract; what is not becomes the nearest that is, so that no
/// NaN can leave this module.
fn shape(x: f64) -> f64 {
    if x.is_nan() { 1.0 } else { x.clamp(1e-12, 1e15) }
}

/// The continued fraction of `I_x(a, b) = x^a y^b / B(a, b) / fraction`, for `y = 1 - x` and `x` up
/// to the mean, where all its terms are positive: Didonato and Morris (1992, Algorithm 708, BFRAC),
/// by Lentz's method as modified by Thompson and Barnett (1986). Some `sqrt(max(a, b))/6` steps at
/// the mean, a few in the tails.
fn fraction(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let away = |x: f64| if x.abs() < 1e-300 { 1e-300 } else { x };
    let gap = a * y - b * x + 1.0;
    let mut value = away(a * gap / (a + 1.0));
    let (mut top, mut bottom) = (value, 0.0);
    for at in 1..100_000 {
        let at = f64::from(at);
        let odd = a + 2.0 * at - 1.0;
        let step = at / odd * (b - at) * x;
        let numerator = step * ((a + at - 1.0) / odd) * (a + b + at - 1.0) * x;
        let term = at + step + (a + at) / (odd + 2.0) * (gap + at * (1.0 + y));
        bottom = 1.0 / away(term + numerator * bottom);
        top = away(term + numerator / top);
        value *= top * bottom;
        if (top * bottom - 1.0).abs() < 3e-16 {
            break;
        }
    }
    value
}
