//! Incomplete beta, quadrature and multinomial tests against numbers of 40 digits.

#![allow(clippy::unwrap_used, clippy::float_cmp)]

use serde_json::Value;
use serin_stats::beta::{ln_beta, point};
use serin_stats::multinomial::{
    CountError, Disagreement, ReplicaCount, SHARE_TRIP, ShareTest, ln_beta_onesided, ln_dirichlet,
};
use serin_stats::quadrature::{GAUSS_16, GAUSS_64};

fn vectors() -> Value {
    let all: Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    all["sequential"].clone()
}

#[track_caller]
fn near(actual: f64, expected: f64, tolerance: f64) {
    let error = (actual - expected).abs() / expected.abs();
    assert!(error <= tolerance, "{actual} instead of {expected}: relative error {error:e}");
}

/// Shapes, point, logs of the lower and of the upper tail (mpmath, 40 digits).
const TAILS: [([f64; 3], f64, f64); 12] = [
    ([1.0, 1.0, 0.25], -1.386_294_361_119_890_6, -0.287_682_072_451_780_93),
    ([2.5, 0.5, 0.9], -0.714_187_494_562_987_2, -0.672_540_454_215_383_5),
    ([0.1, 0.9, 0.1], -0.245_826_144_850_420_47, -1.523_527_123_133_277),
    ([11.0, 91.0, 0.05], -4.397_489_224_952_13, -0.012_384_577_544_065_975),
    ([101.0, 901.0, 0.15], -1.922_175_545_774_903e-6, -13.162_053_877_724_053),
    ([5001.0, 45001.0, 0.104], -0.001_647_285_597_915_465_2, -6.409_449_967_626_491),
    ([1e5, 9e5, 0.1003], -0.172_753_438_962_047_22, -1.841_023_448_348_100_5),
    ([1e6, 9e6, 0.1], -0.692_922_927_255_898_5, -0.693_371_484_164_816_8),
    ([1e7, 1e7, 0.5005], -3.872_096_474_833_204e-6, -12.461_716_408_886_983),
    ([1e7, 1e7, 0.4999], -1.684_448_755_502_824_2, -0.205_238_170_396_568_42),
    ([3.0, 1e7, 1e-6], -0.002_773_223_928_794_642, -5.889_131_053_862_812),
    ([10.0, 90.0, 1e-5], -84.753_100_894_971_14, -1.556_611_659_877_951e-37),
];

#[test]
fn both_tails_of_beta() {
    for ([a, b, x], lower, upper) in TAILS {
        let found = point(a, b, x);
        for (found, expected) in [(found.ln_below, lower), (found.ln_above, upper)] {
            // Relative error of the tail itself.
            let error = (found - expected).abs();
            assert!(error < 2e-12, "Beta({a}, {b}) at {x}: {found} instead of {expected}");
        }
        // 1 - x is rounded, and these shapes feel it.
        near(point(b, a, 1.0 - x).ln_above, lower, 1e-9);
    }
}

#[test]
fn logs_of_beta() {
    let cases = [
        (0.5, 0.5, 1.144_729_885_849_400_2),
        (0.1, 1e7, 0.640_903_091_138_373_9),
        (11.0, 91.0, -35.097_443_879_119_91),
        (1e7, 1e7, -13_862_950.404_734_596),
        (1e7, 3.0, -47.661_140_072_314_99),
        (12_345.678, 9.5, -77.814_018_712_330_7),
    ];
    assert!(ln_beta(1.0, 1.0).abs() < 1e-15);
    for (a, b, expected) in cases {
        near(ln_beta(a, b), expected, 1e-14);
        near(ln_beta(b, a), expected, 1e-14);
    }
}

#[test]
fn nothing_strange_gives_a_nan() {
    let odd = [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-300, 1e300, 1.0, 0.5];
    for a in odd {
        for b in odd {
            assert!(ln_beta(a, b).is_finite(), "{a} {b}");
            for x in odd {
                let p = point(a, b, x);
                let finite = [p.density, p.ln_below, p.ln_above].iter().all(|x| x.is_finite());
                assert!(finite, "{a} {b} {x}: {p:?}");
            }
        }
    }
}

#[test]
fn quadrature_is_exact_for_polynomials_and_good_for_densities() {
    near(GAUSS_16.integrate(0.0, 1.0, |x| x.powi(31)), 1.0 / 32.0, 1e-14);
    near(GAUSS_64.integrate(-1.0, 3.0, |x| x.powi(127)), (3f64.powi(128) - 1.0) / 128.0, 1e-13);
    let mass = GAUSS_64.integrate(0.0, 0.3, |x| point(11.0, 91.0, x).density);
    near(mass, point(11.0, 91.0, 0.3).ln_below.exp(), 1e-13);
    let mass = GAUSS_64.integrate(0.1002, 0.1012, |x| point(1e6, 9e6, x).density);
    near(mass, point(1e6, 9e6, 0.1002).ln_above.exp(), 1e-12);
}

#[test]
fn dirichlet_of_the_published_cases() {
    for case in vectors()["beta_twosided_dirichlet"].as_array().unwrap() {
        let list = |name: &str| -> Vec<f64> {
            case[name].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
        };
        let counts: Vec<u64> = list("n").iter().map(|n| *n as u64).collect();
        let found = ln_dirichlet(&counts, &list("rho"), &list("alpha"));
        near(found, case["log_bf"].as_f64().unwrap(), 1e-12);
    }
}

#[test]
fn dirichlet_of_ten_million() {
    let skewed = ln_dirichlet(&[1_000_500, 8_999_500], &[0.1, 0.9], &[10.0, 90.0]);
    near(skewed, -5.626_246_030_479_223, 1e-11);
    let even = ln_dirichlet(&[10_010_000, 9_990_000], &[0.5, 0.5], &[50.0, 50.0]);
    near(even, 3.894_413_398_290_368, 1e-11);
}

#[test]
fn one_sided_beta_mixture() {
    for case in vectors()["beta_onesided"].as_array().unwrap() {
        let number = |name: &str| case[name].as_f64().unwrap();
        let (ec, es) = (number("ec") as u64, number("es") as u64);
        let found = ln_beta_onesided(ec, es, number("w"), number("conc"));
        near(found, number("log_bf"), 1e-11);
    }
    for share in [0.0, 1.0, f64::NAN, -0.1, 1e-310] {
        assert_eq!(ln_beta_onesided(5, 5, share, 10.0), 0.0);
        assert_eq!(ln_dirichlet(&[5, 5], &[share, 1.0 - share], &[0.0, 1.0]), 0.0);
    }
    assert!(ln_beta_onesided(u64::MAX, 0, 1e-9, 1e9).is_finite());
    assert!(ln_beta_onesided(0, u64::MAX, 0.9, 1e-3).is_finite());
}

#[test]
fn share_test_is_the_closed_form_and_multiplies_segments() {
    let mut test = ShareTest::default();
    assert_eq!(test.ln_e(), 0.0);
    test.observe(&[40, 460], &[10.0, 90.0]).unwrap();
    test.observe(&[100, 400], &[20.0, 180.0]).unwrap();
    let first = ln_dirichlet(&[140, 860], &[0.1, 0.9], &[10.0, 90.0]);
    near(first, 6.001_169_378_406_757_5, 1e-12);
    near(test.ln_e(), first, 1e-12);
    test.observe(&[300, 200], &[1.0, 1.0]).unwrap();
    let second = ln_dirichlet(&[300, 200], &[0.5, 0.5], &[50.0, 50.0]);
    near(test.ln_e(), first + second, 1e-12);
    assert!(test.tripped() && test.ln_e() > SHARE_TRIP);
    let json = serde_json::to_string(&test).unwrap();
    assert_eq!(serde_json::from_str::<ShareTest>(&json).unwrap(), test);
}

#[test]
fn an_arm_without_a_share_takes_no_part() {
    let mut test = ShareTest::default();
    test.observe(&[50, 0, 50], &[1.0, 0.0, 1.0]).unwrap();
    near(test.ln_e(), ln_dirichlet(&[50, 50], &[0.5, 0.5], &[50.0, 50.0]), 1e-14);
    let refused = test.observe(&[50, 1, 50], &[1.0, 0.0, 1.0]);
    assert_eq!(refused, Err(CountError::CountWithoutShare { arm: 1, count: 1 }));
    assert_eq!(test.counts(), [50, 0, 50]);
}

#[test]
fn impossible_shares_are_refused_and_change_nothing() {
    let mut test = ShareTest::default();
    test.observe(&[7, 3], &[0.5, 0.5]).unwrap();
    let before = test.clone();
    for shares in [
        [f64::NAN, 1.0],
        [f64::INFINITY, 1.0],
        [-1.0, 1.0],
        [0.0, 0.0],
        [1e-300, 1.0],
        [1e-4, 1e14],
    ] {
        let error = test.observe(&[0, 0], &shares).unwrap_err();
        assert!(matches!(error, CountError::NotAShare { .. }), "{error}");
    }
    assert!(test.observe(&[1, 2, 3], &[0.5, 0.5]).is_err());
    assert!(test.observe(&[], &[]).is_err());
    assert!(test.observe(&[1; 101], &[1.0; 101]).is_err());
    assert_eq!(test, before);
    test.observe(&[u64::MAX, 0], &[0.5, 0.5]).unwrap();
    test.observe(&[u64::MAX, 0], &[0.5, 0.5]).unwrap();
    assert!(test.ln_e().is_finite());
}

fn replicas<const N: usize>(counts: [(u64, u64); N]) -> [ReplicaCount; N] {
    counts.map(|(n, events)| ReplicaCount { n, events })
}

#[test]
fn disagreement_is_the_closed_form_however_time_is_cut() {
    let mut test = Disagreement::default();
    let ticks = [[(100, 3), (100, 1), (200, 5)], [(50, 2), (50, 0), (100, 9)], [(10, 1); 3]];
    for tick in &ticks[..2] {
        test.observe(&replicas(*tick)).unwrap();
    }
    let whole = ln_dirichlet(&[5, 1, 14], &[0.25, 0.25, 0.5], &[25.0, 25.0, 50.0]);
    near(test.ln_e(), whole, 1e-12);
    test.observe(&replicas([(0, 0), (0, 0), (7, 7)])).unwrap();
    near(test.ln_e(), whole, 1e-12);
    test.observe(&replicas(ticks[2])).unwrap();
    assert!(test.ln_e().is_finite() && (test.ln_e() - whole).abs() > 1e-6);
    let json = serde_json::to_string(&test).unwrap();
    assert_eq!(serde_json::from_str::<Disagreement>(&json).unwrap(), test);
}

/// Exact check of the bound: the mean of the tick's factor over all ways to deal 9 events to
/// replicas with 10, 20 and 30 requests is at most 1, whatever was learnt before.
#[test]
fn the_mean_of_a_tick_is_at_most_one_when_events_are_dealt_at_random() {
    let choose = |n: u64, k: u64| (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product::<f64>();
    let sizes = [10_u64, 20, 30];
    for learnt in [[(0, 0); 3], [(1000, 90), (300, 10), (500, 5)]] {
        let mut before = Disagreement::default();
        before.observe(&replicas(learnt)).unwrap();
        let mut mean = 0.0;
        for a in 0..=9_u64 {
            for b in 0..=9 - a {
                let events = [a, b, 9 - a - b];
                let ways: f64 = sizes.iter().zip(events).map(|(n, e)| choose(*n, e)).product();
                let mut after = before.clone();
                let tick: [_; 3] = std::array::from_fn(|i| (sizes[i], events[i]));
                after.observe(&replicas(tick)).unwrap();
                mean += ways / choose(60, 9) * (after.ln_e() - before.ln_e()).exp();
            }
        }
        assert!(mean <= 1.0 + 1e-12 && mean > 0.5, "{mean}");
    }
}

#[test]
fn one_bad_replica_of_three_trips_and_is_named() {
    let mut test = Disagreement::default();
    for _ in 0..60 {
        test.observe(&replicas([(30, 0), (25, 3), (35, 1)])).unwrap();
    }
    assert!(test.tripped(0.01) && !test.tripped(0.0) && !test.tripped(f64::NAN));
    let odd = test.outlier().unwrap();
    assert_eq!((odd.replica, odd.n, odd.events), (1, 1500, 180));
    assert_eq!(test.totals().len(), 3);
}

#[test]
fn replicas_are_bounded_and_events_are_requests() {
    let mut test = Disagreement::default();
    assert_eq!(test.outlier(), None);
    assert!(test.observe(&[]).is_err());
    assert!(test.observe(&[ReplicaCount { n: 1, events: 0 }; 101]).is_err());
    let refused = test.observe(&replicas([(5, 0), (3, 4)])).unwrap_err();
    assert_eq!(refused, CountError::TooManyEvents { arm: 1, n: 3, events: 4 });
    assert!(refused.to_string().contains("4 events in 3 requests"));
    assert_eq!(test, Disagreement::default());
    for _ in 0..3 {
        test.observe(&replicas([(u64::MAX, u64::MAX), (u64::MAX, 0)])).unwrap();
        assert!(test.ln_e().is_finite());
    }
}
