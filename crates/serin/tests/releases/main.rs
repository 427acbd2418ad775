//! Flags that release themselves: the real binary, real users, real faults.
#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod crowd;
mod goals;
#[allow(dead_code)] // the scripts in Node are for other tests
#[path = "../flag_clients/installed.rs"]
mod installed;
mod reported;
#[path = "../support/mod.rs"]
mod support;

use crowd::{Crowd, ask};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use support::{SERIN, Server, free_address, kill};

const FLAG: &str = "flag:production:new_checkout";

/// A shop whose requests carry flags, and a flag that is off.
fn site(env: &str) -> (Server, SocketAddr) {
    let (server, listen) = (Server::start(), free_address());
    let file = server.file("serin.yaml", &shop("v1", listen, env));
    server.ok(&["apply", "-f", &file, "--timeout", "1m"]);
    server.ok(&["flag", "set", "new_checkout", "--owner", "shop", "--expires", "40d"]);
    (server, listen)
}

/// The shop's file.
fn shop(version: &str, listen: SocketAddr, env: &str) -> String {
    format!(
        "\
apiVersion: serin.dev/v1alpha1
kind: Service
metadata: {{ name: shop }}
spec:
  replicas: 2
  revision: {version}
  run:
    command: [\"{SERIN}\", __demo-app]
    env: {{ PORT: $(PORT), VERSION: $(REVISION), INSTANCE: $(INSTANCE), LATENCY_MS: \"1\", {env} }}
    readiness: {{ httpGet: {{ path: /ready }}, periodSeconds: 1 }}
    terminationGracePeriodSeconds: 3
  traffic: {{ listen: \"{listen}\", flags: {{ targetingKey: {{ cookie: serin }} }} }}
"
    )
}

/// The file of v2 with these steps.
fn second(server: &Server, listen: SocketAddr, steps: &str) -> String {
    let text = shop("v2", listen, "BAD_FLAG: other=on");
    let steps = format!("  strategy: {{ canary: {{ steps: [{steps}], keepWarm: 0s }} }}\n");
    server.file("second.yaml", &(text + &steps))
}

/// What the flag's history says first: verb, who, why.
fn last_change(server: &Server) -> (String, String, String) {
    let history = server.json(&["flag", "history", "new_checkout"]);
    let last = &history["changes"][0];
    let word = |name: &str| last[name].as_str().unwrap_or_default().to_owned();
    (word("verb"), word("by"), word("reason"))
}

/// How many of these users get an error.
fn broken(listen: SocketAddr, users: usize) -> usize {
    let mut line = BufReader::new(TcpStream::connect(listen).unwrap());
    (0..users).filter(|user| ask(&mut line, *user) >= 500).count()
}

#[test]
fn a_good_flag_reaches_everybody_though_the_control_plane_is_killed() {
    let (server, listen) = site("BAD_FLAG: other=on");
    let crowd = Crowd::start(listen);
    let steps = "canary: { steps: [{ setWeight: 50 }, { bake: { until: evidence } }, \
                 { setWeight: 100 }], analysis: { metrics: [errors] }, keepWarm: 0s }";
    let file = server.file("release.yaml", steps);
    let words = ["flag", "rollout", "new_checkout", "--service", "shop", "-f", &file];
    server.ok(&[&words[..], &["--window", "1s", "--detach"]].concat());
    server.ok(&["wait", FLAG, "--for", "step=2", "--timeout", "1m"]);
    kill(server.control_pid(), rustix::process::Signal::KILL);
    let said = server.run(&["wait", FLAG, "--timeout", "3m"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    crowd.end();
    // It is everybody's before the rollout has ended and its last order was carried out.
    let mut seen = (0..500).map(|_| server.json(&["flag", "get", "new_checkout"]));
    let is_over = |flag: &Value| flag["definition"]["release"].is_null();
    let flag = seen.find(is_over).expect("the release ends");
    assert_eq!(flag["definition"]["defaultVariant"], "on", "{flag:#}");
    let record = server.json(&["history", FLAG])["rollouts"][0].clone();
    assert_eq!(record["outcome"], "promoted", "{record:#}");
}

#[test]
fn a_bad_flag_is_switched_off_and_users_have_the_old_path_at_once() {
    let (server, listen) = site("BAD_FLAG: new_checkout=on");
    let crowd = Crowd::start(listen);
    let words = ["flag", "rollout", "new_checkout", "--service", "shop", "--steps", "10,100"];
    let said = server.run(&[&words[..], &["--window", "1s", "--timeout", "2m"]].concat());
    assert_eq!(said.code, Some(3), "{said:?}");
    assert_eq!(broken(listen, 300), 0, "everybody has the old path");
    crowd.end();
    let record = server.json(&["history", FLAG])["rollouts"][0].clone();
    assert_eq!(record["outcome"], "rolled-back", "{record:#}");
    let (_, by, why) = last_change(&server);
    let verdict = record["cause"]["text"].as_str().unwrap();
    assert_eq!((by, why), ("serin".into(), format!("release 1 was taken back: {verdict}")));
    let again = server.run(&[&words[..], &["--detach"]].concat());
    assert_eq!(again.code, Some(6), "the same code is not tried again: {again:?}");
}

#[test]
fn whoever_switches_a_flag_off_ends_its_release() {
    let (server, listen) = site("BAD_FLAG: new_checkout=on");
    let words = ["flag", "rollout", "new_checkout", "--service", "shop", "--until", "person"];
    server.ok(&[&words[..], &["--steps", "50,100", "--detach"]].concat());
    server.ok(&["wait", FLAG, "--for", "step=2", "--timeout", "1m"]);
    let treated = broken(listen, 200);
    assert!((60..=140).contains(&treated), "{treated} of 200 at 50 %");
    assert_eq!(broken(listen, 200), treated, "always the same ones");
    server.ok(&["flag", "kill", "new_checkout", "--reason", "support is flooded"]);
    assert_eq!(broken(listen, 200), 0, "the old path when the command has returned");
    let said = server.run(&["wait", FLAG, "--timeout", "1m"]);
    assert_eq!(said.code, Some(4), "{said:?}");
    let refused = server.run(&[&words[..], &["--detach"]].concat());
    assert!(refused.err.contains("killed by"), "{refused:?}");
    server.ok(&["flag", "on", "new_checkout"]);
    server.ok(&[&words[..], &["--steps", "50,100", "--detach"]].concat());
    let status = server.json(&["status", FLAG]);
    assert_eq!(status["rollout"]["step"], 1, "from the first step again: {status:#}");
}

/// Asks the API at its socket, without the time that a command takes to start.
fn act(line: &mut BufReader<UnixStream>, verb: &str) {
    let body = r#"{"reason":"a test"}"#;
    let head = format!("POST /api/v1/flags/new_checkout:{verb} HTTP/1.1\r\nhost: x\r\n");
    let kind = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    write!(line.get_mut(), "{head}{kind}\r\n{body}").unwrap();
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let from = head.len();
        line.read_line(&mut head).unwrap();
        if let Some(bytes) = head[from..].to_ascii_lowercase().strip_prefix("content-length:") {
            length = bytes.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    line.read_exact(&mut body).unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}{}", String::from_utf8_lossy(&body));
}

#[test]
fn a_kill_that_is_taken_back_at_once_has_ended_the_release_all_the_same() {
    let (server, listen) = site("BAD_FLAG: new_checkout=on");
    begin(&server, "new_checkout");
    assert!(broken(listen, 200) > 0);
    let socket = UnixStream::connect(server.data().join("serin.sock")).unwrap();
    let mut line = BufReader::new(socket);
    act(&mut line, "kill");
    act(&mut line, "on");
    assert_eq!(broken(listen, 200), 0, "nobody gets it again");
    let said = server.run(&["wait", FLAG, "--timeout", "1m"]);
    assert_eq!(said.code, Some(4), "{said:?}");
    assert_eq!(broken(listen, 200), 0);
    let again = server.run(&["retry", FLAG]);
    assert!(again.err.contains("serin flag rollout"), "{again:?}");
}

/// A number of the environment; `usual` without one.
fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// How many of `n` may be taken back for nothing when each is with a chance of 1 %: more has a
/// chance below 0.1 %.
fn at_most(n: u64) -> u64 {
    let (p, mut term, mut sum, mut k) = (0.01_f64, 0.99_f64.powi(n as i32), 0.0, 0);
    loop {
        sum += term;
        if sum > 0.999 {
            return k;
        }
        term *= (n - k) as f64 / (k + 1) as f64 * p / (1.0 - p);
        k += 1;
    }
}

/// Variants that are the same, released by real traffic through the real data plane: each release
/// has draws of its own, and 2 of 100 requests fail whatever the variant. `SERIN_AA=N` plays more of
/// them, `SERIN_SEED=N` others; `cargo xtask soak flags` does.
#[test]
fn a_variant_that_changes_nothing_is_hardly_ever_taken_back() {
    const TOGETHER: u64 = 25;
    let (all, seed) = (number("SERIN_AA", 6), number("SERIN_SEED", 1));
    let (server, listen) = site("ERROR_RATE: \"0.02\"");
    let steps = "canary: { steps: [{ setWeight: 20 }, { bake: { until: evidence, deadline: 4m } }, \
                 { setWeight: 50 }, { bake: { until: evidence, deadline: 4m } }, \
                 { setWeight: 100 }], analysis: { metrics: [errors] }, keepWarm: 0s }";
    let file = server.file("same.yaml", steps);
    let crowd = Crowd::of(listen, 20_000, seed);
    let (mut back, mut promoted, mut held) = (0, 0, vec![]);
    let keys: Vec<_> = (0..all).map(|n| format!("same_{seed}_{n}")).collect();
    for some in keys.chunks(TOGETHER as usize) {
        for key in some {
            server.ok(&["flag", "set", key, "--owner", "shop", "--expires", "40d"]);
            let begin = ["flag", "rollout", key, "--service", "shop", "-f", &file, "--detach"];
            server.ok(&[&begin[..], &["--window", "1s"]].concat());
        }
        for key in some {
            let said = server.run(&["wait", &format!("flag:production:{key}"), "--timeout", "9m"]);
            match said.code {
                Some(0) => promoted += 1,
                Some(3) => back += 1,
                code => held.push(format!("{key}: {code:?}: {}", said.out)),
            }
            server.run(&["flag", "archive", key, "--force"]);
        }
    }
    crowd.end();
    eprintln!(
        "A/A by real traffic, seed {seed}: of {all} releases {back} were taken back, {promoted} \
               promoted, {} neither {held:?}",
        held.len()
    );
    assert!(back <= at_most(all), "{back} of {all} taken back");
    assert!(promoted * 10 >= all * 8, "{promoted} of {all} promoted: {held:?}");
}

/// One request with a document, and its answer.
fn post(at: SocketAddr, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
    let kind = format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    write!(stream, "{head}{kind}\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// What an app reports of users whom it gave a variant.
fn report(at: SocketAddr, users: std::ops::Range<usize>, variant: &str) {
    let text = |key: &str, value: &str| serde_json::json!({ "key": key, "value": { "stringValue": value } });
    let records = users.map(|user| {
        let attributes = [
            text("feature_flag.key", "new_checkout"),
            text("feature_flag.context.id", &format!("u{user}")),
            text("feature_flag.result.variant", variant),
        ];
        serde_json::json!({ "eventName": "feature_flag.evaluation", "attributes": attributes })
    });
    let records: Vec<_> = records.collect();
    let body =
        serde_json::json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": records }] }] });
    let answer = post(at, "/v1/logs", &body.to_string());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn what_apps_report_counts_for_the_ratio_and_for_users_in_both_arms() {
    let (at, listen) = (free_address(), free_address());
    let server = Server::start_with(&["--flags-listen", &at.to_string()]);
    let file = server.file("serin.yaml", &shop("v1", listen, "BAD_FLAG: other=on"));
    server.ok(&["apply", "-f", &file, "--timeout", "1m"]);
    server.ok(&["flag", "set", "new_checkout", "--owner", "shop", "--expires", "40d"]);
    let words = ["flag", "rollout", "new_checkout", "--service", "shop", "--steps", "50,100"];
    server.ok(&[&words[..], &["--window", "1s", "--detach"]].concat());
    server.ok(&["wait", FLAG, "--for", "step=2", "--timeout", "1m"]);
    // No request comes through the data plane: apps ask, or say what they gave.
    let ask = "/ofrep/v1/evaluate/flags/new_checkout";
    let answers = (0..200)
        .map(|user| post(at, ask, &format!(r#"{{"context":{{"targetingKey":"u{user}"}}}}"#)));
    let treated = answers.filter(|answer| answer.contains("\"variant\":\"on\"")).count();
    assert!((60..=140).contains(&treated), "{treated} of 200 at 50 %");
    let status = server.json(&["status", FLAG]);
    assert!(status["rollout"]["paused"].is_null(), "{status:#}");
    // Another fleet has another hash: the same users are seen with both variants.
    while server.json(&["status", FLAG])["rollout"]["paused"].is_null() {
        report(at, 0..300, "on");
        report(at, 0..300, "off");
    }
    let explained = server.run(&["explain", FLAG]);
    assert!(explained.out.contains("seen with both variants"), "{explained:?}");
    let flag = server.json(&["flag", "get", "new_checkout"]);
    assert_eq!(flag["state"], "releasing", "held where it is: {flag:#}");
}

#[test]
fn a_flag_is_released_again_after_its_promotion() {
    let (server, listen) = site("BAD_FLAG: new_checkout=on");
    begin(&server, "new_checkout");
    server.ok(&["promote", FLAG, "--full", "--reason", "a test"]);
    server.ok(&["wait", FLAG, "--timeout", "1m"]);
    assert_eq!(broken(listen, 50), 50);
    let words = ["flag", "rollout", "new_checkout", "--service", "shop", "--detach"];
    let again = server.run(&words);
    assert!(again.err.contains("everybody gets `on` already"), "{again:?}");
    server.ok(&["flag", "off", "new_checkout"]);
    begin(&server, "new_checkout");
    let status = server.json(&["status", FLAG]);
    assert_eq!(status["rollout"]["id"], 2, "{status:#}");
    let treated = broken(listen, 200);
    assert!((60..=140).contains(&treated), "{treated} of 200 at 50 %");
    server.ok(&["abort", FLAG]);
    server.run(&["wait", FLAG, "--timeout", "1m"]);
    assert_eq!(broken(listen, 50), 0, "back to what everybody had");
}

/// Begins a release that ends when it is promoted.
fn begin(server: &Server, key: &str) {
    let steps = "canary: { steps: [{ setWeight: 50 }, { pause: {} }, { setWeight: 100 }], \
                 analysis: { metrics: [errors] }, keepWarm: 0s }";
    let file = server.file("release.yaml", steps);
    server.ok(&["flag", "rollout", key, "--service", "shop", "-f", &file, "--detach"]);
    let name = format!("flag:production:{key}");
    server.ok(&["wait", &name, "--for", "step=2", "--timeout", "1m"]);
}

/// Waits until whoever looks after releases has looked again: it made another one true.
fn looked_after(server: &Server, other: &str) {
    server.ok(&["flag", "set", other, "--owner", "shop", "--expires", "40d"]);
    begin(server, other);
}

#[test]
fn after_its_release_a_flag_is_peoples() {
    let (server, listen) = site("BAD_FLAG: new_checkout=on");
    begin(&server, "new_checkout");
    let meanwhile = server.run(&["flag", "set", "new_checkout", "--percent", "5"]);
    assert!(meanwhile.err.contains("serin abort flag:SET:KEY"), "{meanwhile:?}");
    let early = server.json(&["flag", "get", "new_checkout"]);
    let mut put = early["definition"].clone();
    put["description"] = "the new one".into();
    put["release"]["exposure"] = 100_000.into();
    let file = server.file("flag.json", &put.to_string());
    server.ok(&["flag", "set", "new_checkout", "-f", &file]);
    let kept = server.json(&["flag", "get", "new_checkout"]);
    assert_eq!(kept["definition"]["description"], "the new one");
    assert_eq!(kept["definition"]["release"], early["definition"]["release"], "not by hand");
    server.ok(&["promote", FLAG, "--full", "--reason", "a test"]);
    server.ok(&["wait", FLAG, "--timeout", "1m"]);
    assert_eq!(broken(listen, 100), 100, "everybody has it");
    let (_, by, why) = last_change(&server);
    assert_eq!((by.as_str(), why.as_str()), ("serin", "release 1 is over: everybody has `on`"));
    server.ok(&["flag", "kill", "new_checkout", "--reason", "support is flooded"]);
    looked_after(&server, "x1");
    assert_eq!(broken(listen, 100), 0);
    server.ok(&["flag", "on", "new_checkout"]);
    assert_eq!(broken(listen, 100), 100, "on brings back what was before");
    server.ok(&["flag", "set", "new_checkout", "--none"]);
    looked_after(&server, "x2");
    assert_eq!(broken(listen, 100), 0, "what a person says stays");
    server.ok(&["rollback", FLAG, "--reason", "a test", "--timeout", "1m"]);
    assert_eq!(broken(listen, 100), 0);
    server.ok(&["flag", "on", "new_checkout"]);
    looked_after(&server, "x3");
    assert_eq!(broken(listen, 100), 100, "also after a way back");
    let change = early["changed"]["n"].to_string();
    server.ok(&["flag", "restore", "new_checkout", "--to", &change]);
    let restored = server.json(&["flag", "get", "new_checkout"]);
    assert!(restored["definition"]["release"].is_null(), "no second ladder: {restored:#}");
    let removed = server.ok(&["remove", FLAG, "--yes"]);
    assert!(removed.out.contains("removed"), "{removed:?}");
    assert_eq!(server.run(&["status", FLAG]).code, Some(2), "its release is forgotten");
    assert_eq!(server.json(&["flag", "get", "new_checkout"])["key"], "new_checkout", "it stays");
}

#[test]
fn what_does_not_fit_is_refused_with_what_to_do() {
    let (server, _) = site("BAD_FLAG: new_checkout=on");
    let rollout = |words: &[&str]| {
        let begin = ["flag", "rollout", "new_checkout", "--service", "shop", "--detach"];
        server.run(&[&begin[..], words].concat())
    };
    let unknown = server.run(&["flag", "rollout", "nope", "--service", "shop"]);
    assert!(unknown.err.contains("there is no flag `nope`"), "{unknown:?}");
    let falling = rollout(&["--steps", "50,20"]);
    assert!(falling.err.contains("does not rise"), "{falling:?}");
    let file = server.file(
        "bad.yaml",
        "canary: { steps: [{ setCanaryScale: { replicas: 1 } }, { setWeight: 100 }] }",
    );
    let instances = rollout(&["-f", &file]);
    assert!(instances.err.contains("no instance runs it"), "{instances:?}");
    let code = r#"{"requires":{"service":"shop","version":"v2"}}"#;
    let patch = format!(
        "PATCH /api/v1/flags/new_checkout HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{{\"patch\":{code}}}",
        code.len() + 10
    );
    let mut socket = UnixStream::connect(server.data().join("serin.sock")).unwrap();
    socket.write_all(patch.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let early = rollout(&[]);
    assert!(
        early.err.contains("it needs shop v2 or newer to serve everything, and v1 serves"),
        "{early:?}"
    );
}

#[test]
fn a_bad_version_takes_the_flags_of_its_steps_back() {
    let (server, listen) = site("BAD_FLAG: other=on");
    server.ok(&["flag", "set", "new_checkout", "--percent", "5"]);
    let before = server.json(&["flag", "get", "new_checkout"])["definition"].clone();
    let steps = "setCanaryScale: { replicas: 1 }, flag: { key: new_checkout, percent: 50 }, \
                 run: { command: [\"false\"] }, setWeight: 100";
    let file = second(&server, listen, steps);
    let plan = server.run(&["plan", "-f", &file]);
    assert!(plan.out.contains("flag new_checkout of production: on for 50 % of users"), "{plan:?}");
    let said = server.run(&["apply", "-f", &file, "--timeout", "1m"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    let after = server.json(&["flag", "get", "new_checkout"])["definition"].clone();
    assert_eq!(after, before);
    let (verb, by, why) = last_change(&server);
    assert_eq!((verb.as_str(), by.as_str()), ("back", "serin"), "{why}");
    assert_eq!(why, "rollout 2 of shop, step 2 went back");
}

#[test]
fn a_flag_that_a_person_changed_meanwhile_is_theirs() {
    let (server, listen) = site("BAD_FLAG: other=on");
    let steps = "setCanaryScale: { replicas: 1 }, flag: { key: new_checkout, percent: 50 }, \
                 pause: {}, setWeight: 100";
    let file = second(&server, listen, steps);
    server.ok(&["apply", "-f", &file, "--detach"]);
    server.ok(&["wait", "shop", "--for", "step=3", "--timeout", "1m"]);
    assert_eq!(last_change(&server).2, "rollout 2 of shop, step 2");
    server.ok(&["flag", "set", "new_checkout", "--percent", "70", "--reason", "sale"]);
    server.ok(&["abort", "shop"]);
    let said = server.run(&["wait", "shop", "--timeout", "1m"]);
    assert_eq!(said.code, Some(4), "{said:?}");
    assert_eq!(server.json(&["flag", "get", "new_checkout"])["percent"], 70.0);
    assert_eq!(last_change(&server).2, "sale");
}

#[test]
fn a_flag_waits_for_the_code_it_needs_and_goes_back_with_it() {
    let (server, listen) = site("BAD_FLAG: other=on");
    server.ok(&["flag", "set", "new_checkout", "--requires", "shop@v2"]);
    for words in [&["on", "new_checkout"][..], &["set", "new_checkout", "--percent", "1"][..]] {
        let refused = server.run(&[&["flag"][..], words].concat());
        let why = "it needs shop v2 or newer to serve everything, and v1 serves";
        assert!(refused.err.contains(why), "{refused:?}");
    }
    let steps = "setWeight: 100, flag: { key: new_checkout, to: on }";
    let file = second(&server, listen, steps);
    server.ok(&["apply", "-f", &file, "--timeout", "2m"]);
    let get = || server.json(&["flag", "get", "new_checkout"])["definition"].clone();
    assert_eq!(get()["defaultVariant"], "on");
    server.ok(&["rollback", "shop", "--timeout", "1m"]);
    assert_eq!(get()["defaultVariant"], "off");
    assert_eq!(last_change(&server).0, "back");
}

#[test]
fn a_flag_switched_off_at_ten_percent_begins_with_nobody_again() {
    let (server, listen) = site("BAD_FLAG: new_checkout=on");
    let steps = "canary: { steps: [{ pause: {} }, { setWeight: 10 }, { pause: {} }, \
                 { setWeight: 100 }], keepWarm: 0s }";
    let file = server.file("release.yaml", steps);
    let words = ["flag", "rollout", "new_checkout", "--service", "shop", "-f", &file, "--detach"];
    for _ in 0..2 {
        server.ok(&words);
        server.ok(&["wait", FLAG, "--for", "step=1", "--timeout", "1m"]);
        assert_eq!(broken(listen, 200), 0, "users are drawn and counted, nobody is treated");
        server.ok(&["promote", FLAG]);
        server.ok(&["wait", FLAG, "--for", "step=3", "--timeout", "1m"]);
        let treated = broken(listen, 200);
        assert!((5..=40).contains(&treated), "{treated} of 200 at 10 %");
        server.ok(&["flag", "off", "new_checkout"]);
        assert_eq!(broken(listen, 200), 0, "the old path when the command has returned");
        let said = server.run(&["wait", FLAG, "--timeout", "1m"]);
        assert_eq!(said.code, Some(4), "{said:?}");
    }
}
