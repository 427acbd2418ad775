//! Changes that others must agree to, and flags on their way out.

use crate::served::{Flags, NEW};
use crate::support::load::{Connections, Load};
use crate::support::{QUICK, Said, Server, free_address, said, shop};
use serde_json::{Value, json};
use std::net::SocketAddr;

impl Flags {
    /// A server that answers there, started with more words.
    pub fn start_at(at: SocketAddr, words: &[&str]) -> Self {
        let server = Server::start_with(&[&["--flags-listen", &at.to_string()], words].concat());
        Self { server, at }
    }

    /// What a person called `who` says.
    fn by(&self, who: &str, words: &[&str]) -> Said {
        let mut command = self.server.command(&[&["flag"], words].concat());
        command.env("USER", who);
        said(command)
    }

    /// The same, for words that must end with this code.
    fn ends(&self, code: i32, who: &str, words: &[&str]) -> Said {
        let said = self.by(who, words);
        assert_eq!(said.code, Some(code), "{who}: {words:?}: {said:?}");
        said
    }

    fn last(&self, key: &str) -> Value {
        self.json(&["history", key])["changes"][0].clone()
    }
}

#[test]
fn a_change_waits_until_somebody_else_agrees_and_a_kill_does_not() {
    let flags = Flags::start();
    flags.ok(&[&NEW[..], &["--approvals", "1"]].concat());
    let asked = flags.ends(5, "ada", &["set", "new_checkout", "--all", "--reason", "sale"]);
    assert!(asked.err.contains("serin flag approve 1"), "{asked:?}");
    assert!(asked.out.contains("defaultVariant: \"off\" -> \"on\""), "{asked:?}");
    assert_eq!(flags.value("new_checkout", "u1"), json!(false), "it waits");
    // The same again is the same request.
    flags.ends(5, "ada", &["set", "new_checkout", "--all", "--reason", "sale"]);
    let pending = flags.json(&["pending"]);
    assert_eq!(pending["requests"].as_array().unwrap().len(), 1, "{pending:#}");
    let own = flags.ends(6, "ada", &["approve", "1"]);
    assert!(own.err.contains("somebody else has to agree"), "{own:?}");
    let list = flags.ok(&["list"]);
    assert!(list.contains("request 1 by ada waits for approval"), "{list}");
    flags.ends(0, "bob", &["approve", "1", "--reason", "seen"]);
    assert_eq!(flags.value("new_checkout", "u1"), json!(true));
    let last = flags.last("new_checkout");
    assert_eq!((&last["by"], &last["reason"]), (&json!("ada"), &json!("sale")));
    assert_eq!((&last["approved"], &last["request"]), (&json!(["bob"]), &json!(1)));
    assert!(flags.ok(&["history", "new_checkout"]).contains("sale; approved by bob"));
    assert_eq!(flags.ends(6, "eve", &["approve", "1"]).code, Some(6), "once");
    flags.ends(0, "ada", &["kill", "new_checkout", "--reason", "errors"]);
    assert_eq!(flags.value("new_checkout", "u1"), json!(false), "asks nobody");
    flags.ends(5, "ada", &["on", "new_checkout"]);
    flags.ends(0, "ada", &["off", "new_checkout"]);
    // What was asked for was for another state.
    let outdated = flags.ends(6, "bob", &["approve", "2"]);
    assert!(outdated.err.contains("was changed since"), "{outdated:?}");
    assert_eq!(flags.value("new_checkout", "u1"), json!(false));
    // Neither is the demand itself lifted by one alone.
    flags.ends(5, "ada", &["set", "new_checkout", "--approvals", "0"]);
    flags.ends(0, "bob", &["reject", "3", "--reason", "not before the sale"]);
    let all = flags.ok(&["pending", "--all"]);
    assert!(all.contains("rejected by bob: not before the sale"), "{all}");
    assert!(all.contains("changed meanwhile") && all.contains("bob agreed: change"), "{all}");
}

#[test]
fn over_the_network_a_name_is_that_of_the_token() {
    let api = free_address();
    let flags = Flags::start_at(free_address(), &["--api-listen", &api.to_string()]);
    flags.ok(&[&NEW[..], &["--approvals", "1"]].concat());
    let token = |name: &str| {
        let said = flags.server.ok(&["token", "--create", name]);
        said.out.trim().to_owned()
    };
    let (ada, bob) = (token("ada"), token("bob"));
    let with = |token: &str, says: &str, words: &[&str]| {
        let url = format!("http://{api}");
        let mut command = flags.server.command(&[&["--server", &url], words].concat());
        command.env("SERIN_TOKEN", token).env("SERIN_ACTOR", says);
        said(command)
    };
    let asked = with(&ada, "ada", &["flag", "set", "new_checkout", "--all", "--reason", "sale"]);
    assert_eq!(asked.code, Some(5), "{asked:?}");
    let own = with(&ada, "bob", &["flag", "approve", "1"]);
    assert_eq!(own.code, Some(6), "she is ada, whatever she says: {own:?}");
    let agreed = with(&bob, "carol", &["flag", "approve", "1"]);
    assert_eq!(agreed.code, Some(0), "{agreed:?}");
    let last = flags.last("new_checkout");
    assert_eq!((&last["by"], &last["approved"]), (&json!("ada"), &json!(["bob"])));
    let more = with(&bob, "bob", &["token", "--create", "eve"]);
    assert_eq!(more.code, Some(7), "{more:?}");
    assert!(more.err.contains("by the owner only"), "{more:?}");
    flags.server.ok(&["token", "--revoke", "bob"]);
    let gone = with(&bob, "bob", &["flag", "list"]);
    assert_eq!(gone.code, Some(7), "{gone:?}");
    assert_eq!(flags.server.ok(&["token"]).out.trim(), "ada");
}

#[test]
fn a_set_asks_for_two_and_what_waits_outlives_the_control_plane() {
    let mut flags = Flags::start();
    flags.ok(&["sets", "production", "--approvals", "2"]);
    flags.ends(5, "ada", &NEW);
    assert_eq!(flags.evaluate("new_checkout", "u1")["errorCode"], "FLAG_NOT_FOUND");
    let patch = flags.server.file("p.json", r#"{"segments":{"beta":{"users":["ada"]}}}"#);
    let set = flags.ends(5, "ada", &["sets", "production", "--patch", &patch]);
    assert!(set.err.contains("serin flag approve 2"), "{set:?}");
    flags.ends(0, "bob", &["approve", "1"]);
    assert_eq!(flags.evaluate("new_checkout", "u1")["errorCode"], "FLAG_NOT_FOUND");
    let twice = flags.ends(6, "bob", &["approve", "1"]);
    assert!(twice.err.contains("agreed already"), "{twice:?}");
    crate::support::kill(flags.server.keeper_pid(), rustix::process::Signal::KILL);
    flags.server.start_again();
    flags.ends(0, "eve", &["approve", "1"]);
    assert_eq!(flags.value("new_checkout", "u1"), json!(false), "it is there");
    assert_eq!(flags.last("new_checkout")["approved"], json!(["bob", "eve"]));
    for who in ["bob", "eve"] {
        flags.ends(0, who, &["approve", "2"]);
    }
    assert_eq!(flags.json(&["sets", "production"])["segments"]["beta"]["users"], json!(["ada"]));
    let file = flags.server.file("f.json", r#"{"flags":{}}"#);
    let import = flags.ends(6, "ada", &["import", &file, "--format", "flagd"]);
    assert!(import.err.contains("need approval"), "{import:?}");
}

#[test]
fn what_is_scheduled_or_bound_to_a_cause_is_agreed_to_beforehand() {
    let flags = Flags::start();
    flags.ok(&[&NEW[..], &["--approvals", "1"]].concat());
    let words = ["schedule", "new_checkout", "--on", "--when-breaker", "payments"];
    flags.ends(5, "ada", &words);
    assert_eq!(flags.json(&["schedule", "new_checkout"])["due"], json!([]));
    flags.ends(0, "bob", &["approve", "1"]);
    let planned = flags.ok(&["schedule", "new_checkout"]);
    assert!(planned.contains("when the breaker payments opens"), "{planned}");
    assert!(planned.contains("approved by bob"), "{planned}");
    let breaker = |verb: &str| {
        let head = format!("POST /api/v1/breakers/payments:{verb} HTTP/1.1");
        flags.api(&head, &json!({ "actor": "gateway", "reason": "9 of 10 calls fail" }))
    };
    assert_eq!(breaker("open").1["waiting"], 1);
    assert_eq!(flags.value("new_checkout", "u1"), json!(true));
    let last = flags.last("new_checkout");
    let why = last["reason"].as_str().unwrap();
    assert!(why.starts_with("the breaker payments opened: 9 of 10 calls fail (gateway)"), "{why}");
    assert!(why.contains("only a person takes it back"), "{why}");
    assert_eq!(last["approved"], json!(["bob"]));
    // A person's word holds as long as the cause lasts.
    flags.ends(0, "ada", &["off", "new_checkout"]);
    breaker("open");
    assert_eq!(flags.value("new_checkout", "u1"), json!(false));
    breaker("close");
    assert_eq!(flags.value("new_checkout", "u1"), json!(false), "nothing goes back by itself");
    breaker("open");
    assert_eq!(flags.value("new_checkout", "u1"), json!(true));
    assert_eq!(flags.api("POST /api/v1/breakers/x:turn HTTP/1.1", &json!({})).0, 404);
}

#[test]
fn a_service_that_fails_switches_a_flag_once_and_says_the_numbers() {
    let flags = Flags::start();
    flags.ok(&["ops", "--create"]);
    let listen = free_address();
    let file = flags.server.file("serin.yaml", &shop(listen, ", ERROR_RATE: \"0.5\"", QUICK));
    flags.server.ok(&["apply", "-f", &file]);
    let words = ["schedule", "expensive_queries", "--off", "--when-errors", "shop=20%"];
    flags.ok(&[&words[..], &["--for", "10s"]].concat());
    let never = ["schedule", "read_only_mode", "--on", "--when-burn", "shop=1", "--for", "5s"];
    assert_eq!(flags.flag(&never).code, Some(2));
    let calm = ["schedule", "read_only_mode", "--on", "--when-errors", "shop=90%", "--for", "10s"];
    flags.ok(&calm);
    let load = Load::start(listen, 4, Connections::Kept);
    while flags.value("expensive_queries", "u1") == json!(true) {
        load.wait_for(50);
    }
    let last = flags.last("expensive_queries");
    let why = last["reason"].as_str().unwrap();
    assert!(why.starts_with("shop: ") && why.contains("requests failed in 10 s"), "{why}");
    assert_eq!(last["by"], "serin");
    flags.ok(&["on", "expensive_queries", "--reason", "I know"]);
    let n = flags.last("expensive_queries")["n"].clone();
    // It goes on failing, and does not overrule who switched it on again.
    load.wait_for(2_000);
    load.report();
    assert_eq!(flags.last("expensive_queries")["n"], n);
    assert!(flags.ok(&["schedule", "expensive_queries"]).contains("again after it was calm"));
    assert_eq!(flags.value("read_only_mode", "u1"), json!(false), "half is not nine of ten");
}

#[test]
fn a_flag_is_retired_stage_by_stage() {
    let flags = Flags::start();
    flags.ok(&[&NEW[..], &["--all"]].concat());
    flags.ok(&["set", "worker", "--owner", "shop", "--kind", "ops", "--all"]);
    let dir = flags.server.dir().join("code");
    std::fs::create_dir(&dir).unwrap();
    let git = |words: &[&str]| {
        let all = std::process::Command::new("git").current_dir(&dir).args(words).status();
        assert!(all.unwrap().success());
    };
    git(&["init", "-q"]);
    std::fs::write(dir.join("a.rs"), "if client.is_on(\"new_checkout\") {}\n").unwrap();
    git(&["add", "."]);
    let missing = flags.flag(&["retire", "new_checkout", "--start"]);
    assert!(missing.code == Some(2) && missing.err.contains("--no-background"), "{missing:?}");
    let start = ["retire", "new_checkout", "--start", "--background", "worker", "--watch", "1s"];
    flags.ok(&start);
    assert_eq!(flags.value("new_checkout", "u1"), json!(false), "users first");
    assert_eq!(flags.value("worker", "u1"), json!(true), "then the work behind it");
    let next = ["retire", "new_checkout", "--next"];
    while flags.flag(&next).code == Some(6) {}
    assert_eq!(flags.value("worker", "u1"), json!(false));
    assert_eq!(flags.last("worker")["reason"], "retirement of new_checkout");
    while flags.flag(&next).code == Some(6) {}
    let code = dir.to_str().unwrap();
    let looked = flags.ok(&["retire", "new_checkout", "--code", code]);
    assert!(looked.contains("the code mentions it once"), "{looked}");
    assert_eq!(flags.flag(&next).code, Some(6), "not before the code is gone");
    std::fs::write(dir.join("a.rs"), "\n").unwrap();
    flags.ok(&["retire", "new_checkout", "--code", code]);
    while flags.flag(&next).code == Some(6) {}
    let gone = flags.ok(&["retire", "new_checkout"]);
    assert!(gone.contains("was put away"), "{gone}");
    let history = flags.json(&["history", "new_checkout"]);
    let verbs: Vec<_> = history["changes"].as_array().unwrap().iter().map(|c| &c["verb"]).collect();
    assert_eq!(verbs, ["archive", "retire", "retire", "off", "create"]);
}

#[test]
fn a_retirement_keeps_what_everybody_has_and_can_be_given_up() {
    let flags = Flags::start();
    flags.ok(&NEW);
    let keep = ["retire", "new_checkout", "--start", "--keep", "on", "--watch", "1h"];
    let early = flags.flag(&keep);
    assert!(early.code == Some(6) && early.err.contains("not everybody"), "{early:?}");
    flags.ok(&["set", "new_checkout", "--all"]);
    let begun = flags.ok(&keep);
    assert!(begun.contains("`on` stays") && begun.contains("it is watched until"), "{begun}");
    assert_eq!(flags.value("new_checkout", "u1"), json!(true));
    assert!(flags.ok(&["list"]).contains("being retired"));
    flags.ok(&["set", "new_checkout", "--percent", "50"]);
    let view = flags.json(&["retire", "new_checkout"]);
    let waits = view["waits"][0].as_str().unwrap();
    assert!(waits.contains("does not give `on` to everybody"), "{waits}");
    flags.ok(&["retire", "new_checkout", "--cancel"]);
    assert_eq!(flags.flag(&["retire", "new_checkout", "--next"]).code, Some(6));
}
