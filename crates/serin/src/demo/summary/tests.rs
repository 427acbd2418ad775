use super::super::load::Loss;
use super::*;
use serin_core::{Actor, Cause, RolloutKind, RolloutRecord};
use serin_server::api::view::ArmView;

const VERDICT: Timestamp = Timestamp(1_000_000);

fn record(version: &str, outcome: Outcome) -> RolloutRecord {
    let rolled_back = outcome == Outcome::RolledBack;
    let cause = Cause {
        code: "errors".into(),
        text: "errors 5.00 % vs 0.00 %".into(),
        stage: "canary".into(),
        step: 2,
        failure: None,
    };
    RolloutRecord {
        id: 2,
        kind: RolloutKind::Release,
        from: None,
        to: format!("{version}@00aa").parse().unwrap(),
        by: Actor("demo".into()),
        reason: None,
        started_at: Timestamp(0),
        ended_at: VERDICT.plus(Millis(900)),
        outcome,
        cause: rolled_back.then_some(cause),
        steps_completed: 1,
        steps: 5,
        verdict_at: rolled_back.then_some(VERDICT),
        assessment: None,
        assessed_at: None,
        skipped: Vec::new(),
        active: None,
        back: None,
        overridden: std::collections::BTreeSet::new(),
        notes: Vec::new(),
        downtime: Millis(0),
    }
}

fn arm_view() -> ArmView {
    ArmView {
        revision: "v3@00aa".parse().unwrap(),
        role: "candidate".into(),
        asked: serin_core::Weight::NONE,
        realised: None,
        requests: 163,
        errors: 9,
        first_request_at: Some(Timestamp(VERDICT.0 - 2_100)),
        last_request_at: Some(VERDICT.plus(Millis(4))),
        p50_ms: None,
        p99_ms: None,
    }
}

fn ship(version: &'static str, wanted: Outcome, got: Outcome) -> Ship {
    let arm = (version == BAD).then(arm_view);
    let record = Some(record(version, got));
    Ship { version, wanted, course: Course { record, arm, waiting_for: String::new() } }
}

fn findings() -> Findings {
    let arm = |requests, errors| {
        let mut arm = Arm::default();
        (arm.requests, arm.errors) = (requests, errors);
        arm
    };
    let by_version = [("v1", arm(4000, 0)), ("v2", arm(12_649, 0)), ("v3", arm(163, 9))];
    let tally = Tally {
        sent: 16_812,
        classes: [0, 0, 16_803, 0, 0, 9],
        by_version: by_version.map(|(name, arm)| (name.to_owned(), arm)).into(),
        ..Tally::default()
    };
    let ships = vec![
        ship("v2", Outcome::Promoted, Outcome::Promoted),
        ship("v3", Outcome::RolledBack, Outcome::RolledBack),
    ];
    Findings { ships, tally, dropped_by_server: 0 }
}

fn text(findings: &Findings) -> String {
    let lines = findings.lines(&findings.report());
    lines.iter().map(|line| line.paint(false) + "\n").collect()
}

#[test]
fn the_document_is_the_one_that_was_promised() {
    let document = serde_json::to_value(findings().report()).unwrap();
    let expected = serde_json::json!({
        "schema": "serin.demo/v1",
        "promoted": ["v2"],
        "rolled_back": ["v3"],
        "requests": 16_812,
        "dropped": 0,
        "bad_version_requests": 163,
        "verdict_ms": 2100,
        "verdict_to_zero_ms": 4,
        "outcome": "ok",
    });
    assert_eq!(document, expected);
}

#[test]
fn the_summary_has_every_number() {
    assert_eq!(
        text(&findings()),
        "\n  requests served                   16,812\
         \n  requests that reached v3             163  1.0 %\
         \n  errors users saw                       9  all of them from v3\
         \n  v3's first request to verdict      2.1 s\
         \n  verdict to zero traffic on v3       4 ms\
         \n  requests dropped                       0\n"
    );
}

fn check_failed(findings: &Findings, differed: &[&str]) {
    let report = findings.report();
    assert_eq!(
        (report.outcome, report.differed.as_slice()),
        ("failed", strings(differed).as_slice())
    );
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_bad_version_that_gets_through_is_a_failure() {
    let mut findings = findings();
    findings.ships[1] = ship("v3", Outcome::RolledBack, Outcome::Promoted);
    check_failed(&findings, &["v3 should have been rolled-back; promoted"]);
    assert_eq!(findings.report().promoted, ["v2", "v3"]);
    assert_eq!(findings.report().verdict_ms, None);
}

#[test]
fn a_good_version_that_is_rolled_back_is_a_failure() {
    let mut findings = findings();
    findings.ships[0] = ship("v2", Outcome::Promoted, Outcome::RolledBack);
    let expected = "v2 should have been promoted; rolled-back: errors 5.00 % vs 0.00 %";
    check_failed(&findings, &[expected]);
}

#[test]
fn a_rollout_that_never_ends_is_a_failure() {
    let mut findings = findings();
    findings.ships[0].course = Course { waiting_for: "traffic".into(), ..Course::default() };
    let expected = "v2 should have been promoted; it was not over in time, waiting for traffic";
    check_failed(&findings, &[expected]);
}

#[test]
fn a_dropped_request_is_a_failure_whoever_saw_it() {
    let mut by_server = findings();
    by_server.dropped_by_server = 2;
    check_failed(&by_server, &["2 requests were dropped: by serin's own count"]);
    let mut by_users = findings();
    by_users.tally.lost = [(Loss::Broken, 1), (Loss::NotTheApp, 2)].into();
    by_users.tally.sent += 3;
    by_users.dropped_by_server = 2;
    let expected =
        "3 requests were dropped: 1 no complete response, 2 answered with an error by serin";
    check_failed(&by_users, &[expected]);
    assert_eq!(by_users.report().dropped, 3);
}

#[test]
fn a_request_that_was_never_accounted_for_is_a_failure() {
    let mut findings = findings();
    findings.tally.sent += 1;
    check_failed(&findings, &["the load generator lost track of 1 of its own requests"]);
}

/// A data plane that was started anew has forgotten its part, and a look at it may be a moment
/// old; the users know better then.
#[test]
fn times_are_the_widest_that_either_side_saw() {
    let mut findings = findings();
    let v3 = findings.tally.by_version.get_mut(BAD).unwrap();
    v3.first_sent_at = Some(Timestamp(VERDICT.0 - 1_500));
    v3.last_sent_at = Some(VERDICT.plus(Millis(7)));
    let report = findings.report();
    assert_eq!((report.verdict_ms, report.verdict_to_zero_ms), (Some(2100), Some(7)));
    findings.ships[1].course.arm = None;
    assert_eq!(findings.report().verdict_ms, Some(1500));
    findings.tally.by_version.clear();
    assert_eq!(findings.report().verdict_ms, None);
}

#[test]
fn what_is_kept_can_be_reached_and_stopped() {
    let kept = Kept {
        data: "/tmp/serin-demo-x".into(),
        shop: "127.0.0.1:20480".parse().unwrap(),
        pids: [4711, 4712],
        program: "serin".into(),
    };
    let text: String = next(Some(&kept)).iter().map(|line| line.paint(false) + "\n").collect();
    for part in ["SERIN_DATA=/tmp/serin-demo-x", "http://127.0.0.1:20480", "kill 4711 4712"] {
        assert!(text.contains(part), "{text}");
    }
}
