//! The commands in the README of each example, typed in order by a shell.
#![allow(clippy::unwrap_used)] // clippy allows it in the test functions only

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::{SERIN, free_address, said};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// What stands in the fenced `sh` blocks.
fn commands(readme: &str) -> String {
    let mut inside = false;
    let mut out = String::new();
    for line in readme.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside => out = out + line + "\n",
            _ => {}
        }
    }
    out
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The folder as it is, but on a port that is free here.
fn folder(name: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::Builder::new().prefix("ex-").tempdir_in("/tmp").unwrap();
    copy(&examples(), dir.path());
    let here = dir.path().join(name);
    let readme = fs::read_to_string(here.join("README.md")).unwrap();
    let spec = fs::read_to_string(here.join("serin.yaml")).unwrap();
    let listen = spec.split("listen: \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let free = free_address().to_string();
    fs::write(here.join("serin.yaml"), spec.replace(&listen, &free)).unwrap();
    let script = commands(&readme).replace(&listen, &free);
    (dir, script)
}

/// Runs the README of an example; gives what its shell said.
fn typed(name: &str) -> support::Said {
    let (dir, script) = folder(name);
    let here = dir.path().join(name);
    let bin = Path::new(SERIN).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    // Stops at the first command that fails, and leaves nothing running: the users end with their
    // shell, the server when it is told.
    let script = format!("set -e\ntrap 'kill $(cat data/lock)' EXIT\n{script}");
    shell.args(["-c", &script]).current_dir(&here).env_clear().stdin(Stdio::null());
    shell.env("PATH", path).env("LANG", "C.UTF-8").env("USER", "tester").env("HOME", dir.path());
    said(shell)
}

fn check(name: &str) {
    let said = typed(name);
    assert_eq!(said.code, Some(0), "{}\n{}", said.out, said.err);
    for part in
        ["shop: created with v1", "exit code 3", "rolled-back", "shop: rollout 2 to v2 started"]
    {
        assert!(said.out.contains(part), "{part} in:\n{}\n{}", said.out, said.err);
    }
    for part in
        ["v2 is promoted", "v3 was rolled back", "v9 was rolled back", "v9.json", "is stable again"]
    {
        assert!(said.err.contains(part), "{part} in:\n{}", said.err);
    }
}

/// Whether a program is here. A missing one is a failure where `CI` is set.
fn has(program: &str) -> bool {
    let mut ask = Command::new(program);
    ask.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    let found = ask.status().is_ok_and(|status| status.success());
    let strict =
        std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    assert!(found || !strict, "{program} is not installed");
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

#[test]
fn the_python_example_does_what_its_readme_says() {
    if has("python3") {
        check("python-shop");
    }
}

#[test]
fn the_node_example_does_what_its_readme_says() {
    if has("node") && has("python3") {
        check("node-shop");
    }
}

#[test]
fn the_examples_have_no_problems() {
    for name in ["python-shop", "node-shop"] {
        let file = examples().join(name).join("serin.yaml");
        let said = said(support::serin(&["check", "--json", file.to_str().unwrap()]));
        let document: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        let problems = document["problems"].as_array().unwrap();
        let other = problems.iter().filter(|problem| problem["code"] != "no-command");
        assert_eq!(other.count(), 0, "{}", said.out);
    }
}
