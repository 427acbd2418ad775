//! Brent's root finder (Brent 1973, "Algorithms for Minimization without Derivatives", chapter 4,
//! `zero`), in the order of operations that R's `uniroot` and Kayenta share.
//!
//! The functions given to it here are steps, not curves: where it stops depends on every point it
//! visited. That is why the order of operations is part of the contract.

const TOLERANCE: f64 = 1e-4;
const STEPS_MAX: usize = 1001;

/// An argument and the function's value there.
#[derive(Clone, Copy)]
pub struct Point {
    /// The argument.
    pub x: f64,
    /// The value.
    pub f: f64,
}

impl Point {
    fn is_root(self) -> bool {
        self.f.abs() <= f64::from_bits(1)
    }
}

/// A root between two points, to an absolute 1e-4.
///
/// # Errors
/// The first error of `f`.
pub fn root<E>(
    low: Point,
    high: Point,
    mut f: impl FnMut(f64) -> Result<f64, E>,
) -> Result<f64, E> {
    if low.is_root() {
        return Ok(low.x);
    }
    let (mut a, mut b, mut c) = (low, high, low);
    for _ in 0..STEPS_MAX {
        let previous = b.x - a.x;
        if c.f.abs() < b.f.abs() {
            (a, b, c) = (b, c, b);
        }
        let tolerance = 2.0 * f64::EPSILON * b.x.abs() + TOLERANCE / 2.0;
        let half = (c.x - b.x) / 2.0;
        if half.abs() <= tolerance || b.is_root() {
            return Ok(b.x);
        }
        let step = interpolated(a, b, c, previous, tolerance).unwrap_or(half);
        let step = at_least(step, tolerance);
        a = b;
        b.x += step;
        b.f = f(b.x)?;
        if (b.f > 0.0) == (c.f > 0.0) && (b.f < 0.0) == (c.f < 0.0) {
            c = a;
        }
    }
    Ok(b.x)
}

/// The step of the secant or of the inverse parabola; none where bisection does better.
fn interpolated(a: Point, b: Point, c: Point, previous: f64, tolerance: f64) -> Option<f64> {
    if previous.abs() < tolerance || a.f.abs() <= b.f.abs() {
        return None;
    }
    let width = c.x - b.x;
    let secant = a.x.total_cmp(&c.x).is_eq();
    let (top, bottom) = if secant { of_secant(a, b, width) } else { of_parabola(a, b, c, width) };
    let (top, bottom) = if top > 0.0 { (top, -bottom) } else { (-top, bottom) };
    let inside = top < 0.75 * width * bottom - (tolerance * bottom).abs() / 2.0;
    (inside && top < (previous * bottom / 2.0).abs()).then(|| top / bottom)
}

fn of_secant(a: Point, b: Point, width: f64) -> (f64, f64) {
    let t = b.f / a.f;
    (width * t, 1.0 - t)
}

fn of_parabola(a: Point, b: Point, c: Point, width: f64) -> (f64, f64) {
    let (ac, bc, ba) = (a.f / c.f, b.f / c.f, b.f / a.f);
    let top = ba * (width * ac * (ac - bc) - (b.x - a.x) * (bc - 1.0));
    (top, (ac - 1.0) * (bc - 1.0) * (ba - 1.0))
}

fn at_least(step: f64, tolerance: f64) -> f64 {
    if step.abs() >= tolerance {
        step
    } else if step > 0.0 {
        tolerance
    } else {
        -tolerance
    }
}
