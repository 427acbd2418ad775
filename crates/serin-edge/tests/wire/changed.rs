//! One flag is changed.

use crate::rig::Rig;
use serde_json::{Value, json};
use serin_edge::{Revision, Table, Upsert};
use serin_flags::{Definition, Killed, Kind, Prerequisite, SetDefinition, State, Timestamp};
use std::sync::Arc;

fn at(n: u64) -> Revision {
    Revision { epoch: 1, n }
}

fn on() -> Definition {
    Definition { default_variant: Some("on".into()), ..Definition::boolean(Kind::Ops, "shop") }
}

/// A set with `a`, on, and `b`, which needs it.
fn rig() -> Rig {
    let mut set = SetDefinition::new("production");
    let needs = Prerequisite { flag: "a".parse().unwrap(), variants: vec!["on".into()] };
    set.flags.insert("a".parse().unwrap(), on());
    set.flags.insert("b".parse().unwrap(), Definition { prerequisites: vec![needs], ..on() });
    Rig::new(Table { revision: at(1), sets: vec![Arc::new(set)], ..Table::default() })
}

fn change(base: u64, key: &str, flag: Option<Definition>) -> Upsert {
    Upsert {
        base: at(base),
        revision: at(base + 1),
        set: "production".into(),
        key: key.parse().unwrap(),
        definition: flag.map(Arc::new),
    }
}

fn killed(flag: Definition) -> Definition {
    let by = Killed { by: "ada".into(), at: Timestamp(1), reason: "errors".into() };
    Definition { killed: Some(by), ..flag }
}

fn value(rig: &Rig, key: &str) -> Value {
    rig.flag(key, &json!({"targetingKey": "u1"})).json()["value"].clone()
}

#[test]
fn a_kill_reaches_what_needs_the_flag_and_every_form_of_the_set() {
    let rig = rig();
    let features = |rig: &Rig| {
        let got = rig.ask("GET /api/client/features", "").json();
        let on = got["features"].as_array().unwrap().iter().filter(|one| one["enabled"] == true);
        on.map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((value(&rig, "a"), value(&rig, "b")), (json!(true), json!(true)));
    assert_eq!(features(&rig), ["a", "b"]);
    rig.edge.upsert(&change(1, "a", Some(killed(on())))).unwrap();
    assert_eq!((value(&rig, "a"), value(&rig, "b")), (json!(false), json!(false)));
    assert!(!features(&rig).contains(&"a".to_owned()));
    rig.edge.upsert(&change(2, "a", Some(on()))).unwrap();
    assert_eq!((value(&rig, "a"), value(&rig, "b")), (json!(true), json!(true)));
    assert_eq!(features(&rig), ["a", "b"]);
}

#[test]
fn a_change_that_cannot_be_used_changes_nothing_but_a_kill_in_it_holds() {
    let rig = rig();
    // `b` needs it.
    assert!(rig.edge.upsert(&change(1, "a", None)).is_err());
    let lost = Definition { default_variant: Some("lost".into()), ..on() };
    assert!(rig.edge.upsert(&change(1, "a", Some(lost.clone()))).is_err());
    assert_eq!((value(&rig, "a"), rig.edge.revision()), (json!(true), at(1)));
    let refused = rig.edge.upsert(&change(1, "a", Some(killed(lost.clone())))).unwrap();
    assert_eq!((refused.len(), value(&rig, "a")), (1, json!(false)));
    let off = Definition { state: State::Off, ..lost };
    rig.edge.upsert(&change(2, "b", Some(off))).unwrap();
    assert_eq!((value(&rig, "b"), rig.edge.revision()), (json!(false), at(3)));
}

#[test]
fn who_follows_and_asks_for_changes_is_sent_one_flag() {
    let rig = rig();
    let mut changes = rig.client();
    changes.open("/serin/v1/flags/follow?changes=1", "");
    let mut tables = rig.client();
    tables.open("/serin/v1/flags/follow", "");
    let line = |client: &mut crate::rig::Client| -> Value {
        serde_json::from_str(&client.event().unwrap()[0]).unwrap()
    };
    for client in [&mut changes, &mut tables] {
        assert_eq!(line(client)["sets"][0]["name"], "production");
    }
    rig.edge.upsert(&change(1, "a", Some(killed(on())))).unwrap();
    let sent = line(&mut changes);
    assert_eq!((&sent["key"], &sent["sets"]), (&json!("a"), &Value::Null));
    let again: Upsert = serde_json::from_value(sent).unwrap();
    assert_eq!(again, change(1, "a", Some(killed(on()))));
    assert_eq!(line(&mut tables)["sets"][0]["flags"]["a"]["killed"]["by"], "ada");
    // Who missed one is sent everything.
    rig.edge.replace(Table { revision: at(3), ..rig.edge.table() }).unwrap();
    assert!(line(&mut changes)["sets"].is_array());
}
