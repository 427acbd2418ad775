//! What holds for any data.

use super::*;
use proptest::prelude::*;

fn whole_numbers() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((-50..50_i32).prop_map(f64::from), 0..25)
}

fn anything() -> impl Strategy<Value = Vec<f64>> {
    let hard = prop_oneof![
        any::<f64>(),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::MAX),
        Just(1e100),
        Just(-1e100),
        Just(f64::MIN_POSITIVE),
        Just(5e-324),
        Just(0.0),
        Just(-0.0),
        -1.0..1.0,
    ];
    prop::collection::vec(hard, 0..14)
}

fn rules(compat: Compat, tolerance: f64) -> JudgeConfig {
    JudgeConfig { compat, tolerance, ..JudgeConfig::kayenta(95.0, 75.0) }
}

fn mirrored(class: Classification) -> Classification {
    match class {
        High => Low,
        Low => High,
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_but_finite_numbers_comes_out(
        x in anything(),
        y in anything(),
        replace in any::<bool>(),
        cles in any::<bool>(),
        outlier_factor in prop::option::of(1e-3..1e3),
        improved in any::<bool>(),
    ) {
        let compat = if improved { Compat::Improved } else { Compat::Kayenta };
        let measure = if cles { Measure::Cles } else { Measure::MeanRatio };
        let config = MetricConfig {
            nan_strategy: if replace { NanStrategy::Replace } else { NanStrategy::Remove },
            outlier_factor,
            effect_size: EffectSize { measure, ..EffectSize::default() },
            ..MetricConfig::default()
        };
        let series = [MetricSeries { config, control: y, experiment: x }];
        let report = judge(&rules(compat, 0.25), &series).unwrap();
        let metric = &report.metrics[0];
        let shift = metric.classified.shift.map_or([0.0; 3], |s| [s.low, s.high, s.estimate]);
        let arms = [metric.control, metric.experiment].map(|a| [a.min, a.max, a.mean, a.std]);
        let effects = [metric.classified.deviation, metric.classified.effect].map(|e| e.unwrap_or(0.0));
        let all = shift.into_iter().chain(arms.into_iter().flatten()).chain(effects);
        prop_assert!(all.chain([report.summary.score]).all(f64::is_finite), "{report:?}");
    }

    #[test]
    fn a_shift_of_the_canary_shifts_the_interval(
        x in whole_numbers(), y in whole_numbers(), by in -100..100_i32,
    ) {
        let by = f64::from(by);
        let moved: Vec<f64> = x.iter().map(|v| v + by).collect();
        let (before, after) = (
            shift_exact(&sample(&x), &sample(&y), 0.98),
            shift_exact(&sample(&moved), &sample(&y), 0.98),
        );
        let expected = before.map(|s| [s.low + by, s.high + by, s.estimate + by]);
        prop_assert_eq!(after.map(|s| [s.low, s.high, s.estimate]), expected);
    }

    #[test]
    fn a_shift_of_both_arms_changes_nothing(x in whole_numbers(), y in whole_numbers(), by in -100..100_i32) {
        let up = |values: &[f64]| values.iter().map(|v| v + f64::from(by)).collect::<Vec<f64>>();
        let before = shift_exact(&sample(&x), &sample(&y), 0.98);
        prop_assert_eq!(shift_exact(&sample(&up(&x)), &sample(&up(&y)), 0.98), before);
    }

    #[test]
    fn swapped_arms_mirror_the_verdict(x in whole_numbers(), y in whole_numbers()) {
        let forth = class(&rules(Compat::Improved, 0.0), &x, &y);
        let (a, b) = (shift_exact(&sample(&x), &sample(&y), 0.98), shift_exact(&sample(&y), &sample(&x), 0.98));
        prop_assert_eq!(a.map(|s| [s.low, s.high, s.estimate]), b.map(|s| [-s.high + 0.0, -s.low + 0.0, -s.estimate + 0.0]));
        prop_assert_eq!(class(&rules(Compat::Improved, 0.0), &y, &x), mirrored(forth));
        let forth = class(&rules(Compat::Kayenta, 0.25), &x, &y);
        let back = class(&rules(Compat::Kayenta, 0.25), &y, &x);
        prop_assert!(back == mirrored(forth) || forth == Pass || back == Pass, "{:?} {:?}", forth, back);
    }

    #[test]
    fn selection_agrees_with_sorting(x in whole_numbers(), y in whole_numbers()) {
        let Ok(shift) = shift_exact(&sample(&x), &sample(&y), 0.5) else { return Ok(()) };
        let mut all: Vec<f64> = x.iter().flat_map(|x| y.iter().map(move |y| x - y)).collect();
        all.sort_by(f64::total_cmp);
        let median = f64::midpoint(all[(all.len() - 1) / 2], all[all.len() / 2]);
        prop_assert_eq!(shift.estimate.to_bits(), (median + 0.0).to_bits());
        let below = all.iter().filter(|d| **d < shift.low).count();
        let above = all.iter().filter(|d| **d > shift.high).count();
        // The ends are differences themselves, on either side of the middle.
        prop_assert!(below < all.len().div_ceil(2) && above < all.len().div_ceil(2));
        prop_assert!(all.contains(&shift.low) && all.contains(&shift.high));
    }

    #[test]
    fn ranks_sum_to_the_triangle(values in whole_numbers()) {
        let (ranks, ties) = average_ranks(&values);
        let n = values.len() as f64;
        prop_assert!((ranks.iter().sum::<f64>() - n * (n + 1.0) / 2.0).abs() < 0.25);
        prop_assert!((0.0..=n * n * n - n).contains(&ties) || n == 0.0);
    }
}
