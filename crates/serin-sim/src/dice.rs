//! Random numbers of many requests at once.

use fastrand::Rng;
use libm::{floor, log, sqrt};

/// Up to here successes are counted one by one.
const FEW: f64 = 16.0;

/// How many of `n` independent trials succeed when each does with chance `p`. Exact in the tails
/// that matter (few expected successes or failures), normal in between.
pub fn binomial(n: u64, p: f64, rng: &mut Rng) -> u64 {
    if n == 0 || p <= 0.0 {
        return 0;
    }
    if p >= 1.0 {
        return n;
    }
    if p > 0.5 {
        return n - binomial(n, 1.0 - p, rng);
    }
    let mean = n as f64 * p;
    if mean < FEW { by_gaps(n, p, rng) } else { near_normal(n, mean, sqrt(mean * (1.0 - p)), rng) }
}

/// Jumps from one success to the next.
fn by_gaps(n: u64, p: f64, rng: &mut Rng) -> u64 {
    let per_trial = log(1.0 - p);
    let (mut at, mut found) = (0.0, 0);
    loop {
        at += floor(log(uniform(rng)) / per_trial) + 1.0;
        if at > n as f64 {
            return found;
        }
        found += 1;
    }
}

/// In (0, 1].
fn uniform(rng: &mut Rng) -> f64 {
    1.0 - rng.f64()
}

/// The sum of twelve uniform numbers is close to normal up to six deviations.
fn near_normal(n: u64, mean: f64, deviation: f64, rng: &mut Rng) -> u64 {
    let sum: f64 = (0..3).map(|_| four(rng.u64(..))).sum();
    let drawn = (mean + deviation * (sum - 6.0)).round();
    (drawn.max(0.0) as u64).min(n)
}

/// Four uniform numbers of sixteen bits, added.
fn four(bits: u64) -> f64 {
    let parts = [bits & 0xffff, (bits >> 16) & 0xffff, (bits >> 32) & 0xffff, bits >> 48];
    parts.iter().sum::<u64>() as f64 / 65_535.0
}

/// Turns until the first success, at least one, when each turn succeeds with chance `p`.
pub fn turns_until(p: f64, rng: &mut Rng) -> u64 {
    if p <= 0.0 {
        return u64::MAX;
    }
    if p >= 1.0 {
        return 1;
    }
    (log(uniform(rng)) / log(1.0 - p)).min(1e9) as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_of(n: u64, p: f64) -> f64 {
        let mut rng = Rng::with_seed(7);
        (0..4000).map(|_| binomial(n, p, &mut rng)).sum::<u64>() as f64 / 4000.0
    }

    #[test]
    fn successes_are_as_many_as_expected() {
        for (n, p) in [(10, 0.3), (1000, 0.001), (1000, 0.2), (1000, 0.9), (50_000, 0.01)] {
            let (expected, found) = (n as f64 * p, mean_of(n, p));
            let tolerance = 5.0 * (expected * (1.0 - p) / 4000.0).sqrt();
            assert!((expected - found).abs() < tolerance, "{n} x {p}: {found} of {expected}");
        }
    }

    #[test]
    fn certain_things_are_certain() {
        let mut rng = Rng::with_seed(1);
        assert_eq!(binomial(9, 0.0, &mut rng), 0);
        assert_eq!(binomial(9, 1.0, &mut rng), 9);
        assert_eq!(binomial(0, 0.5, &mut rng), 0);
        assert_eq!((turns_until(1.0, &mut rng), turns_until(0.0, &mut rng)), (1, u64::MAX));
    }

    #[test]
    fn the_spread_of_many_is_that_of_a_binomial() {
        let mut rng = Rng::with_seed(3);
        let drawn: Vec<f64> = (0..4000).map(|_| binomial(1000, 0.2, &mut rng) as f64).collect();
        let variance = drawn.iter().map(|x| (x - 200.0).powi(2)).sum::<f64>() / 4000.0;
        assert!((140.0..180.0).contains(&variance), "{variance} of 160");
    }
}
