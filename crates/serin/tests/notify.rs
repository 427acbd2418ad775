//! Who is called by a real server: with kills between decision and delivery, a receiver that is
//! away, and secrets that are nowhere to be found.
#![allow(clippy::unwrap_used)] // clippy allows it in the test functions only

mod support;

use rustix::process::Signal;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use support::{HELD, Server, free_address, kill, shop};

/// A way that must not be found anywhere.
const SECRET: &str = "T0P-SECRET-WAY";

/// One message as it was received.
#[derive(Debug)]
struct Got {
    key: String,
    body: Value,
    stream: TcpStream,
}

impl Got {
    fn answer(mut self, status: &str) -> Value {
        let text = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        // A sender that was killed meanwhile hears nothing.
        let _ = self.stream.write_all(text.as_bytes());
        self.body
    }
}

/// Takes messages; each waits for its answer.
fn receiver(listener: TcpListener) -> Receiver<Got> {
    let (got, messages) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Some(message) = received(stream.unwrap()) else { continue };
            if got.send(message).is_err() {
                return;
            }
        }
    });
    messages
}

fn received(mut stream: TcpStream) -> Option<Got> {
    let (mut asked, mut chunk) = (String::new(), [0; 4096]);
    loop {
        let n = stream.read(&mut chunk).ok().filter(|n| *n > 0)?;
        asked.push_str(std::str::from_utf8(&chunk[..n]).unwrap());
        let Some((head, body)) = asked.split_once("\r\n\r\n") else { continue };
        let Ok(body) = serde_json::from_str(body) else { continue };
        assert!(head.starts_with(&format!("POST /{SECRET} ")), "{head}");
        assert!(head.contains("x-token: t0ken-of-the-pager"), "{head}");
        let key = head.lines().find_map(|line| line.strip_prefix("idempotency-key: "));
        return Some(Got { key: key.unwrap().to_owned(), body, stream });
    }
}

/// A shop whose `notify` calls `at`, and its server.
fn calling(at: SocketAddr, rest: &str) -> Server {
    let server = Server::start();
    server.file("way", &format!("http://{at}/{SECRET}\n"));
    server.file("token", "t0ken-of-the-pager\n");
    let notify = format!(
        "  notify:
    - name: oncall
      http: {{ url: {{ fromFile: way }}, headers: {{ X-Token: {{ fromFile: token }} }} }}
      timeout: 60s
{rest}"
    );
    let file = server.file("serin.yaml", &(shop(free_address(), "", HELD) + &notify));
    server.ok(&["apply", "-f", &file]);
    server
}

/// Every file below `dir` but the secrets themselves, for what must not be in them.
fn assert_nowhere(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            assert_nowhere(&path);
        } else if path.is_file() {
            // A file that was written aside and moved is found under its new name.
            let Ok(text) = std::fs::read(&path) else { continue };
            let text = String::from_utf8_lossy(&text);
            for secret in [SECRET, "t0ken-of-the-pager"] {
                assert!(!text.contains(secret), "{secret} is in {}", path.display());
            }
        }
    }
}

#[test]
fn a_person_who_is_needed_is_called_although_the_control_plane_is_killed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let messages = receiver(listener);
    let server = calling(at, "");
    server.ok(&["deploy", "-r", "v2", "--detach"]);
    // It was decided and stored; the sender dies before it hears that it arrived.
    let first = messages.recv().unwrap();
    let key = first.key.clone();
    kill(server.control_pid(), Signal::KILL);
    drop(first);
    let again = messages.recv().unwrap();
    assert_eq!(again.key, key, "the same message, told by its key");
    let body = again.answer("204 No Content");
    let text = "shop: v2 needs a person: this step waits for a person; type `serin promote shop` to \
                go on, or `serin abort shop` to go back";
    assert_eq!(body["text"], text);
    for (field, value) in
        [("event", "needsPerson"), ("revision", "v2"), ("command", "serin promote shop")]
    {
        assert_eq!(body[field], value);
    }
    // What the message says to type works, and the next message is another one.
    server.ok(&["abort"]);
    server.run(&["deploy", "-r", "v3", "--detach"]);
    let next = messages.recv().unwrap();
    assert_ne!(next.key, key);
    assert_eq!(next.answer("200 OK")["revision"], "v3");
    assert_nowhere(&server.data());
}

#[test]
fn a_receiver_that_is_away_is_told_when_it_is_back_and_nothing_waits_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let server = calling(at, "");
    server.ok(&["deploy", "-r", "v2", "--detach"]);
    server.ok(&["wait", "--for", "step=2"]);
    let untold = loop {
        let status = server.json(&["status", "shop"]);
        if status["untold"].is_array() {
            break status["untold"][0].clone();
        }
    };
    assert_eq!((&untold["target"], &untold["waiting"]), (&"oncall".into(), &1.into()));
    let said = server.ok(&["status"]).out;
    assert!(said.contains("`oncall` is not told since"), "{said}");
    assert!(said.contains("its address cannot be reached"), "{said}");
    // Nobody has to be told for it to go on.
    server.ok(&["promote"]);
    server.ok(&["wait"]);
    kill(server.control_pid(), Signal::KILL);
    let messages = receiver(TcpListener::bind(at).unwrap());
    let late = messages.recv().unwrap();
    assert_eq!(late.answer("200 OK")["event"], "needsPerson");
    while server.json(&["status", "shop"])["untold"].is_array() {}
    assert_nowhere(&server.data());
}

#[test]
fn a_test_message_says_who_can_be_told_and_who_cannot() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let messages = receiver(listener);
    let rest = "    - name: page
      command: [sh, -c, \"cat > told; exit 3\"]
      on: [promoted]
";
    let server = calling(at, rest);
    let answer = std::thread::spawn(move || messages.recv().unwrap().answer("200 OK"));
    let said = server.run(&["notify", "test", "shop"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("oncall  told; it is told of rolledBack"), "{}", said.out);
    assert!(said.out.contains("page  not told: exit code 3"), "{}", said.out);
    let body = answer.join().unwrap();
    assert_eq!(body["event"], "test");
    let told = std::fs::read_to_string(server.dir().join("told")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap()["event"], "test");
}

#[test]
fn a_service_without_targets_says_what_to_write() {
    let server = Server::start();
    let file = server.file("serin.yaml", &shop(free_address(), "", HELD));
    server.ok(&["apply", "-f", &file]);
    let said = server.run(&["notify", "test", "shop"]);
    assert_eq!(said.code, Some(6), "{said:?}");
    assert!(said.err.contains("shop tells nobody anything"), "{}", said.err);
}

#[test]
fn whoever_is_taken_out_of_the_file_is_told_nothing_more() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let server = calling(at, "");
    server.ok(&["deploy", "-r", "v2", "--detach"]);
    while !server.json(&["status", "shop"])["untold"].is_array() {}
    let file = server.dir().join("serin.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (without, _) = text.split_once("  notify:").unwrap();
    std::fs::write(&file, without).unwrap();
    server.ok(&["apply", "-f", file.to_str().unwrap(), "-r", "v2", "--detach"]);
    while server.json(&["status", "shop"])["untold"].is_array() {}
    assert_eq!(server.run(&["notify", "test"]).code, Some(6));
    // Nor by the next control plane.
    kill(server.control_pid(), Signal::KILL);
    assert!(!server.json(&["status", "shop"])["untold"].is_array());
}
