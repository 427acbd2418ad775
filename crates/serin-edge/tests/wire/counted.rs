//! What is counted, and how it is told.

use crate::rig::{Rig, document};
use serde_json::json;
use serin_edge::Protocol;

fn lines(rig: &Rig) -> Vec<String> {
    let got = rig.ask("GET /metrics", "");
    got.body.lines().filter(|line| line.starts_with("feature_flag_")).map(str::to_owned).collect()
}

#[test]
fn answers_are_counted_by_flag_variant_reason_and_protocol() {
    let rig = Rig::flagd(document());
    for _ in 0..3 {
        rig.flag("bool", &json!({}));
    }
    rig.flag("plan", &json!({"plan": "pro"}));
    rig.flag("lost", &json!({}));
    rig.flag("nobody", &json!({}));
    rig.flag("off", &json!({}));
    let wanted = |flag: &str, result: &str, variant: &str, reason: &str, count: u64| {
        format!(
            "feature_flag_evaluation_total{{flag=\"{flag}\",result=\"{result}\",strategy=\"\",\
             variant=\"{variant}\",reason=\"{reason}\",protocol=\"ofrep\",set=\"production\"}} {count}"
        )
    };
    let found = lines(&rig);
    assert_eq!(
        found,
        [
            wanted("bool", "true", "on", "STATIC", 3),
            wanted("lost", "error", "", "GENERAL", 1),
            wanted("off", "default", "", "DISABLED", 1),
            wanted("plan", "true", "on", "TARGETING_MATCH", 1),
            "feature_flag_unknown_total{flag=\"nobody\",set=\"production\"} 1".to_owned(),
            "feature_flag_streams 0".to_owned(),
        ]
    );
}

#[test]
fn counts_go_on_over_changes() {
    let rig = Rig::flagd(document());
    rig.flag("bool", &json!({}));
    let mut newer = document();
    newer["flags"]["bool"]["variants"]["maybe"] = false.into();
    rig.put(2, newer);
    rig.flag("bool", &json!({}));
    rig.put(3, document());
    rig.flag("bool", &json!({}));
    let counts = rig.counts().evaluations;
    let [one] = &counts[..] else { panic!("{counts:?}") };
    assert_eq!((one.answer.variant.as_str(), one.count), ("on", 3));
}

#[test]
fn all_at_once_is_counted_for_each_flag() {
    let rig = Rig::flagd(document());
    let all = || assert_eq!(rig.ask("POST /ofrep/v1/evaluate/flags", "{}").status, 200);
    let counted = || {
        let counts = rig.counts().evaluations;
        let bulk = counts.iter().filter(|one| one.answer.protocol == Protocol::OfrepBulk);
        bulk.map(|one| (one.answer.flag.clone(), one.count)).collect::<Vec<_>>()
    };
    all();
    all();
    let flags = document()["flags"].as_object().unwrap().len();
    assert_eq!(counted().len(), flags);
    assert!(counted().iter().all(|(_, count)| *count == 2), "{:?}", counted());
    // What was given and not looked at goes on over a change.
    all();
    rig.put(2, document());
    all();
    assert!(counted().iter().all(|(_, count)| *count == 4), "{:?}", counted());
}

#[test]
fn opentelemetry_reports_what_clients_evaluated_themselves() {
    let rig = Rig::flagd(document());
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let record = |key: &str, variant: &str, set: &str| {
        json!({"eventName": "feature_flag.evaluation", "attributes": [
            attribute("feature_flag.key", key),
            attribute("feature_flag.result.variant", variant),
            attribute("feature_flag.result.reason", "targeting_match"),
            attribute("feature_flag.set.id", set),
        ]})
    };
    let records = [
        record("bool", "on", "production"),
        record("bool", "on", "production"),
        record("nobody", "on", "production"),
        json!({"eventName": "something.else"}),
    ];
    let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).to_string();
    let got = rig.ask("POST /v1/logs\nContent-Type: application/json", &body);
    assert_eq!((got.status, got.body.as_str()), (200, "{}"));
    let counts = rig.counts();
    let [one] = &counts.evaluations[..] else { panic!("{counts:?}") };
    assert_eq!(one.answer.protocol, Protocol::Otlp);
    assert_eq!(
        (one.answer.reason.as_str(), one.answer.variant.as_str(), one.count),
        ("TARGETING_MATCH", "on", 2)
    );
    assert_eq!((counts.unknown[0].key.as_str(), counts.unknown[0].count), ("nobody", 1));
    for (head, status) in [
        ("POST /v1/traces\nContent-Type: application/x-protobuf", 200),
        ("POST /v1/logs\nContent-Type: text/plain", 415),
        ("POST /v1/logs\nContent-Type: application/json\nContent-Encoding: gzip", 415),
        ("POST /v1/logs\nContent-Type: application/json", 400),
    ] {
        assert_eq!(rig.ask(head, "").status, status, "{head}");
    }
}
