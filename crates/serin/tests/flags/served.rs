//! Flags that a server keeps and its data plane answers for.

use crate::support::load::{Connections, Load};
use crate::support::{JUDGED, Server, free_address, kill, shop};
use rustix::process::Signal;
use serde_json::{Value, json};
use serin_flags::Timestamp;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// A server whose flags are served at an address of its own.
pub struct Flags {
    pub server: Server,
    pub at: SocketAddr,
}

impl Flags {
    pub fn start() -> Self {
        let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self::start_at(at, &[])
    }

    pub fn flag(&self, words: &[&str]) -> crate::support::Said {
        self.server.run(&[&["flag"], words].concat())
    }

    /// What it says, for words that must succeed.
    pub fn ok(&self, words: &[&str]) -> String {
        let said = self.flag(words);
        assert_eq!(said.code, Some(0), "serin flag {}: {said:?}", words.join(" "));
        said.out
    }

    pub fn json(&self, words: &[&str]) -> Value {
        self.server.json(&[&["flag"], words].concat())
    }

    /// What a client gets over OFREP.
    pub fn evaluate(&self, key: &str, user: &str) -> Value {
        let body = json!({ "context": { "targetingKey": user } }).to_string();
        let mut stream = TcpStream::connect(self.at).unwrap();
        let head = format!("POST /ofrep/v1/evaluate/flags/{key} HTTP/1.1\r\nhost: x\r\n");
        let rest = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        write!(stream, "{head}{rest}connection: close\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    pub fn value(&self, key: &str, user: &str) -> Value {
        self.evaluate(key, user)["value"].clone()
    }

    /// An answer of the API to a request with a document.
    pub fn api(&self, head: &str, body: &Value) -> (u16, Value) {
        let socket = self.server.data().join("serin.sock");
        let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
        let body = body.to_string();
        let length = format!("content-length: {}\r\nconnection: close\r\n", body.len());
        let kind = "host: x\r\ncontent-type: application/json\r\n";
        write!(stream, "{head}\r\n{kind}{length}\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }
}

pub const NEW: [&str; 6] = ["set", "new_checkout", "--owner", "shop", "--expires", "40d"];

#[test]
fn a_flag_is_made_given_killed_and_brought_back() {
    let flags = Flags::start();
    assert_eq!(flags.ok(&NEW), "new_checkout (production): everybody gets `off`\n");
    assert_eq!(flags.value("new_checkout", "u1"), json!(false));
    flags.ok(&["set", "new_checkout", "--users", "ada", "--percent", "0"]);
    assert_eq!(flags.value("new_checkout", "ada"), json!(true));
    assert_eq!(flags.value("new_checkout", "bob"), json!(false));
    flags.ok(&["set", "new_checkout", "--all"]);
    assert_eq!(flags.value("new_checkout", "bob"), json!(true));
    // When the command returns nobody gets it any more.
    let killed = flags.ok(&["kill", "new_checkout", "--reason", "errors"]);
    assert_eq!(killed, "new_checkout (production): killed: everybody gets `off`\n");
    for user in ["ada", "bob"] {
        let answer = flags.evaluate("new_checkout", user);
        assert_eq!((&answer["value"], &answer["variant"]), (&json!(false), &json!("off")));
    }
    let list = flags.ok(&["list"]);
    assert!(list.contains("killed by tester: errors"), "{list}");
    flags.ok(&["on", "new_checkout"]);
    assert_eq!(flags.value("new_checkout", "bob"), json!(true));
}

#[test]
fn flags_outlive_every_process() {
    let mut flags = Flags::start();
    flags.ok(&NEW);
    flags.ok(&["set", "new_checkout", "--all", "--reason", "works"]);
    let control = flags.server.control_pid();
    kill(control, Signal::KILL);
    // One that is about to die must not be asked any more.
    while std::path::Path::new(&format!("/proc/{control}")).exists() {}
    // The data plane needs nobody to answer.
    assert_eq!(flags.value("new_checkout", "u1"), json!(true));
    flags.ok(&["kill", "new_checkout", "--reason", "errors"]);
    kill(flags.server.keeper_pid(), Signal::KILL);
    flags.server.start_again();
    assert_eq!(flags.value("new_checkout", "u1"), json!(false));
    let history = flags.json(&["history", "new_checkout"]);
    let verbs: Vec<_> = history["changes"].as_array().unwrap().iter().map(|c| &c["verb"]).collect();
    assert_eq!(verbs, ["kill", "set", "create"]);
    assert_eq!(history["changes"][1]["reason"], "works");
    assert_eq!(history["changes"][0]["before"]["defaultVariant"], "on");
    let view = flags.json(&["get", "new_checkout"]);
    assert_eq!((&view["state"], &view["changed"]["by"]), (&json!("killed"), &json!("tester")));
}

#[test]
fn what_is_wrong_is_refused_and_changes_nothing() {
    let flags = Flags::start();
    let refused = |words: &[&str], code: i32, part: &str| {
        let said = flags.flag(words);
        assert_eq!(said.code, Some(code), "{words:?}: {said:?}");
        assert!(said.err.contains(part), "{part}: {said:?}");
    };
    refused(&["set", "new_checkout", "--owner", "shop"], 6, "--expires 40d");
    refused(&["set", "new_checkout", "--percent", "5"], 2, "--owner TEAM");
    refused(&["set", "new checkout", "--owner", "x", "--kind", "ops"], 2, "is not a flag key");
    flags.ok(&NEW);
    refused(&["on", "new_chekout"], 2, "did you mean `new_checkout`?");
    refused(&["set", "new_checkout", "--percent", "101"], 2, "no percentage");
    refused(&["set", "new_checkout", "--if-at", "9", "--all"], 6, "it is at 1");
    refused(&["list", "--set", "prod"], 2, "sets: production");
    refused(&["archive", "new_checkout", "--delete"], 6, "archive it first");
    refused(&["restore", "new_checkout", "--to", "99"], 6, "after change 99");
    let wrong = json!({ "patch": { "prerequisites": [{ "flag": "lost", "variants": ["on"] }] } });
    let (status, problem) = flags.api("PATCH /api/v1/flags/new_checkout HTTP/1.1", &wrong);
    assert_eq!((status, &problem["code"]), (422, &json!("invalid-flag")), "{problem}");
    assert_eq!(flags.json(&["get", "new_checkout"])["changed"]["n"], 1);
}

#[test]
fn concurrent_edits_are_told_apart_by_the_etag() {
    let flags = Flags::start();
    flags.ok(&NEW);
    let patch = json!({ "patch": { "description": "one page" } });
    let with = |tag: &str| format!("PATCH /api/v1/flags/new_checkout HTTP/1.1\r\nif-match: {tag}");
    let (status, view) = flags.api(&with("\"1\""), &patch);
    assert_eq!((status, &view["changed"]["n"]), (200, &json!(2)));
    let (status, problem) = flags.api(&with("\"1\""), &patch);
    assert_eq!((status, &problem["code"]), (412, &json!("changed")));
    assert_eq!(flags.api(&with("1"), &patch).0, 422);
    // Nothing new is no change.
    assert_eq!(flags.api(&with("*"), &patch).1["changed"]["n"], 2);
}

#[test]
fn a_pipeline_sets_a_percentage_with_two_words() {
    let flags = Flags::start();
    flags.ok(&NEW);
    let post = |body: &Value| flags.api("POST /api/flags/new_checkout HTTP/1.1", body);
    let (status, view) = post(&json!({ "strategy": "percentage", "value": 5 }));
    assert_eq!((status, &view["percent"]), (200, &json!(5.0)), "{view}");
    assert_eq!(view["pushed"], true);
    assert_eq!(post(&json!({ "strategy": "percentage", "value": 101 })).0, 422);
    assert_eq!(post(&json!({ "strategy": "most" })).0, 422);
    assert_eq!(flags.api("POST /api/flags/lost HTTP/1.1", &json!({ "strategy": "all" })).0, 404);
}

#[test]
fn an_earlier_state_comes_back_and_archived_flags_go() {
    let flags = Flags::start();
    flags.ok(&NEW);
    flags.ok(&["set", "new_checkout", "--percent", "25"]);
    flags.ok(&["set", "new_checkout", "--all"]);
    flags.ok(&["restore", "new_checkout", "--to", "2", "--reason", "too early"]);
    assert_eq!(flags.json(&["get", "new_checkout"])["percent"], 25.0);
    flags.ok(&["archive", "new_checkout"]);
    assert_eq!(flags.evaluate("new_checkout", "u1")["errorCode"], "FLAG_NOT_FOUND");
    assert_eq!(flags.json(&["list"])["flags"], json!([]));
    flags.ok(&["archive", "new_checkout", "--undo"]);
    flags.ok(&["archive", "new_checkout"]);
    flags.ok(&["archive", "new_checkout", "--delete"]);
    let history = flags.json(&["history", "new_checkout"]);
    assert_eq!(history["changes"][0]["verb"], "delete");
    // Also what is gone comes back.
    flags.ok(&["restore", "new_checkout", "--to", "3"]);
    assert_eq!(flags.value("new_checkout", "u1"), json!(true));
}

#[test]
fn what_clients_ask_for_is_not_put_away_by_the_way() {
    let flags = Flags::start();
    flags.ok(&NEW);
    flags.evaluate("new_checkout", "u1");
    while flags.json(&["get", "new_checkout"])["used"].is_null() {}
    let said = flags.flag(&["archive", "new_checkout"]);
    assert!(said.code == Some(6) && said.err.contains("--force"), "{said:?}");
    flags.ok(&["archive", "new_checkout", "--force"]);
}

#[test]
fn each_environment_has_its_own_flags() {
    let flags = Flags::start();
    flags.ok(&NEW);
    flags.ok(&["sets", "--create", "staging"]);
    flags.ok(&[&NEW[..], &["--set", "staging", "--all"]].concat());
    assert_eq!(flags.value("new_checkout", "u1"), json!(false));
    let sets = flags.json(&["sets"]);
    let names: Vec<_> = sets["sets"].as_array().unwrap().iter().map(|set| &set["name"]).collect();
    assert_eq!(names, ["production", "staging"]);
}

#[test]
fn the_flags_for_a_bad_day_are_made_once() {
    let flags = Flags::start();
    let made = flags.ok(&["ops", "--create", "--owner", "sre"]);
    assert!(made.contains("maintenance_mode") && made.contains("sre"), "{made}");
    assert_eq!(flags.value("external_integrations", "u1"), json!(true));
    flags.ok(&["off", "external_integrations", "--reason", "they are down"]);
    assert_eq!(flags.value("external_integrations", "u1"), json!(false));
    // What is there stays as it is.
    flags.ok(&["ops", "--create"]);
    assert_eq!(flags.json(&["get", "external_integrations"])["state"], "off");
}

#[test]
fn stale_flags_are_told_with_all_witnesses() {
    let flags = Flags::start();
    flags.ok(&["set", "old", "--owner", "shop", "--expires", "40d", "--all"]);
    flags.evaluate("lost", "u1");
    let dir = flags.server.dir().join("code");
    std::fs::create_dir(&dir).unwrap();
    let git = std::process::Command::new("git").args(["init", "-q"]).arg(&dir).status().unwrap();
    assert!(git.success());
    let report = flags.json(&["stale", "--code", dir.to_str().unwrap()]);
    let old = &report["flags"][0];
    assert_eq!(old["verdicts"], json!(["no-references"]), "{report}");
    // Everybody has it only since a moment ago.
    assert_eq!((&old["ready"], &old["references"]), (&Value::Null, &json!(0)));
    let strict = ["stale", "--strict", "--code", dir.to_str().unwrap()];
    assert_eq!(flags.flag(&strict).code, Some(2));
    assert_eq!(flags.flag(&["stale"]).code, Some(0));
}

#[test]
fn what_is_needed_in_a_hurry_stands_first() {
    let flags = Flags::start();
    flags.ok(&[&["set", "a_feature"], &NEW[2..]].concat());
    flags.ok(&["set", "read_only", "--owner", "sre", "--kind", "ops"]);
    let list = flags.json(&["list"]);
    let keys: Vec<_> = list["flags"].as_array().unwrap().iter().map(|flag| &flag["key"]).collect();
    assert_eq!(keys, ["read_only", "a_feature"]);
}

#[test]
fn explain_says_which_bucket_and_who_was_last() {
    let flags = Flags::start();
    flags.ok(&NEW);
    flags.ok(&["set", "new_checkout", "--percent", "50", "--reason", "half"]);
    let said = flags.ok(&["explain", "new_checkout", "--user", "u1"]);
    for part in ["bucket", "hash v3", "targetingKey", "last change: 2 by tester, set"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let matrix = flags.ok(&["test", "new_checkout", "--matrix"]);
    assert_eq!(matrix, "{\"FLAG_NEW_CHECKOUT\":[\"true\",\"false\"]}\n");
}

#[test]
fn a_set_is_carried_to_another_and_nothing_is_overwritten() {
    let flags = Flags::start();
    flags.ok(&NEW);
    flags.ok(&["set", "new_checkout", "--percent", "25"]);
    let document = flags.ok(&["export", "--format", "flagd"]);
    let file = flags.server.file("flags.json", &document);
    flags.ok(&["sets", "--create", "staging"]);
    let words = ["import", &file, "--format", "flagd", "--set", "staging"];
    let dry = flags.json(&[&words[..], &["--dry-run"]].concat());
    assert_eq!((&dry["new"], &dry["dry_run"]), (&json!(["new_checkout"]), &json!(true)));
    assert_eq!(flags.json(&["list", "--set", "staging"])["flags"], json!([]));
    flags.ok(&words);
    assert_eq!(flags.json(&words)["kept"], json!(["new_checkout"]));
    let said = flags.flag(&["import", &file, "--format", "unleash", "--set", "staging"]);
    assert_eq!(said.code, Some(2), "{said:?}");
}

#[test]
fn an_import_is_taken_whole_or_not_at_all() {
    let flags = Flags::start();
    flags.ok(&["set", "base", "--kind", "ops", "--owner", "shop"]);
    flags.ok(&["archive", "base"]);
    let ops = json!({"kind": "ops", "owner": "shop", "defaultVariant": "off"});
    let mut needing = ops.clone();
    needing["prerequisites"] = json!([{"flag": "base", "variants": ["on"]}]);
    let set = json!({"name": "x", "flags": {"a": ops, "b": needing, "base": ops}});
    let file = flags.server.file("set.json", &set.to_string());
    let words = ["import", &file, "--format", "serin"];
    let said = flags.flag(&words);
    // The message is there once.
    let times = said.err.matches("base is archived").count();
    assert_eq!((said.code, times), (Some(2), 1), "{said:?}");
    assert_ne!(flags.flag(&["get", "a"]).code, Some(0));
    flags.ok(&["archive", "base", "--undo"]);
    assert_eq!(flags.json(&words)["new"], json!(["a", "b"]));
    for key in ["a", "b"] {
        let history = flags.json(&["history", key]);
        assert!(history.to_string().contains("\"verb\":\"import\""), "{history}");
        assert_eq!(flags.value(key, "u1"), json!(false));
    }
}

#[test]
fn a_ramp_stops_at_off_and_an_end_in_the_past_is_told() {
    let flags = Flags::start();
    flags.ok(&NEW);
    let due = || flags.json(&["schedule", "new_checkout"])["due"].clone();
    flags.ok(&["set", "new_checkout", "--percent", "5"]);
    flags.ok(&["off", "new_checkout"]);
    flags.ok(&["schedule", "new_checkout", "--percent", "50", "--at", "2100-01-01"]);
    flags.ok(&["schedule", "new_checkout", "--percent", "25", "--at", "2020-01-01"]);
    while due() != json!([]) {}
    flags.ok(&["on", "new_checkout"]);
    let view = flags.json(&["get", "new_checkout"]);
    assert_eq!((&view["percent"], &view["changed"]["verb"]), (&json!(5.0), &json!("on")));
    let mut brief = view["definition"].clone();
    let made: Timestamp = serde_json::from_value(brief["createdAt"].clone()).unwrap();
    brief["expiresAt"] = json!(Timestamp(made.0 + 1));
    let file = flags.server.file("brief.json", &brief.to_string());
    flags.ok(&["set", "new_checkout", "-f", &file]);
    while flags.json(&["get", "new_checkout"])["notes"] == json!([]) {}
    let past = flags.flag(&["set", "new_checkout", "--description", "late"]);
    assert!(past.code == Some(0) && past.err.contains("note: expired: "), "{past:?}");
}

#[test]
fn clients_that_do_not_get_a_flag_are_named_with_the_reason() {
    let flags = Flags::start();
    flags.ok(&NEW);
    assert!(!flags.ok(&["get", "new_checkout"]).contains("clients of"));
    let mut definition = flags.json(&["get", "new_checkout"])["definition"].clone();
    definition["rules"] = json!([{ "serve": { "variant": "on" }, "clauses": [
        { "attribute": "plan.name", "operator": "equals", "values": ["pro"], "ignoreCase": true },
    ] }]);
    let file = flags.server.file("flag.json", &definition.to_string());
    let set = flags.flag(&["set", "new_checkout", "-f", &file]);
    let why = "clients of flagd in-process do not get it: it compares text without regard to case";
    assert!(set.err.contains(why), "{set:?}");
    let notes = flags.json(&["get", "new_checkout"])["notes"].clone();
    assert_eq!(notes[0], why, "{notes}");
    assert!(
        notes[1].as_str().unwrap().starts_with("clients of Unleash do not get it: "),
        "{notes}"
    );
    flags.ok(&["kill", "new_checkout", "--reason", "errors"]);
    let killed = flags.json(&["get", "new_checkout"])["notes"].clone();
    assert!(!killed.to_string().contains("clients of"), "off is off for everybody: {killed}");
}

#[test]
fn what_is_scheduled_happens_once_and_not_to_a_killed_flag() {
    let flags = Flags::start();
    flags.ok(&NEW);
    let far = flags.ok(&["schedule", "new_checkout", "--on", "--at", "2100-01-01"]);
    assert!(far.contains("2100"), "{far}");
    flags.ok(&["schedule", "new_checkout", "--clear"]);
    // A time that has passed while nobody was there: at the next look.
    flags.ok(&["schedule", "new_checkout", "--percent", "25", "--at", "2020-01-01"]);
    let mut view = flags.json(&["get", "new_checkout"]);
    while view["changed"]["n"] == 1 {
        view = flags.json(&["get", "new_checkout"]);
    }
    assert_eq!((&view["percent"], &view["changed"]["n"]), (&json!(25.0), &json!(2)));
    assert_eq!(
        (&view["changed"]["by"], &view["changed"]["reason"]),
        (&json!("serin"), &json!("scheduled by tester"))
    );
    assert_eq!(flags.json(&["schedule", "new_checkout"])["due"], json!([]));
    flags.ok(&["kill", "new_checkout", "--reason", "errors"]);
    flags.ok(&["schedule", "new_checkout", "--on", "--at", "2020-01-01"]);
    while flags.json(&["schedule", "new_checkout"])["due"] != json!([]) {}
    assert_eq!(flags.json(&["get", "new_checkout"])["state"], "killed");
}

#[test]
fn a_token_is_shown_once_and_kept_as_its_hash() {
    let flags = Flags::start();
    flags.ok(&NEW);
    let secret = flags.ok(&["token", "--create", "web", "--only", "production"]);
    assert!(secret.starts_with("*:production."), "{secret}");
    assert!(!flags.ok(&["token"]).contains(secret.trim()));
    let bytes = |name: &str| std::fs::read(flags.server.data().join(name)).unwrap_or_default();
    let part = &secret.trim().as_bytes()[13..];
    for name in ["serin.db", "serin.db-wal", "flags.json"] {
        assert!(!bytes(name).windows(part.len()).any(|window| window == part), "{name}");
    }
    assert_eq!(flags.flag(&["token", "--create", "web"]).code, Some(6));
    flags.ok(&["token", "--revoke", "web"]);
    assert!(flags.ok(&["token"]).contains("there is none"));
}

#[test]
fn what_the_data_plane_could_not_serve_is_refused_and_stops_no_kill() {
    let flags = Flags::start();
    flags.ok(&NEW);
    flags.ok(&["set", "new_checkout", "--all"]);
    let raw = json!({ "kind": "ops", "owner": "x", "defaultVariant": "off",
        "raw": { "fractional": [["on", 50], ["off", 50]] } });
    let put = |key: &str, definition: &Value| {
        let head = format!("PUT /api/v1/flags/{key} HTTP/1.1");
        flags.api(&head, &json!({ "definition": definition }))
    };
    assert_eq!(put("rawb", &raw).0, 200);
    let needs = json!({ "kind": "ops", "owner": "x", "defaultVariant": "off",
        "prerequisites": [{ "flag": "rawb", "variants": ["on"] }] });
    let (status, problem) = put("needs", &needs);
    assert_eq!((status, &problem["code"]), (422, &json!("invalid-flag")), "{problem}");
    flags.ok(&["kill", "new_checkout", "--reason", "errors"]);
    assert_eq!(flags.value("new_checkout", "u1"), json!(false));
}

#[test]
fn an_address_beyond_this_machine_needs_a_token() {
    let at = TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap();
    let server = Server::start_with(&["--flags-listen", &at.to_string()]);
    let flags = Flags { server, at };
    flags.ok(&NEW);
    let trouble = flags.json(&["list"])["trouble"].as_str().unwrap().to_owned();
    assert!(trouble.contains("serin flag token --create"), "{trouble}");
    assert!(flags.ok(&["list"]).contains("trouble: "));
    let local = SocketAddr::from(([127, 0, 0, 1], at.port()));
    assert!(TcpStream::connect(local).is_err());
    flags.ok(&["token", "--create", "web"]);
    while TcpStream::connect(local).is_err() {}
}

#[test]
fn an_archived_flag_is_not_restored_by_the_way() {
    let flags = Flags::start();
    flags.ok(&NEW);
    flags.ok(&["archive", "new_checkout"]);
    assert_eq!(flags.flag(&["restore", "new_checkout", "--to", "1"]).code, Some(6));
    flags.ok(&["archive", "new_checkout", "--undo"]);
    let head = "POST /api/v1/flags/new_checkout:restore HTTP/1.1\r\nif-match: \"1\"";
    assert_eq!(flags.api(head, &json!({ "to": 1 })).0, 412);
}

#[test]
fn a_set_has_segments_and_goes_when_it_serves_nothing() {
    let flags = Flags::start();
    flags.ok(&["sets", "--create", "staging"]);
    let patch = r#"{"segments":{"beta":{"users":["ada"]}},"metadata":{"team":"shop"}}"#;
    let file = flags.server.file("patch.json", patch);
    flags.ok(&["sets", "staging", "--patch", &file]);
    let rule = json!({ "kind": "ops", "owner": "x", "defaultVariant": "off",
        "rules": [{ "segments": ["beta"], "serve": { "variant": "on" } }] });
    let head = "PUT /api/v1/flags/f?set=staging HTTP/1.1";
    assert_eq!(flags.api(head, &json!({ "definition": rule })).0, 200);
    // A segment that a flag needs stays.
    let bad = flags.server.file("bad.json", r#"{"segments":null}"#);
    assert_eq!(flags.flag(&["sets", "staging", "--patch", &bad]).code, Some(2));
    assert_eq!(flags.flag(&["sets", "staging", "--remove"]).code, Some(6));
    flags.ok(&["archive", "f", "--set", "staging"]);
    flags.ok(&["sets", "staging", "--remove"]);
    assert_eq!(flags.flag(&["list", "--set", "staging"]).code, Some(2));
}

#[test]
fn a_flag_is_bound_to_a_service_that_is_rolled_back_and_apps_are_told_where_flags_are() {
    let flags = Flags::start();
    flags.ok(&["ops", "--create"]);
    let words = ["schedule", "maintenance_mode", "--on", "--when-rolled-back", "shop"];
    assert!(flags.ok(&words).contains("when shop is rolled back"));
    let listen = free_address();
    let server = &flags.server;
    let file = server.file("serin.yaml", &shop(listen, "", JUDGED));
    server.ok(&["apply", "-f", &file]);
    let environment = std::fs::read(format!("/proc/{}/environ", pid_of(server))).unwrap();
    let environment = String::from_utf8(environment).unwrap();
    assert!(environment.contains(&format!("FEATURE_FLAGS_URL=http://{}", flags.at)));
    let load = Load::start(listen, 4, Connections::Kept);
    load.wait_for(100);
    let bad = server.file("bad.yaml", &shop(listen, ", ERROR_RATE: \"0.5\"", JUDGED));
    assert_eq!(server.run(&["apply", "-f", &bad, "--revision", "v2"]).code, Some(3));
    load.report();
    assert_eq!(flags.value("maintenance_mode", "u1"), json!(true));
    let last = flags.json(&["get", "maintenance_mode"])["changed"].clone();
    assert_eq!(last["by"], "serin");
    let why = last["reason"].as_str().unwrap();
    assert!(why.starts_with("shop was rolled back: ") && why.contains("by tester"), "{why}");
}

fn pid_of(server: &Server) -> u64 {
    server.json(&["status", "shop"])["instances"][0]["pid"].as_u64().unwrap()
}
