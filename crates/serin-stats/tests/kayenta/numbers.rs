//! Percentiles, effect sizes, outliers.

use super::*;

#[test]
fn percentiles_of_type_7() {
    let steps = sample(&[0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]);
    let expected =
        [(1.0, 0.035), (5.0, 0.175), (25.0, 0.875), (50.0, 1.75), (0.0, 0.0), (100.0, 3.5)];
    for (p, value) in expected {
        near(steps.percentile(p).unwrap(), value);
    }
    let digits: Vec<f64> = (0..10).map(f64::from).collect();
    near(sample(&digits).percentile(50.0).unwrap(), 4.5);
    let gauges = [
        95.1772, 95.1567, 95.1937, 95.1959, 95.1442, 95.0610, 95.1591, 95.1195, 95.1772, 95.0925,
        95.1990, 95.1682,
    ];
    near(sample(&gauges).percentile(90.0).unwrap(), 95.19568);
    assert_eq!(sample(&[]).percentile(50.0), None);
}

#[test]
fn effect_sizes() {
    let (high, low) = ([5.0, 5.0, 5.0, 10.0, 10.0, 10.0], [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    let d = effect::cohen_d(&sample(&low), &sample(&high)).unwrap();
    assert!((d - 3.03821).abs() < 1e-5);
    let rising = sample(&[1.0, 2.0, 3.0, 4.0, 5.0]);
    near(effect::cles(&rising, &rising).unwrap(), 0.5);
    near(effect::cles(&sample(&[25.0, 24.5, 26.0]), &sample(&[2.3, 4.7])).unwrap(), 0.0);
    assert_eq!(effect::mean_ratio(&sample(&[0.0]), &sample(&[10.0])), None);
    assert_eq!(effect::cohen_d(&sample(&[1.0, 1.0]), &sample(&[2.0, 2.0])), None);
    // Twice as far below zero is a fall.
    near(effect::relative_level(&sample(&[-10.0]), &sample(&[-20.0])).unwrap(), 0.0);
}

#[test]
fn summary_of_an_arm() {
    let raw = [1.0, f64::NAN, 1.0, 1.0, f64::INFINITY, 10.0, 10.0, 10.0];
    let arm = sample(&raw).summary();
    assert_eq!((arm.count, arm.missing), (6, 2));
    assert!((arm.std - 4.9295).abs() < 1e-4);
    near(arm.mean, 5.5);
    // A value that is no number may be taken for 0; an infinite one may not.
    assert_eq!(Sample::new(&raw, NanStrategy::Replace).summary().count, 7);
}

#[track_caller]
fn check_outliers(values: &[f64], expected: &[f64]) {
    let fences = Fences::new(&sample(values), 1.5, false).unwrap();
    let found: Vec<f64> = values.iter().copied().filter(|v| fences.excludes(*v)).collect();
    assert_eq!(found, expected);
}

#[test]
fn outliers() {
    check_outliers(&[21.0, 23.0, 24.0, 25.0, 50.0, 29.0, 23.0, 21.0], &[50.0]);
    check_outliers(&[1.0, 1.0, 1.0, 5.0, -1.0, -1.0, -1.0, -5.0], &[5.0, -5.0]);
    assert_eq!(Fences::new(&sample(&[]), 1.5, false), None);
}

#[test]
fn fences_are_never_inside_the_outer_percentiles() {
    let mut values = vec![5.0; 300];
    values[..9].fill(6.0);
    // Quartiles alone would call each 6 an outlier; they are 3 % of the points.
    assert!(Fences::new(&sample(&values), 3.0, false).unwrap().excludes(6.0));
    assert_eq!(sample(&values).without_outliers(3.0).summary().outliers, 0);
    values[0] = 600.0;
    assert_eq!(sample(&values).without_outliers(3.0).summary().outliers, 1);
}
