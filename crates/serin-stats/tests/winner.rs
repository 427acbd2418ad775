//! A/B tests: the Bayesian picture against exact sums, the decision against simulated tests.

#![allow(clippy::unwrap_used, clippy::float_cmp)]

use serin_stats::beta::ln_beta;
use serin_stats::multinomial::CountError;
use serin_stats::winner::{
    ArmCount, ArmValue, Caring, Missing, Odds, Race, Standing, WinnerError, WinnerSettings,
    WinnerVerdict, decide, value_odds,
};

#[track_caller]
fn near(actual: f64, expected: f64, tolerance: f64) {
    let error = (actual - expected).abs() / expected.abs();
    assert!(error <= tolerance, "{actual} instead of {expected}: relative error {error:e}");
}

fn arms<const N: usize>(counts: [(u64, u64); N]) -> [ArmCount; N] {
    counts.map(|(n, conversions)| ArmCount { n, conversions })
}

fn standing(counts: &[ArmCount]) -> Standing {
    match decide(&WinnerSettings::default(), counts).unwrap() {
        WinnerVerdict::Continue { standing, .. } | WinnerVerdict::Winner { standing, .. } => {
            standing
        }
        WinnerVerdict::NoData => panic!("no data"),
    }
}

/// Users and conversions of A and B; P(B > A), loss of choosing B, of choosing A (mpmath, 50 digits).
const TWO_ARMS: [([u64; 4], [f64; 3]); 7] = [
    (
        [100, 10, 100, 15],
        [0.853_283_789_933_966_1, 0.003_578_088_130_711_048, 0.052_597_695_973_848_3],
    ),
    (
        [1000, 100, 1000, 120],
        [0.923_183_438_973_559_7, 0.000_484_613_926_356_443_76, 0.020_444_693_766_675_806],
    ),
    (
        [1000, 100, 1000, 101],
        [0.529_565_592_586_992_9, 0.004_886_766_330_834_272, 0.005_884_770_322_850_24],
    ),
    (
        [5000, 500, 500, 60],
        [0.925_254_654_843_686, 0.000_451_139_269_012_161_54, 0.021_805_147_466_529_968],
    ),
    (
        [20, 0, 20, 3],
        [0.946_529_080_675_422_2, 0.002_204_403_650_801_835_8, 0.138_568_040_014_438_2],
    ),
    (
        [100_000, 1000, 100_000, 1100],
        [0.985_865_550_715_286_4, 2.270_465_003_818_884_7e-6, 0.001_002_250_465_403_810_9],
    ),
    ([50, 25, 50, 25], [0.5, 0.038_838_433_602_199_886, 0.038_838_433_602_199_886]),
];

#[test]
fn two_arms_as_published() {
    for ([n_a, k_a, n_b, k_b], [best_b, loss_b, loss_a]) in TWO_ARMS {
        let odds = standing(&arms([(n_a, k_a), (n_b, k_b)])).odds;
        near(odds.best[1], best_b, 1e-11);
        near(odds.loss[1], loss_b, 1e-11);
        near(odds.loss[0], loss_a, 1e-11);
        near(odds.best[0], 1.0 - best_b, 1e-10);
    }
}

/// P(B > A) as a finite sum over B's conversions.
fn exact(a: ArmCount, b: ArmCount) -> f64 {
    let shapes = |x: ArmCount| (1.0 + x.conversions as f64, 1.0 + (x.n - x.conversions) as f64);
    let ((a_a, b_a), (_, b_b)) = (shapes(a), shapes(b));
    let term = |i: u64| {
        let i = i as f64;
        let ln = ln_beta(a_a + i, b_a + b_b) - ln_beta(1.0 + i, b_b) - ln_beta(a_a, b_a);
        ln.exp() / (b_b + i)
    };
    (0..=b.conversions).map(term).sum()
}

#[test]
fn uneven_arms_agree_with_the_finite_sum() {
    let cases = [
        [(0, 0), (1, 1)],
        [(1, 0), (1_000_000, 1)],
        [(3, 2), (200_000, 120_000)],
        [(10_000_000, 0), (500, 0)],
        [(400, 399), (2000, 1999)],
        [(90_000, 9100), (1000, 99)],
        [(1_000_000, 50_000), (1_000_000, 50_400)],
    ];
    for case in cases {
        let [a, b] = arms(case);
        near(standing(&[a, b]).odds.best[1], exact(a, b), 1e-9);
        near(standing(&[b, a]).odds.best[0], exact(a, b), 1e-9);
    }
}

#[track_caller]
fn consistent(odds: &Odds, means: &[f64], tolerance: f64) {
    near(odds.best.iter().sum(), 1.0, tolerance);
    let largest = means[0] + odds.loss[0];
    for (mean, loss) in means.iter().zip(&odds.loss) {
        near(mean + loss, largest, tolerance);
    }
}

/// Whatever is chosen, the mean of the best is the same: `mean_i + loss_i = E max`.
#[test]
fn many_arms_agree_about_the_best() {
    let cases: [&[(u64, u64)]; 4] = [
        &[(1000, 100), (1000, 110), (1000, 95)],
        &[(10, 1), (100_000, 9000), (0, 0), (77, 77), (1_000_000, 100)],
        &[(500, 50); 10],
        &[(5_000_000, 250_000), (5_000_000, 250_900), (200, 13), (9_000_000, 0)],
    ];
    for case in cases {
        let counts: Vec<ArmCount> =
            case.iter().map(|&(n, conversions)| ArmCount { n, conversions }).collect();
        let means: Vec<f64> =
            case.iter().map(|&(n, k)| (k as f64 + 1.0) / (n as f64 + 2.0)).collect();
        consistent(&standing(&counts).odds, &means, 1e-10);
    }
    let equal = standing(&arms([(500, 50); 10])).odds;
    assert!(equal.best.iter().all(|p| (p - 0.1).abs() < 1e-11));
}

/// Users by the second: `n` in all, arms by equal chance, rates by arm.
struct Traffic {
    rng: fastrand::Rng,
    rates: Vec<f64>,
}

impl Traffic {
    fn new(seed: u64, rates: &[f64]) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), rates: rates.to_vec() }
    }

    fn tick(&mut self, n: u64) -> Vec<ArmCount> {
        let mut tick = vec![ArmCount::default(); self.rates.len()];
        for _ in 0..n {
            let arm = self.rng.usize(..tick.len());
            tick[arm].n += 1;
            tick[arm].conversions += u64::from(self.rng.f64() < self.rates[arm]);
        }
        tick
    }

    /// The arm named, if one is, within `ticks` ticks of `n` users.
    fn winner(
        &mut self,
        settings: &WinnerSettings,
        n: u64,
        ticks: usize,
    ) -> Option<(usize, usize)> {
        let mut race = Race::new(self.rates.len()).unwrap();
        (0..ticks).find_map(|t| {
            race.observe(&self.tick(n)).unwrap();
            if t % 4 != 3 {
                return None;
            }
            match race.decide(settings).unwrap() {
                WinnerVerdict::Winner { arm, .. } => Some((t, arm)),
                _ => None,
            }
        })
    }
}

/// Nothing is cared about but the tests: every look could name a winner.
fn eager() -> WinnerSettings {
    WinnerSettings { alpha: 0.05, caring: Caring::Absolute(1.0), min_n: 0 }
}

#[test]
fn equal_arms_have_a_winner_seldom() {
    for (seed, rates) in [(1, vec![0.05; 2]), (2, vec![0.3; 3]), (3, vec![0.5; 2])] {
        let mut traffic = Traffic::new(seed, &rates);
        let named = (0..300).filter(|_| traffic.winner(&eager(), 200, 60).is_some()).count();
        assert!(named <= 15, "{named} of 300 with rates {rates:?}");
    }
}

#[test]
fn the_better_arm_wins_and_the_two_best_of_three_stay_open() {
    let mut traffic = Traffic::new(4, &[0.10, 0.13]);
    let named: Vec<_> =
        (0..40).filter_map(|_| traffic.winner(&WinnerSettings::default(), 500, 80)).collect();
    assert!(named.len() >= 38 && named.iter().all(|(_, arm)| *arm == 1), "{named:?}");

    let mut traffic = Traffic::new(5, &[0.12, 0.12, 0.06]);
    let named = (0..40).filter(|_| traffic.winner(&eager(), 500, 40).is_some()).count();
    assert!(named <= 3, "{named}");
}

#[test]
fn a_winner_needs_users_a_small_loss_and_evidence() {
    let clear = arms([(2000, 200), (2000, 300)]);
    let settings = WinnerSettings::default();
    let verdict = decide(&settings, &clear).unwrap();
    assert!(matches!(verdict, WinnerVerdict::Winner { arm: 1, .. }), "{verdict:?}");

    let WinnerVerdict::Continue { missing, .. } =
        decide(&WinnerSettings { min_n: 5000, ..settings }, &clear).unwrap()
    else {
        panic!("a winner without users")
    };
    let short = |arm| Missing::Users { arm, n: 2000, needed: 5000 };
    assert_eq!(missing, [short(0), short(1)]);

    let WinnerVerdict::Continue { standing, missing, alike } =
        decide(&settings, &arms([(2000, 200), (2000, 215)])).unwrap()
    else {
        panic!("a winner without evidence")
    };
    assert_eq!((standing.leader, alike), (1, false));
    assert!(matches!(missing[..], [Missing::Loss { .. }, Missing::Lead { over: 0, .. }]));
}

#[test]
fn large_equal_arms_are_alike_but_no_winner() {
    let equal = arms([(1_000_000, 100_000), (1_000_000, 100_010)]);
    let WinnerVerdict::Continue { missing, alike, .. } =
        decide(&WinnerSettings::default(), &equal).unwrap()
    else {
        panic!("a winner among equals")
    };
    assert!(alike);
    assert!(missing.iter().all(|m| !matches!(m, Missing::Loss { .. } | Missing::Users { .. })));
}

#[test]
fn no_users_no_verdict_and_an_empty_arm_never_leads() {
    let settings = WinnerSettings::default();
    assert_eq!(decide(&settings, &arms([(0, 0); 3])).unwrap(), WinnerVerdict::NoData);
    assert_eq!(standing(&arms([(0, 0), (900, 9)])).leader, 1);
    let huge = standing(&arms([(u64::MAX, u64::MAX), (u64::MAX, 0), (u64::MAX, 1 << 62)]));
    assert!(huge.odds.best.iter().chain(&huge.odds.loss).all(|x| x.is_finite()), "{huge:?}");
    assert!(huge.ln_better.iter().all(|x| x.is_finite()));
}

#[test]
fn impossible_races_are_refused() {
    let settings = WinnerSettings::default();
    assert_eq!(decide(&settings, &[]), Err(WinnerError::Arms(0)));
    assert_eq!(Race::new(1), Err(WinnerError::Arms(1)));
    assert_eq!(Race::new(11), Err(WinnerError::Arms(11)));
    let mut race = Race::new(2).unwrap();
    let before = race.clone();
    assert_eq!(race.observe(&arms([(1, 0); 3])), Err(WinnerError::Arms(3)));
    let refused = race.observe(&arms([(9, 1), (5, 6)]));
    let expected = CountError::TooManyEvents { arm: 1, n: 5, events: 6 };
    assert_eq!(refused, Err(WinnerError::Counts(expected)));
    assert_eq!(race, before);
    for alpha in [0.0, 0.6, f64::NAN, -1.0] {
        assert!(race.decide(&WinnerSettings { alpha, ..settings }).is_err());
    }
    for caring in [f64::NAN, -0.1, f64::INFINITY] {
        let caring = Caring::Relative(caring);
        assert!(race.decide(&WinnerSettings { caring, ..settings }).is_err());
    }
}

#[test]
fn a_race_continues_after_a_restart_with_the_same_bits() {
    let mut traffic = Traffic::new(6, &[0.1, 0.12, 0.09]);
    let (mut whole, mut stored) = (Race::new(3).unwrap(), Race::new(3).unwrap());
    for _ in 0..50 {
        let tick = traffic.tick(90);
        whole.observe(&tick).unwrap();
        stored.observe(&tick).unwrap();
        let json = serde_json::to_string(&stored).unwrap();
        stored = serde_json::from_str(&json).unwrap();
    }
    assert_eq!(whole, stored);
    let settings = WinnerSettings::default();
    assert_eq!(whole.decide(&settings), stored.decide(&settings));
}

/// `buyers` of `n` users; the logs of what they spent have this mean and standard deviation.
fn value(n: u64, buyers: u64, mean: f64, sd: f64) -> ArmValue {
    let c = buyers as f64;
    let sum_ln_squares = mean * mean * c + sd * sd * (c - 1.0);
    ArmValue { n, buyers, sum_ln: mean * c, sum_ln_squares }
}

#[test]
fn value_per_user_is_rate_times_amount() {
    for sd in [0.0, 0.02, 0.8, 1.5] {
        let same = value_odds(&[value(4000, 400, 3.0, sd), value(4000, 400, 3.0, sd)]).unwrap();
        near(same.best[0], 0.5, 1e-8);
        let pricier =
            [value(4000, 400, 3.0, sd), value(4000, 400, 3.1, sd), value(4000, 300, 3.0, sd)];
        let odds = value_odds(&pricier).unwrap();
        near(odds.best.iter().sum(), 1.0, 1e-7);
        assert!(odds.best[1] > odds.best[0] && odds.best[0] > odds.best[2], "{sd}: {odds:?}");
        assert!(odds.loss[1] < odds.loss[0] && odds.loss[0] < odds.loss[2], "{sd}: {odds:?}");
    }
}

/// Equal amounts, all of one euro: value per user is the conversion rate.
#[test]
fn value_without_spread_is_the_rate() {
    let odds = value_odds(&[value(1000, 100, 0.0, 0.0), value(1000, 120, 0.0, 0.0)]).unwrap();
    near(odds.best[1], 0.923_183_438_973_559_7, 1e-7);
    near(odds.loss[1], 0.000_484_613_926_356_443_76, 1e-6);
}

#[test]
fn impossible_values_are_refused() {
    let good = value(1000, 100, 3.0, 0.5);
    let refused = |odd: ArmValue| value_odds(&[good, odd]).unwrap_err();
    assert_eq!(refused(value(1000, 29, 3.0, 0.5)), WinnerError::Buyers { arm: 1, buyers: 29 });
    assert!(matches!(refused(ArmValue { n: 9, ..good }), WinnerError::Counts(_)));
    assert!(matches!(refused(value(1000, 40, 3.0, 4.0)), WinnerError::Vague { arm: 1, .. }));
    for x in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
        assert!(matches!(
            refused(ArmValue { sum_ln_squares: x, ..good }),
            WinnerError::Sums { .. } | WinnerError::Vague { .. }
        ));
        assert!(matches!(refused(ArmValue { sum_ln: x * 1e9, ..good }), WinnerError::Sums { .. }));
    }
    assert!(value_odds(&[good]).is_err());
    for mean in [-99.0, 99.0] {
        let far = value_odds(&[good, value(u64::MAX, 100, mean, 0.0)]).unwrap();
        assert!(far.best.iter().chain(&far.loss).all(|x| x.is_finite()), "{far:?}");
    }
}
