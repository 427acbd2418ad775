//! What is believed about the arms, and what follows: probability to be best, expected loss.

use crate::beta::point;
use crate::quadrature::GAUSS_16;
use serde::{Deserialize, Serialize};

/// A posterior distribution of one arm's value.
pub(super) trait Belief {
    /// All but a negligible part (some 1e-17) of the probability lies inside.
    fn range(&self) -> (f64, f64);
    /// Width over which the distribution is smooth: its standard deviation.
    fn scale(&self) -> f64;
    /// The distribution at a point inside of the range.
    fn at(&self, x: f64) -> At;
}

/// A distribution at one point.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct At {
    pub density: f64,
    /// Probability of less.
    pub below: f64,
    /// Probability of more.
    pub above: f64,
}

impl At {
    /// Outside of the range nothing is left of one side.
    fn clipped(arm: &impl Belief, x: f64) -> Self {
        let (low, high) = arm.range();
        if x <= low {
            Self { above: 1.0, ..Self::default() }
        } else if x >= high {
            Self { below: 1.0, ..Self::default() }
        } else {
            arm.at(x)
        }
    }
}

/// Where the arms stand, by position.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Odds {
    /// Probability to be the best of all; sums to 1.
    pub best: Vec<f64>,
    /// What choosing the arm costs on average: `E[max_j value_j - value_i]`, in units of the value.
    pub loss: Vec<f64>,
}

/// By quadrature of `f_i prod F_j` and of `F_i (1 - prod F_j)`, j other than i. The second is the
/// expected loss without the cancellation of the textbook difference: `max - v_i` is above `t - v_i`
/// exactly where `v_i` is below and not all others are.
pub(super) fn odds<B: Belief>(arms: &[B]) -> Odds {
    let mut odds = Odds { best: vec![0.0; arms.len()], loss: vec![0.0; arms.len()] };
    for (low, high) in panels(arms) {
        for (x, weight) in GAUSS_16.between(low, high) {
            add_node(arms, x, weight, &mut odds);
        }
    }
    odds
}

fn add_node<B: Belief>(arms: &[B], x: f64, weight: f64, odds: &mut Odds) {
    let at: Vec<At> = arms.iter().map(|arm| At::clipped(arm, x)).collect();
    for (i, arm) in at.iter().enumerate() {
        let others = at.iter().enumerate().filter(|(j, _)| *j != i);
        let ln_all_below: f64 = others.map(|(_, o)| libm::log1p(-o.above.min(ALMOST_1))).sum();
        odds.loss[i] -= weight * arm.below * libm::expm1(ln_all_below);
        odds.best[i] += weight * arm.density * libm::exp(ln_all_below);
    }
}

/// The largest number below 1.
const ALMOST_1: f64 = 1.0 - f64::EPSILON / 2.0;

/// Cuts the union of all ranges so that every distribution is smooth within a panel: three standard
/// deviations of the narrowest one there.
fn panels<B: Belief>(arms: &[B]) -> Vec<(f64, f64)> {
    /// Ranges are some 20 standard deviations wide; more panels than this cannot come of them.
    const MOST: usize = 2000;
    let end = arms.iter().map(|a| a.range().1).fold(f64::MIN, f64::max);
    let mut at = arms.iter().map(|a| a.range().0).fold(f64::MAX, f64::min);
    let mut panels = Vec::new();
    while at < end && panels.len() < MOST {
        let active = arms.iter().filter(|a| a.range().0 <= at && at < a.range().1);
        let step = active.map(|a| 3.0 * a.scale()).fold(f64::MAX, f64::min);
        let edges = arms.iter().flat_map(|a| [a.range().0, a.range().1]).filter(|e| *e > at);
        let next = edges.fold(at + step, f64::min).min(end);
        if next <= at {
            break;
        }
        panels.push((at, next));
        at = next;
    }
    panels
}

/// Posterior of a rate: Beta(1 + events, 1 + others), from the uniform prior.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    a: f64,
    b: f64,
    range: (f64, f64),
    scale: f64,
}

impl Rate {
    /// From trials and events, at most as many.
    pub(super) fn new(n: u64, events: u64) -> Self {
        let (a, b) = (1.0 + events as f64, 1.0 + n.saturating_sub(events) as f64);
        let total = a + b;
        let (mean, variance) = (a / total, a / total * (b / total) / (total + 1.0));
        // Bernstein bounds of the tails at e^-40 (Skorski 2023, theorem 1).
        let skew = 2.0 * (b - a) / (total * (total + 2.0));
        let reach = |skew: f64| {
            let linear = skew.max(0.0) * 40.0 / 3.0;
            linear + libm::sqrt(linear * linear + 80.0 * variance)
        };
        let range = ((mean - reach(-skew)).max(0.0), (mean + reach(skew)).min(1.0));
        Self { a, b, range, scale: libm::sqrt(variance) }
    }

    /// Posterior mean.
    pub(super) fn mean(&self) -> f64 {
        self.a / (self.a + self.b)
    }
}

impl Belief for Rate {
    fn range(&self) -> (f64, f64) {
        self.range
    }

    fn scale(&self) -> f64 {
        self.scale
    }

    fn at(&self, x: f64) -> At {
        let p = point(self.a, self.b, x);
        At { density: p.density, below: libm::exp(p.ln_below), above: libm::exp(p.ln_above) }
    }
}
