//! What is judged, and that it is judged as a rollout would be.

use crate::{judge, lines, pieces, steady, stream, verdict, verdicts};
use serde_json::{Value, json};
use serin_stats::{
    ArmTick, Histogram, Judge, JudgeConfig, JudgeSettings, Metric, Outcome, Rung, Tick,
};
use std::fmt::Write as _;

fn judge_of(metrics: &[Metric]) -> Judge {
    let metrics = metrics.iter().cloned().map(Into::into).collect();
    Judge::new(JudgeConfig::new(JudgeSettings { metrics, ..JudgeSettings::default() }).unwrap())
}

fn arm(n: u64, errors: u64) -> ArmTick {
    ArmTick { n, errors, ..ArmTick::default() }
}

#[test]
fn the_verdict_is_the_judges() {
    let ticks = [[3000, 15, 300, 3], [2900, 14, 310, 5], [3100, 16, 290, 9], [3000, 12, 320, 12]];
    let found = verdict(&[], &stream("a", &ticks));
    let mut judge = judge_of(&[Metric::Errors]);
    let mut failed_at = None;
    for (at, [n, k, canary_n, canary_k]) in ticks.into_iter().enumerate() {
        let (baseline, canary) = (arm(n, k), arm(canary_n, canary_k));
        judge.observe(&Tick { seconds: 30, baseline, canary, ..Tick::default() });
        let assessment = judge.assess(Rung::LAST);
        if assessment.outcome == Outcome::Fail && failed_at.is_none() {
            failed_at = Some((at + 1, assessment));
        }
    }
    let (tick, expected) = failed_at.expect("the version is bad");
    assert_eq!(found["verdict"], "FAIL");
    assert_eq!((&found["tick"], &found["t"]), (&json!(tick), &json!(tick * 30)));
    assert_eq!(found["evidence"]["fail"], json!(expected.fail_evidence));
    assert_eq!(found["evidence"]["pass"], json!(expected.metrics[0].pass_evidence));
    assert_eq!(found["evidence"]["fail_e_needed"], json!(100.0));
    assert_eq!(found["interval"], json!(expected.metrics[0].interval.unwrap()));
    assert_eq!(found["blame"], json!(["errors"]));
    let seen = ticks[..tick].iter().fold([0, 0], |[n, m], t| [n + t[0], m + t[2]]);
    assert_eq!(found["requests"], json!({ "stable": seen[0], "canary": seen[1] }));
}

#[test]
fn nothing_is_no_data_to_the_letter() {
    let said = judge(&[], &stream("a", &[[100, 1, 0, 0]]));
    let evidence = "{\"fail\":0.0,\"fail_needed\":4.605170185988092,\"pass\":0.0,\
        \"pass_needed\":2.995732273553991,\"fail_e\":1.0,\"fail_e_needed\":100.0,\"pass_e\":1.0,\
        \"pass_e_needed\":20.0}";
    assert!(
        said.out.starts_with("{\"run\":\"a\",\"verdict\":\"NODATA\",\"t\":30,\"tick\":1,"),
        "{said:?}"
    );
    assert!(said.out.contains(&format!("\"evidence\":{evidence},")), "{}", said.out);
    assert!(said.out.contains("\"rates\":{\"stable\":0.01,\"canary\":null}"), "{}", said.out);
    let totals = "1 run, 1 line: 0 FAIL, 0 PASS, 0 CONTINUE, 1 NODATA, 0 INVALID\n";
    assert_eq!((said.code, said.err.as_str()), (Some(0), totals));
}

#[test]
fn an_empty_stream_has_no_verdicts() {
    for text in ["", "\n\n"] {
        let said = judge(&[], text);
        assert_eq!((said.code, said.out.as_str()), (Some(0), ""), "{said:?}");
    }
}

#[test]
fn a_pass_is_told_at_its_first_tick_and_revoked_by_a_later_fail() {
    let good = steady(20, 5, 5);
    let first = verdict(&[], &stream("a", &good));
    assert_eq!(first["verdict"], "PASS");
    assert!(first["tick"].as_u64().unwrap() < 20, "{first}");
    assert_eq!(first["ticks"], 20);
    let turned = [good, steady(10, 5, 60)].concat();
    let late = verdict(&[], &stream("a", &turned));
    assert_eq!(late["verdict"], "FAIL");
    assert!(late["tick"].as_u64().unwrap() > 20, "{late}");
    let kept = verdict(&["--first"], &stream("a", &turned));
    assert_eq!((&kept["verdict"], &kept["tick"]), (&first["verdict"], &first["tick"]));
}

#[test]
fn runs_may_be_mixed_and_come_out_in_order() {
    let b = stream("b", &steady(6, 5, 50));
    let a = stream("a", &steady(6, 5, 5));
    let mut mixed = String::new();
    for (x, y) in b.lines().zip(a.lines()) {
        writeln!(mixed, "{x}\n{y}").unwrap();
    }
    let found = verdicts(&[], &mixed);
    let alone = [verdict(&[], &b), verdict(&[], &a)];
    assert_eq!(found, alone);
    assert_eq!(found[0]["run"], "b");
}

#[test]
fn how_the_stream_is_cut_does_not_matter() {
    let text = stream("a", &steady(8, 5, 20));
    let whole = judge(&[], &text);
    let mut cut = Vec::new();
    let mut rest = text.as_str();
    for length in (1..40).cycle() {
        if rest.len() <= length {
            cut.push(rest);
            break;
        }
        let (piece, after) = rest.split_at(length);
        cut.push(piece);
        rest = after;
    }
    assert_eq!(pieces(&[], &cut).out, whole.out);
    assert_eq!(judge(&[], text.trim_end()).out, whole.out);
    assert_eq!(judge(&[], &text.replace('\n', "\r\n\r\n")).out, whole.out);
}

#[test]
fn cumulative_counters_give_the_same_evidence() {
    let ticks = steady(12, 5, 12);
    let plain = verdict(&[], &stream("a", &ticks));
    let mut sum = [70_000, 300, 9_000, 31];
    let mut counters = vec![sum];
    for tick in &ticks {
        for (total, more) in sum.iter_mut().zip(tick) {
            *total += more;
        }
        counters.push(sum);
    }
    let summed = verdict(&["--cumulative"], &stream("a", &counters));
    assert_eq!(summed["evidence"], plain["evidence"]);
    assert_eq!(summed["requests"], plain["requests"]);
    assert_eq!(
        summed["tick"],
        json!(plain["tick"].as_u64().unwrap() + 1),
        "the first sets the zero"
    );
    assert_eq!(summed.get("restarted"), None);
}

#[test]
fn a_restarted_counter_costs_its_tick_and_is_counted() {
    let counters = [[1000, 5, 100, 1], [2000, 10, 200, 2], [500, 2, 300, 3], [1500, 7, 400, 4]];
    let said = judge(&["--cumulative"], &stream("a", &counters));
    let found = &lines(&said.out)[0];
    assert_eq!(found["restarted"], 1);
    assert_eq!(found["requests"], json!({ "stable": 2000, "canary": 200 }));
    assert!(said.err.contains("1 tick dropped at a restarted counter"), "{}", said.err);
}

/// Latency of `n` requests around a bucket, as the two forms of a histogram.
fn spread(n: u64, middle: u64) -> (Value, Value) {
    let counts: Vec<(u64, u64)> = (0..20).map(|b| (middle + b, n / 20)).collect();
    let map = counts.iter().map(|(b, n)| (b.to_string(), json!(n))).collect();
    (Value::Object(map), json!(counts))
}

fn latency(middle: u64, seconds: u64, as_map: bool) -> String {
    let mut text = String::new();
    for t in 1..=seconds {
        let (stable, canary) = (spread(2000, 480), spread(400, middle));
        let pick = |(map, list): (Value, Value)| if as_map { map } else { list };
        let line = json!({ "t": t, "stable": { "hist": pick(stable) }, "canary": { "hist": pick(canary) } });
        writeln!(text, "{line}").unwrap();
    }
    text
}

#[test]
fn latency_alone_is_judged_where_only_it_is_there() {
    let slow = verdict(&[], &latency(500, 30, true));
    assert_eq!((&slow["verdict"], &slow["blame"]), (&json!("FAIL"), &json!(["latency"])));
    assert_eq!(slow["metrics"].as_array().unwrap().len(), 1);
    assert!(slow["metrics"][0]["latency_ms"]["canary_p50_ms"].is_f64(), "{slow}");
    let same = verdict(&[], &latency(480, 30, true));
    assert_eq!(same["verdict"], "PASS");
    assert_eq!(same, verdict(&[], &latency(480, 30, false)), "both forms of a histogram");
}

#[test]
fn a_histogram_counts_as_the_library_does() {
    let mut judge = judge_of(&[Metric::Latency]);
    for _ in 0..5 {
        let of = |n: u64, middle: u16| ArmTick {
            n,
            latency: (0..20).map(|b| (middle + b, n / 20)).collect::<Histogram>(),
            ..ArmTick::default()
        };
        let (baseline, canary) = (of(2000, 480), of(400, 483));
        judge.observe(&Tick { seconds: 1, baseline, canary, ..Tick::default() });
    }
    let traced = verdicts(&["--trace"], &latency(483, 5, true));
    let expected = judge.assess(Rung::LAST);
    assert_eq!(traced[4]["evidence"]["fail"], json!(expected.fail_evidence));
    assert_eq!(traced[4]["evidence"]["pass"], json!(expected.metrics[0].pass_evidence));
}

#[test]
fn a_histogram_of_all_requests_loses_the_failed_ones_evenly() {
    let line = |t: u64, hist: [u64; 3]| {
        let hist: Value = hist.iter().zip(480..).map(|(n, b)| (b.to_string(), json!(n))).collect();
        json!({ "t": t, "stable": { "n": 2000, "k": 0, "hist": { "480": 1000, "481": 1000 } },
                "canary": { "n": 400, "k": 100, "hist": hist } })
        .to_string()
    };
    let text = |hist| (1..20).map(|t| line(t, hist)).collect::<Vec<_>>().join("\n");
    let words = ["--metrics", "latency,errors:watch-only"];
    let all = verdict(&words, &text([200, 100, 100]));
    let finished = verdict(&words, &text([150, 75, 75]));
    assert_eq!(all, finished);
    assert_eq!(all["metrics"][1]["k"]["canary"], json!(all["tick"].as_u64().unwrap() * 100));
}

#[test]
fn sessions_are_the_units_where_they_are_told() {
    let line = |t: u64, sessions: u64, k: u64| {
        json!({ "t": t, "stable": { "n": 9000, "sessions": 900, "k": 5 },
                "canary": { "n": 1000, "sessions": sessions, "k": k } })
        .to_string()
    };
    let text = [line(60, 100, 1), line(120, 100, 30)].join("\n");
    let found = verdict(&["--late-onset"], &text);
    let by_sessions = stream("", &[[900, 5, 100, 1], [900, 5, 100, 30]]);
    let by_requests = verdict(&[], &by_sessions);
    assert_eq!(found["unit"], "session");
    assert_eq!(found["evidence"], by_requests["evidence"], "and onset is off");
    assert_eq!(found["requests"], json!({ "stable": 18_000, "canary": 2000 }));
    assert_eq!(found["sessions"], json!({ "stable": 1800, "canary": 200 }));
}

#[test]
fn routing_by_rule_is_compared_with_before() {
    let tick = |t: i64, before: bool, k: u64, canary_k: u64| {
        json!({ "t": t, "before": before, "stable": { "n": 9000, "k": k },
                "canary": { "n": 1000, "k": canary_k } })
        .to_string()
    };
    // The users of the ring fail three times as often, whatever they run.
    let mut text: Vec<_> = (-20..0).map(|t| tick(t, true, 90, 30)).collect();
    text.extend((1..60).map(|t| tick(t, false, 90, 30)));
    let text = text.join("\n");
    let shifted = verdict(&["--routing", "rule"], &text);
    assert_ne!(shifted["verdict"], "FAIL", "{shifted}");
    let naive = verdict(&[], &text);
    assert_eq!(naive["verdict"], "FAIL", "ticks from before are no evidence at random: {naive}");
    let without = text.lines().skip(20).collect::<Vec<_>>().join("\n");
    let unknown = verdict(&["--routing", "rule"], &without);
    assert_eq!(unknown["verdict"], "INVALID");
    assert!(unknown["invalid"].as_str().unwrap().contains("routing is not random"), "{unknown}");
}

#[test]
fn the_time_alone_can_still_fail() {
    let mut text = stream("a", &steady(20, 5, 5));
    for t in 0..10 {
        let line = json!({ "run": "a", "t": 700 + t * 30, "alone": true,
            "canary": { "n": 4000, "k": 200 } });
        writeln!(text, "{line}").unwrap();
    }
    let found = verdict(&[], &text);
    assert_eq!(found["verdict"], "FAIL");
    assert!(found["tick"].as_u64().unwrap() > 20, "{found}");
}

#[test]
fn shares_that_were_not_planned_are_invalid() {
    let line = |t: u64| {
        json!({ "t": t, "weight": 0.5, "stable": { "n": 9000, "k": 45 },
                "canary": { "n": 1000, "k": 5 } })
        .to_string()
    };
    let text = (1..9).map(line).collect::<Vec<_>>().join("\n");
    let found = verdict(&[], &text);
    assert_eq!((&found["verdict"], &found["tick"]), (&json!("INVALID"), &json!(1)));
    assert!(found["invalid"].as_str().unwrap().contains("10.00 %"), "{found}");
    let fine = verdict(&[], &text.replace("0.5}", "0.1}"));
    assert_ne!(fine["verdict"], "INVALID", "{fine}");
}

#[test]
fn a_header_sets_the_judge_and_options_win() {
    let settings = json!({ "alpha": 0.05, "metrics": [{ "metric": "errors" }] });
    let header = json!({ "run": "a", "settings": settings });
    let text = format!("{header}\n{}", stream("a", &steady(3, 5, 5)));
    let found = verdict(&[], &text);
    assert_eq!(found["evidence"]["fail_e_needed"], json!(20.0));
    let found = verdict(&["--alpha", "0.001"], &text);
    assert_eq!(found["evidence"]["fail_e_needed"], json!(1000.0));
}

#[test]
fn a_trace_tells_every_tick_until_the_end() {
    let text = stream("a", &steady(6, 5, 50));
    let found = verdicts(&["--trace"], &text);
    let (last, path) = found.split_last().unwrap();
    assert_eq!(last["verdict"], "FAIL");
    assert_eq!(path.len() as u64, last["tick"].as_u64().unwrap());
    assert_eq!(path.last().unwrap()["state"], "FAIL");
    assert_eq!(path.last().unwrap()["evidence"], last["evidence"]);
    let grown: Vec<_> =
        path.iter().map(|tick| tick["evidence"]["fail"].as_f64().unwrap()).collect();
    assert!(grown.is_sorted(), "{grown:?}");
}

#[test]
fn metrics_of_ones_own() {
    let line = |t: u64, canary: u64| {
        json!({ "t": t, "samples": {
            "restarts": { "count": { "stable": [600.0, 1], "canary": [200.0, canary] } } } })
        .to_string()
    };
    let text = (1..20).map(|t| line(t, 5)).collect::<Vec<_>>().join("\n");
    let found = verdict(&["--metrics", "restarts:critical"], &text);
    assert_eq!((&found["verdict"], &found["blame"]), (&json!("FAIL"), &json!(["restarts"])));
    let named = verdict(&["--named", "restarts=count,ratio=3"], &text);
    assert_eq!(named["metrics"][0]["metric"], "restarts");
    let watched = ["--metrics", "errors", "--named", "restarts=count,role=watch-only"];
    assert_eq!(verdict(&watched, &text)["verdict"], "NODATA", "a watched metric decides nothing");
}

/// A recorded run: rung 1 of 2 for ten ticks, then rung 2 of 2.
fn recorded(verdict: &str, evidence: f64) -> String {
    let settings = json!({ "metrics": [{ "metric": "errors" }] });
    let mut text = json!({ "run": "shop/2", "settings": settings, "rungs": 2 }).to_string() + "\n";
    for t in 1..=20 {
        let rung = if t <= 10 { [1, 2] } else { [2, 2] };
        let line = json!({ "run": "shop/2", "t": t, "seconds": 1, "rung": rung,
            "stable": { "n": 3000, "k": 15 }, "canary": { "n": 400, "k": 2 } });
        writeln!(text, "{line}").unwrap();
    }
    let recorded = json!({ "verdict": verdict, "rung": [2, 2], "evidence": evidence,
        "needed": 4.6, "blame": [], "complete": true, "assessment": null });
    text + &json!({ "run": "shop/2", "recorded": recorded }).to_string()
}

#[test]
fn a_recorded_run_is_judged_by_its_own_rungs_and_compared_with_its_record() {
    let mut judge = judge_of(&[Metric::Errors]);
    let mut passed = [0, 0];
    for t in 1..=20 {
        let tick =
            Tick { seconds: 1, baseline: arm(3000, 15), canary: arm(400, 2), ..Tick::default() };
        judge.observe(&tick);
        let rung = if t <= 10 { Rung { j: 1, m: 2 } } else { Rung { j: 2, m: 2 } };
        let passes = judge.assess(rung).outcome == Outcome::Pass;
        let at = &mut passed[usize::from(t > 10)];
        if passes && *at == 0 {
            *at = t;
        }
    }
    assert!(passed[0] > 0 && passed[1] > 10, "{passed:?}");
    let evidence = judge.assess(Rung::LAST).fail_evidence;
    let found = verdict(&[], &recorded("pass", evidence));
    assert_eq!((&found["verdict"], &found["tick"]), (&json!("PASS"), &json!(passed[1])));
    assert_eq!((&found["recorded"], &found["agrees"]), (&json!("PASS"), &json!(true)));
    let other = verdict(&[], &recorded("pass", evidence + 1e-13));
    assert_eq!(other["agrees"], false, "to the bit");
    assert_eq!(verdict(&[], &recorded("continue", evidence))["agrees"], false);
    let asked = verdict(&["--rung", "1/2"], &recorded("pass", evidence));
    assert_eq!(asked["tick"], json!(passed[0]), "an option wins");
}

#[test]
fn a_run_goes_on_with_the_evidence_of_an_earlier_try() {
    let mut judge = judge_of(&[Metric::Errors]);
    judge.observe(&Tick {
        seconds: 30,
        baseline: arm(3000, 15),
        canary: arm(300, 8),
        ..Tick::default()
    });
    let header = json!({ "run": "a", "settings": judge.config().settings(), "judge": judge });
    let text = format!("{header}\n{}", stream("a", &[[3000, 15, 300, 3]]));
    judge.observe(&Tick {
        seconds: 30,
        baseline: arm(3000, 15),
        canary: arm(300, 3),
        ..Tick::default()
    });
    let expected = judge.assess(Rung::LAST);
    let found = verdict(&[], &text);
    assert_eq!(found["evidence"]["fail"], json!(expected.fail_evidence));
    assert_eq!(verdict(&["--alpha", "0.05"], &text)["evidence"]["fail_e_needed"], json!(20.0));
    let said = crate::judge(&["--ratio", "3"], &text);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("evidence of an earlier try"), "{}", said.err);
}

#[test]
fn a_guard_that_a_person_has_cleared_begins_anew() {
    let line = |t: u64, weight: f64| {
        json!({ "t": t, "weight": weight, "stable": { "n": 9000, "k": 45 },
                "canary": { "n": 1000, "k": 5 } })
        .to_string()
    };
    let cleared = json!({ "t": 2, "cleared": true }).to_string();
    let text = [line(1, 0.5), cleared, line(3, 0.1)].join("\n");
    let found = verdict(&[], &text);
    assert_ne!(found["verdict"], "INVALID", "{found}");
    let first = verdict(&[], &line(1, 0.5));
    assert_eq!(first["verdict"], "INVALID");
}
