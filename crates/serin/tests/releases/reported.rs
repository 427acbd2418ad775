//! A worker, whose users send no request through here: its app evaluates the flag over OFREP and
//! reports what became of each user.

use crate::support::{SERIN, Said, Server, free_address};
use crate::{FLAG, installed, last_change};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;

/// Users of the worker.
const USERS: usize = 1_000;

/// A worker, and a flag that is off; and where flags are asked for.
fn site() -> (Server, SocketAddr) {
    let at = free_address();
    let server = Server::start_with(&["--flags-listen", &at.to_string()]);
    let file = format!(
        "\
apiVersion: serin.dev/v1alpha1
kind: Service
metadata: {{ name: mailer }}
spec:
  revision: v1
  run:
    command: [\"{SERIN}\", __demo-app]
    env: {{ PORT: $(PORT), VERSION: $(REVISION), INSTANCE: $(INSTANCE) }}
    readiness: {{ httpGet: {{ path: /ready }}, periodSeconds: 1 }}
  traffic: none
"
    );
    let file = server.file("serin.yaml", &file);
    server.ok(&["apply", "-f", &file, "--timeout", "1m"]);
    server.ok(&["flag", "set", "new_checkout", "--owner", "mail", "--expires", "40d"]);
    (server, at)
}

/// Begins a release; nobody says what it is judged by.
fn begin(server: &Server, words: &[&str]) {
    let begin = ["flag", "rollout", "new_checkout", "--service", "mailer", "--detach"];
    server.ok(&[&begin[..], &["--window", "1s", "--bake", "1s"], words].concat());
    server.ok(&["wait", FLAG, "--for", "step=2", "--timeout", "1m"]);
}

/// The worker's app: one connection to the flags' address.
struct App {
    line: BufReader<TcpStream>,
    batches: usize,
    rng: fastrand::Rng,
}

impl App {
    fn new(at: SocketAddr) -> Self {
        let line = BufReader::new(TcpStream::connect(at).unwrap());
        Self { line, batches: 0, rng: fastrand::Rng::with_seed(1) }
    }

    fn post(&mut self, path: &str, headers: &str, body: &str) -> Value {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n");
        let text = format!("{head}{headers}\r\n{body}");
        self.line.get_mut().write_all(text.as_bytes()).unwrap();
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let from = head.len();
            self.line.read_line(&mut head).unwrap();
            let line = head[from..].to_ascii_lowercase();
            if let Some(bytes) = line.strip_prefix("content-length:") {
                length = bytes.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.line.read_exact(&mut body).unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    fn variant(&mut self, user: usize) -> String {
        let body = json!({"context": {"targetingKey": format!("u{user}")}}).to_string();
        let answer = self.post("/ofrep/v1/evaluate/flags/new_checkout", "", &body);
        answer["variant"].as_str().unwrap().to_owned()
    }

    /// Each user is asked for, and reaches the goal: with `better` half the time, else one time in
    /// five.
    fn sell(&mut self, better: &str) {
        let outcome = |app: &mut Self, user: usize| {
            let variant = app.variant(user);
            let chance = if variant == better { 50 } else { 20 };
            let (user, goal) = (format!("u{user}"), app.rng.u32(..100) < chance);
            json!({"flag": "new_checkout", "targetingKey": user, "variant": variant, "ok": true,
                   "goal": goal})
        };
        let all: Vec<_> = (0..USERS).map(|user| outcome(self, user)).collect();
        self.post("/v1/flag-outcomes", "", &json!(all).to_string());
    }

    /// A job for each user: with `bad` one of three fails, else one of fifty. What became of them is
    /// sent twice, as after an answer that was lost.
    fn work(&mut self, bad: &str) {
        let outcome = |app: &mut Self, user: usize| {
            let variant = app.variant(user);
            let ok = app.rng.u32(..if variant == bad { 3 } else { 50 }) > 0;
            let user = format!("u{user}");
            json!({"flag": "new_checkout", "targetingKey": user, "variant": variant, "ok": ok,
                   "durationMs": 5})
        };
        let all: Vec<_> = (0..USERS).map(|user| outcome(self, user)).collect();
        self.batches += 1;
        let (body, key) = (json!(all).to_string(), self.batches);
        let key = format!("idempotency-key: batch-{key}\r\n");
        let [first, again] = [(); 2].map(|()| self.post("/v1/flag-outcomes", &key, &body));
        // A step between the two draws more users.
        if again["apart"] == first["apart"] {
            assert_eq!(again["counted"], 0, "{again} after {first}");
        }
    }
}

/// Works until the release is over.
fn until_over(server: &Server, at: SocketAddr, work: impl Fn(&mut App)) -> Said {
    let words = ["wait", FLAG, "--timeout", "4m"];
    let mut wait = server.command(&words).spawn().unwrap();
    let mut app = App::new(at);
    while wait.try_wait().unwrap().is_none() {
        work(&mut app);
    }
    server.run(&words)
}

#[test]
fn a_good_variant_is_promoted_by_what_the_app_reports() {
    let (server, at) = site();
    begin(&server, &["--steps", "50,100"]);
    let waits = server.ok(&["explain", FLAG]).out;
    assert!(waits.contains("$FEATURE_FLAGS_URL/v1/flag-outcomes"), "{waits}");
    until_over(&server, at, |app| app.work("nothing"));
    let record = server.json(&["history", FLAG])["rollouts"][0].clone();
    assert_eq!(record["outcome"], "promoted", "{record:#}");
    let flag = server.json(&["flag", "get", "new_checkout"]);
    assert_eq!(flag["definition"]["defaultVariant"], "on", "{flag:#}");
}

#[test]
fn a_bad_variant_is_switched_off_by_what_the_app_reports() {
    let (server, at) = site();
    begin(&server, &["--steps", "10,100", "--evidence", "reported"]);
    until_over(&server, at, |app| app.work("on"));
    let record = server.json(&["history", FLAG])["rollouts"][0].clone();
    assert_eq!(record["outcome"], "rolled-back", "{record:#}");
    let (_, by, why) = last_change(&server);
    assert_eq!(by, "serin");
    assert!(why.contains("worse than stable"), "{why}");
    let mut app = App::new(at);
    assert!((0..100).all(|user| app.variant(user) == "off"), "everybody has the old path");
}

#[test]
fn the_variant_by_which_the_app_reports_more_goals_wins() {
    let (server, at) = site();
    begin(&server, &["--steps", "50,100", "--goal", "/sold"]);
    until_over(&server, at, |app| app.sell("on"));
    server.journal_until(0, "on won the experiment: goal reached by on ");
    let flag = server.json(&["flag", "get", "new_checkout"]);
    assert_eq!(flag["definition"]["defaultVariant"], "on", "{flag:#}");
}

/// OpenFeature's SDK and hook and OpenTelemetry's exporter, as they are: the app says nothing itself.
#[test]
fn a_bad_variant_is_switched_off_by_the_spans_of_an_app() {
    let Some(mut script) = installed::python("traced_worker.py") else { return };
    let (server, at) = site();
    begin(&server, &["--steps", "50,100"]);
    script.args([at.ip().to_string(), at.port().to_string(), "on".to_owned()]);
    let mut worker = script.stdout(Stdio::null()).spawn().unwrap();
    let said = server.run(&["wait", FLAG, "--timeout", "4m"]);
    worker.kill().unwrap();
    worker.wait().unwrap();
    assert_eq!(said.code, Some(3), "{said:?}");
    let record = server.json(&["history", FLAG])["rollouts"][0].clone();
    assert!(last_change(&server).2.contains("worse than stable: errors"), "{record:#}");
}

#[test]
fn without_outcomes_nothing_passes_however_often_the_flag_is_evaluated() {
    let (server, at) = site();
    begin(&server, &["--steps", "50,100", "--deadline", "4s"]);
    let mut app = App::new(at);
    while server.json(&["status", FLAG])["rollout"]["paused"].is_null() {
        let treated = (0..USERS).filter(|user| app.variant(*user) == "on").count();
        assert!((400..=600).contains(&treated), "{treated} of {USERS}");
    }
    let explained = server.run(&["explain", FLAG]);
    assert!(explained.out.contains("no decision by the deadline"), "{explained:?}");
    let status = server.json(&["status", FLAG]);
    assert_eq!(status["rollout"]["step"], 2, "{status:#}");
    // Traffic of a worker is nothing to judge by.
    let words = ["flag", "rollout", "new_checkout", "--service", "mailer", "--evidence", "traffic"];
    let refused = server.run(&words);
    assert!(refused.err.contains("requests of mailer carry no flags"), "{refused:?}");
}
