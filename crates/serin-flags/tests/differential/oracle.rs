//! Other people's evaluators: a process that reads cases and writes answers.

use super::{answer::Answer, cases::Case, installed};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

/// Answers of one document: by flag, then by context.
pub type Answers = Vec<Vec<Answer>>;

/// flagd's JavaScript evaluator, `fractional` v2.
pub fn javascript(cases: &[Case]) -> Option<Vec<Answers>> {
    installed::node("oracle.js").map(|command| ask(command, cases))
}

/// flagd's Python evaluator, `fractional` v3.
pub fn python(cases: &[Case]) -> Option<Vec<Answers>> {
    installed::python("oracle.py").map(|command| ask(command, cases))
}

/// JsonLogic's own implementation with flagd's operators, `fractional` v2.
pub fn arbiter(cases: &[Case]) -> Option<Vec<Answers>> {
    installed::node("arbiter.js").map(|command| ask(command, cases))
}

fn ask(mut command: Command, cases: &[Case]) -> Vec<Answers> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut questions = child.stdin.take().unwrap();
    let answers = BufReader::new(child.stdout.take().unwrap());
    let answers: Vec<Answers> = std::thread::scope(|scope| {
        scope.spawn(move || {
            for case in cases {
                writeln!(questions, "{}", case.line()).unwrap();
            }
        });
        answers.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
    });
    assert!(child.wait().unwrap().success(), "{command:?}");
    assert_eq!(answers.len(), cases.len(), "{command:?}");
    answers
}
