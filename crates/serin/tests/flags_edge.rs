//! `serin flags-edge`: from a file and from another Serin, which may die.
#![allow(clippy::unwrap_used)] // clippy allows it in the test functions only

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);

/// A serving edge, and what it says.
struct Edge {
    child: Child,
    addr: SocketAddr,
    said: Receiver<String>,
}

impl Edge {
    fn start(words: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
        command.args(["--json", "flags-edge", "--threads", "1"]).args(words);
        command.env_remove("SERIN_FLAGS_TOKEN").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = lines(child.stderr.take().unwrap());
        let out = serde_json::Deserializer::from_reader(child.stdout.take().unwrap());
        let document: Value = out.into_iter().next().expect("where it serves").unwrap();
        assert_eq!(document["schema"], "serin.flags-edge/v1");
        let addr = document["listen"][0].as_str().unwrap().parse().unwrap();
        Self { child, addr, said }
    }

    /// Waits for a line that has this.
    fn hear(&self, part: &str) {
        while !self.said.recv_timeout(LIMIT).expect(part).contains(part) {}
    }

    fn ask(&self, key: &str, headers: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let head = format!(
            "POST /ofrep/v1/evaluate/flags/{key} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
             {headers}Content-Length: 0\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        (text.split(' ').nth(1).unwrap().parse().unwrap(), text)
    }

    fn is_on(&self) -> bool {
        self.ask("a", "").1.contains("\"value\":true")
    }

    /// Waits until the flag is so, told by its stream of tables.
    fn become_on(&self, wanted: bool) {
        let mut stream = self.follow();
        let mut line = String::new();
        while self.is_on() != wanted {
            line.clear();
            assert_ne!(stream.read_line(&mut line).unwrap(), 0);
        }
    }

    /// Its stream of tables, once it has one.
    fn follow(&self) -> BufReader<TcpStream> {
        loop {
            let mut stream = BufReader::new(TcpStream::connect(self.addr).unwrap());
            stream.get_ref().set_read_timeout(Some(LIMIT)).unwrap();
            let head = "GET /serin/v1/flags/follow HTTP/1.1\r\nHost: a\r\n\r\n";
            stream.get_mut().write_all(head.as_bytes()).unwrap();
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            if line.contains("200") {
                return stream;
            }
            assert!(line.contains("503"), "{line}");
            std::thread::yield_now();
        }
    }

    fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: ChildStderr) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(from).lines().map_while(Result::ok);
        while lines.next().is_some_and(|line| sender.send(line).is_ok()) {}
    });
    receiver
}

/// Writes a file at once, so that nobody reads half of it.
fn write(dir: &TempDir, text: &str) -> String {
    let (new, file) = (dir.path().join("new"), dir.path().join("flags.json"));
    fs::write(&new, text).unwrap();
    fs::rename(new, &file).unwrap();
    file.to_str().unwrap().to_owned()
}

fn set(on: bool) -> String {
    let default = if on { "on" } else { "off" };
    json!({"name": "production", "flags": {"a": {"defaultVariant": default}}}).to_string()
}

#[test]
fn a_changed_file_is_served_and_a_bad_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(&dir, &set(true));
    let edge = Edge::start(&["--listen", "127.0.0.1:0", "--from", &file]);
    assert!(edge.is_on());
    write(&dir, "{\"name\":");
    edge.hear("is no file of flags");
    assert!(edge.is_on());
    write(&dir, &set(true).replace("\"on\"", "\"purple\""));
    edge.hear("purple");
    assert!(edge.is_on());
    write(&dir, &set(false));
    edge.become_on(false);
}

/// flagd's own format, and the tokens that clients need.
#[test]
fn a_flagd_file_is_served_to_those_who_have_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let flags = json!({"a": {"state": "ENABLED", "variants": {"on": true, "off": false},
        "defaultVariant": "on"}});
    let file = write(&dir, &json!({"flags": flags}).to_string());
    let tokens = dir.path().join("tokens");
    fs::write(&tokens, "*:production.abc\n").unwrap();
    let tokens = tokens.to_str().unwrap();
    let edge = Edge::start(&["--listen", "127.0.0.1:0", "--from", &file, "--accept", tokens]);
    assert_eq!(edge.ask("a", "").0, 401);
    let (status, text) = edge.ask("a", "Authorization: Bearer *:production.abc\r\n");
    assert!(status == 200 && text.contains("\"value\":true"), "{text}");
}

#[test]
fn an_edge_follows_another_and_goes_on_without_it() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = write(&dir, &set(true));
    let mut origin = Edge::start(&["--listen", "127.0.0.1:0", "--from", &file]);
    let url = format!("http://{}", origin.addr);
    let words = ["--listen", "127.0.0.1:0", "--from", &url, "--copy"];
    let words: Vec<&str> = words.into_iter().chain(copy.path().to_str()).collect();
    let mut edge = Edge::start(&words);
    edge.become_on(true);
    write(&dir, &set(false));
    edge.become_on(false);
    origin.end();
    edge.hear("the last flags go on");
    assert!(!edge.is_on() && edge.ask("a", "").0 == 200);
    // Nor does it need the other to begin.
    edge.end();
    assert!(
        is_private(&copy.path().join("flags.json")) && is_private(&copy.path().join("flags.key"))
    );
    let edge = Edge::start(&words);
    assert_eq!((edge.ask("a", "").0, edge.is_on()), (200, false));
}

fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777 == 0o600
}

#[test]
fn what_cannot_be_served_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let bad = write(&dir, "[]");
    for (from, code) in [(bad.as_str(), 2), ("/nowhere/flags.json", 2), ("unix:///x", 2)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
        let output =
            command.args(["flags-edge", "--listen", "127.0.0.1:0", "--from", from]).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(code), "{from}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("hint"), "{output:?}");
    }
}
