//! Real programs and real sockets.

use super::*;
use serin_core::{EnvValue, Hook, Limits, LogLimits, Probe, ProbeKind, RunSpec};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

fn run_spec(directory: &str) -> RunSpec {
    let probe = Probe {
        kind: ProbeKind::Tcp,
        period: Millis::secs(1),
        timeout: Millis::secs(1),
        failure_threshold: 3,
        success_threshold: 1,
        initial_delay: Millis(0),
    };
    RunSpec {
        command: vec!["./app".into()],
        env: BTreeMap::new(),
        env_files: vec![],
        working_directory: directory.into(),
        user: None,
        limits: Limits::default(),
        readiness: probe,
        liveness: None,
        grace: Millis::secs(1),
        log: LogLimits::default(),
        metrics: None,
        database: None,
    }
}

fn order(kind: HookKind, timeout: Millis, url: &str, directory: &str) -> HookOrder {
    HookOrder {
        key: HookKey { rollout: 3, step: 1, hook: 0, attempt: 2 },
        hook: Hook { name: "smoke".into(), kind, timeout, tries: 1 },
        service: "shop".parse().unwrap(),
        revision: "v2@aa".parse().unwrap(),
        url: url.into(),
        run: run_spec(directory).into(),
    }
}

fn shell(script: &str) -> HookKind {
    HookKind::Command { argv: vec!["sh".into(), "-c".into(), script.into()], env: BTreeMap::new() }
}

async fn said(kind: HookKind, timeout: Millis) -> Outcome {
    run(&order(kind, timeout, "http://127.0.0.1:1", "/")).await
}

#[tokio::test]
async fn a_program_is_told_what_it_tests() {
    let script = "echo $SERVICE $REVISION $CANDIDATE_URL $SERIN_HOOK_KEY $1 $(pwd)";
    let argv = ["sh", "-c", script, "x", "$(REVISION)"].map(String::from).to_vec();
    let kind = HookKind::Command { argv, env: BTreeMap::new() };
    let outcome = said(kind, Millis::secs(30)).await;
    assert!(outcome.passed, "{outcome:?}");
    assert_eq!(outcome.text, "shop v2 http://127.0.0.1:1 shop/3/2/1/2 v2 /");
}

#[tokio::test]
async fn the_exit_code_decides_and_the_last_line_says_why() {
    let outcome = said(shell("echo fine; echo 'db: refused' >&2; exit 3"), Millis::secs(30)).await;
    assert!(!outcome.passed);
    assert_eq!(outcome.text, "fine\ndb: refused\nexit code 3: db: refused");
    let outcome = said(shell("kill -9 $$"), Millis::secs(30)).await;
    assert_eq!(outcome.text, "ended by signal 9");
    let missing = HookKind::Command { argv: vec!["./none".into()], env: BTreeMap::new() };
    let outcome = said(missing, Millis::secs(30)).await;
    assert!(outcome.text.starts_with("./none cannot be started"), "{}", outcome.text);
}

/// Waits for a process to be gone; a zombie is gone.
async fn gone(pid: &str) {
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn whoever_takes_too_long_is_killed_with_its_children() {
    let script = "sleep 1000 & echo $!; wait";
    let outcome = said(shell(script), Millis(300)).await;
    assert!(!outcome.passed);
    assert!(outcome.text.contains("no result within 0.3 s"), "{}", outcome.text);
    gone(outcome.text.lines().next().unwrap()).await;
}

#[tokio::test]
async fn what_a_program_leaves_behind_ends_with_it() {
    let outcome = said(shell("sleep 1000 & echo $!"), Millis::secs(30)).await;
    assert!(outcome.passed, "{outcome:?}");
    gone(outcome.text.trim()).await;
}

#[tokio::test]
async fn a_test_that_is_not_wanted_any_more_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let script = shell("echo $$ > pid.new; mv pid.new pid; exec sleep 1000");
    let order =
        order(script, Millis::secs(600), "http://127.0.0.1:1", dir.path().to_str().unwrap());
    let (mut hooks, _ends) = Hooks::new();
    hooks.start(order.clone());
    let pid = loop {
        match std::fs::read_to_string(dir.path().join("pid")) {
            Ok(pid) => break pid.trim().to_owned(),
            Err(_) => tokio::task::yield_now().await,
        }
    };
    hooks.tend(&order.service, None);
    gone(&pid).await;
}

#[tokio::test]
async fn output_is_bounded_and_secrets_are_not_in_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "hunter22\n").unwrap();
    let script = "yes $TOKEN | head -c 299997; printf '\\033[31mlast %s\\n' $TOKEN; exit 1";
    let env = BTreeMap::from([("TOKEN".into(), EnvValue::FromFile("token".into()))]);
    let argv = ["sh", "-c", script].map(String::from).to_vec();
    let kind = HookKind::Command { argv, env };
    let order = order(kind, Millis::secs(60), "http://h", dir.path().to_str().unwrap());
    let text = run(&order).await.text;
    assert!(text.len() <= 2000, "{}", text.len());
    assert!(!text.contains("hunter") && !text.contains('\u{1b}'), "{text}");
    assert!(text.ends_with("exit code 1: [31mlast ***"), "{text}");
}

#[tokio::test]
async fn a_secret_that_is_missing_fails_the_test_by_its_name() {
    let env =
        BTreeMap::from([("TOKEN".into(), EnvValue::FromEnv("SERIN_TEST_NO_SUCH_THING".into()))]);
    let kind = HookKind::Command { argv: vec!["true".into()], env };
    let outcome = said(kind, Millis::secs(30)).await;
    assert_eq!(outcome.text, "TOKEN: the server has no variable `SERIN_TEST_NO_SUCH_THING`");
}

/// Answers one call with `answer` and gives back what was asked.
fn serve_once(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut asked, mut chunk) = (Vec::new(), [0; 4096]);
        while !String::from_utf8_lossy(&asked).contains("\r\n\r\n") {
            let n = stream.read(&mut chunk).unwrap();
            asked.extend_from_slice(&chunk[..n]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&asked).into_owned()
    });
    (url, asked)
}

fn get(url: &str, contains: Option<&str>) -> HookKind {
    HookKind::Http {
        method: "GET".into(),
        url: url.into(),
        status: (200, 299),
        contains: contains.map(Into::into),
    }
}

#[tokio::test]
async fn a_call_passes_with_any_wanted_status() {
    let (url, asked) = serve_once("HTTP/1.1 204 No Content\r\n\r\n");
    let order = order(get("/smoke?v=$(REVISION)", None), Millis::secs(30), &url, "/");
    let outcome = run(&order).await;
    assert!(outcome.passed, "{outcome:?}");
    let asked = asked.join().unwrap();
    assert!(asked.starts_with("GET /smoke?v=v2 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("idempotency-key: shop/3/2/1/2"), "{asked}");
}

#[tokio::test]
async fn a_call_fails_with_another_status_or_another_text() {
    let (url, _) = serve_once("HTTP/1.1 503 X\r\ncontent-length: 7\r\n\r\ndb down");
    let outcome = run(&order(get("/", None), Millis::secs(30), &url, "/")).await;
    assert!(!outcome.passed && outcome.text.contains("503"), "{outcome:?}");
    assert!(outcome.text.ends_with("wanted 200 to 299: db down"), "{}", outcome.text);
    let (url, _) = serve_once("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nokay");
    let outcome = run(&order(get("/", Some("ready")), Millis::secs(30), &url, "/")).await;
    assert!(!outcome.passed && outcome.text.contains("does not hold `ready`"), "{outcome:?}");
    let outcome = run(&order(get("https://x.example/", None), Millis::secs(30), &url, "/")).await;
    assert!(outcome.text.contains("not an http:// URL"), "{outcome:?}");
}

#[tokio::test]
async fn a_call_without_an_answer_ends_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let outcome = run(&order(get("/", None), Millis(100), &url, "/")).await;
    assert_eq!(outcome.text, "no answer within 0.1 s");
    drop(listener);
    let outcome = run(&order(get("/", None), Millis::secs(30), "http://127.0.0.1:1", "/")).await;
    assert!(outcome.text.contains("cannot be reached"), "{outcome:?}");
}
