//! Numbers with their units.

use serin_core::metric_value;
use serin_stats::Metric;

#[test]
fn each_metric_is_said_in_its_own_unit() {
    let named = |name: &str| Metric::Named(name.into());
    assert_eq!(metric_value(&Metric::Errors, Some(0.0123)), "1.23 %");
    assert_eq!(metric_value(&Metric::MeanLatency, Some(23.4)), "23 ms");
    assert_eq!(metric_value(&named("restarts"), Some(1.0 / 1800.0)), "2.00 an instance-hour");
    assert_eq!(metric_value(&named("basket"), Some(12.5)), "12.5000");
    assert_eq!(metric_value(&Metric::Errors, None), "unknown");
}
