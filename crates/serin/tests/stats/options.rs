//! Every setting of the judge can be given, and none that makes no judge.

use crate::{judge, steady, stream, verdict};
use serde_json::json;

#[test]
fn settings_that_make_no_judge_are_refused_before_a_line_is_read() {
    for (words, part) in [
        (&["--alpha", "0"][..], "--alpha is 0"),
        (&["--alpha", "0.5"], "below 0.5"),
        (&["--alpha", "1e-12"], "alpha"),
        (&["--beta=-0.1"], "--beta is -0.1"),
        (&["--beta", "nan"], "`nan` is not a number"),
        (&["--alpha", "inf"], "`inf` is not a number"),
        (&["--ratio", "1"], "harm_ratio is 1"),
        (&["--floor", "60%"], "harm_floor is 0.6"),
        (&["--tolerate", "60%"], "tolerate is 0.6"),
        (&["--latency-tolerance", "1%"], "finer than a bucket"),
        (&["--latency-tolerance", "30%"], "not below latency_harm"),
        (&["--latency-harm", "5%"], "not below latency_harm"),
        (&["--metrics", "errors,latncy"], "(did you mean `latency`?)"),
        (&["--metrics", "errors,errors"], "listed twice"),
        (&["--metrics", "errors:critcal"], "(did you mean `critical`?)"),
        (&["--metrics", "errors:watch-only"], "no critical metric"),
        (&["--metrics", ""], "unknown metric"),
        (&["--named", "cpu"], "NAME=KIND"),
        (&["--named", "cpu=meen"], "(did you mean `mean`?)"),
        (&["--named", "cpu=mean,hram=1%"], "(did you mean `harm`?)"),
        (&["--named", "errors=share"], "cannot be the name"),
        (&["--named", "cpu=mean,harm=0"], "harm is 0"),
        (&["--named", "cpu=bounded-mean,low=2,high=1"], "high is 1"),
        (&["--routing", "rul"], "(did you mean `rule`?)"),
        (&["--routing", "rule", "--metrics", "latency"], "needs random routing"),
        (&["--rung", "3/2"], "J from 1 to M"),
        (&["--rung", "0/2"], "J from 1 to M"),
        (&["--late-onset=maybe"], "allowed: on, off"),
        (&["--min-time", "5"], "90s, 30m or 1h"),
    ] {
        let said = judge(words, "not even JSON");
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{words:?}: {said:?}");
        assert!(said.err.contains(part), "{words:?}: {}", said.err);
    }
}

#[test]
fn each_setting_reaches_the_judge() {
    let text = stream("a", &steady(4, 5, 9));
    let plain = verdict(&[], &text);
    for words in [
        &["--alpha", "0.02"][..],
        &["--beta", "0.02"],
        &["--ratio", "1.5"],
        &["--floor", "0.2%"],
        &["--tolerate", "1%"],
        &["--late-onset"],
        &["--rung", "1/3"],
        &["--metrics", "errors,latency"],
    ] {
        assert_ne!(verdict(words, &text), plain, "{words:?}");
    }
    assert_eq!(verdict(&["--late-onset=off"], &text), plain);
    assert_eq!(verdict(&["--rung", "1/1", "--metrics", "errors:critical"], &text), plain);
    let rung = verdict(&["--rung", "1/3"], &text);
    let needed = |found: &serde_json::Value| found["evidence"]["pass_needed"].as_f64().unwrap();
    assert!((needed(&rung) * 3.0 - needed(&plain)).abs() < 1e-12);
}

#[test]
fn a_tolerated_rate_fails_nobody() {
    let text = stream("a", &steady(10, 1, 8));
    assert_eq!(verdict(&[], &text)["verdict"], "FAIL");
    assert_ne!(verdict(&["--tolerate", "2%"], &text)["verdict"], "FAIL");
}

#[test]
fn a_pass_waits_for_the_least() {
    let text = stream("a", &steady(20, 5, 5));
    let soon = verdict(&[], &text);
    assert_eq!(soon["verdict"], "PASS");
    assert!(soon["tick"].as_u64().unwrap() < 12, "{soon}");
    let by_requests = verdict(&["--min-requests", "12000"], &text);
    assert_eq!((&by_requests["verdict"], &by_requests["tick"]), (&json!("PASS"), &json!(12)));
    let by_time = verdict(&["--min-time", "7m"], &text);
    assert_eq!((&by_time["verdict"], &by_time["t"]), (&json!("PASS"), &json!(420)));
    let never = verdict(&["--min-requests", "30000"], &text);
    assert_eq!((&never["verdict"], &never["tick"]), (&json!("CONTINUE"), &json!(20)));
}

#[test]
fn watched_metrics_only_show() {
    let text = (1..30)
        .map(|t| {
            json!({ "t": t, "stable": { "n": 2000, "k": 0, "hist": { "480": 2000 } },
                    "canary": { "n": 400, "k": 0, "hist": { "560": 400 } } })
            .to_string()
        })
        .collect::<Vec<_>>()
        .join("\n");
    assert_eq!(verdict(&[], &text)["blame"], json!(["latency"]));
    let watched = verdict(&["--metrics", "errors,latency:watch-only"], &text);
    assert_eq!(watched["verdict"], "PASS", "{watched}");
    assert_eq!(watched["metrics"][1]["role"], "watch-only");
}

#[test]
fn too_many_metrics_are_warned_about() {
    let named: Vec<String> = (0..13).map(|i| format!("--named=m{i}=share,role=normal")).collect();
    let mut words: Vec<&str> = named.iter().map(String::as_str).collect();
    words.extend(["--metrics", "errors"]);
    let said = judge(&words, &stream("a", &steady(1, 5, 5)));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("14 metrics share one alpha"), "{}", said.err);
    assert!(said.err.contains("ln(14) = 2.6 nats"), "{}", said.err);
}

#[test]
fn programs_get_a_schema_and_errors_as_documents() {
    let found = verdict(&["--json"], &stream("a", &steady(1, 5, 5)));
    assert_eq!(found["schema"], "serin.verdict/v1");
    let said = judge(&["--json"], "nonsense");
    let document: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &document["code"]), (Some(2), &json!("bad-line")));
}
