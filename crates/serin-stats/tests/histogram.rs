//! Buckets and histograms.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serin_stats::bucket::buckets_of_change;
use serin_stats::{Histogram, MAX_BUCKET, bucket_lower_us, bucket_of_us, bucket_upper_us};

#[test]
fn known_buckets() {
    let cases = [(0, 0), (1, 0), (2, 32), (3, 50), (1000, 318), (1024, 320), (25_000, 467)];
    for (us, bucket) in cases {
        assert_eq!(bucket_of_us(us), bucket, "{us} us");
    }
    assert_eq!(bucket_of_us((1 << 32) - 1), 1023);
    assert_eq!(bucket_of_us(u64::MAX), MAX_BUCKET);
}

#[test]
fn edges_meet_exactly() {
    for bucket in 0..=MAX_BUCKET {
        let (lower, upper) = (bucket_lower_us(bucket), bucket_upper_us(bucket));
        assert!(lower <= upper);
        assert!(bucket_of_us(lower) >= bucket, "lower edge of {bucket}");
        assert!(bucket_of_us(upper - 1) <= bucket, "end of {bucket}");
        assert!(bucket_of_us(upper) > bucket || bucket == MAX_BUCKET);
    }
}

#[test]
fn changes_in_buckets() {
    let cases = [(0.0, 0), (0.05, 2), (0.11, 5), (0.25, 10), (1.0, 32), (-0.5, 0)];
    for (change, buckets) in cases {
        assert_eq!(buckets_of_change(change), buckets, "{change}");
    }
}

#[test]
fn quantiles_and_exceedances() {
    let h = Histogram::from_iter([(10, 50), (20, 40), (30, 9), (40, 1)]);
    assert_eq!(h.total(), 100);
    let quantiles = [0.0, 0.5, 0.51, 0.9, 0.99, 1.0].map(|q| h.quantile_bucket(q).unwrap());
    assert_eq!(quantiles, [10, 10, 20, 20, 30, 40]);
    assert_eq!([9, 10, 30, 40].map(|b| h.exceedances(b)), [100, 50, 1, 0]);
    assert_eq!(h.quantile_us(0.5), Some((bucket_lower_us(10), bucket_upper_us(10))));
    assert_eq!(Histogram::new().quantile_bucket(0.5), None);
    assert_eq!(h.shifted(5).count_from(45), 1);
    assert_eq!(h.shifted(-15).count_from(1), 50);
}

#[test]
fn a_reset_counter_is_noticed() {
    let before = Histogram::from_iter([(10, 5), (20, 1)]);
    let after = Histogram::from_iter([(10, 7), (15, 2), (20, 1)]);
    assert_eq!(after.since(&before), Some(Histogram::from_iter([(10, 2), (15, 2)])));
    assert_eq!(before.since(&after), None);
    assert_eq!(Histogram::from_iter([(10, 9)]).since(&before), None);
}

#[test]
fn stored_histograms_are_put_in_order() {
    let read: Histogram = serde_json::from_str("[[20,1],[10,2],[20,3],[5,0],[60000,1]]").unwrap();
    assert_eq!(read.iter().collect::<Vec<_>>(), [(10, 2), (20, 4), (1023, 1)]);
    assert_eq!(serde_json::to_string(&read).unwrap(), "[[10,2],[20,4],[1023,1]]");
}

fn histogram() -> impl Strategy<Value = Histogram> {
    prop::collection::vec((0..1024_u16, 0..1000_u64), 0..20).prop_map(Histogram::from)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn buckets_are_monotone_and_hold_their_durations(us in 1..u64::MAX, octave in 0..63_u32) {
        let us = us >> octave;
        let bucket = bucket_of_us(us);
        prop_assert!(bucket_of_us(us.saturating_add(1)) >= bucket);
        prop_assert!(bucket_lower_us(bucket) <= us.max(1));
        prop_assert!(us < bucket_upper_us(bucket) || bucket == MAX_BUCKET);
        let real = 32.0 * (us.max(1) as f64).log2();
        prop_assert!((real - real.round()).abs() < 1e-9 || bucket == (real as u16).min(MAX_BUCKET));
    }

    #[test]
    fn since_undoes_add(a in histogram(), b in histogram()) {
        let mut sum = a.clone();
        sum.add(&b);
        prop_assert_eq!(sum.total(), a.total() + b.total());
        prop_assert_eq!(sum.since(&a), Some(b));
    }

    #[test]
    fn shifting_moves_exceedances(h in histogram(), bucket in 0..900_u16, by in 0..100_u16) {
        prop_assert_eq!(h.shifted(i32::from(by)).exceedances(bucket + by), h.exceedances(bucket));
    }
}
