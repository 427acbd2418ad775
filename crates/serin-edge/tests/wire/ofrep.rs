//! OFREP 0.3.0.

use crate::rig::{Client, Rig, document};
use serde_json::{Value, json};
use serin_edge::{Revision, Table, Upsert};
use serin_flags::{Definition, Kind, SetDefinition};
use std::sync::Arc;

const FLAGS: &str = "POST /ofrep/v1/evaluate/flags";

fn body(context: &Value) -> String {
    json!({ "context": context }).to_string()
}

#[test]
fn each_kind_of_answer_has_its_own_form() {
    let rig = Rig::flagd(document());
    let set = json!({"flagSetId": "production", "version": "7"});
    let ok = |key: &str, value: Value, variant: &str, reason: &str| json!({"key": key, "value": value, "variant": variant, "reason": reason, "metadata": set});
    let none = |key: &str, reason: &str| json!({"key": key, "reason": reason, "metadata": set});
    let user = json!({"targetingKey": "u1"});
    for (key, wanted) in [
        ("bool", ok("bool", true.into(), "on", "STATIC")),
        ("text", ok("text", "hello".into(), "hi", "STATIC")),
        ("object", ok("object", json!({"title": "T", "n": 3}), "a", "STATIC")),
        // A success without a value: the default in the code holds.
        ("null", none("null", "DEFAULT")),
        ("off", none("off", "DISABLED")),
        ("now", ok("now", true.into(), "on", "TARGETING_MATCH")),
    ] {
        let got = rig.flag(key, &user);
        assert_eq!((got.status, got.json()), (200, wanted), "{key}");
        assert_eq!(got.header("content-type"), Some("application/json"));
    }
    let mine = json!({"flagSetId": "mine", "version": "7", "owner": "shop"});
    let pro = rig.flag("plan", &json!({"plan": "pro"})).json();
    assert_eq!((&pro["value"], &pro["reason"]), (&json!(true), &json!("TARGETING_MATCH")));
    assert_eq!(pro["metadata"], mine, "the flag's own metadata wins");
    let other = rig.flag("plan", &json!({"plan": "free"})).json();
    assert_eq!((&other["value"], &other["reason"]), (&json!(false), &json!("DEFAULT")));
}

/// Typed clients refuse `7` for a float and `7.0` for an integer.
#[test]
fn whole_numbers_and_fractions_are_sent_as_they_were_written() {
    let rig = Rig::flagd(document());
    assert!(rig.flag("float", &json!({})).body.contains("\"value\":7.0,"));
    assert!(rig.flag("int", &json!({})).body.contains("\"value\":10,"));
}

#[test]
fn failures_have_the_status_and_code_of_the_protocol() {
    let rig = Rig::flagd(document());
    for (key, status, code) in [
        ("nobody", 404, "FLAG_NOT_FOUND"),
        ("broken", 400, "PARSE_ERROR"),
        ("lost", 400, "GENERAL"),
    ] {
        let got = rig.flag(key, &json!({"targetingKey": "u"}));
        let found = got.json();
        assert_eq!(
            (got.status, &found["errorCode"], &found["key"]),
            (status, &code.into(), &key.into())
        );
        assert!(found["errorDetails"].is_string());
    }
    for bad in ["{", "[]", "{\"context\": 7}"] {
        for path in [FLAGS.to_owned(), format!("{FLAGS}/bool")] {
            let got = rig.ask(&path, bad);
            assert_eq!((got.status, &got.json()["errorCode"]), (400, &"INVALID_CONTEXT".into()));
        }
    }
    assert_eq!(rig.ask(&format!("{FLAGS}/a/b"), "{}").status, 404);
    assert_eq!(rig.ask("GET /ofrep/v1/evaluate/flags", "").status, 405);
}

#[test]
fn no_body_and_no_targeting_key_are_fine_unless_the_set_asks_for_one() {
    let rig = Rig::flagd(document());
    for body in ["", "{}", "{\"context\":null}"] {
        assert_eq!(rig.ask(&format!("{FLAGS}/bool"), body).status, 200, "{body}");
    }
    let mut set = SetDefinition::new("production");
    set.require_targeting_key = true;
    set.flags.insert("a".parse().unwrap(), Definition::boolean(Kind::Release, "shop"));
    let rig = Rig::new(Table { sets: vec![Arc::new(set)], ..Table::default() });
    for path in [FLAGS.to_owned(), format!("{FLAGS}/a")] {
        let got = rig.ask(&path, "{}");
        assert_eq!((got.status, &got.json()["errorCode"]), (400, &"TARGETING_KEY_MISSING".into()));
        assert_eq!(rig.ask(&path, &body(&json!({"targetingKey": "u"}))).status, 200);
    }
}

#[test]
fn all_flags_come_with_a_slash_and_without() {
    let rig = Rig::flagd(document());
    for path in [FLAGS.to_owned(), format!("{FLAGS}/")] {
        let got = rig.ask(&path, &body(&json!({"targetingKey": "u", "plan": "pro"})));
        assert_eq!(got.status, 200);
        let all = got.json();
        let flags = all["flags"].as_array().unwrap();
        assert_eq!(flags.len(), 11);
        let of = |key: &str| flags.iter().find(|flag| flag["key"] == key).unwrap();
        assert_eq!(of("plan")["value"], true);
        assert_eq!(of("broken")["errorCode"], "PARSE_ERROR");
        assert!(of("off").get("value").is_none() && of("off")["reason"] == "DISABLED");
        assert_eq!(all["metadata"]["flagSetId"], "production");
        let stream = &all["eventStreams"][0];
        assert_eq!(stream["type"], "sse");
        assert!(stream.get("url").is_none() && stream["inactivityDelaySec"] == 120);
        assert!(
            stream["endpoint"]["requestUri"].as_str().unwrap().starts_with("/ofrep/v1/stream?")
        );
    }
}

/// A web client keeps its tag when only attributes other than its targeting key change.
#[test]
fn a_tag_is_of_the_whole_context() {
    let mut plain = document();
    plain["flags"].as_object_mut().unwrap().remove("now");
    let rig = Rig::flagd(plain.clone());
    let ask = |context: Value, tag: &str| {
        rig.ask(&format!("{FLAGS}\nIf-None-Match: {tag}"), &body(&context))
    };
    let free = json!({"targetingKey": "u", "plan": "free"});
    let first = ask(free.clone(), "none");
    let tag = first.header("etag").unwrap().to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}")] {
        let again = ask(free.clone(), &known);
        assert_eq!((again.status, again.body.as_str()), (304, ""));
        assert_eq!(again.header("etag"), Some(tag.as_str()));
    }
    let pro = ask(json!({"targetingKey": "u", "plan": "pro"}), &tag);
    assert_eq!(pro.status, 200);
    plain["flags"]["bool"]["defaultVariant"] = "off".into();
    rig.put(2, plain);
    assert_eq!(ask(free, &tag).status, 200);
}

#[test]
fn a_tag_lasts_a_second_where_time_decides() {
    let rig = Rig::flagd(document());
    let tag = |rig: &Rig| rig.ask(FLAGS, "{}").header("etag").unwrap().to_owned();
    let first = tag(&rig);
    let mut tries = 0;
    while tag(&rig) == first {
        tries += 1;
        assert!(tries < 1_000_000, "the tag never changes");
    }
}

#[test]
fn a_selector_names_the_set() {
    let rig = Rig::flagd(document());
    let ask = |selector: &str| {
        let head = format!("{FLAGS}/bool\nFlagd-Selector: {selector}");
        let got = rig.ask(&head, "{}");
        (got.status, got.json().get("errorCode").cloned().unwrap_or_default())
    };
    for good in ["flagSetId=production", "source=production", "production", "flagSetId="] {
        assert_eq!(ask(good), (200, Value::Null), "{good}");
    }
    assert_eq!(ask("flagSetId=staging"), (404, "FLAG_NOT_FOUND".into()));
    assert_eq!(ask("flagSet=production"), (400, "GENERAL".into()));
    let all = rig.ask(&format!("{FLAGS}\nFlagd-Selector: flagSetId=staging"), "{}");
    assert_eq!((all.status, all.json()["flags"].clone()), (200, json!([])));
}

#[test]
fn the_default_in_the_code_is_sent_to_clients_that_need_a_value() {
    let mut set = SetDefinition::new("production");
    let mut flag = Definition::boolean(Kind::Release, "shop");
    (flag.default_variant, flag.code_default) = (None, Some(true.into()));
    set.flags.insert("known".parse().unwrap(), flag.clone());
    flag.code_default = None;
    set.flags.insert("unknown".parse().unwrap(), flag);
    let rig = Rig::new(Table { sets: vec![Arc::new(set)], ..Table::default() });
    let known = rig.flag("known", &json!({})).json();
    assert_eq!(
        (&known["value"], &known["variant"], &known["reason"]),
        (&json!(true), &json!("on"), &json!("DEFAULT"))
    );
    assert!(rig.flag("unknown", &json!({})).json().get("value").is_none());
}

/// What an event says a client knows already: the answer must not be older, and the old tag must
/// not make it the old one.
#[test]
fn a_replica_that_lags_waits_for_what_an_event_has_announced() {
    let rig = Rig::flagd(document());
    let tag = rig.ask(FLAGS, "{}").header("etag").unwrap().to_owned();
    let mut asking = rig.client();
    let request = format!(
        "{FLAGS}?flagConfigEtag=%221.2%22&flagConfigLastModified=7 HTTP/1.1\r\nHost: a\r\n\
         If-None-Match: {tag}\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    asking.send(request.as_bytes());
    let mut newer = document();
    newer["flags"]["bool"]["defaultVariant"] = "off".into();
    rig.put(2, newer);
    let got = asking.receive();
    let all = got.json();
    let flags = all["flags"].as_array().unwrap();
    let found = flags.iter().find(|flag| flag["key"] == "bool").unwrap();
    assert_eq!((got.status, &found["value"]), (200, &json!(false)));
    // One that nobody will ever have is waited for no longer than a second.
    let got = rig.ask(&format!("{FLAGS}?flagConfigEtag=%229.9%22"), "{}");
    assert_eq!(got.status, 200);
    assert_eq!(rig.ask(&format!("{FLAGS}?flagConfigEtag=nonsense"), "{}").status, 200);
}

/// Opens the stream that all flags are offered with.
pub fn stream(rig: &Rig) -> (Client, String) {
    let all = rig.ask(FLAGS, "{}").json();
    let uri = all["eventStreams"][0]["endpoint"]["requestUri"].as_str().unwrap().to_owned();
    let mut client = rig.client();
    let got = client.open(&uri, "");
    assert_eq!((got.status, got.header("content-type")), (200, Some("text/event-stream")));
    (client, uri)
}

#[test]
fn the_stream_says_when_to_ask_anew() {
    let rig = Rig::flagd(document());
    let (mut client, uri) = stream(&rig);
    assert_eq!(client.event().unwrap()[0], "id: 1.1");
    let mut newer = document();
    newer["flags"]["bool"]["defaultVariant"] = "off".into();
    rig.put(3, newer.clone());
    let check = |event: Vec<String>| {
        assert_eq!(event[..2], ["id: 1.3", "event: message"]);
        let data: Value = serde_json::from_str(event[2].strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(
            (&data["type"], &data["etag"]),
            (&"refetchEvaluation".into(), &"\"1.3\"".into())
        );
        assert!(data["lastModified"].as_u64().unwrap() > 1_700_000_000);
    };
    check(client.event().unwrap());
    // The same document again is no news.
    rig.put(4, newer);
    for (last, missed) in [("1.1", true), ("1.3", false), ("nonsense", true)] {
        let mut again = rig.client();
        again.open(&uri, &format!("Last-Event-ID: {last}\r\n"));
        let event = again.event().unwrap();
        if missed {
            check(event);
        } else {
            assert_eq!(event[0], "id: 1.3");
            assert!(!event.iter().any(|line| line.starts_with("data")));
        }
    }
    // Whoever got its flags before the change, and its stream after it, hears of it.
    let mut late = rig.client();
    late.open(&uri, "");
    check(late.event().unwrap());
}

#[test]
fn forged_addresses_of_streams_are_refused() {
    let rig = Rig::flagd(document());
    let (_client, uri) = stream(&rig);
    let forged = [
        uri.replace("set=production", "set=staging"),
        uri[..uri.len() - 1].to_owned(),
        uri.replace("token=1", "token=2"),
        "/ofrep/v1/stream".to_owned(),
        "/ofrep/v1/stream?set=production&token=9999999999.00".to_owned(),
    ];
    for uri in forged {
        let got = rig.ask(&format!("GET {uri}"), "");
        assert_eq!((got.status, got.body.as_str()), (401, ""), "{uri}");
    }
}

#[test]
fn a_change_of_one_flag_leaves_other_sets_and_their_streams_alone() {
    let set = |name: &str| {
        let mut set = SetDefinition::new(name);
        set.flags.insert("a".parse().unwrap(), Definition::boolean(Kind::Release, "shop"));
        Arc::new(set)
    };
    let at = |n| Revision { epoch: 1, n };
    let sets = vec![set("production"), set("staging")];
    let rig = Rig::new(Table { revision: at(1), sets, ..Table::default() });
    let tag = |name: &str| {
        let head = format!("{FLAGS}\nFlagd-Selector: {name}");
        rig.ask(&head, "{}").header("etag").unwrap().to_owned()
    };
    let before = (tag("production"), tag("staging"));
    let on =
        Definition { default_variant: Some("on".into()), ..Definition::boolean(Kind::Ops, "x") };
    let upsert = Upsert {
        base: at(1),
        revision: at(2),
        set: "staging".into(),
        key: "a".parse().unwrap(),
        definition: Some(Arc::new(on)),
    };
    rig.edge.upsert(&upsert).unwrap();
    assert_eq!(tag("production"), before.0);
    assert_ne!(tag("staging"), before.1);
    let gone = Upsert { base: at(2), revision: at(3), definition: None, ..upsert };
    rig.edge.upsert(&gone).unwrap();
    let got = rig.ask(&format!("{FLAGS}/a\nFlagd-Selector: staging"), "{}");
    assert_eq!(got.status, 404);
}
