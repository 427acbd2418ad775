//! What holds for any counts.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serin_stats::eprocess::{Counts, add_margin};
use serin_stats::grid::{ODDS, RATIOS};
use serin_stats::{
    ArmTick, Assessment, Histogram, Judge, JudgeConfig, JudgeSettings, Metric, Outcome, Rung, Tick,
};

fn settings() -> impl Strategy<Value = JudgeSettings> {
    let metrics = prop_oneof![
        Just(vec![Metric::Errors.into()]),
        Just(vec![Metric::Latency.into()]),
        Just(vec![Metric::Errors.into(), Metric::Latency.into()]),
        Just(vec![Metric::Latency.into(), Metric::Errors.into()]),
    ];
    let tolerate = prop::option::of(1e-6..0.5);
    let latency = (0.03..5.0_f64, 1.5..10.0_f64, any::<bool>());
    (1e-9..0.5, 1e-9..0.5, 1.05..100.0, 1e-6..0.5, tolerate, latency, metrics).prop_map(
        |(alpha, beta, harm_ratio, harm_floor, tolerate, (slack, harm, late_onset), metrics)| {
            JudgeSettings {
                alpha,
                beta,
                harm_ratio,
                harm_floor,
                tolerate,
                latency_tolerance: slack.min(harm / 1.5),
                latency_harm: harm,
                late_onset,
                metrics,
                ..JudgeSettings::default()
            }
        },
    )
}

/// Any size, from nothing to the largest number there is.
fn size() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..50_u64, 1..100_000_u64, any::<u64>()]
}

fn arm() -> impl Strategy<Value = ArmTick> {
    let latency = prop::collection::vec((0..1100_u16, size()), 0..8);
    (size(), size(), size(), latency).prop_map(|(n, errors, unfinished, latency)| {
        let errors = if n == 0 { 0 } else { errors % n.saturating_add(1).max(1) };
        let unfinished = unfinished.min(errors);
        let mut left = n - errors;
        let kept = latency.into_iter().map(|(bucket, count)| {
            let count = count.min(left);
            left -= count;
            (bucket, count)
        });
        ArmTick { n, errors, latency: kept.collect(), unfinished, ..ArmTick::default() }
    })
}

fn ticks() -> impl Strategy<Value = Vec<Tick>> {
    let tick = (0..120_u32, arm(), arm()).prop_map(|(seconds, baseline, canary)| Tick {
        seconds,
        baseline,
        canary,
        ..Tick::default()
    });
    prop::collection::vec(tick, 0..12)
}

fn numbers(a: &Assessment) -> Vec<f64> {
    let mut all = vec![a.fail_evidence, a.fail_needed];
    for m in &a.metrics {
        all.extend([m.fail_evidence, m.fail_needed, m.pass_evidence, m.pass_needed]);
        all.extend([m.baseline_rate, m.canary_rate, m.limit].into_iter().flatten());
        all.extend(m.interval.into_iter().flat_map(|i| [i.0, i.1]));
    }
    all
}

fn stored(judge: &Judge) -> Judge {
    serde_json::from_str(&serde_json::to_string(judge).unwrap()).unwrap()
}

fn observed(settings: JudgeSettings, ticks: &[Tick]) -> Judge {
    let mut judge = Judge::new(JudgeConfig::new(settings).unwrap());
    for tick in ticks {
        judge.observe(tick);
    }
    judge
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn every_number_is_finite(settings in settings(), ticks in ticks(), j in 0..9_u32, m in 0..9_u32) {
        let judge = observed(settings, &ticks);
        prop_assert_eq!(judge.rejected_ticks(), 0);
        let assessment = judge.assess(Rung { j, m });
        for number in numbers(&assessment) {
            prop_assert!(number.is_finite(), "{assessment:?}");
        }
        // A number that is not finite is null in JSON and would not come back.
        prop_assert_eq!(&stored(&judge), &judge);
    }

    #[test]
    fn restarts_change_no_bit(settings in settings(), ticks in ticks(), restarts in any::<u16>()) {
        let straight = observed(settings.clone(), &ticks);
        let mut restarted = observed(settings, &[]);
        for (at, tick) in ticks.iter().enumerate() {
            if restarts >> (at % 16) & 1 == 1 {
                restarted = stored(&restarted);
            }
            restarted.observe(tick);
        }
        let bits = |judge: &Judge| serde_json::to_string(judge).unwrap();
        prop_assert_eq!(bits(&restarted), bits(&straight));
        prop_assert_eq!(restarted.assess(Rung::LAST), straight.assess(Rung::LAST));
    }

    #[test]
    fn more_canary_errors_never_lower_fail_evidence(
        tolerate in prop::option::of(1e-6..0.5),
        ticks in prop::collection::vec((1..3000_u64, 0.0..1.0, 0..3000_u64, 0.0..1.0), 1..8),
        which in any::<prop::sample::Index>(),
        part in 0.0..1.0,
    ) {
        let tick = |(n_c, c, n_s, s): (u64, f64, u64, f64)| Tick {
            seconds: 1,
            canary: ArmTick { n: n_c, errors: (n_c as f64 * c) as u64, ..ArmTick::default() },
            baseline: ArmTick { n: n_s, errors: (n_s as f64 * s * s) as u64, ..ArmTick::default() },
            ..Tick::default()
        };
        let mut ticks: Vec<Tick> = ticks.into_iter().map(tick).collect();
        let settings = JudgeSettings { tolerate, metrics: vec![Metric::Errors.into()], ..JudgeSettings::default() };
        let before = observed(settings.clone(), &ticks).assess(Rung::LAST).fail_evidence;
        let at = which.index(ticks.len());
        let worse = &mut ticks[at].canary;
        worse.errors += ((worse.n - worse.errors) as f64 * part) as u64;
        let after = observed(settings, &ticks).assess(Rung::LAST).fail_evidence;
        prop_assert!(after >= before - 1e-9 * (1.0 + before.abs()), "{before} fell to {after}");
    }

    #[test]
    fn fail_is_final_and_wins(settings in settings(), later in ticks()) {
        let bad = Tick {
            seconds: 1,
            baseline: ArmTick { n: 100_000, errors: 0, latency: Histogram::from_iter([(300, 90_000)]), unfinished: 0, ..ArmTick::default() },
            canary: ArmTick { n: 100_000, errors: 90_000, latency: Histogram::from_iter([(900, 10_000)]), unfinished: 0, ..ArmTick::default() },
            ..Tick::default()
        };
        let mut judge = observed(settings, &[bad.clone(), bad]);
        let failure = judge.failure().cloned();
        prop_assert!(failure.is_some());
        for tick in &later {
            judge.observe(tick);
            prop_assert_eq!(judge.assess(Rung { j: 1, m: 100 }).outcome, Outcome::Fail);
        }
        prop_assert_eq!(judge.failure().cloned(), failure);
    }

    #[test]
    fn without_canary_requests_there_is_no_pass(settings in settings(), mut ticks in ticks()) {
        for tick in &mut ticks {
            tick.canary = ArmTick::default();
        }
        let assessment = observed(settings, &ticks).assess(Rung { j: 1, m: 1000 });
        prop_assert_eq!(assessment.outcome, Outcome::NoData);
        for m in assessment.metrics {
            prop_assert_eq!(m.outcome, Outcome::NoData);
            prop_assert!(m.fail_evidence.abs() < 1e-9 && m.pass_evidence.abs() < 1e-9);
        }
    }

    /// The heart of the guarantee: given both sizes and all events, the increment of every
    /// alternative has mean at most 1 over the hypergeometric distribution.
    #[test]
    fn margin_increments_have_mean_at_most_one(n_c in 1..60_u64, n_s in 1..60_u64, part in 0.0..=1.0) {
        let n = n_c + n_s;
        let e = (n as f64 * part) as u64;
        for grid in [&*RATIOS, &ODDS[0]] {
            let mut mean = [0.0; 24];
            for e_c in e.saturating_sub(n_s)..=e.min(n_c) {
                let ln_p = ln_choose(n_c, e_c) + ln_choose(n_s, e - e_c) - ln_choose(n, e);
                let counts = Counts { canary_n: n_c, canary_events: e_c, baseline_n: n_s, baseline_events: e - e_c };
                let mut evidence = [0.0; 24];
                add_margin(grid, &counts, &mut evidence);
                for (sum, l) in mean.iter_mut().zip(evidence) {
                    *sum += (ln_p + l).exp();
                }
            }
            for (k, mean) in mean.into_iter().enumerate() {
                prop_assert!(mean <= 1.0 + 1e-9, "mean {mean} for alternative {k}, {n_c} {n_s} {e}");
            }
        }
    }
}

fn ln_choose(n: u64, k: u64) -> f64 {
    let ln_factorial = |x: u64| libm::lgamma(x as f64 + 1.0);
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}
