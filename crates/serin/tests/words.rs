//! What needs no server: files, help, usage, and a server that is not there.
#![allow(clippy::unwrap_used)] // clippy allows it in the test functions only

mod support;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use support::{said, serin};

fn run(words: &[&str]) -> support::Said {
    said(serin(words))
}

#[test]
fn check_shows_all_errors_of_a_file_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.yaml");
    let text = "\
apiVersion: serin.dev/v1alpha1
kind: Service
metadata: { name: shop }
spec:
  replicas: 0
  run: { command: [\"./shop\", \"$(PORT)\"] }
  trafic: { listen: \"127.0.0.1:8080\" }
";
    std::fs::write(&path, text).unwrap();
    let said = run(&["check", "-f", path.to_str().unwrap()]);
    assert_eq!(said.code, Some(2));
    assert_eq!(said.out, "");
    for part in
        ["serin.yaml:5:13", "allowed are 1 to 100", "did you mean `traffic`?", "has 2 errors"]
    {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    let said = run(&["check", "--json", path.to_str().unwrap()]);
    let document: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &document["schema"]), (Some(2), &"serin.check/v1".into()));
    assert_eq!(document["problems"].as_array().unwrap().len(), 3);
}

#[test]
fn check_asks_this_machine_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.yaml");
    let text = "\
apiVersion: serin.dev/v1alpha1
kind: Service
metadata: { name: shop }
spec:
  run: { command: [\"./no-such-program\", \"$(PORT)\"] }
  traffic: { listen: \"127.0.0.1:8080\" }
";
    std::fs::write(&path, text).unwrap();
    let said = run(&["check", path.to_str().unwrap()]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("`./no-such-program` is not there"), "{}", said.err);
    std::fs::write(&path, text.replace("./no-such-program", "/bin/sh")).unwrap();
    let said = run(&["check", path.to_str().unwrap()]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(said.out.ends_with("serin.yaml: shop\n"), "{}", said.out);
}

#[test]
fn a_file_that_is_not_there_or_not_text() {
    let said = run(&["check", "/nonexistent/serin.yaml"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("cannot read `/nonexistent/serin.yaml`"), "{}", said.err);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.yaml");
    std::fs::write(&path, b"abc\xff").unwrap();
    let said = run(&["check", path.to_str().unwrap()]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("byte 3"), "{}", said.err);
}

#[test]
fn wrong_words_are_usage_errors() {
    for (words, part) in [
        (&["deploi"][..], "did you mean `serin deploy`?"),
        (&["xyz"], "hint: `serin -h` lists the verbs"),
        (&["deploy", "shop"], "--help"),
        (&["wait", "--for", "never"], "--help"),
    ] {
        let said = run(words);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{words:?}");
        assert!(said.err.contains(part), "{words:?}: {}", said.err);
    }
}

#[test]
fn wrong_words_are_a_document_for_programs() {
    for words in [&["deploi"][..], &["deploy", "shop"], &["status", "--verbos"], &[]] {
        let said = run(&[words, &["--json"]].concat());
        let document: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!((said.code, &document["schema"]), (Some(2), &"serin.error/v1".into()));
        assert_eq!(document["exit"], 2, "{words:?}");
        assert!(document["hint"].is_string(), "{words:?}: {document}");
    }
    let mut command = serin(&["deploy", "shop"]);
    command.env("SERIN_JSON", "1");
    let document: Value = serde_json::from_str(&said(command).out).unwrap();
    let message = "the following required arguments were not provided: --revision <REV>";
    assert_eq!(document["message"], message);
}

#[test]
fn usage_shows_only_what_is_required() {
    let mut command = serin(&["deploy", "shop"]);
    command.env("SERIN_DATA", "/nonexistent").env("SERIN_SERVER", "unix:/nonexistent");
    let said = said(command);
    assert!(said.err.contains("Usage: serin deploy --revision <REV>"), "{}", said.err);
    assert!(!said.err.contains("--data-dir") && !said.err.contains("--server"), "{}", said.err);
}

#[test]
fn without_a_word_the_short_help_is_an_error() {
    for data in [None, Some("/nonexistent")] {
        let mut command = serin(&[]);
        command.envs(data.map(|data| ("SERIN_DATA", data)));
        let said = said(command);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
        assert_eq!(said.err, run(&["help"]).out);
    }
}

#[test]
fn every_preset_is_a_strategy_that_can_be_copied() {
    let all: Value = serde_json::from_str(&run(&["presets", "--json"]).out).unwrap();
    assert_eq!(all["schema"], "serin.presets/v1");
    let list = run(&["presets"]).out;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.yaml");
    let head = "\
apiVersion: serin.dev/v1alpha1
kind: Service
metadata: { name: shop }
spec:
  environment: staging
  replicas: 4
  run: { command: [\"/bin/sh\", \"$(PORT)\"] }
  traffic:
    listen: \"127.0.0.1:8080\"
    affinity: { cookie: user }
";
    for preset in all["presets"].as_array().unwrap() {
        let name = preset["name"].as_str().unwrap();
        assert!(list.contains(name), "{name}: {list}");
        let copied = run(&["presets", name]).out;
        let copied: Vec<_> = copied.lines().map(|line| format!("  {line}\n")).collect();
        for strategy in [copied.concat(), format!("  strategy: {name}\n")] {
            std::fs::write(&path, format!("{head}{strategy}")).unwrap();
            let said = run(&["check", path.to_str().unwrap()]);
            assert_eq!(said.code, Some(0), "{name}: {}\n{strategy}", said.err);
        }
    }
    let near = run(&["presets", "amazn"]);
    assert_eq!(near.code, Some(2));
    assert!(near.err.contains("did you mean `amazon`?"), "{}", near.err);
}

#[test]
fn help_and_version() {
    let short = run(&["-h"]);
    assert_eq!(short.code, Some(0));
    assert!(short.out.lines().count() <= 25);
    let codes = run(&["help", "exit-codes"]);
    assert!(codes.out.contains("3     rolled back"), "{}", codes.out);
    assert!(run(&["help", "deploy"]).out.contains("--allow-bad"));
    assert_eq!(run(&["help", "nothing"]).code, Some(2));
    assert!(run(&["help", "migrate", "start"]).out.contains("--no-trace"));
    assert_eq!(run(&["help", "migrate", "nothing"]).code, Some(2));
    assert_eq!(run(&["version"]).out, format!("serin {}\n", env!("CARGO_PKG_VERSION")));
    assert!(run(&["docs"]).out.contains("kind: Service"));
    assert!(run(&["completions", "bash"]).out.contains("_serin"));
}

#[test]
fn without_a_server_the_outcome_is_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let server = format!("unix:{}/serin.sock", dir.path().display());
    for words in [&["status"][..], &["deploy", "shop", "-r", "v2"]] {
        let said = run(&[&["--server", &server], words].concat());
        assert_eq!(said.code, Some(7), "{words:?}");
        assert!(said.err.contains("start it with `serin serve`"), "{}", said.err);
    }
    let closed = format!("http://{}", support::free_address());
    let said = run(&["--json", "--server", &closed, "status"]);
    let document: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &document["code"]), (Some(7), &"unreachable".into()));
}

#[test]
fn a_data_directory_that_cannot_be_used_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("x".repeat(100));
    let open = dir.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::write(open.join("file"), "").unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
    for (path, part) in [(&long, "a shorter path"), (&open, "chmod 700")] {
        let said = run(&["serve", "--data-dir", path.to_str().unwrap()]);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains(part), "{}", said.err);
    }
}

#[test]
fn what_cannot_be_written_is_an_internal_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serin.yaml");
    let text = support::file_of(support::free_address(), "[\"/bin/sh\"]", "", support::QUICK);
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    for words in [&["help"][..], &["-h"], &["check", path], &["--json", "check", path], &["--json"]]
    {
        let mut command = serin(words);
        command.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        let said = said(command);
        assert_eq!(said.code, Some(1), "{words:?}: {said:?}");
        assert!(said.err.contains("could not be written"), "{words:?}: {}", said.err);
    }
}

#[test]
fn what_is_piped_has_no_control_codes() {
    for words in [&["-h"][..], &["check", "/nonexistent"], &["help", "deploy"]] {
        let said = run(words);
        assert!(!said.out.contains('\x1b') && !said.err.contains('\x1b'), "{words:?}");
    }
    let colored = run(&["--color", "always", "check", "/nonexistent"]);
    assert!(colored.err.contains("\x1b["), "{}", colored.err);
}

/// What texts in sources say between backquotes after `serin`.
fn named_commands(dir: &Path, found: &mut BTreeSet<Vec<String>>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            named_commands(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs" || end == "md") {
            let text = std::fs::read_to_string(&path).unwrap();
            // A text may go on in the next line of a source.
            let text = text.replace("\\\n", "").replace("\n//", " ");
            let named = text.split("`serin ").skip(1).filter_map(|rest| rest.split('`').next());
            let words = named.filter(|words| words.len() < 80 && !words.contains(['{', '\n']));
            found.extend(words.map(|text| text.split_whitespace().map(str::to_owned).collect()));
        }
    }
}

#[test]
fn texts_name_only_commands_and_options_that_exist() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut named = BTreeSet::new();
    named_commands(&crates.join("serin/src"), &mut named);
    named_commands(&crates.join("serin-server/src"), &mut named);
    assert!(named.len() > 50, "{}", named.len());
    let mut helps = BTreeMap::new();
    let mut help_of = |words: &[&str]| -> Option<String> {
        let key = words.join(" ");
        let ask = || Some(run(&[words, &["--help"]].concat())).filter(|said| said.code == Some(0));
        helps.entry(key).or_insert_with(|| ask().map(|said| said.out)).clone()
    };
    let mut wrong = Vec::new();
    for words in named {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let verbs =
            if ["flag", "stats", "analysis", "migrate"].contains(&words[0]) { 2 } else { 1 };
        let verb: Vec<_> = words.iter().take(verbs).copied().collect();
        if verb[0].starts_with(['-', '_']) || verb[0] == "help" || verb.concat().contains('|') {
            continue;
        }
        let help = help_of(&verb);
        let options = words.iter().filter(|word| word.starts_with("--"));
        let lacks = |word: &&&str| !help.as_ref().is_some_and(|help| help.contains(**word));
        if help.is_none() || options.filter(lacks).count() > 0 {
            wrong.push(words.join(" "));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
