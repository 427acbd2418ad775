//! `serin flags-edge` with the flags of the tests.

use serde_json::{Value, json};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A serving edge.
pub struct Edge {
    child: Child,
    dir: TempDir,
    address: SocketAddr,
    flags: Value,
}

impl Edge {
    /// Serves the flags of the tests, with users put into percentages by `bucketing`.
    pub fn start(bucketing: &str) -> Self {
        let mut flags = flags();
        flags["bucketing"] = json!(bucketing);
        let dir = tempfile::tempdir().unwrap();
        let file = write(&dir, &flags);
        let mut edge = Command::new(env!("CARGO_BIN_EXE_serin"));
        edge.args(["--json", "flags-edge", "--listen", "127.0.0.1:0", "--from"]).arg(file);
        let mut child = edge.stdout(Stdio::piped()).spawn().unwrap();
        let said = serde_json::Deserializer::from_reader(child.stdout.take().unwrap());
        let said: Value = said.into_iter().next().expect("where it serves").unwrap();
        let address = said["listen"][0].as_str().unwrap().parse().unwrap();
        Self { child, dir, address, flags }
    }

    /// Host and port.
    pub fn host(&self) -> (String, String) {
        (self.address.ip().to_string(), self.address.port().to_string())
    }

    /// The address as clients of Unleash want it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until this flag is off for those who ask.
    pub fn await_off(&self, flag: &str) {
        let until = Instant::now() + Duration::from_secs(60);
        while !self.answer(flag).contains(r#""variant":"off""#) {
            assert!(Instant::now() < until, "{flag} is not off after 60 s");
        }
    }

    /// OFREP's answer for nobody in particular, with its head.
    fn answer(&self, flag: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = format!("POST /ofrep/v1/evaluate/flags/{flag} HTTP/1.1\r\nHost: edge\r\n");
        let rest =
            "Connection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
        stream.write_all((head + rest).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer
    }

    /// Kills a flag.
    pub fn kill(&mut self, flag: &str) {
        let killed = json!({"by": "ada", "at": "2026-01-01T00:00:00Z", "reason": "errors"});
        self.flags["flags"][flag]["killed"] = killed;
        write(&self.dir, &self.flags);
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The flags of the tests, as Serin exports a set.
pub fn flags() -> Value {
    serde_json::from_str(include_str!("flags.json")).unwrap()
}

/// Writes the file at once, so that nobody reads half of it.
fn write(dir: &TempDir, flags: &Value) -> PathBuf {
    let (new, file) = (dir.path().join("new.json"), dir.path().join("flags.json"));
    fs::write(&new, flags.to_string()).unwrap();
    fs::rename(new, &file).unwrap();
    file
}
