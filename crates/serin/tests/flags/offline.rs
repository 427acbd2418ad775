//! What needs no server: answers from a file, and a look through a checkout.

use crate::support::{Said, said, serin};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const FLAGS: &str = r#"{
  "metadata": {"flagSetId": "production"},
  "flags": {
    "new_checkout": {"state": "ENABLED", "variants": {"on": true, "off": false},
                     "defaultVariant": "off", "metadata": {"owner": "shop"}},
    "rate": {"state": "ENABLED", "variants": {"high": 7.0}, "defaultVariant": "high"},
    "away": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": null}
  }
}"#;

fn file(dir: &Path, text: &str) -> String {
    let path = dir.join("flags.json");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn eval(flags: &str, words: &[&str], questions: &str) -> Said {
    let mut command = serin(&[&["flag", "eval", "--flags", flags], words].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have ended at a bad file.
    let _ = child.stdin.take().unwrap().write_all(questions.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn answers(said: &Said) -> Vec<Value> {
    said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn eval_answers_in_the_words_of_ofrep() {
    let dir = tempfile::tempdir().unwrap();
    let questions = "\
{\"flag\":\"new_checkout\",\"context\":{\"targetingKey\":\"u1\"}}\n\n\
{\"flag\":\"rate\",\"type\":\"float\"}\n\
{\"flag\":\"away\"}\n\
{\"flag\":\"lost\"}\n\
{\"flag\":\"rate\",\"type\":\"boolean\"}\n\
{\"flag\":\"rate\",\"context\":[1]}";
    let said = eval(&file(dir.path(), FLAGS), &[], questions);
    assert_eq!(said.code, Some(0), "{said:?}");
    // A fraction stays one: typed clients refuse a whole number.
    assert!(said.out.contains("\"value\":7.0"), "{}", said.out);
    let answers = answers(&said);
    let set = json!({"flagSetId": "production"});
    assert_eq!(
        answers[..3],
        [
            json!({"key": "new_checkout", "value": false, "variant": "off", "reason": "STATIC",
                   "metadata": {"flagSetId": "production", "owner": "shop"}}),
            json!({"key": "rate", "value": 7.0, "variant": "high", "reason": "STATIC",
                   "metadata": set}),
            json!({"key": "away", "reason": "DEFAULT", "metadata": set}),
        ]
    );
    let codes: Vec<_> = answers[3..].iter().map(|answer| &answer["errorCode"]).collect();
    assert_eq!(codes, ["FLAG_NOT_FOUND", "TYPE_MISMATCH", "INVALID_CONTEXT"]);
}

#[test]
fn eval_says_which_line_is_no_question_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let said = eval(&file(dir.path(), FLAGS), &[], "nonsense\n{\"flag\":\"away\"}\n");
    assert_eq!(said.code, Some(2));
    let answers = answers(&said);
    assert_eq!(answers[0]["errorCode"], "PARSE_ERROR");
    assert!(answers[0]["errorDetails"].as_str().unwrap().contains("line 1"));
    assert_eq!(answers[1]["reason"], "DEFAULT");
}

#[test]
fn eval_refuses_a_bad_file_whole() {
    let dir = tempfile::tempdir().unwrap();
    let bad = FLAGS.replace(r#""defaultVariant": "off""#, r#""defaultVariant": "of""#);
    let said = eval(&file(dir.path(), &bad), &[], "");
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    for part in ["new_checkout", "defaultVariant", "did you mean `off`?", "hint"] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    let missing = eval("/nonexistent/flags.json", &[], "");
    assert_eq!(missing.code, Some(2), "{missing:?}");
}

fn checkout(dir: &Path) -> String {
    let git = |words: &[&str]| {
        let done = Command::new("git").arg("-C").arg(dir).args(words).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    git(&["init", "-q"]);
    let code = "if flags.get_boolean_value(\"new_checkout\", False):\n    pass\n";
    std::fs::write(dir.join("app.py"), code).unwrap();
    std::fs::write(dir.join("CODEOWNERS"), "* @shop\n").unwrap();
    git(&["add", "."]);
    dir.to_str().unwrap().to_owned()
}

#[test]
fn scan_tells_where_flags_are_and_where_they_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let flags = tempfile::tempdir().unwrap();
    let (checkout, flags) = (checkout(dir.path()), file(flags.path(), FLAGS));
    let run = |words: &[&str]| {
        said(serin(&[&["flags", "scan", &checkout, "--flags", &flags], words].concat()))
    };
    let plain = run(&[]);
    assert_eq!(plain.code, Some(0), "{plain:?}");
    assert_eq!(plain.out, "away: no code mentions it\nrate: no code mentions it\n");
    assert_eq!(run(&["--strict"]).code, Some(2));
    let one = run(&["--flag", "new_checkout"]);
    assert!(one.out.contains("app.py:1:29  @shop  code"), "{one:?}");
    let lost = run(&["--flag", "new_chekout"]);
    assert!(lost.code == Some(2) && lost.err.contains("did you mean `new_checkout`?"), "{lost:?}");
    let json: Value = serde_json::from_str(&run(&["--json"]).out).unwrap();
    assert_eq!(json["schema"], "serin.flag-scan/v1");
    assert_eq!(json["references"][0]["line"], 1);
    assert_eq!(json["unreferenced"], json!(["away", "rate"]));
}

#[test]
fn scan_fails_where_code_asks_for_a_flag_that_nobody_has() {
    let dir = tempfile::tempdir().unwrap();
    let flags = tempfile::tempdir().unwrap();
    let flags = file(flags.path(), &FLAGS.replace("new_checkout", "old_checkout"));
    let said = said(serin(&["flag", "scan", &checkout(dir.path()), "--flags", &flags]));
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.out.contains("unknown, in flags.get_boolean_value"), "{said:?}");
}
