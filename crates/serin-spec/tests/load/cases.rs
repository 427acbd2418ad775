//! Runs the case files: `=== title`, where the text goes, the text, `---`, what is said.
//! `SERIN_BLESS=1 cargo test -p serin-spec` writes what is said now; read the difference.

use crate::{SERVICE, said};
use std::{fmt::Write as _, path::PathBuf};

/// A service with `text` at a named place.
fn placed(place: &str, text: &str) -> String {
    let after = |mark: &str| {
        let at = SERVICE.find(mark).unwrap() + mark.len();
        format!("{}{text}{}", &SERVICE[..at], &SERVICE[at..])
    };
    match place {
        "file" => text.replace("\\t", "\t").replace("\\0", "\0"),
        "spec" => after("spec:\n"),
        "run" => after("  run:\n"),
        "canary" => format!("{SERVICE}  strategy:\n    canary:\n{text}"),
        "steps" => format!("{SERVICE}  strategy:\n    canary:\n      steps:\n{text}"),
        "traffic" => {
            let listen = "listen: \"127.0.0.1:8080\"";
            let preview = "listen: \"127.0.0.1:8080\", preview: \"127.0.0.1:8081\"";
            SERVICE.replace(listen, preview) + text
        }
        "analysis" => format!(
            "{SERVICE}  strategy:\n    canary:\n      steps: [setWeight: 100]\n      analysis:\n{text}"
        ),
        _ => panic!("unknown place `{place}`"),
    }
}

/// Takes `title\nplace\ntext---\nexpected` and gives it back with what is said.
fn answered(case: &str, answer_to: fn(&str) -> String) -> String {
    let (title, rest) = case.split_once('\n').unwrap();
    let (place, rest) = rest.split_once('\n').unwrap();
    let (text, _) = rest.split_once("---\n").unwrap();
    let text = text.replace("~~~\n", "---\n");
    let mut answer = format!("{title}\n{place}\n{}---\n", text.replace("---\n", "~~~\n"));
    let said = answer_to(&placed(place, &text));
    writeln!(answer, "{}", if said.is_empty() { "nothing" } else { &said }).unwrap();
    answer.push('\n');
    answer
}

fn run(name: &str) {
    run_with(name, said);
}

/// As the other cases, with another answer.
pub fn run_with(name: &str, answer_to: fn(&str) -> String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/load").join(name);
    let expected = std::fs::read_to_string(&path).unwrap();
    let cases: Vec<_> = expected.split("=== ").skip(1).collect();
    assert!(cases.len() > 10, "{name} has only {} cases", cases.len());
    let found: Vec<_> = cases.iter().map(|case| answered(case, answer_to)).collect();
    if std::env::var_os("SERIN_BLESS").is_some() {
        std::fs::write(&path, format!("=== {}", found.join("=== "))).unwrap();
        return;
    }
    for (case, found) in cases.iter().zip(&found) {
        assert_eq!(found.trim_end(), case.trim_end(), "in {name}");
    }
}

#[test]
fn services() {
    run("service.txt");
}

#[test]
fn instances() {
    run("run.txt");
}

#[test]
fn canaries() {
    run("strategy.txt");
}

#[test]
fn syntax() {
    run("syntax.txt");
}

#[test]
fn every_strategy() {
    run("strategies.txt");
}

#[test]
fn every_step() {
    run("steps.txt");
}

#[test]
fn every_rule() {
    run("rules.txt");
}
