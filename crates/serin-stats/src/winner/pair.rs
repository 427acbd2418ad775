//! Is one arm better than another? An e-process for each direction of each pair.

use crate::grid::log_mean_exp;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// Alternatives in each direction.
const STEPS: usize = 12;
/// Smallest and largest log odds ratio looked for: 1 % to a factor of 4. Evenly spaced in their
/// own logarithm, because nobody knows the size of an effect beforehand.
const SMALLEST: f64 = 0.01;
const LARGEST: f64 = 1.4;

/// Users of two arms in one tick and the conversions among them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Duel {
    pub n: [f64; 2],
    pub events: [f64; 2],
}

/// Log evidence for each alternative: the first arm better, and the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Pair {
    first: [f64; STEPS],
    second: [f64; STEPS],
}

impl Pair {
    /// Adds one tick. Given both sizes and all events, the first arm's events are hypergeometric
    /// when the rates are equal (and fewer when the first is worse), so that
    /// `exp(l x - ln bound(l))` has a mean of at most 1 for `l > 0`.
    pub(super) fn observe(&mut self, duel: &Duel) {
        let Duel { n, events } = *duel;
        let total = events[0] + events[1];
        if n[0] <= 0.0 || n[1] <= 0.0 || total <= 0.0 || total >= n[0] + n[1] {
            return;
        }
        for (k, l) in ALTERNATIVES.iter().enumerate() {
            self.first[k] += l.ln * events[0] - ln_bound(*l, n, total);
            self.second[k] += l.ln * events[1] - ln_bound(*l, [n[1], n[0]], total);
        }
    }

    /// Log evidence that the first arm is better, and that the second is.
    pub(super) fn ln_e(&self) -> [f64; 2] {
        [log_mean_exp(&self.first), log_mean_exp(&self.second)]
    }
}

/// Odds ratio of an alternative.
#[derive(Clone, Copy, Debug)]
struct Alternative {
    /// Its logarithm `l`.
    ln: f64,
    /// `e^l - 1`.
    up: f64,
}

static ALTERNATIVES: LazyLock<[Alternative; STEPS]> = LazyLock::new(|| {
    std::array::from_fn(|k| {
        let place = k as f64 / (STEPS - 1) as f64;
        let ln = SMALLEST * libm::exp(place * libm::log(LARGEST / SMALLEST));
        Alternative { ln, up: libm::expm1(ln) }
    })
});

/// Upper bound of `ln E exp(l x)` for hypergeometric `x`: `events` dealt at random to `n[0] + n[1]`
/// users, `x` of them to the first. The least of
/// - Hoeffding (1963, theorem 4): drawing with replacement, events from users or users from all;
/// - Serfling (1974, theorem 2.2): `exp(l^2 m (1 - (m-1)/N) / 8)` for `m` draws out of `N`, which
///   knows that little is left to chance when most are drawn.
///
/// The bounds depend on the margins only, so the least of them is one too.
fn ln_bound(l: Alternative, n: [f64; 2], events: f64) -> f64 {
    let all = n[0] + n[1];
    let (share, rate) = (n[0] / all, events / all);
    let replaced = |draws: f64, chance: f64| draws * libm::log1p(chance * l.up);
    let serfling = |draws: f64| l.ln * l.ln / 8.0 * draws * (1.0 - (draws - 1.0) / all);
    let without = l.ln * (events * share) + serfling(events).min(serfling(n[0]));
    replaced(events, share).min(replaced(n[0], rate)).min(without)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `E exp(l x)` by summing the distribution.
    fn exact(l: f64, n: [u64; 2], events: u64) -> f64 {
        let ln_choose = |n: u64, k: u64| {
            libm::lgamma(n as f64 + 1.0)
                - libm::lgamma(k as f64 + 1.0)
                - libm::lgamma((n - k) as f64 + 1.0)
        };
        let from = events.saturating_sub(n[1]);
        (from..=events.min(n[0]))
            .map(|x| {
                let ln_ways = ln_choose(n[0], x) + ln_choose(n[1], events - x);
                libm::exp(ln_ways - ln_choose(n[0] + n[1], events) + l * x as f64)
            })
            .sum()
    }

    #[test]
    fn the_bound_is_above_the_exact_mean_and_near_it() {
        for n in [[50, 50], [10, 90], [90, 10], [300, 200], [1, 5]] {
            for events in [1, 2, 5, 30, 49] {
                if events >= n[0] + n[1] {
                    continue;
                }
                for l in *ALTERNATIVES {
                    let bound = ln_bound(l, n.map(|n| n as f64), events as f64);
                    let ln_exact = libm::log(exact(l.ln, n, events));
                    assert!(bound >= ln_exact - 1e-12, "{n:?} {events} {l:?}: {bound} {ln_exact}");
                }
            }
        }
        // Half of all users convert: with replacement the variance would be twice as large.
        let l = ALTERNATIVES[5];
        let mean = l.ln * 250.0;
        let excess = ln_bound(l, [500.0, 500.0], 500.0) - mean;
        let exact = libm::log(exact(l.ln, [500, 500], 500)) - mean;
        assert!(excess / exact < 1.02, "{excess} against {exact}");
    }
}
