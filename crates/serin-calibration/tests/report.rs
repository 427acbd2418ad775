//! Tables and goals as text.

use serin_calibration::report::{Goal, Table, Unit};
use serin_calibration::watch::quantile;

#[test]
fn cells_with_commas_are_quoted() {
    let mut table = Table::new("t", &["a", "b"]);
    table.row(["1,2".to_owned(), "say \"x\"".to_owned()]);
    assert_eq!(table.csv(), "a,b\n\"1,2\",\"say \"\"x\"\"\"\n");
}

#[test]
fn a_goal_is_met_missed_or_within_noise() {
    let goal = |figure| Goal { what: String::new(), at_most: 0.05, figure, unit: Unit::Share };
    assert_eq!(goal(0.05).reached(2000), "met");
    assert_eq!(goal(0.055).reached(2000), "within noise");
    assert_eq!(goal(0.07).reached(2000), "missed");
    assert_eq!(goal(f64::NAN).reached(2000), "missed");
}

#[test]
fn quantiles_interpolate() {
    let close = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-12, "{found}");
    close(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
    close(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
    assert!(quantile(&[], 0.5).is_nan());
}
