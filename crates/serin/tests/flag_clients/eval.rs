//! `serin flag eval` answers as the library does, which is compared with other evaluators
//! elsewhere: a thousand random flags from one file, five contexts each.

use super::answer::{Answer, ours};
use super::cases::Case;
use serde_json::{Value, json};
use serin_flags::Bucketing;
use std::fs;
use std::process::Command;

const DOCUMENTS: u64 = 50;
const SEED: u64 = 1;

#[test]
fn answers_from_a_file_are_those_of_the_library() {
    let cases: Vec<Case> = (0..DOCUMENTS).map(|number| Case::new(SEED, number)).collect();
    let dir = tempfile::tempdir().unwrap();
    let (file, questions) = (dir.path().join("flags.json"), dir.path().join("questions"));
    fs::write(&file, whole(&cases).to_string()).unwrap();
    fs::write(&questions, asked(&cases)).unwrap();
    for (word, bucketing) in [("v2", Bucketing::V2), ("v3", Bucketing::V3)] {
        let mut eval = Command::new(env!("CARGO_BIN_EXE_serin"));
        eval.args(["flag", "eval", "--bucketing", word, "--flags"]).arg(&file);
        let output =
            eval.args(["--now", "1800000000", "--input"]).arg(&questions).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let told: Vec<Answer> = text.lines().map(answer).collect();
        let library = cases.iter().flat_map(|case| ours(case, bucketing)).flatten();
        let library: Vec<Answer> = library.collect();
        assert_eq!(told.len(), library.len(), "{}", String::from_utf8_lossy(&output.stderr));
        for (at, (told, library)) in told.iter().zip(&library).enumerate() {
            assert!(told == library, "line {at}: {told:?}, the library: {library:?}");
        }
    }
}

/// All documents as one; no two have a flag or a shared condition of the same name.
fn whole(cases: &[Case]) -> Value {
    let mut document = json!({"$evaluators": {}, "flags": {}});
    for (part, case) in
        ["$evaluators", "flags"].iter().flat_map(|p| cases.iter().map(move |c| (p, c)))
    {
        let entries = case.document[*part].as_object().unwrap().clone();
        document[*part].as_object_mut().unwrap().extend(entries);
    }
    document
}

fn asked(cases: &[Case]) -> String {
    let lines = cases.iter().flat_map(|case| {
        let of = |key| case.contexts.iter().map(move |c| json!({"flag": key, "context": c}));
        case.keys().into_iter().flat_map(of)
    });
    lines.map(|line| line.to_string()).collect::<Vec<_>>().join("\n")
}

/// OFREP's answer in the words of the comparison.
fn answer(line: &str) -> Answer {
    let mut said: Value = serde_json::from_str(line).unwrap();
    let text = |name: &str| said[name].as_str().map(str::to_owned);
    let (error, reason, variant) = (text("errorCode"), text("reason"), text("variant"));
    let value = said["value"].take();
    Answer { error, reason, variant, value: Some(value).filter(|value| !value.is_null()) }
}
