//! Real programs, a real receiver; the queue with made-up times.

use super::*;
use serin_core::{
    EnvValue, Limits, LogLimits, NotifyKind, NotifyTarget, Occasion, Probe, ProbeKind, RunSpec,
};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

const NOW: Timestamp = Timestamp(1_764_000_000_000);

fn shop() -> ServiceName {
    "shop".parse().unwrap()
}

fn notice(n: u64) -> Notice {
    Notice {
        key: format!("shop/7/rolledBack/{}/{n}", NOW.0),
        to: vec!["oncall".into()],
        event: Occasion::RolledBack,
        at: NOW,
        rollout: Some(7),
        revision: Some("v2@aa".parse().unwrap()),
        text: "shop: v2 goes back to v1: worse; see why with `serin explain shop`".into(),
        reason: "worse".into(),
        command: "serin explain shop".into(),
    }
}

fn delivery(kind: NotifyKind, timeout: Millis, directory: &str) -> Delivery {
    let readiness = Probe {
        kind: ProbeKind::Tcp,
        period: Millis::secs(1),
        timeout: Millis::secs(1),
        failure_threshold: 3,
        success_threshold: 1,
        initial_delay: Millis(0),
    };
    let run = RunSpec {
        command: vec!["./app".into()],
        env: BTreeMap::new(),
        env_files: vec![],
        working_directory: directory.into(),
        user: None,
        limits: Limits::default(),
        readiness,
        liveness: None,
        grace: Millis::secs(1),
        log: LogLimits::default(),
        metrics: None,
        database: None,
    };
    let target = NotifyTarget { name: "oncall".into(), kind, on: Occasion::usual(), timeout };
    let environment = "production".into();
    Delivery { service: shop(), environment, target, run: run.into(), notice: notice(0) }
}

fn shell(script: &str, env: &[(&str, EnvValue)]) -> NotifyKind {
    let env = env.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
    NotifyKind::Command { argv: vec!["sh".into(), "-c".into(), script.into()], env }
}

const PATIENCE: Millis = Millis::secs(30);

#[tokio::test]
async fn a_program_gets_the_message_and_its_parts() {
    let dir = tempfile::tempdir().unwrap();
    let script = "cat > body; echo \"$SERVICE $REVISION $EVENT $SERIN_NOTIFY_KEY\" > told";
    let kind = shell(script, &[]);
    deliver(&delivery(kind, PATIENCE, dir.path().to_str().unwrap())).await.unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let key = format!("shop/7/rolledBack/{}/0", NOW.0);
    assert_eq!(read("told"), format!("shop v2 rolledBack {key}\n"));
    let body: serde_json::Value = serde_json::from_str(&read("body")).unwrap();
    let expected = serde_json::json!({
        "text": "shop: v2 goes back to v1: worse; see why with `serin explain shop`",
        "service": "shop",
        "environment": "production",
        "event": "rolledBack",
        "rollout": 7,
        "revision": "v2",
        "reason": "worse",
        "at": "2025-11-24T16:00:00Z",
        "command": "serin explain shop",
        "key": key,
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_program_that_fails_or_hangs_has_told_nobody() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("hook"), "hunter22\n").unwrap();
    let here = dir.path().to_str().unwrap();
    let env = [("HOOK", EnvValue::FromFile("hook".into()))];
    let failed = shell("echo \"cannot reach $HOOK\" >&2; exit 22", &env);
    let why = deliver(&delivery(failed, PATIENCE, here)).await.unwrap_err();
    assert_eq!(why, "exit code 22: cannot reach ***");
    let hangs = shell("sleep 1000", &[]);
    let why = deliver(&delivery(hangs, Millis(200), here)).await.unwrap_err();
    assert_eq!(why, "no result within 0.2 s");
}

/// Answers one call with `answer` and gives back what was asked.
fn serve_once(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hooks/T0SECRET", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut asked, mut chunk) = (Vec::new(), [0; 4096]);
        while !String::from_utf8_lossy(&asked).ends_with('}') {
            let n = stream.read(&mut chunk).unwrap();
            assert!(n > 0, "{}", String::from_utf8_lossy(&asked));
            asked.extend_from_slice(&chunk[..n]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&asked).into_owned()
    });
    (url, asked)
}

fn post(url: EnvValue, headers: &[(&str, EnvValue)]) -> NotifyKind {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
    NotifyKind::Http { url, headers }
}

#[tokio::test]
async fn a_receiver_gets_key_headers_and_body() {
    let dir = tempfile::tempdir().unwrap();
    let (url, asked) = serve_once("HTTP/1.1 204 No Content\r\n\r\n");
    std::fs::write(dir.path().join("url"), format!("{url}\n")).unwrap();
    std::fs::write(dir.path().join("token"), "Bearer hunter22\n").unwrap();
    let url = EnvValue::FromFile("url".into());
    let kind = post(url, &[("Authorization", EnvValue::FromFile("token".into()))]);
    deliver(&delivery(kind, PATIENCE, dir.path().to_str().unwrap())).await.unwrap();
    let asked = asked.join().unwrap();
    assert!(asked.starts_with("POST /hooks/T0SECRET HTTP/1.1\r\n"), "{asked}");
    let key = format!("idempotency-key: shop/7/rolledBack/{}/0\r\n", NOW.0);
    for part in [&key, "authorization: Bearer hunter22\r\n", "content-type: application/json"] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    assert!(asked.contains(r#"{"text":"shop: v2 goes back to v1"#), "{asked}");
}

#[tokio::test]
async fn what_a_receiver_repeats_of_a_secret_is_not_told() {
    let dir = tempfile::tempdir().unwrap();
    let said = "no hook T0SECRET for hunter22 (Bearer hunter22)";
    let answer = format!("HTTP/1.1 403 X\r\ncontent-length: {}\r\n\r\n{said}", said.len());
    let (url, _asked) = serve_once(answer.leak());
    std::fs::write(dir.path().join("token"), "Bearer hunter22\n").unwrap();
    let token = EnvValue::FromFile("token".into());
    let kind = post(EnvValue::Literal(url), &[("Authorization", token)]);
    let sent = delivery(kind, PATIENCE, dir.path().to_str().unwrap());
    let why = deliver(&sent).await.unwrap_err();
    assert_eq!(why, "status 403: no hook *** for *** (*** ***)");
}

#[tokio::test]
async fn a_receiver_that_is_away_silent_or_needs_tls_is_named_without_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = EnvValue::Literal(format!("http://{}/T0SECRET", listener.local_addr().unwrap()));
    let silent = delivery(post(url.clone(), &[]), Millis(200), "/");
    assert_eq!(deliver(&silent).await.unwrap_err(), "no answer within 0.2 s");
    drop(listener);
    let away = deliver(&delivery(post(url, &[]), PATIENCE, "/")).await.unwrap_err();
    assert!(away.starts_with("its address cannot be reached: "), "{away}");
    let tls = EnvValue::Literal("https://hooks.example/T0SECRET".into());
    let why = deliver(&delivery(post(tls, &[]), PATIENCE, "/")).await.unwrap_err();
    assert_eq!(why, "its address is not an http:// URL; call others with a command");
    let missing = EnvValue::FromEnv("SERIN_TEST_NO_SUCH_THING".into());
    let why = deliver(&delivery(post(missing, &[]), PATIENCE, "/")).await.unwrap_err();
    assert_eq!(why, "url: the server has no variable `SERIN_TEST_NO_SUCH_THING`");
}

fn tried(n: u64, result: Result<(), &str>) -> Tried {
    let result = result.map_err(Into::into);
    Tried { service: shop(), target: "oncall".into(), key: notice(n).key, result }
}

#[test]
fn tries_are_further_and_further_apart_up_to_a_bound() {
    let (mut notifier, _ends) = Notifier::new(vec![], NOW);
    notifier.take(&shop(), &notice(0), NOW);
    let mut now = NOW;
    let mut waits = Vec::new();
    for _ in 0..12 {
        assert_eq!(notifier.due(now).len(), 1);
        notifier.ended(&tried(0, Err("down")), now);
        let began = now;
        while notifier.due(now).is_empty() {
            now = now.plus(Millis::secs(1));
        }
        waits.push(now.since(began).0 / 1000);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    let untold = &notifier.untold(&shop())[0];
    assert_eq!((untold.waiting, untold.trouble.lost), (1, 0));
    assert_eq!(untold.trouble.why, "down");
}

#[test]
fn a_notice_is_given_up_after_a_day_and_that_stays_known() {
    let (mut notifier, _ends) = Notifier::new(vec![], NOW);
    notifier.take(&shop(), &notice(0), NOW);
    notifier.ended(&tried(0, Err("down")), NOW.plus(Millis(END.0 - 1)));
    assert!(notifier.unstored.is_empty());
    notifier.ended(&tried(0, Err("still down")), NOW.plus(END));
    let end = notifier.unstored.pop().unwrap();
    assert_eq!((end.key, end.gave_up.as_deref()), (notice(0).key, Some("still down")));
    let untold = &notifier.untold(&shop())[0];
    assert_eq!((untold.waiting, untold.trouble.lost), (0, 1));
    // The next controller says so too, until a message arrives.
    let owed = OwedNotice {
        service: shop(),
        target: "oncall".into(),
        notice: notice(0),
        gave_up: Some("still down".into()),
    };
    let (mut notifier, _ends) = Notifier::new(vec![owed], NOW);
    assert_eq!(notifier.untold(&shop())[0].trouble.why, "still down");
    assert!(notifier.due(NOW.plus(END)).is_empty());
    notifier.take(&shop(), &notice(1), NOW);
    notifier.ended(&tried(1, Ok(())), NOW);
    assert!(notifier.untold(&shop()).is_empty());
}

#[test]
fn the_same_notice_is_owed_once_and_a_later_one_does_not_wait_for_one_that_fails() {
    let (mut notifier, _ends) = Notifier::new(vec![], NOW);
    for n in [0, 0, 1] {
        notifier.take(&shop(), &notice(n), NOW);
    }
    assert_eq!(notifier.due(NOW)[0].2.key, notice(0).key);
    notifier.ended(&tried(0, Err("status 400")), NOW);
    assert_eq!(notifier.due(NOW)[0].2.key, notice(1).key);
    notifier.ended(&tried(1, Ok(())), NOW);
    assert!(notifier.due(NOW).is_empty());
    assert_eq!(notifier.due(NOW.plus(FIRST))[0].2.key, notice(0).key);
}

#[test]
fn what_waits_is_bounded() {
    let (mut notifier, _ends) = Notifier::new(vec![], NOW);
    for n in 0..=WAITING as u64 {
        notifier.take(&shop(), &notice(n), NOW);
    }
    assert_eq!(notifier.unstored.len(), 1);
    assert_eq!(notifier.unstored[0].key, notice(0).key, "the oldest goes");
    assert_eq!(notifier.untold(&shop())[0].waiting, WAITING);
}
