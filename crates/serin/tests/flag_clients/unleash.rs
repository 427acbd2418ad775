//! Unleash's SDKs: in Node and Python, which evaluate themselves, and the browser's, which asks.

use super::client::Client;
use super::edge::{Edge, flags};
use super::installed;
use serde_json::{Value, json};
use serin_flags::{Bucketing, Context, FlagSet, Form, SetDefinition, compile};
use std::process::Command;

const TOKEN: &str = "*:test.secret";

/// How an SDK learns of a change.
enum Told {
    /// By an event of this name.
    By(&'static str),
    /// By what it answers: the stream is taken in without a word.
    Silently,
    /// Not at all, it asks every time.
    Asks,
}

#[test]
fn node_told_by_its_stream() {
    check(installed::node("unleash.js"), &["streaming"], &Told::By("changed"), "sent");
}

#[test]
fn node_asking_now_and_then() {
    check(installed::node("unleash.js"), &["polling"], &Told::By("changed"), "sent");
}

#[test]
fn python_told_by_its_stream() {
    check(installed::python("unleash_client.py"), &["streaming"], &Told::Silently, "");
}

#[test]
fn python_asking_now_and_then() {
    check(installed::python("unleash_client.py"), &["polling"], &Told::By("fetched"), "");
}

#[test]
fn the_browsers() {
    check(installed::node("unleash_proxy.js"), &[], &Told::Asks, "sent");
}

/// `sent` is the event of counts that were taken.
fn check(script: Option<Command>, mode: &[&str], told: &Told, sent: &str) {
    let Some(script) = script else { return };
    let mut edge = Edge::start("v3");
    let url = edge.url();
    let words = [&[url.as_str(), TOKEN], mode].concat();
    let mut client = Client::start(script, &words);
    variants(&mut client);
    targeting(&mut client);
    percentages(&mut client);
    if !sent.is_empty() {
        client.wait(sent);
    }
    edge.kill("switch");
    match told {
        Told::By(event) => {
            while enabled(&mut client, "switch", "user-1") {
                client.wait(event);
            }
        }
        Told::Silently => while enabled(&mut client, "switch", "user-1") {},
        Told::Asks => {
            edge.await_off("switch");
            assert!(!enabled(&mut client, "switch", "user-1"));
        }
    }
}

fn ask(client: &mut Client, flag: &str, context: &Value) -> Value {
    client.ask(&json!({"flag": flag, "context": context}))
}

fn enabled(client: &mut Client, flag: &str, user: &str) -> bool {
    ask(client, flag, &json!({"userId": user}))["enabled"].as_bool().unwrap()
}

fn variants(client: &mut Client) {
    let context = json!({"userId": "user-1"});
    for (flag, expected) in [("yes", true), ("disabled", false), ("no-such-flag", false)] {
        assert_eq!(ask(client, flag, &context)["enabled"], json!(expected), "{flag}");
    }
    let rows = [
        ("text", "hello", json!({"type": "string", "value": "hello"})),
        ("whole", "seven", json!({"type": "number", "value": "7"})),
        ("part", "half", json!({"type": "number", "value": "0.5"})),
    ];
    for (flag, name, payload) in rows {
        let variant = ask(client, flag, &context)["variant"].take();
        assert_eq!((&variant["name"], &variant["payload"]), (&json!(name), &payload), "{flag}");
    }
    let thing = ask(client, "thing", &context)["variant"]["payload"].take();
    assert_eq!(thing["type"], json!("json"));
    let value: Value = serde_json::from_str(thing["value"].as_str().unwrap()).unwrap();
    assert_eq!(value, json!({"depth": {"list": [1, "two"]}, "yes": true}));
}

fn targeting(client: &mut Client) {
    assert!(enabled(client, "targeted", "user-7"));
    assert!(!enabled(client, "targeted", "user-8"));
    for (email, expected) in [("a@corp.com", true), ("a@other.com", false)] {
        let context = json!({"userId": "user-8", "properties": {"email": email}});
        assert_eq!(ask(client, "targeted", &context)["enabled"], json!(expected), "{email}");
    }
}

/// A hundred users of a flag with Unleash's own buckets: each where Serin puts them.
fn percentages(client: &mut Client) {
    let set: SetDefinition = serde_json::from_value(flags()).unwrap();
    let document = compile(&set, Form::Server).unwrap().document.to_string();
    let set = FlagSet::parse(document.as_bytes(), Bucketing::V3).unwrap();
    let mut on = 0;
    for user in 0..100 {
        let user = format!("user-{user}");
        let context = json!({"targetingKey": user});
        let ours = Context::from_value(&context).unwrap();
        let ours = set.evaluate("unleash-percent", &ours, 0).unwrap().variant == Some("on");
        assert_eq!(enabled(client, "unleash-percent", &user), ours, "{user}");
        on += usize::from(ours);
    }
    assert!((15..45).contains(&on), "{on} of 100 at 30 %");
}
