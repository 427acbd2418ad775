//! Who may ask.

use crate::rig::Rig;
use serde_json::{Value, json};
use serin_edge::{Table, Token, TokenKind};
use serin_flags::{Definition, Kind, SetDefinition};
use std::sync::Arc;

fn guarded() -> Rig {
    let set = |name: &str| {
        let mut set = SetDefinition::new(name);
        set.flags.insert(name.parse().unwrap(), Definition::boolean(Kind::Release, "shop"));
        Arc::new(set)
    };
    let tokens = vec![
        Token::of("app", "*:production.abc", TokenKind::Backend),
        Token::of("web", "*:production.web", TokenKind::Frontend),
        Token::of("all", "*:*.all", TokenKind::Backend),
    ];
    let sets = vec![set("production"), set("staging")];
    Rig::new(Table {
        sets,
        tokens,
        origins: vec!["https://shop.example".to_owned()],
        ..Table::default()
    })
}

#[test]
fn a_token_opens_its_own_set_and_no_other() {
    let rig = guarded();
    let one = "POST /ofrep/v1/evaluate/flags/production";
    for (head, status) in [
        (one.to_owned(), 401),
        (format!("{one}\nAuthorization: Bearer *:production.abd"), 401),
        (format!("{one}\nAuthorization: Bearer *:production.abc"), 200),
        (format!("{one}\nX-API-Key: *:production.web"), 200),
        (format!("{one}\nX-API-Key: *:production.web\nFlagd-Selector: staging"), 403),
        (format!("{one}\nX-API-Key: *:*.all\nFlagd-Selector: staging"), 404),
        (
            "POST /ofrep/v1/evaluate/flags/staging\nX-API-Key: *:*.all\nFlagd-Selector: staging"
                .to_owned(),
            200,
        ),
        ("POST /ofrep/v1/evaluate/flags".to_owned(), 401),
        ("GET /metrics".to_owned(), 401),
        ("GET /healthz".to_owned(), 200),
        ("GET /nothing".to_owned(), 401),
    ] {
        let got = rig.ask(&head, "");
        assert_eq!(got.status, status, "{head}");
        if matches!(status, 401 | 403) {
            assert_eq!(got.body, "", "the protocol wants no body");
        }
    }
}

#[test]
fn what_a_web_page_holds_never_sees_a_rule() {
    let rig = guarded();
    for path in [
        "/api/client/features",
        "/api/client/features/production",
        "/api/client/streaming",
        "/api/client/delta",
        "/serin/v1/flags/follow",
        "/metrics",
    ] {
        let head = format!("GET {path}\nAuthorization: *:production.web");
        assert_eq!(rig.ask(&head, "").status, 403, "{path}");
    }
    let head = "POST /v1/logs\nAuthorization: *:production.web\nContent-Type: application/json";
    assert_eq!(rig.ask(head, "{}").status, 403);
    assert_eq!(rig.ask("GET /api/frontend\nAuthorization: *:production.web", "").status, 200);
}

#[test]
fn pages_of_named_origins_may_ask_from_a_browser() {
    let rig = guarded();
    let ask =
        |origin: &str| rig.ask(&format!("OPTIONS /ofrep/v1/evaluate/flags\nOrigin: {origin}"), "");
    let good = ask("https://shop.example");
    assert_eq!(good.status, 204);
    assert_eq!(good.header("access-control-allow-origin"), Some("https://shop.example"));
    assert!(good.header("access-control-allow-headers").unwrap().contains("if-none-match"));
    let bad = ask("https://evil.example");
    assert_eq!((bad.status, bad.header("access-control-allow-origin")), (403, None));
    let head =
        "POST /ofrep/v1/evaluate/flags\nOrigin: https://shop.example\nX-API-Key: *:production.web";
    let got = rig.ask(head, "");
    assert_eq!(got.header("access-control-expose-headers"), Some("etag, retry-after"));
}

/// Another Serin gets everything its token is for, and tokens only as hashes.
#[test]
fn another_serin_follows_what_its_token_is_for() {
    let rig = guarded();
    for (token, sets, tokens) in [("*:*.all", 2, 3), ("*:production.abc", 1, 0)] {
        let mut client = rig.client();
        let got = client.open("/serin/v1/flags/follow", &format!("Authorization: {token}\r\n"));
        assert_eq!(got.status, 200);
        let line = client.event().unwrap().remove(0);
        assert!(!line.contains("abc"), "{line}");
        let table: Table = serde_json::from_str(&line).unwrap();
        assert_eq!((table.sets.len(), table.tokens.len()), (sets, tokens));
    }
}

#[test]
fn a_stream_ends_with_its_token() {
    let rig = guarded();
    let mut client = rig.client();
    client.open("/api/client/streaming", "Authorization: *:production.abc\r\n");
    assert!(client.event().is_some());
    let mut table = rig.edge.table();
    table.tokens.retain(|token| token.name != "app");
    table.revision.n += 1;
    rig.edge.replace(table).unwrap();
    assert_eq!(client.event(), None);
}

#[test]
fn a_web_page_is_not_told_who_owns_a_flag_nor_how_long_it_lives() {
    let rig = guarded();
    for (token, owner) in [("*:production.abc", json!("shop")), ("*:production.web", Value::Null)] {
        let one = "/ofrep/v1/evaluate/flags/production";
        let one = rig.ask(&format!("POST {one}\nX-API-Key: {token}"), "{}").json();
        let all = rig.ask(&format!("POST /ofrep/v1/evaluate/flags\nX-API-Key: {token}"), "{}");
        let all = all.json();
        for flag in [&one, &all["flags"][0]] {
            assert_eq!((&flag["metadata"]["owner"], &flag["value"]), (&owner, &json!(false)));
            assert_eq!(flag["metadata"]["type"], "release");
        }
    }
}
