//! Views made by hand, as they are shown.

use super::*;
use serde_json::{Value, json};
use serin_core::RolloutRecord;
use serin_server::api::view::{Explanation, History, PlanPreview, ServiceView};

/// Ten minutes before the `now` of the test frame would be too long ago: all times are near it.
const START: i64 = 1_760_000_000_000;

fn shown(lines: &[Line]) -> String {
    lines.iter().map(|line| line.paint(false) + "\n").collect()
}

fn wide() -> Frame {
    test_frame(Some(80))
}

fn assessment() -> Value {
    json!({
        "outcome": "continue", "fail_evidence": 0.2, "fail_needed": 4.6, "blame": [],
        "canary_n": 1204, "baseline_n": 4816,
        "metrics": [
            {
                "metric": "errors", "outcome": "continue",
                "baseline_n": 4816, "baseline_events": 14, "baseline_rate": 0.0029,
                "canary_n": 1204, "canary_events": 4, "canary_rate": 0.0033,
                "limit": 0.0058, "interval": [0.5, 2.0],
                "fail_evidence": 0.46, "fail_needed": 4.6,
                "pass_evidence": 1.86, "pass_needed": 3.0, "requests_missing": 740
            },
            {
                "metric": "latency", "outcome": "continue",
                "baseline_n": 4816, "baseline_events": 48, "baseline_rate": 0.01,
                "canary_n": 1204, "canary_events": 13, "canary_rate": 0.0108,
                "limit": 212.0, "interval": null,
                "fail_evidence": 0.0, "fail_needed": 4.6,
                "pass_evidence": 3.0, "pass_needed": 3.0, "requests_missing": null,
                "latency": {
                    "baseline_p50_ms": 25.1, "baseline_p99_ms": 207.0,
                    "canary_p50_ms": 25.3, "canary_p99_ms": 212.0
                }
            }
        ]
    })
}

fn rollout() -> Value {
    json!({
        "id": 2, "kind": "release", "candidate": "v2@aa", "baseline": "v1@bb", "by": "mark",
        "reason": "faster cart", "started_at": START, "step": 2, "steps": 3,
        "step_words": ["give the candidate 20 %", "bake at least 30 s", "give the candidate 100 %"],
        "step_entered_at": START + 59_000, "stage": "canary", "weight": 20_000,
        "phase": "stepping", "cause": null, "paused": null, "judged": 1204,
        "assessment": assessment(),
        "verdict": "not decided yet: errors 0.33 % vs 0.29 % on stable"
    })
}

fn arm(revision: &str, role: &str, asked: u64, realised: f64) -> Value {
    json!({
        "revision": revision, "role": role, "asked": asked, "realised": realised,
        "requests": 12_345, "errors": 36, "first_request_at": START, "last_request_at": START,
        "p50_ms": 25.1, "p99_ms": 207.0
    })
}

fn instance(id: &str, revision: &str, phase: &str) -> Value {
    json!({
        "id": id, "revision": revision, "phase": phase, "port": 12_339, "pid": 5434,
        "in_flight": 1, "restarts": 0, "cpu_percent": 3.2, "rss_bytes": 22_020_096,
        "threads": 3, "open_files": 8, "last_probe": "GET /ready: 200 OK", "artefact": "aa"
    })
}

fn service(change: Value) -> ServiceView {
    let mut view = json!({
        "schema": "serin.service/v1", "name": "shop", "environment": "production",
        "state": "rolling-out", "listen": "127.0.0.1:8080", "replicas": 3, "stable": "v1@bb",
        "rollout": rollout(), "last": null,
        "waiting_on": { "kind": "requests", "have": 1204, "wanted": 2000 },
        "waiting_for": "more requests on the candidate (1204 of 2000)",
        "traffic": [arm("v2@aa", "candidate", 20_000, 0.197), arm("v1@bb", "stable", 80_000, 0.803)],
        "instances": [
            instance("shop-v1-bb-1", "v1@bb", "ready"),
            instance("shop-v2-aa-2", "v2@aa", "starting"),
            instance("shop-v0-cc-9", "v0@cc", "exited")
        ],
        "notes": ["one replica is two too few"]
    });
    let (Value::Object(view_map), Value::Object(change)) = (&mut view, change) else {
        panic!("objects")
    };
    view_map.extend(change);
    serde_json::from_value(view).unwrap()
}

fn record(change: Value) -> RolloutRecord {
    let mut record = json!({
        "id": 3, "kind": "release", "from": "v1@bb", "to": "v2@aa", "by": "mark",
        "reason": null, "started_at": START, "ended_at": START + 95_000, "outcome": "rolled-back",
        "cause": {
            "code": "errors", "stage": "canary", "step": 2, "failure": null,
            "text": "harm shown: errors 2.90 % vs 0.30 % on stable (limit 0.60 %), after 3,988 candidate requests"
        },
        "steps_completed": 1, "steps": 3, "verdict_at": null, "assessment": null, "skipped": []
    });
    let (Value::Object(map), Value::Object(change)) = (&mut record, change) else {
        panic!("objects")
    };
    map.extend(change);
    serde_json::from_value(record).unwrap()
}

#[test]
fn the_table_of_services_names_what_each_waits_for() {
    let idle = service(json!({
        "name": "mail", "state": "stable", "rollout": null, "waiting_on": { "kind": "nothing" },
        "waiting_for": "nothing", "traffic": [arm("v1@bb", "stable", 100_000, 1.0)]
    }));
    assert_eq!(
        shown(&status(&[service(json!({})), idle], &wide())),
        "\
SERVICE  STATE        REVISION  TRAFFIC             STEP  WAITING ON
shop     rolling-out  v1 → v2   v1 80 % / v2 20 %   2/3   more requests on the …
mail     stable       v1        v1 100 %                  nothing
"
    );
}

#[test]
fn a_service_that_was_rolled_back_lately_says_so() {
    let view = service(json!({
        "state": "stable", "rollout": null, "waiting_on": { "kind": "nothing" },
        "waiting_for": "nothing", "last": record(json!({}))
    }));
    let text = shown(&status(&[view], &test_frame(None)));
    assert!(text.contains("nothing; v2 rolled-back 5 s ago"), "{text}");
}

#[test]
fn a_service_in_full() {
    assert_eq!(
        shown(&detail(&service(json!({})), &wide())),
        "\
shop  rolling-out  v1 → v2  http://127.0.0.1:8080  production
  rollout 2 by mark, 1 min 40 s ago: faster cart
  ✔ 1 give the candidate 20 %
  ◷ 2 bake at least 30 s  for 41 s
  · 3 give the candidate 100 %
  traffic
  REVISION  ROLE       ASKED     GOT  REQUESTS  ERRORS   MEDIAN     P99
  v2        candidate  20.0 %  19.7 %    12,345      36  25.1 ms  207 ms
"
    );
}

#[test]
fn nothing_is_wider_than_the_terminal() {
    let last = record(json!({}));
    let view = service(json!({ "last": last }));
    for width in [40, 60, 80, 200] {
        let frame = test_frame(Some(width));
        let pages = [status(std::slice::from_ref(&view), &frame), live(&view, &frame)];
        for line in pages[0].iter() {
            assert!(line.width() <= width, "{width}: {}", line.paint(false));
        }
        for line in detail(&view, &frame) {
            let text = line.paint(false);
            // Sentences break where the terminal breaks them; tables must not.
            let sentence = text.contains("waiting on") || text.contains("note") || text.contains("rollout 2");
            assert!(sentence || line.width() <= width.max(62), "{width}: {text}");
        }
    }
}
