//! What a service has beside its rollout, and the way back.

use super::*;
use serin_server::api::view::{CheckedInstance, Checkup, DrillRecord, Leftovers, Runbook};

fn way_back() -> Value {
    json!({
        "class": "routing", "left": "v2@aa", "to": "v1@bb", "began_at": START + 90_000,
        "routed_at": START + 90_003, "silent_at": START + 90_004,
        "recovered": { "recovered": { "at": START + 95_000, "rate": 0.003, "limit": 0.0033 } },
        "before": 0.003, "requests": 400, "errors": 1
    })
}

#[test]
fn what_waits_is_held_and_is_kept_is_shown() {
    let view = service(json!({
        "state": "stable", "rollout": null, "traffic": [], "instances": [], "notes": [],
        "waiting_for": "nothing", "last": record(json!({})),
        "queued": { "revision": "v4@dd", "by": "ann", "reason": "faster", "at": START + 90_000 },
        "hold": {
            "left": "v2@aa", "known_since": START, "to": "v1@bb", "since": START, "by": "serin"
        },
        "kept": {
            "revision": "v2@aa", "why": "inspection", "since": START, "until": START + 600_000,
            "replicas": 1
        },
        "way_back": { "to": "v0@cc", "class": "redeploy", "text": "instances of v0 have to be started first" }
    }));
    let text = shown(&detail(&view, &test_frame(Some(60))));
    for part in [
        "  queued: v4 by ann, 10 s ago: faster\n",
        "  held: v2 and older are not deployed again, since\n",
        "`serin release shop` ends it",
        "  kept: 1 instance of v2, until ",
        "  way back: to v0, by starting it again: instances of v0\n    have to be started first\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
}

#[test]
fn a_step_shows_its_tests_approvals_and_arms() {
    let mut rollout = rollout();
    let Value::Object(map) = &mut rollout else { panic!("an object") };
    let Value::Object(more) = json!({
        "tests": [
            { "name": "smoke", "attempt": 1, "tries": 1, "passed": true, "text": "fine" },
            { "name": "load", "attempt": 2, "tries": 3, "passed": null, "text": "too slow" },
            { "name": "cart", "attempt": 1, "tries": 1, "passed": false, "text": "a\n500 on /cart" }
        ],
        "approval": { "given": ["ann"], "wanted": 2, "from": ["ann", "bob"], "until": null },
        "variants": [{
            "revision": "v2-blue@aa", "replicas": 1, "goal": 10_000, "weight": 10_000,
            "counted": [1200, 3], "verdict": null, "dropped": "errors 9 % vs 1 %"
        }],
        "routes": ["staff"], "mirror": 100_000, "skipped": ["step 1: bake, by ann"],
        "back": way_back()
    }) else {
        panic!("an object")
    };
    map.extend(more);
    let text = shown(&detail(&service(json!({ "rollout": rollout })), &wide()));
    let shown = "\
    ✔ test smoke
    ◷ test load  try 2 of 3  too slow
    ✖ test cart  500 on /cart
  approved by: 1 of 2: ann; ann, bob may
  routes: staff
  mirror: 100 % of the requests are copied; users see stable alone
  variant: v2-blue 10 %, 1,200 requests, 3 failed; left: errors 9 % vs 1 %
  skipped: step 1: bake, by ann
  back:    by routing
  route:   confirmed after 3 ms
  silence: no new request on v2 after 4 ms
  errors:  back at 0.30 % (before 0.30 %, limit 0.33 %) after 5 s
";
    assert!(text.contains(shown), "{text}");
}

#[test]
fn the_end_of_a_way_back_has_its_times() {
    let back = record(json!({ "back": way_back() }));
    let text = ending(&back, false);
    assert!(text.contains("  route:   confirmed after 3 ms\n"), "{text}");
    let mut unwell = way_back();
    unwell["recovered"] =
        json!({ "notRecovered": { "at": START + 150_000, "rate": 0.2, "limit": 0.0033 } });
    let rollback = record(json!({
        "outcome": "promoted", "kind": "rollback", "cause": null, "back": unwell
    }));
    let text = ending(&rollback, true);
    assert!(text.contains("errors:  not back: 20.0 % (before 0.30 %, limit 0.33 %)"), "{text}");
    assert!(text.contains("hint: look at what both versions use"), "{text}");
    let stuck = record(json!({ "kind": "rollback", "active": "v2@aa" }));
    let text = ending(&stuck, false);
    assert!(text.starts_with("error: v2 could not be gone back to at step 2 of 3\n"), "{text}");
    assert!(text.contains("all traffic on v2"), "{text}");
    let (id, schema) = (back.id, String::new());
    let history = History { schema, rollouts: vec![back], checkups: [(id, seen())].into() };
    let text = shown(&super::super::history(&history, &test_frame(None)));
    let words = "mark  back in 3 ms; then 1 of 2 instances healthy, 7 error lines; ";
    assert!(text.contains(words), "{text}");
    let lines = [
        "  seen:    v1 at 08:53:20",
        "    shop-v1-1  ready  GET /ready: 200 OK  7 error lines in the last 1,000 lines",
        "    shop-v1-2  not-ready  GET /ready: 503  0 error lines in the last 1 line",
    ];
    assert_eq!(shown(&back::checkup(&seen())).lines().collect::<Vec<_>>(), lines);
}

/// Two instances after a way back, one of them well.
fn seen() -> Checkup {
    let one = |instance: &str, healthy: bool, probe: &str, lines: usize, error_lines: usize| {
        let phase = if healthy { "ready" } else { "not-ready" }.into();
        let (instance, probe) = (instance.into(), probe.into());
        CheckedInstance { instance, phase, healthy, probe, lines, error_lines }
    };
    Checkup {
        at: Timestamp(START),
        revision: "v1@aa".parse().unwrap(),
        instances: vec![
            one("shop-v1-1", true, "GET /ready: 200 OK", 1000, 7),
            one("shop-v1-2", false, "GET /ready: 503", 1, 0),
        ],
    }
}

#[test]
fn time_without_an_answer_is_told() {
    let stopped = record(json!({ "outcome": "promoted", "cause": null, "downtime": 3200 }));
    let text = ending(&stopped, true);
    assert!(text.ends_with("  downtime: 3.2 s in which nobody answered users\n"), "{text}");
    let history = History { schema: String::new(), rollouts: vec![stopped], checkups: [].into() };
    assert!(shown(&super::super::history(&history, &wide())).contains("mark  down 3.2 s\n"));
    let mut moving = rollout();
    moving["places"] = json!({
        "candidate": 2, "stable": 1, "rising_at": START, "arrived": false,
        "failed": { "places": 1, "keeps": 1, "until": null }
    });
    moving["downtime"] = json!({ "since": START, "total": 0 });
    let text = shown(&detail(&service(json!({ "rollout": moving })), &wide()));
    assert!(text.contains("  places: 1 old, 2 new; 1 went back, a person decides\n"), "{text}");
    assert!(text.contains("  downtime: nobody answers users, since "), "{text}");
}

#[test]
fn promotion_lists_what_is_skipped() {
    let before = service(json!({}));
    assert_eq!(
        shown(&skips(&before, true)),
        "  skips: step 2 of 3: bake at least 30 s\n  skips: step 3 of 3: give the candidate 100 %\n"
    );
    assert_eq!(skips(&before, false).len(), 1);
    let mut moved = rollout();
    moved["skipped"] = json!(["step 2: bake, by mark"]);
    let after = service(json!({ "rollout": moved }));
    let text = shown(&skipped(&before, &after));
    assert_eq!(text, "  recorded as skipped: step 2: bake, by mark\n");
}

fn left() -> Leftovers {
    let row = |service: &str, kind: &str, until: Value, cost: Value| {
        json!({
            "service": service, "may_go": kind == "old-revision", "revision": "v1@bb",
            "kind": kind, "since": START - 7_200_000, "until": until, "instances": 3,
            "instance_hours": 6.0, "cost": cost
        })
    };
    let rows = [
        row("shop", "old-revision", json!(START + 160_000), json!(1.5)),
        row("mail", "paused-candidate", json!(null), json!(null)),
    ];
    serde_json::from_value(json!({ "schema": "", "at": START, "leftovers": rows })).unwrap()
}

#[test]
fn what_serves_nobody_has_its_price() {
    assert_eq!(
        shown(&leftovers(&left(), &test_frame(None))),
        "\
SERVICE  REVISION  INSTANCES  SINCE          GOES IN   HOURS  COST  WHAT
shop     v1                3  2 h 1 min ago  1 min       6.0  1.50  kept for a way back at once
mail     v1                3  2 h 1 min ago  a person    6.0     -  candidate of a rollout that waits for a person
in all 6 instances, 12.0 instance-hours, 1.50 so far
"
    );
    for line in leftovers(&left(), &test_frame(Some(60))) {
        assert!(line.width() <= 60, "{}", line.paint(false));
    }
}

fn drilled(passed: bool) -> DrillRecord {
    serde_json::from_value(json!({
        "at": START, "by": "mark", "version": "v1", "judged": true, "detected": 1200, "routed": 3,
        "silent": 4, "recovered": null, "requests": [640, 31], "after": [200, 0],
        "target": 10_000, "passed": passed
    }))
    .unwrap()
}

#[test]
fn a_drill_shows_every_time() {
    assert_eq!(
        shown(&drill("shop", &drilled(true), &wide())),
        "\
✔ PASS  shop: way back to v1, rehearsed on a copy
  first bad request to verdict  1.2 s
  verdict to route confirmed    3 ms
  verdict to last bad request   4 ms
  verdict to errors back        not measured
  its users, in all             640 requests, 31 failed
  its users, after it           200 requests, 0 failed
  target                        10 s
"
    );
    let text = shown(&drill("shop", &drilled(false), &wide()));
    assert!(text.starts_with("✖ FAIL  shop"), "{text}");
}

fn facts() -> Runbook {
    let known = |revision: &str, standing: &str, promoted: Value| {
        json!({
            "revision": revision, "standing": standing, "created_at": START, "promoted_at": promoted
        })
    };
    serde_json::from_value(json!({
        "schema": "", "service": "shop", "environment": "production", "at": START,
        "listen": "127.0.0.1:8080", "ready_path": "/ready", "replicas": 3, "state": "stable",
        "running": "v3@cc", "candidate": null, "last_good": "v2@aa",
        "revisions": [
            known("v3@cc", "good", json!(START)), known("v2@aa", "good", json!(START - 60_000)),
            known("v1@bb", "bad", json!(null))
        ],
        "measured": [{
            "rollout": 7, "at": START, "from": "v1@bb", "to": "v2@aa", "asked": true, "routed": 3,
            "silent": 5, "recovered": 12_000
        }],
        "drills": [drilled(true)]
    }))
    .unwrap()
}

#[test]
fn the_runbook_names_versions_and_measured_times() {
    let page = runbook(&facts(), Some("- on call: extension 7\n"));
    for part in [
        "# Going back: shop (production)",
        "| running | v3 |",
        "| last good, where `serin rollback` leads | v2 |",
        "`serin rollback shop` | 3 ms (longest 3 ms, n=1) |",
        "`serin drill shop` | 3 ms (longest 3 ms, n=1) |",
        "| v1 | v2 | a person | 3 ms | 5 ms | 12 s |",
        "| a bad copy | v1 | drill, passed | 3 ms | 4 ms | - |",
        "| **last known good** |",
        "| bad: never go back to it |",
        "curl -fsS http://127.0.0.1:8080/ready",
        "Bad version:  v3\nGood version: v2",
        "- on call: extension 7",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert!(runbook(&facts(), None).contains("serin runbook --contacts FILE"));
}

#[test]
fn a_rollback_says_what_runs_and_where_it_goes() {
    let text = shown(&heading(&facts(), None));
    assert!(text.starts_with("  runs:      v3, since "), "{text}");
    assert!(text.contains("\n  last good: v2, since "), "{text}");
    assert!(text.ends_with("\n  all good:  v3, v2\n"), "{text}");
    let text = shown(&heading(&facts(), Some("v0")));
    assert!(text.contains("  going to:  v0\n"), "{text}");
    let trial = Runbook { candidate: Some("v4@dd".parse().unwrap()), ..facts() };
    let text = shown(&heading(&trial, None));
    assert!(text.contains("  on trial:  v4\n  going to:  v3\n"), "{text}");
}
