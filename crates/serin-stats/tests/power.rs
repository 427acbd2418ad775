//! Planning for people: against simulations of the judge, and against formulas that circulate.

#![allow(clippy::unwrap_used, clippy::float_cmp)] // settings come back as they went in

use serin_stats::planner::words::{percent, span};
use serin_stats::planner::{
    BAKES, Question, QuestionError, TwoProportions, Warning, ladder, margin_of_error_n, schedule,
    unseen, usual_share,
};
use serin_stats::{ArmTick, Judge, JudgeConfig, JudgeSettings, Metric, Outcome, Rung, Tick};

fn settings(alpha: f64, beta: f64) -> JudgeSettings {
    let metrics = vec![Metric::Errors.into()];
    JudgeSettings { alpha, beta, metrics, ..JudgeSettings::default() }
}

fn question(baseline: f64, detect: f64, share: f64) -> Question {
    let config = JudgeConfig::new(settings(0.01, 0.05)).unwrap();
    Question { config, baseline, detect, share, rps: None, within: None }
}

/// Number of events among `n` requests, by the gaps between them.
fn binomial(rng: &mut fastrand::Rng, n: u64, p: f64) -> u64 {
    if p <= 0.0 {
        return 0;
    }
    let (mut events, mut at) = (0, 0.0);
    loop {
        at += 1.0 + ((1.0 - rng.f64()).ln() / (1.0 - p).ln()).floor();
        if at > n as f64 {
            return events;
        }
        events += 1;
    }
}

/// Canary requests at which each of `runs` rollouts was decided, sorted; ticks of `tick` requests
/// on average, Poisson where that matters.
fn decided(asked: &Question, canary_rate: f64, passed: bool, runs: usize, tick: u64) -> Vec<u64> {
    let run = |seed: usize| {
        let mut rng = fastrand::Rng::with_seed(1000 + seed as u64);
        let mut judge = Judge::new(asked.config.clone());
        loop {
            let tick = if tick < 30 { binomial(&mut rng, 20 * tick, 0.05) } else { tick };
            let n = binomial(&mut rng, tick, asked.share);
            let canary = binomial(&mut rng, n, canary_rate);
            let baseline = binomial(&mut rng, tick - n, asked.baseline);
            let arm = |n, errors| ArmTick { n, errors, ..ArmTick::default() };
            let (canary, baseline) = (arm(n, canary), arm(tick - n, baseline));
            judge.observe(&Tick { seconds: 1, baseline, canary, ..Tick::default() });
            if !passed && let Some(failure) = judge.failure() {
                return failure.canary_n;
            }
            let assessment = passed.then(|| judge.assess(Rung::LAST));
            if assessment.is_some_and(|a| a.outcome == Outcome::Pass) {
                return judge.assess(Rung::LAST).canary_n;
            }
        }
    };
    let mut all: Vec<u64> = (0..runs).map(run).collect();
    all.sort_unstable();
    all
}

#[track_caller]
fn within(planned: u64, simulated: u64, slack: f64) {
    let off = planned as f64 / simulated as f64 - 1.0;
    assert!(off.abs() <= slack, "{planned} planned, {simulated} simulated: {:.1} %", off * 100.0);
}

/// Half and nine in ten of 400 rollouts are decided when the planner says so, to 15 %.
#[test]
fn detection_is_when_the_planner_says() {
    for (baseline, detect, share, tick) in [
        (0.005, 0.01, 0.1, 200),
        (0.005, 0.015, 0.1, 100),
        (0.01, 0.015, 0.25, 100),
        (0.005, 0.05, 0.1, 20),
        (0.01, 0.1, 0.05, 40),
        (0.02, 0.06, 0.5, 50),
    ] {
        let asked = Question { rps: Some(tick as f64), ..question(baseline, detect, share) };
        let simulated = decided(&asked, detect, false, 400, tick);
        let planned = asked.detection().unwrap();
        within(planned.median.canary, simulated[200], 0.15);
        within(planned.p90.canary, simulated[360], 0.15);
    }
}

/// With few requests a tick it takes longer, because a tick compares only when it has both arms:
/// 1,006 canary requests at 2 a second, about half of that at 100. The planner knows, to 25 %.
#[test]
fn low_traffic_learns_slowly() {
    for (baseline, detect, share, tick) in [(0.01, 0.03, 0.2, 2), (0.02, 0.1, 0.1, 5)] {
        let asked = Question { rps: Some(tick as f64), ..question(baseline, detect, share) };
        let simulated = decided(&asked, detect, false, 400, tick);
        let planned = asked.detection().unwrap();
        within(planned.median.canary, simulated[200], 0.25);
        within(planned.p90.canary, simulated[360], 0.25);
        let busy = Question { rps: Some(100.0), ..asked };
        assert!(busy.detection().unwrap().median.canary * 5 / 4 < planned.median.canary);
    }
}

#[test]
fn certification_is_when_the_planner_says() {
    for (rate, share, tick) in
        [(0.0, 0.1, 50), (0.001, 0.1, 100), (0.005, 0.1, 100), (0.01, 0.25, 40), (0.02, 0.5, 10)]
    {
        let never = JudgeConfig::new(settings(1e-9, 0.05)).unwrap();
        let asked =
            Question { rps: Some(tick as f64), config: never, ..question(rate, 0.5, share) };
        let simulated = decided(&asked, rate, true, 400, tick);
        let planned = asked.certification(Rung::LAST).unwrap();
        within(planned.median.canary, simulated[200], 0.15);
        within(planned.p90.canary, simulated[360], 0.15);
    }
}

#[test]
fn more_of_anything_takes_less() {
    let base = question(0.005, 0.01, 0.1).detection().unwrap();
    assert!(base.median.canary < base.p90.canary);
    let easier = question(0.005, 0.02, 0.1).detection().unwrap();
    assert!(easier.p90.canary < base.p90.canary);
    let strict = Question {
        config: JudgeConfig::new(settings(0.001, 0.05)).unwrap(),
        ..question(0.005, 0.01, 0.1)
    };
    assert!(strict.detection().unwrap().median.canary > base.median.canary);
    let onset = JudgeSettings { late_onset: true, ..settings(0.01, 0.05) };
    let late = Question { config: JudgeConfig::new(onset).unwrap(), ..question(0.005, 0.01, 0.1) };
    assert!(late.detection().unwrap().median.canary > base.median.canary);
    let rung = |j| question(0.002, 0.01, 0.2).certification(Rung { j, m: 4 }).unwrap();
    assert!((1..4).all(|j| rung(j).median.canary < rung(j + 1).median.canary));
}

#[test]
fn the_answer_hangs_together() {
    let asked = Question { rps: Some(50.0), within: Some(1800.0), ..question(0.005, 0.01, 0.1) };
    let power = asked.answer().unwrap();
    let fail = power.fail.unwrap();
    let seconds = fail.median.canary as f64 / 5.0;
    assert!((fail.median.seconds.unwrap() - seconds).abs() <= 1.0);
    assert!((fail.median.total as f64 / fail.median.canary as f64 - 10.0).abs() < 0.01);
    let detectable = power.detectable.unwrap();
    assert_eq!(detectable.canary, 9000);
    let (median, p90) = (detectable.median.unwrap(), detectable.p90.unwrap());
    assert!(0.005 < median && median < p90 && p90 < 0.01, "{median} {p90}");
    let at_edge = Question { detect: p90, ..asked.clone() };
    within(at_edge.detection().unwrap().p90.canary, 9000, 0.01);
    assert_eq!(power.warnings, []);
}

#[test]
fn nothing_to_see_has_no_time() {
    let deaf = JudgeSettings { metrics: vec![Metric::Latency.into()], ..settings(0.01, 0.05) };
    let asked = Question { config: JudgeConfig::new(deaf).unwrap(), ..question(0.005, 0.01, 0.1) };
    assert_eq!(asked.detection(), None);
    let tolerant = JudgeSettings { tolerate: Some(0.02), ..settings(0.01, 0.05) };
    let asked =
        Question { config: JudgeConfig::new(tolerant).unwrap(), ..question(0.005, 0.01, 0.1) };
    let power = asked.answer().unwrap();
    assert_eq!(power.fail, None);
    assert!(power.warnings.contains(&Warning::Tolerated { rate: 0.02 }));
    let more = Question { detect: 0.04, ..asked };
    assert!(more.detection().unwrap().median.canary > 0);
}

#[test]
fn a_service_without_errors_can_be_planned() {
    let power = question(0.0, 0.01, 0.1).answer().unwrap();
    assert!(power.fail.unwrap().p90.canary < 2000);
    let pass = power.pass.unwrap();
    assert_eq!(pass.median, pass.p90);
    within(pass.median.canary, 831, 0.02);
}

#[test]
fn nonsense_is_refused() {
    let out = |asked: Question| asked.answer().unwrap_err();
    let good = || question(0.005, 0.01, 0.1);
    assert!(matches!(out(question(0.01, 0.01, 0.1)), QuestionError::NotWorse { .. }));
    for wrong in [
        question(-0.1, 0.01, 0.1),
        question(f64::NAN, 0.01, 0.1),
        question(0.005, 1.5, 0.1),
        question(0.005, f64::NAN, 0.1),
        question(0.005, 0.01, 0.0),
        question(0.005, 0.01, 1.0),
        Question { rps: Some(0.0), ..good() },
        Question { rps: Some(f64::INFINITY), ..good() },
        Question { within: Some(-5.0), ..good() },
    ] {
        let error = out(wrong);
        assert!(matches!(error, QuestionError::OutOfRange { .. }), "{error}");
    }
}

/// Whatever is asked, no number that comes out is infinite or none, and medians come first.
#[test]
fn answers_are_finite() {
    for baseline in [0.0_f64, 1e-6, 0.01, 0.5, 0.95] {
        for more in [1e-6, 0.001, 0.3, 1.0] {
            for share in [0.0001, 0.1, 0.5, 0.99] {
                let detect = (baseline + more).min(1.0);
                let rps = Some(0.01 + 1e5 * share);
                let asked =
                    Question { rps, within: Some(60.0), ..question(baseline, detect, share) };
                let power = asked.answer().unwrap();
                for timing in [power.fail, power.pass].into_iter().flatten() {
                    assert!(timing.median.canary <= timing.p90.canary, "{asked:?} {timing:?}");
                    assert!(timing.p90.seconds.unwrap().is_finite());
                }
                let text = serde_json::to_string(&power).unwrap();
                assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
            }
        }
    }
}

/// 1,522 is the margin of error of one sample. Two samples of 7,750 tell 1.0 % from 1.5 %, 15,500
/// in all, when the traffic is split evenly; a canary of 10 % needs 4,011 of 40,110 requests.
#[test]
fn fifteen_thousand_requests_are_both_halves_of_an_even_split() {
    assert_eq!(margin_of_error_n(0.01, 0.005, 1.96), 1522);
    let size = |share: f64, two_sided| {
        let baseline_per_canary = (1.0 - share) / share;
        let (baseline_rate, canary_rate) = (0.01, 0.015);
        let test = TwoProportions {
            baseline_rate,
            canary_rate,
            alpha: 0.05,
            power: 0.8,
            baseline_per_canary,
            two_sided,
        };
        test.sample_size().unwrap().canary.ceil() as u64
    };
    assert_eq!(
        [size(0.5, true), size(0.1, true), size(0.05, true), size(0.01, true), size(0.1, false)],
        [7750, 4011, 3761, 3580, 3199]
    );
    let textbook = question(0.01, 0.015, 0.5).answer().unwrap().textbook.unwrap();
    assert_eq!([textbook.canary, textbook.baseline].map(f64::ceil), [7750.0, 7750.0]);
}

/// A canary percentage from a fixed 15,000 requests is 21.6, 25 and 25 % for 10M, 1M and 100K
/// requests a day, not the 5, 10 and 25 % that are told beside it. With the rates themselves:
/// 5.4 % do for 10M a day, and with 1M no split at all tells 1.0 % from 1.5 % in ten minutes.
#[test]
fn the_smallest_share_is_computed_from_the_rates() {
    let told = |daily: f64| (15_000.0 / (daily / 144.0) * 100.0_f64).clamp(5.0, 25.0);
    assert!((told(1e7) - 21.6).abs() < 1e-9 && told(1e6) == 25.0 && told(1e5) == 25.0);
    let asked = question(0.01, 0.015, 0.1);
    let fixed = |daily: f64| asked.smallest_share_fixed(daily / 144.0, 0.05, 0.8);
    let share = fixed(1e7).unwrap();
    assert!((share - 0.0543).abs() < 0.0005, "{share}");
    assert_eq!([fixed(1e6), fixed(1e5)], [None, None]);
    // By the judge, with a hundredth of false alarms, nine of ten times; a tripled rate is easier.
    let judged = |daily: f64, detect: f64| {
        Question { detect, ..asked.clone() }.smallest_share(daily / 86_400.0, 600.0)
    };
    assert!(judged(1e7, 0.015).unwrap() > share);
    assert!(judged(1e7, 0.03).unwrap() < 0.03);
    assert_eq!(judged(1e5, 0.015), None);
}

#[test]
fn usual_first_shares() {
    let usual = |daily| (usual_share(daily).low, usual_share(daily).high);
    assert_eq!(usual(5e7), (0.01, 0.05));
    assert_eq!([usual(1e7), usual(1e6)], [(0.1, 0.1); 2]);
    assert_eq!([usual(999_999.0), usual(1e5)], [(0.15, 0.2); 2]);
    assert_eq!(usual(5e4).0, 0.25);
    assert_eq!(usual(f64::NAN).0, 0.25);
}

#[test]
fn bakes_by_kind_of_failure() {
    let minutes: Vec<(u64, u64)> =
        BAKES.iter().map(|bake| (bake.at_least / 60, bake.usually / 60)).collect();
    assert_eq!(minutes, [(5, 5), (15, 20), (20, 30), (30, 60)]);
    let names = |seconds| unseen(seconds).iter().map(|bake| bake.name).collect::<Vec<_>>();
    assert_eq!(names(1000), ["connection or pool exhaustion", "slow decay"]);
    assert_eq!((names(0).len(), names(1800).len()), (4, 0));
}

/// 100 requests a minute with a tenth of them on the canary are 10 a minute: one error in ten
/// minutes at 1 %.
#[test]
fn too_little_traffic_is_said() {
    let asked = Question { rps: Some(100.0 / 60.0), ..question(0.01, 0.02, 0.1) };
    let warnings = asked.answer().unwrap().warnings;
    let [Warning::TooLittleTraffic { per_minute, needed, available, share, .. }] = warnings[..]
    else {
        panic!("{warnings:?}");
    };
    assert!((per_minute - 10.0).abs() < 1e-9);
    assert!(needed > 6.0 * available && share.is_none(), "{needed}");
    let busy = Question { rps: Some(10.0), within: Some(1800.0), ..asked };
    let warnings = busy.answer().unwrap().warnings;
    let [Warning::TooLittleTraffic { share: Some(share), .. }] = warnings[..] else {
        panic!("{warnings:?}");
    };
    let enough = Question { share, ..busy };
    assert_eq!(enough.answer().unwrap().warnings, []);
}

#[test]
fn warnings_are_sentences() {
    let asked = Question { rps: Some(100.0 / 60.0), ..question(0.01, 0.015, 0.1) };
    let said: Vec<String> =
        asked.answer().unwrap().warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        said[0],
        "1.5 % is no harm yet (that begins at 2 %): it may be promoted before it is found"
    );
    assert!(said[1].starts_with("10 canary requests a minute are too few to find 1.5 %"));
    assert!(said[1].ends_with("no share of this traffic would do"), "{}", said[1]);
    assert_eq!([percent(0.005), percent(0.12345), percent(1.0)], ["0.5 %", "12.3 %", "100 %"]);
    let spans = [41.0, 594.0, 1345.0, 11_100.0, 1e6, 1e9].map(span);
    let words = ["41 s", "9 min 54 s", "23 min", "3 h 5 min", "12 days", "more than a year"];
    assert_eq!(spans, words);
}

#[test]
fn rates_below_harm_are_said() {
    let warnings = question(0.005, 0.008, 0.1).answer().unwrap().warnings;
    assert_eq!(warnings, [Warning::NotHarm { detect: 0.008, harm: 0.01 }]);
    let warnings = question(0.0001, 0.004, 0.1).answer().unwrap().warnings;
    assert_eq!(warnings, [Warning::NotHarm { detect: 0.004, harm: 0.005 }]);
}

#[test]
fn schedules_climb_and_keep_their_evidence() {
    assert_eq!(ladder(0.1), [0.1, 0.25, 0.5]);
    assert_eq!(ladder(0.01), [0.01, 0.02, 0.05, 0.1, 0.25, 0.5]);
    assert_eq!(ladder(0.4), [0.4]);
    let asked = Question { rps: Some(100.0), ..question(0.005, 0.01, 0.1) };
    let stages = schedule(&asked, &ladder(0.1));
    assert_eq!(stages.len(), 3);
    assert!(stages.windows(2).all(|w| w[0].until < w[1].until));
    // Slower than all at the last share, quicker than all at the first.
    let all = |share| schedule(&asked, &[share])[0].until;
    let last = stages[2].until;
    assert!(all(0.5) < last && last < all(0.1), "{last}");
    assert_eq!(schedule(&question(0.005, 0.01, 0.1), &[0.1]), []);
}
