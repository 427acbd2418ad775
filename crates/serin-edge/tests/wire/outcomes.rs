//! What apps say became of users: over the endpoint and over OpenTelemetry.

use crate::rig::Rig;
use serde_json::{Value, json};
use serin_edge::{Ended, Met, Outcome, Revision, Table, Taken, Token, TokenKind, Watcher};
use serin_flags::{Arm, Context, Definition, FlagSet, Kind, Release, SetDefinition, WHOLE};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// An outcome as the judge hears it.
#[derive(Clone, Debug, PartialEq)]
struct Heard {
    user: String,
    arm: Arm,
    drawn: bool,
    ended: Ended,
    id: Option<Vec<u8>>,
    is_late: bool,
}

#[derive(Default)]
struct Judge(Mutex<Vec<Heard>>);

impl Watcher for Judge {
    fn met(&self, _: Met<'_>) {}

    fn outcome(&self, outcome: &Outcome<'_>) -> Taken {
        let user = outcome.context.targeting_key().unwrap_or_default().to_owned();
        let id = outcome.id.map(<[u8]>::to_vec);
        let Outcome { arm, drawn, ended, age_ms, .. } = *outcome;
        let is_late = age_ms > 1_000_000;
        self.0.lock().unwrap().push(Heard { user, arm, drawn, ended, id, is_late });
        if drawn { Taken::Counted } else { Taken::Mismatched }
    }
}

fn set() -> SetDefinition {
    let flag = |release| Definition { release, ..Definition::boolean(Kind::Release, "shop") };
    let release = Release::new("a", "on", "off").at(WHOLE / 4);
    let mut set = SetDefinition::new("production");
    set.flags.insert("a".parse().unwrap(), flag(Some(release)));
    set.flags.insert("plain".parse().unwrap(), flag(None));
    set
}

fn table(tokens: Vec<Token>) -> Table {
    let revision = Revision { epoch: 1, n: 1 };
    Table { revision, sets: vec![Arc::new(set())], tokens, ..Table::default() }
}

fn rig() -> (Rig, Arc<Judge>) {
    let (rig, judge) = (Rig::new(table(vec![])), Arc::new(Judge::default()));
    rig.edge.tell_met(judge.clone());
    (rig, judge)
}

/// The first user of an arm; `None`: of those who take no part.
fn user(arm: Option<Arm>) -> String {
    let flags = FlagSet::of(&set()).unwrap();
    let is = |name: &String| {
        let mut context = Context::new();
        context.set_targeting_key(name.as_str());
        flags.evaluate("a", &context, 0).unwrap().arm == arm
    };
    (0..10_000).map(|n| format!("u{n}")).find(is).unwrap()
}

fn heard(judge: &Judge) -> Vec<Heard> {
    std::mem::take(&mut judge.0.lock().unwrap())
}

const POST: &str = "POST /v1/flag-outcomes";

#[test]
fn the_arm_is_drawn_here_whatever_the_app_says() {
    let (rig, judge) = rig();
    let (on, off) = (user(Some(Arm::Treatment)), user(Some(Arm::Control)));
    let outcomes = json!([
        {"flag": "a", "targetingKey": on, "variant": "on", "ok": true, "durationMs": 1.5},
        {"flag": "a", "targetingKey": off, "ok": false, "goal": true, "id": "7"},
        {"flag": "a", "targetingKey": off, "variant": "on", "ok": true},
        {"flag": "a", "targetingKey": user(None), "variant": "off", "ok": true},
        {"flag": "plain", "targetingKey": on, "ok": true},
        {"flag": "nobody", "targetingKey": on, "ok": true},
        {"flag": "a", "targetingKey": on, "ok": true, "at": 1},
    ]);
    let got = rig.ask(&format!("{POST}\nIdempotency-Key: b1"), &outcomes.to_string());
    assert_eq!(
        got.json(),
        json!({"counted": 3, "repeated": 0, "late": 0, "mismatched": 1, "apart": 2,
               "notReported": 0, "unknown": 1}),
        "{got:?}"
    );
    let one = |user: &str, arm, ended, id: &str| Heard {
        user: user.to_owned(),
        arm,
        drawn: true,
        ended,
        id: Some(id.into()),
        is_late: false,
    };
    let good = Ended { failed: false, took_us: None, reached: false };
    let bad = Ended { failed: true, reached: true, ..good };
    let timed = Ended { took_us: Some(1_500), ..good };
    assert_eq!(
        heard(&judge),
        [
            one(&on, Arm::Treatment, timed, "batch 0 b1"),
            one(&off, Arm::Control, bad, "id a 7"),
            Heard { drawn: false, ..one(&off, Arm::Treatment, good, "batch 2 b1") },
            Heard { is_late: true, ..one(&on, Arm::Treatment, good, "batch 6 b1") },
        ]
    );
    let metrics = rig.ask("GET /metrics", "").body;
    let line = "feature_flag_outcome_total{flag=\"a\",set=\"production\",taken=\"mismatched\"} 1";
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn who_may_not_say_or_says_nonsense_is_refused() {
    let tokens = vec![
        Token::of("app", "*:production.abc", TokenKind::Backend),
        Token::of("page", "*:production.web", TokenKind::Frontend),
    ];
    let rig = Rig::new(table(tokens));
    let with = |token: &str| format!("{POST}\nAuthorization: {token}");
    assert_eq!(rig.ask(&with("*:production.abc"), "[]").status, 421, "nobody judges here");
    let judge = Arc::new(Judge::default());
    rig.edge.tell_met(judge.clone());
    let one = json!([{"flag": "a", "targetingKey": user(Some(Arm::Control)), "ok": true}]);
    let large = format!("[{}]", " ".repeat(1024 * 1024));
    for (head, body, status) in [
        (POST.to_owned(), one.to_string(), 401),
        (with("*:production.wrong"), one.to_string(), 401),
        (with("*:production.web"), one.to_string(), 403),
        (with("*:production.abc").replace("outcomes", "outcomes?set=other"), one.to_string(), 403),
        (with("*:production.abc"), "{}".to_owned(), 400),
        (with("*:production.abc"), large, 413),
        (with("*:production.abc") + "\nIdempotency-Key: ", one.to_string(), 400),
        (with("*:production.abc").replace("POST", "GET"), String::new(), 405),
    ] {
        assert_eq!(rig.ask(&head, &body).status, status, "{head}");
    }
    assert_eq!(heard(&judge), []);
    assert_eq!(rig.ask(&with("*:production.abc"), &one.to_string()).status, 200);
    assert_eq!(heard(&judge).len(), 1);
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn attributes(user: &str, variant: &str, name: &str) -> Vec<Value> {
    vec![
        attribute("feature_flag.key", "a"),
        attribute("feature_flag.context.id", user),
        attribute(name, variant),
    ]
}

/// A span of 3 ms that has just ended.
fn span(n: u64, status: u64, attributes: &[Value], events: &[Value]) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    json!({
        "traceId": format!("{n:032x}"),
        "spanId": format!("{n:016x}"),
        "name": "job",
        "startTimeUnixNano": (now - 3_000_000).to_string(),
        "endTimeUnixNano": now.to_string(),
        "status": {"code": status},
        "attributes": attributes,
        "events": events,
    })
}

fn send(rig: &Rig, spans: &[Value]) {
    let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).to_string();
    assert_eq!(rig.ask("POST /v1/traces\nContent-Type: application/json", &body).status, 200);
}

#[test]
fn a_span_says_what_became_of_the_users_whom_a_flag_was_evaluated_for() {
    let (rig, judge) = rig();
    let (on, off) = (user(Some(Arm::Treatment)), user(Some(Arm::Control)));
    let event =
        |name: &str, attributes: Vec<Value>| json!({"name": name, "attributes": attributes});
    let new =
        event("feature_flag.evaluation", attributes(&on, "on", "feature_flag.result.variant"));
    let old = event("feature_flag", attributes(&off, "off", "feature_flag.variant"));
    let mut bare = attributes("", "on", "feature_flag.result.variant");
    bare.remove(1);
    let of_span = [attribute("feature_flag.context.id", &on)];
    let spans = [
        span(1, 2, &[], &[new, old, event("exception", vec![])]),
        span(2, 0, &attributes(&on, "on", "feature_flag.result.variant"), &[]),
        span(3, 1, &of_span, &[event("feature_flag.evaluation", bare)]),
        span(4, 2, &[attribute("http.route", "/")], &[]),
    ];
    send(&rig, &spans);
    let all = heard(&judge);
    let short = |one: &Heard| {
        (one.user.clone(), one.arm, one.drawn, one.ended.failed, one.ended.took_us, one.is_late)
    };
    let wanted = |user: &str, arm, failed| (user.to_owned(), arm, true, failed, Some(3_000), false);
    assert_eq!(
        all.iter().map(short).collect::<Vec<_>>(),
        [
            wanted(&on, Arm::Treatment, true),
            wanted(&off, Arm::Control, true),
            wanted(&on, Arm::Treatment, false),
            wanted(&on, Arm::Treatment, false),
        ]
    );
    send(&rig, &spans[..1]);
    assert_eq!(heard(&judge)[0].id, all[0].id, "sent again, it is known again");
    assert_ne!(all[0].id, all[2].id);
}

#[test]
fn an_evaluation_that_comes_as_a_log_record_waits_for_its_span() {
    let (rig, judge) = rig();
    let on = user(Some(Arm::Treatment));
    let log = |n: u64, variant: &str| {
        let record = json!({
            "eventName": "feature_flag.evaluation",
            "traceId": format!("{n:032x}"),
            "spanId": format!("{n:016x}"),
            "attributes": attributes(&on, variant, "feature_flag.result.variant"),
        });
        let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]});
        let head = "POST /v1/logs\nContent-Type: application/json";
        assert_eq!(rig.ask(head, &body.to_string()).status, 200);
    };
    log(1, "on");
    assert_eq!(heard(&judge), []);
    send(&rig, &[span(1, 2, &[], &[])]);
    assert!(matches!(&heard(&judge)[..], [one] if one.drawn && one.ended.failed));
    send(&rig, &[span(2, 0, &[], &[])]);
    log(2, "off");
    assert!(matches!(&heard(&judge)[..], [one] if !one.drawn && one.arm == Arm::Control));
}
