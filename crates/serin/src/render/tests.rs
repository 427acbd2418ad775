//! Views made by hand, as they are shown.

mod life;
mod plan;

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
        "in_flight": 1, "restarts": if revision == "v2@aa" { 2 } else { 0 }, "cpu_percent": 3.2, "rss_bytes": 22_020_096,
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
        "traffic": [
            arm("v2@aa", "candidate", 20_000, 0.197), arm("v1@bb", "stable", 80_000, 0.803),
            arm("v0@cc", "former", 0, 0.0)
        ],
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
            "text": "worse than stable: errors 2.90 % vs 0.30 % on stable (harm from 0.60 %), after 3,988 candidate requests"
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
SERVICE  STATE        REVISION  TRAFFIC            STEP  WAITING ON
shop     rolling-out  v1 → v2   v1 80 % / v2 20 %  2/3   more requests on the c…
mail     stable       v1        v1 100 %                 nothing
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
  REVISION  ROLE        ASKED     GOT  REQUESTS  ERRORS  MEDIAN     P99
  v2        candidate  20.0 %  19.7 %    12,345      36   25 ms  207 ms
  v1        stable     80.0 %  80.3 %    12,345      36   25 ms  207 ms
  verdict  not decided yet  1,204 requests judged
  METRIC         CANDIDATE  STABLE  HARM FROM  REQUESTS  PROMOTE  ROLL BACK
  errors            0.33 %  0.29 %     0.58 %     1,204     62 %       10 %
  latency: slow     1.08 %  1.00 %     212 ms     1,204    100 %        0 %
    median           25 ms   25 ms
    p99             212 ms  207 ms
  instances
  NAME            STATE      PORT   PID  CPU  MEMORY
  v1  stable  1 of 1 instance ready
    shop-v1-bb-1  ready     12339  5434  3 %   21 MB
  v2  candidate  0 of 1 instance ready, 2 replaced unasked
    shop-v2-aa-2  starting  12339  5434  3 %   21 MB
  note: one replica is two too few
  waiting on: more requests on the candidate (1204 of 2000)
"
    );
}

#[test]
fn the_live_view() {
    assert_eq!(
        shown(&live(&service(json!({})), &wide())),
        "\
shop  rolling-out  v1 → v2
  step 2 of 3  ✔◷·  bake at least 30 s  41 s
  ━━━━━───────────────────  v2 20 % (got 19.7 %)  v1 80 %
  errors       0.33 % vs 0.29 % on v1   promote 62 %, roll back 10 %, n=1,204
  latency p99  212 ms vs 207 ms on v1   promote 100 %, roll back 0 %, n=1,204
  waiting on: more requests on the candidate (1204 of 2000)
"
    );
}

#[test]
fn nothing_is_wider_than_a_narrow_terminal() {
    let view = service(json!({ "last": record(json!({})) }));
    for width in [30, 40, 60, 80] {
        let frame = test_frame(Some(width));
        let all = [status(std::slice::from_ref(&view), &frame), detail(&view, &frame)].concat();
        for line in all {
            assert!(line.width() <= width, "{width}: {}", line.paint(false));
        }
    }
}

fn ending(record: &RolloutRecord, wanted: bool) -> String {
    let block = end(Ended { service: "shop", record, wanted }, &wide());
    let hint = block.hint.map_or_else(String::new, |hint| format!("hint: {hint}\n"));
    shown(&block.lines) + &hint
}

#[test]
fn a_bad_version_shows_both_numbers_the_border_and_the_sample() {
    let judged = record(json!({ "assessment": assessment() }));
    assert_eq!(
        ending(&judged, false),
        "\
error: v2 was rolled back at step 2 of 3
  because: worse than stable: errors 2.90 % vs 0.30 % on stable (harm from
           0.60 %), after 3,988 candidate requests
  effect:  all traffic on v1; v2 was judged on 1,204 requests, 4 of them failed
hint: compare logs with `serin logs shop --revision v2`; all numbers: `serin explain shop`
"
    );
    let unjudged = ending(&record(json!({})), false);
    assert!(unjudged.contains("  effect:  all traffic on v1\n"), "{unjudged}");
}

#[test]
fn a_narrow_terminal_gets_the_whole_sentence() {
    let lines = live(&service(json!({})), &test_frame(Some(40)));
    let text = shown(&lines);
    let sentence = "  waiting on: more requests on the\n              candidate (1204 of 2000)\n";
    assert!(text.ends_with(sentence), "{text}");
    assert!(lines.iter().rev().take(2).all(|line| line.width() < 40));
}

#[test]
fn a_failed_start_shows_code_probe_and_lines() {
    let failure = json!({
        "instance": "shop-v2-aa-2", "cause": { "signal": 9 },
        "last_probe": "GET /ready: connection refused", "log": ["no database", "\u{1b}[2Jgiving up"]
    });
    let cause = json!({
        "code": "start", "text": "v2 did not start", "stage": "canary", "step": 1, "failure": failure
    });
    let text = ending(&record(json!({ "cause": cause })), false);
    for part in [
        "  ended:   shop-v2-aa-2: ended by signal 9 (SIGKILL)\n",
        "  probe:   GET /ready: connection refused\n",
        "  log:     its last 2 lines\n    │ no database\n    │  [2Jgiving up\n",
        "`serin logs shop --revision v2`",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn other_ends() {
    let promoted = record(json!({ "outcome": "promoted", "cause": null, "skipped": ["errors"] }));
    assert_eq!(
        ending(&promoted, true),
        "✔ shop: v2 is promoted, after 1 min 35 s and 3 steps\n  skipped: errors\n"
    );
    let back = record(json!({ "outcome": "promoted", "kind": "rollback", "cause": null }));
    assert_eq!(ending(&back, true), "✔ shop: v2 is stable again, after 1 min 35 s\n");
    let superseded = record(json!({ "outcome": "superseded", "cause": null, "from": null }));
    let text = ending(&superseded, false);
    assert!(text.starts_with("error: v2 was superseded by a newer rollout\n"), "{text}");
    assert!(text.contains("answers are 503"), "{text}");
    let aborted = record(json!({ "outcome": "aborted" }));
    assert!(ending(&aborted, true).starts_with("✔ shop: rollout of v2 aborted\n"));
}

fn journal() -> Value {
    json!([
        {
            "seq": 7, "service": "shop", "at": START, "rollout": 2,
            "fact": { "fact": "stepDone", "step": 1, "steps": 3 }, "text": "step 1 of 3 done"
        }
    ])
}

#[test]
fn explaining_a_rollout_under_way() {
    let explanation: Explanation = serde_json::from_value(json!({
        "schema": "serin.explain/v1", "service": service(json!({})), "entries": journal()
    }))
    .unwrap();
    let text = shown(&explain(&explanation, &wide()));
    let start =
        "waiting on: more requests on the candidate (1204 of 2000)\nverdict: not decided yet";
    assert!(text.starts_with(start), "{text}");
    assert!(text.ends_with("  step 1 of 3 done\n"), "{text}");
}

#[test]
fn history_and_plan() {
    let history =
        History { schema: String::new(), rollouts: vec![record(json!({}))], checkups: [].into() };
    let text = shown(&super::history(&history, &wide()));
    assert!(text.contains("v1 → v2   rolled-back  1 min 35 s  mark"), "{text}");
    let preview: PlanPreview = serde_json::from_value(json!({
        "schema": "serin.plan/v1", "service": "shop", "from": "v1@bb", "to": "v2@aa",
        "action": "release", "requests_per_second": 200.0, "requests_to_catch": 3664,
        "outlook": {
            "steps": [{
                "stage": "canary", "does": "bake", "weight": 20_000, "instances": 2,
                "at_least": 30_000, "requests": 1200
            }],
            "shortest": 30_000, "requests": 1200, "notes": ["two are better"]
        },
        "takes": {
            "steps": [{ "stable": 3, "candidate": 2 }], "extra_at_most": 3, "extra_hours": 0.5,
            "extra_cost": 0.1, "capacity": "the old version keeps its full size",
            "downtime": null
        }
    }))
    .unwrap();
    assert_eq!(
        shown(&plan(&preview, false, &wide())),
        "\
shop  v1 → v2
  STEP  WEIGHT  OLD+NEW  AT LEAST  REQUESTS  WHAT
     1    20 %      3+2      30 s     1,200  bake
  shortest time: 30 s
  to promote: 1,200 judged requests on the candidate
  to catch a doubled error rate: about 3,664 requests on the candidate
  traffic now: 200 requests a second: the slowest step needs about 30 s of it
  instances: the old version keeps its full size; at most 3 instances more than
    now
  cost: 0.10 for 0.50 hours of further instances
  note: two are better
"
    );
}
