//! One metric by Kayenta's rules: its own small cases.

use super::*;

const FIVE: [f64; 5] = [1.0, 2.0, 3.0, 4.0, 5.0];
const TWENTIES: [f64; 5] = [20.0, 22.0, 21.0, 25.0, 30.0];
const SMALL: [f64; 5] = [1.0, 2.2, 1.1, 2.5, 3.0];

#[test]
fn by_kayentas_rules() {
    assert_eq!(class(&loose(), &[1.0; 3], &[1.0; 2]), Pass);
    assert_eq!(class(&loose(), &FIVE, &[5.0, 4.0, 3.0, 2.0, 1.0]), Pass);
    assert_eq!(class(&loose(), &[10.0; 5], &[1.0; 5]), High);
    assert_eq!(class(&loose(), &[1.0; 5], &[10.0; 5]), Low);
    assert_eq!(class(&loose(), &[10.0; 5], &[0.0; 5]), High);
    assert_eq!(class(&loose(), &[1.0, 1.0, 1.0, 1.0, 10.0], &[1.0; 5]), Pass);
    let zeros = run(&loose(), MetricConfig::default(), &[0.0; 5], &[0.0; 5]);
    assert_eq!((zeros.classification, zeros.deviation), (Pass, Some(1.0)));
}

#[test]
fn by_direction() {
    let towards = |direction| MetricConfig { direction, ..MetricConfig::default() };
    let falls = towards(Direction::Decrease);
    let class = |config, x: &[f64]| run(&loose(), config, x, &[1.0; 5]).classification;
    assert_eq!(class(falls.clone(), &[0.0, 1.0, 1.0, 1.0, 1.0]), Pass);
    assert_eq!(class(falls, &[10.0; 5]), Pass);
    assert_eq!(class(towards(Direction::Increase), &[10.0; 5]), High);
    assert_eq!(class(towards(Direction::Increase), &[0.1; 5]), Pass);
}

#[test]
fn a_ratio_to_zero_counts_as_large() {
    let config =
        MetricConfig { effect_size: ratio(Some((0.8, 1.2)), None), ..MetricConfig::default() };
    let fifties = [54.9, 54.5, 55.1, 55.6, 57.4];
    let up = run(&loose(), config.clone(), &fifties, &[0.0; 5]);
    assert_eq!((up.classification, up.deviation), (High, None));
    let down = run(&loose(), config, &[0.0; 5], &fifties);
    assert_eq!((down.classification, down.deviation), (Low, None));
}

#[track_caller]
fn check_critical(effect_size: EffectSize, expected: (Classification, bool)) {
    let config = MetricConfig { critical: true, effect_size, ..MetricConfig::default() };
    let got = run(&loose(), config, &TWENTIES, &SMALL);
    assert_eq!((got.classification, got.critical), expected);
    near(got.deviation.unwrap(), 12.040_816_326_530_612);
}

#[test]
fn by_effect_size() {
    check_critical(ratio(None, None), (High, true));
    check_critical(ratio(None, Some((1.0, 1.2))), (High, true));
    check_critical(ratio(Some((1.0, 5.0)), Some((1.0, 13.0))), (High, false));
    check_critical(ratio(Some((1.0, 13.0)), Some((1.0, 15.0))), (Pass, false));
    let fell = run(
        &loose(),
        MetricConfig {
            critical: true,
            effect_size: ratio(None, Some((1.2, 1.0))),
            ..MetricConfig::default()
        },
        &[2.0, 2.0, 2.0, 2.0, 3.0],
        &[10.0, 20.2, 10.1, 20.5, 30.0],
    );
    assert_eq!((fell.classification, fell.critical), (Low, true));
}

#[test]
fn common_language_effect() {
    let by_cles = |allowed| MetricConfig {
        effect_size: EffectSize {
            measure: Measure::Cles,
            allowed_increase: Some(allowed),
            ..EffectSize::default()
        },
        ..MetricConfig::default()
    };
    let x = [3.1, 2.7, 4.8, 5.0, 4.4, 3.9, 6.1];
    let y = [2.0, 2.5, 3.3, 2.9, 3.0, 2.2, 4.1, 2.8];
    assert_eq!(run(&loose(), by_cles(0.85), &x, &y).classification, High);
    assert_eq!(run(&loose(), by_cles(0.86), &x, &y).classification, Pass);
}

#[test]
fn without_data() {
    let class = |rules: &JudgeConfig, nan_strategy, critical, must_have_data| {
        let config =
            MetricConfig { nan_strategy, critical, must_have_data, ..MetricConfig::default() };
        let got = run(rules, config, &[], &FIVE);
        (got.classification, got.critical)
    };
    let (remove, replace) = (NanStrategy::Remove, NanStrategy::Replace);
    assert_eq!(class(&loose(), remove, false, false), (Nodata, false));
    assert_eq!(class(&loose(), remove, true, false), (Nodata, true));
    assert_eq!(class(&loose(), remove, true, true), (Nodata, true));
    assert_eq!(class(&loose(), remove, false, true), (NodataFailMetric, false));
    assert_eq!(class(&loose(), replace, false, true), (Pass, false));
    assert_eq!(class(&improved(), replace, false, false), (Nodata, false));
}

#[test]
fn a_comparison_without_variance_is_an_error() {
    let config = MetricConfig { critical: true, ..MetricConfig::default() };
    // Noise on one point each leaves one rank each: no variance at the ends of the range.
    let got = run(&loose(), config, &[2.0], &[0.0]);
    assert_eq!((got.classification, got.critical), (Error, false));
}

#[test]
fn noise_is_the_same_every_time() {
    let shift = || run(&loose(), MetricConfig::default(), &[10.0; 5], &[1.0; 5]).shift.unwrap();
    let (first, second) = (shift(), shift());
    assert_eq!(first, second);
    assert!((first.estimate - 9.0).abs() < 1e-2 && first.low < first.high, "{first:?}");
}
