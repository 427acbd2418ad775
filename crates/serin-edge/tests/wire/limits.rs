//! What is too much.

use crate::grpc::{Channel, Resolve};
use crate::ofrep;
use crate::rig::{Rig, document};
use serde_json::json;
use serin_edge::{Refused, Revision, Settings, Source, Table};
use serin_flags::{Bucketing, Definition, Kind, Prerequisite, SetDefinition, State};
use std::sync::Arc;

const FLAGS: &str = "POST /ofrep/v1/evaluate/flags";

#[test]
fn contexts_of_megabytes_are_refused() {
    let rig = Rig::flagd(document());
    let large = json!({"context": {"a": "x".repeat(5 << 20)}}).to_string();
    let mut client = rig.client();
    // Refused by its announced length, before it is sent.
    let head = format!("{FLAGS} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", large.len());
    client.send(head.as_bytes());
    let got = client.receive();
    assert_eq!((got.status, got.body.as_str()), (413, ""));
    // And by its length when it announces none.
    let mut client = rig.client();
    client.send(
        format!("{FLAGS} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes(),
    );
    let chunk = format!("40000\r\n{}\r\n", "x".repeat(0x40000));
    (0..4).for_each(|_| client.send(chunk.as_bytes()));
    client.send(b"1\r\nx\r\n");
    assert_eq!(client.receive().status, 413);
}

#[test]
fn deep_contexts_are_refused() {
    let rig = Rig::flagd(document());
    for (depth, status) in [(90, 200), (200, 400), (100_000, 400)] {
        let deep = format!("{{\"context\":{{\"a\":{}{}}}}}", "[".repeat(depth), "]".repeat(depth));
        let got = rig.ask(&format!("{FLAGS}/bool"), &deep);
        assert_eq!(got.status, status, "{depth}");
        // What nobody looks at may be as deep as it likes.
        let beside = format!("{{\"b\":{}{}}}", "[".repeat(90), "]".repeat(90));
        assert_eq!(rig.ask(&format!("{FLAGS}/bool"), &beside).status, 200);
    }
}

#[test]
fn more_streams_than_there_is_room_for_are_told_to_come_later() {
    let settings = Settings { max_streams: 2, ..Settings::new([1; 32]) };
    let rig = Rig::with(&settings, |_| {});
    rig.put(1, document());
    let (mut first, uri) = ofrep::stream(&rig);
    let (mut second, _) = ofrep::stream(&rig);
    first.event().unwrap();
    second.event().unwrap();
    for path in [uri.as_str(), "/api/client/streaming", "/serin/v1/flags/follow"] {
        let got = rig.ask(&format!("GET {path}"), "");
        assert_eq!((got.status, got.header("retry-after")), (429, Some("5")), "{path}");
    }
    assert_eq!(rig.counts().streams, 2);
}

#[test]
fn a_bad_table_leaves_the_last_one_as_it_was() {
    let rig = Rig::flagd(document());
    let at = |n| Table { revision: Revision { epoch: 1, n }, ..Table::default() };
    let mut bad = document();
    bad["flags"]["bool"]["defaultVariant"] = "purple".into();
    let source = |name: &str, document| Source::Document {
        name: name.to_owned(),
        document: Arc::new(document),
        bucketing: Bucketing::V3,
    };
    let refused = rig.edge.replace_sources(at(2), vec![source("production", bad)]).unwrap();
    assert!(refused[0].to_string().contains("purple"), "{refused:?}");
    let twice = vec![source("production", document()), source("production", document())];
    assert!(matches!(rig.edge.replace_sources(at(2), twice), Err(Refused::Twice(_))));
    let older = rig.edge.replace_sources(
        Table { revision: Revision { epoch: 0, n: 99 }, ..Table::default() },
        Vec::new(),
    );
    assert!(matches!(older, Err(Refused::Stale(_))));
    assert_eq!(rig.flag("bool", &json!({})).json()["value"], true);
    let mut set = SetDefinition::new("production");
    let flag = Definition {
        default_variant: Some("purple".into()),
        ..Definition::boolean(Kind::Release, "shop")
    };
    set.flags.insert("a".parse().unwrap(), flag);
    let refused = rig.edge.replace(Table { sets: vec![Arc::new(set)], ..at(3) }).unwrap();
    assert!(refused[0].to_string().contains("purple"), "{refused:?}");
    assert_eq!(rig.flag("bool", &json!({})).json()["value"], true);
}

fn on() -> Definition {
    Definition { default_variant: Some("on".into()), ..Definition::boolean(Kind::Release, "shop") }
}

fn killed(flag: Definition) -> Definition {
    Definition { state: State::Off, ..flag }
}

/// A rule that cannot be written into another flag's.
fn shorthand() -> Definition {
    Definition { raw: Some(json!({"fractional": [["on", 50], ["off", 50]]})), ..on() }
}

/// A flag that needs it: its set cannot be compiled.
fn poisoned() -> Definition {
    let needed = Prerequisite { flag: "s".parse().unwrap(), variants: vec!["on".into()] };
    Definition { prerequisites: vec![needed], ..on() }
}

fn set_of(name: &str, flags: &[(&str, Definition)]) -> Arc<SetDefinition> {
    let mut set = SetDefinition::new(name);
    for (key, flag) in flags {
        set.flags.insert(key.parse().unwrap(), flag.clone());
    }
    Arc::new(set)
}

#[test]
fn a_mistake_in_one_flag_keeps_no_other_from_being_killed() {
    let table = |n, sets| Table { revision: Revision { epoch: 1, n }, sets, ..Table::default() };
    let good = set_of("production", &[("a", on()), ("b", on())]);
    let rig = Rig::new(table(1, vec![good, set_of("staging", &[("c", on())])]));
    let bad = set_of("production", &[("a", killed(on())), ("b", poisoned()), ("s", shorthand())]);
    let other = set_of("staging", &[("c", killed(on()))]);
    let refused = rig.edge.replace(table(2, vec![bad, other])).unwrap();
    assert_eq!(refused.iter().map(|one| one.set.as_str()).collect::<Vec<_>>(), ["production"]);
    let value = |key: &str, set: &str| {
        let head = format!("{FLAGS}/{key}\nFlagd-Selector: {set}");
        rig.ask(&head, "{}").json()["value"].clone()
    };
    assert_eq!(value("a", "production"), false, "killed all the same");
    assert_eq!(value("b", "production"), true, "as it was");
    assert_eq!(value("c", "staging"), false);
    // And whoever is the mistake can be killed too.
    let off = set_of("production", &[("a", on()), ("b", killed(poisoned())), ("s", shorthand())]);
    assert!(rig.edge.replace(table(3, vec![off])).unwrap().is_empty());
    assert_eq!((value("a", "production"), value("b", "production")), (true.into(), false.into()));
}

#[tokio::test]
async fn before_there_are_flags_there_is_no_answer() {
    let rig = Rig::with(&Settings::new([1; 32]), |_| {});
    for head in [
        "POST /ofrep/v1/evaluate/flags",
        "POST /ofrep/v1/evaluate/flags/a",
        "GET /ofrep/v1/stream",
        "GET /api/client/features",
        "GET /api/frontend",
        "GET /serin/v1/flags/follow",
        "GET /metrics",
        "GET /readyz",
    ] {
        let got = rig.ask(head, "");
        assert_eq!((got.status, got.header("retry-after")), (503, Some("5")), "{head}");
    }
    assert_eq!(rig.ask("GET /healthz", "").status, 200);
    let mut channel = Channel::connect(rig.addr).await;
    for method in
        ["flagd.evaluation.v2.Service/ResolveBoolean", "flagd.sync.v1.FlagSyncService/SyncFlags"]
    {
        let request = Resolve { flag_key: "a".to_owned(), context: None };
        assert_eq!(channel.call(method, &request).await.code, "14", "{method}");
    }
    rig.put(1, document());
    assert_eq!(rig.ask("GET /readyz", "").status, 200);
}
