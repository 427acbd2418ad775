//! The planner's mixtures against the judge's own evidence.
#![allow(clippy::unwrap_used, clippy::float_cmp)] // certainty is exact

use super::model::{Mixture, Traffic};
use crate::eprocess::{Counts, Harm, PassEvidence, add_margin, ceiling};
use crate::grid::{K, RATIOS};

/// Counts whose rates and share are exactly the traffic's.
fn both(counts: Counts) -> Traffic {
    let share = counts.canary_n as f64 / (counts.canary_n + counts.baseline_n) as f64;
    let (canary_rate, baseline_rate) =
        (counts.canary_rate().unwrap(), counts.baseline_rate().unwrap());
    Traffic { canary_rate, baseline_rate, share, tick: f64::INFINITY }
}

const CASES: [Counts; 5] = [
    Counts { canary_n: 1000, canary_events: 20, baseline_n: 9000, baseline_events: 90 },
    Counts { canary_n: 100, canary_events: 60, baseline_n: 9900, baseline_events: 990 },
    Counts { canary_n: 500, canary_events: 480, baseline_n: 500, baseline_events: 450 },
    Counts { canary_n: 9000, canary_events: 8000, baseline_n: 1000, baseline_events: 500 },
    Counts { canary_n: 1000, canary_events: 3, baseline_n: 9000, baseline_events: 0 },
];

#[track_caller]
fn near(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-6 * expected.abs().max(1.0), "{actual} {expected}");
}

#[test]
fn evidence_at_expected_counts_is_the_judges() {
    let harm = Harm { ratio: 2.0, floor: 0.005 };
    for counts in CASES {
        let (traffic, n) = (both(counts), counts.canary_n as f64);
        let mut evidence = [0.0; K];
        add_margin(&RATIOS, &counts, &mut evidence);
        near(Mixture::fail(&traffic).evidence(n), RATIOS.mix(&evidence));
        let mut pass = PassEvidence::default();
        pass.observe(&harm, &counts, 1.0);
        near(Mixture::pass(&traffic, &harm).evidence(n), pass.ln_e(&harm, 1.0));
        let above = ceiling(counts.canary_n, counts.canary_events, 0.01);
        near(Mixture::ceiling(&traffic, 0.01).evidence(n), above);
    }
}

#[test]
fn evidence_goes_on_from_step_to_step() {
    let harm = Harm { ratio: 2.0, floor: 0.005 };
    let traffic =
        |share| Traffic { canary_rate: 0.002, baseline_rate: 0.002, share, tick: f64::INFINITY };
    let (first, second) =
        (Mixture::pass(&traffic(0.1), &harm), Mixture::pass(&traffic(0.1), &harm));
    let whole = first.evidence(900.0);
    near(second.after(&first, 500.0).evidence(400.0), whole);
}

#[test]
fn quantiles_are_where_the_probability_is() {
    let traffic =
        Traffic { canary_rate: 0.01, baseline_rate: 0.005, share: 0.1, tick: f64::INFINITY };
    let passage = Mixture::fail(&traffic).passage(4.6).unwrap();
    for p in [0.01, 0.1, 0.5, 0.9, 0.999] {
        near(passage.cdf(passage.quantile(p)), p);
    }
    assert!(passage.cdf(0.0) == 0.0 && passage.cdf(1e300) == 1.0 && passage.cdf(1e-300) == 0.0);
    let sure = Traffic { canary_rate: 0.0, baseline_rate: 0.0, ..traffic };
    let passage = Mixture::pass(&sure, &Harm { ratio: 2.0, floor: 0.005 }).passage(3.0).unwrap();
    near(passage.quantile(0.1), passage.quantile(0.9));
    assert_eq!(Mixture::fail(&sure).passage(4.6), None);
}
