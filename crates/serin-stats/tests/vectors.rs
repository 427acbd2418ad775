//! The published numbers, to 1e-9 relative.

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use serin_stats::JudgeConfig;
use serin_stats::eprocess::{
    Counts, Harm, PassEvidence, add_known_share, add_margin, ceiling_on, known_share,
};
use serin_stats::grid::{Grid, log_mean_exp, log_sum_exp};
use serin_stats::onset::start;
use serin_stats::planner::{
    TwoProportions, errors_to_detect, margin_of_error_n, nats_per_error, requests_to_pass,
};

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

/// The grid of the vectors, with their prior.
fn plain() -> Grid {
    Grid::with_step(4.0)
}

/// The vectors weigh the alternatives of PASS alike.
fn alike(pass: &PassEvidence, harm: &Harm) -> [f64; 2] {
    let logs = pass.components(harm);
    [log_mean_exp(&logs[..5]), log_mean_exp(&logs[5..])]
}

#[track_caller]
fn near(actual: f64, expected: &Value) {
    let expected = expected.as_f64().unwrap();
    let error = (actual - expected).abs() / expected.abs().max(1e-3);
    assert!(error < 1e-9, "{actual} instead of {expected}: relative error {error:e}");
}

fn ticks(list: &Value, names: [&str; 4]) -> Vec<Counts> {
    let read = |t: &Value, at: usize| t[names[at]].as_u64().unwrap();
    let tick = |t: &Value| Counts {
        canary_n: read(t, 0),
        canary_events: read(t, 1),
        baseline_n: read(t, 2),
        baseline_events: read(t, 3),
    };
    list.as_array().unwrap().iter().map(tick).collect()
}

fn sequential_ticks(v: &Value) -> Vec<Counts> {
    ticks(&v["sequential"]["ticks"], ["nc", "ec", "ns", "es"])
}

#[test]
fn grid_and_prior() {
    let v = vectors();
    for k in 0..24 {
        near(plain().up[k] + 1.0, &v["sequential"]["grid_r"][k]);
        near(plain().ln_prior[k], &v["sequential"]["log_weights"][k]);
    }
}

#[test]
fn margin_form() {
    let v = vectors();
    let mut evidence = [0.0; 24];
    for (t, tick) in sequential_ticks(&v).iter().enumerate() {
        add_margin(&plain(), tick, &mut evidence);
        if t == 0 {
            for (k, l) in evidence.iter().enumerate() {
                near(*l, &v["sequential"]["log_inc_margin_tick1"][k]);
            }
        }
        near(plain().mix(&evidence), &v["sequential"]["log_e_margin"][t]);
    }
}

/// The prior of the vectors: half at once, the other half spread over 119 later ticks.
#[test]
fn onset_mixture() {
    let v = vectors();
    let mut evidence = [0.5_f64.ln(); 24];
    let later: f64 = 0.5 / 119.0;
    for (t, tick) in sequential_ticks(&v).iter().enumerate() {
        if t > 0 {
            start(&mut evidence, later.ln());
        }
        add_margin(&plain(), tick, &mut evidence);
        let rest: f64 = 0.5 - later * t as f64;
        let ln_e = log_sum_exp(&[plain().mix(&evidence), rest.ln()]);
        near(ln_e, &v["sequential"]["log_e_onset_T120_first0.5"][t]);
    }
}

#[test]
fn known_share_form_with_and_without_tolerance() {
    let v = vectors();
    let names = [(1.0, "log_e_known_share_w0.1"), (1.2, "log_e_known_share_w0.1_tolerance_r0_1.2")];
    for (r0, name) in names {
        let mut evidence = [0.0; 24];
        for (t, tick) in sequential_ticks(&v).iter().enumerate() {
            for (l, up) in evidence.iter_mut().zip(plain().up) {
                *l += known_share(tick, r0 * (up + 1.0), r0);
            }
            near(plain().mix(&evidence), &v["sequential"][name][t]);
        }
    }
}

#[test]
fn known_share_of_a_whole_grid() {
    let v = vectors();
    let mut evidence = [0.0; 24];
    for (t, tick) in sequential_ticks(&v).iter().enumerate() {
        add_known_share(&plain().ln_r, &plain().up, tick, &mut evidence);
        near(plain().mix(&evidence), &v["sequential"]["log_e_known_share_w0.1"][t]);
    }
}

#[test]
fn pass_ratio_form() {
    let v = vectors();
    let harm = Harm { ratio: 2.0, floor: 0.005 };
    let mut pass = PassEvidence::default();
    for (t, tick) in sequential_ticks(&v).iter().enumerate() {
        pass.observe(&harm, tick, 1.0);
        near(alike(&pass, &harm)[0], &v["sequential"]["log_e_pass_r1_2_w0.1"][t]);
    }
    for (k, r) in harm.ratios().into_iter().enumerate() {
        near(r, &v["sequential"]["pass_grid"][k]);
    }
}

#[test]
fn ceiling_test() {
    let v = vectors();
    let (mut n, mut e) = (0.0, 0.0);
    for (t, tick) in sequential_ticks(&v).iter().enumerate() {
        n += tick.canary_n as f64;
        e += tick.canary_events as f64;
        near(ceiling_on(&plain(), n, e, 0.01), &v["sequential"]["ceiling_p0_0.01"]["log_e"][t]);
    }
}

#[test]
fn pass_mixture_with_floor() {
    let v = &vectors()["pass_floor_mixture"];
    let harm = Harm { ratio: 2.0, floor: 0.005 };
    let mut pass = PassEvidence::default();
    for (t, tick) in ticks(&v["ticks"], ["n_c", "e_c", "n_s", "e_s"]).iter().enumerate() {
        pass.observe(&harm, tick, 1.0);
        let expected = &v["expected"][t];
        let parts = alike(&pass, &harm);
        near(parts[0], &expected["log_e_ratio"]);
        near(parts[1], &expected["log_e_floor"]);
        near(log_mean_exp(&parts), &expected["log_e_pass"]);
    }
}

#[test]
fn sample_sizes() {
    let v = vectors();
    let mut two_proportions = 0;
    for case in v["sample_size"].as_array().unwrap() {
        let number = |name: &str| case[name].as_f64().unwrap();
        if case["kind"] == "seed_margin_of_error" {
            let n = margin_of_error_n(number("p"), number("e"), number("z"));
            assert_eq!(n, case["n"].as_u64().unwrap());
            continue;
        }
        let size = TwoProportions {
            baseline_rate: number("p_stable"),
            canary_rate: number("p_canary"),
            alpha: number("alpha"),
            power: number("power"),
            baseline_per_canary: number("ratio_stable_per_canary"),
            two_sided: case["two_sided"].as_bool().unwrap(),
        }
        .sample_size()
        .unwrap();
        near(size.canary, &case["n_canary"]);
        near(size.baseline, &case["n_stable"]);
        two_proportions += 1;
    }
    assert_eq!(two_proportions, 60);
}

#[test]
fn errors_until_detection() {
    let v = vectors();
    let cases = v["sequential"]["expected_errors_to_detect"].as_array().unwrap();
    assert_eq!(cases.len(), 40);
    for case in cases {
        let number = |name: &str| case[name].as_f64().unwrap();
        near(nats_per_error(number("w"), number("r")), &case["kl_per_error"]);
        near(errors_to_detect(number("w"), number("r"), number("alpha"), 0.0), &case["errors"]);
    }
}

#[test]
fn mean_of_e_values() {
    let v = vectors();
    for case in v["multiplicity"].as_array().unwrap() {
        let logs: Vec<f64> =
            case["e"].as_array().unwrap().iter().map(|e| e.as_f64().unwrap().ln()).collect();
        near(log_mean_exp(&logs).exp(), &case["mean_e"]);
    }
}

/// A service without errors passes a floor of 0.5 % after some 850 canary requests, of 0.1 %
/// after 4,200, of 1 % after 440 (5-second looks there, hence the slack).
#[test]
fn plan_of_a_service_without_errors() {
    for (floor, expected) in [(0.005, 854.0), (0.001, 4178.0), (0.01, 441.0)] {
        let settings = serin_stats::JudgeSettings {
            harm_floor: floor,
            ..serin_stats::JudgeSettings::default()
        };
        let config = JudgeConfig::new(settings).unwrap();
        let n = requests_to_pass(&config, 0.0, 0.1, serin_stats::Rung::LAST).unwrap();
        assert!((n as f64 / expected - 1.0).abs() < 0.08, "{n} for a floor of {floor}");
    }
}
