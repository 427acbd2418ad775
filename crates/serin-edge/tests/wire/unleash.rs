//! Unleash's APIs.

use crate::rig::{Client, Rig, document};
use serde_json::{Value, json};
use serin_edge::{Protocol, Revision, Table};
use serin_flags::{Definition, Kind, SetDefinition, Variant, Variants};
use std::sync::Arc;

fn on() -> Definition {
    Definition { default_variant: Some("on".into()), ..Definition::boolean(Kind::Release, "shop") }
}

fn table(n: u64, flags: &[(&str, Definition)]) -> Table {
    let mut set = SetDefinition::new("production");
    for (key, flag) in flags {
        set.flags.insert(key.parse().unwrap(), flag.clone());
    }
    Table { revision: Revision { epoch: 1, n }, sets: vec![Arc::new(set)], ..Table::default() }
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn features_come_with_a_tag() {
    let rig = Rig::new(table(1, &[("a", on()), ("b", Definition::boolean(Kind::Ops, "x"))]));
    let head = "GET /api/client/features\nAuthorization: default:production.x";
    let got = rig.ask(head, "");
    let all = got.json();
    assert_eq!((got.status, &all["version"]), (200, &json!(2)));
    assert_eq!(names(&all["features"]), ["a", "b"]);
    assert!(all["segments"].is_array());
    assert_eq!(all["query"], json!({"environment": "production"}));
    let tag = got.header("etag").unwrap().to_owned();
    assert_eq!(all["meta"]["etag"], tag.as_str());
    let again = rig.ask(&format!("{head}\nIf-None-Match: {tag}"), "");
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    rig.edge.replace(table(2, &[("a", on())])).unwrap();
    let newer = rig.ask(&format!("{head}\nIf-None-Match: {tag}"), "");
    assert_eq!((newer.status, names(&newer.json()["features"])), (200, vec!["a"]));
    assert_eq!(rig.ask("GET /api/client/features/a", "").json()["name"], "a");
    assert_eq!(rig.ask("GET /api/client/features/b", "").status, 404);
    assert_eq!(rig.ask("POST /api/client/register", "{}").status, 202);
    assert_eq!(rig.ask("GET /api/nothing", "").status, 404);
}

fn data(client: &mut Client) -> (String, Value) {
    let event = client.event().unwrap();
    let find = |name: &str| {
        let line = event.iter().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} in {event:?}")).to_owned()
    };
    (find("event: "), serde_json::from_str(&find("data: ")).unwrap())
}

#[test]
fn the_stream_begins_with_everything_and_goes_on_with_what_is_new() {
    let rig = Rig::new(table(1, &[("a", on()), ("b", on())]));
    let mut client = rig.client();
    client.open("/api/client/streaming", "");
    let (name, all) = data(&mut client);
    assert_eq!(name, "unleash-connected");
    assert_eq!(all["events"][0]["type"], "hydration");
    assert_eq!(names(&all["events"][0]["features"]), ["a", "b"]);
    rig.edge
        .replace(table(2, &[("a", Definition::boolean(Kind::Release, "shop")), ("c", on())]))
        .unwrap();
    let (name, new) = data(&mut client);
    assert_eq!(name, "unleash-updated");
    let kinds: Vec<_> = new["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let name = event["featureName"].as_str().or(event["feature"]["name"].as_str());
            (event["type"].as_str().unwrap(), name.unwrap())
        })
        .collect();
    assert_eq!(
        kinds,
        [("feature-removed", "b"), ("feature-updated", "a"), ("feature-updated", "c")]
    );
}

#[test]
fn the_delta_is_everything_at_first() {
    let rig = Rig::new(table(1, &[("a", on())]));
    let first = rig.ask("GET /api/client/delta", "");
    assert_eq!(first.json()["events"][0]["type"], "hydration");
    let tag = first.header("etag").unwrap().to_owned();
    let head = format!("GET /api/client/delta\nIf-None-Match: {tag}");
    assert_eq!(rig.ask(&head, "").status, 304);
    rig.edge.replace(table(2, &[("a", on()), ("b", on())])).unwrap();
    let next = rig.ask(&head, "").json();
    assert_eq!(
        (&next["events"][0]["type"], &next["events"][0]["feature"]["name"]),
        (&json!("feature-updated"), &json!("b"))
    );
    assert_eq!(next["events"].as_array().unwrap().len(), 1);
}

#[test]
fn web_pages_get_what_is_on_for_their_user() {
    let mut text = on();
    let variant = |name: &str, value: &str| Variant { name: name.into(), value: value.into() };
    text.variants = Variants(vec![variant("on", "red"), variant("off", "none")]);
    let mut rule = Definition::boolean(Kind::Release, "shop");
    rule.raw = Some(json!({"if": [{"==": [{"var": "plan"}, "pro"]}, "on", null]}));
    let flags = [
        ("always", on()),
        ("never", Definition::boolean(Kind::Ops, "x")),
        ("pro", rule),
        ("colour", text),
    ];
    let rig = Rig::new(table(1, &flags));
    let got = rig.ask("GET /api/frontend?userId=u%201&properties%5Bplan%5D=pro", "");
    let all = got.json();
    assert_eq!(names(&all["toggles"]), ["always", "colour", "pro"]);
    let colour = &all["toggles"][1];
    assert_eq!(colour["variant"]["payload"], json!({"type": "string", "value": "red"}));
    assert_eq!((&colour["enabled"], &colour["variant"]["name"]), (&json!(true), &json!("on")));
    assert_eq!(all["toggles"][0]["variant"]["name"], "disabled");
    let tag = got.header("etag").unwrap().to_owned();
    let head =
        format!("GET /api/frontend?userId=u%201&properties%5Bplan%5D=pro\nIf-None-Match: {tag}");
    assert_eq!(rig.ask(&head, "").status, 304);
    let body = json!({"context": {"userId": "u", "properties": {"plan": "free"}}}).to_string();
    let posted = rig.ask("POST /api/frontend", &body).json();
    assert_eq!(names(&posted["toggles"]), ["always", "colour"]);
    assert_eq!(rig.ask("POST /api/frontend", "{").status, 400);
}

#[test]
fn what_clients_report_is_counted_and_what_does_not_exist_is_noticed() {
    let rig = Rig::new(table(1, &[("a", on())]));
    let body = json!({"appName": "shop", "instanceId": "i", "bucket": {
        "start": "2026-11-29T22:00:00Z", "stop": "2026-11-29T22:01:00Z", "toggles": {
            "a": {"yes": 10, "no": 2, "variants": {"red": 4, "disabled": 2}},
            "typo": {"yes": 0, "no": 3},
    }}});
    let got = rig.ask("POST /api/client/metrics", &body.to_string());
    assert_eq!(got.status, 202);
    let counts = rig.counts();
    let found: Vec<_> = counts
        .evaluations
        .iter()
        .map(|one| {
            assert_eq!(one.answer.protocol, Protocol::UnleashMetrics);
            (one.answer.variant.as_str(), one.answer.result.as_str(), one.count)
        })
        .collect();
    assert_eq!(found, [("", "false", 2), ("", "true", 6), ("red", "red", 4)]);
    assert_eq!((counts.unknown[0].key.as_str(), counts.unknown[0].count), ("typo", 3));
    assert_eq!(rig.ask("POST /api/client/metrics", "{}").status, 400);
    assert_eq!(rig.ask("POST /api/frontend/client/metrics", &body.to_string()).status, 200);
}

#[test]
fn a_proxy_reports_for_many_clients_at_once() {
    let rig = Rig::flagd(document());
    let one = |name: &str, environment: &str| {
        json!({"featureName": name, "appName": "shop", "environment": environment,
            "timestamp": "2026-01-01T00:00:00Z", "yes": 3, "no": 1, "variants": {"hi": 2}})
    };
    let metrics = [one("bool", "development"), one("text", "production"), one("nobody", "default")];
    let body = json!({"applications": [{"appName": "shop"}], "metrics": metrics}).to_string();
    assert_eq!(rig.ask("POST /api/client/metrics/bulk", &body).status, 202);
    assert_eq!(rig.ask("POST /api/client/metrics/bulk", "[1]").status, 400);
    let counts = rig.counts();
    let of = |flag: &str| {
        let of_it = counts.evaluations.iter().filter(|one| one.answer.flag == flag);
        of_it.map(|one| (one.answer.result.as_str(), one.count)).collect::<Vec<_>>()
    };
    for flag in ["bool", "text"] {
        assert_eq!(of(flag), [("false", 1), ("true", 1), ("hi", 2)]);
    }
    assert_eq!((counts.unknown[0].key.as_str(), counts.unknown[0].count), ("nobody", 4));
}
