//! The same figures whatever the number of threads.

use serin_calibration::tables;
use serin_calibration::watch::Effort;

fn csv(threads: usize) -> Vec<String> {
    let effort = Effort { runs: 6, threads };
    let report = tables::rollout::run(effort);
    report.tables.iter().map(serin_calibration::report::Table::csv).collect()
}

#[test]
fn threads_do_not_change_a_byte() {
    assert_eq!(csv(1), csv(3));
}
