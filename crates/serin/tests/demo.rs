//! The whole demo with the real binary: real processes, real sockets, real traffic.

#![allow(clippy::unwrap_used)] // every function here is part of a test

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::{SocketAddr, TcpStream},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    thread,
};

/// A demo under way. Dropped, it is told to end, and ends what it started.
struct Demo {
    child: Child,
    lines: BufReader<ChildStderr>,
    told: String,
}

impl Demo {
    fn start(words: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
        command.arg("demo").args(words).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Self { child, lines, told: String::new() }
    }

    /// Reads the story until a line contains `part`; gives that line.
    fn until(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).unwrap();
            assert!(read > 0, "no `{part}` in:\n{}", self.told);
            self.told += &line;
            if line.contains(part) {
                return line;
            }
        }
    }

    /// What follows `before` in the line with `part`, up to a character of another kind.
    fn value(&mut self, part: &str, before: &str) -> String {
        let line = self.until(part);
        let (_, after) = line.split_once(before).unwrap();
        let end = after.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(after.len());
        after[..end].to_owned()
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        let pid = Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Its exit code and what it said on stdout, once it has ended.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.lines.read_to_string(&mut self.told).unwrap();
        (self.child.wait().unwrap().code(), out)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

/// Processes that work in `data` or were started for it.
fn processes_of(data: &Path) -> Vec<PathBuf> {
    let words = |path: &Path| fs::read(path.join("cmdline")).unwrap_or_default();
    let name = data.to_str().unwrap();
    let all = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let of_data = |path: &PathBuf| {
        let here = fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd.starts_with(data));
        here || String::from_utf8_lossy(&words(path)).contains(name)
    };
    all.filter(of_data).collect()
}

fn check_gone(data: &Path, shop: SocketAddr) {
    assert_eq!(processes_of(data), Vec::<PathBuf>::new());
    assert!(!data.exists(), "{} is still there", data.display());
    assert!(TcpStream::connect(shop).is_err(), "somebody still listens on {shop}");
}

const PROMISED: [&str; 9] = [
    "schema",
    "promoted",
    "rolled_back",
    "requests",
    "dropped",
    "bad_version_requests",
    "verdict_ms",
    "verdict_to_zero_ms",
    "outcome",
];

fn check_document(out: &str) {
    let document: Value = serde_json::from_str(out).unwrap();
    let keys: BTreeSet<_> = document.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(PROMISED), "{out}");
    assert_eq!(document["schema"], "serin.demo/v1");
    assert_eq!(document["promoted"], serde_json::json!(["v2"]));
    assert_eq!(document["rolled_back"], serde_json::json!(["v3"]));
    assert_eq!(document["dropped"], 0);
    assert_eq!(document["outcome"], "ok");
    for number in ["requests", "bad_version_requests", "verdict_ms", "verdict_to_zero_ms"] {
        assert!(document[number].is_u64(), "{number} in {out}");
    }
    assert!(document["requests"].as_u64() > document["bad_version_requests"].as_u64());
    assert!(document["bad_version_requests"].as_u64() > Some(0));
}

fn check_story(told: &str) {
    let mut rest = told;
    for part in
        ["Sending", "v2", "20 %", "Evidence", "50 %", "100 %", "Promoted", "v3", "Rolled back"]
    {
        let at = rest.find(part).unwrap_or_else(|| panic!("no `{part}` in its place in:\n{told}"));
        rest = &rest[at..];
    }
    assert!(!told.contains('\x1b'), "control codes without a terminal");
}

/// What the server in `data` says of the shop.
fn status(data: &Path) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    let output = command.args(["status", "shop", "--json", "--data-dir"]).arg(data).output();
    serde_json::from_slice(&output.unwrap().stdout).unwrap()
}

fn requests(status: &Value, version: &str) -> u64 {
    let arms = status["traffic"].as_array().unwrap();
    let of_version = |arm: &&Value| arm["revision"].as_str().unwrap().starts_with(version);
    arms.iter().find(of_version).unwrap()["requests"].as_u64().unwrap()
}

fn end_and_await(pid: &str) {
    let raw = Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(raw, Signal::TERM).unwrap();
    // An ended process that nobody has waited for yet has no words any more.
    let path = PathBuf::from("/proc").join(pid).join("cmdline");
    while fs::read(&path).is_ok_and(|words| !words.is_empty()) {
        thread::yield_now();
    }
}

#[test]
fn a_good_version_is_promoted_and_a_bad_one_rolled_back() {
    let mut demo = Demo::start(&["--json", "--keep", "--seed", "7"]);
    let data = PathBuf::from(demo.value("--data-dir", "--data-dir "));
    let shop = demo.value("Serving", "http://").parse().unwrap();
    let (code, out) = demo.end();
    assert_eq!(code, Some(0), "{out}{}", demo.told);
    check_document(&out);
    check_story(&demo.told);
    // Kept: the server answers, and its users are still there.
    let seen = status(&data);
    assert_eq!(seen["state"], "stable");
    while requests(&status(&data), "v2") <= requests(&seen, "v2") {}
    let (_, pids) = demo.told.split_once("kill ").unwrap();
    pids.split_whitespace().take(2).for_each(end_and_await);
    fs::remove_dir_all(&data).unwrap();
    check_gone(&data, shop);
}

fn check_interrupted(signal: Signal, expected: i32) {
    let mut demo = Demo::start(&[]);
    let data = PathBuf::from(demo.value("--data-dir", "--data-dir "));
    let shop = demo.value("Serving", "http://").parse().unwrap();
    demo.until("Deploying");
    assert!(!processes_of(&data).is_empty(), "the test does not see the demo's processes");
    demo.signal(signal);
    let (code, out) = demo.end();
    assert_eq!((code, out.as_str()), (Some(expected), ""), "{}", demo.told);
    assert!(demo.told.contains("Stopped"), "{}", demo.told);
    check_gone(&data, shop);
}

#[test]
fn ctrl_c_ends_everything_it_started() {
    check_interrupted(Signal::INT, 130);
}

#[test]
fn termination_ends_everything_it_started() {
    check_interrupted(Signal::TERM, 143);
}

/// The process `serin serve` of a demo, to be awaited.
fn watched_server(data: &Path) -> OwnedFd {
    let is_server = |path: &PathBuf| {
        fs::read(path.join("cmdline"))
            .is_ok_and(|words| words.split(|b| *b == 0).any(|w| w == b"serve"))
    };
    let found = processes_of(data).into_iter().find(is_server).unwrap();
    let pid: i32 = found.file_name().unwrap().to_str().unwrap().parse().unwrap();
    pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap()
}

#[test]
fn a_killed_demo_leaves_no_process() {
    let mut demo = Demo::start(&[]);
    let data = PathBuf::from(demo.value("--data-dir", "--data-dir "));
    let shop = demo.value("Serving", "http://").parse().unwrap();
    demo.until("Deploying");
    let server = watched_server(&data);
    demo.signal(Signal::KILL);
    while poll(&mut [PollFd::new(&server, PollFlags::IN)], None) != Ok(1) {}
    assert_eq!(demo.end().0, None);
    fs::remove_dir_all(&data).unwrap();
    check_gone(&data, shop);
}

#[test]
fn a_rate_that_shows_nothing_is_refused() {
    let mut demo = Demo::start(&["--rate", "0"]);
    let (code, out) = demo.end();
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(demo.told.contains("--rate"), "{}", demo.told);
}
