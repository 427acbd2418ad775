//! A real server with its data in a temporary directory, real apps, and users.
// Each test binary uses its own part. Clippy allows unwrap in test functions only, and all of this
// is for them.
#![allow(dead_code, clippy::unwrap_used)]

pub mod load;

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// The binary under test.
pub const SERIN: &str = env!("CARGO_BIN_EXE_serin");

/// `serin serve`, ended with everything it started when dropped.
pub struct Server {
    dir: TempDir,
    keeper: Child,
}

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Server {
    /// Starts a server and waits until it says that it serves.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more words after `serve`.
    pub fn start_with(words: &[&str]) -> Self {
        // Short, because the path of a unix socket is limited.
        let dir = tempfile::Builder::new().prefix("serin-").tempdir_in("/tmp").unwrap();
        let keeper = serve(&dir.path().join("d"), words);
        Self { dir, keeper }
    }

    /// The same with more variables in its environment.
    pub fn start_in(variables: &[(&str, &str)]) -> Self {
        let dir = tempfile::Builder::new().prefix("serin-").tempdir_in("/tmp").unwrap();
        let mut command = serve_command(&dir.path().join("d"), &[]);
        command.envs(variables.iter().copied());
        Self { keeper: serving(command), dir }
    }

    /// Starts the keeper anew on the same data, after the old one was killed.
    pub fn start_again(&mut self) {
        self.keeper.wait().unwrap();
        self.keeper = serve(&self.data(), &[]);
    }

    /// The keeper's process id.
    pub fn keeper_pid(&self) -> u32 {
        self.keeper.id()
    }

    /// The control plane's process id.
    pub fn control_pid(&self) -> u32 {
        self.get("/api/v1/server")["pid"].as_u64().unwrap() as u32
    }

    /// The data plane's process id: the child of the keeper that is one.
    pub fn proxy_pid(&self) -> u32 {
        self.child_pid("__proxy").expect("the keeper has a data plane")
    }

    /// The keeper's child whose command line has `word`, when there is one just now.
    pub fn child_pid(&self, word: &str) -> Option<u32> {
        let keeper = self.keeper_pid();
        let children = std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children"));
        let children = children.unwrap();
        let mut pids = children.split_whitespace().map(|pid| pid.parse::<u32>().unwrap());
        pids.find(|pid| words_of(*pid).contains(word))
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("d")
    }

    /// A place for files of the test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file and gives its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// `serin` with these words, against this server.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = serin(words);
        command.env("SERIN_DATA", self.data()).current_dir(self.dir.path());
        command
    }

    /// Runs `serin` with these words to its end.
    pub fn run(&self, words: &[&str]) -> Said {
        said(self.command(words))
    }

    /// The same, for words that must succeed.
    pub fn ok(&self, words: &[&str]) -> Said {
        let said = self.run(words);
        assert_eq!(said.code, Some(0), "serin {}: {said:?}", words.join(" "));
        said
    }

    /// The document that `serin --json` prints for these words.
    pub fn json(&self, words: &[&str]) -> Value {
        let said = self.ok(&[&["--json"], words].concat());
        serde_json::from_str(&said.out).unwrap()
    }

    /// A document of the API.
    pub fn get(&self, path: &str) -> Value {
        let body = self.text(path);
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }

    /// What the API answers.
    pub fn text(&self, path: &str) -> String {
        let mut stream = UnixStream::connect(self.data().join("serin.sock")).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// The journal's texts from number `after` on, until one contains `text`. Waits for it.
    pub fn journal_until(&self, after: u64, text: &str) -> Vec<String> {
        let mut stream = UnixStream::connect(self.data().join("serin.sock")).unwrap();
        let request =
            format!("GET /api/v1/events?after={after} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut texts = Vec::new();
        for line in BufReader::new(stream).lines() {
            let line = line.expect("the journal goes on until the text comes");
            let Some(data) = line.strip_prefix("data:") else { continue };
            let event: Value = serde_json::from_str(data.trim()).unwrap();
            texts.push(event["text"].as_str().unwrap().to_owned());
            if texts.last().unwrap().contains(text) {
                return texts;
            }
        }
        panic!("the journal ended before `{text}`: {texts:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A killed keeper leaves its processes; a new one finds and ends them.
        if !matches!(self.keeper.try_wait(), Ok(None)) {
            self.keeper = serve(&self.data(), &[]);
        }
        kill(self.keeper.id(), rustix::process::Signal::TERM);
        let _ = self.keeper.wait();
    }
}

fn serve(data: &Path, words: &[&str]) -> Child {
    serving(serve_command(data, words))
}

fn serve_command(data: &Path, words: &[&str]) -> Command {
    let mut command = serin(&["serve", "--json"]);
    command.args(words).env("SERIN_DATA", data);
    command
}

fn serving(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut keeper = command.spawn().unwrap();
    let mut first = String::new();
    let mut out = BufReader::new(keeper.stdout.take().unwrap());
    out.read_line(&mut first).unwrap();
    if !first.contains("serin.serve/v1") {
        let mut err = String::new();
        keeper.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        panic!("serve did not start: {first}{err}");
    }
    // Its words are not read any more; a full pipe must not hold it up.
    let mut err = keeper.stderr.take().unwrap();
    std::thread::spawn(move || std::io::copy(&mut err, &mut std::io::sink()));
    keeper
}

/// `serin` with an environment that does not depend on whoever runs the test.
pub fn serin(words: &[&str]) -> Command {
    let mut command = Command::new(SERIN);
    command.args(words).env_clear().stdin(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
        .env("USER", "tester")
        .env("LANG", "C.UTF-8")
        .env("TZ", "UTC")
        .env("HOME", "/nonexistent");
    command
}

/// Runs a command to its end.
pub fn said(mut command: Command) -> Said {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// Sends a signal.
pub fn kill(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

fn words_of(pid: u32) -> String {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ")
}

/// An address that was free a moment ago.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A service `shop` made of the demo app; `env` and `steps` as in the file.
pub fn shop(listen: SocketAddr, env: &str, steps: &str) -> String {
    let command = format!("[\"{SERIN}\", \"__demo-app\"]");
    file_of(listen, &command, env, steps)
}

/// The same with another command.
pub fn file_of(listen: SocketAddr, command: &str, env: &str, steps: &str) -> String {
    format!(
        "\
apiVersion: serin.dev/v1alpha1
kind: Service
metadata: {{ name: shop }}
spec:
  replicas: 2
  revision: v1
  run:
    command: {command}
    env: {{ PORT: \"$(PORT)\", VERSION: \"$(REVISION)\", INSTANCE: \"$(INSTANCE)\", LATENCY_MS: \"5\"{env} }}
    readiness: {{ httpGet: {{ path: /ready }}, periodSeconds: 1 }}
    terminationGracePeriodSeconds: 3
  traffic: {{ listen: \"{listen}\" }}
  strategy:
    canary:
      steps: [{steps}]
      analysis: {{ metrics: [errors] }}
      warmUp: 0s
      keepWarm: 0s
"
    )
}

/// Steps of a quick rollout without evidence.
pub const QUICK: &str = "{ setWeight: 50 }, { setWeight: 100 }";
/// Steps that wait for a person.
pub const HELD: &str = "{ setWeight: 50 }, { pause: {} }, { setWeight: 100 }";
/// Steps that wait for evidence.
pub const JUDGED: &str = "{ setWeight: 50 }, { bake: { until: evidence } }, { setWeight: 100 }";
