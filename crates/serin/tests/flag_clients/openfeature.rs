//! OpenFeature's SDKs in Node and Python with every provider Serin speaks to.

use super::client::Client;
use super::edge::{Edge, flags};
use super::installed;
use serde_json::{Value, json};
use serin_flags::{Bucketing, Context, FlagSet, Form, SetDefinition, compile};
use std::process::Command;

/// How a provider tells the app that a flag has no value and its own default holds. The default
/// is used by all of them; two of the OFREP providers take it for an error as well.
#[derive(Clone, Copy)]
enum NoValue {
    Success,
    General,
}

/// What is particular about a provider.
struct Provider {
    script: fn() -> Option<Command>,
    kind: &'static str,
    /// The percentages it knows, where it evaluates itself.
    bucketing: Bucketing,
    /// Told of changes, not asking.
    pushed: bool,
    no_value: NoValue,
}

fn node() -> Option<Command> {
    installed::node("openfeature.js")
}

fn python() -> Option<Command> {
    installed::python("openfeature_client.py")
}

const OFREP: Provider = Provider {
    script: node,
    kind: "ofrep",
    bucketing: Bucketing::V3,
    pushed: false,
    no_value: NoValue::General,
};

const CALLS: Provider = Provider { kind: "rpc", pushed: true, no_value: NoValue::Success, ..OFREP };

const IN_PROCESS: Provider = Provider { kind: "in-process", ..CALLS };

#[test]
fn node_over_ofrep() {
    check(&OFREP);
}

#[test]
fn node_over_flagd_calls() {
    check(&CALLS);
}

#[test]
fn node_in_process() {
    check(&Provider { bucketing: Bucketing::V2, ..IN_PROCESS });
}

#[test]
fn python_over_ofrep() {
    check(&Provider { script: python, ..OFREP });
}

#[test]
fn python_over_flagd_calls() {
    check(&Provider { script: python, ..CALLS });
}

#[test]
fn python_in_process() {
    check(&Provider { script: python, ..IN_PROCESS });
}

fn check(provider: &Provider) {
    let Some(script) = (provider.script)() else { return };
    let bucketing = if provider.bucketing == Bucketing::V2 { "v2" } else { "v3" };
    let mut edge = Edge::start(bucketing);
    let (host, port) = edge.host();
    let mut client = Client::start(script, &[provider.kind, &host, &port]);
    values(&mut client);
    targeting(&mut client);
    percentages(&mut client, provider.bucketing);
    nothing(&mut client, provider.no_value);
    killed(&mut client, &mut edge, provider.pushed);
}

#[track_caller]
fn details(client: &mut Client, question: &Value) -> (Value, Value, Value, Value) {
    let mut found = client.ask(question);
    let mut take = |name: &str| found[name].take();
    (take("value"), take("variant"), take("reason"), take("error"))
}

fn question(kind: &str, flag: &str, default: &Value, context: &Value) -> Value {
    json!({"type": kind, "flag": flag, "default": default, "context": context})
}

/// Every type, and a whole number where a fraction is asked for.
fn values(client: &mut Client) {
    let thing = json!({"depth": {"list": [1, "two"]}, "yes": true});
    let rows = [
        ("boolean", "yes", json!(false), "on", json!(true)),
        ("string", "text", json!(""), "hello", json!("hello")),
        ("integer", "whole", json!(1), "seven", json!(7)),
        ("float", "part", json!(1.5), "half", json!(0.5)),
        ("float", "round", json!(1.5), "off", json!(7.0)),
        ("object", "thing", json!({}), "full", thing),
    ];
    for (kind, flag, default, variant, expected) in rows {
        let asked = question(kind, flag, &default, &json!({"targetingKey": "user-1"}));
        // A second answer may come from the client's cache; it is the same.
        for _ in 0..2 {
            let (value, name, reason, error) = details(client, &asked);
            assert_eq!((&name, &error), (&json!(variant), &Value::Null), "{flag}");
            assert!(value == expected || value.as_f64() == expected.as_f64(), "{flag}: {value}");
            assert!(reason == "STATIC" || reason == "CACHED", "{flag}: {reason}");
        }
    }
}

fn targeting(client: &mut Client) {
    let rows = [
        (json!({"targetingKey": "user-7"}), "on", "TARGETING_MATCH"),
        (json!({"targetingKey": "user-8", "email": "a@corp.com"}), "on", "TARGETING_MATCH"),
        (json!({"targetingKey": "user-8", "email": "a@other.com"}), "off", "DEFAULT"),
        (json!({}), "off", "DEFAULT"),
    ];
    for (context, variant, expected) in rows {
        let asked = question("boolean", "targeted", &json!(false), &context);
        let (value, name, reason, error) = details(client, &asked);
        assert_eq!((name, error), (json!(variant), Value::Null), "{asked}");
        assert_eq!((value, reason), (json!(variant == "on"), json!(expected)), "{asked}");
    }
}

/// A hundred users: each where Serin itself puts them.
fn percentages(client: &mut Client, bucketing: Bucketing) {
    let mut set: SetDefinition = serde_json::from_value(flags()).unwrap();
    set.bucketing = bucketing;
    let document = compile(&set, Form::Server).unwrap().document.to_string();
    let set = FlagSet::parse(document.as_bytes(), bucketing).unwrap();
    let mut on = 0;
    for user in 0..100 {
        let context = json!({"targetingKey": format!("user-{user}")});
        let ours = Context::from_value(&context).unwrap();
        let ours = set.evaluate("percent", &ours, 0).unwrap().variant.unwrap();
        let (_, theirs, ..) =
            details(client, &question("boolean", "percent", &json!(false), &context));
        assert_eq!(theirs, json!(ours), "user-{user}");
        on += usize::from(ours == "on");
    }
    assert!((15..45).contains(&on), "{on} of 100 at 30 %");
}

/// What has no value: the app's default holds.
fn nothing(client: &mut Client, no_value: NoValue) {
    let context = json!({"targetingKey": "user-1"});
    for flag in ["disabled", "by-code"] {
        for default in [true, false] {
            let asked = question("boolean", flag, &json!(default), &context);
            let (value, _, _, error) = details(client, &asked);
            assert_eq!(value, json!(default), "{flag}");
            match no_value {
                NoValue::Success => assert_eq!(error, Value::Null, "{flag}"),
                NoValue::General => assert_eq!(error, json!("GENERAL"), "{flag}"),
            }
        }
    }
    let asked = question("boolean", "no-such-flag", &json!(true), &context);
    let (value, _, reason, error) = details(client, &asked);
    assert_eq!((value, reason), (json!(true), json!("ERROR")));
    assert_eq!(error, json!("FLAG_NOT_FOUND"));
    // Not asked before: Node's cache of flagd answers with what it has, whatever its type.
    let asked = question("boolean", "other-text", &json!(true), &context);
    let (value, _, reason, error) = details(client, &asked);
    assert_eq!((value, reason), (json!(true), json!("ERROR")));
    assert_eq!(error, json!("TYPE_MISMATCH"));
}

/// A killed flag is off for everybody. Whoever is told of changes needs no time to pass.
fn killed(client: &mut Client, edge: &mut Edge, pushed: bool) {
    let asked = question("boolean", "switch", &json!(true), &json!({"targetingKey": "user-1"}));
    assert_eq!(details(client, &asked).1, json!("on"));
    edge.kill("switch");
    if pushed {
        client.wait("changed");
    } else {
        edge.await_off("switch");
    }
    let (value, variant, ..) = details(client, &asked);
    assert_eq!((value, variant), (json!(false), json!("off")));
}
