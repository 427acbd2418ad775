//! How often reads differ at most.

/// An upper limit for the rate behind `differed` of `compared`, which the true rate passes with a
/// chance of at most `alpha` however often one looks: the confidence sequence from the mixture of
/// all rates with equal weights (Robbins 1970), that is the largest `p` with
/// `p^k (1-p)^(n-k) (n+1) C(n,k) >= alpha`. 1 when nothing was compared or `alpha` is not in (0, 1).
pub fn upper_rate(differed: u64, compared: u64, alpha: f64) -> f64 {
    if compared == 0 || differed >= compared || !(alpha > 0.0 && alpha < 1.0) {
        return 1.0;
    }
    let (k, n) = (differed as f64, compared as f64);
    let mixture = (n + 1.0).ln() + ln_choose(n, k);
    let is_possible =
        |p: f64| mixture + weighed(k, p.ln()) + weighed(n - k, (-p).ln_1p()) >= alpha.ln();
    let (mut low, mut high) = (k / n, 1.0);
    // 60 halvings leave less than the distance of two numbers of this kind.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if is_possible(middle) { low = middle } else { high = middle }
    }
    high
}

/// `times * ln`, where nothing times minus infinity is nothing.
fn weighed(times: f64, ln: f64) -> f64 {
    if times == 0.0 { 0.0 } else { times * ln }
}

fn ln_choose(n: f64, k: f64) -> f64 {
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

/// Exact below 32, then Stirling's series: right to 1e-10.
fn ln_factorial(n: f64) -> f64 {
    if n < 32.0 {
        return (2..=n as u32).map(|i| f64::from(i).ln()).sum();
    }
    let series = 1.0 / (12.0 * n) - 1.0 / (360.0 * n.powi(3)) + 1.0 / (1260.0 * n.powi(5));
    n * n.ln() - n + 0.5 * (std::f64::consts::TAU * n).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-6, "{found} instead of {expected}");
    }

    #[test]
    fn none_of_n_has_a_closed_form() {
        for (n, alpha) in [(1_u32, 0.05), (100, 0.05), (10_000, 0.01), (1_000_000, 0.05)] {
            let n_f = f64::from(n);
            let closed = 1.0 - (alpha / (n_f + 1.0)).powf(1.0 / n_f);
            assert_close(upper_rate(0, n.into(), alpha), closed);
        }
    }

    #[test]
    fn factorials() {
        let exact = |n: u32| (2..=n).map(|i| f64::from(i).ln()).sum::<f64>();
        for n in [1, 31, 32, 33, 100, 1000] {
            assert!((ln_factorial(f64::from(n)) - exact(n)).abs() < 1e-9, "{n}");
        }
    }

    #[test]
    fn nothing_known_is_no_limit() {
        assert_close(upper_rate(0, 0, 0.05), 1.0);
        assert_close(upper_rate(5, 5, 0.05), 1.0);
        assert_close(upper_rate(0, 100, 0.0), 1.0);
        assert_close(upper_rate(0, 100, f64::NAN), 1.0);
    }

    /// Streams of a known rate, looked at after each read: the limit may fall below the truth in at
    /// most 5 of 100.
    #[test]
    fn holds_however_often_one_looks() {
        let mut state = 88_172_645_463_325_252_u64;
        let mut draw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut wrong = 0;
        for _ in 0..200 {
            let mut differed = 0;
            let is_wrong = (1..=500_u64).any(|n| {
                differed += u64::from(draw() < 0.05);
                upper_rate(differed, n, 0.05) < 0.05
            });
            wrong += u32::from(is_wrong);
        }
        assert!(wrong <= 10, "{wrong} of 200");
    }
}
