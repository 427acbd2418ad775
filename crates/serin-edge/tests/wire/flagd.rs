//! flagd's evaluation services.

use crate::grpc::{Answer, Channel, Kind, Resolve, Struct, Value, messages, texts};
use crate::rig::{Rig, document};
use bytes::Bytes;
use prost::{Message, Oneof};
use std::collections::BTreeMap;

const V1: &str = "flagd.evaluation.v1.Service";
const V2: &str = "flagd.evaluation.v2.Service";

/// The answers of version 2, by type.
macro_rules! answers {
    ($($name:ident: $value:ty as $kind:tt),*) => {$(
        #[derive(Clone, PartialEq, Message)]
        struct $name {
            #[prost($kind, optional, tag = "1")]
            value: Option<$value>,
            #[prost(string, tag = "2")]
            reason: String,
            #[prost(string, optional, tag = "3")]
            variant: Option<String>,
            #[prost(message, optional, tag = "4")]
            metadata: Option<Struct>,
        }
    )*};
}

answers!(Boolean: bool as bool, Text: String as string, Float: f64 as double, Int: i64 as int64,
    Object: Struct as message);

/// The answer of version 1 to a boolean.
#[derive(Clone, PartialEq, Message)]
struct Boolean1 {
    #[prost(bool, tag = "1")]
    value: bool,
    #[prost(string, tag = "2")]
    reason: String,
    #[prost(string, tag = "3")]
    variant: String,
}

async fn resolve(channel: &mut Channel, method: &str, key: &str) -> Answer {
    let context = Some(texts(&[("targetingKey", "u"), ("plan", "pro")]));
    let request = Resolve { flag_key: key.to_owned(), context };
    channel.call(method, &request).await
}

#[tokio::test]
async fn version_2_tells_no_value_from_a_default_value() {
    let rig = Rig::flagd(document());
    let mut channel = Channel::connect(rig.addr).await;
    let mut ask = async |key: &str| -> Boolean {
        resolve(&mut channel, &format!("{V2}/ResolveBoolean"), key).await.read()
    };
    let found = ask("bool").await;
    assert_eq!((found.value, found.variant.as_deref()), (Some(true), Some("on")));
    assert_eq!(found.reason, "STATIC");
    let metadata = found.metadata.unwrap();
    assert_eq!((metadata.text("flagSetId"), metadata.text("version")), ("production", "7"));
    let found = ask("plan").await;
    assert_eq!((found.value, found.reason.as_str()), (Some(true), "TARGETING_MATCH"));
    assert_eq!(found.metadata.unwrap().text("owner"), "shop");
    for (key, reason) in [("null", "DEFAULT"), ("off", "DISABLED")] {
        let found = ask(key).await;
        assert_eq!((found.value, found.variant, found.reason.as_str()), (None, None, reason));
    }
}

#[tokio::test]
async fn each_type_has_its_method() {
    let rig = Rig::flagd(document());
    let mut channel = Channel::connect(rig.addr).await;
    let mut ask = async |kind: &str, key: &str| {
        resolve(&mut channel, &format!("{V2}/Resolve{kind}"), key).await
    };
    assert_eq!(ask("String", "text").await.read::<Text>().value.as_deref(), Some("hello"));
    assert_eq!(ask("Int", "int").await.read::<Int>().value, Some(10));
    assert_eq!(ask("Float", "float").await.read::<Float>().value, Some(7.0));
    // What loses nothing is given, whichever way it was written.
    assert_eq!(ask("Int", "float").await.read::<Int>().value, Some(7));
    assert_eq!(ask("Float", "int").await.read::<Float>().value, Some(10.0));
    let object = ask("Object", "object").await.read::<Object>().value.unwrap();
    assert_eq!(object.text("title"), "T");
    assert_eq!(object.fields["n"], Value { kind: Some(Kind::Number(3.0)) });
}

#[tokio::test]
async fn failures_have_flagds_status() {
    let rig = Rig::flagd(document());
    let mut channel = Channel::connect(rig.addr).await;
    for (method, key, code) in [
        ("ResolveBoolean", "nobody", "5"),
        ("ResolveString", "bool", "3"),
        ("ResolveInt", "text", "3"),
        ("ResolveBoolean", "broken", "15"),
        ("ResolveBoolean", "lost", "2"),
        ("ResolveAll", "bool", "12"),
        ("Nothing", "bool", "12"),
    ] {
        let answer = resolve(&mut channel, &format!("{V2}/{method}"), key).await;
        assert_eq!(answer.code, code, "{method} {key}: {answer:?}");
        assert!(!answer.message.is_empty() && answer.body.is_empty());
    }
    // In version 1, a value that is not there is a flag that is not there.
    for key in ["null", "off", "nobody"] {
        let answer = resolve(&mut channel, &format!("{V1}/ResolveBoolean"), key).await;
        assert_eq!(answer.code, "5", "{key}: {answer:?}");
    }
    let found: Boolean1 =
        resolve(&mut channel, &format!("{V1}/ResolveBoolean"), "bool").await.read();
    assert_eq!(
        (found.value, found.reason.as_str(), found.variant.as_str()),
        (true, "STATIC", "on")
    );
    let answer = resolve(&mut channel, "nobody.Service/Call", "bool").await;
    assert_eq!(answer.code, "12");
    let answer =
        channel.call_raw(&format!("{V2}/ResolveBoolean"), &[], Bytes::from_static(b"\0\0")).await;
    assert_eq!(answer.code, "3");
}

#[derive(Clone, PartialEq, Message)]
struct All {
    #[prost(message, optional, tag = "1")]
    context: Option<Struct>,
}

#[derive(Clone, PartialEq, Message)]
struct AllAnswer {
    #[prost(btree_map = "string, message", tag = "1")]
    flags: BTreeMap<String, Any>,
    #[prost(message, optional, tag = "2")]
    metadata: Option<Struct>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    variant: String,
    #[prost(oneof = "AnyValue", tags = "3, 4, 5, 6")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Oneof)]
enum AnyValue {
    #[prost(bool, tag = "3")]
    Bool(bool),
    #[prost(string, tag = "4")]
    Text(String),
    #[prost(double, tag = "5")]
    Number(f64),
    #[prost(message, tag = "6")]
    Object(Struct),
}

#[tokio::test]
async fn all_flags_of_version_1_are_those_with_a_value() {
    let rig = Rig::flagd(document());
    let mut channel = Channel::connect(rig.addr).await;
    let request = All { context: Some(texts(&[("plan", "pro")])) };
    let all: AllAnswer = channel.call(&format!("{V1}/ResolveAll"), &request).await.read();
    let keys: Vec<&str> = all.flags.keys().map(String::as_str).collect();
    assert_eq!(keys, ["bool", "float", "int", "now", "object", "plan", "text"]);
    assert_eq!(all.flags["plan"].value, Some(AnyValue::Bool(true)));
    assert_eq!(all.flags["int"].value, Some(AnyValue::Number(10.0)));
    assert_eq!(all.flags["text"].value, Some(AnyValue::Text("hello".into())));
    assert_eq!(all.metadata.unwrap().text("flagSetId"), "production");
}

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(message, optional, tag = "2")]
    data: Option<Struct>,
}

/// Clients cache, and forget what the stream names.
#[tokio::test]
async fn the_stream_names_what_has_changed() {
    let rig = Rig::flagd(document());
    let mut channel = Channel::connect(rig.addr).await;
    for service in [V1, V2] {
        rig.put(rig.edge.revision().n + 1, document());
        let mut stream = channel.open(&format!("{service}/EventStream"), &[], &Nothing {}).await;
        assert_eq!(stream.next::<Event>().await.unwrap().kind, "provider_ready");
        let mut newer = document();
        newer["flags"]["bool"]["defaultVariant"] = "off".into();
        newer["flags"]["more"] = newer["flags"]["bool"].clone();
        newer["flags"].as_object_mut().unwrap().remove("text");
        rig.put(rig.edge.revision().n + 1, newer);
        let event = stream.next::<Event>().await.unwrap();
        assert_eq!(event.kind, "configuration_change");
        let data = event.data.unwrap();
        let flags = data.inner("flags");
        let changes: Vec<(&str, &str)> =
            flags.fields.keys().map(|key| (key.as_str(), flags.inner(key).text("type"))).collect();
        assert_eq!(changes, [("bool", "update"), ("more", "write"), ("text", "delete")]);
    }
}

#[tokio::test]
async fn a_stream_ends_at_its_deadline() {
    let rig = Rig::flagd(document());
    let mut channel = Channel::connect(rig.addr).await;
    let headers = [("grpc-timeout", "100m")];
    let mut stream = channel.open(&format!("{V2}/EventStream"), &headers, &Nothing {}).await;
    assert_eq!(stream.next::<Event>().await.unwrap().kind, "provider_ready");
    assert_eq!(stream.next::<Event>().await, Err("4".to_owned()));
}

#[tokio::test]
async fn a_stream_ends_in_order_when_the_server_goes() {
    let mut rig = Rig::flagd(document());
    let mut channel = Channel::connect(rig.addr).await;
    let mut stream = channel.open(&format!("{V2}/EventStream"), &[], &Nothing {}).await;
    assert_eq!(stream.next::<Event>().await.unwrap().kind, "provider_ready");
    rig.edge.close();
    assert_eq!(stream.next::<Event>().await, Err("14".to_owned()));
    rig.stop();
}

#[tokio::test]
async fn selectors_come_by_header() {
    let rig = Rig::flagd(document());
    let mut channel = Channel::connect(rig.addr).await;
    let request = Resolve { flag_key: "bool".to_owned(), context: None };
    for (selector, code) in
        [("flagSetId=production", "0"), ("flagSetId=staging", "5"), ("color=red", "3")]
    {
        let headers = [("flagd-selector", selector)];
        let path = format!("{V2}/ResolveBoolean");
        let answer = channel.call_raw(&path, &headers, crate::grpc::frame(&request)).await;
        assert_eq!(answer.code, code, "{selector}");
        assert_eq!(messages(&answer.body).len(), usize::from(code == "0"));
    }
}
