//! Against a server made for it: what its answers mean.

use super::*;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::{self, JoinHandle};
use tempfile::TempDir;

/// A server that gives one answer to each connection, and hands back what it was asked.
struct Fake {
    dir: TempDir,
    asked: JoinHandle<Vec<String>>,
}

impl Fake {
    fn new(answers: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(SOCKET)).unwrap();
        let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let asked = thread::spawn(move || {
            answers.iter().map(|answer| serve_one(&listener, answer)).collect()
        });
        Self { dir, asked }
    }

    fn client(&self) -> Client {
        at(&self.dir.path().join(SOCKET), Some("secret".into()))
    }
}

fn at(socket: &Path, token: Option<String>) -> Client {
    Client::at(Endpoint::Unix(socket.to_owned()), token)
}

fn serve_one(listener: &UnixListener, answer: &str) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let mut asked = [0; 4096];
    let length = stream.read(&mut asked).unwrap();
    stream.write_all(answer.as_bytes()).unwrap();
    String::from_utf8_lossy(&asked[..length]).into_owned()
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn now<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work)
}

#[test]
fn a_document_comes_through_and_the_token_goes_along() {
    let fake = Fake::new(&[&answer("200 OK", "{\"b\":1,\n\"a\":2}")]);
    let document = now(fake.client().document("/api/v1/services?x=1")).unwrap();
    assert_eq!(document.text(), "{\"b\":1, \"a\":2}");
    let asked = fake.asked.join().unwrap().concat();
    assert!(asked.starts_with("GET /api/v1/services?x=1 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Bearer secret\r\n"), "{asked}");
}

#[test]
fn each_refusal_has_its_exit_code() {
    let cases =
        [("401", 7), ("404", 2), ("409", 6), ("422", 2), ("500", 1), ("503", 1), ("302", 1)];
    for (status, code) in cases {
        let body = r#"{"title":"no","status":1,"code":"why","hint":"do it","detail":"drawn"}"#;
        let fake = Fake::new(&[&answer(&format!("{status} X"), body)]);
        let failure = now(fake.client().get::<u32>("/x")).unwrap_err();
        assert_eq!(failure.exit.code(), code, "{status}");
        let texts = (failure.message.as_str(), failure.hint.as_deref(), failure.detail.as_deref());
        assert_eq!(texts, ("no", Some("do it"), Some("drawn")));
        fake.asked.join().unwrap();
    }
}

#[test]
fn an_answer_that_is_no_problem_document_is_named() {
    let fake = Fake::new(&[&answer("401 X", "who are you")]);
    let failure = now(fake.client().get::<u32>("/x")).unwrap_err();
    assert_eq!(failure.exit, Exit::Unreachable);
    assert!(failure.message.contains("answered 401"), "{}", failure.message);
    assert!(failure.hint.unwrap().contains("SERIN_TOKEN"));
    fake.asked.join().unwrap();
}

#[test]
fn what_cannot_be_read_is_an_internal_error() {
    let fake = Fake::new(&[&answer("200 OK", "\"text\"")]);
    let failure = now(fake.client().get::<u32>("/x")).unwrap_err();
    assert_eq!(failure.exit, Exit::Internal);
    fake.asked.join().unwrap();
}

#[test]
fn a_look_is_repeated_when_the_connection_breaks_and_a_wish_is_not() {
    let fake = Fake::new(&["", "", &answer("200 OK", "7")]);
    assert_eq!(now(fake.client().get::<u32>("/x")), Ok(7));
    assert_eq!(fake.asked.join().unwrap().len(), 3);
    let fake = Fake::new(&[""]);
    let failure = now(fake.client().submit("/x", &1)).unwrap_err();
    assert_eq!(failure.exit, Exit::Unreachable);
    assert!(failure.hint.unwrap().contains("carried out"));
    assert_eq!(fake.asked.join().unwrap().len(), 1);
}

#[test]
fn a_server_that_starts_late_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join(SOCKET);
    // The lock names a keeper that lives: this test.
    std::fs::write(dir.path().join("lock"), format!("{}\n", std::process::id())).unwrap();
    let client = at(&socket, None);
    let (number, served) = now(async {
        let asking = tokio::spawn(async move { client.get::<u32>("/x").await });
        tokio::task::yield_now().await;
        let listener = UnixListener::bind(&socket).unwrap();
        let served = thread::spawn(move || serve_one(&listener, &answer("200 OK", "7")));
        (asking.await.unwrap(), served)
    });
    assert_eq!(number, Ok(7));
    assert!(!served.join().unwrap().contains("authorization"));
}

#[test]
fn a_socket_of_somebody_else_says_whose_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let client = at(&dir.path().join("hidden/serin.sock"), None);
    let failure = client.unreachable(&ErrorKind::PermissionDenied.into());
    assert_eq!(failure.exit, Exit::Unreachable);
    let hint = failure.hint.unwrap();
    let owner = crate::who::user(rustix::process::geteuid().as_raw());
    assert!(hint.starts_with(&format!("it belongs to {owner}: run this as {owner}")), "{hint}");
    let failure = client.unreachable(&ErrorKind::NotFound.into());
    assert_eq!(failure.hint.as_deref(), Some(START_HINT));
}

#[test]
fn events_end_with_the_stream() {
    let line = r#"{"seq":1,"service":"shop","at":1,"rollout":1,"fact":{"fact":"resumed"},"text":"resumed"}"#;
    let body = format!(": beat\n\nid: 1\ndata: {line}\n\nid: 2\ndata: {{\"unknown\":1}}\n\n");
    let fake = Fake::new(&[&answer("200 OK", &body)]);
    now(async {
        let mut events = fake.client().events("/api/v1/events").await.unwrap();
        assert_eq!(events.next().await.map(|line| line.text), Some("resumed".into()));
        assert!(events.next().await.is_none());
    });
    fake.asked.join().unwrap();
}

#[test]
fn paths_and_queries_are_escaped() {
    assert_eq!(escaped("a/b?c=d e"), "a%2Fb%3Fc%3Dd%20e");
    assert_eq!(escaped("v1.2_x@ab"), "v1.2_x@ab");
}
