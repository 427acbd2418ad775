//! `serin stats power`: the numbers for people and for programs, and nonsense refused.
#![allow(clippy::unwrap_used)] // clippy allows it in the test functions only

mod support;

use serde_json::Value;
use support::{said, serin};

fn power(line: &str) -> support::Said {
    let words: Vec<&str> = ["stats", "power"].into_iter().chain(line.split(' ')).collect();
    said(serin(&words))
}

fn document(line: &str) -> Value {
    let said = power(&format!("{line} --json"));
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    serde_json::from_str(&said.out).unwrap()
}

const USUAL: &str = "--baseline 0.5% --detect 1% --share 10% --rps 50";

#[test]
fn people_read_requests_and_times() {
    let said = power(USUAL);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    for part in [
        "0.5 % errors on stable, 1 % on the canary, 2.0 times as much; the canary has 10 % of 50",
        "rolled back if it has 1 %",
        "promoted if it has 0.5 %",
        "canary requests, ",
        "too short to see: memory leaks (15 to 20 min)",
        "next: serin stats power --baseline 0.5% --detect 1% --share 10% --rps 50 --within 30m",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    assert!(!said.out.contains("note"), "{}", said.out);
    assert!(said.out.lines().count() <= 12, "{}", said.out);
}

#[test]
fn programs_read_a_document() {
    let all = document(&format!("{USUAL} --within 30m"));
    assert_eq!(all["schema"], "serin.power/v1");
    let canary = |what: &str, when: &str| all[what][when]["canary"].as_u64().unwrap();
    assert!((2500..3500).contains(&canary("fail", "median")), "{all}");
    assert!(canary("fail", "p90") > 2 * canary("fail", "median"));
    assert!(canary("pass", "median") > 1000);
    assert_eq!(all["detectable"]["canary"], 9000);
    assert_eq!(all["schedule"].as_array().unwrap().len(), 3);
    assert_eq!(all["warnings"], Value::Array(Vec::new()));
    let few = document("--baseline 1% --detect 2% --rps 1.67 --within 10m");
    assert_eq!(few["warnings"][0]["kind"], "too-little-traffic");
    assert!(few["notes"][0].as_str().unwrap().starts_with("10 canary requests a minute"));
}

#[test]
fn shares_may_be_written_either_way() {
    let percent = document(USUAL);
    let plain = document("--baseline 0.005 --detect 0.01 --share 0.1 --rps 50");
    assert_eq!(percent, plain);
}

#[test]
fn traffic_may_be_told_by_the_day() {
    let daily = document("--baseline 1% --detect 3% --per-day 8.64M --within 10m");
    assert_eq!(daily["rps"], 100.0);
    assert_eq!(daily["usual_share"]["low"], 0.1);
    let share = daily["smallest_share"].as_f64().unwrap();
    assert!((0.001..0.05).contains(&share), "{share}");
}

#[test]
fn more_metrics_take_longer() {
    let median = |line: &str| document(line)["fail"]["median"]["canary"].as_u64().unwrap();
    assert!(median(&format!("{USUAL} --metrics 10")) > median(USUAL) * 5 / 4);
}

#[test]
fn nonsense_is_refused_with_one_hint() {
    for (line, part) in [
        ("--baseline ten", "write it as 0.5% or 0.005"),
        ("--baseline 10", "it is not between 0% and 100%"),
        ("--baseline NaN", "it is not between 0% and 100%"),
        ("--baseline 1% --rps 0", "write a number above 0"),
        ("--baseline 1% --within soon", "write it as 90s, 30m or 1h"),
        ("--baseline 1% --metrics 0", "1..=100"),
        ("--baseline 1% --detect 1%", "0.01 is not above the baseline's 0.01"),
        ("--baseline 1% --share 0", "share is 0; choose a value from"),
        ("--baseline 1% --alpha 0.7", "alpha is 0.7; choose a value from"),
        ("--baseline 1% --ratio 1", "harm_ratio is 1; choose a value from"),
        ("--detect 1%", "--baseline <RATE>"),
    ] {
        let said = power(line);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{line}");
        assert!(said.err.contains(part), "{line}: {}", said.err);
        let hints = said.err.matches("hint:").count() + said.err.matches("try '--help'").count();
        assert_eq!(hints, 1, "{line}: {}", said.err);
    }
}
