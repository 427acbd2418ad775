//! flagd's sync service.

use crate::grpc::{Channel, Struct, frame};
use crate::rig::{Rig, document};
use prost::Message;
use serde_json::{Value, json};
use serin_edge::{Table, Token, TokenKind};
use serin_flags::{Definition, Kind, SetDefinition};
use std::sync::Arc;

const SYNC: &str = "flagd.sync.v1.FlagSyncService";

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, tag = "1")]
    provider_id: String,
    #[prost(string, tag = "2")]
    selector: String,
}

#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(string, tag = "1")]
    flag_configuration: String,
    #[prost(message, optional, tag = "2")]
    sync_context: Option<Struct>,
}

fn request(selector: &str) -> Request {
    Request { provider_id: "test".to_owned(), selector: selector.to_owned() }
}

impl Response {
    fn document(&self) -> Value {
        serde_json::from_str(&self.flag_configuration).unwrap()
    }
}

#[tokio::test]
async fn the_whole_document_comes_with_every_change() {
    let rig = Rig::flagd(document());
    let mut channel = Channel::connect(rig.addr).await;
    let mut stream = channel.open(&format!("{SYNC}/SyncFlags"), &[], &request("")).await;
    let first = stream.next::<Response>().await.unwrap().document();
    assert_eq!(first["flags"].as_object().unwrap().len(), 11);
    let mut newer = document();
    newer["flags"]["bool"]["defaultVariant"] = "off".into();
    rig.put(2, newer);
    let second = stream.next::<Response>().await.unwrap().document();
    assert_eq!(second["flags"].as_object().unwrap().len(), 11);
    assert_eq!(second["flags"]["bool"]["defaultVariant"], "off");
    let fetched: Response =
        channel.call(&format!("{SYNC}/FetchAllFlags"), &request("")).await.read();
    assert_eq!(fetched.document(), second);
}

/// Clients do not agree on references in references, and merge metadata differently or not at all.
#[tokio::test]
async fn a_flag_is_complete_in_itself() {
    let rig = Rig::flagd(document());
    let mut channel = Channel::connect(rig.addr).await;
    let fetched: Response =
        channel.call(&format!("{SYNC}/FetchAllFlags"), &request("")).await.read();
    let document = fetched.document();
    assert!(document.get("$evaluators").is_none());
    let plan = &document["flags"]["plan"];
    assert_eq!(plan["targeting"], json!({"if": [{"==": [{"var": "plan"}, "pro"]}, "on", null]}));
    assert_eq!(plan["metadata"], json!({"flagSetId": "mine", "version": "7", "owner": "shop"}));
    let bool = &document["flags"]["bool"];
    assert_eq!(bool["metadata"], json!({"flagSetId": "production", "version": "7"}));
}

/// The thread of a Python client that reads its metadata would die of an answer without it; this
/// status it takes for "there is none".
#[tokio::test]
async fn there_is_no_metadata_method() {
    let rig = Rig::flagd(document());
    let mut channel = Channel::connect(rig.addr).await;
    let answer = channel.call(&format!("{SYNC}/GetMetadata"), &request("")).await;
    assert_eq!(answer.code, "12");
}

#[tokio::test]
async fn selectors_come_by_header_and_by_body() {
    let rig = Rig::flagd(document());
    let mut channel = Channel::connect(rig.addr).await;
    for (header, body, flags) in [
        ("flagSetId=production", "", Ok(11)),
        ("", "production", Ok(11)),
        ("flagSetId=production", "flagSetId=staging", Ok(11)),
        ("", "flagSetId=staging", Ok(0)),
        ("color=red", "", Err("3")),
        ("", "color=red", Err("3")),
    ] {
        let headers = [("flagd-selector", header)];
        let headers = if header.is_empty() { &headers[..0] } else { &headers[..] };
        let path = format!("{SYNC}/FetchAllFlags");
        let answer = channel.call_raw(&path, headers, frame(&request(body))).await;
        let found = match answer.code.as_str() {
            "0" => Ok(answer.read::<Response>().document()["flags"].as_object().unwrap().len()),
            other => Err(other.to_owned()),
        };
        assert_eq!(found, flags.map_err(str::to_owned), "{header} {body}");
    }
}

/// A definition becomes plain flagd.
#[tokio::test]
async fn what_people_wrote_is_compiled_for_clients() {
    let mut set = SetDefinition::new("production");
    set.flags.insert("a".parse().unwrap(), Definition::boolean(Kind::Release, "shop"));
    let tokens = vec![
        Token::of("app", "*:production.abc", TokenKind::Backend),
        Token::of("web", "*:production.web", TokenKind::Frontend),
        Token::of("other", "*:staging.abc", TokenKind::Backend),
    ];
    let rig = Rig::new(Table { sets: vec![Arc::new(set)], tokens, ..Table::default() });
    let mut channel = Channel::connect(rig.addr).await;
    for (token, code) in [
        ("Bearer *:production.abc", "0"),
        // A token of a web page never sees a rule.
        ("Bearer *:production.web", "7"),
        ("Bearer *:production.abd", "16"),
        // Another set's: the set that is meant is empty there.
        ("Bearer *:staging.abc", "0"),
    ] {
        let headers = [("authorization", token)];
        let path = format!("{SYNC}/FetchAllFlags");
        let answer = channel.call_raw(&path, &headers, frame(&request(""))).await;
        assert_eq!(answer.code, code, "{token}");
        if token.contains("production.abc") {
            let document = answer.read::<Response>().document();
            assert_eq!(document["flags"]["a"]["defaultVariant"], "off");
        }
    }
    let headers = [("authorization", "*:staging.abc"), ("flagd-selector", "production")];
    let path = format!("{SYNC}/SyncFlags");
    assert_eq!(channel.call_raw(&path, &headers, frame(&request(""))).await.code, "7");
}
