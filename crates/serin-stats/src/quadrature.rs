//! Gauss-Legendre quadrature.

use std::f64::consts::PI;
use std::sync::LazyLock;

/// A rule with `N` nodes, exact for polynomials of degree `2N - 1`.
#[derive(Debug)]
pub struct Rule<const N: usize> {
    /// Nodes on (-1, 1) with their weights, which sum to 2.
    pub nodes: [(f64, f64); N],
}

/// 64 nodes: one smooth integrand over its whole range.
pub static GAUSS_64: LazyLock<Rule<64>> = LazyLock::new(Rule::new);
/// 16 nodes: one panel of many.
pub static GAUSS_16: LazyLock<Rule<16>> = LazyLock::new(Rule::new);

impl<const N: usize> Rule<N> {
    /// Roots of the Legendre polynomial by Newton's method from Tricomi's first guess.
    fn new() -> Self {
        Self { nodes: std::array::from_fn(|i| Self::node(N - 1 - i)) }
    }

    fn node(i: usize) -> (f64, f64) {
        let mut x = libm::cos(PI * (i as f64 + 0.75) / (N as f64 + 0.5));
        let mut slope = 1.0;
        for _ in 0..8 {
            let (value, derivative) = legendre(N, x);
            slope = derivative;
            x -= value / derivative;
        }
        (x, 2.0 / ((1.0 - x * x) * slope * slope))
    }

    /// Nodes and weights moved to `low..high`.
    pub fn between(&self, low: f64, high: f64) -> impl Iterator<Item = (f64, f64)> + '_ {
        let (middle, half) = (0.5 * (low + high), 0.5 * (high - low));
        self.nodes.iter().map(move |&(x, w)| (middle + half * x, half * w))
    }

    /// `∫ f` from `low` to `high`.
    pub fn integrate(&self, low: f64, high: f64, f: impl Fn(f64) -> f64) -> f64 {
        self.between(low, high).map(|(x, w)| w * f(x)).sum()
    }
}

/// `P_n(x)` and its derivative, by the three-term recurrence.
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for k in 2..=n {
        let k = k as f64;
        (before, value) = (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
    }
    (value, n as f64 * (x * value - before) / (x * x - 1.0))
}
