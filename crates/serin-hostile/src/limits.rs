//! Limits of a share that was counted.

use libm::{exp, lgamma, log};

/// Exact 95 % limits (Clopper and Pearson 1934) for `k` of `n`.
pub fn exact(k: u64, n: u64) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let low = if k == 0 { 0.0 } else { solve(|p| 1.0 - below(k, n, p), 0.025) };
    let high = if k == n { 1.0 } else { solve(|p| 1.0 - below(k + 1, n, p), 0.975) };
    (low, high)
}

/// Largest share that counts as `bound`: two standard errors above it.
pub fn with_noise(bound: f64, n: u64) -> f64 {
    bound + 2.0 * libm::sqrt(bound * (1.0 - bound) / n.max(1) as f64)
}

/// Where the rising `of` reaches `value`.
fn solve(of: impl Fn(f64) -> f64, value: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if of(middle) < value { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// Probability of fewer than `k` of `n` successes of probability `p`.
fn below(k: u64, n: u64, p: f64) -> f64 {
    let ln_choose = |i: f64| {
        let n = n as f64;
        lgamma(n + 1.0) - lgamma(i + 1.0) - lgamma(n - i + 1.0)
    };
    let term = |i: u64| {
        let (i, n) = (i as f64, n as f64);
        exp(ln_choose(i) + i * log(p) + (n - i) * libm::log1p(-p))
    };
    (0..k).map(term).sum::<f64>().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_the_published_ones() {
        // Newcombe 1998, Table I, method 5: 81 of 263 and 15 of 148.
        for (k, n, low, high) in [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617)] {
            let (l, h) = exact(k, n);
            assert!((l - low).abs() < 1e-4 && (h - high).abs() < 1e-4, "{l} {h}");
        }
        assert_eq!(exact(0, 0), (0.0, 1.0));
        assert!(exact(0, 200).1 < 0.0183);
    }
}
