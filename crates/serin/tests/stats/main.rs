//! `serin stats`: recorded counts in, verdicts out, without a server.
#![allow(clippy::unwrap_used)] // clippy allows it in the test functions only

mod bad;
mod judged;
mod options;
#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;
use support::{Said, serin};

/// Runs `serin stats judge -` on a text.
fn judge(words: &[&str], text: &str) -> Said {
    pieces(words, &[text])
}

/// The same, the text coming in pieces.
fn pieces(words: &[&str], pieces: &[&str]) -> Said {
    let mut command = serin(&[&["stats", "judge", "-"], words].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for piece in pieces {
        // It may have ended at a bad line.
        let _ = stdin.write_all(piece.as_bytes()).and_then(|()| stdin.flush());
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// The lines of a good stream's answer.
fn verdicts(words: &[&str], text: &str) -> Vec<Value> {
    let said = judge(words, text);
    assert_eq!(said.code, Some(0), "{said:?}");
    lines(&said.out)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The one line of a stream with one run.
fn verdict(words: &[&str], text: &str) -> Value {
    let mut all = verdicts(words, text);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// A stream of one run: (n, k) of stable and canary, a tick every 30 s.
fn stream(run: &str, ticks: &[[u64; 4]]) -> String {
    let mut text = String::new();
    for (at, [n, k, canary_n, canary_k]) in ticks.iter().enumerate() {
        let line = json!({ "run": run, "t": (at + 1) * 30,
            "stable": { "n": n, "k": k }, "canary": { "n": canary_n, "k": canary_k } });
        writeln!(text, "{line}").unwrap();
    }
    text
}

/// `ticks` of 2,700 and 300 requests with so many errors a thousand on each side.
fn steady(ticks: usize, stable: u64, canary: u64) -> Vec<[u64; 4]> {
    vec![[3000, 3 * stable, 1000, canary]; ticks]
}
