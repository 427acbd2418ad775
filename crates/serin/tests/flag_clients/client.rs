//! A client under test: a script that answers a line of JSON with a line of JSON.

use serde_json::Value;
use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// How long anything may take. Long, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running client.
pub struct Client {
    child: Child,
    questions: ChildStdin,
    lines: Receiver<Value>,
    /// Events that came while something else was waited for.
    events: VecDeque<String>,
}

impl Client {
    /// Starts a script with these words, and waits until it is ready.
    pub fn start(mut script: Command, words: &[&str]) -> Self {
        script.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = script.spawn().unwrap();
        let questions = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in answers.lines().map_while(Result::ok) {
                let Ok(value) = serde_json::from_str(&line) else { panic!("no JSON: {line}") };
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let mut client = Self { child, questions, lines, events: VecDeque::new() };
        client.wait("ready");
        client
    }

    /// The answer to a question.
    pub fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.questions, "{question}").unwrap();
        loop {
            let said = self.next(&question.to_string());
            match said["event"].as_str() {
                Some(event) => self.events.push_back(event.to_owned()),
                None => return said,
            }
        }
    }

    /// Waits for an event.
    pub fn wait(&mut self, event: &str) {
        while let Some(seen) = self.events.pop_front() {
            if seen == event {
                return;
            }
        }
        while self.next(event)["event"] != *event {}
    }

    fn next(&self, what: &str) -> Value {
        let said = self.lines.recv_timeout(PATIENCE);
        said.unwrap_or_else(|error| panic!("waiting for {what}: {error}"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
