//! What the improved rules do otherwise.

use super::*;

fn wave(level: f64, points: u32) -> Vec<f64> {
    (0..points).map(|i| level * (1.0 + 0.01 * f64::from(i * 7 % 11))).collect()
}

#[test]
fn small_magnitudes_are_judged_like_large_ones() {
    for scale in [1.0, 1e-6, 1e-12, 1e9] {
        assert_eq!(class(&improved(), &wave(2.0 * scale, 30), &wave(scale, 30)), High);
        assert_eq!(class(&improved(), &wave(0.5 * scale, 30), &wave(scale, 30)), Low);
    }
    // The root finder stops at once where everything is within its 1e-4.
    let (x, y) = (sample(&wave(1.05e-6, 30)), sample(&wave(1e-6, 30)));
    let (exact, root) = (shift_exact(&x, &y, 0.98), shift_by_root(&x, &y, 0.98));
    let (exact, root) = (exact.unwrap().estimate, root.unwrap().estimate);
    assert!((exact - 5e-8).abs() < 1e-8 && (root - exact).abs() > 5e-8, "{exact} {root}");
}

#[test]
fn size_is_measured_against_the_baseline() {
    let (control, experiment) = (wave(100.0, 60), wave(106.0, 60));
    // Certain, and small: 6 % is below a tenth.
    assert_eq!(class(&JudgeConfig::kayenta(95.0, 75.0), &experiment, &control), High);
    assert_eq!(class(&improved(), &experiment, &control), Pass);
    let effect_size = ratio(Some((0.98, 1.02)), None);
    let config = MetricConfig { effect_size, ..MetricConfig::default() };
    assert_eq!(run(&improved(), config, &experiment, &control).classification, High);
}

#[test]
fn negative_metrics_can_fail() {
    let (control, experiment) = (wave(-10.0, 30), wave(-20.0, 30));
    assert_eq!(class(&JudgeConfig::kayenta(95.0, 75.0), &experiment, &control), Pass);
    assert_eq!(class(&improved(), &experiment, &control), Low);
    assert_eq!(class(&improved(), &control, &experiment), High);
}

#[test]
fn counts_that_are_mostly_zero() {
    let sparse = |every: u32| -> Vec<f64> {
        (0..120).map(|i| if i % every == 0 { 1.0 } else { 0.0 }).collect()
    };
    assert_eq!(class(&improved(), &sparse(3), &sparse(12)), High);
    let reason = run(&improved(), MetricConfig::default(), &sparse(3), &sparse(12)).reason;
    let why = "mostly equal values, but ranks differ at 98 %, mean 4.0000 times the baseline's";
    assert_eq!(reason, format!("higher: {why}"));
    assert_eq!(class(&improved(), &sparse(12), &sparse(3)), Low);
    assert_eq!(class(&improved(), &sparse(10), &sparse(12)), Pass);
    // Five of twenty against none: one-sided Fisher probability 0.024, not below 0.01.
    let mut five = [0.0; 20];
    five[..5].fill(1.0);
    assert!(tied_z(&sample(&five), &sample(&[0.0; 20])).unwrap() < 2.326);
    assert_eq!(class(&improved(), &five, &[0.0; 20]), Pass);
    five[..10].fill(1.0);
    assert_eq!(class(&improved(), &five, &[0.0; 20]), High);
}

#[test]
fn too_few_points_are_no_data() {
    assert_eq!(class(&improved(), &[10.0; 4], &[1.0; 4]), Nodata);
    assert_eq!(class(&improved(), &[1.0; 4], &[1.0; 4]), Nodata);
    assert_eq!(class(&improved(), &[10.0; 5], &[1.0; 5]), High);
    assert_eq!(class(&improved(), &[1.0; 5], &[1.0; 5]), Pass);
}

#[test]
fn false_alarms_stay_below_what_is_stated() {
    let mut random = fastrand::Rng::with_seed(7);
    let rules = JudgeConfig { tolerance: 0.0, ..improved() };
    let alarms = |draw: &mut dyn FnMut() -> f64, points: usize| {
        let mut arm = || (0..points).map(|_| draw()).collect::<Vec<f64>>();
        (0..2000).filter(|_| class(&rules, &arm(), &arm()) != Pass).count()
    };
    // 2 % of 2000 are 40; three standard deviations are 19.
    for points in [5, 12, 30, 60] {
        let mut smooth = || random.f64();
        assert!(alarms(&mut smooth, points) < 59, "smooth, {points} points");
        for share in [0.02, 0.1, 0.3] {
            let mut sparse = || f64::from(u8::from(random.f64() < share));
            assert!(alarms(&mut sparse, points) < 59, "sparse {share}, {points} points");
        }
        let mut counts = || f64::from((0..4).filter(|_| random.f64() < 0.2).count() as u32);
        assert!(alarms(&mut counts, points) < 59, "counts, {points} points");
    }
}
